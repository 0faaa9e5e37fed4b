"""A WebSocket over the HTTP client's line: text messages, each within its time, every fault one sentence.

Theory of operation:
    The state of RFC 6455 is held by ``websockets``' protocol, which does no I/O: it is fed what came, gives events, and
    says what is to be sent. Here bytes go between it and the stream. Feeding it may leave something to send (a pong,
    the answer to a close), so every reading ends with a flush. What it holds to be closed, or the stream's end, ends
    both ``receive`` and ``send`` with a sentence.

Rules:
    1. Pings are answered while something is received, for which the owner must call ``receive`` (a task of its own).
    2. No compression is offered, and no message larger than ``Limits.body_bytes`` is taken.
    3. One ``receive`` at a time; ``send`` may be called from anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus

import httpcore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from rtcprobe import __version__
from rtcprobe.call import faults
from rtcprobe.call.backend import EXCHANGE, NetStream
from rtcprobe.call.faults import Exchange
from rtcprobe.call.http import HttpClient, parse_url
from rtcprobe.errors import MeasurementError
from rtcprobe.secrets import Secret

__all__ = ["WebSocket"]

# A closing handshake is a courtesy; half a second is a round trip to anywhere, and a loss.
_GOODBYE_S = 0.5
_SILENT = logging.Logger("rtcprobe.websocket", logging.CRITICAL + 1)  # noqa: LOG001 - no level set elsewhere may make it speak
"""The library would log headers, tokens among them."""


class WebSocket:
    """An open WebSocket; made by ``open``. ``exchange`` holds the milestones of the opening handshake."""

    def __init__(self, client: HttpClient, exchange: Exchange, stream: NetStream, protocol: ClientProtocol) -> None:
        self.exchange = exchange
        self._client = client
        self._stream = stream
        self._protocol = protocol
        self._messages: deque[str] = deque()
        self._parts: list[bytes] = []
        self._writing = asyncio.Lock()
        self._response: Response | None = None
        self._gone = False

    @classmethod
    async def open(
        cls,
        client: HttpClient,
        what: str,
        url: str,
        *,
        subprotocol: str | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        token: Secret | None = None,
    ) -> WebSocket:
        """Open a WebSocket at ``url`` (ws or wss) within ``limits.exchange_s``.

        Raises:
            BadInputError: a URL that cannot be called.
            MeasurementError: it did not open; the sentence says how far it came.
        """
        address = parse_url(url)
        exchange = client.begin(what, "GET", address)
        protocol = ClientProtocol(
            parse_uri(str(address)),
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            max_size=client.limits.body_bytes,
            logger=_SILENT,
        )
        request = protocol.connect()
        request.headers["User-Agent"] = f"rtcprobe/{__version__}"
        for name, value in (headers or {}).items():
            request.headers[name] = value.reveal() if isinstance(value, Secret) else value
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token.reveal()}"
        socket = cls(client, exchange, await client.connect(exchange, address), protocol)
        try:
            await socket._shake_hands(request, None if token is None else token.source)
        # A cancelled join as well: the connection is ours alone until the handshake is over.
        except BaseException:
            await socket.aclose()
            raise
        exchange.phase = "message"
        return socket

    async def _shake_hands(self, request: Request, token: str | None) -> None:
        """Ask to go over to WebSocket, and see that the server does; ``token`` is where a token came from."""
        exchange, limit_s = self.exchange, self._client.limits.exchange_s
        try:
            async with asyncio.timeout(limit_s):
                self._protocol.send_request(request)
                exchange.phase = "request_sent"
                await self._flush()
                exchange.marks["request_sent"] = self._client.line.network.now_s()
                exchange.phase = "response_headers"
                while self._response is None:
                    await self._take()
        except TimeoutError:
            raise faults.timed_out(exchange, limit_s) from None
        response = self._response
        exchange.status = response.status_code
        exchange.marks["response_headers"] = self._client.line.network.now_s()
        # A server that has no WebSocket there answers in HTTP, with a body that says why.
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            raise faults.refusal(exchange, bytes(response.body or b""), token=token)
        if self._protocol.handshake_exc is not None:
            raise self._ended()

    async def send(self, text: str) -> None:
        """Send one message.

        Raises:
            MeasurementError: the connection is gone.
        """
        if self._gone or self._protocol.state is not State.OPEN:
            raise self._ended()
        self._protocol.send_text(text.encode())
        await self._flush()

    async def receive(self) -> str:
        """Return the next message, however long it takes.

        Raises:
            MeasurementError: the server closed, or broke the rules.
        """
        while not self._messages:
            if self._gone or self._protocol.state is State.CLOSED:
                raise self._ended()
            await self._take()
        return self._messages.popleft()

    async def aclose(self) -> None:
        """Say goodbye and hang up; takes half a second at most."""
        if self._gone:
            return
        self._gone = True
        try:
            async with asyncio.timeout(_GOODBYE_S):
                # Normal closure (RFC 6455 §7.4.1); the answer to it is not waited for.
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(1000)
                    await self._flush()
        except (TimeoutError, MeasurementError):
            pass
        finally:
            await self._stream.aclose()

    async def _flush(self) -> None:
        token = EXCHANGE.set(self.exchange)
        try:
            # One writer at a time: data_to_send empties itself, and two would mix their frames.
            async with self._writing:
                for data in self._protocol.data_to_send():
                    await self._stream.write(data)  # an empty one asks to hang up, which aclose does
        except httpcore.NetworkError as error:
            raise faults.fault(self.exchange, error) from error
        finally:
            EXCHANGE.reset(token)

    async def _take(self) -> None:
        """Receive something and act on it."""
        try:
            data = await self._stream.read(65_536)
        except httpcore.NetworkError as error:
            if self._response is None:
                raise faults.fault(self.exchange, error) from error
            data = b""  # whether a server that breaks off is seen to hang up or to reset is a matter of its machine
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._response = event
            # Text and binary alike, put together over continuation frames (RFC 6455 §5.4): servers of JSON send either.
            elif isinstance(event, Frame) and event.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self._parts.append(bytes(event.data))
                if event.fin:
                    self._messages.append(b"".join(self._parts).decode(errors="replace"))
                    self._parts.clear()
        # Pongs, and the echo of a close, are what the protocol wants sent now.
        if data and self._protocol.state is not State.CLOSED:
            await self._flush()
        # The server hung up, or said something else, before there was a WebSocket.
        if self._response is None and (not data or self._protocol.handshake_exc is not None):
            raise self._ended()

    def _ended(self) -> MeasurementError:
        protocol = self._protocol
        if isinstance(protocol.parser_exc, PayloadTooBig):
            most = self._client.limits.body_bytes
            return MeasurementError(f"{self.exchange}: a message was larger than {most} bytes and was not read on")
        if isinstance(protocol.handshake_exc, InvalidHandshake):
            reason = faults.quoted(str(protocol.handshake_exc))
            return MeasurementError(f"{self.exchange}: no WebSocket opened, {reason}", "is this the endpoint's URL?")
        if protocol.close_rcvd is not None:
            said = f"{protocol.close_rcvd.code}, {faults.quoted(protocol.close_rcvd.reason)}"
            return MeasurementError(f"{self.exchange}: the server closed the WebSocket ({said})")
        return MeasurementError(f"{self.exchange}: the WebSocket broke", "look into the server's log")
