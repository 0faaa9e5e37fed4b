"""Response surfaces on a terminal: a figure over two axes, and how far a budget holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from rtcprobe.report.lines import rule, wrapped
from rtcprobe.sweep import Edge, Point, Surface

__all__ = ["surface_lines"]

# Columns of a figure; a level's text is cut from its left, for the unit stands at its right.
_WIDE = 9


def surface_lines(surface: Surface, edges: Sequence[Edge] = (), limit: str = "") -> Iterator[Text]:
    """Return a surface as a table, a line a row; with ``edges``, a sentence for each on how far ``limit`` holds."""
    told = [f"{axis}={value}" for axis, value in surface.fixed.items()]
    fixed = ", ".join([*told, *([] if surface.engine == "stack" else [f"engine {surface.engine}"])])
    yield rule(f"{surface.figure} over {surface.x}" + (f" ({fixed})" if fixed else ""))
    lead = max([len(row) for row in surface.rows] + [len(surface.y or "")]) + 1
    yield Text(
        " " + (surface.y or "").ljust(lead) + "".join(f"{each[-_WIDE:]:>{_WIDE + 1}}" for each in surface.columns)
    )
    for row in surface.rows:
        cells = [surface.points.get((column, row), Point(value=None)) for column in surface.columns]
        yield Text(" " + row.ljust(lead) + "".join(f"{_value(each, surface.figure):>{_WIDE + 1}}" for each in cells))
        if any(each.low is not None for each in cells):
            halves = "".join(f"{_half(each, surface.figure):>{_WIDE + 1}}" for each in cells)
            yield Text(" " + "".ljust(lead) + halves, style="dim")
    missing = sum(point.missing for point in surface.points.values())
    if missing:
        yield Text(f" {missing} runs have no such figure: nothing was heard, or they failed", style="yellow")
    for edge in edges:
        yield from wrapped(_sentence(edge, surface, limit), indent=0, style="bold", most=None)


def _sentence(edge: Edge, surface: Surface, limit: str) -> str:
    who = f"{surface.y} {edge.row}" if surface.y else surface.figure
    close = "; near there another seed may decide otherwise" if edge.unsure else ""
    if edge.last is None:
        return f"{who}: {limit} holds nowhere, not at {surface.x} {edge.first}{close}."
    if edge.first is None:
        return f"{who}: {limit} holds everywhere, up to {surface.x} {edge.last}{close}."
    return f"{who}: {limit} holds up to {surface.x} {edge.last}, not at {edge.first}{close}."


def _value(point: Point, figure: str) -> str:
    if point.value is None:
        return "-"
    return f"{point.value:.1f}" if figure.endswith("_ms") or figure == "r" else f"{point.value * 100:.2f}%"


def _half(point: Point, figure: str) -> str:
    if point.value is None or point.low is None or point.high is None:
        return ""
    half = (point.high - point.low) / 2.0
    return f"±{half:.1f}" if figure.endswith("_ms") or figure == "r" else f"±{half * 100:.2f}"
