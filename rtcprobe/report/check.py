"""A regression check on a terminal, in Markdown, and as cases for a CI.

Rules:
    1. The verdict and the part that moved are said before any figure.
    2. Every gate is shown with its interval and the smallest change it could have detected, passed ones too: a gate
       that sees nothing must not look like a gate that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from rtcprobe.report.cases import Case, Outcome
from rtcprobe.report.comparison import difference_lines, difference_table
from rtcprobe.report.differences import metric_name
from rtcprobe.report.lead import beyond_goals
from rtcprobe.report.lines import COLUMNS, ROWS, STYLES, rule, wrapped
from rtcprobe.report.markdown import plain
from rtcprobe.report.sentences import counted, figure
from rtcprobe.verdict.baseline import Gate, RegressionCheck
from rtcprobe.verdict.goals import Goal

__all__ = ["check_cases", "check_lines", "check_markdown"]

_TITLES = ("baseline", "now")
# On a screen of ``ROWS``: the verdict, two reasons and what moved stand above the fold, the gates have the rest below.
_MOST_REASONS = 2
# Notes of a screen that would scroll; --json has all.
_MOST_NOTES = 3
_OUTCOMES: dict[str, Outcome] = {"pass": "passed", "fail": "failed", "inconclusive": "error"}


def check_lines(check: RegressionCheck, found: Sequence[Goal] = ()) -> list[Text]:
    """Return the screen of ``check``: verdict, what moved, gates, notes; shortened where it would scroll away.

    ``found``: what the goals people feel came to over all runs.
    """
    said = wrapped(f"now: {beyond_goals(found)}", indent=1) if found else []
    lines = list(_lines(check))
    return [*(lines if len(lines) <= ROWS else _lines(check, brief=True)), *said]


def check_markdown(check: RegressionCheck, found: Sequence[Goal] = ()) -> str:
    """Return ``check`` as Markdown."""
    scenario = check.comparison.b.scenario
    parts = [f"### {check.verdict.upper()}: {plain(scenario)} against its baseline\n", f"{plain(_about(check))}\n"]
    parts += [f"- {plain(each)}" for each in check.reasons]
    parts += [f"- **{plain(each.sentence)}**" for each in check.culprits]
    parts += [""] if check.reasons or check.culprits else []
    parts.append(difference_table((gate.difference for gate in check.gates), _TITLES, _words(check)))
    parts += [f"- now: {plain(beyond_goals(found))}"] if found else []
    parts += [f"- {plain(each)}" for each in _notes(check)]
    return "\n".join(parts) + "\n"


def check_cases(check: RegressionCheck, *, strict: bool = False) -> list[Case]:
    """Return a case each gate; a failed one names the parts that moved. ``strict``: what is undecided failed."""
    scenario = check.comparison.b.scenario
    moved = "; ".join(each.sentence for each in check.culprits)
    cases = []
    for gate in check.gates:
        outcome = "failed" if strict and gate.verdict == "inconclusive" else _OUTCOMES[gate.verdict]
        message = _gate_sentence(gate)
        if gate.verdict == "fail" and moved:
            message += f"; what moved: {moved}"
        name = f"{gate.difference.name} against its baseline"
        # Rule 2: what could have seen nothing neither passes nor fails.
        cases.append(Case(suite=scenario, name=name, outcome="noted" if _blind(gate) else outcome, message=message))
    # Nothing gated, or no join was heard: without a case of its own that would be green.
    if check.verdict != "pass" and all(each.outcome == "passed" for each in cases):
        outcome = "failed" if strict else _OUTCOMES[check.verdict]
        told = "; ".join(check.reasons) or check.verdict
        cases.append(Case(suite=scenario, name="check", outcome=outcome, message=told))
    return cases


def _lines(check: RegressionCheck, *, brief: bool = False) -> Iterator[Text]:
    """Yield the screen; ``brief``: gates that passed have one line, and notes that do not fit are counted."""
    scenario, about, verdict = check.comparison.b.scenario, _about(check), check.verdict.upper()
    gap = COLUMNS - len(verdict) - 2 - len(scenario) - len(about)
    yield Text.assemble((verdict, STYLES[check.verdict]), "  ", (scenario, "bold"), " " * max(gap, 2), (about, "dim"))
    for each in check.reasons[:_MOST_REASONS]:
        yield from wrapped(each, indent=2)
    if len(check.reasons) > _MOST_REASONS:
        yield Text(f"  … and {len(check.reasons) - _MOST_REASONS} more, below")
    if check.culprits:
        yield rule("What moved")
        for culprit in check.culprits:
            yield from wrapped(culprit.sentence, indent=1, style="bold")
    gates = (gate.difference for gate in check.gates)
    yield from difference_lines(gates, _TITLES, _words(check), brief=brief)
    notes = _notes(check)
    for each in notes[:_MOST_NOTES] if brief else notes:
        yield from wrapped(f"note: {each}", indent=1, style="dim", most=1 if brief else None)
    if brief and len(notes) > _MOST_NOTES:
        yield Text(f" … and {len(notes) - _MOST_NOTES} more notes (see --json)", style="dim")


def _words(check: RegressionCheck) -> list[tuple[str, str]]:
    """Return what became of each gate in a word, and why where the reasons on top do not say it better."""
    words = {"pass": "pass", "fail": "fail", "inconclusive": "unsure"}
    return [
        ("blind" if _blind(gate) else words[gate.verdict], "" if gate.verdict == "fail" else gate.reason)
        for gate in check.gates
    ]


def _blind(gate: Gate) -> bool:
    """Whether the gate let pass what it could not have seen: no change at all would have been enough."""
    found = gate.difference
    return gate.verdict == "pass" and found.detectable is None and not (found.a.exact and found.b.exact)


def _about(check: RegressionCheck) -> str:
    side = check.comparison.b
    paired = "paired" if check.comparison.paired else "unpaired"
    return f"{counted(side.runs, 'run', 'runs')}, {paired} · {side.instrument} · tolerance {check.tolerance}"


def _gate_sentence(gate: Gate) -> str:
    found = gate.difference
    sides = " → ".join(figure(each.value, found.unit) for each in (found.a, found.b))
    change = figure(found.difference, found.unit, sign=True)
    seen = "nothing" if _blind(gate) else None if found.detectable is None else figure(found.detectable, found.unit)
    could = "" if seen is None else f", could show {seen}"
    reason = f": {gate.reason}" if gate.reason else ""
    return f"{found.metric.partition('.')[0].replace('_', ' ')} {metric_name(found)}: {change} ({sides}{could}){reason}"


def _notes(check: RegressionCheck) -> list[str]:
    return list(dict.fromkeys([*check.notes, *check.comparison.notes]))
