"""What a budget can be about: every metric of a result by name, and how its observations are read.

Names follow the JSON: ``join.first_audio``, ``mouth_to_ear.caller_to_callee.stages.jitter_buffer``. A name that could
stand for both directions and names neither (``mouth_to_ear``, ``link.loss``) means *the worse of the two*: a
conversation is as good as its worse half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rtcprobe.quality import mos
from rtcprobe.result import DIRECTIONS, STAGES, WAYS, Direction, HeardCall, JoinAttempt, MouthToEar, Result, Unit
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER, PHASE_OF
from rtcprobe.verdict.intervals import Calls, Rated, frames_worth, of_calls, rating_bounds, rating_ends
from rtcprobe.verdict.statistics import Ends

__all__ = ["METRICS", "Metric", "Observations", "phase_metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What a run holds of one metric: ``values`` in the order taken, and how many more never came.

    ``calls`` instead, where they resemble each other within a call. ``figures`` instead, by aggregate name, where the
    run keeps only figures (a link's delay quantiles over packets); ``rated``: its figure "mean" and that of each call.
    """

    values: tuple[float, ...] = ()
    never: int = 0
    calls: Calls | None = None
    figures: Mapping[str, float] | None = None
    rated: Rated | None = None

    @property
    def count(self) -> int:
        """How many values were taken."""
        return len(self.values) if self.calls is None else len(self.calls)

    @property
    def empty(self) -> bool:
        """Whether nothing at all was observed."""
        return not self.count and not self.figures and self.rated is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A name a budget may use: its unit, its aggregates (None: any of a series), and how to read it."""

    name: str
    unit: Unit
    read: Callable[[Result], Observations]
    aggregates: tuple[str, ...] | None = None
    direction: Direction | None = None

    @property
    def of_link(self) -> bool:
        """Whether it is about the link: links go both ways, whatever the target measures."""
        return self.name.startswith("link.")


def _join(name: str, pick: Callable[[JoinAttempt], float | None], unit: Unit = "s") -> Metric:
    """A figure of each join: one that was not heard to the end never came."""

    def read(result: Result) -> Observations:
        picked = [pick(each) for each in result.join.attempts]
        values = tuple(each for each in picked if each is not None)
        never = sum(each is None for each in picked) if values else 0
        return Observations(values=values, never=never)

    return Metric(name=name, unit=unit, read=read)


def _phase(phase: str) -> Callable[[JoinAttempt], float | None]:
    """A phase that a join skipped took no time; one that a failed join never reached never came."""
    return lambda each: each.phases.get(phase, 0.0 if each.phases and each.failed is None else None)


def phase_metric(phase: str) -> Metric:
    """Return the metric of any phase, those that only some target has included."""
    return _join(f"join.{phase}", _phase(phase))


def _joiner_milestone(name: str) -> Callable[[JoinAttempt], float | None]:
    return lambda each: each.milestones.get(name)


def _callee_milestone(name: str) -> Callable[[JoinAttempt], float | None]:
    return lambda each: each.callee.get(name)


def _joins() -> Iterable[Metric]:
    for milestone in CALLER_ORDER:
        yield _join(f"join.{milestone}", _joiner_milestone(milestone))
    for phase in PHASE_OF.values():
        yield phase_metric(phase)
    for milestone in CALLEE_ORDER:
        yield _join(f"join.callee.{milestone}", _callee_milestone(milestone))
    yield _join("join.rtts", lambda each: each.rtts, unit="number")
    yield _join("join.retransmissions", lambda each: float(len(each.retransmissions)), unit="number")
    yield _join("join.retransmission_cost", lambda each: sum(r.cost_s for r in each.retransmissions))
    yield Metric(
        name="join.failed",
        unit="share",
        read=lambda result: Observations(values=tuple(float(a.failed is not None) for a in result.join.attempts)),
        aggregates=("mean",),
    )


def _heard(direction: Direction, pick: Callable[[MouthToEar], Observations]) -> Callable[[Result], Observations]:
    def read(result: Result) -> Observations:
        found = result.mouth_to_ear.get(direction)
        return Observations() if found is None else pick(found)

    return read


def _share(fate: Literal["heard", "rejected", "lost"]) -> Callable[[MouthToEar], Observations]:
    def read(ear: MouthToEar) -> Observations:
        if not ear.scheduled:
            return Observations()
        share = getattr(ear, fate) / ear.scheduled
        # Markers are half a second apart, longer than a burst of losses lasts: each counts in full.
        return Observations(rated=Rated.of(share, ear, _fates(ear, fate), events=ear.scheduled))

    return read


def _fates(ear: MouthToEar, fate: str) -> Callable[[HeardCall], float]:
    """Return what reads of a call the share of its markers with that fate."""
    counts = Counter(each.call for each in ear.missed if each.fate == fate)

    def read(call: HeardCall) -> float:
        return (call.heard if fate == "heard" else counts[call.call]) / call.scheduled

    return read


def _of_frames(
    value: Callable[[MouthToEar], float | None], read: Callable[[HeardCall], float | None]
) -> Callable[[MouthToEar], Observations]:
    """Read a share of the frames sent."""

    def observe(ear: MouthToEar) -> Observations:
        share = value(ear)
        return Observations() if share is None else Observations(rated=Rated.of(share, ear, read, frames_worth(ear)))

    return observe


def _rating(name: str, rate: Callable[[float], float]) -> Callable[[MouthToEar], Observations]:
    """Read R, or what ``rate`` makes of it."""

    def read(ear: MouthToEar) -> Observations:
        value = ear.quality.get(name)
        if value is None:
            return Observations()

        def ends(confidence: float) -> Ends:
            off = value - rate(ear.quality["r"])  # a mean of MOS is not quite the MOS of the mean R
            low, high = (None if each is None else rate(each) + off for each in rating_ends(ear, confidence))
            return low, high

        worst, best = (rate(each) for each in rating_bounds(ear))
        found = Rated.of(value, ear, lambda call: None if call.r is None else rate(call.r), bounds=(worst, best))
        return Observations(rated=replace(found, made=ends))

    return read


def _ears(direction: Direction) -> Iterable[Metric]:
    def metric(
        suffix: str, unit: Unit, pick: Callable[[MouthToEar], Observations], aggregates: tuple[str, ...] | None
    ) -> Metric:
        return Metric(
            name=f"mouth_to_ear.{direction}{suffix}",
            unit=unit,
            read=_heard(direction, pick),
            aggregates=aggregates,
            direction=direction,
        )

    yield metric("", "s", lambda m: Observations(calls=of_calls(m)), None)
    yield metric(".heard", "share", _share("heard"), ("mean",))
    yield metric(".rejected", "share", _share("rejected"), ("mean",))
    yield metric(".lost", "share", _share("lost"), ("mean",))
    unplayed = _of_frames(lambda m: m.protection.get("unplayed"), lambda call: call.unplayed)
    concealed = _of_frames(lambda m: m.playout.get("concealed_ratio"), lambda call: call.concealed)
    yield metric(".unplayed", "share", unplayed, ("mean",))
    yield metric(".concealed", "share", concealed, ("mean",))
    yield metric(".target_delay", "s", _plain("playout", "mean_target_delay_s"), ("mean",))
    yield metric(".r", "number", _rating("r", lambda r: r), ("mean",))
    yield metric(".mos", "number", _rating("mos", mos), ("mean",))
    yield metric(".listening_mos", "number", _plain("quality", "listening_mos"), ("mean",))
    for stage in STAGES:
        yield metric(f".stages.{stage}", "s", _stage(stage), ("mean",))


def _plain(part: str, name: str) -> Callable[[MouthToEar], Observations]:
    """Read one figure of a plain part of the account (``playout``, ``protection``, ``quality``)."""

    def read(ear: MouthToEar) -> Observations:
        figure = getattr(ear, part).get(name)
        return Observations(figures={} if figure is None else {"mean": figure})

    return read


def _stage(name: str) -> Callable[[MouthToEar], Observations]:
    def read(ear: MouthToEar) -> Observations:
        if name not in ear.stages:
            return Observations()
        return Observations(rated=Rated.of(ear.stages[name], ear, lambda call: call.stages.get(name)))

    return read


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


def _links(direction: Direction) -> Iterable[Metric]:
    for name, (unit, figures) in _LINK_FIGURES.items():
        yield Metric(
            name=f"link.{direction}.{name}",
            unit=unit,
            read=_achieved(direction, figures),
            aggregates=tuple(figures),
            direction=direction,
        )


def _achieved(direction: Direction, figures: Mapping[str, str]) -> Callable[[Result], Observations]:
    def read(result: Result) -> Observations:
        report = result.link.get(direction)
        found = {} if report is None else {name: report.achieved.get(key) for name, key in figures.items()}
        return Observations(figures={name: value for name, value in found.items() if value is not None})

    return read


_LATENESSES = ("loop_lag", "emulator_late", "pacing_late")
"""What ``rtcprobe.probe`` measures of its own clockwork on the real clock. Virtual time is never late: 0."""


def _harness() -> Iterable[Metric]:
    for name in _LATENESSES:

        def read(result: Result, name: str = name) -> Observations:
            late = {
                each: 0.0 if result.clock == "virtual" else result.harness.get(f"{name}_{each}_s") for each in _KEPT
            }
            return Observations(figures={each: value for each, value in late.items() if value is not None})

        yield Metric(name=f"harness.{name}", unit="s", read=read, aggregates=_KEPT)


_KEPT = ("p50", "p95", "p99")


def _table() -> dict[str, tuple[Metric, ...]]:
    directed = [metric for direction in DIRECTIONS for metric in _ears(direction)]
    directed += [metric for direction in WAYS for metric in _links(direction)]
    table: dict[str, tuple[Metric, ...]] = {metric.name: (metric,) for metric in (*_joins(), *directed, *_harness())}
    for metric in directed:  # without the direction, both are meant
        both = metric.name.replace(f".{metric.direction}", "")
        table[both] = (*table.get(both, ()), metric)
    return table


METRICS: Mapping[str, tuple[Metric, ...]] = _table()
"""Every name a budget may use, with the metrics it stands for: one, or one per direction."""
