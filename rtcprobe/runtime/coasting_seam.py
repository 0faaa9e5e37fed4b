"""The part of the seam that coasts: packets of sound in virtual time, many in a row, while nothing else happens.

Known to hold for aiortc 1.16; ``tests/call/test_coasting.py`` says so: a call that coasts is, datagram by
datagram, the call that does not.

Facts:
    In a call of sound all that happens between two timers of aiortc's (its reports, a second apart, and ICE's checks of
    consent, five) is that packets leave and come, fifty a second and way. Nobody wakes for one: it is counted and
    noted. So nobody can tell whether the loop turned for each of them, or once for all of them before the next timer.

Theory of operation:
    Each frame that leaves by a timer of its own asks whether the next ones may coast (``board``): then the next timer
    is that of a frame some way on, and the loop (``VirtualEventLoop.coasts``) lets the coast ``run`` before it goes on
    to whatever is next. A run makes the packets due until then, seals them, offers them to the path at the instants
    they leave, and opens and notes at their instants those that arrive by then; later ones wait for the next run. The
    clock reads each instant meanwhile, and goes back when the run of another way begins: nobody looks in between.

Rules:
    1. Nothing is left out: the packets are those that would have left, through SRTP, path, taps and statistics.
    2. A coast has its path to itself but for what leaves by timers, and those are waited for: so fates are drawn in the
       order of time.
    3. It runs only while every packet is merely noted. Before each run that is asked again (``holds``), for whatever
       happened since may have changed it: a call that ends, a path that is tapped, a receiver that asks again.
    4. The last frame never coasts: who waits for the end is woken by it.
    5. Instants closer than the clock's step, a nanosecond, are one to the loop: of one way here, too. Of two ways they
       are not, but no two mouths begin as close (``Mouth.phase_s`` is drawn).
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from aiortc import RTCRtpSender
from aiortc.rtcdtlstransport import State

from rtcprobe.runtime.aiortc_seam import attribute, ntp_time
from rtcprobe.runtime.direction import IPV4_UDP_HEADER_BYTES, Direction
from rtcprobe.runtime.endpoints import EmulatedTransport
from rtcprobe.runtime.express_seam import Lane, Note, Taker, lane_before
from rtcprobe.runtime.srtp_seam import nominated_pair, sealing
from rtcprobe.runtime.virtual import EPOCH_S, VirtualEventLoop
from rtcprobe.runtime.wiretap import WireTap

if TYPE_CHECKING:
    from rtcprobe.runtime.sending_seam import EncodedFrame, Paced

__all__ = ["Coast"]

_AGAIN_FRAMES: Final = 16
"""So many frames leave by timers before it is asked again whether they may coast; to ask costs half a frame."""

_LEAST_A_RUN: Final = 2.0
"""Packets a run, in the mean, for which runs are worth it: one costs what a packet or two save (7 µs, and 5 each).
Beside a picture, whose packets leave by timers, most runs are of one."""


class Sending(Protocol):
    """What makes the packets of one track (``sending_seam``)."""

    payload_type: int

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        ...

    def packet(self, payload: bytes, frame: EncodedFrame, *, marker: bool) -> bytes:
        """Return the next packet."""
        ...

    def sent(self, frame: EncodedFrame, packets: int, octets: int, ntp: int) -> None:
        """Note what has left, ``frame`` at ``ntp``."""
        ...

    def go_on(self) -> None:
        """Set the timer of the next frame."""
        ...

    def fail(self, error: Exception) -> None:
        """End."""
        ...


class _Route(NamedTuple):
    """Where the packets of one source go: all that one needs on its way, as long as it is as it is."""

    pair: Any
    source: EmulatedTransport
    destination: EmulatedTransport
    laid: int
    """What ``Network.laid`` was."""
    direction: Direction
    tap: WireTap
    far_tap: WireTap
    lane: Lane
    taker: Taker
    note: Note


class Coast:
    """The packets of one sender that need no turn of the loop each (``virtual.Coasting``)."""

    def __init__(self, sending: Sending, sender: RTCRtpSender, track: Paced, loop: VirtualEventLoop) -> None:
        self._sending, self._sender, self._track, self._loop = sending, sender, track, loop
        self._dtls = sender.transport
        for owner, name in ((sender, "_enabled"), (self._dtls, "_state")):  # read before each run, without asking
            attribute(owner, name)
        self._ssrc: int = attribute(sender, "_ssrc")
        self._pair = nominated_pair(self._dtls)
        self._route: _Route | None = None
        self._due_s = self._until_s = math.inf
        """When the next frame is due, and from when on frames leave by timers again."""
        self._under_way: deque[tuple[float, bytes]] = deque()
        """When they are due at the far side, and the datagrams, by instant."""
        self._wait = self._runs = self._packets = 0
        self._last: EncodedFrame | None = None
        """Of those that left in this run; with it how many packets, and octets of payload, left by when."""
        self._new, self._octets, self._left_s = 0, 0, 0.0

    def board(self, due_s: float) -> float | None:
        """Let the frames from the one due at ``due_s`` on coast; return when the first is due that does not.

        None where they cannot, or it is not worth it.
        """
        self._due_s = math.inf
        if self._wait:
            self._wait -= 1
            return None
        self._wait = _AGAIN_FRAMES
        until_s = self._track.ahead_s() if self._packets >= self._runs * _LEAST_A_RUN else None
        if until_s is None or not due_s < until_s:
            return None
        route, before = self._found(), self._route
        # What is under way goes where it was sent: first it has to come, or to get off.
        if route is None or (self._under_way and route != before):
            return None
        if route != before:
            if before is not None:
                before.direction.coast = None
            self._route = route
            self._depart, self._arrive = self._departing(route), _arriving(self._loop, route)
        self._due_s, self._until_s, self._wait, self._runs, self._packets = due_s, until_s, 0, 0, 0
        route.direction.coast = self
        if self not in self._loop.coasts:
            self._loop.coasts.append(self)
        return until_s

    @property
    def next_s(self) -> float:
        """The loop's time of what comes next; infinity where nothing does."""
        due_s = self._due_s if self._due_s < self._until_s else math.inf
        return min(due_s, self._under_way[0][0]) if self._under_way else due_s

    def holds(self) -> bool:
        """Whether all is as it was when it boarded (rule 3), and there is something to come."""
        route, dtls = self._route, self._dtls
        if route is None or self.next_s == math.inf or route.source.network.laid != route.laid:
            return False
        if self._pair() is not route.pair or dtls._state is not State.CONNECTED or not self._sender._enabled:  # noqa: SLF001
            return False
        if self._sending.over or route.direction.watched or (route.tap.numbers or route.far_tap.numbers) is not None:
            return False
        taker = route.lane.taker(self._ssrc, self._sending.payload_type)
        return taker is route.taker and taker.notes() == route.note

    def get_off(self) -> None:
        """Let what is under way, and what is to leave, go by timers again."""
        self.let_go(math.inf)
        route = self._route
        assert route is not None
        self._loop.coasts.remove(self)
        self._route = route.direction.coast = None
        if self._due_s < math.inf:
            self._wait = _AGAIN_FRAMES
            self._sending.go_on()

    def let_go(self, before_s: float) -> None:
        """Let what is under way and due before ``before_s`` come by timers.

        Their fates are sealed: they come when they would have, by the network's own way.
        """
        route, under_way = self._route, self._under_way
        assert route is not None
        while under_way and under_way[0][0] < before_s:
            due_s, data = under_way.popleft()
            self._loop.at(due_s, route.source.release, data, route.destination)

    def run(self, until_s: float) -> None:
        """Let happen what is due before ``until_s``: packets leave and come, by instant."""
        depart, under_way, loop = self._depart, self._under_way, self._loop
        turn_to, resolution_s, upcoming_s = loop.turn_to, loop.resolution_s, self._track.upcoming_s
        due_s, leaves_until_s = self._due_s, min(until_s, self._until_s)
        clock_s = loop.time()
        together_s = clock_s + resolution_s  # what is due before belongs to this instant, as in the loop
        came: list[tuple[float, bytes]] = []
        failed: Exception | None = None
        self._runs += 1
        while failed is None:
            leaves = due_s < leaves_until_s
            at_s = under_way[0][0] if under_way else math.inf
            if leaves and due_s < at_s:
                if due_s >= together_s:
                    clock_s = turn_to(due_s)
                    together_s = clock_s + resolution_s
                # Of one instant all that is due is taken before any of it happens: what leaves is not among it.
                while at_s < together_s and at_s < until_s:
                    came.append((clock_s, under_way.popleft()[1]))
                    at_s = under_way[0][0] if under_way else math.inf
                try:
                    depart(clock_s)
                    upcoming = upcoming_s()
                    due_s = math.inf if upcoming is None else upcoming
                except Exception as error:  # noqa: BLE001 - whoever waits for the end is told, at this instant
                    failed, due_s = error, math.inf
                if under_way and under_way[0][0] < together_s:  # no time on its way: its instant comes after this one
                    together_s = -math.inf
            elif at_s < until_s:
                if at_s >= together_s:
                    clock_s = turn_to(at_s)
                    together_s = clock_s + resolution_s
                came.append((clock_s, under_way.popleft()[1]))
            else:
                break
        self._due_s = due_s
        # Nobody looks before the run is over, so packets may be opened one after the other: each knows its instant.
        if came:
            self._arrive(came)
        self._report()
        if failed is not None:
            self._sending.fail(failed)

    def _report(self) -> None:
        """Tell the sender's reports what left in a run."""
        if self._last is not None:
            frame, packets, octets, left_s = self._last, self._new, self._octets, self._left_s
            self._sending.sent(frame, packets, octets, ntp_time(left_s))
            self._packets += packets
            self._last, self._new, self._octets = None, 0, 0

    def _departing(self, route: _Route) -> Callable[[float], None]:
        """Return what lets the next frame leave at an instant of the clock."""
        network, direction = route.source.network, route.direction
        take, packet, left, epoch_s = self._track.take, self._sending.packet, route.tap.left, network.epoch_s
        enter, in_order, under_way, seal = direction.enter, direction.in_order, self._under_way, sealing(self._dtls)

        def depart(clock_s: float) -> None:
            frame, now_s = take(), clock_s - epoch_s
            payloads = frame.payloads
            for place, payload in enumerate(payloads, 1 - len(payloads)):
                data = seal(packet(payload, frame, marker=not place))
                left(data, now_s)
                for arrival_s in enter(len(data) + IPV4_UDP_HEADER_BYTES, now_s).arrivals_s:
                    network.last_arrival_s = max(network.last_arrival_s, arrival_s)
                    came_s = in_order(epoch_s + arrival_s)
                    # On a link that keeps no order, or a copy with a delay of its own.
                    if under_way and came_s < under_way[-1][0]:
                        insort(under_way, (came_s, data), key=_instant)
                    else:
                        under_way.append((came_s, data))
                self._octets += len(payload)
                self._new += 1
                self._last, self._left_s = frame, clock_s

        return depart

    def _found(self) -> _Route | None:
        """Return where packets go; None where more comes of one than that it is noted there."""
        pair = self._pair()
        if pair is None or self._sending.over or self._dtls._state is not State.CONNECTED:  # noqa: SLF001
            return None
        source = pair.protocol.transport
        # Behind a TURN server, or on a real socket, a datagram takes another way.
        if type(source) is not EmulatedTransport or not self._sender._enabled:  # noqa: SLF001
            return None
        way = source.network.way(source, pair.remote_addr)
        if way is None:
            return None
        destination, direction = way
        tap, far = source.host.tap, destination.host.tap
        lane = lane_before(destination.protocol)
        taker = None if lane is None else lane.taker(self._ssrc, self._sending.payload_type)
        note = None if taker is None else taker.notes()
        if not (isinstance(tap, WireTap) and isinstance(far, WireTap)) or lane is None or taker is None or note is None:
            return None
        # Transport-wide feedback goes by when each packet came, and is sent by it.
        numbered = tap.numbers is not None or far.numbers is not None
        if numbered or direction.watched or direction.coast not in (None, self):
            return None
        return _Route(pair, source, destination, source.network.laid, direction, tap, far, lane, taker, note)


def _arriving(loop: VirtualEventLoop, route: _Route) -> Callable[[list[tuple[float, bytes]]], None]:
    """Return what lets datagrams come, each at an instant of the clock."""
    opened, note, count, epoch_s = route.lane.opened, route.note, route.taker.counts, route.source.network.epoch_s

    def arrive(comes: list[tuple[float, bytes]]) -> None:
        counted = []
        for clock_s, data in comes:
            try:
                came = opened(data)
                if came is not None:
                    number, timestamp, _, kind, payload = came[:5]
                    note(clock_s - epoch_s, number, timestamp, payload, kind)
                    counted.append((EPOCH_S + clock_s, number, timestamp))
            except Exception as error:  # noqa: BLE001 - as a timer does
                loop.call_exception_handler({"message": f"Exception in callback {note!r}", "exception": error})
        count(counted)

    return arrive


def _instant(comes: tuple[float, bytes]) -> float:
    return comes[0]
