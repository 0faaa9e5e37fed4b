"""The last runs of each probe, reduced to what a small picture needs: bounded, however long a call was."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rtcprobe.exporter.outcome import Outcome
from rtcprobe.report.lead import goal_sentence
from rtcprobe.report.sentences import arrow
from rtcprobe.result import Join, Result
from rtcprobe.verdict import Goal

__all__ = ["KEPT", "Board", "RunView", "view"]

KEPT = 20
"""Runs remembered of each probe."""

MOST_POINTS = 120
"""Delays kept of each direction: as many as a sparkline has pixels for."""

# A card of the page has room for no more; a run of a large room can have a reason a way.
_MOST_REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run: Unix seconds, seconds, ``phases`` of the middle join, ``delays`` per direction in the order heard.

    A delay of None is a marker that was not heard. ``goals`` are names and sentences. ``report`` is
    the file name of its HTML report, "" without.
    """

    at_unix_s: float
    duration_s: float
    seed: int
    verdict: str
    reasons: tuple[str, ...] = ()
    joins: int = 0
    joins_heard: int = 0
    join_p50_s: float | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    delays: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    delay_p50_s: Mapping[str, float | None] = field(default_factory=dict)
    delay_p95_s: Mapping[str, float | None] = field(default_factory=dict)
    goals: Sequence[tuple[str, str]] = ()
    report: str = ""


def view(outcome: Outcome, report: str = "") -> RunView:
    """Return the small picture of a run; ``report`` is the file name of its HTML report."""
    result = outcome.result
    if result is None:
        return RunView(
            at_unix_s=outcome.ended_unix_s,
            duration_s=outcome.duration_s,
            seed=outcome.seed,
            verdict=outcome.verdict,
            reasons=(outcome.sentence,),
        )
    heard = sorted(
        (each for each in result.join.attempts if each.failed is None and each.first_audio_s is not None),
        key=_total_s,
    )
    # A join that took place, not a mean of phases: only of one join do the phases sum to what is written beside them.
    # The upper of two middles.
    middle = heard[len(heard) // 2] if heard else None
    return RunView(
        at_unix_s=outcome.ended_unix_s,
        duration_s=outcome.duration_s,
        seed=outcome.seed,
        verdict=result.verdict,
        reasons=result.reasons[:_MOST_REASONS],
        joins=len(result.join.attempts),
        joins_heard=len(heard),
        join_p50_s=None if middle is None else middle.first_audio_s,
        phases={} if middle is None else dict(middle.phases),
        delays={direction: _delays(result, direction) for direction in result.mouth_to_ear},
        delay_p50_s={direction: _quantile(result, direction, "p50") for direction in result.mouth_to_ear},
        delay_p95_s={direction: _quantile(result, direction, "p95") for direction in result.mouth_to_ear},
        goals=() if result.verdict == "invalid" else tuple(_goal(each) for each in outcome.goals),
        report=report,
    )


class Board:
    """The last ``KEPT`` runs by probe, newest first."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[RunView]] = {}

    def add(self, probe: str, run: RunView) -> None:
        """Remember a run."""
        self._runs.setdefault(probe, deque(maxlen=KEPT)).appendleft(run)

    def runs(self, probe: str) -> Sequence[RunView]:
        """Return what is remembered of a probe, newest first."""
        return tuple(self._runs.get(probe, ()))

    def forget(self, probe: str) -> None:
        """Forget a probe."""
        self._runs.pop(probe, None)


def _goal(goal: Goal) -> tuple[str, str]:
    way = "" if goal.direction is None else f", {arrow(goal.direction)}"
    return f"{goal.name}{way}", goal_sentence(goal)


def _total_s(attempt: Join) -> float:
    return attempt.first_audio_s or 0.0


def _delays(result: Result, direction: str) -> Sequence[float | None]:
    ear = result.mouth_to_ear[direction]
    spoken: list[tuple[int, float, float | None]] = [(each.call, each.spoken_s, each.delay_s) for each in ear.samples]
    # In the order spoken, so that a marker that was lost stands where it was missed.
    spoken += [(each.call, each.spoken_s, None) for each in ear.missed]
    delays = [delay_s for _, _, delay_s in sorted(spoken, key=lambda each: each[:2])]
    if len(delays) <= MOST_POINTS:
        return tuple(delays)
    step = len(delays) / MOST_POINTS  # of each stretch the worst: a small picture must not hide it
    stretches = (delays[round(number * step) : round((number + 1) * step)] for number in range(MOST_POINTS))
    # A lost marker is the worst there is: it is drawn, whatever its neighbours were.
    return tuple(None if None in each else max(value for value in each if value is not None) for each in stretches)


def _quantile(result: Result, direction: str, name: str) -> float | None:
    summary = result.mouth_to_ear[direction].summary
    found = None if summary is None else summary.quantile(name)
    return None if found is None else found.value
