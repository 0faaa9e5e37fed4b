"""A conversation on a terminal: how long answers and stops took, who spoke when, and each turn of the first call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from rtcprobe.report.pages import Page, waterfall
from rtcprobe.report.sentences import interval, milliseconds
from rtcprobe.result import Account, Result, Sample, Span
from rtcprobe.units import format_ratio

__all__ = ["CLAIMED", "COLUMNS", "SIMULATED", "agent_name", "conversation", "split", "turn_lines", "turn_rows"]

COLUMNS = {"response": "answer", "barge_in": "stop"}
CLAIMED = "claimed_s"
"""What the agent says that a turn took (``hearing.conversed``)."""
SIMULATED = ("loopback", "sfu")
"""Where the agent is ours: between two ends, or through our forwarding server."""
_CALLED = 26
"""So much of a line is quoted."""
_GROUPS = {
    "you": ("capture", "packing"),
    "up": ("way_up",),
    "agent": ("agent", "network_and_agent"),
    "down": ("way_down",),
    "playout": ("playout", "device"),
}


def agent_name(result: Result) -> str:
    """Return what the other side is called: a simulated agent by that name, wherever its figures stand."""
    return "a simulated agent" if result.target in SIMULATED else "the agent"


def conversation(result: Result) -> list[Account]:
    """Return the accounts of a conversation: of its answers, and of its interruptions where there are any."""
    return [each for kind in ("response", "barge_in") for each in result.accounts if each.kind == kind]


def split(sample: Sample) -> dict[str, float]:
    """Return where a turn's delay went, in the five parts that are shown; seconds."""
    stages = sample.stages or {}
    # Five parts out of eight stages: what a terminal has columns for, and what each end can do something about.
    parts = {name: math.fsum(stages.get(each, 0.0) for each in within) for name, within in _GROUPS.items()}
    # A part whose stages are not known (an agent outside) is left out, not 0.
    return {name: part for name, part in parts.items() if any(each in stages for each in _GROUPS[name])}


def turn_lines(result: Result, page: Page) -> Iterator[Text]:
    """Return the section of a conversation; nothing where there is none."""
    found = conversation(result)
    if not found:
        return
    turns = found[0]
    calls = len(turns.calls)
    title = f"Conversation with {agent_name(result)}: {calls} call{'s' * (calls != 1)}, {turns.scheduled} turns, ms"
    yield page.rule(title, [COLUMNS[each.kind] for each in found])
    for name, *told in turn_rows(result):
        yield page.cells(f" {name}", told)
    stages: list[Mapping[str, float]] = [each.stages for each in found]
    if any(stages):
        yield from waterfall(stages, page)
    yield from page.wrapped(f"{', '.join(_figures(found))}.", indent=1)
    yield from _rows(turns, page.width)
    yield from _each(turns)


def turn_rows(result: Result) -> list[list[str]]:
    """Return how long answers and stops took, and what became of each: a row a figure, a column an account."""
    found = conversation(result)
    if not found:
        return []
    rows = [[f"{name} [95 %]", *(_quantile(each, name) for each in found)] for name in ("p50", "p95")]
    rows.append(["arrived, p50", *map(_arrived, found)])
    if any(CLAIMED in each.figures for each in found):
        rows.append(["the agent's claim, p50", *map(_claimed, found)])
    rows.append(["heard, rejected, lost", *(f"{e.heard}, {e.rejected}, {e.lost} of {e.scheduled}" for e in found)])
    return rows


def _quantile(account: Account, name: str) -> str:
    found = None if account.summary is None else account.summary.quantile(name)
    if found is None:
        return "-"
    if found.needs is not None:
        return f"needs {found.needs} {account.things}"
    return f"{milliseconds(found.value)} {interval(found)}"


def _arrived(account: Account) -> str:
    """Return the median delay before playout and loudspeaker."""
    known = sorted(
        each.delay_s - each.stages.get("playout", 0.0) - each.stages.get("device", 0.0)
        for each in account.samples
        if each.stages is not None
    )
    # The lower of two in the middle: a delay that a turn had.
    return milliseconds(known[(len(known) - 1) // 2]) if known else "-"


def _claimed(account: Account) -> str:
    """Return the median of what the agent itself says that they took: no figure of ours."""
    known = sorted(each.figures[CLAIMED] for each in account.samples if CLAIMED in each.figures)
    return milliseconds(known[(len(known) - 1) // 2]) if known else "-"


def _figures(found: Sequence[Account]) -> Iterator[str]:
    figures = {name: value for each in found for name, value in each.figures.items()}
    yield f"answers inside the turn {format_ratio(figures.get('inside', 0.0))}"
    yield f"talk-over {milliseconds(figures.get('talk_over_s'), 0)} ms a call"
    if figures.get("concealed_onsets"):
        yield f"onsets concealed {format_ratio(figures['concealed_onsets'])}"
    for name, whose in (("estoi", "answers"), ("said_estoi", "your turns")):
        if name in figures:
            yield f"ESTOI of {whose} {figures[name]:.3f}, the worst {figures[name + '_worst']:.3f}"
    if len(found) > 1:
        yield f"interruptions missed {found[1].lost} of {found[1].scheduled}"
    if figures.get("never_said"):
        yield f"uh-huhs and noises whose cue never came {format_ratio(figures['never_said'])}"
    if "false_stops" in figures:
        yield f"false stops {format_ratio(figures['false_stops'])}"


def _rows(turns: Account, width: int) -> Iterator[Text]:
    """Return who spoke when in the first call: a row each, and a row of marks where both did."""
    spans = [each for each in turns.spans if each.call == turns.calls[0].call]
    if not spans:
        return
    begin_s, end_s = min(each.from_s for each in spans), max(each.until_s for each in spans)
    # Eight columns of names, and one that stays free: a terminal wraps when its last is written.
    room = width - 9
    for title, whats, mark in (
        (" you", ("user",), "█"),
        ("", ("backchannel", "noise"), "b"),
        (" agent", ("agent",), "█"),
        (" claims", ("claim",), "▒"),
        (" both", ("talk-over",), "x"),
    ):
        row = _drawn([each for each in spans if each.what in whats], begin_s, (end_s - begin_s) / room, room, mark)
        if row.strip():
            yield Text(f"{title:<8}{row}")
    yield Text(f"{'':<8}{'first call, ' + format(end_s - begin_s, '.1f') + ' s':>{room}}", style="dim")


def _drawn(spans: Sequence[Span], begin_s: float, cell_s: float, room: int, mark: str) -> str:
    row = [" "] * room
    for each in spans:
        first = int((each.from_s - begin_s) / cell_s)
        # A word of a tenth of a second is one cell, or it would vanish.
        last = max(first + 1, round((each.until_s - begin_s) / cell_s))
        row[first:last] = mark * (min(last, room) - first)
    return "".join(row)[:room]


def _each(turns: Account) -> Iterator[Text]:
    """Return every turn of the first call with where its delay went."""
    call = turns.calls[0].call
    samples = [each for each in turns.samples if each.call == call]
    if samples and samples[0].stages is not None:
        # Which parts there are is the same of all turns of a call: the agent is ours, or it is not.
        yield Text(f" {'each answer = ' + ' + '.join(split(samples[0])):<40}", style="dim")
    for each in samples:
        parts = " + ".join(milliseconds(part, 0) for part in split(each).values())
        claimed = f", it claims {milliseconds(each.figures[CLAIMED], 0)}" if CLAIMED in each.figures else ""
        yield Text(f" {_quoted(each.note):<{_CALLED + 2}}{milliseconds(each.delay_s, 0):>7} = {parts}{claimed}")
    for missed in turns.missed:
        if missed.call == call:
            yield Text(f" {_quoted(missed.note):<{_CALLED + 2}}{missed.why:>7}", style="yellow")


def _quoted(words: str) -> str:
    return words if len(words) <= _CALLED else f"{words[: _CALLED - 1]}…"
