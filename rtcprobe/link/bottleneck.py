"""The queue before the line: a packet waits its turn, is sent at the rate, or finds the queue full.

Facts:
    A hop behind one that reorders is offered packets out of time order. Those already sealed cannot be moved, so a
    latecomer takes the first idle stretch they left that is long enough; failing that it goes to the end. So
    capacity is never used twice, and a packet that overtook others keeps its lead through the next line.

Rules:
    1. One packet is sent at a time, in the order offered. What is being sent counts as waiting.
    2. A scheduled change of rate is met by those who wait as well, for it is known when they are sealed (see
       ``ahead.py``). Whether there is room is judged at the rate in force: a queue does not know its future.
    3. A full queue drops before its AQM is asked. A latecomer that fits an idle stretch passes the AQM unseen, for
       nobody waited there; behind a token bucket there are no stretches, so it goes to the end.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from rtcprobe.errors import BadInputError
from rtcprobe.link.ahead import Ahead
from rtcprobe.link.aqm import Controller, Ecn, Turn
from rtcprobe.link.bucket import TokenBucket
from rtcprobe.link.spec import DEFAULT_LIMIT, OPPORTUNITY_BYTES, CapacityTrace, Interval, Limit, Rate

__all__ = ["Bottleneck"]

_IDLE_STRETCHES: Final = 256
"""How many past idle stretches a latecomer may still use: at 50 packets a second, five seconds of hindsight."""

_PATIENCE: Final = 100_000
"""How many instants in a row may fall into handovers before we say that all do."""


class Bottleneck:
    """The queue and line of one hop; ``leave`` seals one packet.

    ``start_s`` is when handovers and capacity traces count from, ``begin_s`` (no later) when the first packet may come.
    After ``leave``, ``marked`` says whether the packet got a CE mark, and if it was dropped ``cause`` says why.
    """

    def __init__(self, handovers: Sequence[Interval], start_s: float, begin_s: float | None = None) -> None:
        begin_s = start_s if begin_s is None else begin_s
        self.marked = False
        self.cause = "queue"
        self._handovers = tuple(handovers)
        self._start_s = start_s
        self._line: _Line | _Opportunities = _Line(None)
        self._rate: Rate | CapacityTrace | None = None
        self._bucket: TokenBucket | None = None
        self._aqm: Controller | None = None
        # Of all packets so far, with those of the cross traffic: an AQM's target may not be less than it
        # takes to send.
        self._largest_bytes = 0
        self._limit = DEFAULT_LIMIT
        self._waiting: deque[tuple[float, int]] = deque()  # (departure, bytes), those yet to leave
        self._waiting_bytes = 0
        self._busy_until_s = begin_s
        self._latest_s = begin_s
        self._idle: deque[tuple[float, float]] = deque(maxlen=_IDLE_STRETCHES)

    def configure(
        self, rate: Rate | CapacityTrace | None, limit: Limit | None, ahead: Ahead | None = None, now_s: float = 0.0
    ) -> None:
        """Set what holds for packets offered from ``now_s`` on; ``ahead`` tells the rates that will follow."""
        # A new line takes over what waits: it is busy until the old one would have been done with all of it.
        if isinstance(rate, CapacityTrace):
            self._line = _Opportunities(rate, self._start_s, self._busy_until_s, self._held)
        else:
            self._line = _Line(rate, ahead, now_s)
        if not isinstance(rate, Rate) or not rate.bucket_bytes:
            self._bucket = None
        # The same bucket goes on as full as it is: only another rate or depth begins with a full one.
        elif rate != self._rate:
            self._bucket = TokenBucket(rate.bps, rate.bucket_bytes)
        self._rate = rate
        self._limit = limit or DEFAULT_LIMIT

    @property
    def busy_until_s(self) -> float:
        """When all will have left that has come so far."""
        return self._busy_until_s

    def manage(self, aqm: Controller | None) -> None:
        """Let ``aqm`` manage the queue from now on."""
        self._aqm = aqm

    def leave(self, size_bytes: int, now_s: float, ecn: Ecn = "none") -> float | None:
        """Return when a packet offered at ``now_s`` has left the line; None when it is dropped."""
        self.marked = False
        # An earlier hop reordered: this one comes after packets that are sealed already.
        if now_s < self._latest_s:
            gap_end = self._in_a_gap(size_bytes, now_s)
            if gap_end is not None:
                return gap_end
        self._latest_s = max(self._latest_s, now_s)
        waiting = self._waiting
        # Departures rise, so whoever has left by now stands in front.
        while waiting and waiting[0][0] <= now_s:
            self._waiting_bytes -= waiting.popleft()[1]
        busy = self._busy_until_s
        start = max(now_s, busy)
        if self._handovers:
            start = self._held(start)
        if self._bucket is not None:
            start = self._held(self._bucket.ready_s(self._length_bytes(size_bytes), start))
        # Rule 3: the limit refuses at the door, the AQM judges those who stand in the queue.
        if self._full(size_bytes, self._line.wait_s(now_s, start)):
            self.cause = "queue"
            return None
        if self._aqm is not None and not self._may_pass(self._aqm, size_bytes, now_s, start, ecn):
            self.cause = "aqm"
            return None
        if self._bucket is not None:
            self._bucket.take(self._length_bytes(size_bytes), start)
        finish = self._line.finish(start, size_bytes, now_s)
        # The stretch that nobody used, for those who come late (Facts).
        if start > busy:
            self._idle.append((busy, start))
        self._busy_until_s = finish
        # On a line that sends in no time nothing waits, and a queue of nothing is not remembered.
        if finish > now_s:
            waiting.append((finish, size_bytes))
            self._waiting_bytes += size_bytes
        return finish

    def _may_pass(self, aqm: Controller, size_bytes: int, now_s: float, start_s: float, ecn: Ecn) -> bool:
        """Ask the AQM; what it drops in its turn has stood in the queue until then."""
        self._largest_bytes = max(self._largest_bytes, size_bytes)
        taken_s = self._line.taken_s(start_s, now_s)
        largest_s = self._rate.seconds(self._largest_bytes) if self._rate is not None else 0.0
        free_s = self._busy_until_s
        if self._bucket is not None:  # nothing is being sent, but tokens are missing
            free_s = max(free_s, self._bucket.ready_s(self._length_bytes(size_bytes), free_s))
        verdict = aqm.judge(Turn(now_s, taken_s, free_s, largest_s, ecn))
        self.marked = verdict == "mark"
        # It takes room in the queue until its turn, though none of the line's time.
        if verdict == "drop" and aqm.waits and taken_s > now_s:
            self._waiting.append((taken_s, size_bytes))
            self._waiting_bytes += size_bytes
        return verdict != "drop"

    def _length_bytes(self, size_bytes: int) -> int:
        return self._rate.length_bytes(size_bytes) if isinstance(self._rate, Rate) else size_bytes

    def _full(self, size_bytes: int, wait_s: float) -> bool:
        limit = self._limit
        # What is being sent counts (rule 1): it stands in ``waiting`` until it has left.
        # Exactly one of the three is given (``Limit``); by time a packet is refused that would wait longer,
        # by bytes one that would not fit whole.
        if limit.packets is not None:
            return len(self._waiting) >= limit.packets
        if limit.size_bytes is not None:
            return self._waiting_bytes + size_bytes > limit.size_bytes
        return limit.wait_s is not None and wait_s > limit.wait_s

    def _held(self, start_s: float) -> float:
        moved = True
        while moved:  # one handover may end inside another
            moved = False
            for interval in self._handovers:
                end = interval.end_after(start_s - self._start_s)
                if end is not None and self._start_s + end > start_s:
                    start_s = self._start_s + end
                    moved = True
        return start_s

    def _in_a_gap(self, size_bytes: int, now_s: float) -> float | None:
        # Tokens and recorded instants that were not used are gone: nothing is left to come late to.
        if isinstance(self._line, _Opportunities) or self._bucket is not None:
            return None
        for index, (begun, ended) in enumerate(self._idle):
            start = max(begun, now_s)
            # Stretches are sealed by both ends: a latecomer may shorten one, never lengthen it.
            if start >= ended:
                continue
            start = self._held(start)
            finish = self._line.finish(start, size_bytes, now_s)
            if finish <= ended:
                self._idle[index] = (begun, start)
                # What the latecomer leaves of the stretch is one of its own; with a full list it is given up, as the
                # oldest are.
                if finish < ended and len(self._idle) < _IDLE_STRETCHES:
                    self._idle.insert(index + 1, (finish, ended))
                return finish
        return None


class _Line:
    """A line of constant rate; one that sends in no time with None, or with a bucket, where it is tokens that wait."""

    def __init__(self, rate: Rate | None, ahead: Ahead | None = None, now_s: float = 0.0) -> None:
        self._rate = rate if rate is not None and not rate.bucket_bytes else None
        self._known: dict[int, float] = {}  # audio comes in a handful of sizes
        self._ahead = ahead if rate is None or not rate.bucket_bytes else None
        self._change_s, self._next = self._ahead(now_s) if self._ahead else (math.inf, None)
        self._cursor = (self._rate, self._change_s, self._next)  # the phase at the end of the queue

    def taken_s(self, start_s: float, offered_s: float) -> float:
        del offered_s
        return start_s

    def wait_s(self, now_s: float, start_s: float) -> float:
        """Return how long until ``start_s`` as it looks at ``now_s``, were the rate to stay as it is."""
        if start_s <= self._change_s or self._rate is None:
            return start_s - now_s
        wait_s, at_s, rate, change_s, following = 0.0, now_s, self._rate, self._change_s, self._next
        # Bits that wait are what a queue knows; each phase's seconds are turned into those bits, and back at today's
        # rate.
        while at_s < start_s:
            until_s = min(start_s, change_s)
            wait_s += (until_s - at_s) * rate.bps / self._rate.bps
            at_s = until_s
            if following is None or self._ahead is None:
                break  # nothing waits on a line that sends in no time
            rate = following
            change_s, following = self._ahead(at_s)
        return wait_s

    def finish(self, start_s: float, size_bytes: int, offered_s: float) -> float:
        del offered_s
        if start_s >= self._change_s:
            return self._across(start_s, size_bytes)
        if self._rate is None:
            return start_s
        # Kept by size because it is asked with every packet and takes a division and, with cells, a rounding.
        seconds = self._known.get(size_bytes)
        if seconds is None:
            seconds = self._known[size_bytes] = self._rate.seconds(size_bytes)
        finish_s = start_s + seconds
        return finish_s if finish_s <= self._change_s else self._across(start_s, size_bytes)

    def _across(self, start_s: float, size_bytes: int) -> float:
        """Return when a packet is sent that meets other rates than that in force."""
        assert self._ahead is not None
        rate, change_s, following = self._cursor
        left = 1.0
        while True:
            if start_s < change_s:
                seconds = left * rate.seconds(size_bytes) if rate is not None else 0.0
                if start_s + seconds <= change_s:
                    self._cursor = (rate, change_s, following)
                    return start_s + seconds
                # The share of the packet still to be sent when the rate changes; ``left`` stays 1 on a line that sends
                # in no time.
                left -= left * (change_s - start_s) / seconds
                start_s = change_s
            rate = following
            change_s, following = self._ahead(change_s)


class _Opportunities:
    """A line that may send 1,500 bytes at each recorded instant; an instant nobody waits for is wasted.

    A packet may span instants, and several may share one: bytes are counted, as ``mm-link`` does.
    """

    def __init__(
        self, trace: CapacityTrace, start_s: float, busy_until_s: float, held: Callable[[float], float]
    ) -> None:
        self._instants = trace.opportunities_s
        self._round_s = trace.opportunities_s[-1]
        self._start_s = start_s
        self._busy_until_s = busy_until_s  # with packets of the line before this one
        self._held = held
        # Counted over all rounds; cross traffic may come before the start, in rounds below the first.
        self._next = min(0, math.floor((busy_until_s - start_s) / self._round_s)) * len(self._instants)
        self._left_bytes = OPPORTUNITY_BYTES

    def taken_s(self, start_s: float, offered_s: float) -> float:
        """Return the first instant that a packet may use; passing over those nobody used changes nothing."""
        del start_s  # an instant may be shared with the packet before, so being busy is no bar
        after_s = max(offered_s, self._busy_until_s)
        whole_rounds = int((after_s - self._start_s) // self._round_s) - 1
        # A round short of it, so that the search below still begins before the instant wanted.
        if whole_rounds * len(self._instants) > self._next:  # long silence: skip rounds, not instants one by one
            self._next, self._left_bytes = whole_rounds * len(self._instants), OPPORTUNITY_BYTES
        instant_s = self._instant_s()
        # Strictly after: an instant is over for who comes at it.
        while instant_s <= after_s or self._held(instant_s) > instant_s:
            instant_s = self._advance()
        return instant_s

    def wait_s(self, now_s: float, start_s: float) -> float:
        return start_s - now_s

    def finish(self, start_s: float, size_bytes: int, offered_s: float) -> float:
        instant_s = self.taken_s(start_s, offered_s)
        # Over as many instants as it takes: it has left with the last of them, whose rest the next packet may
        # share.
        while size_bytes > self._left_bytes:
            size_bytes -= self._left_bytes
            instant_s = self._advance()
        self._left_bytes -= size_bytes
        return instant_s

    def _instant_s(self) -> float:
        rounds, place = divmod(self._next, len(self._instants))
        return self._start_s + rounds * self._round_s + self._instants[place]

    def _advance(self) -> float:
        self._left_bytes = OPPORTUNITY_BYTES
        # Handovers that come back with the trace's own period may cover every instant of it; nothing would
        # ever leave.
        for _ in range(_PATIENCE):
            self._next += 1
            instant_s = self._instant_s()
            if self._held(instant_s) == instant_s:
                return instant_s
        raise BadInputError("handovers cover every instant of the capacity trace", "make them shorter or rarer")
