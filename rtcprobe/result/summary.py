"""What many observations say: percentiles with their intervals.

Rule: factors are for the edge; inside, a summary has the unit of what was observed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.result.plain import number, read_as, scaled, unscaled

__all__ = ["Quantile", "Summary"]

# quantile = "p" 1*2digit [ "." 1*6digit ] ; p50, p99.9
_QUANTILE = re.compile(r"p[0-9]{1,2}(\.[0-9]{1,6})?")
_NUMBER: Final = float | None
_WHOLE: Final = int | None
_INTERVAL: Final = tuple[float | None, ...] | None


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
        # 0 and 1 are extremes, which have fields of their own and no interval.
        if not 0.0 < self.probability < 1.0:
            raise BadInputError(f"quantile of probability {self.probability} is impossible", "give one inside 0..1")

    @property
    def name(self) -> str:
        """The everyday name: ``"p95"``."""
        # Rounded, or 0.57 × 100 would be p56.99999999999999.
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
            # Only where it was refused: files do not say of every percentile what it would have taken.
            if q.needs is not None:
                out[f"{q.name}_needs"] = q.needs
        for name, value in (("mean", self.mean), ("min", self.minimum), ("max", self.maximum)):
            out[name] = scaled(value, factor)
        out["never"] = self.never
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], factor: float = 1e3) -> Summary:
        """Read back what ``to_dict`` wrote."""

        def value(key: str) -> float | None:
            return unscaled(read_as(_NUMBER, data, key), factor)

        quantiles = []
        for key in data:
            # Whatever percentiles a version wrote are read, by their names.
            if _QUANTILE.fullmatch(key):
                ends = read_as(_INTERVAL, data, f"{key}_ci") if f"{key}_ci" in data else None
                low, high = ends if ends is not None and len(ends) == 2 else (None, None)
                quantiles.append(
                    Quantile(
                        probability=float(key[1:]) / 100,
                        value=value(key),
                        low=unscaled(low, factor),
                        high=unscaled(high, factor),
                        needs=read_as(_WHOLE, data, f"{key}_needs") if f"{key}_needs" in data else None,
                    )
                )
        return cls(
            n=read_as(int, data, "n"),
            effective_n=read_as(float, data, "effective_n"),
            confidence=read_as(float, data, "confidence"),
            quantiles=tuple(quantiles),
            mean=value("mean"),
            minimum=value("min"),
            maximum=value("max"),
            never=read_as(int, data, "never"),
        )
