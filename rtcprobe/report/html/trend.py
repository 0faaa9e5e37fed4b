"""How each figure moved over the runs of a history: a line each, the newest run first in words.

Rules:
    1. Only runs of one situation (scenario, digest, target, clock or engine) share a line: others are not comparable.
    2. A run without the figure, and one that is invalid, is a gap, never a zero.
    3. The band is each run's own 95 % interval; where it is open, it ends at the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from rtcprobe.report.html.tables import MOST_COLUMNS
from rtcprobe.report.html.words import NOTHING, arrow, percentile
from rtcprobe.report.sentences import interval, milliseconds
from rtcprobe.result import Quantile, Result, Summary
from rtcprobe.ways import Way

__all__ = ["Group", "Line", "newest_first", "trends"]

# Of the viewBox; points keep off its rim by _EDGE, or half of the last dot would be cut.
_WIDTH, _HEIGHT, _EDGE = 260.0, 44.0, 4.0
# Values in words; the picture has all.
_TOLD = 5
# One point is no line.
_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure: its last value, the values before it (newest first), its range, and the picture."""

    name: str
    now: str
    before: str
    range: str
    picture: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The lines of one situation, and how many runs they are of."""

    name: str
    runs: int
    lines: tuple[Line, ...]


def newest_first(results: Sequence[Result]) -> list[Result]:
    """Return the runs of a history newest first, by their dates where all have one; others as they were given."""
    keys = [_situation(each) for each in results]
    # Every run is of a situation of its own: no history, and who gave them chose their order.
    if len(set(keys)) == len(keys):
        return list(results)
    turned = list(reversed(results))
    dates = [str(each.environment.get("date", "")) for each in turned]
    if not all(dates):
        return turned
    # Sorted by the date alone, as ISO 8601 in UTC sorts as text; equal ones keep their order.
    return [each for _, each in sorted(zip(dates, turned, strict=True), key=lambda entry: entry[0], reverse=True)]


def trends(results: Sequence[Result]) -> list[Group]:
    """Return a group for each situation with two runs or more; ``results`` newest first."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for each in results:
        groups.setdefault(_situation(each), []).append(each)
    shown = [(key, runs) for key, runs in groups.items() if len(runs) >= _FEWEST]
    alike = [(key[0], key[2]) for key, _ in shown]
    made = []
    for (scenario, digest, target, instrument), runs in shown:
        # The same name and target with another digest: the scenario was changed in between.
        told = f", scenario {digest[:6]}" if alike.count((scenario, target)) > 1 else ""
        lines = tuple(line for name, read in _figures(runs) if (line := _line(name, [*map(read, runs)])) is not None)
        if lines:
            made.append(Group(name=f"{scenario}, {target}, {instrument}{told}", runs=len(runs), lines=lines))
    return made


def _situation(result: Result) -> tuple[str, ...]:
    return (result.scenario, result.scenario_digest, result.target, result.instrument)


_Read = Callable[[Result], Quantile | None]


def _figures(runs: Sequence[Result]) -> list[tuple[str, _Read]]:
    """Return the figures that any of the runs may have: of joins, then of each way, or of the slowest."""
    found = [(f"Join {name}", _reader(_joining, name)) for name in ("p50", "p95")]
    ways = list(dict.fromkeys(way for each in runs for way in each.mouth_to_ear))
    if len(ways) > MOST_COLUMNS:
        return found + [
            (f"Mouth to ear {name}, the slowest way", partial(_slowest, name=name)) for name in ("p50", "p95")
        ]
    for way in ways:
        for name in ("p50", "p95"):

            def summary(result: Result, way: Way = way) -> Summary | None:
                ear = result.mouth_to_ear.get(way)
                return None if ear is None else ear.summary

            found.append((f"Mouth to ear {name}, {arrow(way)}", _reader(summary, name)))
    return found


def _slowest(result: Result, name: str) -> Quantile | None:
    known = [percentile(ear.summary, name) for ear in result.mouth_to_ear.values()]
    return max((q for q in known if q is not None and q.value is not None), key=lambda q: q.value or 0.0, default=None)


def _joining(result: Result) -> Summary | None:
    return result.join.summary.get("first_audio")


def _reader(summary: Callable[[Result], Summary | None], name: str) -> _Read:
    def read(result: Result) -> Quantile | None:
        found = None if result.verdict == "invalid" else percentile(summary(result), name)
        return None if found is None or found.value is None else found

    return read


def _line(name: str, found: Sequence[Quantile | None]) -> Line | None:
    """Return the line of a figure from its values, newest first; None where it was measured once or never."""
    known = [each for each in found if each is not None]
    if len(known) < _FEWEST:
        return None
    values = [milliseconds(each.value) for each in known]
    least, most = min(each.value or 0.0 for each in known), max(each.value or 0.0 for each in known)
    more = " …" if len(values) > _TOLD else ""
    return Line(
        name=f"{name}, ms",
        now=NOTHING if found[0] is None else f"{values.pop(0)} {interval(found[0])}",
        before=" · ".join(values[: _TOLD - 1]) + more,
        range=f"{milliseconds(least)}–{milliseconds(most)}",
        picture=_picture(name, [*reversed(found)]),
    )


def _picture(name: str, found: Sequence[Quantile | None]) -> Markup:
    """Return a small plot of a figure's values, oldest first: its line, the intervals, a dot where it ends."""
    spans = [(index, each.value or 0.0, each) for index, each in enumerate(found) if each is not None]
    lows = [each.value or 0.0 if each.low is None else each.low for _, _, each in spans]
    # Rule 3.
    highs = [each.value or 0.0 if each.high is None else each.high for _, _, each in spans]
    floor, ceiling = min(lows), max(highs)
    high = max(ceiling - floor, 1e-4)  # a tenth of a millisecond is the instrument's own: less is a level line

    def place(index: float, value: float) -> str:
        x = _EDGE + (_WIDTH - 2 * _EDGE) * index / max(len(found) - 1, 1)
        y = _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - floor) / high
        return f"{x:.1f},{y:.1f}"

    over = [place(index, value) for (index, _, _), value in zip(spans, highs, strict=True)]
    under = [place(index, value) for (index, _, _), value in zip(spans, lows, strict=True)]
    line = " ".join(place(index, value) for index, value, _ in spans)
    last = place(spans[-1][0], spans[-1][1]).split(",")
    label = f"{name}: {len(spans)} runs, oldest {milliseconds(spans[0][1])} ms, newest {milliseconds(spans[-1][1])} ms"
    return Markup(
        '<svg class="trend" role="img" viewBox="0 0 {} {}" aria-label="{}"><polygon points="{}"/>'
        '<polyline points="{}"/><circle cx="{}" cy="{}" r="3"/></svg>'
    ).format(f"{_WIDTH:g}", f"{_HEIGHT:g}", label, " ".join([*over, *reversed(under)]), line, *last)
