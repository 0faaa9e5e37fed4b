"""The session that a server made of an offer: where it is changed and ended, and what may be sent there.

Facts:
    A server names its session in ``Location`` (RFC 9725 §4.2), and may name any address of the world. What was meant
    for the server is not meant for whomever it names.

Rules:
    1. A token, and headers that hold a secret, go to the origin they were given for, or to one that the user names
       (``target.session_origin``); to no other, whatever redirect or ``Location`` says. That is said once.
    2. From https nothing goes to anything else.
    3. A session without an address is measured all the same: it cannot be changed or ended, and that is said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rtcprobe.call.faults import printable, quoted
from rtcprobe.call.http import HttpClient, Reply, parse_url
from rtcprobe.call.request import joined, origin
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, scrub

__all__ = ["Rights", "Session", "session_origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What is sent to a server: a token and headers, meant for the origin of ``url`` and the ``trusted`` one alone."""

    url: str
    token: Secret | None = None
    headers: Mapping[str, str | Secret]
    trusted: str | None = None

    def at(self, url: str) -> tuple[Secret | None, dict[str, str | Secret], bool]:
        """Return the token and the headers for ``url``, and whether something was held back (rule 1)."""
        meant = {origin(self.url), *([] if self.trusted is None else [origin(self.trusted)])}
        if origin(url) in meant:
            return self.token, dict(self.headers), False
        open_headers: dict[str, str | Secret] = {
            name: value for name, value in self.headers.items() if not isinstance(value, Secret)
        }
        return None, open_headers, self.token is not None or len(open_headers) < len(self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session: ``url`` is None where it cannot be reached, ``warning`` what a reader should know of it."""

    client: HttpClient
    rights: Rights
    url: str | None
    warning: str | None
    etag: str | None = None

    @classmethod
    def of(cls, reply: Reply, client: HttpClient, rights: Rights) -> Session:
        """Return the session that ``reply`` names (rules 2 and 3)."""
        etag = reply.headers.get("etag")
        # It goes back in ``If-Match`` (RFC 9725 §4.3), and a header holds printable ASCII.
        usable_etag = etag if etag and etag.isascii() and etag.isprintable() else None
        url, warning = _place(reply)
        # Only where something is in fact held back: a session elsewhere that needs no token works as it is.
        if url is not None and rights.at(url)[2]:
            # Scheme, host and port alone: the path of a session may be a capability by itself.
            shown = quoted(scrub("{}://{}:{}".format(*origin(url))))
            warning = (
                f"the session is at another origin, {shown}, where the token is not sent: "
                "name it as target.session_origin if it may have it"
            )
        return cls(client=client, rights=rights, url=url, warning=warning, etag=usable_etag)

    async def exchange(
        self,
        what: str,
        method: str,
        *,
        headers: Mapping[str, str] | None = None,
        statuses: Collection[int],
        **request: Any,
    ) -> Reply:
        """Send a request to the session, as ``HttpClient.exchange`` does, with what may go there.

        Raises:
            MeasurementError: it has no address, or what went wrong on the way.
        """
        if self.url is None:
            raise MeasurementError(f"{what}: {self.warning}")
        token, allowed, withheld = self.rights.at(self.url)
        return await self.client.exchange(
            what,
            method,
            self.url,
            headers={**allowed, **(headers or {})},
            token=token,
            statuses=statuses,
            withheld=withheld,
            **request,
        )


def session_origin(plan: TargetPlan, *urls: str) -> str | None:
    """Return the origin that ``target.session_origin`` names beside those of ``urls``.

    Raises:
        BadInputError: it is none, or an unencrypted one beside an encrypted target.
    """
    written = plan.options.get("session_origin")
    if written is None:
        return None
    if not isinstance(written, str):
        raise BadInputError(f"target.session_origin {written!r} is no origin", "write it like https://media.example")
    try:
        url = parse_url(written)
    except BadInputError as error:
        raise error.within("target.session_origin") from None
    if url.scheme not in ("http", "https") or url.path not in ("", "/") or url.query:
        raise BadInputError(
            f"target.session_origin {scrub(written)!r} is no origin",
            "write scheme, host and port: https://media.example",
        )
    if url.scheme == "http" and any(each.startswith("https") for each in urls):
        raise BadInputError(
            f"target.session_origin {scrub(written)!r} is not encrypted, the target is", "write it with https"
        )
    return written


def _place(reply: Reply) -> tuple[str | None, str | None]:
    """Return where the session is, or None and why it is nowhere that may be called."""
    written = reply.headers.get("location")
    if not written:
        return None, "the answer names no Location: the session can neither be changed nor ended"
    try:
        url = joined(reply.exchange, reply.url, written)
    except MeasurementError:
        return (
            None,
            f"the session can neither be changed nor ended: its Location {quoted(written)} is no address of HTTP",
        )
    if not url.startswith("http") or (reply.url.startswith("https:") and not url.startswith("https:")):
        shown = quoted(printable(scrub(url)))
        return None, f"the session can neither be changed nor ended: its Location leads from https to {shown}"
    return url, None
