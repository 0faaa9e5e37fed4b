"""The page's part about a room: a shaded matrix, what no single way says, the hour as a strip, a service's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rtcprobe.report.html.tables import Table
from rtcprobe.report.html.words import arrow
from rtcprobe.report.room import facts, figure_rows, group_named
from rtcprobe.report.sentences import milliseconds
from rtcprobe.report.words import say
from rtcprobe.result import Kind, Result
from rtcprobe.verdict.room import Hour, Matrix, hour, level, matrix
from rtcprobe.verdict.room.matrix import LEVELS_S, Cell
from rtcprobe.ways import Way

__all__ = ["Bar", "Heat", "Mark", "Shade", "ShadedRow", "Strip", "StripRow", "Told", "named_table", "room"]

_MOST = 12
"""Rows and columns of a matrix: what a page of 1,200 px shows side by side, and a phone scrolls twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A cell: its figure, p95 below it, its ``level`` (``"h0"`` to ``"h5"``, "": no way), and what a pointer shows."""

    text: str
    tail: str = ""
    level: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadedRow:
    """One talker, or a group: its name, and a cell each listener."""

    name: str
    cells: tuple[Shade, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A period of the strip, in per cent of its width."""

    left: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A cue in the strip: where, its sign, and what it is in words."""

    left: float
    sign: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StripRow:
    """One party's hour."""

    name: str
    role: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The first call's hour: rows on one axis, and the seconds written below it with where they stand."""

    caption: str
    rows: tuple[StripRow, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A shaded matrix."""

    heads: tuple[str, ...]
    rows: tuple[ShadedRow, ...]
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that a page says of a room: who hears whom, and who sees whom where anybody shows anything."""

    heats: tuple[Heat, ...]
    key: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    strip: Strip | None


def room(result: Result) -> Told | None:
    """Return what is told of the room; None where there is none, or nobody was heard."""
    if result.room is None or not any(ear.heard for ear in result.mouth_to_ear.values()):
        return None
    when = hour(result)
    return Told(
        heats=tuple(_heats(result)),
        key=tuple(_key()),
        facts=tuple(facts(result, result.room)),
        strip=None if when is None else _strip(when),
    )


def _heats(result: Result) -> Iterator[Heat]:
    """Yield the matrix of sound, then that of pictures."""
    # Whole sentences, not parts put together: a language has an order of its own.
    heard = say("Who hears whom, ms: rows speak, columns hear; large p50, small p95")
    seen = say("Who sees whom, ms: rows show, columns watch; large p50, small p95")
    heard_in_groups = say(
        "Who hears whom, ms: rows speak, columns hear; large p50 (of groups the latest pair), small p95 of all"
    )
    seen_in_groups = say(
        "Who sees whom, ms: rows show, columns watch; large p50 (of groups the latest pair), small p95 of all"
    )
    kinds: tuple[tuple[Kind, str, str], ...] = (
        ("mouth_to_ear", heard, heard_in_groups),
        ("glass_to_glass", seen, seen_in_groups),
    )
    for kind, alone, grouped in kinds:
        found = matrix(result, most=_MOST, kind=kind)
        if found.cells:
            heads = tuple(group_named(each.name) for each in found.columns)
            yield Heat(heads=heads, rows=tuple(_rows(found)), caption=grouped if found.grouped else alone)


def named_table(result: Result) -> Table | None:
    """Return the figures in a service's own words; None where none were asked for."""
    if not result.named:
        return None
    return Table(
        caption=say("In {service}'s words", service=str(result.settings.get("figures", ""))),
        columns=(say("figure"), say("value [95 %]"), say("definition and source")),
        rows=tuple(figure_rows(result.named)),
        words=True,
    )


def _rows(found: Matrix) -> Iterator[ShadedRow]:
    for row in found.rows:
        cells = (found.cells.get((row.name, column.name)) for column in found.columns)
        yield ShadedRow(name=group_named(row.name), cells=tuple(_shade(each) for each in cells))


def _shade(cell: Cell | None) -> Shade:
    if cell is None:
        # Nobody sends that way: neither silent nor late.
        return Shade(text="·")
    title = arrow(Way.of(cell.worst.talker, cell.worst.listener))
    if cell.p50_s is None:
        # The darkest shade: nothing heard is later than anything.
        return Shade(text=say("never"), level="h5", title=title)
    tail = "" if cell.p95_s is None else milliseconds(cell.p95_s, 0)
    if cell.ways > 1:
        title = say("latest of {count} pairs: {pair}", count=cell.ways, pair=title)
    if cell.silent:
        unseen = cell.worst.medium == "video"
        title += say("; {count} never seen" if unseen else "; {count} never heard", count=cell.silent)
    return Shade(text=milliseconds(cell.p50_s, 0), tail=tail, level=f"h{level(cell.p50_s)}", title=title)


def _key() -> Iterator[tuple[str, str]]:
    """Yield each shade and what it stands for."""
    # From the very limits, so that the key cannot say anything else than the cells.
    ends = [f"{each * 1e3:g}" for each in LEVELS_S]
    yield "h0", f"≤ {ends[0]}"
    for place, (low, high) in enumerate(pairwise(ends), 1):
        yield f"h{place}", f"{low}–{high}"
    yield f"h{len(ends)}", f"> {ends[-1]} ms"


_SIGNS = {"join": "▲", "leave": "▼", "publish": "●", "speak": "●", "stop": "■"}


def _strip(found: Hour) -> Strip:
    whole_s = max(found.lasted_s, 1e-9)
    words = {
        "join": say("joins"),
        "leave": say("leaves"),
        "publish": say("goes on stage"),
        "speak": say("speaks"),
        "stop": say("falls silent"),
    }

    def share(at_s: float) -> float:
        return round(min(max(at_s / whole_s, 0.0), 1.0) * 100, 2)

    rows = []
    for row in found.rows:
        bars = [
            # A spell shorter than a third of a per cent would be no pixel of a phone's strip.
            Bar(left=share(begin_s), width=round(max(share(end_s) - share(begin_s), 0.3), 2), kind=kind)
            for kind, periods in (("heard", row.heard), ("gap", row.gaps))
            for begin_s, end_s in periods
        ]
        marks = [
            Mark(left=share(at_s), sign=_SIGNS.get(does, "◆"), words=f"{words.get(does, does)}, {at_s:.1f} s")
            for at_s, does in row.marks
        ]
        periods = ", ".join(f"{begin_s:.1f}–{end_s:.1f} s" for begin_s, end_s in row.heard)
        told = say("heard {periods}", periods=periods) if periods else ""
        if row.gaps:
            told += say("; {count} gaps", count=len(row.gaps))
        # All that the strip shows, for who cannot see it: heard when, how many gaps, which cues.
        told += "".join(f"; {each.words}" for each in marks)
        rows.append(
            StripRow(name=group_named(row.name), role=row.role, bars=tuple(bars), marks=tuple(marks), told=told)
        )
    # Whole seconds and minutes, at most nine of them.
    step_s = next((each for each in (1, 2, 5, 10, 30, 60, 300, 600) if whole_s / each <= 8), 1800)
    ticks = tuple((share(at), f"{at:g}") for at in range(0, int(whole_s) + 1, step_s))
    return Strip(caption=say("The first call, s: who was heard when"), rows=tuple(rows), ticks=ticks)
