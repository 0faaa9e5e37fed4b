"""Every figure of a result in a table: joins, delays, link, harness, and results next to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtcprobe.report.dumped import CAPTION, COLUMNS, dumped_rows
from rtcprobe.report.html.words import NOTHING, arrow, ms, percentile, spaced
from rtcprobe.report.sentences import by_chance, interval, link_arrow, milliseconds
from rtcprobe.report.words import say
from rtcprobe.result import Account, Beside, Join, LinkSide, Quantile, Result, Summary
from rtcprobe.units import format_ratio

if TYPE_CHECKING:
    from rtcprobe.capture import Dump

__all__ = [
    "MOST_COLUMNS",
    "Column",
    "Table",
    "dumped",
    "gave_up",
    "join_table",
    "link_table",
    "mapping_table",
    "mouth_to_ear_table",
    "overview",
]

MOST_COLUMNS = 2
"""As many ways or legs as stand beside each other; of more, each has a row."""

# Figures of ``link.Achieved`` that count packets: no shares.
_COUNTS = ("offered", "delivered")
# A row of these says nothing that its absence does not.
_NO_NEWS = frozenset({NOTHING, "0%"})

_LINK_ROWS = (
    ("loss", "loss"),
    ("mean burst, packets", "mean_burst"),
    ("delay least, ms", "delay_min_s"),
    ("delay p50, ms", "delay_p50_s"),
    ("delay p95, ms", "delay_p95_s"),
    ("delay p99, ms", "delay_p99_s"),
    ("delay most, ms", "delay_max_s"),
    ("reordered", "reordered"),
    ("duplicated", "duplicated"),
    ("corrupted", "corrupted"),
    ("marked (ECN)", "marked"),
    ("rate of the line, kbit/s", "rate_bps"),
    ("bit rate sent, kbit/s", "offered_bps"),
    ("packets sent", "offered"),
    ("packets delivered", "delivered"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table's heading over ``span`` columns."""

    text: str
    span: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that begin with their heading; ``groups`` stand above ``columns`` where there are two rows of headings."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[Column, ...] = ()
    words: bool = False
    """Whether the cells hold words, not figures."""


def turned(table: Table) -> Table:
    """Return the table with a row for each of its columns."""
    # The first column's heading becomes that of the names; no-break blanks, as names are what a row is found by.
    heads, *rows = zip(table.columns, *table.rows, strict=True)
    lines = tuple((name.replace(" ", "\N{NO-BREAK SPACE}"), *cells) for name, *cells in rows)
    return replace(table, columns=heads, rows=lines, groups=())


def join_table(result: Result) -> Table | None:
    """Return every phase's percentiles over all joins."""
    summary = result.join.summary
    if all(each.first_audio_s is None for each in result.join.attempts):
        return None
    names = list(dict.fromkeys(q.name for each in summary.values() for q in each.quantiles))
    rows = tuple(
        (say("whole join") if name == "first_audio" else spaced(name), *_cells(each, names), ms(each.mean))
        for name, each in summary.items()
    )
    return Table(caption="All joins, ms [95 % interval]", columns=("phase", *names, "mean"), rows=rows)


def gave_up(attempts: Sequence[Join]) -> Table | None:
    """Return where the joins that were never heard gave up."""
    steps = [each.failed or "unknown step" for each in attempts if each.first_audio_s is None]
    rows = tuple(
        (step, say("{part} of {whole}", part=steps.count(step), whole=len(attempts))) for step in dict.fromkeys(steps)
    )
    return Table(caption="Joins never heard", columns=("gave up", "joins"), rows=rows) if rows else None


def mouth_to_ear_table(result: Result) -> Table | None:
    """Return the figures of every way: next to each other, of more than two below each other."""
    ears = list(result.mouth_to_ear.items())
    if not ears:
        return None
    rows: list[tuple[str, ...]] = []
    for name in ("p50", "p90", "p95", "p99"):
        cells = [_cell(ear.summary, name) for _, ear in ears]
        # A p99 that no way has enough markers for would be a row of dashes.
        if any(cell != NOTHING for cell in cells):
            rows.append((f"{name}, ms", *cells))
    rows.append(("mean; min–max, ms", *(NOTHING if ear.summary is None else _extremes(ear.summary) for _, ear in ears)))
    rows.append(("heard, rejected, lost", *(_fates(ear) for _, ear in ears)))
    rows += _figures([ear for _, ear in ears])
    columns = ("", *(arrow(way) for way, _ in ears))
    table = Table(caption="Mouth-to-ear delay, by direction", columns=columns, rows=tuple(rows))
    return table if len(ears) <= MOST_COLUMNS else turned(replace(table, caption="Mouth-to-ear delay, by way"))


def link_table(result: Result) -> Table | None:
    """Return what was asked of the link next to what its packets met."""
    reports = list(result.link.items())
    if not reports:
        return None
    sides = [side for _, report in reports for side in (report.requested, report.achieved)]
    rows = [(title, *(_link_figure(side, key) for side in sides)) for title, key in _LINK_ROWS]
    chance = [by_chance(report) for _, report in reports]
    if any(chance):
        # Below "achieved" alone: what was asked for is no chance.
        spread = [cell for said in chance for cell in (NOTHING, said or NOTHING)]
        # Below the loss it is about.
        rows.insert(1, ("is that loss chance? [95 %]", *spread))
    drops = [
        ", ".join(f"{count:,} {say(cause)}" for cause, count in getattr(side, "drops", {}).items()) or NOTHING
        for side in sides
    ]
    rows.append(("drops by cause", *drops))
    arrows = [link_arrow(result, leg) for leg, _ in reports]
    table = Table(
        caption="Link: requested next to achieved",
        columns=("", *(say("requested"), say("achieved")) * len(reports)),
        rows=tuple(row for row in rows if not _NO_NEWS.issuperset(row[1:])),
        groups=(Column(text=""), *(Column(text=each, span=2) for each in arrows)),
    )
    if len(reports) <= MOST_COLUMNS:
        return table
    # Two rows of headings would become two columns: leg and side stand in one.
    return turned(replace(table, columns=("", *(f"{each}, {side}" for each in arrows for side in table.columns[1:3]))))


def mapping_table(caption: str, mapping: Mapping[str, Any]) -> Table | None:
    """Return any plain mapping as rows of name and value; mappings inside are named by their path."""
    rows = tuple(_flat(mapping, ""))
    return Table(caption=caption, columns=("what", "value"), rows=rows, words=True) if rows else None


def overview(results: Sequence[Result]) -> Table:
    """Return all results, a row each."""
    rows = []
    # Results from before environments were kept have no date: then no column of dashes.
    dated = any(_when(each) != NOTHING for each in results)
    for result in results:
        # One figure a run in the table of all: a conversation is as good as its slowest way.
        worst = [_worst(result, name) for name in ("p50", "p95")]
        joins = [percentile(result.join.summary.get("first_audio"), name) for name in ("p50", "p95")]
        rows.append(
            (
                result.scenario,
                result.target,
                f"{result.seed}",
                *(NOTHING if q is None else _quantile(q, short=True) for q in joins),
                *(NOTHING if value is None else milliseconds(value) for value in worst),
                *((_when(result),) if dated else ()),
            )
        )
    columns = ("scenario", "target", "seed", "join p50", "join p95", "mouth to ear p50", "mouth to ear p95")
    when = ("when, UTC",) if dated else ()
    return Table(caption="All results, ms; mouth to ear: the slowest way", columns=(*columns, *when), rows=tuple(rows))


def _when(result: Result) -> str:
    """Return when a result was measured, to the minute."""
    return str(result.environment.get("date", NOTHING))[:16].replace("T", " ")


def _link_figure(side: LinkSide, key: str) -> str:
    value = getattr(side, key, None)
    if not isinstance(value, (int, float)):
        return NOTHING
    if key.endswith("_s"):
        return milliseconds(value)
    if key.endswith("_bps"):
        return f"{value / 1e3:,.0f}"
    if key == "mean_burst":
        return f"{value:.1f}"
    return f"{value:,.0f}" if key in _COUNTS else format_ratio(value)


def _fates(ear: Account) -> str:
    return say("{part} of {whole}", part=f"{ear.heard}, {ear.rejected}, {ear.lost}", whole=ear.scheduled)


def _figures(ears: Sequence[Account]) -> Iterator[tuple[str, ...]]:
    """Return the rows of figures that only some runs have."""
    readers: tuple[tuple[str, Callable[[Account], str]], ...] = (
        ("frames lost on the way", lambda e: _ratio(e.protection and e.protection.loss.get("before"))),
        ("frames not played", lambda e: _ratio(e.unplayed)),
        ("delay that copies cost, ms", lambda e: ms(e.protection and e.protection.cost_s)),
        ("concealed sound", lambda e: _ratio(e.concealed)),
        ("jitter buffer's mean target, ms", lambda e: ms(e.playout and e.playout.mean_target_delay_s)),
        ("R (E-model)", lambda e: _plain(e.r, 1)),
        ("MOS talking, listening", lambda e: _both(e.quality and e.quality.mos, e.quality and e.quality.listening_mos)),
    )
    for title, read in readers:
        cells = [read(ear) for ear in ears]
        if any(cell != NOTHING for cell in cells):
            yield (title, *cells)
    names = dict.fromkeys(name for ear in ears for name in ear.beside)
    for name in names:
        figures = [ear.beside.get(name, Beside()) for ear in ears]
        held = [f"{ms(each.holding_p50_s)} / {ms(each.holding_p95_s)}" for each in figures]
        yield (f"for comparison, {name}: holds p50 / p95, ms", *held)


def _worst(result: Result, name: str) -> float | None:
    """Return the percentile of the slowest way."""
    found = (percentile(ear.summary, name) for ear in result.mouth_to_ear.values())
    return max((each.value for each in found if each is not None and each.value is not None), default=None)


def _cells(summary: Summary, names: Iterable[str]) -> Iterator[str]:
    yield from (_cell(summary, name) for name in names)


def _cell(summary: Summary | None, name: str) -> str:
    found = percentile(summary, name)
    return NOTHING if found is None else _quantile(found)


def _quantile(found: Quantile, *, short: bool = False) -> str:
    if found.needs is not None:
        return say("needs {count}", count=found.needs)
    if found.value is None:
        return say("never")
    return milliseconds(found.value) if short else f"{milliseconds(found.value)} {interval(found)}"


def _extremes(summary: Summary) -> str:
    if summary.mean is None:
        return NOTHING
    return f"{milliseconds(summary.mean)}; {milliseconds(summary.minimum)}–{milliseconds(summary.maximum)}"


def _flat(mapping: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, value in mapping.items():
        name = f"{path}{spaced(key)}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        elif value is None:
            yield name, NOTHING
        elif isinstance(value, (list, tuple)):
            # An empty list says that there is none: an empty cell would look forgotten.
            yield name, "; ".join(str(each) for each in value) or NOTHING
        elif key == "flags":
            yield name, str(value).replace(" --", "\n--")  # a line each: hyphens are where lines else break
        # Keys carry their units (``records``): what ends in _s is seconds, and told in milliseconds.
        elif key.endswith("_s") and isinstance(value, (int, float)):
            yield f"{path}{spaced(key.removesuffix('_s'))}", f"{milliseconds(value, 2)} ms"
        else:
            yield name, f"{value:,.6g}" if isinstance(value, float) else str(value)


def _ratio(value: Any) -> str:
    return format_ratio(value) if isinstance(value, (int, float)) else NOTHING


def _plain(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else NOTHING


def _both(first: Any, second: Any) -> str:
    return NOTHING if first is None and second is None else f"{_plain(first, 2)}, {_plain(second, 2)}"


def dumped(dumps: Sequence[Dump], runs: Sequence[tuple[str, Sequence[Result]]]) -> Table | None:
    """Return what browsers counted beside what the runs did; None where no dump was given."""
    return Table(caption=CAPTION, columns=COLUMNS, rows=tuple(dumped_rows(dumps, runs))) if dumps else None
