"""A screen of 80 to 120 columns: where columns of figures end, and waterfalls with a column of figures each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from rtcprobe.report import lines as plain
from rtcprobe.report.lines import COLUMNS
from rtcprobe.report.sentences import milliseconds
from rtcprobe.report.words import say

__all__ = ["Page", "waterfall"]

# Columns for what a row is called, at the least.
_NAME = 18
_CELL = 25
"""As wide as a column of figures is, its gap included."""
# Cells: below it a bar tells nothing that its figure does not.
_SHORTEST_BAR = 8
_SHOWN_S = 5e-5  # less would read 0.0 ms
_SMALL = 0.005
"""Phases and stages below this share of the total in every column are shown as one, ``other``."""


@dataclass(frozen=True, slots=True)
class Page:
    """How wide the screen is, and so where its columns of figures end."""

    width: int = COLUMNS

    def edges(self, columns: int) -> tuple[int, ...]:
        """Return where each of so many columns ends."""
        each = min(_CELL, (self.width - _NAME) // max(columns, 1))
        return tuple(self.width - 1 - each * (columns - 1 - index) for index in range(columns))

    def rule(self, title: str, columns: Sequence[str] = ()) -> Text:
        """Return a line across with titles of columns."""
        return plain.rule(title, columns, edges=self.edges(len(columns)), width=self.width)

    def cells(self, title: str, columns: Iterable[str]) -> Text:
        """Return a title and its columns."""
        found = list(columns)
        return plain.cells(title, found, edges=self.edges(len(found)))

    def table(self, title: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Text]:
        """Yield a rule and a row a name, its cells below their heads; a name that is too long stands on its own."""
        every = [(name, list(cells)) for name, cells in rows]
        heads = [say(each) for each in heads]
        lengths = [
            max(map(plain.cell_width, column)) for column in zip(heads, *(cells for _, cells in every), strict=True)
        ]
        edges = [self.width - 1 - sum(2 + length for length in lengths[place + 1 :]) for place in range(len(heads))]
        yield plain.rule(title, heads, edges=edges, width=self.width)
        room = edges[0] - lengths[0] - 3
        for name, cells in every:
            if plain.cell_width(name) > room:
                yield Text(f" {name}")
            yield plain.cells(f" {name}" if plain.cell_width(name) <= room else "", cells, edges=edges)

    def row(self, title: str, seconds: Iterable[float | None]) -> Text:
        """Return a title and a column of milliseconds each, a dash for None."""
        return self.cells(title, (milliseconds(each) for each in seconds))

    def wrapped(self, text: str, *, indent: int, style: str = "") -> list[Text]:
        """Return a sentence, whole."""
        return plain.wrapped(text, indent=indent, style=style, width=self.width)


def waterfall(columns: Sequence[Mapping[str, float]], page: Page) -> Iterator[Text]:
    """One row a phase or stage: a bar where the first column spends it, and every column's milliseconds."""
    totals = [sum(each.values()) for each in columns]
    names = list(dict.fromkeys(name for each in columns for name in each))
    # Small in every column: what is large for one way must stand in its own row for all.
    small = [
        name
        for name in names
        if all(abs(each.get(name, 0.0)) <= _SMALL * total for each, total in zip(columns, totals, strict=True))
    ]
    rows = [
        (say(name.replace("_", " ")), [each.get(name, 0.0) for each in columns]) for name in names if name not in small
    ]
    if any(abs(sum(each.get(name, 0.0) for name in small)) >= _SHOWN_S for each in columns):
        rows.append((say("other"), [sum(each.get(name, 0.0) for name in small) for each in columns]))
    # Of a way that nobody heard there are no stages: the bar then follows the other.
    drawn = 0 if columns[0] else 1
    whole, begin = max(totals[drawn], 1e-9), 0.0
    name_room = max([_NAME, *(plain.cell_width(title) + 1 for title, _ in rows)])
    room = page.edges(len(columns))[0] - 9 - name_room  # of a figure such as 12,345.6 before the first edge
    for title, values in rows:
        length = max(values[drawn], 0.0)
        bar = _bar(begin / whole, (begin + length) / whole, room) if room >= _SHORTEST_BAR else ""
        # Negative parts (a residual) take no room on the bar: they would draw it backwards.
        begin += length
        told = (value if column else None for value, column in zip(values, columns, strict=True))  # of nothing heard
        yield page.row(f" {plain.padded(title, name_room)}{bar}", told)


def _bar(start: float, end: float, room: int) -> str:
    """Return a bar from ``start`` to ``end`` (shares of ``room`` cells) in half characters; never empty."""
    # Parts of which some are negative reach beyond their sum: what is drawn ends at the edges.
    first, last = (round(min(max(share, 0.0), 1.0) * room * 2) for share in (start, end))
    last = max(last, first + 1)
    pad, odd = divmod(first, 2)
    if odd:  # there is no right half at the start of a bar that would not look like a gap: begin on the full cell
        first -= 1
    cells, half = divmod(last - first, 2)
    return (" " * pad + "█" * cells + "▌" * half)[:room].ljust(room)
