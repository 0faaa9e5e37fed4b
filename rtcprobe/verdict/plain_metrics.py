"""Metrics that are figures of the run itself, without observations: those of links, and of the instrument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtcprobe.result import LATENESSES, Lateness, Result, Unit
from rtcprobe.verdict.metric import Metric, Observations

__all__ = ["harness_metrics", "link_metrics"]

_KEPT = ("p50", "p95", "p99")

_LINK_FIGURES: Mapping[str, tuple[Unit, Mapping[str, str]]] = {
    "loss": ("share", {"mean": "loss"}),
    "mean_burst": ("number", {"mean": "mean_burst"}),
    "reordered": ("share", {"mean": "reordered"}),
    "duplicated": ("share", {"mean": "duplicated"}),
    "corrupted": ("share", {"mean": "corrupted"}),
    "marked": ("share", {"mean": "marked"}),
    "delay": (
        "s",
        {
            "min": "delay_min_s",
            "p5": "delay_p5_s",
            "p50": "delay_p50_s",
            "p95": "delay_p95_s",
            "p99": "delay_p99_s",
            "max": "delay_max_s",
        },
    ),
}
"""Metrics of a link: unit, and for each aggregate the figure of ``rtcprobe.link.Achieved`` that is it."""


def link_metrics() -> Iterable[Metric]:
    """Yield what every leg's report has."""
    for name, (unit, figures) in _LINK_FIGURES.items():

        def read(result: Result, leg: str, figures: Mapping[str, str] = figures) -> Observations:
            report = result.link.get(leg)  # type: ignore[call-overload]  # a leg is its text
            found = {} if report is None else {name: getattr(report.achieved, key) for name, key in figures.items()}
            return Observations(figures={name: value for name, value in found.items() if value is not None})

        yield Metric(root="link", suffix=f".{name}", unit=unit, pick=read, aggregates=tuple(figures), over="link")


def harness_metrics() -> Iterable[Metric]:
    """Yield how late the instrument's own clockwork was."""
    for name in LATENESSES:

        def read(result: Result, _way: str, name: str = name) -> Observations:
            found = result.harness.latenesses.get(name, Lateness())
            late = {each: 0.0 if result.clock == "virtual" else getattr(found, f"{each}_s") for each in _KEPT}
            return Observations(figures={each: value for each, value in late.items() if value is not None})

        yield Metric(root="harness", suffix=f".{name}", unit="s", pick=read, aggregates=_KEPT)
