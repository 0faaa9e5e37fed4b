"""The plots of a result: mouth-to-ear delay over time, and the distributions of joins and delays.

Rules:
    1. Axes of delay begin at zero, and nothing is cut off: an outlier makes the scale it needs.
    2. What never came (failed joins, lost markers) is in the picture: a distribution that ends below 100 %, a cross.
    3. Every plot has a sentence that says what it shows, with its figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Literal, ParamSpec

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rtcprobe.report.html.reduce import Bins, Floats, binned, binned_steps, ecdf
from rtcprobe.report.html.svg import ACCENT, BAD, INK, LINE, PAPER, SOFT, WARN, drawing, inline
from rtcprobe.result import Account

__all__ = [
    "MOST_LINES",
    "Heard",
    "Limit",
    "Series",
    "distribution",
    "in_bins",
    "on_axis",
    "over_time",
    "spans_on_axis",
]

Width = Literal["wide", "narrow"]

_DOTS: Final = {"wide": 420, "narrow": 140}
"""As many samples as can be told apart; more are drawn as bins."""
# Four pixels a bin, narrow and wide.
_BINS: Final = {"wide": 280, "narrow": 100}
# CSS pixels: the page's column, and a phone of 390 less its margins; a picture scales between.
_PIXELS: Final = {"wide": 1120, "narrow": 380}
# CSS pixels, a little below the page's own text: figures of axes, not sentences.
_TEXT: Final = 11.5
# Strokes all differ: colours alone tell nobody apart who does not see them, nor on paper (WCAG 1.4.1). Lengths are in
# line widths; style.css has the same strokes for the keys below a picture.
_LINES: Final = (
    (ACCENT, "-"),
    (INK, "--"),
    (WARN, "-."),
    (SOFT, ":"),
    (ACCENT, (0, (9.0, 2.5))),
    (INK, (0, (5.0, 1.6, 1.0, 1.6, 1.0, 1.6))),
)
MOST_LINES: Final = len(_LINES)
"""As many as can be told apart without knowing colours."""
# From there an axis in seconds has numbers that nobody reads as a time.
_MINUTES_FROM_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One direction: when markers were spoken (s), how late each was heard (ms), and which were not.

    Several calls lie end to end on one axis; ``begins_s`` says where each begins. ``target_since_s``/``target_ms`` are
    the jitter buffer's target as steps; empty where it has none.
    """

    title: str
    spoken_s: Floats
    delay_ms: Floats
    lost_s: Floats
    rejected_s: Floats
    target_since_s: Floats
    target_ms: Floats
    begins_s: tuple[float, ...] = ()
    stood_s: tuple[tuple[float, float], ...] = ()
    """Of a picture: from when to when it stood still."""


def on_axis(title: str, account: Account, moved_s: Mapping[int, float], **more: Any) -> Heard:
    """Return what is drawn of one way, the time of each call ``moved_s`` later; ``more`` are fields of ``Heard``."""

    def missed(fate: str) -> Floats:
        return np.array([moved_s[each.call] + each.spoken_s for each in account.missed if each.fate == fate])

    steps: dict[str, Any] = {"target_since_s": np.zeros(0), "target_ms": np.zeros(0)}
    return Heard(
        title=title,
        spoken_s=np.array([moved_s[each.call] + each.spoken_s for each in account.samples]),
        delay_ms=np.array([each.delay_s for each in account.samples]) * 1e3,
        lost_s=missed("lost"),
        rejected_s=missed("rejected"),
        **{**steps, **more},
    )


def spans_on_axis(account: Account, moved_s: Mapping[int, float], what: str) -> list[tuple[float, float]]:
    """Return from when to when ``what`` lasted, the time of each call ``moved_s`` later."""
    return [
        (moved_s.get(each.call, 0.0) + each.from_s, moved_s.get(each.call, 0.0) + each.until_s)
        for each in account.spans
        if each.what == what
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a distribution: ``values_ms`` came, of ``of`` observations; the rest never did."""

    title: str
    values_ms: Floats
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An upright line: a budget's limit, or a landmark; ``share`` is how much of the line must lie before it."""

    text: str
    at_ms: float
    share: float | None = None
    tone: Literal["plain", "bad"] = "plain"


def in_bins(directions: Sequence[Heard]) -> bool:
    """Return whether a panel has more markers than can be told apart at every width."""
    return any(len(each.delay_ms) > min(_DOTS.values()) for each in directions)


_P = ParamSpec("_P")


def _in_style(draw: Callable[_P, Markup]) -> Callable[_P, Markup]:
    @wraps(draw)
    def styled(*args: _P.args, **kwargs: _P.kwargs) -> Markup:
        with drawing(str(kwargs["name"])):
            return draw(*args, **kwargs)

    return styled


@_in_style
def over_time(
    directions: Sequence[Heard], *, name: str, width: Width, label: str, beside: Sequence[Heard] = ()
) -> Markup:
    """Return the delay of every marker over the calls, a panel each direction, on common axes.

    Dots are markers heard; where they are too many, bins from least to greatest with the median in it. The line of
    steps is the jitter buffer's target; crosses at the top are markers lost, circles those rejected. The time axis is
    that of ``beside`` too, which is drawn elsewhere.
    """
    pixels, panel = _PIXELS[width], 132
    gap, top, bottom, left, right = 26, 20, 34, 40, 10
    height = top + bottom + len(directions) * panel + (len(directions) - 1) * gap
    figure = Figure(figsize=(pixels / 72, height / 72), dpi=72)
    # One axis for sound, pictures and messages of a call: what stands below each other happened at once.
    ends = [_end(each) for each in (*directions, *beside)]
    begin_s, end_s = min(each[0] for each in ends), max(each[1] for each in ends)
    span_s = max(end_s - begin_s, 1e-3)
    tallest = max(
        (float(part.max()) for each in directions for part in (each.delay_ms, each.target_ms) if len(part)),
        default=100.0,
    )
    for index, each in enumerate(directions):
        base = height - top - (index + 1) * panel - index * gap
        axes = figure.add_axes((left / pixels, base / height, (pixels - left - right) / pixels, panel / height))
        # Half a dot's width, so that the first and last are whole.
        axes.set_xlim(begin_s - 0.004 * span_s, end_s + 0.004 * span_s)
        # The uppermost tenth is for crosses and circles (0.95 of the height).
        axes.set_ylim(0.0, tallest * 1.18)
        _style(axes, ticks_x=8 if width == "wide" else 5, ticks_y=4)
        axes.set_title(f"{each.title}, ms", loc="left", fontsize=_TEXT, color=INK, pad=6, y=1.0)
        _time_axis(axes, span_s, calls=len(each.begins_s), last=index == len(directions) - 1)
        for border_s in each.begins_s[1:]:
            axes.axvline(border_s, color=SOFT, linewidth=0.6)
        for from_s, until_s in each.stood_s:
            axes.axvspan(from_s, until_s, color=BAD, alpha=0.22, linewidth=0)
        _draw_heard(axes, each, np.linspace(begin_s, end_s, _BINS[width] + 1), _DOTS[width])
    return inline(figure, name=name, label=label, classes=f"chart {width}")


@_in_style
def distribution(
    series: Sequence[Series], limits: Sequence[Limit], *, name: str, label: str, dots: bool = False
) -> Markup:
    """Return the share of observations at most so late, a line each of ``series``, with ``limits`` upright.

    ``dots`` shows each observation.
    """
    pixels, height, left, right, top, bottom = 380, 256, 40, 12, 10, 38
    figure = Figure(figsize=(pixels / 72, height / 72), dpi=72)
    axes = figure.add_axes(
        (left / pixels, bottom / height, (pixels - left - right) / pixels, (height - top - bottom) / height)
    )
    farthest = max(
        [
            *(float(each.values_ms.max()) for each in series if len(each.values_ms)),
            *(each.at_ms for each in limits),
            1.0,
        ]
    )
    axes.set_xlim(0.0, farthest * 1.06)
    axes.set_ylim(0.0, 1.0)
    _style(axes, ticks_x=5, ticks_y=4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:g}%"))
    axes.set_xlabel("ms", fontsize=_TEXT, color=SOFT, labelpad=2)
    _limits(axes, limits)
    for index, each in enumerate(series):
        _draw_share(axes, each, farthest * 1.06, _LINES[index], dots=dots)
    return inline(figure, name=name, label=label)


def _end(each: Heard) -> tuple[float, float]:
    every = np.concatenate([each.spoken_s, each.lost_s, each.rejected_s])
    return (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)


def _style(axes: Axes, *, ticks_x: int, ticks_y: int) -> None:
    axes.set_axisbelow(True)
    axes.set_title("", y=1.0)  # told where titles stand, matplotlib need not lay out everything to find out
    # The page's own paper shows through, dark or light.
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(length=0, labelsize=_TEXT, labelcolor=SOFT, pad=4)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(ticks_x, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(ticks_y, steps=[1, 2, 2.5, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        # Adding 0.0 takes the sign from −0; a comma parts thousands as everywhere on the page.
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value + 0.0:,.4g}"))


def _time_axis(axes: Axes, span_s: float, *, calls: int, last: bool) -> None:
    minutes = span_s >= _MINUTES_FROM_S
    if minutes:
        # Whole minutes, at most nine of them: matplotlib's own steps (2.5, 20) are no times.
        step_s = 60.0 * next(step for step in (1, 2, 5, 10, 15, 30, 60, 120, 1440) if span_s / 60 / step <= 9)
        low, high = axes.get_xlim()
        axes.set_xticks(np.arange(math.ceil(low / step_s), math.floor(high / step_s) + 1) * step_s)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 60:g}"))
    if last:
        unit = "minutes" if minutes else "seconds"
        since = "since the call started" if calls < 2 else f"of {calls} calls, one after the other"
        axes.set_xlabel(f"{unit} {since}", fontsize=_TEXT, color=SOFT, labelpad=2)
    else:
        axes.tick_params(labelbottom=False)


def _draw_heard(axes: Axes, each: Heard, edges: Floats, most: int) -> None:
    if len(each.target_ms):
        if len(each.target_ms) > most:
            aims = binned_steps(each.target_since_s, each.target_ms, edges)
            _band(axes, aims, WARN, lw=0.6, alpha=0.35)
            _stairs(axes, aims.median, aims, baseline=None, fill=False, edgecolor=WARN, lw=1.2)
        else:
            # The last target holds to the end of the axis.
            since = np.append(each.target_since_s, max(edges[-1], each.target_since_s[-1]))
            aims_ms = np.append(each.target_ms, each.target_ms[-1])
            axes.step(since, aims_ms, where="post", color=WARN, linewidth=1.4)
    if len(each.delay_ms) > most:
        bins = binned(each.spoken_s, each.delay_ms, edges)
        _band(axes, bins, ACCENT, lw=0.6, alpha=0.35)
        _stairs(axes, bins.median, bins, baseline=None, fill=False, edgecolor=ACCENT, lw=1.3)
    elif len(each.delay_ms):
        axes.plot(
            each.spoken_s,
            each.delay_ms,
            "o",
            markersize=3.4 if len(each.delay_ms) > 40 else 5.0,
            markerfacecolor=ACCENT,
            markeredgewidth=0,
        )
    # x in seconds, y as a share of the panel's height: what never came has no delay to stand at.
    above = axes.get_xaxis_transform()
    for missed_s, marker, colour in ((each.rejected_s, "o", WARN), (each.lost_s, "x", BAD)):
        at_s = missed_s
        if len(missed_s) > most:  # a sign for each bin that has one
            at_s = np.unique(edges[np.clip(np.searchsorted(edges, missed_s, side="right") - 1, 0, len(edges) - 2)])
        if len(at_s):
            axes.plot(
                at_s, np.full(len(at_s), 0.95), marker, transform=above, markersize=5, clip_on=False,
                markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1.4,
            )  # fmt: skip


def _band(axes: Axes, bins: Bins, colour: str, *, lw: float, alpha: float | None = None) -> None:
    """Draw bins from least to greatest; the edge keeps one whose values are all alike from having no height."""
    _stairs(axes, bins.highest, bins, baseline=bins.lowest, facecolor=colour, edgecolor=colour, lw=lw, alpha=alpha)


def _stairs(axes: Axes, values: Floats, bins: Bins, **look: Any) -> None:
    # Not ``Axes.stairs``, which spends half of a page's time on limits that are set already.
    axes.add_artist(StepPatch(values, bins.edges, **look))


def _limits(axes: Axes, limits: Sequence[Limit]) -> None:
    right = axes.get_xlim()[1]
    # From left to right, each a line higher (six, then from below again): texts of limits that are near stand above
    # each other.
    for index, each in enumerate(sorted(limits, key=lambda limit: limit.at_ms)):
        colour = BAD if each.tone == "bad" else SOFT
        axes.axvline(each.at_ms, color=colour, linewidth=1.0, linestyle=(0, (4, 3)))
        if each.share is not None:
            axes.plot([each.at_ms], [each.share], "s", markersize=4.5, color=colour, markeredgewidth=0, clip_on=False)
        left_of_it = each.at_ms > 0.55 * right
        axes.annotate(
            each.text, (each.at_ms, 0.06 + 0.075 * (index % 6)), xytext=(-5 if left_of_it else 5, 0),
            textcoords="offset points", ha="right" if left_of_it else "left", va="center", fontsize=_TEXT - 0.5,
            color=colour, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )  # fmt: skip


def _draw_share(axes: Axes, each: Series, farthest: float, look: tuple[str, Any], *, dots: bool) -> None:
    x, share = ecdf(each.values_ms, of=max(each.of, 1))
    if not len(x):
        return
    colour, line = look
    # From 0 to the edge: a distribution that ends below 100 % shows what never came (rule 2).
    axes.step([0.0, *x, farthest], [0.0, *share, share[-1]], where="post", color=colour, linewidth=1.6, linestyle=line)
    if dots and len(x) == len(each.values_ms) <= 200:
        axes.plot(
            x,
            share,
            "o",
            markersize=4,
            markerfacecolor=colour,
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
            clip_on=False,
        )
