"""HTTP for signalling: one exchange at a time, every step of it timed, every fault one sentence.

``HttpClient`` speaks over a ``Line``: DNS, TCP, TLS and every byte pass the emulated link (``runtime.streams``). It has
no cookies, proxies, caches or retries: what it sends is what was asked for, once.

Rules:
    1. A connection serves exchange after exchange, as browsers' do. A new client is a client without connections; an
       exchange on an open connection has no ``dns``, ``tcp`` and ``tls`` milestones.
    2. A bearer token, and headers that hold a secret, go to the origin they were meant for: a redirect elsewhere goes
       without them, and from https to http nothing is followed at all.
    3. A redirected POST stays a POST or is not followed: 307 and 308 alone (RFC 9110 §15.4; RFC 9725 §4.4 for WHIP).
    4. Everything is bounded: an exchange's time, a body's size while it is read, headers, redirects.
    5. Nothing compressed is asked for, and none is taken: a megabyte may not grow behind our back.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import httpcore
import httpx

from rtcprobe.call import faults
from rtcprobe.call.backend import EXCHANGE, Backend, NetStream
from rtcprobe.call.faults import Exchange
from rtcprobe.call.request import PORTS, REDIRECTS, Request, joined, parse_url, redirected
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.runtime.streams import Line
from rtcprobe.secrets import Secret, scrub
from rtcprobe.textfiles import need_regular
from rtcprobe.timeline import Wait

__all__ = ["MILESTONES", "Exchange", "HttpClient", "Limits", "Reply", "parse_url", "tls_context"]

MILESTONES = ("dns", "tcp", "tls", "request_sent", "response_headers", "response_body")
"""What an exchange reaches, in this order; the first three on a new connection alone, ``tls`` over https alone."""

# httpcore's trace events (its ``_async/http11.py``): names of HTTP/1.1 alone, for HTTP/2 is never offered to a server.
_STARTED = {
    "http11.send_request_headers.started": "request_sent",
    "http11.receive_response_headers.started": "response_headers",
}
_COMPLETE = {
    "http11.send_request_body.complete": "request_sent",
    "http11.receive_response_headers.complete": "response_headers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an exchange may cost: seconds in all, bytes of a body, redirects followed, header fields of an answer."""

    exchange_s: float = 10.0
    body_bytes: int = 1_000_000
    redirects: int = 5
    header_fields: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, whole: ``url`` is where it came from after redirects (not scrubbed: it may be called again)."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str
    exchange: Exchange

    @property
    def media_type(self) -> str:
        """The content type without parameters, small letters; empty where the server named none."""
        written: str = self.headers.get("content-type", "")
        return written.partition(";")[0].strip().lower()

    def text(self) -> str:
        """Return the body as text.

        Raises:
            MeasurementError: it is not UTF-8.
        """
        try:
            return self.body.decode("utf-8-sig")  # editors write a byte order mark before text
        except UnicodeDecodeError:
            raise MeasurementError(f"{self.exchange}: the answer is not text in UTF-8") from None

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises:
            MeasurementError: it is none.
        """
        try:
            return json.loads(self.text())
        except (ValueError, RecursionError):
            words = faults.quoted(self.body[:4096].decode(errors="replace"))
            raise MeasurementError(f"{self.exchange}: the answer is not JSON, it begins {words}") from None

    def location(self) -> str:
        """Return the absolute URL of the ``Location`` header: the session the server made.

        Raises:
            MeasurementError: there is none, or none that can be called.
        """
        written = self.headers.get("location")
        if not written:
            raise MeasurementError(f"{self.exchange}: the answer names no Location, so the session cannot be ended")
        return joined(self.exchange, self.url, written)


class HttpClient:
    """A client with connections of its own; ``exchanges`` keeps what every exchange reached and when."""

    def __init__(self, line: Line, *, limits: Limits | None = None, ca_file: Path | None = None) -> None:
        """Make a client on ``line``; ``ca_file`` (PEM) is trusted beside the system's CAs.

        Raises:
            BadInputError: ``ca_file`` cannot be read or holds no certificate.
        """
        self.line = line
        self.limits = limits or Limits()
        self.exchanges: list[Exchange] = []
        self.tls = tls_context(ca_file)
        self.backend = Backend(line)
        self._opened: list[NetStream] = []
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=self.tls, network_backend=self.backend, max_connections=16, keepalive_expiry=None
        )

    async def open(self, what: str, url: str) -> Exchange:
        """Open a connection to the origin of ``url`` ahead of time: DNS, TCP and TLS; the next exchange there uses it.

        Raises:
            MeasurementError: it cannot be opened within ``limits.exchange_s``.
        """
        address = parse_url(url)
        exchange = self.begin(what, "CONNECT", address)
        port = address.port or PORTS[address.scheme]
        stream = await self.connect(exchange, address)
        self.backend.keep(address.raw_host.decode(), port, stream)
        return exchange

    async def exchange(
        self,
        what: str,
        method: str,
        url: str,
        *,
        body: str | bytes | None = None,
        content_type: str | None = None,
        form: Mapping[str, tuple[str, str]] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        token: Secret | None = None,
        statuses: Collection[int] = (200, 201, 204),
        media_types: Collection[str] = (),
        timeout_s: float | None = None,
        withheld: bool = False,
    ) -> Reply:
        """Send one request and return its answer, read to the end.

        ``what`` names it in errors ("WHIP offer"). ``form`` is sent as multipart/form-data: name → (media type, text).
        An answer whose status is not in ``statuses`` is an error; so is one with a body whose media type is named and
        not in ``media_types`` (where any are given). ``withheld`` says that a token was not to be sent there.

        Raises:
            BadInputError: a URL that cannot be called, a token or header that cannot be sent.
            MeasurementError: anything that went wrong on the way; the sentence names the exchange and how far it came.
        """
        address = parse_url(url)
        request = Request(
            method, address, body, content_type, form, headers or {}, token, tuple(media_types), withheld=withheld
        )
        exchange = self.begin(what, method, address)
        limit_s = self.limits.exchange_s if timeout_s is None else timeout_s
        try:
            # One limit for all of it, redirects too: a join waits for the last answer, however many hops it took.
            async with asyncio.timeout(limit_s):
                for _ in range(self.limits.redirects + 1):
                    reply = await self._once(exchange, request)
                    # A 3xx that was hoped for is an answer: who asks for it wants to see it.
                    if reply.status not in REDIRECTS or reply.status in statuses:
                        return self._judged(reply, request, statuses, media_types)
                    request = redirected(request, exchange, reply.headers.get("location"))
                    exchange = self.begin(f"{what}, redirected", method, request.url)
        except TimeoutError:
            raise faults.timed_out(exchange, limit_s) from None
        raise MeasurementError(
            f"{exchange}: redirected {self.limits.redirects} times before and again", "call the endpoint itself"
        )

    async def connect(self, exchange: Exchange, address: httpx.URL) -> NetStream:
        """Return a new connection for ``exchange``, TLS included where the scheme says so.

        Raises:
            MeasurementError: it cannot be opened within ``limits.exchange_s``.
        """
        stream = NetStream(self.line)
        token = EXCHANGE.set(exchange)
        try:
            async with asyncio.timeout(self.limits.exchange_s):
                host = address.raw_host.decode()
                await stream.connect(host, address.port or PORTS[address.scheme])
                if address.scheme in {"https", "wss"}:
                    await stream.start_tls(self.tls, host)
        except TimeoutError:
            await stream.aclose()
            raise faults.timed_out(exchange, self.limits.exchange_s) from None
        except Exception as error:
            raise faults.fault(exchange, error) from error
        finally:
            EXCHANGE.reset(token)
        self._opened.append(stream)
        return stream

    def waits(self) -> list[Wait]:
        """Return what TCP and DNS had to send again on the emulated link."""
        return self.line.waits()

    async def aclose(self) -> None:
        """Close every connection; takes a second at most."""
        await self._pool.aclose()
        for stream in self._opened:
            await stream.aclose()
        await self.line.close()

    def begin(self, what: str, method: str, url: httpx.URL) -> Exchange:
        """Return a new exchange, begun now and kept among ``exchanges``."""
        exchange = Exchange(
            what=what, method=method, url=scrub(str(url)), host=url.host, begun_s=self.line.network.now_s()
        )
        self.exchanges.append(exchange)
        return exchange

    async def _once(self, exchange: Exchange, request: Request) -> Reply:
        async def trace(event: str, _info: object) -> None:
            if event in _STARTED:
                exchange.phase = _STARTED[event]
            if event in _COMPLETE:
                exchange.marks[_COMPLETE[event]] = self.line.network.now_s()

        built = request.build()
        token = EXCHANGE.set(exchange)
        try:
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    built.method,
                    httpcore.URL(
                        scheme=built.url.raw_scheme,
                        host=built.url.raw_host,
                        port=built.url.port,
                        target=built.url.raw_path,
                    ),
                    headers=built.headers.raw,
                    content=built.stream,
                    extensions={"trace": trace},
                )
            )
            exchange.status = response.status
            exchange.phase = "response_body"
            try:
                body = await self._read(exchange, response)
            finally:
                await response.aclose()
        except (MeasurementError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise faults.fault(exchange, error) from error
        finally:
            EXCHANGE.reset(token)
        exchange.marks["response_body"] = self.line.network.now_s()
        headers = httpx.Headers(response.headers)
        return Reply(status=response.status, headers=headers, body=body, url=str(request.url), exchange=exchange)

    async def _read(self, exchange: Exchange, response: httpcore.Response) -> bytes:
        """Return the body, refusing what is too large as soon as that is known."""
        headers = httpx.Headers(response.headers)
        most = self.limits.body_bytes
        if len(headers.raw) > self.limits.header_fields:
            fields = f"{len(headers.raw)} header fields, more than {self.limits.header_fields}"
            raise MeasurementError(f"{exchange}: the answer has {fields}")
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise MeasurementError(f"{exchange}: the answer is compressed ({faults.quoted(encoding)}), unasked")
        body = bytearray()
        announced = headers.get("content-length", "")
        # A length that is none counts as unknown: then the body is measured as it comes.
        size = int(announced) if announced.isascii() and announced.isdigit() else 0
        if size <= most:
            async for chunk in response.aiter_stream():
                body += chunk
                exchange.body_bytes = len(body)
                if len(body) > most:
                    break
        if size > most or len(body) > most:
            raise MeasurementError(
                f"{exchange}: the answer is larger than {most} bytes and was not read on",
                "is this the endpoint's URL?",
            )
        return bytes(body)

    def _judged(self, reply: Reply, request: Request, statuses: Collection[int], media_types: Collection[str]) -> Reply:
        if reply.status not in statuses:
            source = None if request.token is None else request.token.source
            raise faults.refusal(reply.exchange, reply.body, token=source, withheld=request.withheld)
        if media_types and reply.body and reply.media_type and reply.media_type not in media_types:
            raise faults.wrong_type(reply.exchange, reply.media_type, " or ".join(media_types), reply.body)
        return reply


@cache
def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return what TLS connections are verified by: this machine's CAs, Mozilla's, and ``ca_file`` (PEM).

    Made once: reading the CAs takes tens of milliseconds, which are no part of anybody's join.

    Raises:
        BadInputError: ``ca_file`` cannot be read, or holds no certificate.
    """
    try:
        if ca_file is not None:
            need_regular(ca_file)
        context = ssl.create_default_context(cafile=ca_file)  # without one, this machine's
    except ssl.SSLError:
        raise BadInputError(f"the CA file {str(ca_file)!r} holds no certificate", "give one in PEM form") from None
    except OSError as error:
        raise BadInputError(f"the CA file {str(ca_file)!r} cannot be read", error.strerror or "") from None
    if ca_file is not None:
        # ``create_default_context`` loads the machine's own only where no file is named.
        context.load_default_certs()
    context.load_verify_locations(cafile=certifi.where())
    return context
