"""What a run or a check says, one case each: the common ground of JUnit, GitHub annotations and the like.

Rules:
    1. Every result has the case ``measurement``, whether it could be measured and trusted at all: a run without budgets
       that heard nothing is red too.
    2. Only what decides the exit code fails or errs; advisory misses and undecided budgets are *noted*.
    3. The goals people feel are cases too. They are advice: noted where they are not kept, and never annotated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rtcprobe.report.ears import latest_ways
from rtcprobe.report.lead import goal_sentence
from rtcprobe.report.sentences import arrow, bounds, figure, interval, milliseconds
from rtcprobe.result import BudgetOutcome, Result
from rtcprobe.verdict import Goal, goals

__all__ = [
    "MEASUREMENT",
    "Case",
    "Outcome",
    "Suite",
    "budget_sentence",
    "fault",
    "gravest",
    "result_cases",
    "unjudged_reasons",
]

Outcome = Literal["passed", "failed", "error", "noted"]

MEASUREMENT = "measurement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing judged. ``skips``: a note that stands for a miss which does not count (advisory).

    ``goal``: one of the goals that every result is held against, asked for or not.
    """

    suite: str
    name: str
    outcome: Outcome
    message: str = ""
    skips: bool = False
    goal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What was measured of a scenario, whatever came of it: how long that took, when and where, and the main figures.

    ``began`` is a date as ISO 8601 writes it (UTC), "" where it is not known, as ``host``.
    """

    name: str
    time_s: float
    began: str = ""
    host: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, runs: Sequence[Result], time_s: float) -> Suite:
        """Return what ``runs`` of the scenario ``name``, ``time_s`` seconds in the making, say of themselves."""
        if not runs:
            return cls(name=name, time_s=time_s)
        first = runs[0]
        # Of the first run: those of one suite were made one after the other on one machine.
        made = {key: str(first.environment.get(key, "")) for key in ("date", "host", "commit", "rtcprobe")}
        told = {
            "target": first.target,
            "clock": first.clock,
            "seed": ", ".join(str(each.seed) for each in runs),
            "scenario_digest": first.scenario_digest,
            **{key: said for key, said in made.items() if key in ("commit", "rtcprobe")},
            # Figures of one of several runs would be taken for those of all.
            **(dict(_figures(first)) if len(runs) == 1 else {}),
        }
        return cls(
            name=name,
            time_s=time_s,
            began=made["date"],
            host=made["host"],
            properties={key: said for key, said in told.items() if said},
        )


def _figures(result: Result) -> Iterator[tuple[str, str]]:
    """Yield the percentiles people look for, in milliseconds, by the name a budget gives them."""
    summaries = [("join.first_audio", result.join.summary.get("first_audio"))]
    summaries += [("join.first_picture", result.join.summary.get("first_picture"))]
    for kind in ("mouth_to_ear", "glass_to_glass", "response", "barge_in"):
        summaries += [(f"{kind}.{way}", each.summary) for way, each in result.of_kind(kind).items()]
    for metric, summary in summaries:
        for name in ("p50", "p95"):
            found = None if summary is None else summary.quantile(name)
            if found is not None and found.value is not None:
                yield f"{metric} {name}", f"{milliseconds(found.value)} ms {interval(found)}"


def result_cases(result: Result, *, strict: bool = False) -> list[Case]:
    """Return the cases of a result: its measurement, its budgets in their order, then the goals people feel."""
    untold = unjudged_reasons(result)
    # An inconclusive run whose reasons are its budgets' is told by these; one without any reason must not look
    # measured.
    useless = untold or result.verdict == "invalid" or (result.verdict == "inconclusive" and not result.reasons)
    measured = Case(
        suite=result.scenario,
        name=MEASUREMENT,
        outcome="error" if useless else "passed",
        message="; ".join(untold) or (result.verdict if useless else ""),
    )
    budgets = (_case(result.scenario, each, strict=strict) for each in result.budgets)
    ways = latest_ways(result.mouth_to_ear)
    # A room of fifty has 2,450 ways: as many goal cases would bury the budgets.
    felt = [each for each in goals(result) if each.direction is None or each.direction in ways]
    return [measured, *budgets, *(_goal(result.scenario, each) for each in felt)]


def fault(scenario: str, sentence: str) -> Case:
    """Return the case of a scenario that could not be measured."""
    return Case(suite=scenario, name=MEASUREMENT, outcome="error", message=sentence)


def unjudged_reasons(result: Result) -> tuple[str, ...]:
    """Return the reasons of the verdict that no budget tells."""
    judged = tuple(each.expression for each in result.budgets)
    # Reasons of budgets begin with their line (``verdict.judge``): those are cases of their own.
    return tuple(each for each in result.reasons if not (judged and each.startswith(judged)))


def budget_sentence(outcome: BudgetOutcome) -> str:
    """Return ``"join.first_audio p95 < 600ms is 630.2 ms [618.4–open]: the limit lies …"``."""
    said = "" if outcome.value is None else f" is {figure(outcome.value, outcome.unit)}"
    if said and (outcome.low, outcome.high) != (None, None):
        said += f" {bounds(outcome.low, outcome.high, outcome.unit)}"
    advisory = " (advisory)" if outcome.advisory else ""
    return f"{outcome.expression}{advisory}{said}" + (f": {outcome.reason}" if outcome.reason else "")


def gravest(cases: Iterable[Case]) -> Sequence[Case]:
    """Return the cases that did not pass, gravest first; goals, which nobody asked for, left out."""
    order = ("failed", "error", "noted")
    return sorted(
        (each for each in cases if each.outcome != "passed" and not each.goal),
        key=lambda each: order.index(each.outcome),
    )


def _goal(scenario: str, goal: Goal) -> Case:
    verdict = goal.outcome.verdict
    way = "" if goal.direction is None else f", {arrow(goal.direction)}"
    return Case(
        suite=scenario,
        name=f"goal: {goal.name}{way}",
        outcome="passed" if verdict == "met" else "noted",
        message=goal_sentence(goal),
        # Out of reach is skipped, not passed with a note: nobody could have kept it.
        skips=verdict == "missed" or goal.out_of_reach,
        goal=True,
    )


def _case(scenario: str, outcome: BudgetOutcome, *, strict: bool) -> Case:
    found: Outcome
    if outcome.verdict == "met":
        found = "passed"
    elif outcome.advisory or (outcome.verdict == "undecided" and not strict):
        found = "noted"
    else:
        found = "error" if outcome.verdict == "inconclusive" else "failed"
    message = budget_sentence(outcome)
    # First of all the word: a viewer cuts long messages.
    if outcome.verdict == "undecided":
        message = f"undecided{', which --strict fails' if found == 'failed' else ''}: {message}"
    return Case(
        suite=scenario,
        name=outcome.expression + (" (advisory)" if outcome.advisory else ""),
        outcome=found,
        message=message,
        skips=outcome.advisory and outcome.verdict != "undecided",
    )
