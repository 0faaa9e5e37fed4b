"""What the figures of joins and ears have in common: the two sides, a figure on its way to a row, and batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtcprobe.result import Kind, Result, Unit
from rtcprobe.verdict.difference import Difference, Estimate, Method, Row
from rtcprobe.verdict.spread import Spread, TSpread, percentile
from rtcprobe.verdict.statistics import batches, mean_interval, samples_needed, share_interval
from rtcprobe.ways import Way

__all__ = ["RUNS", "Figure", "Floats", "Pair", "batched", "mean_estimate", "mean_of", "named", "share_estimate"]

RUNS = 3
"""Calls a side (on the real clock: runs) from which they are the unit."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The runs of both sides; ``paired``: run by run the same seed on the virtual clock."""

    a: tuple[Result, ...]
    b: tuple[Result, ...]
    paired: bool

    @property
    def by_runs(self) -> bool:
        """Whether there are enough runs a side for them to be the unit."""
        return min(len(self.a), len(self.b)) >= RUNS

    @property
    def run_is_unit(self) -> bool:
        """Whether a whole run counts as one: on the real clock its calls share the network of the hour."""
        return self.by_runs and not self.virtual

    @property
    def virtual(self) -> bool:
        """Whether every run was on the virtual clock."""
        return all(each.clock == "virtual" for each in (*self.a, *self.b))

    def ways(self, kind: Kind) -> tuple[Way, ...]:
        """Return the ways that either side measured in one respect, in their order."""
        return tuple(dict.fromkeys(way for each in (*self.a, *self.b) for way in each.of_kind(kind)))


@dataclass(frozen=True, slots=True)
class Figure:
    """What is known of a row before its spread."""

    pair: Pair
    metric: str
    aggregate: str
    unit: Unit
    a: Estimate
    b: Estimate
    headline: bool = True
    direction: Way | None = None
    part: str = ""
    higher_is_better: bool = False

    def over(
        self,
        method: Method,
        spread: Spread | None,
        *,
        paired: bool = False,
        withheld: str = "",
        value_a: float | None = None,
        value_b: float | None = None,
    ) -> Row:
        """Return the row with the spread of its difference."""
        one = self.a.value if value_a is None else value_a
        two = self.b.value if value_b is None else value_b
        return Row(
            difference=self._difference(
                method=method if spread is not None else "none",
                difference=None if one is None or two is None else two - one,
                paired=paired,
                note=withheld,
            ),
            spread=spread,
            withheld=bool(withheld),
        )

    def exact(self) -> Row:
        """Return the row of a figure without a distribution."""
        known = self.a.value is not None and self.b.value is not None
        apart = self.b.value - self.a.value if self.a.value is not None and self.b.value is not None else None
        note = "a figure of the run itself: no interval" if known else "nothing was measured"
        return Row(
            difference=self._difference(method="none", difference=apart, paired=self.pair.paired, note=note),
            spread=None,
        )

    def unmeasured(self, why: str) -> Row:
        """Return the row of what cannot be compared."""
        return Row(difference=self._difference(method="none", difference=None, paired=False, note=why), spread=None)

    def _difference(self, *, method: Method, difference: float | None, paired: bool, note: str) -> Difference:
        return Difference(
            metric=self.metric,
            aggregate=self.aggregate,
            unit=self.unit,
            a=self.a,
            b=self.b,
            difference=difference,
            paired=paired,
            method=method,
            headline=self.headline,
            direction=self.direction,
            part=self.part,
            higher_is_better=self.higher_is_better,
            note=note,
        )


def batched(a: Floats, b: Floats, p: float, apart: float, *, paired: bool) -> TSpread | None:
    """Return Student's spread about ``apart`` over batches of successive observations, in pairs or of each side."""
    rarer = min(p, 1.0 - p)
    # Two batches of two are the fewest that show a spread; fewer markers than a percentile needs have none to compare.
    if min(len(a), len(b)) < max(samples_needed(p), 4):
        return None
    if paired:
        # As long as the differences remember each other, not the delays: what both sides share cancels.
        count = batches(b - a, rarer)
        spread = TSpread.paired(_batch_percentiles(b, p, count) - _batch_percentiles(a, p, count))
        return spread and spread.about(apart)
    one = _batch_percentiles(a, p, batches(a, rarer))
    two = _batch_percentiles(b, p, batches(b, rarer))
    spread = TSpread.unpaired(one, two)
    return spread and spread.about(apart)


def mean_estimate(values: Floats, runs: int) -> Estimate:
    """Return the mean of independent ``values`` (shape (n,)) taken in ``runs`` runs, with its interval."""
    low, high = mean_interval(values.tolist())
    return Estimate(value=mean_of(values), low=low, high=high, n=len(values), runs=runs)


def share_estimate(share: float, n: float, worth: float, runs: int) -> Estimate:
    """Return a share seen among ``n`` events that are worth ``worth`` independent ones, with its interval."""
    low, high = share_interval(share, worth)
    return Estimate(value=share, low=low, high=high, n=round(n), runs=runs)


def mean_of(values: Floats) -> float | None:
    """Return the mean; None of nothing, or of what holds values that never came or were not measured."""
    return float(np.mean(values)) if len(values) and np.all(np.isfinite(values)) else None


def named(p: float) -> str:
    """Return the everyday name of a percentile: ``"p95"``."""
    return f"p{p * 100:g}"


def _batch_percentiles(series: Floats, p: float, k: int) -> Floats:
    return np.array([float(percentile(each, p)) for each in np.array_split(series, k)])
