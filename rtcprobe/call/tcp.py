"""A TCP connection over emulated paths, as far as a join feels it: handshake, segments, acknowledgements, timers.

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
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from rtcprobe.runtime.network import Direction, Network
from rtcprobe.timeline import Side, Wait

__all__ = ["TcpConnection"]

SEGMENT_BYTES = 1448
HEADER_BYTES = 52  # IPv4 20 + TCP 20 + timestamp option 12
INITIAL_WINDOW = 10
INITIAL_RTO_S = 1.0
MIN_RTO_S = 0.200
MAX_RTO_S = 60.0
DUPLICATE_ACKS = 3


@dataclass(slots=True)
class _Segment:
    size_bytes: int
    what: str
    last_of: asyncio.Future[None] | None
    sent_s: list[float] = field(default_factory=list)
    arrived_copy_s: float | None = None
    """When the copy that arrived first was sent."""


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

    async def connect(self) -> None:
        """Shake hands: returns at the client when the SYN-ACK has come."""
        connected = self._network.loop.create_future()
        timeout_s = INITIAL_RTO_S

        def syn_ack(sent_s: float) -> None:
            if not connected.done():
                self._round_trip.sample(self._network.now_s() - sent_s)
                self._syn.arrived_copy_s = sent_s
                connected.set_result(None)

        while not connected.done():
            sent_s = self._network.now_s()
            self._syn.sent_s.append(sent_s)
            answer = functools.partial(_transmit, self._network, self._down, 0, syn_ack, sent_s)
            _transmit(self._network, self._up, 0, answer)
            await asyncio.wait([connected], timeout=timeout_s)
            timeout_s = min(2 * timeout_s, MAX_RTO_S)

    async def send(self, size_bytes: int, what: str, *, from_server: bool = False) -> None:
        """Send a message of ``size_bytes``; returns when its last byte has been delivered at the other end."""
        await (self._server if from_server else self._client).send(size_bytes, what)

    def close(self) -> None:
        """Stop all timers."""
        self._client.close()
        self._server.close()

    def waits(self) -> list[Wait]:
        """Return every retransmission so far as the wait that ended with it, in no particular order.

        One is needed until a copy arrives: what the sender knows of that does not hold the join up.
        """
        segments = [self._syn, *self._client.segments, *self._server.segments]
        return [
            Wait(
                timer="signaling",
                side=self._side,
                what=segment.what,
                from_s=before_s,
                at_s=again_s,
                needed=segment.arrived_copy_s is None or again_s <= segment.arrived_copy_s,
            )
            for segment in segments
            for before_s, again_s in pairwise(segment.sent_s)
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

    async def send(self, size_bytes: int, what: str) -> None:
        delivered: asyncio.Future[None] = self._network.loop.create_future()
        sizes = [SEGMENT_BYTES] * (size_bytes // SEGMENT_BYTES)
        if size_bytes % SEGMENT_BYTES or not sizes:
            sizes.append(size_bytes % SEGMENT_BYTES)
        self.segments += [_Segment(size, what, None) for size in sizes]
        self.segments[-1].last_of = delivered
        self._fill_window()
        await delivered

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fill_window(self) -> None:
        while self._unsent < len(self.segments) and self._unsent - self._unacknowledged < self._window:
            self._transmit(self._unsent)
            self._unsent += 1
        if self._timer is None and self._unacknowledged < self._unsent:
            self._restart_timer()

    def _transmit(self, index: int) -> None:
        segment = self.segments[index]
        sent_s = self._network.now_s()
        segment.sent_s.append(sent_s)
        came = 0 if self.other is None else self.other.expected
        _transmit(self._network, self._forward, segment.size_bytes, self._arrive, index, sent_s, came)

    def _arrive(self, index: int, sent_s: float, came: int) -> None:
        if self.other is not None:
            self.other.advance(came)
        self._received.add(index)
        if self.segments[index].arrived_copy_s is None:
            self.segments[index].arrived_copy_s = sent_s
        while self.expected in self._received:
            delivered = self.segments[self.expected].last_of
            if delivered is not None and not delivered.done():
                delivered.set_result(None)
            self.expected += 1
        _transmit(self._network, self._backward, 0, self._acknowledge, self.expected, sent_s)

    def _acknowledge(self, expected: int, sent_s: float) -> None:
        self._round_trip.sample(self._network.now_s() - sent_s)
        if expected == self._unacknowledged < self._unsent:
            self._duplicates += 1
            if self._duplicates == DUPLICATE_ACKS:
                self._transmit(self._unacknowledged)
        self.advance(expected)

    def advance(self, expected: int) -> None:
        """Take note that everything before segment ``expected`` has arrived."""
        if expected <= self._unacknowledged:
            return
        self._window += expected - self._unacknowledged
        self._unacknowledged = expected
        self._duplicates = 0
        self._backoff = 1
        self.close()
        if self._unacknowledged < self._recover_until:
            self._transmit(self._unacknowledged)  # the rest of the flight that timed out, without another timeout
        if self._unacknowledged < self._unsent:
            self._restart_timer()
        self._fill_window()

    def _restart_timer(self) -> None:
        self.close()
        delay_s = min(self._round_trip.rto_s * self._backoff, MAX_RTO_S)
        self._timer = self._network.loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._window = 1
        self._recover_until = self._unsent
        self._backoff *= 2
        self._transmit(self._unacknowledged)
        self._restart_timer()


def _transmit(
    network: Network, direction: Direction, size_bytes: int, arrive: Callable[..., object], *args: object
) -> None:
    """Offer one TCP packet to ``direction`` and call ``arrive`` when a copy of it arrives."""
    fate = direction.offer(size_bytes + HEADER_BYTES, network.now_s())
    for arrival_s in fate.arrivals_s:
        network.loop.call_at(network.epoch_s + arrival_s, arrive, *args)
