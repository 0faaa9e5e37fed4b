"""Results as GitHub-flavoured Markdown: for a step's summary, a pull request, a wiki.

Rules:
    1. What came from outside is text: nothing in it is read as Markdown, HTML or a mention.
    2. The verdict comes first; what was met is folded away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rtcprobe.report.cases import unjudged_reasons
from rtcprobe.report.ears import latest_ways
from rtcprobe.report.lead import goal_sentence, lead
from rtcprobe.report.messages import message_rows, message_way
from rtcprobe.report.room import facts, figure_rows, group_named
from rtcprobe.report.sentences import arrow, attribution, bounds, figure, interval, milliseconds, slowest, typical
from rtcprobe.report.sights import sight_rows, spoken_way
from rtcprobe.report.turns import COLUMNS, conversation, turn_rows
from rtcprobe.report.words import retold, say
from rtcprobe.result import Account, BudgetOutcome, Result, Summary
from rtcprobe.verdict import Goal, goals
from rtcprobe.verdict.room import matrix
from rtcprobe.verdict.room.matrix import Cell
from rtcprobe.ways import BOTH_WAYS, Way

__all__ = ["code", "faults_markdown", "plain", "result_markdown", "results_markdown", "table"]

_MOST_COLUMNS = 12
"""Columns of a matrix that a pull request shows side by side."""

_BUDGET_ORDER = ("missed", "inconclusive", "undecided", "met")
# A name that is a URL would become a link, and a mark of Markdown's (or GitHub's @ and #) something else than itself.
_SCHEME = re.compile(r"\bhttps?:")
# As numeric character references, which GitHub shows as the character and reads as nothing; a backslash before it would
# stay visible within HTML.
_SPECIAL = re.compile(r"([\\`*\[\]<>|&@#~!])")


def results_markdown(results: Sequence[Result], *, brief: bool = False) -> str:
    """Return a table of every result, and then (unless ``brief``) a section each; one result is its section alone."""
    if not results:
        return ""
    if len(results) == 1 and not brief:
        return result_markdown(results[0])
    rows = [
        [
            f"**{each.verdict.upper()}**",
            plain(each.scenario),
            _headline(each),
            plain("; ".join(map(retold, each.reasons))),
        ]
        for each in results
    ]
    overview = "## rtcprobe\n\n" + table(["verdict", "scenario", "figures", "why"], rows)
    return "\n".join([overview, *([] if brief else map(result_markdown, results))])


def faults_markdown(faults: Iterable[tuple[str, str]]) -> str:
    """Return a section each for scenarios (name, sentence) that could not be measured."""
    return "".join(f"### NOT MEASURED: {plain(name)}\n\n{plain(sentence)}\n\n" for name, sentence in faults)


def result_markdown(result: Result) -> str:
    """Return one result: verdict, budgets, join, mouth to ear."""
    about = f"seed {result.seed}, {result.instrument}, {result.target}"
    parts = [f"### {result.verdict.upper()}: {plain(result.scenario)}\n", f"{plain(about)}\n"]
    told = [
        *map(retold, unjudged_reasons(result)),
        *(say("warning: {text}", text=retold(each)) for each in result.warnings),
    ]
    parts += [f"**{plain(lead(result))}**\n"]
    parts += [f"- {plain(each)}" for each in told]
    ways = latest_ways(result.mouth_to_ear)
    kept = [each for each in goals(result) if each.direction is None or each.direction in ways]
    parts += [f"- Goal: {goal.name}{_way(goal)}: {plain(goal_sentence(goal))}" for goal in kept] + [""]
    parts += [_budgets(result.budgets)] if result.budgets else ["No budgets were given.\n"]
    parts += [*_room(result), _figures(result)]
    return "\n".join(parts)


def _room(result: Result) -> list[str]:
    """Return the matrix and what no single way says; and a service's figures, where its words were asked for."""
    parts = []
    if result.room is not None and any(ear.heard for ear in result.mouth_to_ear.values()):
        found = matrix(result, most=_MOST_COLUMNS)
        heads = [each.name for each in found.columns]
        rows = [
            [f"**{plain(group_named(row.name))}**", *(_pair(found.cells.get((row.name, head))) for head in heads)]
            for row in found.rows
        ]
        title = say("speaks ↓, hears →, p50 ms")
        parts.append(table([title, *(plain(group_named(head)) for head in heads)], rows, numbers=1))
        parts += [f"- {plain(name)}: {plain(told)}" for name, told in facts(result, result.room)] + [""]
    if result.named:
        heads = [say("In {service}'s words", service=str(result.settings.get("figures", ""))), "", say("definition")]
        rows = [[plain(cell) for cell in row] for row in figure_rows(result.named)]
        parts.append(table(heads, rows, numbers=len(heads)))
    return parts


def _pair(cell: Cell | None) -> str:
    return "" if cell is None else milliseconds(cell.p50_s)


def plain(text: str) -> str:
    """Return ``text`` on one line, so that Markdown shows it as it is."""
    escaped = _SPECIAL.sub(lambda found: f"&#{ord(found[1])};", " ".join(text.split()))
    # GFM makes links of bare URLs (extended autolinks, GFM §6.9): without its colon it is none.
    return _SCHEME.sub(lambda found: f"{found[0][:-1]}&#58;", escaped)


def code(text: str) -> str:
    """Return ``text`` as code, also within a table; backticks in it become quotes."""
    # A pipe ends a table's cell even in code (GFM §4.10), and a backtick would end the code.
    line = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int | None = None) -> str:
    """Return a table; columns from ``numbers`` on (all after the first where not told) are set flush right."""
    # GFM's delimiter row (§4.10): "---:" sets a column flush right.
    first = len(head) if numbers is None else numbers
    lines = [head, ["---" if index < first else "---:" for index in range(len(head))], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _way(goal: Goal) -> str:
    return "" if goal.direction is None else f", {arrow(goal.direction)}"


def _headline(result: Result) -> str:
    figures = [
        ("join", result.join.summary.get("first_audio")),
        *((arrow(name), ear.summary) for name, ear in result.mouth_to_ear.items()),
    ]
    return ", ".join(f"{name} {_value(summary, 'p50')} ms" for name, summary in figures if summary is not None)


def _budgets(outcomes: Iterable[BudgetOutcome]) -> str:
    ranked = sorted(outcomes, key=lambda each: (_BUDGET_ORDER.index(each.verdict), each.advisory))
    # Rule 2: what needs a look is open, what was met behind a summary that says how many.
    rows = {met: [_budget(each) for each in ranked if (each.verdict == "met") == met] for met in (False, True)}
    head = ["verdict", "budget", "is", "95 %", "why"]
    shown = table(head, rows[False]) if rows[False] else ""
    if not rows[True]:
        return shown
    count = len(rows[True])
    title = f"{count} budget{'' if count == 1 else 's'} met"
    # Markdown in HTML is read as such only behind an empty line (CommonMark §4.6, kind 6).
    folded = f"<details><summary>{title}</summary>\n\n{table(head, rows[True])}\n</details>\n"
    return f"{shown}\n{folded}"


def _budget(outcome: BudgetOutcome) -> list[str]:
    spread = "" if (outcome.low, outcome.high) == (None, None) else bounds(outcome.low, outcome.high, outcome.unit)
    verdict = outcome.verdict if outcome.verdict == "met" else f"**{outcome.verdict}**"
    advisory = " (advisory)" if outcome.advisory else ""
    expression = f"{code(outcome.expression)}{advisory}"
    return [verdict, expression, figure(outcome.value, outcome.unit), spread, plain(retold(outcome.reason))]


def _figures(result: Result) -> str:
    attempts = result.join.attempts
    heard = sum(each.first_audio_s is not None for each in attempts)
    joined = result.join.summary.get("first_audio")
    joining = f"Join: {heard} of {len(attempts)} heard" + (f", {_said(joined)}." if joined and heard else ".") + "\n"
    parts = [] if not attempts and result.engine == "model" else [joining]
    middle, last = typical(attempts), slowest(attempts)
    if middle is not None and last is not None:
        # In the order of the typical one; a phase that only the slowest had comes last.
        phases = dict.fromkeys([*middle.phases, *last.phases])
        rows = [[_name(name), *(milliseconds(each.phases.get(name)) for each in (middle, last))] for name in phases]
        rows.append(["**total**", milliseconds(middle.first_audio_s), milliseconds(last.first_audio_s)])
        parts.append(table(["phase, ms", "typical join", "slowest join"], rows, numbers=1))
        told = attribution(last)
        parts += [] if told is None else [f"Slowest: {plain(told)}.\n"]
    if result.mouth_to_ear:
        ears = latest_ways(result.mouth_to_ear)
        parts.append(_ears(ears))
        if len(ears) < len(result.mouth_to_ear):
            parts.append(f"The {len(ears)} latest of {len(result.mouth_to_ear)} ways.\n")
    sights = result.of_kind("glass_to_glass")
    few = latest_ways(sights)
    seen = sight_rows(result, few)
    if seen:
        parts.append(
            table(["glass to glass", *map(spoken_way, few)], [list(map(plain, row)) for row in seen], numbers=1)
        )
        if len(few) < len(sights):
            parts.append(f"The {len(few)} latest of {len(sights)} ways.\n")
    turns = turn_rows(result)
    if turns:
        heads = ["a turn, ms", *(COLUMNS[each.kind] for each in conversation(result))]
        parts.append(table(heads, [list(map(plain, row)) for row in turns], numbers=1))
    sent = message_rows(result)
    if sent:
        ways = map(message_way, result.of_kind("messages"))
        parts.append(table(["messages", *ways], [list(map(plain, row)) for row in sent], numbers=1))
    return "\n".join(parts)


def _ears(ears: Mapping[Way, Account]) -> str:
    rows = [[f"**{name}**", *(_quantile(each.summary, name) for each in ears.values())] for name in ("p50", "p95")]
    rows.append(
        ["heard, rejected, lost", *(f"{e.heard}, {e.rejected}, {e.lost} of {e.scheduled}" for e in ears.values())]
    )
    stages = dict.fromkeys(name for each in ears.values() for name in each.stages)
    rows += [[_name(name), *(milliseconds(each.stages.get(name)) for each in ears.values())] for name in stages]
    whole = [["mouth to ear, ms", *map(arrow, ears)], *rows]
    if len(ears) > len(BOTH_WAYS):  # a row each
        whole = [list(each) for each in zip(*whole, strict=True)]
    return table(whole[0], whole[1:], numbers=1)


def _name(part: str) -> str:
    return plain(part.replace("_", " "))


def _quantile(summary: Summary | None, name: str) -> str:
    found = None if summary is None else summary.quantile(name)
    if found is None:
        return "-"
    if found.needs is not None:
        return f"needs {found.needs} markers"
    return f"{milliseconds(found.value)} {interval(found)}"


def _value(summary: Summary, name: str) -> str:
    found = summary.quantile(name)
    return milliseconds(None if found is None else found.value)


def _said(summary: Summary) -> str:
    said = []
    for name in ("p50", "p95"):
        found = summary.quantile(name)
        if found is not None and found.value is not None:
            said.append(f"{name} {milliseconds(found.value)} ms {interval(found)}")
    return ", ".join(said) or "too few for a percentile"
