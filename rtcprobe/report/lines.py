"""Lines of a terminal: rules, cells that never touch, wrapped sentences; made for 80 columns, whole in ASCII too."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

from rich.console import Console
from rich.text import Text

__all__ = ["COLUMNS", "ROWS", "STYLES", "WIDEST", "cells", "print_lines", "rule", "width_of", "wrapped"]

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

_ASCII = str.maketrans({"─": "-", "█": "#", "▌": "#", "→": ">", "–": "-", "·": "-", "…": ".", "±": "~", "◄": "<"})


def print_lines(lines: Iterable[Text], console: Console) -> None:
    """Print ``lines`` as they are, cut where the terminal ends; in ASCII where it knows no more."""
    plain = not (console.encoding or "").lower().startswith("utf")
    for line in lines:
        said = line.plain.translate(_ASCII) if plain else line.plain
        if not said.isprintable():  # from a file that somebody edited: a terminal would obey it
            said = "".join(each if each.isprintable() else "?" for each in said)
        text = line if said is line.plain else Text(said, spans=line.spans)
        console.print(text, no_wrap=True, overflow="ellipsis", crop=True, highlight=False)


def width_of(console: Console) -> int:
    """Return how wide a screen may be drawn on ``console``; what it is narrower than 80 columns is cut."""
    return min(max(console.width, COLUMNS), WIDEST)


def wrapped(text: str, *, indent: int, style: str = "", most: int | None = None, width: int = COLUMNS) -> list[Text]:
    """Return ``text`` on as many lines as it needs, at most ``most`` if told; later ones are indented further."""
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        max_lines=most,
        placeholder="…",
    )
    return [Text(line, style=style) for line in lines]


def rule(title: str, columns: Iterable[str] = (), *, edges: Iterable[int] = (), width: int = COLUMNS) -> Text:
    """Return a line across the screen with a title, and the titles of columns that end at ``edges``."""
    line = f"─ {title} "
    for edge, column in _placed(columns, edges):
        line = line.ljust(edge - len(column) - 1, "─") + f" {column} "
    return Text(line.ljust(width, "─"), style="cyan")


def cells(title: str, columns: Iterable[str], *, edges: Iterable[int]) -> Text:
    """Return a title and columns that end at ``edges``, or later where what is before them needs the room."""
    line = title
    for edge, cell in _placed(columns, edges):
        said = line.rstrip()
        line = said.ljust(max(edge - len(cell), len(said) + 1)) + cell
    return Text(line)


def _placed(columns: Iterable[str], edges: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield each column with where it ends; one more than there are edges stands right behind, and never vanishes."""
    places = chain(edges, repeat(0))
    for column in columns:
        yield next(places), column
