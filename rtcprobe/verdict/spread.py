"""How far a difference may be off: three ways to say it, each with an interval at any confidence and a p-value.

Facts:
    - *Student's t* over units that forget each other: whole runs, or long batches of one call. Differences of pairs
      where both sides share their seeds, Welch's two samples otherwise (Biometrika 34, 1947).
    - *Randomisation* for joins, which are independent: if nothing changed, it was a coin toss on which side a join was
      counted. A pair (the same attempt under the same seed) is swapped; unpaired attempts are dealt anew. How often
      tosses part the two sides as far as was seen is exact for any distribution, timers and joins that never came
      included (Pitman, JRSS Supplement 4, 1937; Edgington & Onghena, *Randomization Tests*, 4th ed., 2007). The
      interval holds every shift that, taken back, leaves a difference tosses explain.
    - *Scores* for shares: Newcombe's interval of a difference from Wilson's of each side (Statistics in Medicine 17,
      1998, method 10).

Rules:
    1. Equal is equal: where every unit moved by the same amount, the interval is that amount and nothing else.
    2. Intervals and tails agree: the interval at confidence c leaves a shift out where a tail of it is smaller than
       half of 1 − c.
    3. Tosses come from a fixed seed: the same figures give the same verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.verdict.statistics import Ends, share_interval

__all__ = ["EQUAL", "Randomised", "ScoreSpread", "Spread", "TSpread", "p_value", "percentile"]

_Floats = npt.NDArray[np.float64]

EQUAL = 1e-8
"""Differences (seconds, shares) no further apart are the same figure, rounded by JSON."""
_MOST_FREEDOM = 1e6
_FEW_TOSSES, _MANY_TOSSES = 999, 9999
_STEPS = 8
_SEED = 20_240_229


class Spread(Protocol):
    """What is known about a difference ``b − a``."""

    def reach(self, confidence: float) -> float | None:
        """Return the change that half of such pairs show at ``confidence``, and nearly all show twice; None: none."""

    def interval(self, confidence: float) -> Ends:
        """Return the interval at ``confidence``; an end is None where it is open."""

    def tails(self, shift: float) -> tuple[float, float]:
        """Return the chances of a difference this large or larger, and this small or smaller, were ``shift`` true."""


def p_value(spread: Spread) -> float:
    """Return how likely a difference this far from zero is when nothing changed (two-sided)."""
    return min(1.0, 2.0 * min(spread.tails(0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TSpread:
    """A difference with its standard error, and the degrees of freedom of that.

    ``counted``: the squared error that a change of one would have by counting alone, where the figures are shares.
    """

    difference: float
    error: float
    freedom: float
    counted: float = 0.0

    @classmethod
    def paired(cls, moved: _Floats, difference: float | None = None, *, worth: float = math.inf) -> TSpread | None:
        """Return the spread of pairs that ``moved`` (shape (k,)), about ``difference`` (their mean unless given).

        ``worth``: of how many events each figure is a share, so that counting them makes it vary that much at least.
        That is known, not guessed from a few pairs: the more of the variance it is, the more degrees of freedom.
        """
        if len(moved) < 2 or not np.all(np.isfinite(moved)):
            return None
        mean = float(np.mean(moved))
        seen = 0.0 if np.ptp(moved) <= EQUAL else float(np.var(moved, ddof=1))
        variance = max(seen, abs(mean) / worth)
        known = math.inf if seen <= 0.0 < 1.0 / worth else variance / seen if seen > 0.0 else 1.0
        return cls(
            difference=mean if difference is None else difference,
            error=math.sqrt(variance / len(moved)),
            freedom=min((len(moved) - 1) * known**2, _MOST_FREEDOM),
            counted=1.0 / worth / len(moved),
        )

    @classmethod
    def unpaired(cls, a: _Floats, b: _Floats, least_variance: tuple[float, float] = (0.0, 0.0)) -> TSpread | None:
        """Return Welch's spread of two samples; each varies at least by ``least_variance`` (of one observation)."""
        if min(len(a), len(b)) < 2 or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
            return None
        of_a = max(float(np.var(a, ddof=1)), least_variance[0]) / len(a)
        of_b = max(float(np.var(b, ddof=1)), least_variance[1]) / len(b)
        whole = of_a + of_b
        freedom = whole**2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1)) if whole > 0.0 else len(a) + len(b) - 2.0
        return cls(difference=float(np.mean(b) - np.mean(a)), error=math.sqrt(whole), freedom=freedom)

    def reach(self, confidence: float) -> float | None:
        """Return the interval's half; more where one or two degrees of freedom are all that is known of the spread.

        Then the next pair's may well be larger: by half the ratio of an unlucky one (of twenty) to a usual one.
        """
        from scipy.special import chdtri, stdtrit  # noqa: PLC0415 - as below

        t = float(stdtrit(self.freedom, (1.0 + confidence) / 2.0))
        unlucky = max(1.0, 0.5 * math.sqrt(chdtri(self.freedom, 0.05) / chdtri(self.freedom, 0.5)))
        return max(t * self.error * unlucky, t**2 * self.counted)

    def interval(self, confidence: float) -> Ends:
        """Return Student's interval."""
        from scipy.special import stdtrit  # noqa: PLC0415 - a quarter of a second that --help should not pay

        half = float(stdtrit(self.freedom, (1.0 + confidence) / 2.0)) * self.error if self.error > 0.0 else 0.0
        return self.difference - half, self.difference + half

    def tails(self, shift: float) -> tuple[float, float]:
        """Return Student's tails."""
        from scipy.special import stdtr  # noqa: PLC0415 - as above

        off = self.difference - shift
        if self.error <= 0.0:
            return float(off <= EQUAL), float(off >= -EQUAL)
        return float(stdtr(self.freedom, -off / self.error)), float(stdtr(self.freedom, off / self.error))


class Randomised:
    """A difference of one percentile between two sides of independent observations (``inf``: never came).

    ``paired``: ``a[i]`` and ``b[i]`` are the same attempt. Shapes (n,) and (m,), equal where paired.
    """

    def __init__(self, a: _Floats, b: _Floats, probability: float, *, paired: bool) -> None:
        self._a, self._b, self._probability, self._paired = a, b, probability, paired
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
            every = 0.5 ** len(self._a)  # no toss but the one that was seen has every attempt moved this way
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
        return _tosses(count, len(self._a)) if self._paired else _deals(count, len(self._a) + len(self._b))

    def _tails(self, shift: float, tosses: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> tuple[float, float]:
        """Return the tails of how far apart the percentiles are and of how many more of b lie beyond the common one.

        The first is what is asked; but where joins either pay a timer or do not, it cannot be more than the timer, and
        tosses reach that easily. The second knows how many pay. Each is taken in units of its spread over the tosses.
        """
        a, b, p = self._a, self._b - shift, self._probability
        both = np.concatenate([a, b])
        if self._paired:
            first, second = np.where(tosses, b, a), np.where(tosses, a, b)
        else:
            dealt = both[tosses]
            first, second = dealt[:, : len(a)], dealt[:, len(a) :]
        common = percentile(both, p)
        never = 2.0 * (self._reach + abs(shift)) + 1.0  # a percentile among joins that never came is this far off
        score, seen = np.zeros(len(tosses)), 0.0
        for of_tosses, of_sides in (
            (_apart(percentile(first, p), percentile(second, p)), _apart(percentile(a, p), percentile(b, p))),
            (_beyond(second, common) - _beyond(first, common), _beyond(b, common) - _beyond(a, common)),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSpread:
    """A difference of two shares, each seen among so many (effective) events.

    ``same``: the very events of both sides are known to be equal, so the difference is none; but one event that
    differed would not have been enough, and ``reach`` knows.
    """

    a: float
    b: float
    n_a: float
    n_b: float
    same: bool = False

    def reach(self, confidence: float) -> float | None:
        """Return the longer side of the interval."""
        low, high = self._newcombe(confidence)
        return max(high - (self.b - self.a), self.b - self.a - low)

    def interval(self, confidence: float) -> Ends:
        """Return Newcombe's interval."""
        return (0.0, 0.0) if self.same else self._newcombe(confidence)

    def _newcombe(self, confidence: float) -> tuple[float, float]:
        low_a, high_a = share_interval(self.a, self.n_a, confidence)
        low_b, high_b = share_interval(self.b, self.n_b, confidence)
        apart = self.b - self.a
        return apart - math.hypot(self.b - low_b, high_a - self.a), apart + math.hypot(high_b - self.b, self.a - low_a)

    def tails(self, shift: float) -> tuple[float, float]:
        """Return the tails by asking at which confidence the interval just reaches ``shift``."""
        apart = self.b - self.a
        if abs(apart - shift) <= EQUAL:
            return 0.5, 0.5
        if self.same:
            return (0.0, 1.0) if shift < 0.0 else (1.0, 0.0)
        low, high = 0.0, 1.0
        for _ in range(40):
            confidence = (low + high) / 2.0
            ends = self.interval(confidence)
            assert ends[0] is not None
            assert ends[1] is not None
            if ends[0] <= shift <= ends[1]:
                high = confidence
            else:
                low = confidence
        tail = (1.0 - high) / 2.0
        return (tail, 1.0 - tail) if apart > shift else (1.0 - tail, tail)


def percentile(values: _Floats, probability: float) -> _Floats:
    """Return the type-7 percentile along the last axis; ``inf`` where it lies among values that never came."""
    n = values.shape[-1]
    place = (n - 1) * probability
    below = math.floor(place)
    share = place - below
    ordered = np.sort(values, axis=-1)  # of a few dozen a row, quicker than their partition
    if share < 1e-12:
        return np.asarray(ordered[..., below], dtype=np.float64)
    low, high = ordered[..., below], ordered[..., below + 1]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isinf(high), high, low + share * (high - low)), dtype=np.float64)
