"""When packets arrived, against when they were spoken: the lateness of each beside the fastest of two seconds.

Facts:
    NetEQ keeps the arrivals of the last 2,000 ms of *RTP* time. The fastest in-order packet of that window is its
    idea of "no queueing at all"; every delay is counted from it. Arrivals are stamped with the playout's tick
    counter, so a delay is a multiple of 10 ms plus whatever the timestamps add.

Rules:
    1. Each of the four terms of a delay is floored to milliseconds on its own, before they are subtracted.
    2. A packet that is not the newest is remembered, but never becomes the fastest or the slowest.
    3. A packet whose time is already covered (a redundant copy, a retransmission of something heard) is refused.

Source: ``packet_arrival_history.cc``, ``kPacketHistorySizeMs`` in ``decision_logic.cc``
(``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

__all__ = ["SAMPLES_PER_MS", "TICK_MS", "WINDOW_SAMPLES", "ArrivalHistory"]

SAMPLES_PER_MS = 48
"""RTP clock of Opus, in its handiest unit. Source: RFC 7587 §4.1."""

TICK_MS = 10
"""One pull of audio. Source: ``kOutputSizeMs`` in ``neteq_impl.h``."""

WINDOW_SAMPLES = 2_000 * SAMPLES_PER_MS
"""How much RTP time is remembered."""


class ArrivalHistory:
    """Arrivals of the last two seconds; timestamps are unwrapped samples, instants are tick counts."""

    __slots__ = ("_ends", "_fastest", "_slowest", "_timestamps", "fast_ms", "known", "max_delay_ms", "newest_ms")

    def __init__(self) -> None:
        self._timestamps: list[int] = []
        self._ends: list[int] = []
        # Monotonic queues, front the extreme of the window: (arrival less timestamp in samples, and in ms, timestamp).
        self._fastest: deque[tuple[int, int, int]] = deque()
        self._slowest: deque[tuple[int, int, int]] = deque()
        self.fast_ms = 0
        """When the fastest in-order packet of the window came, less its timestamp; both floored to milliseconds."""
        self.max_delay_ms = 0
        """Lateness of the slowest in-order packet of the window."""
        self.known = False
        """Whether any packet came yet."""

        self.newest_ms = 0
        """Lateness of the packet that was the newest when it arrived."""

    def __len__(self) -> int:
        return len(self._timestamps)

    def reset(self) -> None:
        """Forget everything."""
        self._timestamps.clear()
        self._ends.clear()
        self._fastest.clear()
        self._slowest.clear()
        self.max_delay_ms = 0
        self.known = False

    def foreseen(self, fast_ms: int, max_delay_ms: int) -> None:
        """Take what somebody else found out who knows all packets."""
        self.fast_ms, self.max_delay_ms, self.known = fast_ms, max_delay_ms, True

    def follow(self, timestamp: int, samples: int, tick: int) -> bool:
        """Remember a packet that begins where the newest one ends, or later; return whether it is such a one."""
        timestamps, ends = self._timestamps, self._ends
        if not ends or timestamp < ends[-1] or timestamp == timestamps[-1] or samples <= 0:
            return False
        timestamps.append(timestamp)
        ends.append(timestamp + samples)
        self._follow_extremes(timestamp, tick)
        return True

    def insert(self, timestamp: int, samples: int, tick: int) -> bool:
        """Remember a packet of ``samples`` that arrived at ``tick``; return whether it told anything new."""
        timestamps, ends = self._timestamps, self._ends
        if timestamps:
            newest = timestamps[-1]
            if timestamp + WINDOW_SAMPLES < newest:
                return False
            at = len(timestamps) if timestamp >= newest else bisect_right(timestamps, timestamp)
            # Rule 3: wholly covered by what begins before it, or with it.
            if at and ends[at - 1] >= timestamp + samples:
                return False
            if at and timestamps[at - 1] == timestamp:
                return True  # known, yet longer than known: news, but the first packet of a timestamp stays
            if at < len(timestamps):
                timestamps.insert(at, timestamp)
                ends.insert(at, timestamp + samples)
                return True
        timestamps.append(timestamp)
        ends.append(timestamp + samples)
        self._follow_extremes(timestamp, tick)
        return True

    def is_newest(self, timestamp: int) -> bool:
        """Return whether no later timestamp is known."""
        return not self._timestamps or timestamp == self._timestamps[-1]

    def delay_ms(self, timestamp: int, tick: int) -> int:
        """Return how late ``timestamp`` is at ``tick`` beside the fastest packet; never negative, 0 when empty."""
        if not self.known:
            return 0
        late = tick * TICK_MS - timestamp // SAMPLES_PER_MS - self.fast_ms
        return max(0, late)

    def _follow_extremes(self, timestamp: int, tick: int) -> None:
        oldest = timestamp - WINDOW_SAMPLES
        timestamps, ends = self._timestamps, self._ends
        while timestamps[0] < oldest:
            del timestamps[0], ends[0]
        fastest, slowest = self._fastest, self._slowest
        while fastest and fastest[0][2] < oldest:
            fastest.popleft()
        while slowest and slowest[0][2] < oldest:
            slowest.popleft()
        ticked_ms = tick * TICK_MS
        lateness, at_ms = ticked_ms * SAMPLES_PER_MS - timestamp, ticked_ms - timestamp // SAMPLES_PER_MS
        entry = (lateness, at_ms, timestamp)
        # Who is slower and older than another can never be the fastest again; equal ones go too, so the
        # younger stays, which leaves the window later.
        while fastest and lateness <= fastest[-1][0]:
            fastest.pop()
        while slowest and lateness >= slowest[-1][0]:
            slowest.pop()
        fastest.append(entry)
        slowest.append(entry)
        self.known = True
        self.fast_ms = fast_ms = fastest[0][1]
        late_ms, newest_ms = slowest[0][1] - fast_ms, at_ms - fast_ms
        self.max_delay_ms = max(0, late_ms)
        self.newest_ms = max(0, newest_ms)
