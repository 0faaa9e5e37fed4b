"""Two sides, one figure: what each is, how far they are apart, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rtcprobe.result import Direction, Unit
from rtcprobe.result.plain import number, scaled

__all__ = ["Difference", "DifferenceVerdict", "Estimate", "Method"]

DifferenceVerdict = Literal["better", "worse", "no difference shown", "not measured"]

Method = Literal["attempts", "runs", "within calls", "shares", "none"]
"""What was counted as one observation: join attempts, whole runs, stretches of calls, single events, or nothing."""


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
        bounded = self.low is not None or self.high is not None
        return {
            "value": scaled(self.value, factor),
            "value_ci": [scaled(self.low, factor), scaled(self.high, factor)] if bounded else None,
            "n": self.n,
            "runs": self.runs,
            "never": self.never,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``b`` minus ``a`` of one metric, its interval at ``confidence``, and whether it is real.

    ``low``/``high`` None: open on that side. ``detectable``: the smallest change, either way, that this pair could have
    shown under the same correction as the verdict; None where no change would have been enough. ``p_adjusted`` is
    Holm's over the family that ``headline`` metrics form; figures that only explain (phases, stages) have their own
    p-value there. ``part`` names the phase, stage or timer of an explaining figure.

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
    direction: Direction | None = None
    part: str = ""
    higher_is_better: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """Metric and aggregate as a budget writes them: ``"join.first_audio p95"``."""
        return f"{self.metric} {self.aggregate}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: milliseconds where ``unit`` is ``"ms"``."""
        factor = 1e3 if self.unit == "s" else 1.0
        bounded = self.low is not None or self.high is not None
        return {
            "metric": self.metric,
            "aggregate": self.aggregate,
            "unit": "ms" if self.unit == "s" else self.unit,
            "a": self.a.to_dict(factor),
            "b": self.b.to_dict(factor),
            "difference": scaled(self.difference, factor),
            "difference_ci": [scaled(self.low, factor), scaled(self.high, factor)] if bounded else None,
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
