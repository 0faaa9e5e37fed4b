"""What several targets read alike from a plan: the address behind a scheme, tokens, headers, a CA file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from rtcprobe.call.http import parse_url, tls_context
from rtcprobe.errors import BadInputError
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret

__all__ = [
    "CONNECTION_OPTIONS",
    "YES_NO",
    "ca_file",
    "choice",
    "headers",
    "host_of",
    "token",
    "web_url",
    "whole_number",
]

CONNECTION_OPTIONS = ("token", "headers", "ca")
"""What every target reached over HTTP knows."""

YES_NO = {True: True, False: False}
"""What an option that is true or false chooses from."""

# Words in a header's name that say its value is one: then it has to come from env: or file:.
_SECRET = re.compile("auth|token|key|secret|cookie|password", re.IGNORECASE)

_T = TypeVar("_T")


def web_url(written: object, what: str) -> str:
    """Return ``written`` as an http or https URL.

    Raises:
        BadInputError: it is none that can be called.
    """
    if not isinstance(written, str):
        raise BadInputError(f"{what} {written!r} is not a URL", "write it like https://host/path")
    try:
        url = parse_url(written)
    except BadInputError as error:
        raise error.within(what) from error
    if url.scheme not in ("http", "https"):
        raise BadInputError(f"{what} {written!r} is not an HTTP address", "write it like https://host/path")
    return str(url)


def host_of(url: str) -> str:
    """Return the host name or address of a URL."""
    return parse_url(url).host


def token(plan: TargetPlan) -> Secret | None:
    """Return the bearer token that ``target.token`` names; None where there is none.

    Raises:
        BadInputError: it is written out, or cannot be read.
    """
    written = plan.options.get("token")
    return None if written is None else read_secret(written, "target.token")


def headers(plan: TargetPlan) -> dict[str, str | Secret]:
    """Return the further headers of ``target.headers``; values like ``env:NAME`` are secrets, as some names tell.

    Raises:
        BadInputError: not a mapping of words, or a secret that cannot be read.
    """
    written = plan.options.get("headers", {})
    if not isinstance(written, Mapping) or not all(isinstance(each, str) for each in (*written, *written.values())):
        raise BadInputError(f"target.headers {written!r} is not a set of headers", "write them like {X-Region: eu}")
    return {name: _header(name, value) for name, value in written.items()}


def ca_file(plan: TargetPlan) -> Path | None:
    """Return the file of authorities that ``target.ca`` names, looked for beside the scenario.

    Raises:
        BadInputError: it cannot be read, or holds no certificate.
    """
    written = plan.options.get("ca")
    if written is None:
        tls_context(None)  # read now, not during the first join
        return None
    if not isinstance(written, str):
        raise BadInputError(f"target.ca {written!r} is no file name", "write it like our-ca.pem")
    path = plan.folder / written
    tls_context(path)
    return path


def choice(plan: TargetPlan, key: str, known: Mapping[Any, _T], default: _T) -> _T:
    """Return what the option ``key`` chooses.

    Raises:
        BadInputError: not one of ``known``.
    """
    if key not in plan.options:
        return default
    written = plan.options[key]
    # YAML may hold what cannot be looked up in a mapping at all.
    if isinstance(written, (list, dict)) or written not in known:
        shown = ", ".join(str(each).lower() if isinstance(each, bool) else str(each) for each in known)
        raise BadInputError(f"target.{key} {written!r} is not known", f"use {shown}")
    return known[written]


def whole_number(plan: TargetPlan, key: str, least: int, most: int, *, default: int) -> int:
    """Return the whole number of the option ``key``.

    Raises:
        BadInputError: none, or outside ``least`` to ``most``.
    """
    written = plan.options.get(key, default)
    if not isinstance(written, int) or isinstance(written, bool):
        raise BadInputError(f"target.{key} {written!r} is not a whole number", f"give {least} to {most}")
    if not least <= written <= most:
        raise BadInputError(f"target.{key} {written} is impossible", f"give {least} to {most}")
    return written


def _header(name: str, value: str) -> str | Secret:
    named = value.startswith(("env:", "file:")) or _SECRET.search(name) is not None
    return read_secret(value, f"target.headers.{name}") if named else value
