"""Lines of a terminal: rules, cells that never touch, wrapped sentences; made for 80 columns, whole in ASCII too."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rtcprobe.report.words import say

__all__ = [
    "COLUMNS",
    "ROWS",
    "STYLES",
    "WIDEST",
    "cell_width",
    "cells",
    "padded",
    "print_lines",
    "rule",
    "width_of",
    "wrapped",
]

# A terminal's width since VT100 and xterm's default: what is written for it is never cut.
COLUMNS = 80
ROWS = 39
"""One less than 40: the shell's prompt takes the last."""
WIDEST = 120
"""Lines longer than this are not read at a glance, whatever room there is."""

STYLES = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "invalid": "bold magenta",
    "met": "green",
    "missed": "red",
    "unsure": "yellow",
    "blind": "yellow",
    "better": "green",
    "worse": "red",
}
"""Colour repeats what the word already says."""

_WIDE = "\u2e80-\u9fff\uff00-\uff60"
"""Chinese characters and full-width forms (Unicode UAX #11)."""
_CLOSES = "\uff0c\u3002\uff1b\uff1a\u3001\uff01\uff1f\uff09\u300b\u300d"
"""Full-width comma, stop, semicolon, colon, enumeration comma, exclamation and question mark, closing brackets."""

# piece = word *closes / wide *closes / 1*closes / 1*blank     word: of other letters; wide: one Chinese character
_PIECES = re.compile(rf"[^\s{_WIDE}{_CLOSES}]+[{_CLOSES}]*|[{_WIDE}][{_CLOSES}]*|[{_CLOSES}]+|\s+")

# One character for one, so that columns stay; the rest of a line's letters are people's own.
_ASCII = str.maketrans({"─": "-", "█": "#", "▌": "#", "→": ">", "–": "-", "·": "-", "…": ".", "±": "~", "◄": "<"})


def print_lines(lines: Iterable[Text], console: Console) -> None:
    """Print ``lines`` as they are, cut where the terminal ends; in ASCII where it knows no more."""
    plain = not (console.encoding or "").lower().startswith("utf")
    for line in lines:
        said = line.plain.translate(_ASCII) if plain else line.plain
        # Escape sequences in a name would move the cursor, set titles, or worse; a result file is no more trusted than
        # its writer.
        if not said.isprintable():
            said = "".join(each if each.isprintable() else "?" for each in said)
        text = line if said is line.plain else Text(said, spans=line.spans)
        # No markup and no highlighting: brackets of an interval are rich's own syntax.
        console.print(text, no_wrap=True, overflow="ellipsis", crop=True, highlight=False)


def width_of(console: Console) -> int:
    """Return how wide a screen may be drawn on ``console``; what it is narrower than 80 columns is cut."""
    return min(max(console.width, COLUMNS), WIDEST)


def cell_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: a Chinese character takes two (Unicode UAX #11)."""
    return len(text) if text.isascii() else cell_len(text)


def wrapped(text: str, *, indent: int, style: str = "", most: int | None = None, width: int = COLUMNS) -> list[Text]:
    """Return ``text`` on as many lines as it needs, at most ``most`` if told; later ones are indented further."""
    # textwrap counts characters and breaks at blanks, of which Chinese has none.
    if cell_width(text) > len(text):
        return [Text(line, style=style) for line in _wide_wrapped(text, indent, width)[:most]]
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        max_lines=most,
        placeholder="…",
    )
    return [Text(line, style=style) for line in lines]


def _wide_wrapped(text: str, indent: int, width: int) -> list[str]:
    """Return ``text`` on lines of so many columns: between two Chinese characters a line may break, as at a blank.

    A line begins with no mark that closes (GB/T 15834-2011 §5.1.9): it goes with the character before it.
    """
    pieces = _PIECES.findall(text)
    lines = [" " * indent]
    for piece in pieces:
        # A blank at the end of a line takes no room, and a piece that is too long for any line stands alone.
        if cell_width(lines[-1] + piece.rstrip()) > width and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * (indent + 2))
        if piece.strip() or lines[-1].strip():
            lines[-1] += piece
    return [line.rstrip() for line in lines]


def rule(title: str, columns: Iterable[str] = (), *, edges: Iterable[int] = (), width: int = COLUMNS) -> Text:
    """Return a line across the screen with a title, and the titles of columns that end at ``edges``."""
    line = f"─ {say(title)} "
    for edge, column in _placed(map(say, columns), edges):
        line = padded(line, edge - cell_width(column) - 1, "─") + f" {column} "
    return Text(padded(line, width, "─"), style="cyan")


def cells(title: str, columns: Iterable[str], *, edges: Iterable[int]) -> Text:
    """Return a title and columns that end at ``edges``, or later where what is before them needs the room."""
    line = f"{title[: len(title) - len(title.lstrip())]}{say(title.strip())}" if title.strip() else title
    for edge, cell in _placed(columns, edges):
        said = line.rstrip()
        line = padded(said, max(edge - cell_width(cell), cell_width(said) + 1)) + cell
    return Text(line)


def padded(text: str, width: int, fill: str = " ") -> str:
    """Return ``text`` filled to so many columns."""
    return text + fill * (width - cell_width(text))


def _placed(columns: Iterable[str], edges: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield each column with where it ends; one more than there are edges stands right behind, and never vanishes."""
    places = chain(edges, repeat(0))
    for column in columns:
        yield next(places), column
