"""What a run or a check says, one case each: the common ground of JUnit, GitHub annotations and the like.

Rules:
    1. Every result has the case ``measurement``, whether it could be measured and trusted at all: a run without budgets
       that heard nothing is red too.
    2. Only what decides the exit code fails or errs; advisory misses and undecided budgets are *noted*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rtcprobe.report.sentences import bounds, figure
from rtcprobe.result import BudgetOutcome, Result

__all__ = ["MEASUREMENT", "Case", "Outcome", "budget_sentence", "fault", "gravest", "result_cases", "unjudged_reasons"]

Outcome = Literal["passed", "failed", "error", "noted"]

MEASUREMENT = "measurement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing judged. ``skips``: a note that stands for a miss which does not count (advisory)."""

    suite: str
    name: str
    outcome: Outcome
    message: str = ""
    skips: bool = False


def result_cases(result: Result, *, strict: bool = False) -> list[Case]:
    """Return the cases of a result: its measurement, then its budgets in their order."""
    untold = unjudged_reasons(result)
    useless = untold or result.verdict == "invalid" or (result.verdict == "inconclusive" and not result.reasons)
    measured = Case(
        suite=result.scenario,
        name=MEASUREMENT,
        outcome="error" if useless else "passed",
        message="; ".join(untold) or (result.verdict if useless else ""),
    )
    return [measured, *(_case(result.scenario, each, strict=strict) for each in result.budgets)]


def fault(scenario: str, sentence: str) -> Case:
    """Return the case of a scenario that could not be measured."""
    return Case(suite=scenario, name=MEASUREMENT, outcome="error", message=sentence)


def unjudged_reasons(result: Result) -> tuple[str, ...]:
    """Return the reasons of the verdict that no budget tells."""
    judged = tuple(each.expression for each in result.budgets)
    return tuple(each for each in result.reasons if not (judged and each.startswith(judged)))


def budget_sentence(outcome: BudgetOutcome) -> str:
    """Return ``"join.first_audio p95 < 600ms is 630.2 ms [618.4–open]: the limit lies …"``."""
    said = "" if outcome.value is None else f" is {figure(outcome.value, outcome.unit)}"
    if said and (outcome.low, outcome.high) != (None, None):
        said += f" {bounds(outcome.low, outcome.high, outcome.unit)}"
    advisory = " (advisory)" if outcome.advisory else ""
    return f"{outcome.expression}{advisory}{said}" + (f": {outcome.reason}" if outcome.reason else "")


def gravest(cases: Iterable[Case]) -> Sequence[Case]:
    """Return the cases that did not pass, gravest first."""
    order = ("failed", "error", "noted")
    return sorted((each for each in cases if each.outcome != "passed"), key=lambda each: order.index(each.outcome))


def _case(scenario: str, outcome: BudgetOutcome, *, strict: bool) -> Case:
    found: Outcome
    if outcome.verdict == "met":
        found = "passed"
    elif outcome.advisory or (outcome.verdict == "undecided" and not strict):
        found = "noted"
    else:
        found = "error" if outcome.verdict == "inconclusive" else "failed"
    message = budget_sentence(outcome)
    if outcome.verdict == "undecided":
        message = f"undecided{', which --strict fails' if found == 'failed' else ''}: {message}"
    return Case(
        suite=scenario,
        name=outcome.expression + (" (advisory)" if outcome.advisory else ""),
        outcome=found,
        message=message,
        skips=outcome.advisory and outcome.verdict != "undecided",
    )
