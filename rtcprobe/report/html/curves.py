"""Panels one above the other on one axis of time: rates, delays, sizes, counts.

Rules:
    1. Axes begin at zero and nothing is cut off.
    2. What nobody knows is a gap, not a zero.
    3. Lines differ in stroke as well as in colour, and are named in the panel's heading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rtcprobe.report.html.reduce import Floats
from rtcprobe.report.html.svg import ACCENT, BAD, INK, LINE, SOFT, WARN, drawing, inline

__all__ = ["WIDTHS", "Band", "Curve", "Panel", "Tone", "panels"]

Tone = Literal["ink", "accent", "warn", "soft", "bad"]
Width = Literal["wide", "narrow"]
WIDTHS: Final[tuple[Width, ...]] = ("wide", "narrow")
"""A page has each picture twice, for wide and for narrow screens."""

_COLOURS: Final = {"ink": INK, "accent": ACCENT, "warn": WARN, "soft": SOFT, "bad": BAD}
_STROKES: Final = {"ink": "--", "accent": "-", "warn": "-.", "soft": ":", "bad": "-"}
_WORDS: Final = {"ink": "dashed", "accent": "line", "warn": "dash-dotted", "soft": "dotted", "bad": "crosses"}
# As ``charts``: the page's column, and a phone's.
_PIXELS: Final = {"wide": 1120, "narrow": 380}
# As ``charts``.
_TEXT: Final = 11.5
# CSS pixels: a panel's height, and what lies between, above, below and beside them.
_PANEL, _GAP, _TOP, _BOTTOM, _LEFT, _RIGHT = 116, 30, 20, 34, 46, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values at instants (s), NaN where nothing is known; ``steps``: each holds until the next."""

    title: str
    at_s: Floats
    values: Floats
    tone: Tone = "accent"
    steps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """From the least to the most."""

    at_s: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves in one unit; ``marked_s`` are instants with a cross at the top, named by ``marked``."""

    title: str
    curves: Sequence[Curve]
    band: Band | None = None
    marked: str = ""
    marked_s: Floats | None = None

    @property
    def heading(self) -> str:
        """The title, and which line is which where there are several."""
        named = [f"{each.title} ({_WORDS[each.tone]})" for each in self.curves] if len(self.curves) > 1 else []
        if self.marked_s is not None and self.marked:
            named.append(f"{self.marked} (crosses)")
        return f"{self.title}: {', '.join(named)}" if named else self.title


def panels(
    several: Sequence[Panel], *, name: str, width: Literal["wide", "narrow"], label: str, end_s: float
) -> Markup:
    """Return the panels from 0 to ``end_s`` as one picture; ``label`` is what a listener is told."""
    with drawing(name):
        pixels = _PIXELS[width]
        # On a phone a heading takes a line for each curve.
        tops = [_TOP + (_heading_lines(each, width) - 1) * 15 for each in several]
        height = _BOTTOM + sum(tops) + len(several) * _PANEL + (len(several) - 1) * (_GAP - _TOP)
        figure = Figure(figsize=(pixels / 72, height / 72), dpi=72)
        base = height
        for index, each in enumerate(several):
            base -= tops[index] + _PANEL
            axes = figure.add_axes((_LEFT / pixels, base / height, (pixels - _LEFT - _RIGHT) / pixels, _PANEL / height))
            _style(axes, end_s, wide=width == "wide", last=index == len(several) - 1)
            _draw(axes, each)
            # A curve a line, as ``_heading_lines`` counts them: the SVG's text does not wrap by itself.
            heading = each.heading if width == "wide" else each.heading.replace(": ", ":\n", 1).replace("), ", "),\n")
            axes.set_title(heading, loc="left", fontsize=_TEXT, color=INK, pad=6, y=1.0)
            base -= _GAP - _TOP
        return inline(figure, name=name, label=label, classes=f"chart {width}")


def _heading_lines(panel: Panel, width: str) -> int:
    return 1 if width == "wide" or ": " not in panel.heading else 2 + panel.heading.count("), ")


def _style(axes: Axes, end_s: float, *, wide: bool, last: bool) -> None:
    axes.set_axisbelow(True)
    axes.set_title("", y=1.0)
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(length=0, labelsize=_TEXT, labelcolor=SOFT, pad=4)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(9 if wide else 5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value + 0.0:,.4g}"))
    axes.set_xlim(0.0, max(end_s, 1.0))
    if last:
        axes.set_xlabel("seconds", fontsize=_TEXT, color=SOFT, labelpad=2)
    else:
        axes.tick_params(labelbottom=False)


def _draw(axes: Axes, panel: Panel) -> None:
    if panel.band is not None:
        axes.fill_between(panel.band.at_s, panel.band.low, panel.band.high, color=WARN, alpha=0.18, linewidth=0)
    most = 0.0
    for each in panel.curves:
        known = each.values[np.isfinite(each.values)]
        most = max(most, float(known.max()) if len(known) else 0.0)
        look = {"color": _COLOURS[each.tone], "linestyle": _STROKES[each.tone], "linewidth": 1.4}
        if each.steps:
            axes.step(each.at_s, each.values, where="post", **look)  # type: ignore[arg-type]
        else:
            axes.plot(each.at_s, each.values, **look)  # type: ignore[arg-type]
    if panel.band is not None and len(panel.band.high):
        most = max(most, float(np.nanmax(panel.band.high)))
    # Room for the crosses at 0.94; a panel of zeros has an axis to 1, for matplotlib's would be of ±0.05.
    axes.set_ylim(0.0, 1.15 * most if most else 1.0)
    if panel.marked_s is not None and len(panel.marked_s):
        axes.plot(
            panel.marked_s, np.full(len(panel.marked_s), 0.94), "x", transform=axes.get_xaxis_transform(),
            markersize=5, clip_on=False, markeredgecolor=BAD, markeredgewidth=1.4,
        )  # fmt: skip
