"""What many observations say: percentiles with their intervals.

Rule: factors are for the edge; inside, a summary has the unit of what was observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtcprobe.errors import BadInputError
from rtcprobe.result.plain import number, scaled, unscaled

__all__ = ["Quantile", "Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """One percentile with its interval: ``low``/``high`` None where the interval is open on that side.

    ``value`` None: refused, because ``needs`` samples would be needed, or because it lies among observations that
    never came (failed joins), where ``needs`` is None too.
    """

    probability: float
    value: float | None
    low: float | None = None
    high: float | None = None
    needs: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.probability < 1.0:
            raise BadInputError(f"quantile of probability {self.probability} is impossible", "give one inside 0..1")

    @property
    def name(self) -> str:
        """The everyday name: ``"p95"``."""
        return f"p{round(self.probability * 100, 6):g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What ``n`` observations say: percentiles with intervals, mean, extremes.

    ``never`` of them never came (a failed join is later than every other). ``effective_n`` is the number of
    independent observations worth as much: smaller than ``n`` where neighbours resemble each other.
    """

    n: int
    effective_n: float
    quantiles: tuple[Quantile, ...] = ()
    mean: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    never: int = 0
    confidence: float = 0.95

    def quantile(self, name: str) -> Quantile | None:
        """Return the percentile called ``"p95"``, or None where it was not asked for."""
        return next((q for q in self.quantiles if q.name == name), None)

    def to_dict(self, factor: float = 1e3) -> dict[str, Any]:
        """Return plain JSON values, each multiplied by ``factor`` (seconds to milliseconds unless told)."""
        out: dict[str, Any] = {"n": self.n, "effective_n": number(self.effective_n), "confidence": self.confidence}
        for q in self.quantiles:
            out[q.name] = scaled(q.value, factor)
            out[f"{q.name}_ci"] = (
                None if q.low is None and q.high is None else [scaled(q.low, factor), scaled(q.high, factor)]
            )
            if q.needs is not None:
                out[f"{q.name}_needs"] = q.needs
        for name, value in (("mean", self.mean), ("min", self.minimum), ("max", self.maximum)):
            out[name] = scaled(value, factor)
        out["never"] = self.never
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], factor: float = 1e3) -> Summary:
        """Read back what ``to_dict`` wrote."""
        quantiles = []
        for key in data:
            if key[:1] == "p" and key[1:].replace(".", "", 1).isdigit():
                low, high = data.get(f"{key}_ci") or (None, None)
                quantiles.append(
                    Quantile(
                        probability=float(key[1:]) / 100,
                        value=unscaled(data[key], factor),
                        low=unscaled(low, factor),
                        high=unscaled(high, factor),
                        needs=data.get(f"{key}_needs"),
                    )
                )
        return cls(
            n=data["n"],
            effective_n=data["effective_n"],
            confidence=data["confidence"],
            quantiles=tuple(quantiles),
            mean=unscaled(data["mean"], factor),
            minimum=unscaled(data["min"], factor),
            maximum=unscaled(data["max"], factor),
            never=data["never"],
        )
