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

_FEW_TOSSES, _MANY_TOSSES = 999, 9999
_STEPS = 8
_SEED = 20_240_229


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
            unit = float(np.std(bounded))
            if unit > EQUAL:
                score += bounded / unit
                seen += float(np.clip(of_sides, -never, never)) / unit
        count = len(score) + 1.0
        return (
            (1.0 + float(np.count_nonzero(score >= seen - 1e-9))) / count,
            (1.0 + float(np.count_nonzero(score <= seen + 1e-9))) / count,
        )

    def _tossed(
        self, a: _Floats, b: _Floats, common: _Floats, tosses: npt.NDArray[np.bool_] | npt.NDArray[np.intp]
    ) -> tuple[_Floats, _Floats]:
        """Return of every toss how far apart the percentiles are, and how many more of b lie beyond the common one."""
        p = self._probability
        if self._calls is not None:
            return _exchanged((a, b), self._calls, tosses.astype(np.bool_, copy=False), p, float(common))
        if self._paired:
            first, second = np.where(tosses, b, a), np.where(tosses, a, b)
        else:
            dealt = np.concatenate([a, b])[tosses]
            first, second = dealt[:, : len(a)], dealt[:, len(a) :]
        return _apart(percentile(first, p), percentile(second, p)), _beyond(second, common) - _beyond(first, common)

    def _end(self, which: int, way: float, tail: float) -> float | None:
        """Return the nearest shift ``way`` of the difference whose tail is smaller than ``tail``; None if none is."""
        assert self._tosses is not None
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


def _exchanged(
    sides: tuple[_Floats, _Floats], calls: npt.NDArray[np.intp], tosses: npt.NDArray[np.bool_], p: float, common: float
) -> tuple[_Floats, _Floats]:
    """Return what ``Randomised._tossed`` does, where whole calls are exchanged: (tosses, n) values are never sorted.

    All values are sorted once; where a side's percentile lies is where as many of them are counted as its rank.
    """
    n = len(calls)
    both = np.concatenate(sides)
    order = np.argsort(both, kind="stable")
    ordered = both[order]
    of_b = order >= n
    first = np.cumsum(tosses[:, np.concatenate([calls, calls])[order]] == of_b, axis=1, dtype=np.int32)
    every = np.arange(1, 2 * n + 1, dtype=np.int32)
    place = (n - 1) * p
    below, share = math.floor(place), place - math.floor(place)

    def ranked(counts: npt.NDArray[np.int32], rank: int) -> _Floats:
        return np.asarray(ordered[np.argmax(counts > rank, axis=1)])

    def found(counts: npt.NDArray[np.int32]) -> _Floats:
        low = ranked(counts, below)
        return low if share < 1e-12 else low + share * (ranked(counts, below + 1) - low)

    def beyond(counts: npt.NDArray[np.int32]) -> _Floats:
        ends = [int(np.searchsorted(ordered, common, side=side)) for side in ("left", "right")]
        at_most = [counts[:, end - 1] if end else np.zeros(len(counts)) for end in ends]
        return np.asarray(1.0 - (at_most[0] + at_most[1]) / (2.0 * n))

    second = every - first
    return found(second) - found(first), beyond(second) - beyond(first)


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
