"""A map of the world with marks and ways on it, for pages that say where something stands.

Facts:
    The land is Natural Earth's 1:110m land (public domain, naturalearthdata.com; taken from the npm package world-atlas
    2.0.2), simplified to whole degrees and without lakes: ``land.json`` has a ring a line, longitudes and latitudes in
    turn.

Rules:
    1. Longitude and latitude are drawn as they are (plate carrée): distances are not to be read off, places are.
    2. A way goes the short way round; one across the date line is drawn to both rims.
    3. Kinds of marks differ in shape as well as in colour. A label that would cover another is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from rtcprobe.report.html.reduce import Floats
from rtcprobe.report.html.svg import ACCENT, INK, LINE, PAPER, SOFT, WARN, drawing, inline

__all__ = ["Mark", "Place", "Ways", "world"]

Kind = Literal["people", "chosen", "other"]
Place = tuple[float, float]
"""Longitude and latitude in degrees, east and north positive."""
Ways = Sequence[tuple[Place, Place]]
Box = tuple[float, float, float, float]

_LOOKS: Final = {"people": ("o", ACCENT), "chosen": ("s", INK), "other": ("D", WARN)}
# As ``charts``.
_PIXELS: Final = {"wide": 1120, "narrow": 380}
# Of labels, which are names of places: smaller on a phone, where a map has as many.
_TEXT: Final = {"wide": 11.5, "narrow": 10.5}
_WHOLE: Final = (-180.0, 180.0, -58.0, 78.0)
"""Without Antarctica, and the ice of the north."""
_MARGIN: Final = 14.0
"""Degrees left around the outermost marks."""
# Degrees: two edges in one country still have a coast around them that is known.
_LEAST_SPAN: Final = 50.0
_LETTER: Final = 0.56
"""Mean width of a letter, in its height: what labels are kept apart by, as the page's font is not known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something at a place; ``size`` 0 to 1 grows its area."""

    at: Place
    kind: Kind
    label: str
    size: float = 0.0


@cache
def _land() -> tuple[Floats, ...]:
    rings = json.loads(files("rtcprobe.report.html").joinpath("land.json").read_text(encoding="utf-8"))
    return tuple(np.array(ring, dtype=np.float64).reshape(-1, 2) for ring in rings)


def world(marks: Sequence[Mark], ways: Ways, *, name: str, width: Literal["wide", "narrow"], label: str) -> Markup:
    """Return the map around ``marks``, with ``ways`` between places; ``label`` is what a listener is told."""
    west, east, south, north = _around([each.at for each in marks])
    pixels = _PIXELS[width]
    scale = pixels / (east - west)
    with drawing(name):
        height = scale * (north - south)
        figure = Figure(figsize=(pixels / 72, height / 72), dpi=72)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(west, east)
        axes.set_ylim(south, north)
        axes.set_axis_off()
        axes.add_collection(PolyCollection(_land(), facecolors=LINE, edgecolors=PAPER, linewidths=0.5))
        for start, end in _drawn(ways):
            axes.plot([start[0], end[0]], [start[1], end[1]], color=ACCENT, linewidth=1.0, linestyle=(0, (4, 2)))
        _put(axes, marks, scale, text=_TEXT[width], bounds=(west * scale, south * scale, east * scale, north * scale))
        return inline(figure, name=name, label=label, classes=f"chart {width}")


def _around(places: Sequence[Place]) -> Box:
    """Return the part of the world to draw: all of it, or less where everything stands close together."""
    if not places:
        return _WHOLE
    at = np.array(places, dtype=np.float64)
    sides = []
    for axis, (least, most) in enumerate((_WHOLE[:2], _WHOLE[2:])):
        low, high = float(at[:, axis].min()) - _MARGIN, float(at[:, axis].max()) + _MARGIN
        lacking = max(0.0, _LEAST_SPAN - (high - low)) / 2
        sides.append((max(least, low - lacking), min(most, high + lacking)))
    return (*sides[0], *sides[1])


def _drawn(ways: Ways) -> Iterator[tuple[Place, Place]]:
    """Yield the straight pieces of ``ways`` (rule 2)."""
    for (from_east, from_north), (to_east, to_north) in ways:
        if abs(to_east - from_east) <= 180.0:
            yield (from_east, from_north), (to_east, to_north)
            continue
        # The end moved once around the world, so that the line leaves on the near side; then the same line one turn
        # back, entering on the other.
        turn = 360.0 if from_east > 0 else -360.0
        yield (from_east, from_north), (to_east + turn, to_north)
        yield (from_east - turn, from_north), (to_east, to_north)


def _put(axes: Axes, marks: Sequence[Mark], scale: float, *, text: float, bounds: Box) -> None:
    """Draw the marks, then each label in the first free place beside its own (rule 3)."""
    taken: list[Box] = []
    widest: dict[Place, Box] = {}
    for each in marks:
        shape, colour = _LOOKS[each.kind]
        # Area grows with the share, as the eye compares areas: the side by its root.
        side = 7.0 + 15.0 * each.size**0.5
        axes.plot(
            *each.at, shape, color=colour, markersize=side, markeredgecolor=PAPER, markeredgewidth=1.2,
            alpha=0.8 if each.kind == "people" else 1.0,
        )  # fmt: skip
        taken.append(_box(each.at[0] * scale, each.at[1] * scale, side, side))
        widest[each.at] = max(taken[-1], widest.get(each.at, taken[-1]), key=lambda box: box[2] - box[0])
    # What was chosen is named first: where it is narrow, people go without.
    for each in sorted(marks, key=lambda mark: mark.kind == "people"):
        if not each.label:
            continue
        wide, high = _LETTER * text * len(each.label), 1.25 * text
        left, low, right, up = widest[each.at]
        across, along = (left + right) / 2, (low + up) / 2
        near = (
            (right + 2 + wide / 2, along), (left - 2 - wide / 2, along), (across, up + high / 2),
            (across, low - high / 2), (right + wide / 2, up + high / 3), (right + wide / 2, low - high / 3),
        )  # fmt: skip
        for x, y in near:
            box = _box(x, y, wide, high)
            inside = box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                colour = SOFT if each.kind == "people" else INK
                axes.text(x / scale, y / scale, each.label, fontsize=text, color=colour, ha="center", va="center")
                break


def _box(x: float, y: float, wide: float, high: float) -> Box:
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
