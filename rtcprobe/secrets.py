"""Secrets: values that print as ``***``, where they are read from, and the one ``scrub`` for text that leaves.

Rules:
    1. A secret is named, never written: ``env:NAME`` or ``file:PATH``. A literal would stand in the shell's history and
       in every list of processes.
    2. No sentence quotes a refused literal.
    3. Every secret ever made is known to ``scrub``, in the forms it takes on its way through URLs, JSON and HTML: a
       server may echo it back. Text that leaves (screen, file, log, error) passes ``scrub`` once.
    4. A secret shorter than ``_SHORT`` hides only where it stands alone: the PIN 1234 may not eat a measured 0.12345.
"""

from __future__ import annotations

import dataclasses
import errno
import html
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote, quote_plus

from rtcprobe.errors import BadInputError
from rtcprobe.textfiles import read_text

__all__ = ["HIDDEN", "Secret", "read_secret", "scrub", "scrubbed"]

HIDDEN: Final = "***"
_SHORT: Final = 8
_MOST_BYTES: Final = 16_384
_CURE: Final = "put it into an environment variable and write env:NAME, or into a file and write file:PATH"

_USERINFO = re.compile(r"([a-z][a-z0-9+.-]{0,31}://)[^/\s@\"'<>?#]*@", re.IGNORECASE)
_CLEAR: Final = r"(?!\*{3}(?!\w))"
"""Not hidden yet: scrubbed again, a sentence may not lose what stands behind."""
_PARAMETER = re.compile(
    r"([?&;#](?:access_token|id_token|token|jwt|auth|authorization|api_?key|key|secret|apisecret|client_secret|"
    rf"password|passwd|pwd|pin|credential|sig|signature)=){_CLEAR}[^&\s#\"'<>]+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    rf"(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|digest)\s+){_CLEAR}[^\s\"']+", re.IGNORECASE
)

_T = TypeVar("_T")


class Secret:
    """A value to be used and never shown; ``source`` says where it came from, such as ``env:WHIP_TOKEN``."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value
        self.source = source
        _known.add(value)

    def reveal(self) -> str:
        """Return the value, for the wire alone."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"Secret({self.source!r})"

    def __format__(self, format_spec: str) -> str:
        return format(HIDDEN, format_spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str, str]]:
        return Secret, (self._value, self.source)  # a worker process must know it too, to hide it


def read_secret(written: object, what: str = "the token") -> Secret:
    """Return the secret that ``env:NAME`` or ``file:PATH`` names.

    Raises:
        BadInputError: a literal value; a variable that is not set; a file that cannot be read, or holds nothing, too
            much, or several lines.
    """
    text = written if isinstance(written, str) else ""
    kind, colon, name = text.partition(":")
    if not colon or kind not in {"env", "file"} or (kind == "env" and name and not name.isidentifier()):
        raise BadInputError(f"{what} is written out", _CURE)
    if not name:
        raise BadInputError(f"{what} {text!r} names nothing", _CURE)
    value = _from_environment(what, name) if kind == "env" else _from_file(what, Path(name))
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        _refuse(what, text, "holds several lines or control characters", "one line, please")
    return Secret(value, text)


def scrub(text: str) -> str:
    """Return ``text`` without any secret: known ones, passwords in URLs, tokens in queries and headers."""
    for value in sorted(_known, key=len, reverse=True):
        for form in _forms(value):
            if form not in text:
                continue
            edge = r"(?<![A-Za-z0-9.]){}(?![A-Za-z0-9])" if len(value) < _SHORT else "{}"
            text = re.sub(edge.format(re.escape(form)), HIDDEN, text)
    text = _USERINFO.sub(rf"\g<1>{HIDDEN}@", text)
    text = _AUTHORIZATION.sub(rf"\g<1>{HIDDEN}", text)
    return _PARAMETER.sub(rf"\g<1>{HIDDEN}", text)


def scrubbed(value: _T) -> _T:
    """Return ``value`` with every string in it scrubbed: plain structures and frozen dataclasses alike."""
    return _scrubbed(value)  # type: ignore[no-any-return] # the same shape comes back


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {_scrubbed(key): _scrubbed(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_scrubbed(each) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field.name for field in dataclasses.fields(value) if field.init)
        before = {name: getattr(value, name) for name in fields}
        after = {name: _scrubbed(each) for name, each in before.items()}
        return dataclasses.replace(value, **after) if after != before else value
    return value


_known: set[str] = set()


@cache
def _forms(value: str) -> frozenset[str]:
    """Return how ``value`` looks on its way through URLs, JSON, HTML and Python's own quoting."""
    if not value:
        return frozenset()
    quoted = json.dumps(value)[1:-1]
    return frozenset(
        {
            value,
            quote(value, safe=""),
            quote(value),
            quote_plus(value),
            quoted,
            html.escape(value),
            repr(value)[1:-1],
        }
    )


def _from_environment(what: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        _refuse(what, f"env:{name}", "is not set", f"export {name} first")
    if not value:
        _refuse(what, f"env:{name}", "is empty", f"put the value into {name}")
    return value


def _from_file(what: str, path: Path) -> str:
    written = f"file:{path}"
    try:
        value = read_text(path.expanduser(), most=_MOST_BYTES).strip()
    except OSError as error:
        if error.errno == errno.EFBIG:
            _refuse(what, written, f"is larger than {_MOST_BYTES} bytes", "name a file that holds the value alone")
        _refuse(what, written, "cannot be read", error.strerror or str(error))
    except UnicodeError:
        _refuse(what, written, "is not text", "name a file that holds the value alone, in UTF-8")
    if not value:
        _refuse(what, written, "is empty", "put the value into it")
    return value


def _refuse(what: str, written: str, fact: str, cure: str) -> NoReturn:
    raise BadInputError(f"{what} {written!r} {fact}", cure)
