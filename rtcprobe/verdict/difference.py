"""One figure of two sides: what each is, how far they are apart, how sure that is, and whether it is real.

Rules:
    1. A difference is real where its p-value, corrected for all figures of its family judged together, stays within
       ``1 − confidence`` (Holm, Scandinavian J. of Statistics 6, 1979), and it exceeds the instrument's own error.
    2. What people ask first is a family of its own: joins' and delays' percentiles and what stayed unplayed. Failed
       joins and lost markers (of rooms, late joins and gaps too), which are rare and seldom decide, do not make it
       harder to show: they are another.
       So each family by itself is held to ``1 − confidence``, and both together, of however many sides, to twice that:
       who asks only the first is not made to pay for the second. Counts of a few joins seldom reach the level of
       an exact test, so that of checks in which nothing changed, both families asked, 1 to 2 % alarm, and of a hundred
       triples none (``benchmarks/calibration.py``, *checks* and *triples*).
    3. ``detectable`` is how far the interval reaches at the confidence of the strictest of these tests: of pairs with a
       change twice as large as they print, nine in ten show it (``benchmarks/calibration.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rtcprobe.result import Unit
from rtcprobe.result.plain import number, scaled
from rtcprobe.verdict.spread import Spread, p_value
from rtcprobe.ways import Way

__all__ = ["RESOLUTION_S", "Difference", "DifferenceVerdict", "Estimate", "Method", "Row", "holm", "settle"]

DifferenceVerdict = Literal["better", "worse", "no difference shown", "not judged", "not measured"]
"""*Not judged*: both sides have the figure, but nothing says how far chance moves it (``note`` says why)."""

Method = Literal["attempts", "calls", "runs", "within calls", "events", "none"]
"""What counted as one observation: join attempts, calls, whole runs, stretches of a call, single events, or nothing."""

RESOLUTION_S = 1e-4
"""Smaller differences of delays are the instrument's: two ears, each within 0.05 ms of the truth (``selftest``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One figure of one side (seconds, a share or a bare number): ``low``/``high`` None where the interval is open.

    ``value`` None: not measured, or among joins that never came (``never`` counts those). ``n`` observations in
    ``runs`` runs. ``exact``: a figure of the run without a distribution; it has no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    runs: int = 0
    never: int = 0
    exact: bool = False

    def to_dict(self, factor: float = 1.0) -> dict[str, Any]:
        """Return plain JSON values, each figure multiplied by ``factor``."""
        return {
            "value": scaled(self.value, factor),
            "value_ci": _ends(self.low, self.high, factor),
            "n": self.n,
            "runs": self.runs,
            "never": self.never,
            "exact": self.exact,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``b`` minus ``a`` of one metric, its interval at ``confidence``, and whether it is real.

    ``low``/``high`` None: open on that side. ``detectable``: the smallest change, either way, that this pair could have
    shown; None where no change would have been enough. ``p_adjusted`` is Holm's over the ``headline`` figures of its
    family; figures that only explain (phases, stages, timers: their name in ``part``) stand alone.

    ``verdict`` is about ``b``: ``"worse"`` means b is worse than a.
    """

    metric: str
    aggregate: str
    unit: Unit
    a: Estimate
    b: Estimate
    difference: float | None
    low: float | None = None
    high: float | None = None
    detectable: float | None = None
    paired: bool = False
    method: Method = "none"
    p_value: float | None = None
    p_adjusted: float | None = None
    verdict: DifferenceVerdict = "not measured"
    confidence: float = 0.95
    headline: bool = True
    direction: Way | None = None
    part: str = ""
    higher_is_better: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """Metric and aggregate as a budget writes them: ``"join.first_audio p95"``."""
        return f"{self.metric} {self.aggregate}"

    @property
    def rare(self) -> bool:
        """Whether it is of the family of failed or late joins, waits in vain, lost markers and gaps (rule 2)."""
        names = (".failed", ".lost", ".never", ".within_1s", ".within_5s")
        return self.metric.endswith(names) or ".gap_share_" in self.metric

    @property
    def measured(self) -> bool:
        """Whether both sides have this figure, or know that it lies among joins that never came."""
        return self.verdict != "not measured"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: milliseconds where ``unit`` is ``"ms"``."""
        factor = 1e3 if self.unit == "s" else 1.0
        return {
            "metric": self.metric,
            "aggregate": self.aggregate,
            "unit": "ms" if self.unit == "s" else self.unit,
            "a": self.a.to_dict(factor),
            "b": self.b.to_dict(factor),
            "difference": scaled(self.difference, factor),
            "difference_ci": _ends(self.low, self.high, factor),
            "detectable": scaled(self.detectable, factor),
            "paired": self.paired,
            "method": self.method,
            "p_value": number(self.p_value),
            "p_adjusted": number(self.p_adjusted),
            "verdict": self.verdict,
            "confidence": self.confidence,
            "headline": self.headline,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A difference not yet judged, and its spread; None where the figure has no distribution or was not measured.

    ``withheld``: the spread is of these very calls, which is not what a verdict is about.
    """

    difference: Difference
    spread: Spread | None
    withheld: bool = False

    @property
    def in_family(self) -> bool:
        """Whether it is one of the figures judged together."""
        return self.spread is not None and not self.withheld and self.difference.headline


def settle(families: Sequence[Sequence[Row]], confidence: float) -> tuple[tuple[Difference, ...], ...]:
    """Return the rows of all comparisons judged; their headline rows are corrected together, each family by itself."""
    adjusted: dict[int, float] = {}
    strictest: dict[bool, float] = {}
    # The two families of rule 2, each with all sides' rows together: of three sides it is three comparisons that are
    # corrected.
    for rare in (False, True):
        judged = [row for rows in families for row in rows if row.in_family and row.difference.rare == rare]
        adjusted |= zip(map(id, judged), holm([p_value(_known(row)) for row in judged]), strict=True)
        strictest[rare] = 1.0 - (1.0 - confidence) / max(len(judged), 1)
    return tuple(
        tuple(_settled(row, adjusted.get(id(row)), confidence, strictest[row.difference.rare]) for row in rows)
        for rows in families
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given."""
    # Holm's step down: the smallest of m is multiplied by m, the next by m − 1, and none may be adjusted below one
    # before it, or a larger p-value could be called real where a smaller one is not.
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _settled(row: Row, adjusted: float | None, confidence: float, strictest: float) -> Difference:
    seen = row.difference
    if row.spread is None:
        # A figure without a distribution: one number a side says nothing of how far chance moves it.
        unknown: DifferenceVerdict = "not measured" if seen.difference is None else "not judged"
        return replace(seen, confidence=confidence, verdict=unknown)
    low, high = row.spread.interval(confidence)
    if row.withheld:
        # The interval stands, for it is true of these calls; a verdict would be read as one about the scenario.
        return replace(seen, confidence=confidence, low=low, high=high, verdict="not judged")
    p = p_value(row.spread)
    larger, smaller = row.spread.tails(0.0)
    shown = (p if adjusted is None else adjusted) <= 1.0 - confidence and _matters(seen)
    larger_b = larger < smaller  # few tosses reach this far: b is really larger
    if shown and seen.difference is not None and (seen.difference > 0.0) != larger_b:
        shown = False  # figure and chance disagree on the way: nobody could say which side is better
    worse = larger_b != seen.higher_is_better
    return replace(
        seen,
        confidence=confidence,
        low=low,
        high=high,
        detectable=_detectable(row.spread, seen, strictest if adjusted is not None else confidence),
        p_value=p,
        p_adjusted=adjusted,
        verdict=("worse" if worse else "better") if shown else "no difference shown",
    )


def _matters(seen: Difference) -> bool:
    return seen.unit != "s" or seen.difference is None or abs(seen.difference) > RESOLUTION_S


def _detectable(spread: Spread, seen: Difference, confidence: float) -> float | None:
    reach = spread.reach(confidence)
    if reach is None or seen.difference is None:
        return None
    # No pair can show less than its instrument resolves, however many it is of.
    return max(reach, RESOLUTION_S) if seen.unit == "s" else reach


def _known(row: Row) -> Spread:
    assert row.spread is not None
    return row.spread


def _ends(low: float | None, high: float | None, factor: float) -> list[float | None] | None:
    return None if low is None and high is None else [scaled(low, factor), scaled(high, factor)]
