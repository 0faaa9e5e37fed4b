"""What a reader sees first: the verdict in a sentence, what is slow, the figures that matter, the budgets.

Rules:
    1. Nothing is computed that the result does not hold; here figures are only chosen, ordered and written.
    2. What was not measured is a dash, never a zero.
    3. Whatever ways a result has are shown, in its order; what is told of one alone is told of the soonest and the
       latest where there are more than two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rtcprobe.report.html.tables import MOST_COLUMNS
from rtcprobe.report.html.words import NOTHING, arrow, percentile, spaced, upper
from rtcprobe.report.lead import out_of_reach
from rtcprobe.report.plateaus import plateau_sentences
from rtcprobe.report.sentences import attribution, beyond, bounds, figure, interval, milliseconds, slowest, typical
from rtcprobe.report.words import retold, say
from rtcprobe.result import Account, BudgetOutcome, Quantile, Result, Summary
from rtcprobe.verdict import Goal, goals
from rtcprobe.ways import Way

__all__ = ["TONES", "BudgetRow", "Tile", "Tone", "budget_rows", "notes", "sentence", "slow_parts", "tiles"]

Tone = Literal["good", "bad", "warn", "plain"]

TONES: Mapping[str, Tone] = {
    "pass": "good",
    "met": "good",
    "fail": "bad",
    "missed": "bad",
    "invalid": "bad",
    "inconclusive": "warn",
    "undecided": "warn",
}

# What needs a look first.
_ORDER = ("missed", "inconclusive", "undecided", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure that matters, large: what it is, the figure, what to know about it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """One budget: its verdict, the line as it was written, what it is, and why."""

    verdict: str
    tone: Tone
    expression: str
    value: str
    interval: str
    reason: str


def sentence(result: Result) -> str:
    """Return why the verdict is what it is, in one sentence."""
    if result.verdict == "invalid":
        return say("Not to be trusted: {why}.", why=_reason(result))
    # Before the verdict's own sentence: what is missing was not measured, and is no failure.
    if result.interrupted:
        return say("Interrupted: only what was measured until then is here.")
    binding = [each for each in result.budgets if not each.advisory]
    missed = [each for each in binding if each.verdict == "missed"]
    if result.verdict == "fail" and missed:
        more = say(", and {count} more", count=len(missed) - 1) if len(missed) > 1 else ""
        worst = missed[0]
        return say(
            "{missed} of {count} budgets missed: {line} is {value}{more}.",
            missed=len(missed),
            count=len(binding),
            line=worst.expression,
            value=_value(worst),
            more=more,
        )
    if result.verdict != "pass":
        return say("{said}.", said=upper(_reason(result)))
    if not result.budgets:
        return say("Measured; there was no budget to judge it by.")
    # A pass with something undecided must not read like one without.
    undecided = sum(each.verdict == "undecided" for each in binding)
    advisory = sum(each.advisory and each.verdict == "missed" for each in result.budgets)
    if undecided:
        said = say(
            "No budget missed; {undecided} of {count} undecided at {confidence}",
            undecided=undecided,
            count=len(binding),
            confidence=_confidence(result),
        )
    elif binding:
        said = (
            say("The budget was met") if len(binding) == 1 else say("All {count} budgets were met", count=len(binding))
        )
    else:
        said = say("No budget was binding")
    return say("{said}; {count} advisory missed.", said=said, count=advisory) if advisory else say("{said}.", said=said)


def notes(result: Result) -> tuple[str, ...]:
    """Return what neither the sentence on top nor the budgets say: further reasons, and warnings; each once."""
    told = tuple(each.expression for each in result.budgets)
    said = sentence(result)
    # A budget's reason stands in its row.
    reasons = [retold(each) for each in result.reasons if not (told and each.startswith(told))]
    reasons = [each for each in reasons if each not in said]
    extra = [say("The call was cut short: {why}", why=retold(result.cut))] if result.cut else []
    warned = [say("Warning: {text}", text=retold(each)) for each in result.warnings]
    far = [upper(each) for each in out_of_reach(goals(result))]
    every = [*(upper(each) for each in reasons if upper(each) not in said), *extra, *warned, *far]
    return tuple(
        # Twenty calls may warn of the same thing: once, with how often.
        each if (n := every.count(each)) == 1 else say("{said} ({count} times)", said=each, count=n)
        for each in dict.fromkeys(every)
    )


def slow_parts(result: Result) -> tuple[str, ...]:
    """Return which part is slow, a sentence for the join, its timers, and each direction."""
    said: list[str] = []
    middle, last = typical(result.join.attempts), slowest(result.join.attempts)
    if middle is not None and middle.phases and middle.first_audio_s:
        said.append(say("Typical join: longest is {what}.", what=_most(middle.phases, middle.first_audio_s)))
    told = None if last is None else attribution(last)
    if told is not None:
        said.append(say("Slowest join: {what}.", what=told))
    said.extend(
        say("Mouth to ear, {way}: longest is {what}.", way=arrow(way), what=_most(ear.stages, ear.total_s))
        for way, ear in _told(result)
        if ear.stages and ear.total_s > 0
    )
    return (*said, *plateau_sentences(result.mouth_to_ear.values()))


def tiles(result: Result) -> tuple[Tile, ...]:
    """Return the figures a reader looks for first."""
    attempts = result.join.attempts
    heard = sum(each.first_audio_s is not None for each in attempts)
    out: list[Tile] = []
    if attempts:
        count = say("{heard} of {total} heard", heard=heard, total=len(attempts))
        out += _pair(say("Join"), result.join.summary.get("first_audio"), count)
    told = _told(result)
    for way, ear in told:
        if ear.scheduled:
            count = say("{heard} of {total} markers heard", heard=ear.heard, total=ear.scheduled)
            out += _pair(say("Mouth to ear, {way}", way=arrow(way)), ear.summary, count)
    ways = [way for way, _ in told]
    return (*out, *(_goal(each) for each in goals(result) if each.direction is None or each.direction in ways))


def _told(result: Result) -> list[tuple[Way, Account]]:
    """Return the ways told one by one: all; of more than two the soonest and the latest, as the table has all."""
    every = list(result.mouth_to_ear.items())
    if len(every) <= MOST_COLUMNS:
        return every
    ranked = sorted(every, key=lambda each: each[1].total_s if each[1].heard else math.inf)
    # As the screen does (``report.ears``): the soonest and the latest bound all others.
    return [ranked[0], ranked[-1]]


def _goal(goal: Goal) -> Tile:
    """Return the share beyond a goal as a tile."""
    # "12% [8%–17%]": the share is the tile's figure, its interval stands below.
    share, _, spread = beyond(goal.outcome).partition(" ")
    word = say("out of reach" if goal.out_of_reach else goal.outcome.verdict)
    if goal.direction is None:
        name = say("Later than {limit:g} ms to connect", limit=goal.limit_s * 1e3)
        note = say("{spread} of {count:,} joins · goal 5%: {word}", spread=spread, count=goal.of, word=word).strip()
    else:
        name = say("Later than {limit:g} ms to the ear, {way}", limit=goal.limit_s * 1e3, way=arrow(goal.direction))
        note = say("{spread} of {count:,} markers · goal 5%: {word}", spread=spread, count=goal.of, word=word).strip()
    return Tile(name=name, value=NOTHING if share == "-" else share, note=note)


def budget_rows(outcomes: Iterable[BudgetOutcome]) -> tuple[BudgetRow, ...]:
    """Return the budgets, those that need a look first."""
    ranked = sorted(outcomes, key=lambda each: (_rank(each.verdict), each.advisory))
    return tuple(
        BudgetRow(
            verdict=say(each.verdict),
            # Advice that was not taken is no failure, and is not red.
            tone="warn" if each.advisory and each.verdict == "missed" else TONES.get(each.verdict, "plain"),
            expression=each.expression + (say(" (advisory)") if each.advisory else ""),
            value=_value(each),
            interval="" if each.low is None and each.high is None else bounds(each.low, each.high, each.unit),
            reason=retold(each.reason),
        )
        for each in ranked
    )


def _pair(name: str, summary: Summary | None, count: str) -> Iterator[Tile]:
    """Return the median and the tail of ``summary`` as tiles."""
    middle, tail = percentile(summary, "p50"), percentile(summary, "p95")
    yield Tile(name=say("{what}, median", what=name), value=_large(middle), note=f"{_sure(middle)}{count}")
    yield Tile(name=f"{name}, p95", value=_large(tail), note=_sure(tail).removesuffix(" · "))


def _large(found: Quantile | None) -> str:
    if found is None or found.value is None:
        # Enough values for the percentile, and none at it: it lies among those that never came.
        return say("never") if found is not None and found.needs is None else NOTHING
    # A decimal below a second; of a join of 2,431 ms it would be noise.
    return f"{milliseconds(found.value, 1 if found.value < 1.0 else 0)} ms"


def _sure(found: Quantile | None) -> str:
    if found is None:
        return ""
    if found.needs is not None:
        return say("needs {count}", count=found.needs) + " · "
    return "" if found.value is None else f"{interval(found)} · "


def _most(parts: Mapping[str, float], total_s: float) -> str:
    # Of equal ones the first: phases and stages come in the order in which they are passed.
    name = max(parts, key=lambda each: parts[each])
    return say(
        "{part}, {ms} of {total} ms ({share:.0%})",
        part=spaced(name),
        ms=milliseconds(parts[name], 0),
        total=milliseconds(total_s, 0),
        share=parts[name] / total_s,
    )


def _value(outcome: BudgetOutcome) -> str:
    return say("not measured") if outcome.value is None else figure(outcome.value, outcome.unit)


def _rank(verdict: str) -> int:
    return _ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)


def _confidence(result: Result) -> str:
    summaries = [*result.join.summary.values(), *(e.summary for e in result.mouth_to_ear.values() if e.summary)]
    return (
        say("{share:.0%} confidence", share=summaries[0].confidence) if summaries else say("the confidence asked for")
    )


def _reason(result: Result) -> str:
    return retold(result.reasons[0]) if result.reasons else say("no reason was recorded")
