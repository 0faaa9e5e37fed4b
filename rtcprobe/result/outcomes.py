"""What became of a budget line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rtcprobe.result.plain import read_as, scaled, unscaled
from rtcprobe.secrets import NAME

__all__ = ["BudgetOutcome", "BudgetVerdict", "Unit"]

BudgetVerdict = Literal["met", "missed", "undecided", "inconclusive"]
Unit = Literal["s", "share", "number"]
Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOutcome:
    """One budget line and what became of it; ``value`` and ``limit`` in ``unit`` (seconds, a share, a bare number).

    ``low``/``high`` are the 95 % interval, None where it is open. ``exact``: a figure of the run itself without a
    distribution, so without an interval. *Undecided*: the limit lies inside the interval.
    """

    expression: str = field(metadata=NAME)
    metric: str = field(metadata=NAME)
    aggregate: str = field(metadata=NAME)
    unit: Unit
    limit: float
    value: float | None
    verdict: BudgetVerdict
    low: float | None = None
    high: float | None = None
    exact: bool = False
    advisory: bool = False
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: milliseconds where ``unit`` is ``"ms"``."""
        # Seconds inside, milliseconds outside (``plain`` rule 1): the unit is written with the figure, as it is not in
        # the key.
        factor = 1e3 if self.unit == "s" else 1.0
        return {
            "expression": self.expression,
            "metric": self.metric,
            "aggregate": self.aggregate,
            "unit": "ms" if self.unit == "s" else self.unit,
            "limit": scaled(self.limit, factor),
            "value": scaled(self.value, factor),
            "value_ci": None
            if self.low is None and self.high is None
            else [scaled(self.low, factor), scaled(self.high, factor)],
            "exact": self.exact,
            "verdict": self.verdict,
            "advisory": self.advisory,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Plain) -> BudgetOutcome:
        """Read back what ``to_dict`` wrote."""
        unit: Unit = "s" if data["unit"] == "ms" else read_as(Literal["share", "number"], data, "unit")
        factor = 1e3 if unit == "s" else 1.0
        ends = read_as(tuple[float | None, ...] | None, data, "value_ci")
        # An interval has two ends, either of which may be open; what has another number of them tells none.
        low, high = ends if ends is not None and len(ends) == 2 else (None, None)
        words = {key: read_as(str, data, key) for key in ("expression", "metric", "aggregate", "reason")}
        return cls(
            **words,
            unit=unit,
            limit=read_as(float, data, "limit") / factor,
            value=unscaled(read_as(float | None, data, "value"), factor),
            low=unscaled(low, factor),
            high=unscaled(high, factor),
            exact=read_as(bool, data, "exact"),
            verdict=read_as(BudgetVerdict, data, "verdict"),
            advisory=read_as(bool, data, "advisory"),
        )
