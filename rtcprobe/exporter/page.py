"""The page at ``/``: of each probe its last run as a small picture, and the runs before it as marks.

Rules:
    1. Honest: axes begin at 0, what was not heard is marked, what is unknown says so; no figure without its unit.
    2. Everything is escaped by the template; pictures are made of numbers and of names from closed lists.
    3. One truth: a probe whose objectives page says so beside the verdict of its last run, and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from rtcprobe.exporter.board import RunView
from rtcprobe.exporter.config import ProbePlan
from rtcprobe.exporter.fleet import Fleet
from rtcprobe.exporter.promises import Promise
from rtcprobe.report.sentences import arrow, milliseconds
from rtcprobe.secrets import scrub
from rtcprobe.units import format_duration

__all__ = ["render_page"]

# Inconclusive and invalid say nothing against the probed, so they are not red.
TONES: Final[Mapping[str, str]] = {
    "pass": "good",
    "fail": "bad",
    "inconclusive": "warn",
    "invalid": "warn",
    "error": "bad",
}
_ALARMED: Final = {"page": ("PAGES", "paging"), "ticket": ("TICKET", "wanting a ticket")}
"""What a card is marked with whose objectives burn, and how many there are."""
# Shapes apart from colours: one man in twelve does not tell red from green (WCAG 1.4.1: not by colour alone).
MARKS: Final[Mapping[str, str]] = {"pass": "●", "fail": "✕", "inconclusive": "○", "invalid": "◌", "error": "!"}

LANDMARK_S: Final = 0.100
"""The dashed line of every sparkline: below it talk is undisturbed, whatever the budgets."""

# Units of the viewBox, scaled to the card: the width of a small phone, so that they are about pixels there.
_WIDTH: Final = 320.0
# Height of a row of the stairs.
_ROW: Final = 15.0
# The longest phase's name in the small type, and a figure like "1,234 ms" at the other end.
_LABEL: Final = 64.0
# Room for "1,234 ms" at the right.
_FIGURE: Final = 46.0
# Height of a sparkline.
_SPARK: Final = 56.0
_LEAST_S: Final = 0.0005
"""A phase shorter than this would be no more than a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One run in the row of runs."""

    sign: str
    tone: str
    title: str
    report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """One direction of mouth to ear."""

    name: str
    said: str
    picture: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One probe."""

    name: str
    about: str
    state: str
    verdict: str
    tone: str
    alarm: str
    promises: Sequence[Promise]
    goals: Sequence[tuple[str, str]]
    when: str
    reasons: tuple[str, ...]
    join: str
    waterfall: Markup | None
    sparks: tuple[Spark, ...]
    marks: tuple[Mark, ...]
    report: str


def render_page(fleet: Fleet, now_unix_s: float) -> str:
    """Return the page of ``fleet`` as it stands at ``now_unix_s``."""
    cards = [_card(fleet, plan, now_unix_s) for plan in fleet.probes]
    counts = {verdict: sum(card.verdict == verdict for card in cards) for verdict in (*TONES, "")}
    said = [f"{number} {verdict or 'not yet run'}" for verdict, number in counts.items() if number]
    alarms = {severity: sum(card.alarm == severity for card in cards) for severity in ("page", "ticket")}
    said = [*(f"{number} {_ALARMED[severity][1]}" for severity, number in alarms.items() if number), *said]
    template = _environment().get_template("page.html.j2")
    troubles = [scrub(each) for each in fleet.troubles()]
    return template.render(
        alarmed=_ALARMED, cards=cards, summary=", ".join(said), troubles=troubles, on_demand=_on_demand(fleet)
    )


@cache
def _environment() -> Environment:
    loader = PackageLoader("rtcprobe.exporter", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _card(fleet: Fleet, plan: ProbePlan, now_unix_s: float) -> Card:
    runs = fleet.board.runs(plan.name)
    last = runs[0] if runs else None
    scenario = plan.scenario
    kept = fleet.promises(plan)
    alarms = [each.standing.alarm.severity for each in kept if each.standing.alarm is not None]
    about = (
        f"{scenario.name} · {scrub(plan.target)} · {scenario.caller.region} to {scenario.callee.region} · "
        f"{plan.job.clock} clock · every {format_duration(plan.interval_s)}"
    )
    return Card(
        name=plan.name,
        about=about,
        state="running now" if fleet.running(plan.name) else "",
        verdict="" if last is None else last.verdict,
        tone="" if last is None else TONES[last.verdict],
        alarm="page" if "page" in alarms else "ticket" if alarms else "",
        promises=kept,
        goals=() if last is None else last.goals,
        when="" if last is None else f"{_ago(now_unix_s - last.at_unix_s)}, seed {last.seed}",
        reasons=() if last is None else tuple(scrub(each) for each in last.reasons),
        join="" if last is None else _join(last),
        waterfall=_waterfall(last.phases) if last is not None and last.phases else None,
        sparks=() if last is None else tuple(_sparks(last)),
        marks=tuple(_mark(fleet, each) for each in reversed(runs)),
        report=last.report if last is not None and fleet.shelf.find(last.report) else "",
    )


def _join(run: RunView) -> str:
    if not run.joins:
        return ""
    heard = f"{run.joins_heard} of {run.joins} heard"
    return heard if run.join_p50_s is None else f"{milliseconds(run.join_p50_s, 0)} ms, {heard}"


def _mark(fleet: Fleet, run: RunView) -> Mark:
    at = datetime.fromtimestamp(run.at_unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    report = run.report if fleet.shelf.find(run.report) else ""
    return Mark(sign=MARKS[run.verdict], tone=TONES[run.verdict], title=f"{run.verdict}, {at}", report=report)


def _sparks(run: RunView) -> Sequence[Spark]:
    longest_s = max((each for all_s in run.delays.values() for each in all_s if each is not None), default=0.0)
    # One scale for both directions, or the quieter one would look as bad; the landmark never above two thirds of it.
    top_s = max(longest_s * 1.05, LANDMARK_S * 1.5)
    return [
        Spark(name=arrow(way), said=_said(run, way), picture=_sparkline(delays, top_s))
        for way, delays in run.delays.items()
    ]


def _said(run: RunView, way: str) -> str:
    missed = sum(each is None for each in run.delays[way])
    if missed == len(run.delays[way]):
        return "nothing heard"
    figures = [
        f"{name} {milliseconds(value, 0)} ms"
        for name, value in (("p50", run.delay_p50_s[way]), ("p95", run.delay_p95_s[way]))
        if value is not None
    ]
    return ", ".join([*figures, *([f"{missed} missed"] if missed else [])])


def _waterfall(phases: Mapping[str, float]) -> Markup:
    """Return a join as stairs: each phase a row that begins where the one before ended."""
    shown = {name: seconds for name, seconds in phases.items() if seconds >= _LEAST_S}
    total_s = sum(phases.values())
    if total_s <= 0.0:
        return Markup()
    scale = (_WIDTH - _LABEL - _FIGURE) / total_s
    longest = max(shown, key=lambda name: shown[name], default="")
    rows: list[str] = []
    start_s = 0.0
    y = 0.0
    for name, seconds in phases.items():
        if name in shown:
            x = _LABEL + start_s * scale
            kind = "most" if name == longest else "rest"
            # A phase of a millisecond is a line that can be seen.
            end = x + max(1.5, seconds * scale)
            rows.append(
                f'<text x="0" y="{y + 11:g}">{escape(name)}</text>'
                f'<rect class="{kind}" x="{x:.1f}" y="{y + 2:g}" width="{end - x:.1f}" height="{_ROW - 4:g}"/>'
                f'<text class="figure" x="{_WIDTH:g}" y="{y + 11:g}">{milliseconds(seconds, 0)} ms</text>'
            )
            y += _ROW
        start_s += seconds
    title = f"Join of {milliseconds(total_s, 0)} ms by phase"
    return _svg("".join(rows), y, title)


def _sparkline(delays: Sequence[float | None], top_s: float) -> Markup:
    """Return delays in the order heard, from 0 to ``top_s``; what was missed is a mark on the floor."""
    step = _WIDTH / max(1, len(delays) - 1)

    def y(delay_s: float) -> float:
        return _SPARK * (1 - delay_s / top_s)

    # A line is broken where a marker was missed: drawn through, it would claim a delay that nobody heard.
    strokes: list[list[str]] = [[]]
    missed: list[str] = []
    for number, delay_s in enumerate(delays):
        x = number * step
        if delay_s is None:
            missed.append(f'<rect class="missed" x="{max(0.0, x - 1):.1f}" y="{_SPARK - 8:g}" width="2" height="8"/>')
            strokes.append([])
        else:
            strokes[-1].append(f"{x:.1f},{y(delay_s):.1f}")
    lines = [f'<polyline points="{" ".join(points)}"/>' for points in strokes if len(points) > 1]
    # A single point between two gaps is no line, and would vanish.
    dots = [
        f'<circle cx="{x}" cy="{y_}" r="1.5"/>'
        for points in strokes
        if len(points) == 1
        for x, y_ in [points[0].split(",")]
    ]
    line_y = y(LANDMARK_S)
    floor = f'<line class="floor" x1="0" y1="{_SPARK:g}" x2="{_WIDTH:g}" y2="{_SPARK:g}"/>'
    mark = (
        f'<line class="mark" x1="0" y1="{line_y:.1f}" x2="{_WIDTH:g}" y2="{line_y:.1f}"/>'
        f'<text x="0" y="{line_y - 2:.1f}">{milliseconds(LANDMARK_S, 0)} ms</text>'
    )
    return _svg("".join([floor, mark, *lines, *dots, *missed]), _SPARK + 1, "Mouth-to-ear delay of each marker, from 0")


def _svg(inside: str, height: float, title: str) -> Markup:
    return Markup(  # noqa: S704 - of numbers and escaped names
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img"><title>{escape(title)}</title>{inside}</svg>'
    )


def _on_demand(fleet: Fleet) -> Sequence[str]:
    return [f"/probe?scenario={scenario}&target={scrub(target)}" for scenario, target in fleet.config.on_demand.plans]


def _ago(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
