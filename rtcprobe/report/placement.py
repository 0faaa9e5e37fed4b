"""Where edges should stand, on a terminal: a sentence first, then the sets, who enters where, what was verified."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rtcprobe.placement import Answer, Rule
from rtcprobe.report.lines import rule, wrapped
from rtcprobe.report.sentences import milliseconds
from rtcprobe.units import format_duration

__all__ = ["found", "placement_lines", "rests_on", "served"]


def placement_lines(answer: Answer) -> Iterator[Text]:
    """Return the lines of an answer."""
    question = answer.question
    yield from wrapped(found(answer), indent=0, style="bold", most=None)
    yield rule(f"{question.choose} of {len(question.edges)} edges")
    for each in answer.rules:
        yield from wrapped(f"{each.name:<10} {', '.join(each.edges)}", indent=1, most=None)
        yield from wrapped(served(each), indent=12, most=None)
    yield rule("who enters where (nearest), ms one way")
    for group, edge, delay_s in answer.entries:
        yield Text(f" {group:<28} {edge:<16} {milliseconds(delay_s):>8}")
    yield rule("verified by calls: pairs nearest to the budget, ms")
    for check in answer.checked:
        measured = milliseconds(check.measured_s)
        yield Text(f" {check.a} – {check.b}")
        yield Text(f"   through {check.through}: model {milliseconds(check.model_s)}, measured {measured}")
    model, *estimated = rests_on(answer)
    yield from wrapped(model, indent=0, most=None)
    for sentence in estimated:
        yield from wrapped(sentence, indent=0, style="yellow", most=None)


def found(answer: Answer) -> str:
    """Return what was found, in sentences."""
    pair, near = answer.rules
    return (
        f"With {', '.join(near.edges)}, {_share(near.share_nearest)} of all pairs hear each other within "
        f"{format_duration(answer.question.budget_s)} when everybody enters at the nearest edge. If a pair could enter "
        f"at the best two edges, {', '.join(pair.edges)} would serve {_share(pair.share_best_pair)}: the rule of "
        f"assignment costs {answer.cost_of_nearest * 100:.1f} points."
    )


def rests_on(answer: Answer) -> Iterator[str]:
    """Yield what the answer rests on, a sentence each: the model, then round trips that nobody measured."""
    question = answer.question
    yield (
        f"Model: {answer.cells.calls} runs of calls, a cell for each pair of accesses, residual "
        f"{milliseconds(answer.cells.residual_s)} ms (standard deviation)."
    )
    if question.estimated:
        named = ", ".join(question.estimated[:4]) + (" and others" if len(question.estimated) > 4 else "")
        yield f"{len(question.estimated)} round trips are estimated from distance ({named}): give yours as rtt."


def served(each: Rule) -> str:
    """Return what a set of edges serves under its own rule, and how sure it is that none serves more."""
    share = each.share_best_pair if each.name == "best pair" else each.share_nearest
    proof = "proven optimal" if each.chosen.proven else f"no set can serve more than {_share(each.chosen.bound)}"
    return f"{_share(share)} of pairs [{_share(each.low)}–{_share(each.high)}], {proof}"


def _share(value: float) -> str:
    return f"{value * 100:.1f}%"
