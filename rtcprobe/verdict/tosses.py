"""Differences of percentiles by randomisation: what coin tosses would have made of the same two sides.

Facts:
    - If nothing changed, it was a coin toss on which side a join was counted. A pair (the same attempt under the same
      seed) is swapped; unpaired attempts are dealt anew. How often tosses part the two sides as far as was seen is
      exact for any distribution, timers and joins that never came included (Pitman, JRSS Supplement 4, 1937; Edgington
      & Onghena, *Randomization Tests*, 4th ed., 2007). The interval holds every shift that, taken back, leaves a
      difference tosses explain.
    - The markers of a call resemble each other, so a call is one toss: of equal seeds, the same call of both sides is
      swapped as a whole.

Rules:
    1. Where every unit moved by the same amount, the interval is that amount and nothing else.
    2. Tosses come from a fixed seed: the same figures give the same verdict.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtcprobe.verdict.spread import EQUAL, percentile
from rtcprobe.verdict.statistics import Ends

__all__ = ["Randomised"]

_Floats = npt.NDArray[np.float64]

# 999 leave 25 beyond an end of a 95 % interval, enough to find it; their smallest tail, 1 in 1,000, is too large where
# Holm divides 5 % by twenty figures and two ways: what may be a finding is tossed 9,999 times. One less than a round
# number, as what was seen counts as a toss itself.
_FEW_TOSSES, _MANY_TOSSES = 999, 9999
# Halvings of the bracket that holds an end: to 1/256 of its width, which is below what so few tosses leave unsure.
_STEPS = 8
# Any number would do; it never changes, so that the same two files are always judged alike (rule 2).
_SEED = 20_240_229
_AT_ONCE = 2_000_000
"""Counts in memory at a time: 8 MB."""


class Randomised:
    """A difference of one percentile between two sides of independent observations (``inf``: never came).

    ``paired``: ``a[i]`` and ``b[i]`` are the same attempt. Shapes (n,) and (m,), equal where paired. ``calls`` (shape
    (n,), counted from 0; only of pairs): in which call each was taken; a call is exchanged as a whole.
    """

    def __init__(
        self, a: _Floats, b: _Floats, probability: float, *, paired: bool, calls: npt.NDArray[np.intp] | None = None
    ) -> None:
        self._a, self._b, self._probability, self._paired = a, b, probability, paired
        self._calls = calls
        self._units = len(a) if calls is None else int(np.max(calls)) + 1
        self.difference = float(_apart(percentile(a, probability), percentile(b, probability)))
        self._constant = _constant(a, b) if paired else None
        # What was tossed once is kept: a comparison asks for the p-value, its correction and the direction of each
        # figure.
        self._at_zero: tuple[float, float] | None = None
        self._intervals: dict[float, Ends] = {}
        self._tosses: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | None = None
        finite = np.concatenate([a[np.isfinite(a)], b[np.isfinite(b)]])
        self._reach = float(np.ptp(finite)) if len(finite) else 0.0

    def interval(self, confidence: float) -> Ends:
        """Return the shifts that tosses explain."""
        if self._constant is not None:
            return self._constant, self._constant
        if not math.isfinite(self.difference):
            return None, None
        if self._tosses is None:
            self._tosses = self._toss(_FEW_TOSSES)
        if confidence not in self._intervals:
            tail = (1.0 - confidence) / 2.0
            self._intervals[confidence] = self._end(0, -1.0, tail), self._end(1, 1.0, tail)
        return self._intervals[confidence]

    def reach(self, confidence: float) -> float | None:
        """Return the longer side of the 95 % interval, stretched as a normal's would be; and more, until it is true.

        Far out there are too few tosses to turn into an interval, but enough to try: a change twice as large, planted
        into these very joins, is shown either way.
        """
        from scipy.special import ndtri  # noqa: PLC0415 - as above

        low, high = self.interval(0.95)
        if low is None or high is None or self._constant is not None:
            return 0.0 if self._constant is not None else None
        reach = max(self.difference - low, high - self.difference)
        reach *= max(1.0, float(ndtri((1.0 + confidence) / 2.0) / ndtri(0.975)))
        tail = (1.0 - confidence) / 2.0
        real = max(low, 0.0) + min(high, 0.0)  # what surely differs already is taken back before anything is planted
        # Beyond twice the range of all that was seen nothing planted would be more apart than it is: no change is
        # detectable.
        while reach < 2.0 * self._reach:
            if self.tails(real - 2.0 * reach)[0] <= tail and self.tails(real + 2.0 * reach)[1] <= tail:
                return reach
            reach *= 1.5
        return None

    def tails(self, shift: float) -> tuple[float, float]:
        """Return the share of tosses that part the sides as far, ``shift`` taken back; never none."""
        if self._constant is not None:
            every = 0.5**self._units  # no toss but the one that was seen has every attempt moved this way
            off = self._constant - shift
            return (every if off > EQUAL else 1.0), (every if off < -EQUAL else 1.0)
        if shift == 0.0 and self._at_zero is not None:
            return self._at_zero
        tails = self._tails(shift, self._toss(_FEW_TOSSES))
        if min(tails) < 0.02:  # what may be a finding is tossed for in earnest
            tails = self._tails(shift, self._toss(_MANY_TOSSES))
        if shift == 0.0:
            self._at_zero = tails
        return tails

    def _toss(self, count: int) -> npt.NDArray[np.bool_] | npt.NDArray[np.intp]:
        return _tosses(count, self._units) if self._paired else _deals(count, len(self._a) + len(self._b))

    def _tails(self, shift: float, tosses: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> tuple[float, float]:
        """Return the tails of how far apart the percentiles are and of how many more of b lie beyond the common one.

        The first is what is asked; but where joins either pay a timer or do not, it cannot be more than the timer, and
        tosses reach that easily. The second knows how many pay. Each is taken in units of its spread over the tosses.
        """
        a, b, p = self._a, self._b - shift, self._probability
        common = percentile(np.concatenate([a, b]), p)
        never = 2.0 * (self._reach + abs(shift)) + 1.0  # a percentile among joins that never came is this far off
        score, seen = np.zeros(len(tosses)), 0.0
        apart, more = self._tossed(a, b, common, tosses)
        for of_tosses, of_sides in (
            (apart, _apart(percentile(a, p), percentile(b, p))),
            (more, _beyond(b, common) - _beyond(a, common)),
        ):
            bounded = np.clip(of_tosses, -never, never)
            # A statistic that no toss moves (both sides' percentiles are one timer) says nothing, and is left out, not
            # divided by 0.
            unit = float(np.std(bounded))
            if unit > EQUAL:
                score += bounded / unit
                seen += float(np.clip(of_sides, -never, never)) / unit
        count = len(score) + 1.0
        return (
            # The hair is for equal sums added in another order: a toss that is the one seen must count as reaching it.
            (1.0 + float(np.count_nonzero(score >= seen - 1e-9))) / count,
            (1.0 + float(np.count_nonzero(score <= seen + 1e-9))) / count,
        )

    def _tossed(
        self, a: _Floats, b: _Floats, common: _Floats, tosses: npt.NDArray[np.bool_] | npt.NDArray[np.intp]
    ) -> tuple[_Floats, _Floats]:
        """Return of every toss how far apart the percentiles are, and how many more of b lie beyond the common one."""
        p = self._probability
        if self._calls is not None:
            sides, swaps = _Exchanges(a, b, self._calls), tosses.astype(np.bool_, copy=False)
            return _apart(*sides.percentiles(swaps, p)), sides.more_beyond(swaps, float(common))
        if self._paired:
            first, second = np.where(tosses, b, a), np.where(tosses, a, b)
        else:
            dealt = np.concatenate([a, b])[tosses]
            first, second = dealt[:, : len(a)], dealt[:, len(a) :]
        return _apart(percentile(first, p), percentile(second, p)), _beyond(second, common) - _beyond(first, common)

    def _end(self, which: int, way: float, tail: float) -> float | None:
        """Return the nearest shift ``way`` of the difference whose tail is smaller than ``tail``; None if none is."""
        assert self._tosses is not None
        # From a fiftieth of the range of all values, doubled until tosses no longer explain the shift; farther than the
        # range they are all apart, and the end is open. Then the bracket is halved: ``inside`` is always explained,
        # ``outside`` never.
        inside, outside, farthest = 0.0, 0.02 * self._reach + EQUAL, 1.05 * self._reach + EQUAL
        while self._tails(self.difference + way * outside, self._tosses)[which] >= tail:
            if outside >= farthest:
                return None
            inside, outside = outside, min(2.0 * outside, farthest)
        for _ in range(_STEPS):
            middle = (inside + outside) / 2.0
            if self._tails(self.difference + way * middle, self._tosses)[which] >= tail:
                inside = middle
            else:
                outside = middle
        return self.difference + way * outside


class _Exchanges:
    """Two sides of which whole calls are exchanged (shapes (n,); ``calls`` (n,), counted from 0).

    All values are sorted once. How many of the lowest are the first side's is a sum over the calls that a toss
    exchanges, so a percentile is found by counting, and only among the values that some toss could make it.
    """

    def __init__(self, a: _Floats, b: _Floats, calls: npt.NDArray[np.intp]) -> None:
        self._n = len(a)
        both = np.concatenate([a, b])
        order = np.argsort(both, kind="stable")
        self._ordered, of_b = both[order], order >= self._n
        # Column m: of the lowest m values, how many are a's, and what exchanging each call adds (exact below 2^24).
        self._plain = np.concatenate([[0], np.cumsum(~of_b)]).astype(np.float32)
        self._moved = np.zeros((int(np.max(calls)) + 1, 2 * self._n + 1), dtype=np.float32)
        self._moved[calls[order % self._n], np.arange(1, 2 * self._n + 1)] = np.where(of_b, 1.0, -1.0)
        np.cumsum(self._moved, axis=1, out=self._moved)

    def percentiles(self, tosses: npt.NDArray[np.bool_], p: float) -> tuple[_Floats, _Floats]:
        """Return the percentile of both sides after each toss (shape (tosses, calls))."""
        place = (self._n - 1) * p
        low, share = math.floor(place), place - math.floor(place)
        ranks = (low, min(low + 1, self._n - 1))
        # Only columns in which some toss can reach these ranks are counted: a few of all where most values are far from
        # them.
        begin, end = self._within(*ranks)
        found = np.empty((2, 2, len(tosses)))
        # In parts of ``_AT_ONCE`` counts: 9,999 tosses of eight calls of an hour would be gigabytes at once.
        for rows in np.array_split(np.arange(len(tosses)), math.ceil(len(tosses) * (end - begin) / _AT_ONCE)):
            first = self._of_first(tosses[rows], slice(begin, end))
            for side, counts in enumerate((first, np.arange(begin, end, dtype=np.float32) - first)):
                for which, rank in enumerate(ranks):
                    found[side, which, rows] = self._ordered[begin - 1 + np.count_nonzero(counts <= rank, axis=1)]
        values = found[:, 0] if share < 1e-12 else found[:, 0] + share * (found[:, 1] - found[:, 0])
        return values[0], values[1]

    def more_beyond(self, tosses: npt.NDArray[np.bool_], common: float) -> _Floats:
        """Return how much larger a share of the second side lies beyond ``common``, half counted where on it."""
        ends = [int(np.searchsorted(self._ordered, common, side=side)) for side in ("left", "right")]
        first = self._of_first(tosses, np.array(ends))
        return np.asarray((2.0 * first - np.array(ends)).sum(axis=1) / (2.0 * self._n), dtype=np.float64)

    def _of_first(
        self, tosses: npt.NDArray[np.bool_], columns: slice | npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float32]:
        return np.asarray(self._plain[columns] + tosses.astype(np.float32) @ self._moved[:, columns])

    def _within(self, low: int, high: int) -> tuple[int, int]:
        """Return between which columns every toss counts either side's ranks ``low`` to ``high``."""
        # How few and how many of the lowest m any toss can make the first side's: each call exchanged only where it
        # takes away, or adds. What the first side has of m, the second lacks.
        least = self._plain + np.minimum(self._moved, 0.0).sum(axis=0)
        most = self._plain + np.maximum(self._moved, 0.0).sum(axis=0)
        every = np.arange(2 * self._n + 1)
        begin = min(int(np.searchsorted(each, low, side="right")) for each in (most, every - least))
        return begin, 1 + max(int(np.searchsorted(each, high, side="right")) for each in (least, every - most))


@lru_cache(maxsize=4)
def _tosses(count: int, pairs: int) -> npt.NDArray[np.bool_]:
    """Return for each pair whether a toss exchanges it, shape (count, pairs)."""
    return np.random.default_rng(_SEED).random((count, pairs)) < 0.5


@lru_cache(maxsize=4)
def _deals(count: int, values: int) -> npt.NDArray[np.intp]:
    """Return orders in which the values of both sides are dealt out again, shape (count, values)."""
    return np.argsort(np.random.default_rng(_SEED).random((count, values)), axis=1)


def _constant(a: _Floats, b: _Floats) -> float | None:
    """Return by how much every pair moved, where all moved alike; joins that never came on both sides did not move."""
    if np.any(np.isinf(a) != np.isinf(b)):
        return None
    heard = np.isfinite(a)
    moved = b[heard] - a[heard]
    return float(np.mean(moved)) if len(moved) and np.ptp(moved) <= EQUAL else None


def _beyond(values: _Floats, common: _Floats) -> _Floats:
    """Return how large a share of ``values`` lies beyond the ``common`` percentile, half counted where on it."""
    return np.asarray(np.mean(values > common, axis=-1) + 0.5 * np.mean(values == common, axis=-1), dtype=np.float64)


def _apart(first: _Floats, second: _Floats) -> _Floats:
    """Return ``second − first``; two percentiles that never came are not apart."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(first) & np.isinf(second), 0.0, second - first)
