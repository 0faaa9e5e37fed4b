"""Hosts and the paths between them: every datagram passes a path on its way, in memory or over real UDP sockets.

Facts:
    aiortc and aioice reach the network through ``loop.create_datagram_endpoint`` alone. Both loops of this package
    hand that call here whenever it is made on behalf of a ``Host`` (the context variable ``HOST``), so the stack
    above runs unmodified.

Rule: a path seals a datagram's fate when it is sent (``direction``); this module only schedules the delivery
(``endpoints``).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from rtcprobe.link import Path
from rtcprobe.runtime.direction import Direction, wire_size
from rtcprobe.runtime.endpoints import EmulatedTransport, SocketTransport

__all__ = ["HOST", "Host", "Lateness", "Network", "Tap", "acting_as"]

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
