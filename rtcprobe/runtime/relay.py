"""A UDP relay that does to anybody's packets what a link says: for clients that are not ours, such as a browser.

Facts:
    A client sends to the relay in place of the server, and the relay sends on from a socket of its own, one a client:
    the server tells clients apart by it, and answers to it. ICE puts up with that: to the server the client is a
    peer-reflexive candidate (RFC 8445 §7.3.1.3).

Rules:
    1. Every client has a link of its own, each way, seeded by the order in which clients came.
    2. A client silent for ``IDLE_S`` both ways is forgotten; what was done to its packets is not, for the
       ``MOST_REMEMBERED`` clients that left last. At most ``MOST_CLIENTS`` are served at a time; whoever comes beyond
       them is not, and is counted.
    3. After ``MOST_COUNTED`` packets a way nothing more is counted: what was is the sample, and memory has its bound.
       So has what is under way (``network.Room``): what comes beyond it is turned away, and counted.
    4. Sizes, corruption and order are those of ``network``.
    5. No flood keeps the loop from anything else: ``MOST_AT_ONCE`` datagrams are read, then timers get their turn.
    6. With ``shared`` all clients pass one link each way, as calls behind one line do; seeds and clocks are one, too.
    7. A datagram's TOS byte, or traffic class, is carried on (RFC 3168 §5); where a queue of the link marks a packet
       that says ECT, it comes out as CE. Two clocks never meet: a link's schedule begins with the relay.
"""

from __future__ import annotations

import asyncio
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.link import Achieved, Fate, Link, LinkSpec, Path, Requested, Tally
from rtcprobe.runtime.direction import Direction, Room, wire_size
from rtcprobe.runtime.endpoints import MOST_AT_ONCE
from rtcprobe.runtime.seconds import LATE_SECOND_S, Lateness, Ledger, Seconds
from rtcprobe.runtime.tos import Datagram, sender, tell_tos, tos_of

__all__ = ["SWEEP_S", "Flow", "Relay", "resolve_udp", "written"]

Address = tuple[str, int]

# A client that is silent for a minute has gone (RFC 4787 wants a NAT to wait for two); looked for four times in it.
# Clients, their former addresses and packets counted are bounded: anybody may send to the relay.
IDLE_S = 60.0
SWEEP_S = 15.0
MOST_CLIENTS = 256
MOST_REMEMBERED = 1024
MOST_COUNTED = 1_000_000
_ECN = 3
"""Both bits: CE (RFC 3168 §5)."""
# Room for the TOS byte that comes beside a datagram (recvmsg); the largest UDP payload; a socket's buffer that holds a
# burst of a video's key frames.
_ANCILLARY_BYTES = 64
_LARGEST_DATAGRAM = 65_535
_BUFFER_BYTES = 1 << 20


class _Way:
    """One direction of one client: its link, and what that did, counted as long as there is room (rule 3)."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.direction = Direction(path)
        self.seconds = Seconds(ledger)
        self.packets = 0
        self._counted = self.direction.tally

    def offer(self, size_bytes: int, now_s: float) -> Fate:
        """Seal the fate of one packet."""
        self.packets += 1
        if self.packets == MOST_COUNTED + 1:
            self.direction.tally = _NoTally()
        fate = self.direction.offer(size_bytes, now_s)
        self.seconds.add(size_bytes, fate, now_s)
        return fate

    def end(self) -> _Done:
        """Return what is left to say when no more packets come."""
        return _Done(self.requested(), self.achieved(), self.seconds)

    def requested(self) -> Requested:
        """Return what was asked of the link."""
        return self.direction.path.requested()

    def achieved(self) -> Achieved:
        """Return what it did to the packets counted."""
        return self._counted.achieved()


@dataclass(frozen=True, slots=True)
class _Done:
    """What a way said when its client was forgotten; the link and every packet's fate are gone."""

    asked: Requested
    did: Achieved
    seconds: Seconds

    def requested(self) -> Requested:
        """Return what was asked of the link."""
        return self.asked

    def achieved(self) -> Achieved:
        """Return what it did to the packets counted."""
        return self.did


class _NoTally(Tally):
    def add(self, offer_s: float, size_bytes: int, fate: Fate) -> None:
        """Count nothing."""


@dataclass(slots=True, eq=False)
class Flow:
    """One client: where it is, when it came (seconds since the relay began), and both ways of its link."""

    client: Address
    begun_s: float
    to_server: _Way | _Done
    to_client: _Way | _Done
    refused: int = 0
    """Datagrams that the server's machine sent back: nobody listened there."""
    unsendable: int = 0
    """Datagrams that this machine would not send."""
    last_s: float = 0.0


class Relay:
    """Relays until closed; what it did stays readable."""

    def __init__(
        self,
        *,
        listen: Address,
        to: Address | None,
        up: Sequence[LinkSpec],
        down: Sequence[LinkSpec],
        seed: int,
        shared: bool = False,
        late_s: float = LATE_SECOND_S,
    ) -> None:
        """Listen at ``listen`` (an IP address; port 0: any free one) and send on to ``to``, on the running loop.

        ``to`` is None where clients themselves say to whom (``turn_relay``). ``up`` are the hops towards the server,
        ``down`` those back; ``late_s`` how late a second may be at its p95.

        Raises:
            BadInputError: the address is not this machine's, or taken.
        """
        self.flows: list[Flow] = []
        """Every client so far, in the order they came."""
        self.forgotten = 0
        """Clients of whom nothing is known any more (rule 2)."""
        self.latenesses_s = array("d")
        """How late datagrams were let out, seconds."""
        self._loop = asyncio.get_running_loop()
        self._epoch_s = self._loop.time()
        self._to = to
        self.lateness = Lateness(late_s)
        self._up, self._down = tuple(up), tuple(down)
        self._seed = np.random.SeedSequence(seed)
        self._ledger = Ledger()
        self._paths = self._fresh_paths() if shared else None
        self._sockets: dict[Address, tuple[Flow, socket.socket]] = {}
        self._left: deque[Flow] = deque()
        self._room = Room()
        self._unserved = 0
        self._closed = False
        self._front = _listening(listen)
        self._loop.add_reader(self._front, self._from_clients)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    @property
    def address(self) -> Address:
        """Where it listens."""
        name = self._front.getsockname()
        return name[0], name[1]

    @property
    def turned_away(self) -> int:
        """Datagrams that found no room: their client none (rule 2), or they themselves (rule 3)."""
        return self._unserved + self._room.turned_away

    def now_s(self) -> float:
        """Return seconds since the relay began."""
        return self._loop.time() - self._epoch_s

    def close(self) -> None:
        """Stop; what is under way is lost."""
        if self._closed:
            return
        self._closed = True
        self._sweeper.cancel()
        for client in list(self._sockets):
            self._forget(client)
        self._loop.remove_reader(self._front)
        self._front.close()

    def _from_clients(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if self._closed:
                return
            try:
                data, ancillary, _, address = self._front.recvmsg(_LARGEST_DATAGRAM, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # what a client's machine refused is told here, and is no fault of the relay
            self._heard((address[0], address[1]), (data, tos_of(ancillary)))

    def _heard(self, client: Address, datagram: Datagram) -> None:
        """Take what a client sent."""
        flow, back = self._sockets.get(client) or self._welcome(client)
        if flow is not None and back is not None:
            self._send_on(flow, datagram, sender(back))

    def _send_on(self, flow: Flow, datagram: Datagram, send: Callable[[Datagram], object]) -> None:
        flow.last_s = self.now_s()
        self._carry(flow, flow.to_server, datagram, send)

    def _welcome(self, client: Address) -> tuple[Flow, socket.socket] | tuple[None, None]:
        if len(self._sockets) >= MOST_CLIENTS:
            self._unserved += 1
            return None, None
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        if self._to is not None:
            family = socket.AF_INET6 if ":" in self._to[0] else socket.AF_INET
        back = socket.socket(family, socket.SOCK_DGRAM)
        try:
            back.setblocking(False)
            back.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            tell_tos(back)
            if self._to is None:
                back.bind((self.address[0], 0))
            else:
                # So that strangers' datagrams are the kernel's to drop, and it tells when nobody listens
                # there.
                back.connect(self._to)
        except OSError:
            back.close()
            self._unserved += 1
            return None, None
        up, down = self._paths or self._fresh_paths()
        flow = Flow(client, self.now_s(), _Way(up, self._ledger), _Way(down, self._ledger))
        self.flows.append(flow)
        self._sockets[client] = flow, back
        self._loop.add_reader(back, self._from_server, flow, back)
        return flow, back

    def _fresh_paths(self) -> tuple[Path, Path]:
        """Return links of their own, each way."""
        # A ``SeedSequence`` counts its children: the n-th client has the n-th (rule 1).
        up_seed, down_seed = self._seed.spawn(1)[0].spawn(2)
        return _path(self._up, up_seed), _path(self._down, down_seed)

    def _from_server(self, flow: Flow, back: socket.socket) -> None:
        for _ in range(MOST_AT_ONCE):
            if self._closed:
                return
            try:
                data, ancillary, _, peer = back.recvmsg(_LARGEST_DATAGRAM, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                flow.refused += 1
                continue
            except OSError:
                return
            self._send_back(flow, (data, tos_of(ancillary)), peer)

    def _send_back(self, flow: Flow, datagram: Datagram, _peer: Address | None) -> None:
        """Let what came back have its way to its client."""
        flow.last_s = self.now_s()
        self._carry(flow, flow.to_client, datagram, sender(self._front, flow.client))

    def _carry(self, flow: Flow, way: _Way | _Done, datagram: Datagram, send: Callable[[Datagram], object]) -> None:
        """Let one datagram pass a way; ``send`` is called as each copy comes out."""
        data, tos = datagram
        # A client may be forgotten while something of it is read.
        if isinstance(way, _Done) or self._room.turns_away():
            return
        fate = way.offer(wire_size(data), self.now_s())
        if fate.marked and tos & _ECN:
            datagram = (data, tos | _ECN)
        for arrival_s in fate.arrivals_s:
            due_s = way.direction.in_order(self._epoch_s + arrival_s)
            self._room.enter(len(data))
            self._loop.call_at(due_s, self._release, due_s, flow, datagram, send)

    def _release(self, due_s: float, flow: Flow, datagram: Datagram, send: Callable[[Datagram], object]) -> None:
        self._room.leave(len(datagram[0]))
        if self._closed:
            return
        late_s = self._loop.time() - due_s
        self.lateness.add(late_s, self.now_s())
        if len(self.latenesses_s) < MOST_COUNTED:
            self.latenesses_s.append(late_s)
        try:
            send(datagram)
        except BlockingIOError:
            pass  # a full socket buffer loses datagrams, as everywhere
        except ConnectionRefusedError:
            flow.refused += 1
        except OSError:
            flow.unsendable += 1

    def _sweep(self) -> None:
        now_s = self.now_s()
        for client, (flow, _) in list(self._sockets.items()):
            if now_s - flow.last_s > IDLE_S:
                self._forget(client)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _forget(self, client: Address) -> None:
        flow, back = self._sockets.pop(client)
        self._loop.remove_reader(back)
        # What is still under way to the server goes nowhere: the socket is gone.
        back.close()
        if self._closed:
            return  # it is reported on as it stands
        assert isinstance(flow.to_server, _Way)
        assert isinstance(flow.to_client, _Way)
        flow.to_server, flow.to_client = flow.to_server.end(), flow.to_client.end()
        self._left.append(flow)
        if len(self._left) > MOST_REMEMBERED:
            self.flows.remove(self._left.popleft())
            self.forgotten += 1


def _path(specs: Sequence[LinkSpec], seed: np.random.SeedSequence) -> Path:
    return Path([Link(spec, child) for spec, child in zip(specs, seed.spawn(len(specs)), strict=True)])


def resolve_udp(text: str, what: str) -> Address:
    """Return the IP address and port that ``HOST:PORT`` names.

    Raises:
        BadInputError: it names none.
    """
    host, colon, port = text.strip().rpartition(":")
    host = host.strip("[]")
    if not colon or not host:
        raise BadInputError(f"{what} {text!r} is not HOST:PORT", "write it like 127.0.0.1:5000 or [::1]:5000")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise BadInputError(f"{what} {text!r} has no port", "write it like 127.0.0.1:5000")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise BadInputError(f"{what}: the name {host!r} does not resolve", "check it, or write an address") from None
    return str(found[0][4][0]), int(port)


def _listening(address: Address) -> socket.socket:
    front = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        front.setblocking(False)
        front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        tell_tos(front)
        front.bind(address)
    except OSError as error:
        front.close()
        cure = "take another port, or 0 for any free one" if address[1] else "give an address of this machine"
        raise BadInputError(f"cannot listen at {written(address)}, {error.strerror}", cure) from None
    return front


def written(address: Address) -> str:
    """Return an address as people write it."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
