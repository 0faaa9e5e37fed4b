"""What a run came to, and what it does to the metrics.

Rules:
    1. Of an invalid run only the verdict, the duration and the harness count; of a run without result only the error.
    2. ``last_…`` gauges are this run's alone: what it did not reach is absent.
    3. A join that failed counts as an attempt and a failure, and is in no histogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from rtcprobe.exporter.config import OBJECTIVES, Objective
from rtcprobe.exporter.instruments import Draft, Instruments
from rtcprobe.exporter.metrics import PHASES, TABLE
from rtcprobe.exporter.pictures import add_pictures, set_pictures
from rtcprobe.exporter.rooms import MOST, access_labels, directions, party_label, region_labels, set_room
from rtcprobe.result import Account, BudgetVerdict, Clock, Join, Kind, PlacedCall, Result, Summary, Verdict
from rtcprobe.scenario import Scenario
from rtcprobe.secrets import scrub
from rtcprobe.timeline import CALLER_ORDER, OUTSIDE_ORDER, PHASE_OF, Timer
from rtcprobe.verdict import Goal
from rtcprobe.ways import Way

__all__ = [
    "Failure",
    "Outcome",
    "add_run",
    "events_of",
    "failed_phase",
    "probe_labels",
    "set_last_run",
    "set_objectives",
    "set_up",
    "start_series",
]

Failure = Literal["timeout", "crash", "unmeasured", "refused", "cancelled"]
# As ``schedule.Miss``, which cannot be imported from here: schedule imports this.
MISSES = ("overlap", "busy", "stalled", "cancelled")

# All but how the probe is set up: that is known without any run.
_LAST = tuple(row.name for row in TABLE if row.scope == "run" and row.name != "rtcprobe_probe_info")
_AGGREGATES = ("p50", "p95")
# The one value beside a closed list (``metrics`` rule 3), for a target's own step that the table does not know.
_OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: its ``result``, or the ``failure`` with its sentence. Wall-clock seconds.

    ``goals`` are what ``rtcprobe.verdict.goals`` says of the result: worth a thread, so made where the result is read.
    """

    seed: int
    ended_unix_s: float
    duration_s: float
    waited_s: float = 0.0
    result: Result | None = None
    goals: tuple[Goal, ...] = ()
    failure: Failure | None = None
    sentence: str = ""

    def __post_init__(self) -> None:
        if (self.result is None) == (self.failure is None):
            raise ValueError("a run has a result or a failure")
        if self.failure is not None and self.failure not in get_args(Failure):
            raise ValueError(f"{self.failure!r} is no way to fail")
        if not all(math.isfinite(each) for each in (self.ended_unix_s, self.duration_s, self.waited_s)):
            raise ValueError("a run ends at a time and takes some")

    @property
    def verdict(self) -> str:
        """The verdict, or ``"error"``."""
        return self.result.verdict if self.result is not None else "error"


def probe_labels(probe: str, scenario: Scenario, target: str) -> dict[str, str]:
    """Return the labels that all metrics of a probe carry; ``target`` is what results call it."""
    return {
        "probe": probe,
        "scenario": scenario.name,
        "target": scrub(target),
        **region_labels(scenario),
    }


def set_objectives(into: Instruments, objectives: Mapping[str, Objective]) -> None:
    """Set what a probe promises."""
    for slo, objective in objectives.items():
        into.set("rtcprobe_slo_limit_seconds", objective.limit_s, slo=slo)
        into.set("rtcprobe_slo_objective_ratio", objective.share, slo=slo)


def set_up(into: Instruments | Draft, scenario: Scenario, clock: Clock) -> None:
    """Set what is known of a probe before it runs."""
    access = access_labels(scenario)
    with into.anew(["rtcprobe_probe_info"]):
        into.set("rtcprobe_probe_info", 1, clock=clock, **access)


def start_series(into: Instruments, scenario: Scenario, *, outside: bool) -> None:
    """Make every series of closed lists known at 0, so that the first increase can be seen."""
    into.count("rtcprobe_runs_scheduled_total", 0)
    into.count("rtcprobe_join_attempts_total", 0)
    for verdict in get_args(Verdict):
        into.count("rtcprobe_runs_total", 0, verdict=verdict)
    for reason in get_args(Failure):
        into.count("rtcprobe_run_errors_total", 0, reason=reason)
    for reason in MISSES:
        into.count("rtcprobe_runs_missed_total", 0, reason=reason)
    # Only milestones that this kind of target has: a phase that cannot fail would be a series for nothing.
    for milestone in OUTSIDE_ORDER if outside else CALLER_ORDER:
        into.count("rtcprobe_join_failures_total", 0, phase=PHASE_OF[milestone])
    for slo in OBJECTIVES:
        for kept in ("good", "bad"):
            into.count("rtcprobe_slo_events_total", 0, slo=slo, outcome=kept)
    for fate in ("whole", "cut", "failed", "void"):
        into.count("rtcprobe_calls_total", 0, fate=fate)
    for timer in get_args(Timer):
        into.count("rtcprobe_join_retransmission_cost_seconds_total", 0, timer=timer)
        for side in ("caller", "callee"):
            into.count("rtcprobe_join_retransmissions_total", 0, timer=timer, side=side)
    for budget in scenario.budgets:
        for verdict in get_args(BudgetVerdict):
            labels = {"budget": budget.expression, "advisory": str(budget.advisory).lower()}
            into.count("rtcprobe_budget_verdicts_total", 0, verdict=verdict, **labels)


def add_run(into: Instruments | Draft, outcome: Outcome, objectives: Mapping[str, Objective]) -> None:
    """Add a run to the counters and histograms of its probe, its joins and markers judged by ``objectives``."""
    into.observe("rtcprobe_run_duration_seconds", outcome.duration_s)
    into.observe("rtcprobe_run_wait_seconds", outcome.waited_s)
    result = outcome.result
    if result is None:
        into.count("rtcprobe_run_errors_total", reason=outcome.failure or "crash")
        return
    # A worker of another version: a label from outside the list would be a series for ever.
    if result.verdict not in get_args(Verdict):
        raise ValueError(f"{result.verdict!r} is no verdict")
    into.count("rtcprobe_runs_total", verdict=result.verdict)
    # Before the invalid ones go: that calls were cut is the harness' concern.
    for placed in result.calls:
        into.count("rtcprobe_calls_total", fate=_call_fate(placed))
    if result.verdict == "invalid":
        return
    into.set("rtcprobe_last_valid_run_timestamp_seconds", outcome.ended_unix_s)
    _add_joins(into, result)
    _add_events(into, outcome, objectives)
    for direction, ear in directions(result).items():
        for sample in ear.samples:
            into.observe("rtcprobe_mouth_to_ear_seconds", sample.delay_s, direction=direction)
        for stage, seconds in ear.stages.items():
            if stage != "residual":
                labels = {"direction": direction, "stage": stage}
                # Where clocks of two ends are compared a stage may come out a hair below 0; a histogram's sum would
                # fall, as no counter may.
                into.observe("rtcprobe_mouth_to_ear_stage_seconds", max(0.0, seconds), **labels)
        for fate, number in _fates(ear):
            into.count("rtcprobe_markers_total", number, direction=direction, fate=fate)
    _add_turns(into, result)
    _add_messages(into, result)
    add_pictures(into, result)
    for each in result.budgets:
        labels = {"budget": each.expression, "advisory": str(each.advisory).lower()}
        into.count("rtcprobe_budget_verdicts_total", verdict=each.verdict, **labels)


_TURNS: Mapping[Kind, str] = {"response": "response_seconds", "barge_in": "barge_in_stop_seconds"}
"""Accounts of a conversation, and what their delays are called."""


def _add_turns(into: Instruments | Draft, result: Result) -> None:
    """Add the turns of a conversation."""
    for kind, name in _TURNS.items():
        for account in result.of_kind(kind).values():
            for sample in account.samples:
                into.observe(f"rtcprobe_{name}", sample.delay_s)
            for fate, number in _fates(account):
                into.count("rtcprobe_turns_total", number, kind=kind, fate=fate)


def _add_messages(into: Instruments | Draft, result: Result) -> None:
    """Add the messages over data channels."""
    for way, account in result.of_kind("messages").items():
        direction = _between(way)
        for sample in account.samples:
            into.observe("rtcprobe_message_delay_seconds", sample.delay_s, direction=direction)
        for fate, number in _fates(account):
            into.count("rtcprobe_messages_total", number, direction=direction, fate=fate)


def _between(way: Way) -> str:
    """Return whose messages they are, as the sound of the same two is labelled."""
    return Way.of(way.talker, way.listener)


def set_last_run(into: Instruments | Draft, outcome: Outcome, objectives: Mapping[str, Objective] = OBJECTIVES) -> None:
    """Set the ``last_…`` gauges to this run alone, its joins and markers judged by ``objectives``."""
    with into.anew(_LAST):
        for verdict in (*get_args(Verdict), "error"):
            into.set("rtcprobe_last_run_verdict", float(verdict == outcome.verdict), verdict=verdict)
        into.set("rtcprobe_last_run_timestamp_seconds", outcome.ended_unix_s)
        into.set("rtcprobe_last_run_duration_seconds", outcome.duration_s)
        if outcome.result is not None:
            _set_harness(into, outcome.result)
            if outcome.result.verdict != "invalid":
                _set_figures(into, outcome.result)
                own = directions(outcome.result)
                _set_goals(into, [each for each in outcome.goals if each.direction is None or each.direction in own])
                for slo, (events, bad) in events_of(outcome, objectives).items():
                    if events:
                        into.set("rtcprobe_last_slo_kept_ratio", 1.0 - bad / events, slo=slo)


def failed_phase(attempt: Join) -> str:
    """Return the phase that a failed join never finished: the one that ends with the milestone it awaited."""
    awaited = attempt.awaited
    return _OTHER if awaited is None else _phase(PHASE_OF.get(awaited, awaited))


def _add_joins(into: Instruments | Draft, result: Result) -> None:
    attempts = result.join.attempts
    into.count("rtcprobe_join_attempts_total", len(attempts))
    for attempt in attempts:
        if attempt.failed is not None or attempt.first_audio_s is None:
            into.count("rtcprobe_join_failures_total", phase=failed_phase(attempt))
        else:
            into.observe("rtcprobe_join_seconds", attempt.first_audio_s)
        for phase, seconds in attempt.phases.items():
            into.observe("rtcprobe_join_phase_seconds", seconds, phase=_phase(phase))
        for each in attempt.retransmissions:
            into.count("rtcprobe_join_retransmissions_total", timer=each.timer, side=party_label(result, each.party))
            into.count("rtcprobe_join_retransmission_cost_seconds_total", each.cost_s, timer=each.timer)


def events_of(outcome: Outcome, objectives: Mapping[str, Objective]) -> Mapping[str, tuple[int, int]]:
    """Return by objective how many events a run had, and how many broke their limit; of an invalid run, none.

    Events are all joins that were tried, and all markers but the rejected ones.
    """
    result = outcome.result
    if result is None or result.verdict == "invalid":
        return dict.fromkeys(objectives, (0, 0))
    # None is an event that broke any limit: a join never heard, a marker lost.
    joins_s = [None if each.failed is not None else each.first_audio_s for each in result.join.attempts]
    delays_s: list[float | None] = []
    for ear in result.mouth_to_ear.values():
        delays_s += [each.delay_s for each in ear.samples]
        delays_s += [None] * ear.lost
    out = {}
    for slo, events_s in (("join", joins_s), ("mouth_to_ear", delays_s)):
        good = sum(each is not None and each <= objectives[slo].limit_s for each in events_s)
        out[slo] = (len(events_s), len(events_s) - good)
    return out


def _add_events(into: Instruments | Draft, outcome: Outcome, objectives: Mapping[str, Objective]) -> None:
    for slo, (events, bad) in events_of(outcome, objectives).items():
        into.count("rtcprobe_slo_events_total", events - bad, slo=slo, outcome="good")
        into.count("rtcprobe_slo_events_total", bad, slo=slo, outcome="bad")


def _set_figures(into: Instruments | Draft, result: Result) -> None:
    _set_joins(into, result)
    for direction, ear in directions(result).items():
        _set_ear(into, direction, ear)
    set_room(into, result)
    _set_turns(into, result)
    for way, account in result.of_kind("messages").items():
        for fate, number in _fates(account):
            into.set("rtcprobe_last_messages", number, direction=_between(way), fate=fate)
        if account.summary is not None and account.samples:
            _set_all(into, "rtcprobe_last_message_delay_seconds", _figures_of(account.summary), direction=_between(way))
    set_pictures(into, result)
    _set_links(into, result)
    for each in result.budgets:
        # Undecided is neither: an alert on 0 would fire by chance, one on 1 would be told that all is well.
        if each.verdict in ("met", "missed"):
            labels = {"budget": each.expression, "advisory": str(each.advisory).lower()}
            into.set("rtcprobe_last_budget_met", float(each.verdict == "met"), **labels)


def _set_goals(into: Instruments | Draft, goals: Iterable[Goal]) -> None:
    for goal in goals:
        found = goal.outcome
        for bound, value in (("share", found.value), ("low", found.low), ("high", found.high)):
            if value is None:
                continue
            if goal.direction is None:
                into.set("rtcprobe_last_join_beyond_600ms_ratio", value, bound=bound)
            else:
                into.set("rtcprobe_last_mouth_to_ear_beyond_100ms_ratio", value, direction=goal.direction, bound=bound)


def _set_joins(into: Instruments | Draft, result: Result) -> None:
    attempts = result.join.attempts
    into.set("rtcprobe_last_join_attempts", len(attempts))
    failures: dict[str, int] = {}
    timers: dict[str, int] = dict.fromkeys(get_args(Timer), 0)
    phases: dict[str, list[float]] = {}
    for attempt in attempts:
        if attempt.failed is not None or attempt.first_audio_s is None:
            phase = failed_phase(attempt)
            failures[phase] = failures.get(phase, 0) + 1
        for name, seconds in attempt.phases.items():
            phases.setdefault(_phase(name), []).append(seconds)
        for each in attempt.retransmissions:
            timers[each.timer] += 1
    for phase, number in failures.items():
        into.set("rtcprobe_last_join_failures", number, phase=phase)
    for timer, number in timers.items():
        into.set("rtcprobe_last_join_retransmissions", number, timer=timer)
    for phase, each_s in phases.items():
        into.set("rtcprobe_last_join_phase_seconds", math.fsum(each_s) / len(each_s), phase=phase)
    summary = result.join.summary.get("first_audio")
    heard_s = [each.first_audio_s for each in attempts if each.failed is None and each.first_audio_s is not None]
    # Mean and extremes of those that were heard, beside percentiles that count the others as later than all: a summary
    # has no mean where one never came.
    if summary is not None and heard_s:
        figures = {"min": min(heard_s), "mean": math.fsum(heard_s) / len(heard_s), "max": max(heard_s)}
        quantiles = {name: found.value for name in _AGGREGATES if (found := summary.quantile(name)) is not None}
        _set_all(into, "rtcprobe_last_join_seconds", {**figures, **quantiles})


def _set_turns(into: Instruments | Draft, result: Result) -> None:
    for kind, name in _TURNS.items():
        for account in result.of_kind(kind).values():
            if account.summary is not None and account.samples:
                _set_all(into, f"rtcprobe_last_{name}", _figures_of(account.summary))


def _figures_of(summary: Summary) -> dict[str, float | None]:
    """Return what is exported of a summary, by aggregate."""
    figures = {"min": summary.minimum, "mean": summary.mean, "max": summary.maximum}
    return figures | {name: found.value for name in _AGGREGATES if (found := summary.quantile(name)) is not None}


def _set_ear(into: Instruments | Draft, direction: str, ear: Account) -> None:
    for fate, number in _fates(ear):
        into.set("rtcprobe_last_markers", number, direction=direction, fate=fate)
    for stage, seconds in ear.stages.items():
        into.set("rtcprobe_last_mouth_to_ear_stage_seconds", seconds, direction=direction, stage=stage)
    if ear.summary is not None:
        _set_all(into, "rtcprobe_last_mouth_to_ear_seconds", _figures_of(ear.summary), direction=direction)
    for name, value in (
        ("concealed_ratio", ear.concealed),
        ("unplayed_ratio", ear.unplayed),
        ("r", ear.r),
        ("mos", None if ear.quality is None else ear.quality.mos),
        ("listening_mos", None if ear.quality is None else ear.quality.listening_mos),
    ):
        if value is not None:
            into.set(f"rtcprobe_last_{name}", value, direction=direction)


def _set_links(into: Instruments | Draft, result: Result) -> None:
    # A room's legs are many and their emulation is not what a dashboard is for (``rooms``).
    if len(result.link) > MOST:
        return
    for direction, report in result.link.items():
        for seen, figures in (("requested", report.requested), ("achieved", report.achieved)):
            delays = {each: getattr(figures, f"delay_{each}_s") for each in ("min", "p5", "p50", "p95", "p99", "max")}
            _set_all(into, "rtcprobe_last_link_delay_seconds", delays, direction=direction, seen=seen)
            if figures.loss is not None:
                into.set("rtcprobe_last_link_loss_ratio", figures.loss, direction=direction, seen=seen)


def _set_harness(into: Instruments | Draft, result: Result) -> None:
    harness = result.harness
    if harness.detection_error_s is not None:
        into.set("rtcprobe_last_harness_detection_error_seconds", harness.detection_error_s)
    for part, late in harness.latenesses.items():
        figures = {"p50": late.p50_s, "p95": late.p95_s, "p99": late.p99_s}
        _set_all(into, "rtcprobe_last_harness_lateness_seconds", figures, part=part)


def _set_all(into: Instruments | Draft, name: str, figures: Mapping[str, float | None], **labels: str) -> None:
    for aggregate, value in figures.items():
        if value is not None:
            into.set(name, value, aggregate=aggregate, **labels)


def _call_fate(placed: PlacedCall) -> str:
    """Return what became of a call: a void one is that, whatever else befell it."""
    if placed.void is not None:
        return "void"
    return "failed" if placed.failed is not None else "cut" if placed.cut is not None else "whole"


def _fates(ear: Account) -> Iterable[tuple[str, int]]:
    return (("heard", ear.heard), ("rejected", ear.rejected), ("lost", ear.lost))


def _phase(name: str) -> str:
    return name if name in PHASES else _OTHER
