"""What a request is made of: a URL that can be called, headers that can be sent, and where a redirect takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from rtcprobe import __version__
from rtcprobe.call import faults
from rtcprobe.call.faults import Exchange
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.secrets import Secret, scrub

__all__ = ["PORTS", "REDIRECTS", "Request", "joined", "origin", "parse_url", "redirected"]

# RFC 9110, section 15.4; 300 and 304 name no place to go.
REDIRECTS = {301, 302, 303, 307, 308}
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, to be built; ``token`` and secret headers stay with their origin."""

    method: str
    url: httpx.URL
    body: str | bytes | None
    content_type: str | None
    form: Mapping[str, tuple[str, str]] | None
    headers: Mapping[str, str | Secret]
    token: Secret | None
    media_types: tuple[str, ...]
    withheld: bool = False
    """Whether a token was left behind: at a redirect (rule 2), or because the session is elsewhere."""

    def build(self) -> httpx.Request:
        """Return it as it is sent, secrets in clear.

        Raises:
            BadInputError: a header that cannot be sent.
        """
        # Named outright: without a word a server may compress as it likes (RFC 9110 §12.5.3), which would be refused
        # (rule 5 of ``http``).
        headers = {
            "Accept": ", ".join(self.media_types) or "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": f"rtcprobe/{__version__}",
        }
        if self.content_type is not None:
            headers["Content-Type"] = self.content_type
        for name, value in self.headers.items():
            headers[name] = value.reveal() if isinstance(value, Secret) else value
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        # A newline in a value would begin the next header (RFC 9110 §5.5).
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable() and name.isascii() and name.isprintable()):
                raise BadInputError(f"the header {name!r} holds characters HTTP cannot send", "use plain ASCII")
        parts = None if self.form is None else {name: (None, text, kind) for name, (kind, text) in self.form.items()}
        return httpx.Request(self.method, self.url, headers=headers, content=self.body, files=parts)

    def at(self, url: httpx.URL) -> Request:
        """Return the same request to another place (rule 2)."""
        same = origin(url) == origin(self.url)
        open_headers = {name: value for name, value in self.headers.items() if same or not isinstance(value, Secret)}
        return Request(
            self.method,
            url,
            self.body,
            self.content_type,
            self.form,
            open_headers,
            self.token if same else None,
            self.media_types,
            withheld=self.withheld or (not same and (self.token is not None or open_headers != dict(self.headers))),
        )


def parse_url(written: str) -> httpx.URL:
    """Return ``written`` as a URL that can be called.

    Raises:
        BadInputError: another scheme than http, https, ws, wss; no host; a name or password inside; no URL at all.
    """
    try:
        url = httpx.URL(written)
        host, port = url.host, url.port
    except (httpx.InvalidURL, ValueError, TypeError):
        raise BadInputError(f"{scrub(str(written))!r} is not a URL", "write it like https://host/path") from None
    shown = scrub(str(written))
    if url.scheme not in PORTS:
        raise BadInputError(f"{shown!r} is not an HTTP address", "write it like https://host/path")
    if not host:
        raise BadInputError(f"{shown!r} names no host", "write it like https://host/path")
    if port is not None and not 0 < port < 1 << 16:
        raise BadInputError(f"port {port} of {shown!r} does not exist", "give 1 to 65535")
    # A password in a URL ends up in results and logs; a token is kept apart, and is never shown.
    if url.userinfo:
        raise BadInputError(f"{shown!r} holds a name or password", "give a token instead, as env:NAME or file:PATH")
    return url


def redirected(request: Request, exchange: Exchange, location: str | None) -> Request:
    """Return the request that a redirect to ``location`` leads to.

    Raises:
        MeasurementError: it leads nowhere, into the open, or would make another request of this one.
    """
    if not location:
        raise MeasurementError(f"{exchange}: the server answered {exchange.status}, a redirect that leads nowhere")
    target = joined(exchange, str(request.url), location)
    shown = faults.quoted(target)
    # 301 and 302 let a client turn a POST into a GET, and all do (RFC 9110 §15.4.2, note); 303 says so outright.
    if exchange.status not in {307, 308} and request.method not in {"GET", "HEAD"}:
        raise MeasurementError(
            f"{exchange}: the server answered {exchange.status}, which would turn the {request.method} into a GET of "
            f"{shown}",
            "redirect with 307 or 308, or call that address itself",
        )
    url = httpx.URL(target)
    if request.url.scheme == "https" and url.scheme != "https":
        raise MeasurementError(f"{exchange}: redirected from https to {shown}", "nothing is sent there unencrypted")
    return request.at(url)


def joined(exchange: Exchange, base: str, written: str) -> str:
    """Return the absolute URL that a ``Location`` header means.

    Raises:
        MeasurementError: it means none that can be called.
    """
    try:
        url = httpx.URL(base).join(written)
        parse_url(str(url))
    except (httpx.InvalidURL, BadInputError, ValueError):
        raise MeasurementError(f"{exchange}: its Location {faults.quoted(written)} is no address of HTTP") from None
    return str(url)


def origin(url: httpx.URL | str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what is meant for one origin is not meant for another (RFC 6454 §4)."""
    url = httpx.URL(url)
    return url.scheme, url.host, url.port or PORTS.get(url.scheme, 0)
