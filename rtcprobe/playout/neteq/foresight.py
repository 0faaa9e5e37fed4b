"""Arrivals seen ahead: where all packets of a call are known, how late each came, and what was aimed at after it.

Facts:
    How late packets are beside the fastest of two seconds, and the target delay that follows from it, hang on when
    packets arrive and on nothing that playout does. After a call all of that is known at once, as columns.

Rules:
    1. It is what ``ArrivalHistory`` and ``DelayTarget`` come to packet by packet, to the bit.
    2. Only for a stream of one kind of frame, one a packet, without in-band redundancy and silences: of others nothing
       is foreseen, and they are taken in one by one.
    3. Whenever the history is forgotten, all begins again with the next packet.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.arrivals import Columns, Coming
from rtcprobe.playout.base import BLOCK_SAMPLES, Decoder
from rtcprobe.playout.neteq.delay import DelayTarget
from rtcprobe.playout.neteq.history import SAMPLES_PER_MS, TICK_MS, WINDOW_SAMPLES
from rtcprobe.playout.neteq.stats import Counters
from rtcprobe.wrapping import counted_on

__all__ = ["DTX_BYTES", "Foresight"]

DTX_BYTES: Final = 2
"""A payload this short says that there is nothing to hear (RFC 6716 §3.1: a TOC byte, and at most one more)."""

_AHEAD: Final = 4096
"""So many packets are looked at together: more than a minute, and no more than a stream that is flushed again and again
would have to look at anew each time."""

# Beyond every instant in samples that 64 bits can hold without overflow when two are subtracted.
_NEVER: Final = 1 << 62
_Column = npt.NDArray[np.int64]


class Foresight:
    """What is known of the packets of one stream, by their place in the order they arrive; columns of shape (packets,).

    ``stamps`` are unwrapped RTP times, ``ticks`` how many were done when the packet is taken in; ``fast_ms``,
    ``max_delay_ms`` and ``target_ms`` what history and target say once it was, as far as was looked.
    """

    def __init__(self, columns: Columns, stamps: _Column, duration: int, ticks: _Column, counters: Counters) -> None:
        self.duration = duration
        self.sequences, self.payloads = columns.sequences, columns.payloads
        self.stamps, self.ticks = stamps, ticks
        self._counters = counters
        count = len(ticks)
        self.fast_ms, self.max_delay_ms, self.target_ms, self._newest, self._low, self._high = np.zeros(
            (6, count), dtype=np.int64
        )
        self.first = self.seen = 0
        self.odd: list[int] = []
        """Places of those that are not later than all before them."""
        self._target = DelayTarget()

    @classmethod
    def of(
        cls, coming: Coming, decoder: Decoder, payload_type: int, clock: tuple[float, float, int], counters: Counters
    ) -> Foresight | None:
        """Return it for all that is ``coming`` to a receiver that did nothing yet; None: nothing is foreseen.

        ``clock`` is what ``Gliding.glide`` is told.
        """
        columns = coming.columns()
        # Each payload is looked at once, however often it comes: a looped speech has a few hundred of them.
        distinct = set(columns.payloads)
        if columns.payload_type != payload_type or min(map(len, distinct), default=0) <= DTX_BYTES:
            return None
        try:
            durations = {decoder.duration_samples(payload) for payload in distinct}
        except ValueError:
            return None
        duration = durations.pop()
        if durations or duration < BLOCK_SAMPLES or any(map(decoder.has_fec, distinct)):
            return None
        stamps = counted_on(columns.timestamps, 32)
        # Frames that do not lie on one grid overlap or leave parts of frames out: of such a stream nothing is
        # foreseen.
        if np.any((stamps - stamps[0]) % duration):
            return None
        return cls(columns, stamps, duration, _ticks(columns.at_s, *clock), counters)

    @property
    def latest(self) -> int:
        """The place of the packet taken in last."""
        return self._counters.received - 1

    def begin(self) -> None:
        """Begin again with the packet that is taken in next."""
        self.first = self.seen = self._counters.received
        self.odd.clear()
        self._target.reset()

    def look(self, behind: int) -> None:
        """See to it that the columns are known of all packets before ``behind``."""
        while self.seen < behind:
            self._look_on(min(self.seen + _AHEAD, len(self.ticks)))

    def calm_until(self, place: int) -> int:
        """Return the place of the first packet from ``place`` on that is not later than all before it, or was not seen.

        Some hundred at least are looked at.
        """
        self.look(min(place + _AHEAD // 16, len(self.ticks)))
        at = bisect_left(self.odd, place)
        return self.odd[at] if at < len(self.odd) else self.seen

    def _look_on(self, end: int) -> None:
        first, begin = self.first, self.seen
        stamps, newest, new = self.stamps, self._newest, slice(begin, end)
        before = newest[begin - 1] if begin > first else -_NEVER
        np.maximum(np.maximum.accumulate(stamps[new]), before, out=newest[new])
        in_order = np.diff(newest[new], prepend=before) > 0
        late = self.ticks[new] * (TICK_MS * SAMPLES_PER_MS) - stamps[new]
        # Who is overtaken is never the fastest or the slowest.
        self._low[new], self._high[new] = np.where(in_order, late, _NEVER), np.where(in_order, late, -_NEVER)
        known = slice(first, end)
        oldest = first + np.searchsorted(newest[known], newest[new] - WINDOW_SAMPLES)
        far = int(oldest[0])
        windows = oldest - far, np.arange(begin, end) - far
        fastest = _lowest(self._low[far:end], *windows)
        slowest = -_lowest(-self._high[far:end], *windows)
        self.fast_ms[new] = fast_ms = _up_to_ms(fastest)
        self.max_delay_ms[new] = np.maximum(_up_to_ms(slowest) - fast_ms, 0)
        late_ms = np.maximum(_up_to_ms(late) - fast_ms, 0)
        self.odd += (np.flatnonzero(~in_order) + begin).tolist()
        # Of whom nobody is left within the window, the first of all or the first after a gap, there is no lateness.
        lone = oldest == np.arange(begin, end)
        at = begin
        for place in (*(np.flatnonzero(lone | ~in_order) + begin).tolist(), end):
            self._target.follow(late_ms[at - begin : place - begin], self.ticks[at:place], self.target_ms[at:place])
            if place < end:
                if not lone[place - begin] and self._tells(place, int(oldest[place - begin])):
                    self._target.update(int(late_ms[place - begin]), int(self.ticks[place]), reordered=True)
                self.target_ms[place] = self._target.target_ms
            at = place + 1
        self.seen = end

    def _tells(self, place: int, oldest: int) -> bool:
        """Return whether a packet that was overtaken is within the history and is not known there."""
        stamp = self.stamps[place]
        recent = bool(stamp + WINDOW_SAMPLES >= self._newest[place])
        return recent and not bool(np.any(self.stamps[oldest:place] == stamp))


def _ticks(at_s: npt.NDArray[np.float64], start_s: float, period_s: float, index: int) -> _Column:
    """Return how many ticks are done when each packet is taken in; the n-th from 0 is at start + (index + n) · period.

    Instants are compared as whoever asks tick by tick compares them, to the last bit.
    """
    ticks = np.maximum(np.floor((at_s - start_s) / period_s).astype(np.int64) - 1 - index, 0)
    # Division is off by a rounding at most, so that one step mends it; three are certain, and each is one
    # comparison.
    for _ in range(3):
        ticks += start_s + (index + ticks) * period_s < at_s
    return ticks


def _up_to_ms(samples: _Column) -> _Column:
    """Return milliseconds, rounded up: an instant less a timestamp that was rounded down."""
    up: _Column = -(-samples // SAMPLES_PER_MS)
    return up


def _lowest(values: _Column, begins: _Column, lasts: _Column) -> _Column:
    """Return the least of ``values`` from each of ``begins`` to each of ``lasts``, both included.

    Of a stretch of any length it is the lesser of two of a power of two (a sparse table).
    """
    rows, size = [values], 1
    longest = int((lasts - begins).max()) + 1
    while 2 * size <= longest:
        row = rows[-1].copy()
        np.minimum(row[:-size], rows[-1][size:], out=row[:-size])
        rows.append(row)
        size *= 2
    table = np.array(rows)
    level = np.frexp(lasts - begins + 1)[1] - 1
    lowest: _Column = np.minimum(table[level, begins], table[level, lasts + 1 - (1 << level)])
    return lowest
