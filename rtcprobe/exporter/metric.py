"""What a metric is: a row of the table, and how rows are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Metric", "Scope", "counter", "gauge", "histogram"]

Kind = Literal["counter", "gauge", "histogram"]
Scope = Literal["run", "probe", "server"]
"""``run``: of one run, everywhere; ``probe``: over the runs of a probe, in serve; ``server``: of serve itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row. ``labels`` come after ``PROBE_LABELS`` (scope run or probe); ``values`` say what each may hold."""

    name: str
    kind: Kind
    scope: Scope
    meaning: str
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind == "counter") != self.name.endswith("_total") or (self.kind == "histogram") != bool(self.buckets):
            raise ValueError(f"{self.name}: counters end in _total, histograms have buckets, and nothing else does")
        if self.unit and not self.name.removesuffix("_total").endswith(f"_{self.unit}"):
            raise ValueError(f"{self.name}: the name ends in its unit, {self.unit}")


def _row(kind: Kind, scope: Scope, name: str, meaning: str, more: tuple[str, str, tuple[float, ...]]) -> Metric:
    labels, values, buckets = more
    bare = name.removesuffix("_total")
    return Metric(
        name=f"rtcprobe_{name}",
        kind=kind,
        scope=scope,
        meaning=meaning,
        labels=tuple(labels.split()),
        values=tuple(values.split("; ")) if values else (),
        unit=next((each for each in ("seconds", "ratio", "bytes") if bare.endswith(f"_{each}")), ""),
        buckets=buckets,
    )


def counter(scope: Scope, name: str, meaning: str, labels: str = "", values: str = "") -> Metric:
    """Return a row of what only grows; ``labels`` apart by spaces, what each may hold (``values``) by ``"; "``."""
    return _row("counter", scope, name, meaning, (labels, values, ()))


def gauge(scope: Scope, name: str, meaning: str, labels: str = "", values: str = "") -> Metric:
    """Return a row of what goes up and down."""
    return _row("gauge", scope, name, meaning, (labels, values, ()))


def histogram(
    scope: Scope, name: str, meaning: str, labels: str = "", values: str = "", *, buckets: tuple[float, ...]
) -> Metric:
    """Return a row of what is observed, and its buckets' upper bounds."""
    return _row("histogram", scope, name, meaning, (labels, values, buckets))
