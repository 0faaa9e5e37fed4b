"""A host of ours among hosts that are not: its real UDP sockets talk to anybody, through the emulated link both ways.

Facts:
    - A socket bound to one address of the machine reaches what that address reaches: 127.0.0.1 this machine alone, an
      interface's address the rest. aioice leaves loopback addresses out, and some servers (Janus) leave them out too.
    - A name given to a socket is looked up while the whole program waits.

Rules:
    1. What a host sends passes its ``up`` path, then the socket; what the socket receives passes its ``down`` path,
       then reaches the stack. The rest of the way, the network to the server and the server itself, is the real one.
    2. Both paths are the host's access line: every socket shares them, and so do its TCP connections
       (``stream_up``, ``stream_down``: the same paths, counted apart).
    3. The candidates of a call are the addresses from which its server is reached; when that is this machine, all of
       its own and 127.0.0.1.
    4. What was sent before an endpoint was closed still leaves: a goodbye takes as long as anything else.
    5. Sizes, corruption and order are those of ``network``. A datagram to a name, a port of 0, or an address of another
       family is not sent, and counted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import ifaddr

from rtcprobe.errors import MeasurementError
from rtcprobe.link import Path
from rtcprobe.runtime.direction import Direction, Room, wire_size
from rtcprobe.runtime.edge import Edge
from rtcprobe.runtime.endpoints import MOST_AT_ONCE, EmulatedTransport
from rtcprobe.runtime.network import Host, Network

__all__ = ["OutsideHost", "OutsideNetwork", "all_addresses", "local_addresses"]

LOG: Final = logging.getLogger("rtcprobe")

_SOCKET_BUFFER_BYTES = 1 << 20
_HAIR_S = 1e-4
"""So much later than the last packet the socket goes: timers of one instant come in no order."""
# The most that UDP's field of 16 bits can say (RFC 768): a read of fewer would cut a datagram off without a
# word.
_LARGEST_DATAGRAM = 65_535


@dataclass(slots=True, eq=False, kw_only=True)
class OutsideHost(Host):
    """One client of ours and its access line; ``candidates`` are the local addresses its sockets may have."""

    up: Direction
    down: Direction
    stream_up: Direction
    stream_down: Direction
    candidates: Sequence[str] = ()
    unsendable: int = 0
    """Datagrams that no socket could send: addressed to a name, to nowhere, or refused by the machine."""
    unreadable: int = 0
    """Datagrams that the stack could not read: dropped."""
    open: list[OutsideTransport] = field(default_factory=list)
    edge: Edge | None = None
    """Notes when media really left and came, where somebody asks for it."""

    def addresses(self) -> list[str]:
        """Return the local addresses from which candidates are gathered."""
        return list(self.candidates)

    def beside(self) -> OutsideHost:
        """Return the same machine behind the same access line for another connection: with a tap of its own."""
        other = OutsideHost(
            self.name,
            self.address,
            self.network,
            up=self.up,
            down=self.down,
            stream_up=self.stream_up,
            stream_down=self.stream_down,
            candidates=self.candidates,
        )
        if isinstance(self.network, OutsideNetwork):
            self.network.hosts.append(other)
        return other


class OutsideNetwork(Network):
    """Hosts of ours on real sockets, each behind an access line of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, sockets=True)
        self.hosts: list[OutsideHost] = []
        self.room = Room()
        """For what is on the lines: a server that sends without end does not fill this machine's memory."""
        self.late: Callable[[float, float], None] | None = None
        """Told how late each packet came out of a line, and when, where somebody asks for it."""
        self.draining: set[OutsideTransport] = set()
        """Closed endpoints from which something has yet to leave."""

    def add_outside_host(self, name: str, candidates: Sequence[str], *, up: Path, down: Path) -> OutsideHost:
        """Return a host of ours whose packets leave through ``up`` and arrive through ``down``."""
        host = OutsideHost(
            name,
            candidates[0] if candidates else "0.0.0.0",  # noqa: S104 - any address of ours
            self,
            up=Direction(up),
            down=Direction(down),
            stream_up=Direction(up),
            stream_down=Direction(down),
            candidates=tuple(candidates),
        )
        self.hosts.append(host)
        return host

    def create_endpoint(
        self,
        host: Host,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        *,
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[EmulatedTransport, asyncio.DatagramProtocol]:
        """Open a UDP socket of ``host`` at ``local_addr``; with ``remote_addr``, datagrams without an address go there.

        Raises:
            OSError: the machine refuses the socket.
        """
        assert isinstance(host, OutsideHost)
        protocol = protocol_factory()
        transport = OutsideTransport(self, host, protocol, local_addr, remote_addr)
        host.open.append(transport)
        protocol.connection_made(transport)
        return transport, protocol

    def forget(self, transport: EmulatedTransport) -> None:
        """Remove a closed endpoint."""
        host = transport.host
        if isinstance(host, OutsideHost) and transport in host.open:
            host.open.remove(transport)

    @property
    def pauses(self) -> bool:
        """Whether a line of a host is asked to stand still, or to change, at times of its own."""
        links = (link for host in self.hosts for way in (host.up, host.down) for link in way.path.links)
        return any(link.spec.outages or link.spec.schedule for link in links)

    def close(self) -> None:
        """Close every socket still open."""
        for host in self.hosts:
            for transport in list(host.open):
                transport.close()
        for transport in list(self.draining):
            transport.shut()

    async def drained(self, limit_s: float) -> None:
        """Wait until what closed endpoints had sent has left, ``limit_s`` at most."""
        if self.draining:
            left_s = max(each.sent_until_s for each in self.draining) - self.loop.time()
            await asyncio.sleep(min(max(left_s, 0.0) + _HAIR_S, limit_s))

    def deliver(
        self,
        direction: Direction,
        size_bytes: int,
        act: Callable[..., None],
        *args: object,
        came_s: float | None = None,
    ) -> float:
        """Let one packet pass ``direction``; ``act`` is called as each copy comes out, at once on a bare path.

        ``came_s`` is when it was there, where that is better known than that it is now; never before the one before it.
        Return when the last copy comes out, in the loop's time; -inf where none is on its way.
        """
        bare = not direction.path.links
        # Before the link is asked: what finds no room here was never offered to it, and is none of its
        # losses.
        if not bare and self.room.turns_away():
            return -math.inf
        fate = direction.offer(size_bytes, self.now_s() if came_s is None else came_s)
        last_s = -math.inf
        for arrival_s in fate.arrivals_s:
            self.last_arrival_s = max(self.last_arrival_s, arrival_s)
            if bare:
                act(*args)
            else:
                due_s = direction.in_order(self.epoch_s + arrival_s)
                self.room.enter(size_bytes)
                self.loop.call_at(due_s, self._let_out, due_s, size_bytes, act, *args)
                last_s = max(last_s, due_s)
        return last_s

    def _let_out(self, due_s: float, size_bytes: int, act: Callable[..., None], *args: object) -> None:
        self.room.leave(size_bytes)
        late_s = self.loop.time() - due_s
        self.lateness.samples_s.append(late_s)
        if self.late is not None:
            self.late(late_s, due_s - self.epoch_s)
        # While it is handed over its instant is the one that the link said: how late this loop is belongs to
        # no delay.
        self.arrival_s = due_s - self.epoch_s
        try:
            act(*args)
        finally:
            self.arrival_s = None


class OutsideTransport(EmulatedTransport):
    """A datagram endpoint on a real UDP socket that talks to anybody (rule 1)."""

    network: OutsideNetwork
    host: OutsideHost
    _socket: socket.socket

    def __init__(
        self,
        network: OutsideNetwork,
        host: OutsideHost,
        protocol: asyncio.DatagramProtocol,
        local_addr: tuple[str, int] | None,
        remote_addr: tuple[str, int] | None,
    ) -> None:
        self._local_addr = local_addr
        self._remote_addr = None if remote_addr is None else (_resolved(remote_addr[0]), remote_addr[1])
        self.sent_until_s = -math.inf
        """When the last of what was sent comes out of the up path, in the loop's time."""
        super().__init__(network, host, protocol)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send ``data`` to ``addr`` (host, port) through the host's up path."""
        to = self._sendable(addr)
        if self.closed:
            return
        if to is None:
            self.host.unsendable += 1
            return
        data = bytes(data)
        if self.host.tap is not None:
            self.host.tap.sent(data, self.network.now_s())
        self.sent_until_s = max(
            self.sent_until_s, self.network.deliver(self.host.up, wire_size(data), self._put, data, to)
        )

    def deliver(self, data: bytes, address: tuple[str, int]) -> None:
        """Hand an arrived datagram to the protocol; what that cannot read is dropped: anybody may send us anything."""
        try:
            super().deliver(data, address)
        except Exception as error:
            LOG.debug("a datagram of %s was not read: %s", address, error, exc_info=error)
            self.host.unreadable += 1

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``sockname``, ``peername`` or the ``socket``."""
        if name == "socket":
            return self._socket
        return self._remote_addr or default if name == "peername" else super().get_extra_info(name, default)

    def _sendable(self, addr: Any) -> tuple[str, int] | None:
        if addr is None:
            return self._remote_addr
        host, port = str(addr[0]), int(addr[1])
        try:
            family = ipaddress.ip_address(host.partition("%")[0]).version
        except ValueError:
            return None
        ours = 6 if self._socket.family == socket.AF_INET6 else 4
        return (host, port) if family == ours and 0 < port < 1 << 16 else None

    def _put(self, data: bytes, to: tuple[str, int]) -> None:
        if self._socket.fileno() < 0:
            return
        if self.host.edge is not None:
            self.host.edge.leaves(data, self.network.now_s())
        try:
            self._socket.sendto(data, to)
        except BlockingIOError:
            pass  # a full socket buffer loses datagrams, as everywhere
        except OSError as error:
            self.host.unsendable += 1
            self.protocol.error_received(error)

    def _bind(self) -> tuple[str, int]:
        local = self._local_addr or self._towards()
        family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
            self._socket.bind(local)
        except OSError:
            self._socket.close()
            raise
        self.network.loop.add_reader(self._socket, self._read)
        name = self._socket.getsockname()
        return name[0], name[1]

    def _towards(self) -> tuple[str, int]:
        """Return the local address from which ``remote_addr`` is reached."""
        if self._remote_addr is None:
            return self.host.address, 0
        return (_source_of(self._remote_addr[0]) or self.host.address), 0

    def _read(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if self.closed:
                return
            try:
                data, address = self._socket.recvfrom(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue  # Windows reports that nobody listens where we sent to
            except OSError as error:
                self.protocol.error_received(error)
                return
            if self._remote_addr is not None and (address[0], address[1]) != self._remote_addr:
                continue  # a connected socket hears its peer alone
            if data:
                if self.host.edge is not None:
                    self.host.edge.comes(data, self.network.now_s())
                self.network.deliver(self.host.down, wire_size(data), self.deliver, data, (address[0], address[1]))

    def _unbind(self) -> None:
        """Hear no more; the socket stays until the last that was sent has left."""
        loop = self.network.loop
        loop.remove_reader(self._socket)
        if self.sent_until_s <= loop.time():
            self._socket.close()
            return
        self.network.draining.add(self)
        loop.call_at(self.sent_until_s + _HAIR_S, self.shut)

    def shut(self) -> None:
        """Give the socket back, whatever is still on its way to it."""
        self.network.draining.discard(self)
        self._socket.close()


def local_addresses(targets: Iterable[str]) -> list[str]:
    """Return the addresses of this machine from which ``targets`` (IP addresses) are reached (rule 3).

    Raises:
        MeasurementError: this machine has no way to any of them.
    """
    targets = list(targets)
    own = all_addresses()
    found: list[str] = []
    for target in targets:
        source = _source_of(target)
        if source is None:
            continue
        here = ipaddress.ip_address(target.partition("%")[0]).is_loopback or target in own
        # A server on this machine may listen for media on any of its addresses.
        found += own if here else [source]
    if not found:
        shown = ", ".join(targets) or "nowhere"
        raise MeasurementError(f"this machine has no way to {shown}", "connect it to that network first")
    return list(dict.fromkeys(found))


def all_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine: those of its interfaces, then 127.0.0.1."""
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return [*(each for each in found if not ipaddress.ip_address(each).is_loopback), "127.0.0.1"]


def _source_of(target: str) -> str | None:
    """Return the address the machine would send from; nothing is sent. None where there is no way."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Of UDP this chooses a way and sends nothing; 9 is discard (RFC 863), as good as any.
            probe.connect((target, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _resolved(host: str) -> str:
    """Return ``host`` as an IP address: what comes here was looked up before.

    Raises:
        OSError: it is a name.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise OSError(f"{host} is a name: look it up first") from None
