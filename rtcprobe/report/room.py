"""What is told of a room, in sentences and cells that every report shares; and the screen's part about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.text import Text

from rtcprobe.report.lines import cell_width
from rtcprobe.report.pages import Page
from rtcprobe.report.sentences import arrow, bounds, counted, milliseconds, plain_share, rough_share
from rtcprobe.report.words import say
from rtcprobe.result import Entrance, Exit, NamedFigure, Result, Room, Waited
from rtcprobe.verdict.room import Hour, Matrix, hour, level, matrix, worst_pairs
from rtcprobe.verdict.room.comings import pictures_awaited
from rtcprobe.verdict.room.matrix import Cell
from rtcprobe.verdict.statistics import share_interval
from rtcprobe.ways import Way

__all__ = ["facts", "figure_rows", "named_lines", "pair_told", "room_lines"]

HEARD = (
    "Who hears whom, p50 ms: rows speak, columns hear",
    "Who hears whom, p50 ms: rows speak, columns hear; of groups the latest pair",
)
SEEN = (
    "Who sees whom, p50 ms: rows show, columns watch",
    "Who sees whom, p50 ms: rows show, columns watch; of groups the latest pair",
)
"""What a matrix is called: of parties alone, and of groups."""

_MOST = 8
"""Rows and columns of a matrix on a screen of 80 columns."""
# Columns of a figure such as 1,234.5 and its gap.
_CELL = 8
# The worst so many are named; from there on a reader looks at the page.
_NAMED = 3
_SHADES = ("", "green", "cyan", "yellow", "bold yellow", "bold red")
"""Colours of ``level``; the number says the same."""
# role ["," place] "(" count ")", as ``verdict.room`` names groups
_GROUP = re.compile(r"([^,()]+)(, [^()]+)? \((\d+)\)")
_MARKS = {"join": "+", "leave": "-", "publish": "^", "speak": "^", "stop": "v"}
"""What a cue is in the strip of the hour: words stand below it."""


def room_lines(result: Result, page: Page) -> Iterator[Text]:
    """Yield the matrix, what no single way says, and the strip of the first call's hour."""
    room = result.room
    if room is None or not any(ear.heard for ear in result.mouth_to_ear.values()):
        return
    heard, seen = matrix(result, most=_MOST), matrix(result, most=_MOST, kind="glass_to_glass")
    watched = any(each.heard for each in result.of_kind("glass_to_glass").values())
    # Letters are explained once: below the second matrix where both have the same columns.
    yield from _matrix(heard, page, HEARD, named=not watched or heard.columns != seen.columns)
    if watched:
        yield from _matrix(seen, page, SEEN, named=True)
    for name, told in facts(result, room):
        yield from page.wrapped(f"{name}: {told}", indent=1)
    found = hour(result)
    if found is not None:
        yield from _strip(found, page)


def facts(result: Result, room: Room) -> Iterator[tuple[str, str]]:
    """Yield what is said of a room as a name and a sentence each, the worst pairs first."""
    # Pairs, not the matrix's groups: who is latest has two names.
    latest = [pair_told(each) for each in worst_pairs(result, _NAMED)]
    yield say("latest pairs, p50 and p95, ms"), "; ".join(latest)
    shown = [pair_told(each) for each in worst_pairs(result, _NAMED, "glass_to_glass")]
    if shown:
        yield say("latest pictures, p50 and p95, ms"), "; ".join(shown)
    if room.spreads:
        ranked = sorted(room.spreads, key=lambda each: -each.spread_s)[:_NAMED]
        told = [
            say(
                "{talker} {spread} ms ({first} first, {last} last)",
                talker=each.talker,
                spread=_spread(each.spread_s, each.low_s, each.high_s),
                first=each.first,
                last=each.last,
            )
            for each in ranked
        ]
        yield say("one word's listeners apart, of those who heard it"), "; ".join(told)
    if room.gaps:
        shares = [f"≥{each.least_s * 1e3:g} ms {share_told(each.share, each.low, each.high)}" for each in room.gaps]
        yield say("gaps, of the time listened to"), ", ".join(shares)
    for each in room.joins:
        # With one role in the room it is everybody.
        if each.group == "everybody" or len(room.joins) > 2:
            name = say(each.group)
            within = say(
                "{one} within 1 s, {five} within 5 s",
                one=_of_joins(each.within_1s, each.first_audio.n),
                five=_of_joins(each.within_5s, each.first_audio.n),
            )
            yield say("joins, {who}", who=name), within + _of(each.first_audio.n, "join")
    yield from _comings(room, pictures_awaited(result))
    if room.talk_over:
        yield say("talk-over window, of who heard each other"), "; ".join(_windows(room))


def pair_told(cell: Cell) -> str:
    """Return a pair and how late it is heard: ``"ben → cho 236.5, 241.0"``."""
    pair = arrow(Way.of(cell.worst.talker, cell.worst.listener))
    if cell.p50_s is None:
        return say("{pair} never seen" if cell.worst.medium == "video" else "{pair} never heard", pair=pair)
    tail = "" if cell.p95_s is None else f", {milliseconds(cell.p95_s)}"
    return f"{pair} {milliseconds(cell.p50_s)}{tail}"


def group_named(name: str) -> str:
    """Return what a row or column is called: of several, their role in the language spoken, and how many."""
    found = _GROUP.fullmatch(name)
    return name if found is None else f"{say(found[1])}{found[2] or ''} ({found[3]})"


def share_told(share: float, low: float | None, high: float | None) -> str:
    """Return a share with its interval: ``"0.06% [0.01%–1.3%]"``."""
    return plain_share(share) + ("" if low is None and high is None else f" {bounds(low, high, 'share')}")


def _spread(spread_s: float, low_s: float | None, high_s: float | None) -> str:
    ends = "" if low_s is None and high_s is None else f" {bounds(low_s, high_s, 's')}"
    return f"{milliseconds(spread_s)}{ends}"


def _comings(room: Room, pictures: Sequence[Waited]) -> Iterator[tuple[str, str]]:
    # A party that goes on stage in each of eight calls has one line, of all its entrances.
    by_party: dict[str, list[Entrance]] = {}
    for each in room.entrances:
        by_party.setdefault(each.party, []).append(each)
    for party, entered in by_party.items():
        told = _waits([wait for each in entered for wait in each.waits])
        if told:
            yield say("on stage → heard, {party}", party=party), told
        seen = _waits([wait for each in entered for wait in each.pictures])
        if seen:
            yield say("on stage → seen, {party}", party=party), seen
    gone: dict[str, list[Exit]] = {}
    for exit_ in room.exits:
        gone.setdefault(exit_.party, []).append(exit_)
    for party, left in gone.items():
        told = _waits([wait for each in left for wait in each.silences])
        after = next((each.next for each in left if each.next is not None), None)
        name = say("{party} gone → nobody after", party=party)
        if after is not None:
            name = say("{party} gone → silence until {after}", party=party, after=after)
        if told:
            yield name, told
    if room.newcomers:
        waits = [Waited(listener=each.party, wait_s=each.wait_s) for each in room.newcomers]
        yield say("joined meanwhile → first sound"), _waits(waits)
    if pictures:
        yield say("joined meanwhile → first picture"), _waits(pictures)


def _of_joins(share: float, count: int) -> str:
    # Joins are independent (``verdict.intervals`` rule 3): Wilson's interval of their number is theirs.
    low, high = share_interval(share, count)
    return f"{rough_share(share)} [{rough_share(low)}–{rough_share(high)}]"


def _of(count: int, thing: str) -> str:
    return say(", of {things}", things=counted(count, thing, f"{thing}s"))


def _waits(waits: Sequence[Waited]) -> str:
    """Return the least, middle and most of waits, whose the longest was, of how many, and how many never ended."""
    known = sorted((each for each in waits if each.wait_s is not None), key=lambda each: each.wait_s or 0.0)
    never = [each.listener for each in waits if each.wait_s is None]
    said = []
    if known:
        # The lower of two in the middle: a wait that somebody had.
        low, middle, high = (milliseconds(known[place].wait_s, 0) for place in (0, (len(known) - 1) // 2, -1))
        told = "{low} to {high} ms, median {middle} ({last} last)" if len(known) > 1 else "{middle} ms ({last})"
        parts = {"low": low, "high": high, "middle": middle, "last": known[-1].listener}
        said.append(say(told, **parts) + _of(len(known), "wait"))
    if never:
        who = ", ".join(dict.fromkeys(never[:_NAMED]))
        said.append(
            say("never at {who}", who=who)
            if len(never) == 1
            else say("never at {who} ({count} times)", who=who, count=len(never))
        )
    return "; ".join(said)


def _windows(room: Room) -> Iterator[str]:
    ranked = sorted(room.talk_over, key=lambda each: -each.window_s)[:_NAMED]
    for place, each in enumerate(ranked):
        chance = say("{share} collide", share=rough_share(each.collision))
        # Once, at the first: the assumption is the same for all.
        model = say(", if one who waits begins at {rate:g}/s: a model", rate=each.rate_hz) if not place else ""
        yield (f"{each.one} ↔ {each.other} {_spread(each.window_s, each.low_s, each.high_s)} ms ({chance}{model})")


def _matrix(found: Matrix, page: Page, titles: tuple[str, str], *, named: bool) -> Iterator[Text]:
    """Yield who hears (or sees) whom: a row each talker; a number each listener, shaded."""
    columns = [group_named(each.name) for each in found.columns]
    heads = len(columns)
    room = max([len("·"), *(cell_width(group_named(each.name)) for each in found.rows)]) + 2
    width = min(
        max(_CELL, (page.width - room - 1) // max(heads, 1)), max(_CELL, *(cell_width(each) + 2 for each in columns))
    )
    yield page.rule(say(titles[found.grouped]))
    # Else letters stand for the columns, and what they mean below.
    fits = room + heads * width < page.width and all(cell_width(each) < width for each in columns)
    names = columns if fits else [f"{chr(ord('A') + place)}" for place in range(heads)]
    yield Text(" " * room + "".join(_right(name, width) for name in names), style="dim")
    for row in found.rows:
        name = group_named(row.name)
        line = Text(f" {name}" + " " * max(0, room - cell_width(name) - 1))
        for column in found.columns:
            cell = found.cells.get((row.name, column.name))
            value, style = ("·", "dim") if cell is None else (milliseconds(cell.p50_s), _SHADES[level(cell.p50_s)])
            line.append(" " * max(1, width - len(value)))
            line.append(value, style=style)
        yield line
    if not fits and named:
        yield from page.wrapped(", ".join(f"{a}: {b}" for a, b in zip(names, columns, strict=True)), indent=1)


def _right(text: str, width: int) -> str:
    return " " * max(1, width - cell_width(text)) + text


def _strip(found: Hour, page: Page) -> Iterator[Text]:
    """Yield who was heard when, a row each, on one axis of time."""
    title = say("The first call's {seconds:.1f} s: who was heard", seconds=found.lasted_s)
    yield page.rule(title)
    room = max(10, *(cell_width(group_named(each.name)) + 2 for each in found.rows))
    width = page.width - room - 2
    scale = width / max(found.lasted_s, 1e-9)

    def place(at_s: float) -> int:
        return min(width - 1, max(0, int(at_s * scale)))

    marks: dict[str, str] = {}
    for row in found.rows:
        cells = ["·"] * width
        for begin_s, end_s in row.heard:
            # A spell that ends where the next one's cell begins does not fill that, too.
            for index in range(place(begin_s), place(end_s - 1e-9) + 1):
                cells[index] = "█"
        # Over what was heard, and marks over both: in a cell of some seconds the rarest is what must be seen.
        for begin_s, end_s in row.gaps:
            for index in range(place(begin_s), place(end_s) + 1):
                cells[index] = "×"
        for at_s, does in row.marks:
            cells[place(at_s)] = _MARKS.get(does, "!")
            marks[_MARKS.get(does, "!")] = does
        name = group_named(row.name)
        yield Text(f" {name}" + " " * max(1, room - cell_width(name) - 1) + "".join(cells))
    key = [("█", say("heard by somebody")), ("×", say("a gap of 80 ms or longer"))]
    used = {cell for row in found.rows for cell in ("×",) if row.gaps} | {"█"}
    told = [f"{sign} {words}" for sign, words in key if sign in used]
    signs = {"+": say("joins"), "-": say("leaves"), "^": say("goes on stage, or speaks"), "v": say("falls silent")}
    told += [f"{sign} {signs.get(sign, does)}" for sign, does in marks.items()]
    yield from page.wrapped(", ".join(told), indent=1, style="dim")


def figure_rows(named: Sequence[NamedFigure]) -> list[tuple[str, str, str]]:
    """Return a service's figures: name with what it is, the figure with its interval, how it is defined and where."""
    rows = []
    for each in named:
        if each.value is None:
            value = say("not measured")
        elif each.unit == "ms":
            ends = "" if each.low is None or each.high is None else f" [{each.low:,.1f}–{each.high:,.1f}]"
            value = f"{each.value:,.1f} ms{ends}"
        else:
            value = share_told(each.value, each.low, each.high)
        # Results of earlier versions do not say of how many.
        if each.counted is not None:
            value += say(", of {things}", things=counted(each.counted, each.what.removesuffix("s"), each.what))
        differs = f" ({say(each.differs)})" if each.differs else ""
        rows.append((f"{each.name}: {say(each.told)}", value, f"{say(each.by)}{differs}. {say(each.source)}"))
    return rows


def named_lines(result: Result, page: Page) -> Iterator[Text]:
    """Yield the figures in a service's own words, where they were asked for."""
    if not result.named:
        return
    yield page.rule(say("In {service}'s words", service=str(result.settings.get("figures", ""))))
    for name, value, definition in figure_rows(result.named):
        yield page.cells(f" {name}", [value])
        yield from page.wrapped(definition, indent=3, style="dim")
