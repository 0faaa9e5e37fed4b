"""From measurements to a verdict: summaries, budgets, and the one word for the whole run.

Rules, the first that applies:
    1. *invalid*: the probe said so (the instrument dominated); no figure of the run may be used.
    2. *inconclusive*: no join was heard (where the engine makes joins), whatever the budgets say: an unreachable far
       side is no measurement.
    3. *fail*: a budget was missed that is not advisory.
    4. *inconclusive*: silence is not success. An ear heard nothing, the run was interrupted, or a budget that is not
       advisory could not be judged, or all that bind are about joins and the engine makes none. In a room the ways of
       somebody who never came leave the others measured: they are among the reasons, and budgets are about those.
    5. *pass*; undecided budgets, whose limit lies inside the interval, are among its reasons. Under ``strict`` they
       count as missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rtcprobe.result import Result, Summary, Verdict
from rtcprobe.verdict.budgets import Budget, evaluate
from rtcprobe.verdict.dialects import told_by
from rtcprobe.verdict.intervals import of_calls
from rtcprobe.verdict.join_figures import phase_order
from rtcprobe.verdict.metrics import METRICS, phase_metric
from rtcprobe.verdict.room import room_of
from rtcprobe.verdict.statistics import summarise
from rtcprobe.ways import Way

__all__ = ["judge", "summarise_joins"]


def judge(result: Result, budgets: Iterable[Budget], *, strict: bool = False) -> Result:
    """Return ``result`` with its summaries, budgets, verdict and reasons filled in.

    ``strict``: an undecided budget fails the run.

    A verdict of ``"invalid"`` with its reasons, set by the probe, stays.
    """
    accounts = tuple(replace(each, summary=of_calls(each).summary()) for each in result.accounts)
    summed = replace(result, join=replace(result.join, summary=summarise_joins(result)), accounts=accounts)
    service = result.settings.get("figures")
    summed = replace(summed, room=room_of(summed))
    summed = told_by(summed, service) if isinstance(service, str) else summed
    asked = tuple(budgets)
    # Budgets are judged of what was summed and named, never of the raw result: a figure is what the report shows.
    outcomes = tuple(evaluate(_binding(budget, result), summed) for budget in asked)
    judged = replace(summed, budgets=outcomes)
    if result.verdict == "invalid":
        return judged
    verdict, reasons = _verdict(judged, strict=strict)
    # Every budget that binds was about joins and became advisory: a pass would be one that nothing was asked of.
    freed = not all(each.advisory for each in asked) and all(each.advisory for each in outcomes)
    if verdict == "pass" and freed:
        verdict, reasons = "inconclusive", ("every budget that binds is about joins, and this engine makes none",)
    return replace(judged, verdict=verdict, reasons=reasons)


def summarise_joins(result: Result) -> Mapping[str, Summary]:
    """Return the summaries of the joins by metric name: milestones, then the phases as they went; seconds."""
    if not result.join.attempts:
        return {}
    out: dict[str, Summary] = {}
    seen_too = any("first_picture" in each.marks for each in result.join.attempts)
    milestones = ("first_audio", "first_picture") if seen_too else ("first_audio",)
    for name in (*milestones, *phase_order(result.join.attempts)):
        metric = METRICS[f"join.{name}"] if f"join.{name}" in METRICS else phase_metric(name)
        seen = metric.read(result)
        # Where no join got as far, ``_join`` counts none as never: there all attempts are, so that the table says so.
        out[name] = summarise(seen.values, never=seen.never if seen.values else len(result.join.attempts))
    return out


def _verdict(result: Result, *, strict: bool) -> tuple[Verdict, tuple[str, ...]]:
    binding = [each for each in result.budgets if not each.advisory]
    undecided = [each for each in binding if each.verdict == "undecided"]
    missed = [each for each in binding if each.verdict == "missed" or (strict and each.verdict == "undecided")]
    unheard = {} if result.interrupted else dict(_unheard(result))
    # In a call of two a silent way is half of the call; in a room of fifty one who never came leaves 49 measured.
    in_part = result.room_of_many and len(unheard) < len(result.ways)
    excused = {way for way in unheard if in_part and _excused(result, way)}
    dead = [sentence for way, sentence in unheard.items() if way not in excused]
    silent = (*_silences(result), *dead, *(() if result.interrupted else _unseen(result)))
    aside = tuple(unheard[way] for way in unheard if way in excused)
    open_ones = [each for each in binding if each.verdict == "inconclusive"]
    heard = not _joins(result) or any(each.first_audio_s is not None for each in result.join.attempts)
    # Rule 3 before rule 4: a missed budget is a fact even beside a silent way. Not where no join was heard: an
    # unreachable server misses every budget, and is no slow one.
    if missed and heard:
        return "fail", (*(_told(each.expression, each.reason) for each in missed), *silent, *aside)
    undone = [*missed, *open_ones]
    if silent or undone:
        return "inconclusive", (*silent, *aside, *(_told(each.expression, each.reason) for each in undone))
    return "pass", (*aside, *(_told(each.expression, each.reason) for each in undecided))


def _joins(result: Result) -> bool:
    """Return whether a run of this kind makes joins."""
    # The model engine begins where media flows: it has neither signaling nor ICE nor DTLS, and so no join to time.
    return result.engine != "model"


def _binding(budget: Budget, result: Result) -> Budget:
    """Return ``budget``, advisory where it is about joins and none are made: it stays open for all to see."""
    about_joins = budget.metric.partition(".")[0] == "join"
    return replace(budget, advisory=True) if about_joins and not _joins(result) else budget


def _silences(result: Result) -> Iterable[str]:
    if result.interrupted:
        yield "interrupted: only what was measured until then is here"
        return
    if result.cut is not None:
        yield f"the call was cut: {result.cut}"
    attempts = result.join.attempts
    if not attempts and _joins(result):
        yield "no join was tried"
    elif attempts and all(each.first_audio_s is None for each in attempts):
        steps = ", ".join(dict.fromkeys(each.failed or "unknown step" for each in attempts))
        yield f"none of {len(attempts)} joins was heard (gave up: {steps})"


def _excused(result: Result, way: Way) -> bool:
    """Return whether silence on a way of a room says nothing of those who are in it.

    Nothing was said while it could be heard, or one of the two never came.
    """
    ear = result.mouth_to_ear.get(way)
    tried = [result.join.of(name) for name in (way.talker, way.listener)]
    return (ear is not None and not ear.scheduled) or any(
        joins and all(each.failed is not None for each in joins) for joins in tried
    )


def _unheard(result: Result) -> Iterable[tuple[Way, str]]:
    """Return a sentence for each way that nobody was heard on."""
    for way in result.ways:
        ear = result.mouth_to_ear.get(way)
        if ear is not None and not ear.scheduled:
            yield way, f"{way.words}: nothing was said while it could be heard"
        elif ear is None or not ear.heard:
            yield way, f"{way.words}: none of {0 if ear is None else ear.scheduled} markers was heard"


def _unseen(result: Result) -> Iterable[str]:
    for each in result.accounts:
        # That nobody could interrupt is a finding, no silence.
        if each.kind not in ("mouth_to_ear", "barge_in") and each.scheduled and not each.heard:
            yield f"{each.way.words}: none of {each.scheduled} {each.things} was heard"


def _told(expression: str, reason: str) -> str:
    return f"{expression}: {reason}" if reason else expression
