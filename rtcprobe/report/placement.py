"""Where edges should stand, on a terminal: a sentence first, then the sets, who enters where, what was verified."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rtcprobe.placement import Answer, Rule
from rtcprobe.report.lines import rule, wrapped
from rtcprobe.report.sentences import milliseconds
from rtcprobe.units import format_duration

__all__ = ["placement_lines"]


def placement_lines(answer: Answer) -> Iterator[Text]:
    """Return the lines of an answer."""
    question = answer.question
    pair, near = answer.rules
    yield from wrapped(
        f"With {', '.join(near.edges)}, {_share(near.share_nearest)} of all pairs hear each other within "
        f"{format_duration(question.budget_s)} when everybody enters at the nearest edge. If a pair could enter at the "
        f"best two edges, {', '.join(pair.edges)} would serve {_share(pair.share_best_pair)}: the rule of assignment "
        f"costs {answer.cost_of_nearest * 100:.1f} points.",
        indent=0,
        style="bold",
        most=None,
    )
    yield rule(f"{question.choose} of {len(question.edges)} edges")
    for each in answer.rules:
        yield from wrapped(f"{each.name:<10} {', '.join(each.edges)}", indent=1, most=None)
        yield from wrapped(_said(each), indent=12, most=None)
    yield rule("who enters where (nearest), ms one way")
    for group, edge, delay_s in answer.entries:
        yield Text(f" {group:<28} {edge:<16} {milliseconds(delay_s):>8}")
    yield rule("verified by calls: pairs nearest to the budget, ms")
    for check in answer.checked:
        measured = milliseconds(check.measured_s)
        yield Text(f" {check.a} – {check.b}")
        yield Text(f"   through {check.through}: model {milliseconds(check.model_s)}, measured {measured}")
    yield from wrapped(
        f"model: {answer.cells.calls} runs of calls, a cell for each pair of accesses, residual "
        f"{milliseconds(answer.cells.residual_s)} ms (standard deviation)",
        indent=0,
        most=None,
    )
    if question.estimated:
        named = ", ".join(question.estimated[:4]) + (" and others" if len(question.estimated) > 4 else "")
        yield from wrapped(
            f"{len(question.estimated)} round trips are estimated from distance ({named}): give yours as rtt",
            indent=0,
            style="yellow",
            most=None,
        )


def _said(each: Rule) -> str:
    share = each.share_best_pair if each.name == "best pair" else each.share_nearest
    proof = "proven optimal" if each.chosen.proven else f"no set can serve more than {_share(each.chosen.bound)}"
    return f"{_share(share)} of pairs [{_share(each.low)}–{_share(each.high)}], {proof}"


def _share(value: float) -> str:
    return f"{value * 100:.1f}%"
