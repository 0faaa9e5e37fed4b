"""The page of senders that adapt: for each line a sentence, its figures, and one call on one axis of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rtcprobe.adaptation import Case, Course, capacity_of, delays_by_second
from rtcprobe.report.adapt import figure_rows, sentence_of, size_known
from rtcprobe.report.html.curves import WIDTHS, Band, Curve, Panel, Tone, panels
from rtcprobe.report.html.page import environment
from rtcprobe.report.html.reduce import Floats
from rtcprobe.report.html.tables import Table
from rtcprobe.result import Clock

__all__ = ["AdaptCase", "adapt_page"]

# Four strokes are all that tell lines apart without colours (``curves``): of more flows no panel is drawn.
_FLOW_TONES: Final[tuple[Tone, ...]] = ("accent", "warn", "soft", "ink")
_FIRST = "One call, the first of them"
_SHADE = "; the shade is what the others sent"
_CAPTION = (
    ". The capacity is that of the line; what is sent includes all headers, voice and repair. Delays are those of "
    "packets that came."
)
_MODEL = "A model of one sender and one receiver in virtual time: nothing was sent over any network."
_REAL = "Real calls on the {clock} clock, over a line of ours that changes."


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptCase:
    """One line and what came of the calls over it; ``controller`` is who sent.

    ``notes`` are what a reader should know, ``invalid`` why calls do not count, a sentence each.
    """

    case: Case
    controller: str
    rows: Sequence[Mapping[str, float | None]]
    courses: Sequence[Course]
    notes: Sequence[str] = ()
    invalid: Sequence[str] = ()
    flows: Sequence[Course] = ()
    """Of the first call, each of those that send there."""


def adapt_page(cases: Sequence[AdaptCase], *, title: str | None = None, clock: Clock | None = None) -> str:
    """Return the page."""
    parts = [_part(each, f"c{number}") for number, each in enumerate(cases)]
    names = ", ".join(each.case.name for each in cases[:3])
    return (
        environment()
        .get_template("curves.html.j2")
        .render(
            title=title or f"{names} · rtcprobe adapt",
            heading="What a sender does when the line changes",
            intro=_MODEL if clock is None else _REAL.format(clock=clock),
            parts=parts,
            verdict="; ".join(note for each in cases for note in each.invalid),
        )
    )


def _part(each: AdaptCase, name: str) -> dict[str, object]:
    case, course = each.case, each.courses[0]
    drawn = panels_of(course, each.courses, case)
    if 1 < len(each.flows) <= len(_FLOW_TONES):
        drawn.insert(1, _flows_panel(each.flows))
    frozen, dropped = sum(course.freezes), sum(course.drops)
    known = "capacity " if np.isnan(course.target_bps).all() else "capacity, estimate "
    height = "height of the picture; " if size_known(course) else ""
    label = (
        f"One call over {case.length_s:g} s: {known}and what was sent; delay; {height}"
        f"{dropped} packets dropped, {frozen} freezes."
    )
    plots = [panels(drawn, name=f"{name}{width}", width=width, label=label, end_s=case.length_s) for width in WIDTHS]
    return {
        "name": case.name,
        "beside": f"{case.about} ({case.source})",
        "sentence": sentence_of(case, each.controller, each.rows, each.courses),
        "plots": plots,
        "caption": f"{_FIRST}{_SHADE if len(each.courses) > 1 else ''}{_CAPTION}",
        "table": Table(
            caption=_caption(len(each.rows)),
            columns=("", "median", "from", "to") if len(each.rows) > 1 else ("", ""),
            rows=tuple(_whole(row if len(each.rows) > 1 else row[:2]) for row in figure_rows(each.rows)),
        ),
        "notes": each.notes,
    }


def _whole(row: Sequence[str]) -> tuple[str, ...]:
    """Return a row whose values are not broken into lines."""
    # On a phone a cell would else break between figure and unit.
    return (row[0], *(value.replace(" ", "\u00a0") for value in row[1:]))


def _caption(calls: int) -> str:
    """Return what the table's columns are; fewer than six calls have no interval."""
    if calls == 1:
        return "Of the one call"
    return f"Median of {calls} calls, with {'its 95 % interval' if calls >= 6 else 'the least and the most'}"


def _flows_panel(flows: Sequence[Course]) -> Panel:
    """Return what came of each flow."""
    curves = [
        Curve(
            title=f"flow {number}",
            at_s=np.arange(len(flow.delivered_bps), dtype=np.float64) + 0.5,
            values=_kbps(flow.delivered_bps),
            tone=tone,
        )
        for number, (flow, tone) in enumerate(zip(flows, _FLOW_TONES, strict=False), 1)
    ]
    return Panel(title="arrived, kb/s", curves=curves)


def panels_of(course: Course, courses: Sequence[Course], case: Case) -> list[Panel]:
    """Return rate, delay, size and drops of one call; ``courses`` give the shade."""
    at_s = np.arange(len(course.target_bps), dtype=np.float64) + 0.5
    longest, mean = (1e3 * np.array(delays_s) for delays_s in delays_by_second(course))
    # A line without a rate has no capacity to draw.
    capacity = [(at, bps) for at, bps in capacity_of(case.link, case.length_s) if bps < float("inf")]
    lines = []
    if capacity:
        # The last rate holds until the end: a step without a next one would not be drawn at all.
        steps = [*capacity, (case.length_s, capacity[-1][1])]
        lines.append(
            Curve(
                title="capacity",
                at_s=np.array([at for at, _ in steps]),
                values=np.array([bps / 1e3 for _, bps in steps]),
                tone="ink",
                steps=True,
            )
        )
    estimate = _kbps(course.target_bps)
    if not np.isnan(estimate).all():  # what a server thinks of a line it keeps to itself
        lines.append(Curve(title="estimate", at_s=at_s, values=estimate))
    lines.append(Curve(title="sent", at_s=at_s, values=_kbps(course.offered_bps), tone="warn"))
    sent = np.array([_kbps(other.offered_bps) for other in courses])
    freezes = np.array([at for at, count in zip(at_s, course.freezes, strict=True) if count])
    height = Panel(
        title="height of the picture, lines",
        curves=[Curve(title="", at_s=at_s - 0.5, values=np.array(course.height, dtype=np.float64), steps=True)],
    )
    return [
        Panel(title="kb/s", curves=lines, band=Band(at_s=at_s, low=sent.min(axis=0), high=sent.max(axis=0))),
        Panel(
            title="delay of packets, ms",
            curves=[
                Curve(title="longest", at_s=at_s, values=longest),
                Curve(title="mean", at_s=at_s, values=mean, tone="soft"),
            ],
        ),
        *([height] if size_known(course) else []),
        Panel(
            title="packets dropped by the queue",
            curves=[Curve(title="", at_s=at_s - 0.5, values=np.array(course.drops, dtype=np.float64), steps=True)],
            marked="seconds with a freeze",
            marked_s=freezes,
        ),
    ]


def _kbps(bps: Sequence[float]) -> Floats:
    return np.array(bps, dtype=np.float64) / 1e3
