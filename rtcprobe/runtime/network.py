"""Hosts and the paths between them: every datagram passes a path on its way, in memory or over real UDP sockets.

Facts:
    aiortc and aioice reach the network through ``loop.create_datagram_endpoint`` alone. Both loops of this package
    hand that call here whenever it is made on behalf of a ``Host`` (the context variable ``HOST``), so the stack
    above runs unmodified.

Rules:
    1. A path seals a datagram's fate when it is sent; this module only schedules the delivery.
    2. Sizes are those of IPv4 packets: payload + 8 (UDP, RFC 768) + 20 (IPv4, RFC 791).
    3. A corrupted datagram is not delivered: the receiving kernel would drop it for its UDP checksum
       (RFC 1122 §4.1.3.4). The path's tally counts it as dropped, cause ``corrupt``.
    4. A DTLS datagram is offered to the path at a rounded size (``wire_size``), because signatures differ in length
       from run to run.
"""

from __future__ import annotations

import asyncio
import math
import socket
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from rtcprobe.errors import MeasurementError
from rtcprobe.link import Fate, LinkSpec, Path, Requested, Tally

if TYPE_CHECKING:
    from rtcprobe.runtime.egress import Egress

__all__ = [
    "HOST",
    "MOST_AT_ONCE",
    "Direction",
    "Host",
    "Network",
    "Room",
    "SocketTransport",
    "Tap",
    "acting_as",
    "nominal_s",
    "wire_size",
]

MOST_AT_ONCE = 64
"""Datagrams read before anything else gets its turn: a flood is read on and on, and timers go off all the same.

64 of them are 2 ms of work."""

MOST_UNDER_WAY_BYTES = 64 << 20
"""What may be on its way through emulated links at once: four seconds of 128 Mbit/s."""

_BESIDE_BYTES = 1024  # what a timer, its arguments and the payload's own header take, measured and rounded up

IPV4_UDP_HEADER_BYTES = 28
# A signature's length differs by a byte or two from run to run: rounded up, equal seeds stay equal on a line with a
# rate.
DTLS_GRID_BYTES = 64
# Floating point: what was planned for one instant may lie a hair apart.
_SAME_INSTANT_S = 1e-9

HOST: ContextVar[Host | None] = ContextVar("rtcprobe_host", default=None)
"""The host on whose behalf the current task opens sockets."""


@contextmanager
def acting_as(host: Host) -> Iterator[None]:
    """Open the sockets of this block, and of the tasks it starts, on ``host``."""
    token = HOST.set(host)
    try:
        yield
    finally:
        HOST.reset(token)


class Tap(Protocol):
    """Sees every datagram a host sends and receives, with the instant (seconds since the network's epoch)."""

    def sent(self, data: bytes, now_s: float) -> None:
        """Note a datagram leaving."""
        ...

    def received(self, data: bytes, now_s: float) -> None:
        """Note a datagram arriving."""
        ...


class Direction:
    """One way between two hosts: the path, and the tally of what it did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tally = Tally()
        self.before: Callable[[float], None] | None = None
        """Told when something is about to enter: what left before it has to be sealed first (``riding``)."""
        self.noted: Callable[[int, Fate, float], None] | None = None
        """Told of each packet's size, its fate, and when it entered."""
        self.egress: Egress | None = None
        """What decides who enters next, where somebody does."""
        self.coast: object | None = None
        """What lets packets enter many in a row (``coasting_seam``), where something does: one alone may."""
        self._last_due_s = -math.inf

    @property
    def watched(self) -> bool:
        """Whether somebody has to know of each packet, before it enters or once it has."""
        return self.before is not None or self.noted is not None or self.egress is not None

    def in_order(self, due_s: float) -> float:
        """Return ``due_s``, a hair later where it equals the last one: asyncio's heap swaps timers of equal times."""
        if self._last_due_s - _SAME_INSTANT_S < due_s <= self._last_due_s:
            due_s = math.nextafter(self._last_due_s, math.inf)
        self._last_due_s = due_s
        return due_s

    def offer(self, size_bytes: int, now_s: float) -> Fate:
        """Seal the fate of one packet and count it."""
        if self.before is not None:
            self.before(now_s)
        return self.enter(size_bytes, now_s)

    def enter(self, size_bytes: int, now_s: float) -> Fate:
        """Do as ``offer`` does, for whoever keeps the order itself."""
        fate = self.path.offer(size_bytes, now_s)
        if fate.corrupt:
            fate = fate.whole()
        self.tally.add(now_s, size_bytes, fate)
        if self.noted is not None:
            self.noted(size_bytes, fate, now_s)
        return fate


class Room:
    """Room for datagrams under way: what comes while it is full is turned away, and counted."""

    def __init__(self, most_bytes: int = MOST_UNDER_WAY_BYTES) -> None:
        self.turned_away = 0
        self._left_bytes = most_bytes

    def turns_away(self) -> bool:
        """Return whether a datagram that comes now finds no room; count it then."""
        full = self._left_bytes <= 0
        self.turned_away += full
        return full

    def enter(self, size_bytes: int) -> None:
        """Let one copy of a datagram be under way."""
        self._left_bytes -= size_bytes + _BESIDE_BYTES

    def leave(self, size_bytes: int) -> None:
        """Let it have arrived."""
        self._left_bytes += size_bytes + _BESIDE_BYTES


@dataclass(slots=True, kw_only=True)
class Lateness:
    """How late the emulator released datagrams, in seconds, one value a datagram (always 0 in virtual time)."""

    samples_s: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True, eq=False)
class Host:
    """A machine on the emulated network as one connection sees it, with a tap on all that this sends and receives."""

    name: str
    address: str
    network: Network
    tap: Tap | None = None
    _ports: Iterator[int] = field(default_factory=lambda: count(50_001))

    def beside(self) -> Host:
        """Return the same machine (name, address, paths) for another connection: with a tap of its own."""
        return Host(self.name, self.address, self.network, _ports=self._ports)

    def addresses(self) -> list[str]:
        """Return the addresses from which candidates are gathered."""
        return [self.address]

    def take_port(self) -> int:
        """Return the next unused UDP port of this host."""
        return next(self._ports)


class Network:
    """Hosts joined by directed paths, on the running loop's clock.

    Times handed to paths and taps are seconds since ``epoch_s``, the loop time at which the network was made, or
    ``start`` was called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, sockets: bool) -> None:
        self.loop = loop
        self.epoch_s = loop.time()
        self.sockets = sockets
        self.lateness = Lateness()
        self.last_arrival_s = 0.0
        """The latest arrival sealed so far: after it, nothing is under way any more."""
        self.arrival_s: float | None = None
        """When the packet was due whose arrival is being handled on the real clock (``tcp``, ``outside``)."""
        self.laid = 0
        """Rises with whatever changes where datagrams go."""
        self._at: Callable[..., None] | None = None if sockets else getattr(loop, "at", None)  # ``virtual``'s own
        self._directions: dict[tuple[str, str], Direction] = {}
        self._endpoints: dict[tuple[str, int], EmulatedTransport] = {}
        self._silent: set[str] = set()

    def start(self) -> None:
        """Let time begin now; nothing may have been sent yet."""
        self.epoch_s = self.loop.time()

    def now_s(self) -> float:
        """Return seconds since time began."""
        return self.loop.time() - self.epoch_s

    def add_host(self, name: str, address: str) -> Host:
        """Return a new host. With sockets, ``address`` must be one of this machine's loopback addresses."""
        return Host(name, address, self)

    def connect(self, source: Host, destination: Host, path: Path) -> Direction:
        """Let packets of ``source`` reach ``destination`` through ``path``."""
        direction = self._directions[source.name, destination.name] = Direction(path)
        self.laid += 1
        return direction

    def direction(self, source: Host, destination: Host) -> Direction:
        """Return the way from ``source`` to ``destination``."""
        return self._directions[source.name, destination.name]

    def create_endpoint(
        self,
        host: Host,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        *,
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[EmulatedTransport, asyncio.DatagramProtocol]:
        """Open a datagram endpoint of ``host``; its address is the network's to choose.

        Raises:
            MeasurementError: the machine refuses the socket.
        """
        del local_addr, remote_addr
        protocol = protocol_factory()
        kind = SocketTransport if self.sockets else EmulatedTransport
        transport = kind(self, host, protocol)
        self._endpoints[transport.address] = transport
        self.laid += 1
        protocol.connection_made(transport)
        return transport, protocol

    def carry(self, source: EmulatedTransport, data: bytes, address: tuple[str, int]) -> None:
        """Take a datagram from ``source``: it enters its path now, or when it is its turn."""
        destination = self._endpoints.get(address)
        if destination is None or source.host.name in self._silent:
            return  # nobody listens there: a real network would lose it too
        now_s = self.loop.time() - self.epoch_s
        if source.host.tap is not None:
            source.host.tap.sent(data, now_s)
        direction = self._directions.get((source.host.name, destination.host.name))
        if direction is None or destination.host.name in self._silent:
            return
        if direction.egress is None:
            self._enter(direction, source, destination, data, now_s)
        else:
            direction.egress.leave(data, lambda: self._enter(direction, source, destination, data, self.now_s()))

    def way(self, source: EmulatedTransport, address: tuple[Any, ...]) -> tuple[EmulatedTransport, Direction] | None:
        """Return who takes what ``source`` sends to ``address``, and by which way; None where nobody does."""
        destination = self._endpoints.get((address[0], address[1]))
        if destination is None or not self._silent.isdisjoint((source.host.name, destination.host.name)):
            return None
        direction = self._directions.get((source.host.name, destination.host.name))
        return None if direction is None or source.closed or destination.closed else (destination, direction)

    def _enter(
        self,
        direction: Direction,
        source: EmulatedTransport,
        destination: EmulatedTransport,
        data: bytes,
        now_s: float,
    ) -> None:
        """Seal the fate of a datagram, and schedule its delivery."""
        for arrival_s in direction.offer(wire_size(data), now_s).arrivals_s:
            due_s = direction.in_order(self.epoch_s + arrival_s)
            self.last_arrival_s = max(self.last_arrival_s, arrival_s)
            if self._at is not None and 127 < data[0] < 192:  # RTP and RTCP (RFC 7983 §7): most of what there is
                self._at(due_s, source.release, data, destination)
            else:
                self.loop.call_at(due_s, self._release, source, destination, data, due_s)

    def silence(self, host: Host) -> None:
        """Let the machine of ``host`` be off from now on: nothing leaves it, and nothing that comes is taken."""
        self._silent.add(host.name)
        self.laid += 1

    def forget(self, transport: EmulatedTransport) -> None:
        """Remove a closed endpoint."""
        self._endpoints.pop(transport.address, None)
        self.laid += 1

    def _release(self, source: EmulatedTransport, destination: EmulatedTransport, data: bytes, due_s: float) -> None:
        if self.sockets:
            self.lateness.samples_s.append(self.loop.time() - due_s)
        source.release(data, destination)


class EmulatedTransport(asyncio.DatagramTransport):
    """A datagram endpoint in memory."""

    def __init__(self, network: Network, host: Host, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self.network = network
        self.host = host
        self.protocol = protocol
        self.closed = False
        self.address = self._bind()

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send ``data`` to ``addr`` (host, port) through the path between the hosts."""
        if not self.closed and addr is not None:
            self.network.carry(self, bytes(data), (addr[0], addr[1]))

    def release(self, data: bytes, destination: EmulatedTransport) -> None:
        """Deliver ``data`` to ``destination`` now: it has passed the path."""
        destination.deliver(data, self.address)

    def deliver(self, data: bytes, address: tuple[str, int]) -> None:
        """Hand an arrived datagram to the protocol."""
        if self.closed:
            return
        if self.host.tap is not None:
            self.host.tap.received(data, self.network.now_s())
        self.protocol.datagram_received(data, address)

    def poll(self) -> None:
        """Hand over what has come and was not handed over yet: in memory, nothing."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the endpoint's address as ``sockname``; nothing else is known."""
        return self.address if name == "sockname" else default

    def is_closing(self) -> bool:
        """Return whether ``close`` was called."""
        return self.closed

    def close(self) -> None:
        """Close: what is still under way to this endpoint is lost."""
        if not self.closed:
            self.closed = True
            self.network.forget(self)
            self._unbind()
            self.network.loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    def _bind(self) -> tuple[str, int]:
        return self.host.address, self.host.take_port()

    def _unbind(self) -> None:
        pass


class SocketTransport(EmulatedTransport):
    """A datagram endpoint on a real UDP socket of this machine; the path stands before the socket."""

    _socket: socket.socket

    def release(self, data: bytes, destination: EmulatedTransport) -> None:
        """Send ``data`` over the real socket: it has passed the path.

        What has come at the other socket by then is read at once: the loop's next look at all sockets costs the time
        of a hop.
        """
        if self.send(data, destination.address):
            destination.poll()

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        """Send ``data`` over the real socket, to whosever it is that listens at ``address``; return whether it left."""
        if self.closed:
            return False
        try:
            self._socket.sendto(data, address)
        except BlockingIOError:
            return False  # a full socket buffer loses datagrams, as everywhere
        except OSError as error:
            self.protocol.error_received(error)
            return False
        return True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``sockname`` or the ``socket``."""
        return self._socket if name == "socket" else super().get_extra_info(name, default)

    def _bind(self) -> tuple[str, int]:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((self.host.address, 0))
        except OSError as error:
            self._socket.close()
            raise MeasurementError(
                f"cannot open a UDP socket on {self.host.address}: {error.strerror}",
                "free some ports or file descriptors",
            ) from error
        self.network.loop.add_reader(self._socket, self.poll)
        name = self._socket.getsockname()
        return name[0], name[1]

    def poll(self) -> None:
        """Hand over what has come, ``MOST_AT_ONCE`` at a time: the loop looks again where there is more."""
        for _ in range(MOST_AT_ONCE):
            if self.closed:
                return
            try:
                data, address = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError as error:
                self.protocol.error_received(error)
                return
            self.deliver(data, (address[0], address[1]))

    def _unbind(self) -> None:
        self.network.loop.remove_reader(self._socket)
        self._socket.close()


def nominal_s(path: Path) -> float:
    """Return the delay a path is asked to have: the median, or its fastest where the median is not known."""
    return _nominal_s(tuple(link.spec for link in path.links))


@cache
def _nominal_s(specs: tuple[LinkSpec, ...]) -> float:
    requested = Requested.of(specs)
    return requested.delay_p50_s if requested.delay_p50_s is not None else requested.delay_min_s or 0.0


def wire_size(data: bytes) -> int:
    """Return the size in bytes at which a path sees a datagram: IPv4 and UDP headers included (rules 2 and 4).

    A DTLS record (first byte 20..63, RFC 7983 §7) is rounded up to the grid: ECDSA signatures vary by a few bytes
    from run to run, which would move every later packet on a rate-limited link.
    """
    size = len(data)
    if size and 19 < data[0] < 64:
        size = -(-size // DTLS_GRID_BYTES) * DTLS_GRID_BYTES
    return size + IPV4_UDP_HEADER_BYTES
