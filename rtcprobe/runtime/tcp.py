"""A TCP connection over emulated paths, as far as a join feels it: handshake, segments, acknowledgements, timers.

Both ways of signalling ride on it: messages that are sizes alone (``call.signaling``), and the bytes of a real
connection (``streams``).

Facts:
    Signalling rides on TCP, so a lost segment of an offer costs a retransmission timeout, and a lost SYN a second.
    What matters for a join of a few kilobytes is the initial window, the timers, and order; not the long run of
    congestion control.

Rules:
    1. Initial window 10 segments (RFC 6928), 1,448 bytes each (1,500 less headers and the timestamp option).
    2. RTO = SRTT + max(4 · RTTVAR, floor), at first 1 s, doubling on expiry (RFC 6298 §2, §5); every
       acknowledgement gives a sample, thanks to timestamps (RFC 7323 §4). The floor is Linux's 200 ms, not the
       RFC's 1 s, because that is what servers and phones run.
    3. After a timeout the first unacknowledged segment goes alone and the window grows from one by one an
       acknowledgement (RFC 5681 §3.1); three duplicate acknowledgements resend it at once (§3.2).
    4. Receivers acknowledge every segment at once and deliver in order; data acknowledges what came the other way
       (RFC 9293 §3.4). No tail loss probes (RFC 8985).
    5. What follows from a packet's arrival leaves at the instant at which that was due, not at which the real loop came
       round to it: on the real clock, no work of a peer's on this machine delays a server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.network import Network
from rtcprobe.timeline import Side, Wait

__all__ = ["SEGMENT_BYTES", "TcpConnection", "ask", "carry", "resends"]

SEGMENT_BYTES = 1448  # what a 1,500-byte Ethernet frame leaves beside the headers below
HEADER_BYTES = 52  # IPv4 20 + TCP 20 + timestamp option 12
INITIAL_WINDOW = 10  # segments; RFC 6928 §2
INITIAL_RTO_S = 1.0  # before the first sample; RFC 6298 §2.1
MIN_RTO_S = 0.200  # Linux's floor, TCP_RTO_MIN in include/net/tcp.h; RFC 6298 §2.4 would have a second
MAX_RTO_S = 60.0  # the least an upper bound may be; RFC 6298 §2.5
DUPLICATE_ACKS = 3  # RFC 5681 §3.2: fewer would take reordering for loss


@dataclass(slots=True)
class _Segment:
    size_bytes: int
    what: str
    delivered: Callable[[], object] | None
    """Called once, when everything up to the end of this segment is there."""
    sent_s: list[float] = field(default_factory=list)
    arrived_copy_s: float | None = None
    """When the copy that arrived first was sent."""


_ARRIVED = _Segment(0, "", None, arrived_copy_s=0.0)
"""Stands for every segment that arrived at its first copy."""


class TcpConnection:
    """A connection between a client and a server; ``up`` carries the client's packets, ``down`` the server's.

    ``open_round_trip_s`` is the round trip that a connection already open knows; None for one still to be made.
    """

    def __init__(
        self, network: Network, up: Direction, down: Direction, *, side: Side, open_round_trip_s: float | None = None
    ) -> None:
        self._network = network
        self._side = side
        self._round_trip = _RoundTrip(open_round_trip_s)
        self._client = _Sender(network, up, down, self._round_trip)
        self._server = _Sender(network, down, up, self._round_trip)
        self._client.other, self._server.other = self._server, self._client
        self._up, self._down = up, down
        self._syn = _Segment(0, "TCP SYN", None)

    async def connect(self, accept: Callable[[], Awaitable[None]] | None = None) -> None:
        """Shake hands: returns at the client when the SYN-ACK has come.

        ``accept`` is what the server does before it answers; what it raises is raised here, when a RST has come.
        """
        sent_s = self._syn.sent_s
        answered_s = await ask(
            self._network,
            self._up,
            self._down,
            sizes_bytes=(HEADER_BYTES, HEADER_BYTES),
            timeouts_s=_doubling(INITIAL_RTO_S),
            sent_s=sent_s,
            serve=accept,
        )
        self._round_trip.sample(self._network.now_s() - answered_s)
        self._syn.arrived_copy_s = answered_s

    async def send(self, size_bytes: int, what: str, *, from_server: bool = False) -> None:
        """Send a message of ``size_bytes``; returns when its last byte has been delivered at the other end."""
        there = asyncio.Event()
        self.post(size_bytes, what, there.set, from_server=from_server)
        await there.wait()

    def post(self, size_bytes: int, what: str, delivered: Callable[[], object], *, from_server: bool = False) -> None:
        """Send a message of ``size_bytes``; ``delivered`` is called at once when its last byte has come."""
        sizes = [SEGMENT_BYTES] * (size_bytes // SEGMENT_BYTES)
        # A message of nothing is a segment, too: somebody waits for it to be delivered.
        if size_bytes % SEGMENT_BYTES or not sizes:
            sizes.append(size_bytes % SEGMENT_BYTES)
        (self._server if from_server else self._client).push(sizes, what, delivered)

    def push(
        self, size_bytes: int, what: str, delivered: Callable[[], object] | None, *, from_server: bool = False
    ) -> None:
        """Send at most a segment; ``delivered`` is called when its turn has come at the other end."""
        (self._server if from_server else self._client).push([size_bytes], what, delivered)

    def close(self) -> None:
        """Stop all timers, for good."""
        self._client.stop()
        self._server.stop()

    def waits(self) -> list[Wait]:
        """Return every retransmission so far as the wait that ended with it, in no particular order.

        One is needed until a copy arrives: what the sender knows of that does not hold the join up.
        """
        segments = [self._syn, *self._client.segments, *self._server.segments]
        return [
            wait
            for segment in segments
            for wait in resends(self._side, segment.what, segment.sent_s, segment.arrived_copy_s)
        ]


class _RoundTrip:
    """The retransmission timeout from round-trip samples. Source: RFC 6298 §2."""

    def __init__(self, known_s: float | None) -> None:
        self.rto_s = INITIAL_RTO_S if known_s is None else min(known_s + MIN_RTO_S, MAX_RTO_S)
        self._smoothed_s = known_s
        self._variation_s = 0.0

    def sample(self, round_trip_s: float) -> None:
        if self._smoothed_s is None:
            self._smoothed_s, self._variation_s = round_trip_s, round_trip_s / 2
        else:
            # The variation first: it is of the sample against what was expected before it came (RFC 6298 §2.3).
            self._variation_s += (abs(self._smoothed_s - round_trip_s) - self._variation_s) / 4
            self._smoothed_s += (round_trip_s - self._smoothed_s) / 8
        self.rto_s = min(self._smoothed_s + max(4 * self._variation_s, MIN_RTO_S), MAX_RTO_S)


class _Sender:
    """One direction of the byte stream: segments out by ``forward``, acknowledgements back by ``backward``."""

    def __init__(self, network: Network, forward: Direction, backward: Direction, round_trip: _RoundTrip) -> None:
        self.segments: list[_Segment] = []
        self.other: _Sender | None = None
        """The sender at the other end, whose segments ours acknowledge."""
        self._network = network
        self._forward, self._backward = forward, backward
        self._round_trip = round_trip
        self._window = INITIAL_WINDOW
        self._unacknowledged = 0  # first segment not acknowledged
        self._unsent = 0  # first segment never sent
        self._received: set[int] = set()
        self.expected = 0  # the receiver's next segment in order
        self._duplicates = 0
        self._recover_until = 0  # what had been sent when the last timeout struck
        self._backoff = 1
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def push(self, sizes_bytes: Sequence[int], what: str, delivered: Callable[[], object] | None) -> None:
        self.segments += [_Segment(size_bytes, what, None) for size_bytes in sizes_bytes]
        self.segments[-1].delivered = delivered
        self._fill_window()

    def stop(self) -> None:
        self._stopped = True
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fill_window(self) -> None:
        while self._unsent < len(self.segments) and self._unsent - self._unacknowledged < self._window:
            self._transmit(self._unsent)
            self._unsent += 1
        # One timer for the oldest unacknowledged one; sending more does not put it off (RFC 6298, section 5.1).
        if self._timer is None and self._unacknowledged < self._unsent:
            self._restart_timer()

    def _transmit(self, index: int) -> None:
        segment = self.segments[index]
        sent_s = _instant_s(self._network)
        segment.sent_s.append(sent_s)
        came = 0 if self.other is None else self.other.expected
        size_bytes = segment.size_bytes + HEADER_BYTES
        carry(self._network, self._forward, size_bytes, self._arrive, index, sent_s, came)

    def _arrive(self, index: int, sent_s: float, came: int) -> None:
        if self.other is not None:
            self.other.advance(came)
        if index >= self.expected:  # else a copy of what was delivered: it is acknowledged again, and that is all
            self._received.add(index)
        # Which copy came first tells which resends were needed.
        if self.segments[index].arrived_copy_s is None:
            self.segments[index].arrived_copy_s = sent_s
        complete: list[Callable[[], object]] = []
        while self.expected in self._received:
            self._received.remove(self.expected)
            segment = self.segments[self.expected]
            if segment.delivered is not None:
                complete.append(segment.delivered)
                segment.delivered = None
            self.expected += 1
        # Acknowledged before it is handed up: an answer that is given at once leaves behind the acknowledgement.
        carry(self._network, self._backward, HEADER_BYTES, self._acknowledge, self.expected, sent_s)
        for delivered in complete:
            delivered()

    def _acknowledge(self, expected: int, sent_s: float) -> None:
        # Timed by the copy that was acknowledged (the timestamp option), so Karn's rule is not needed (RFC 7323,
        # section 4).
        self._round_trip.sample(_instant_s(self._network) - sent_s)
        if expected == self._unacknowledged < self._unsent:  # nothing new, though something is under way
            self._duplicates += 1
            # Once: the ones after the third tell of the same hole.
            if self._duplicates == DUPLICATE_ACKS:
                self._transmit(self._unacknowledged)
        self.advance(expected)

    def advance(self, expected: int) -> None:
        """Take note that everything before segment ``expected`` has arrived."""
        if expected <= self._unacknowledged:
            return
        # By what was acknowledged, not by one an acknowledgement: an acknowledgement that was lost is made up for (RFC
        # 3465).
        self._window += expected - self._unacknowledged  # slow start: a join is over before congestion avoidance
        for index in range(self._unacknowledged, expected):
            if len(self.segments[index].sent_s) == 1:  # it tells of no retransmission: hours of media ride on TURN
                self.segments[index] = _ARRIVED
        self._unacknowledged = expected
        self._duplicates = 0
        self._backoff = 1
        self._stop_timer()
        if self._unacknowledged < self._recover_until:
            self._transmit(self._unacknowledged)  # the rest of the flight that timed out, without another timeout
        if self._unacknowledged < self._unsent:
            self._restart_timer()
        self._fill_window()

    def _restart_timer(self) -> None:
        self._stop_timer()
        if self._stopped:
            return
        delay_s = min(self._round_trip.rto_s * self._backoff, MAX_RTO_S)
        self._timer = self._network.loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._window = 1  # RFC 5681 §3.1: after a timeout the loss window is one segment
        self._recover_until = self._unsent
        self._backoff *= 2
        self._transmit(self._unacknowledged)
        self._restart_timer()


async def ask(
    network: Network,
    up: Direction,
    down: Direction,
    *,
    sizes_bytes: tuple[int, int],
    timeouts_s: Iterable[float],
    sent_s: list[float],
    serve: Callable[[], Awaitable[None]] | None = None,
) -> float:
    """Send a question (IP packet) until its answer comes; return when the copy that was answered had been sent.

    ``sizes_bytes`` are those of question and answer, ``timeouts_s`` how long each copy is waited for, and ``sent_s``
    takes the instants of all copies. ``serve`` is done at the other end, once, before anything is answered; what it
    raises is raised here after the way back.

    Raises:
        TimeoutError: all timeouts passed.
    """
    asked = _Asked(network, down, sizes_bytes[1], serve)
    try:
        for timeout_s in timeouts_s:
            now_s = network.now_s()
            sent_s.append(now_s)
            carry(network, up, sizes_bytes[0], asked.at_server, now_s)
            await asyncio.wait([asked.answered], timeout=timeout_s)
            if asked.answered.done():
                return asked.answered.result()
        raise TimeoutError
    finally:
        asked.close()


class _Asked:
    """A question that may arrive several times, is served once, and answered as often as it came."""

    def __init__(
        self, network: Network, down: Direction, answer_bytes: int, serve: Callable[[], Awaitable[None]] | None
    ) -> None:
        self.answered: asyncio.Future[float] = network.loop.create_future()
        self._network, self._down, self._answer_bytes = network, down, answer_bytes
        self._serve = serve
        self._serving: asyncio.Future[None] | None = None

    def close(self) -> None:
        self.answered.cancel()
        if self._serving is not None:
            self._serving.cancel()

    def at_server(self, copy_s: float) -> None:
        if self._serve is None or (self._serving is not None and self._serving.done()):
            carry(self._network, self._down, self._answer_bytes, self._at_client, copy_s)
        # The first copy to arrive is served; the others wait for the same end.
        elif self._serving is None:
            self._serving = asyncio.ensure_future(self._serve())
            self._serving.add_done_callback(lambda task: self._served(task, copy_s))

    def _served(self, task: asyncio.Future[None], copy_s: float) -> None:
        if not task.cancelled():
            task.exception()  # looked at in any case: the client may have gone
            self.at_server(copy_s)

    def _at_client(self, copy_s: float) -> None:
        error = None if self._serving is None else self._serving.exception()
        if self.answered.done():
            return
        if error is None:
            self.answered.set_result(copy_s)
        else:
            self.answered.set_exception(error)


def carry(
    network: Network, direction: Direction, size_bytes: int, arrive: Callable[..., object], *args: object
) -> None:
    """Offer one IP packet to ``direction`` and call ``arrive`` whenever a copy of it arrives."""
    fate = direction.offer(size_bytes, _instant_s(network))
    for arrival_s in fate.arrivals_s:
        due_s = network.epoch_s + arrival_s
        network.loop.call_at(due_s, _release, network, due_s, arrive, *args)


def resends(side: Side, what: str, sent_s: Sequence[float], arrived_copy_s: float | None) -> list[Wait]:
    """Return the waits between the copies of one packet; those after the copy that arrived were not needed."""
    return [
        Wait(
            timer="signaling",
            side=side,
            what=what,
            from_s=before_s,
            at_s=again_s,
            needed=arrived_copy_s is None or again_s <= arrived_copy_s,
        )
        for before_s, again_s in pairwise(sent_s)
    ]


def _release(network: Network, due_s: float, arrive: Callable[..., object], *args: object) -> None:
    # On the virtual clock a timer fires at its instant: there is no lateness to measure.
    if not network.sockets:
        arrive(*args)
        return
    network.lateness.samples_s.append(network.loop.time() - due_s)
    network.arrival_s = due_s - network.epoch_s
    try:
        arrive(*args)
    finally:
        network.arrival_s = None


def _instant_s(network: Network) -> float:
    """Return the instant of what is being done: when the packet that caused it was due, or now (rule 5)."""
    return network.now_s() if network.arrival_s is None else network.arrival_s


def _doubling(timeout_s: float) -> Iterator[float]:
    while True:
        yield timeout_s
        timeout_s = min(2 * timeout_s, MAX_RTO_S)
