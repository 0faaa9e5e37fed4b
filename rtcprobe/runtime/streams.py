"""Byte streams to servers that are not ours: DNS, TCP and every byte pass the emulated link, then a real connection.

Facts:
    The far end of the link is in this process: what comes out of it goes into a real TCP connection to the server, what
    that connection brings enters the link on the way back. So every round trip costs the link's delay there and back
    beside the server's own; a connection refused is known a round trip later, as it would be.

Rules:
    1. Over the link runs ``tcp``: segments, acknowledgements, timers, retransmission, delivery in order.
    2. A name costs a DNS query through the link, even where this machine knows it already: users' phones do not. The
       resolver stands at the link's far end. What needs no look-up (``reach``) costs none.
    3. A lost query is sent again after 5 s, once. Source: resolv.conf(5), timeout and attempts.
    4. Where several addresses are tried, that costs the far end's time, not the link's.
    5. A bare link (no hops) is the plain connection, timed alike.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.reach import StreamError, connected, known_addresses, look_up
from rtcprobe.runtime.tcp import SEGMENT_BYTES, TcpConnection, ask, resends
from rtcprobe.timeline import Side, Wait

__all__ = ["Line", "Mark", "ShapedStream", "dial", "resolve"]

Mark = Callable[[str], None]

DNS_TIMEOUTS_S = (5.0, 5.0)
_DNS_QUERY_BYTES = 20 + 8 + 12 + 1 + 2 + 2  # IPv4, UDP, DNS header, root label, type and class (RFC 1035 §4.1)
_DNS_ANSWER_BYTES = 16  # a compressed name and an A record
# Of either way: beyond it whoever sends is held up, as by a full send buffer, or a server that pushes without
# end would fill memory.
_MOST_IN_FLIGHT_BYTES = 256 * 1024
_GRACE_S = 1.0
"""How long a closed stream may take to bring its last bytes away."""


@dataclass(slots=True, eq=False)
class Line:
    """A client's way to the world's TCP servers: ``up`` and ``down`` are its emulated link, absent where there is none.

    It keeps every stream opened on it, and what was sent again.
    """

    network: Network
    up: Direction | None = None
    down: Direction | None = None
    side: Side = "caller"
    streams: list[ShapedStream] = field(default_factory=list)
    _waits: list[Callable[[], list[Wait]]] = field(default_factory=list)

    @property
    def bare(self) -> bool:
        """Whether nothing is emulated."""
        return not any(way is not None and way.path.links for way in (self.up, self.down))

    def waits(self) -> list[Wait]:
        """Return every retransmission on this line so far."""
        return [wait for waits in self._waits for wait in waits()]

    async def close(self) -> None:
        """Close what is open, within ``_GRACE_S``."""
        for stream in self.streams:
            await stream.aclose()
        if self.streams:
            await asyncio.wait([stream.gone for stream in self.streams], timeout=_GRACE_S + 0.1)
        for stream in list(self.streams):
            stream.abort()

    def watch(self, waits: Callable[[], list[Wait]]) -> None:
        """Count what ``waits`` returns among the retransmissions."""
        self._waits.append(waits)

    def emulated(self) -> tuple[Direction, Direction]:
        """Return both ways of a line that is not bare."""
        assert self.up is not None
        assert self.down is not None
        return self.up, self.down


async def dial(line: Line, host: str, port: int, *, mark: Mark, what: Callable[[], str]) -> ByteStream:
    """Return a stream to ``host``; marks ``"dns"`` (where one was needed) and ``"tcp"`` as they are reached.

    ``what`` names what is being sent, for retransmissions.

    Raises:
        StreamError: the name does not resolve, nobody answers there, or the machine has no way there.
    """
    resolved = await resolve(line, host, port, mark=mark)
    if line.bare:
        plain = await connected(resolved, port)
        mark("tcp")
        return await SocketStream.from_socket(plain)
    up, down = line.emulated()
    tcp = TcpConnection(line.network, up, down, side=line.side)
    line.watch(tcp.waits)
    shaped = ShapedStream(line, tcp, what)
    try:
        await tcp.connect(lambda: shaped.reach(resolved, port))
    # A time limit that strikes, too: else the far end would stay connected to a server that nobody talks to.
    except BaseException:
        shaped.abort()
        raise
    mark("tcp")
    return shaped


async def resolve(line: Line, host: str, port: int, *, mark: Mark) -> list[str]:
    """Return the addresses of ``host``; marks ``"dns"`` where that took a query through the line.

    Raises:
        StreamError: the name does not resolve.
    """
    addresses = known_addresses(host)
    if addresses is None:
        addresses = await _resolve(line, host, port)
        mark("dns")
    return addresses


class ShapedStream(ByteStream):
    """The client's end of a TCP connection whose packets pass a line."""

    def __init__(self, line: Line, tcp: TcpConnection, what: Callable[[], str]) -> None:
        self._line = line
        self._tcp = tcp
        self._what = what
        self._far = _FarEnd(self)
        self._arrived: deque[bytes] = deque()
        self._end: str | None = None
        """How the server ended it: ``"eof"`` or what broke; None while it has not."""
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._up_bytes = self._down_bytes = 0
        self._closing = False
        self.gone: asyncio.Future[None] = line.network.loop.create_future()
        """Done when nothing of the stream is left."""
        line.streams.append(self)

    async def reach(self, addresses: Sequence[str], port: int) -> None:
        """Connect the far end to the server."""
        plain = await connected(addresses, port)
        try:
            await self._line.network.loop.create_connection(lambda: self._far, sock=plain)
        except BaseException:
            plain.close()
            raise

    async def send(self, item: bytes) -> None:
        """Send ``item``; returns when the send buffer has taken it."""
        if self._closing:
            raise anyio.ClosedResourceError
        if self._end not in {None, "eof"}:
            raise anyio.BrokenResourceError
        what = self._what()
        # Each segment is a packet of the link's, with a fate of its own.
        for start in range(0, len(item), SEGMENT_BYTES):
            chunk = bytes(item[start : start + SEGMENT_BYTES])
            self._up_bytes += len(chunk)
            self._tcp.push(len(chunk), what, self._at_far_end(chunk))
        if self._up_bytes > _MOST_IN_FLIGHT_BYTES:
            self._room.clear()
            await self._room.wait()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what has arrived, waiting for the first byte."""
        # What came before the end of a stream is read before its end is told.
        while not self._arrived:
            if self._closing:
                raise anyio.ClosedResourceError
            if self._end == "eof":
                raise anyio.EndOfStream
            if self._end is not None:
                raise anyio.BrokenResourceError(self._end)
            self._something.clear()
            await self._something.wait()
        chunk = self._arrived.popleft()
        if len(chunk) > max_bytes:
            self._arrived.appendleft(chunk[max_bytes:])
            chunk = chunk[:max_bytes]
        self._took(len(chunk))
        return chunk

    async def send_eof(self) -> None:
        """Say that no more will be sent."""
        self._tcp.push(0, "TCP FIN", self._far.end)

    async def aclose(self) -> None:
        """Close: what was sent goes on its way, what comes is thrown away."""
        if self._closing:
            return
        self._closing = True
        self._something.set()
        self._room.set()
        # The FIN goes behind what was sent; on a line that lets nothing through it is waited for a second.
        if self._end in {None, "eof"}:
            self._tcp.push(0, "TCP FIN", lambda: self._far.drop(at_once=False))
            self._line.network.loop.call_later(_GRACE_S, self.abort)
        else:
            self.abort()

    def abort(self) -> None:
        """Be gone at once."""
        self._closing = True
        self._tcp.close()
        self._far.drop(at_once=True)
        if not self.gone.done():
            self.gone.set_result(None)
            self._line.streams.remove(self)

    @property
    def readable(self) -> bool:
        """Whether there is something to receive, the end of the stream included."""
        return bool(self._arrived) or self._end is not None

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Return the server's address."""
        return {SocketAttribute.remote_address: lambda: self._far.peer}

    def from_server(self, data: bytes) -> None:
        """Take what the server sent into the link."""
        for start in range(0, len(data), SEGMENT_BYTES):
            chunk = data[start : start + SEGMENT_BYTES]
            self._down_bytes += len(chunk)
            self._tcp.push(len(chunk), f"answer to {self._what()}", self._at_client(chunk), from_server=True)
        if self._down_bytes > _MOST_IN_FLIGHT_BYTES:
            self._far.hold(held=True)

    def server_ended(self, how: str) -> None:
        """Let the server's end of the stream follow what it sent."""
        if not self._closing:
            self._tcp.push(0, "TCP FIN", lambda: self._ended(how), from_server=True)

    def _at_far_end(self, chunk: bytes) -> Callable[[], None]:
        def arrived() -> None:
            self._up_bytes -= len(chunk)
            if self._up_bytes <= _MOST_IN_FLIGHT_BYTES:
                self._room.set()
            self._far.put(chunk)

        return arrived

    def _at_client(self, chunk: bytes) -> Callable[[], None]:
        def arrived() -> None:
            if not self._closing:
                self._arrived.append(chunk)
                self._something.set()

        return arrived

    def _took(self, size_bytes: int) -> None:
        """Give back the room of what the client has read: a reader that stops, stops the server."""
        self._down_bytes -= size_bytes
        # At half, not just below the bound: the real socket would be stopped and started with every segment.
        if self._down_bytes <= _MOST_IN_FLIGHT_BYTES // 2:
            self._far.hold(held=False)

    def _ended(self, how: str) -> None:
        self._end = how
        self._something.set()
        self._room.set()


class _FarEnd(asyncio.Protocol):
    """Where the link meets the real connection."""

    def __init__(self, stream: ShapedStream) -> None:
        self._stream = stream
        self._transport: asyncio.Transport | None = None
        self._dropped = self._held = False
        self.peer: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._dropped or self._transport is not None:
            transport.abort()  # nobody wants it any more, or another address was quicker
            return
        self._transport = transport
        self.peer = transport.get_extra_info("peername")

    def data_received(self, data: bytes) -> None:
        self._stream.from_server(data)

    def eof_received(self) -> bool:
        self._stream.server_ended("eof")
        return True  # what the client still has to say is said

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dropped:
            self._stream.abort()  # nothing is left to abort: it is gone
        elif exc is not None:
            self._stream.server_ended("connection reset")

    def put(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        if self._transport is not None and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def hold(self, *, held: bool) -> None:
        if self._transport is None or self._transport.is_closing() or held == self._held:
            return
        self._held = held
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def drop(self, *, at_once: bool) -> None:
        self._dropped = True
        if self._transport is None:
            return
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()


async def _resolve(line: Line, host: str, port: int) -> list[str]:
    """Return the addresses of ``host`` when the answer has come through the line (rules 2 and 3)."""
    found: list[str] = []

    async def ask_resolver() -> None:
        found.extend(await look_up(line.network.loop, host, port))

    if line.bare:
        await ask_resolver()
        return found
    up, down = line.emulated()
    query_bytes = _DNS_QUERY_BYTES + len(host.rstrip(".")) + 1  # a dot for the length of the label behind it, one ahead
    sent_s: list[float] = []
    answered_s: float | None = None
    # Asked at the end of the join, when ``answered_s`` is known.
    line.watch(lambda: resends(line.side, "DNS query", sent_s, answered_s))
    try:
        answered_s = await ask(
            line.network,
            up,
            down,
            sizes_bytes=(query_bytes, query_bytes + _DNS_ANSWER_BYTES),
            timeouts_s=DNS_TIMEOUTS_S,
            sent_s=sent_s,
            serve=ask_resolver,
        )
    except TimeoutError:
        raise StreamError("resolver", f"{len(sent_s)} queries for it were lost on the link") from None
    return found
