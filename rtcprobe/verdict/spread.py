"""How far a difference may be off: three ways to say it, each with an interval at any confidence and a p-value.

Facts:
    - *Student's t* over units that forget each other: whole runs, or long batches of one call. Differences of pairs
      where both sides share their seeds, Welch's two samples otherwise (Biometrika 34, 1947).
    - *Randomisation* where units may be exchanged: joins, and calls of equal seeds (``tosses``).
    - *Hybrids* of the intervals that two independent sides have: the nearer ends' distances are added as squares, each
      way by itself (Zou & Donner, Statistics in Medicine 27, 2008; of two Wilson's intervals of shares that is
      Newcombe's, ibid. 17, 1998, method 10). So a difference and the sides it is of never contradict each other.

Rules:
    1. Equal is equal: where every unit moved by the same amount, the interval is that amount and nothing else.
    2. Intervals and tails agree: the interval at confidence c leaves a shift out where a tail of it is smaller than
       half of 1 − c.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.verdict.statistics import Ends, share_interval

__all__ = ["EQUAL", "HybridSpread", "Spread", "TSpread", "p_value", "percentile"]

_Floats = npt.NDArray[np.float64]

EQUAL = 1e-8
"""Differences (seconds, shares) no further apart are the same figure, rounded by JSON."""
# Where counting alone is what is known of a share's variance the degrees of freedom are infinite, of which SciPy's χ²
# makes nan; from a million on, Student's t is the normal to five digits.
_MOST_FREEDOM = 1e6
_HALVINGS = 30
"""Of a confidence: p-values down to a few in 10⁹."""


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
    def paired(cls, moved: _Floats, *, worth: float = math.inf) -> TSpread | None:
        """Return the spread of pairs that ``moved`` (shape (k,)), about their mean.

        ``worth``: of how many events each figure is a share, so that counting them makes it vary that much at least.
        That is known, not guessed from a few pairs: the more of the variance it is, the more degrees of freedom.
        """
        # One pair shows no spread, and a unit in which nothing was heard has no figure: better no spread than one of
        # the others.
        if len(moved) < 2 or not np.all(np.isfinite(moved)):
            return None
        mean = float(np.mean(moved))
        # Rule 1: what JSON's rounding leaves of equal differences is no spread.
        seen = 0.0 if np.ptp(moved) <= EQUAL else float(np.var(moved, ddof=1))
        variance = max(seen, abs(mean) / worth)
        # How many times the variance is what the pairs themselves show: 1 where they show all of it, so that their own
        # degrees of freedom hold; infinite where only counting varies.
        known = math.inf if seen <= 0.0 < 1.0 / worth else variance / seen if seen > 0.0 else 1.0
        return cls(
            difference=mean,
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
        # Welch-Satterthwaite; of two sides without any variance the pooled degrees of freedom, for there is nothing to
        # weigh.
        freedom = whole**2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1)) if whole > 0.0 else len(a) + len(b) - 2.0
        return cls(difference=float(np.mean(b) - np.mean(a)), error=math.sqrt(whole), freedom=freedom)

    def about(self, difference: float) -> TSpread:
        """Return the spread about a figure of all units together, of which theirs are not quite the mean.

        What the two are apart is nothing the units agree on: it is added to the error, as squares. (Eight calls' own
        p95, of twelve markers each, vary less than the p95 of all: about that alone, one unchanged pair in four was
        called different.)
        """
        off = difference - self.difference
        if abs(off) <= EQUAL:
            return replace(self, difference=difference)
        return replace(self, difference=difference, error=math.hypot(self.error, off))

    def reach(self, confidence: float) -> float | None:
        """Return the interval's half; more where one or two degrees of freedom are all that is known of the spread.

        Then the next pair's may well be larger: by half the ratio of an unlucky one (of twenty) to a usual one.
        """
        from scipy.special import chdtri, ndtri, stdtrit  # noqa: PLC0415 - as below

        t = float(stdtrit(self.freedom, (1.0 + confidence) / 2.0))
        # 1.45 and 1.04 with one and two degrees of freedom, 1 with more (a ratio of deviations: χ² is of variances).
        unlucky = max(1.0, 0.5 * math.sqrt(chdtri(self.freedom, 0.05) / chdtri(self.freedom, 0.5)))
        # How counting makes a share vary is known: that is a normal's, however few the pairs.
        return max(t * self.error * unlucky, float(ndtri((1.0 + confidence) / 2.0)) ** 2 * self.counted)

    def interval(self, confidence: float) -> Ends:
        """Return Student's interval."""
        from scipy.special import stdtrit  # noqa: PLC0415 - a quarter of a second that --help should not pay

        half = float(stdtrit(self.freedom, (1.0 + confidence) / 2.0)) * self.error if self.error > 0.0 else 0.0
        return self.difference - half, self.difference + half

    def tails(self, shift: float) -> tuple[float, float]:
        """Return Student's tails."""
        from scipy.special import stdtr  # noqa: PLC0415 - as above

        off = self.difference - shift
        # All units moved alike: any other shift is impossible, and that very one is certain either way.
        if self.error <= 0.0:
            return float(off <= EQUAL), float(off >= -EQUAL)
        return float(stdtr(self.freedom, -off / self.error)), float(stdtr(self.freedom, off / self.error))


class HybridSpread:
    """A difference of two figures that are independent of each other, each with an interval at any confidence.

    ``same``: the very events of both sides are known to be equal, so the difference is none; but one event that
    differed would not have been enough, and ``reach`` knows.
    """

    def __init__(
        self,
        a: float,
        b: float,
        ends_a: Callable[[float], Ends],
        ends_b: Callable[[float], Ends],
        *,
        same: bool = False,
    ) -> None:
        self.difference = b - a
        self._a, self._b, self._ends_a, self._ends_b, self._same = a, b, ends_a, ends_b, same
        self._tails: dict[float, tuple[float, float]] = {}

    @classmethod
    def of_shares(cls, a: float, b: float, n_a: float, n_b: float, *, same: bool = False) -> HybridSpread:
        """Return the spread of two shares, each seen among so many (effective) events."""
        return cls(a, b, lambda c: share_interval(a, n_a, c), lambda c: share_interval(b, n_b, c), same=same)

    def reach(self, confidence: float) -> float | None:
        """Return the longer side of the interval."""
        low, high = self._joined(confidence)
        return None if low is None or high is None else max(high - self.difference, self.difference - low)

    def interval(self, confidence: float) -> Ends:
        """Return the interval that the two sides' make together."""
        return (0.0, 0.0) if self._same else self._joined(confidence)

    def _joined(self, confidence: float) -> Ends:
        (low_a, high_a), (low_b, high_b) = self._ends_a(confidence), self._ends_b(confidence)
        low = high = None
        # b − a is least where b is low and a is high; each distance is measured from its own side's figure, so that
        # intervals which are not symmetric (Wilson's, order statistics') stay so. One open end leaves that side open.
        if low_b is not None and high_a is not None:
            low = self.difference - math.hypot(self._b - low_b, high_a - self._a)
        if high_b is not None and low_a is not None:
            high = self.difference + math.hypot(high_b - self._b, self._a - low_a)
        return low, high

    def tails(self, shift: float) -> tuple[float, float]:
        """Return the tails by asking at which confidence the interval just reaches ``shift``."""
        # At its own place a difference is as likely above as below, at whatever confidence; bisection would run to a
        # width of 0.
        if abs(self.difference - shift) <= EQUAL:
            return 0.5, 0.5
        if self._same:
            return (0.0, 1.0) if shift < 0.0 else (1.0, 0.0)
        if shift not in self._tails:
            self._tails[shift] = self._tails_at(shift)
        return self._tails[shift]

    def _tails_at(self, shift: float) -> tuple[float, float]:
        outside, inside = 0.0, 1.0
        # ``outside`` is a confidence whose interval leaves ``shift`` out, ``inside`` one whose holds it: intervals grow
        # with their confidence, so one border lies between, and the tail is what is left at it.
        for _ in range(_HALVINGS):
            confidence = (outside + inside) / 2.0
            low, high = self._joined(confidence)
            if (low is None or low <= shift) and (high is None or shift <= high):
                inside = confidence
            else:
                outside = confidence
        tail = (1.0 - inside) / 2.0
        return (tail, 1.0 - tail) if self.difference > shift else (1.0 - tail, tail)


def percentile(values: _Floats, probability: float) -> _Floats:
    """Return the type-7 percentile along the last axis; ``inf`` where it lies among values that never came."""
    n = values.shape[-1]
    place = (n - 1) * probability
    below = math.floor(place)
    share = place - below
    ordered = np.sort(values, axis=-1)  # of a few dozen a row, quicker than their partition
    # A place that is a whole rank up to rounding (20 × 0.95): the next value is not asked, as it may be one that never
    # came.
    if share < 1e-12:
        return np.asarray(ordered[..., below], dtype=np.float64)
    low, high = ordered[..., below], ordered[..., below + 1]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isinf(high), high, low + share * (high - low)), dtype=np.float64)
