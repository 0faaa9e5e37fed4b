"""The scoreboard of a sender that adapts: a sentence, then each figure with its interval over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from scipy.stats import binom

from rtcprobe.adaptation import FIGURES, Case, Course, fall_of
from rtcprobe.units import format_rate

__all__ = ["Interval", "adapt_lines", "figure_rows", "held_by", "interval_of", "sentence_of", "size_known"]

# What the figure of each change of the line is called, with the second of that change behind it.
_CHANGE: Final = "settled_from_"
_SHARES: Final = frozenset(
    {"lost", "steady_share", "utilisation", "frames_lost", "voice_unplayed", "fairness", "least_share"}
)

_HELD: Final = {"receiver": "the receiver's limit", "maximum": "the maximum", "starting": "the start"}

Interval = tuple[float, float, float]
"""Median, and the 95 % interval of the median (of fewer than six seeds: the least and the most)."""


def interval_of(values: Sequence[float | None]) -> Interval | None:
    """Return median and interval over seeds; None where the figure does not apply."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    # David & Nagaraja §7.1, as ``verdict.statistics``: of six and more the order statistics that miss the median by at
    # most 2.5 % either way; of fewer not even the outermost do (2 · 0.5⁵ = 6 %), so they are told as what they are.
    rank = max(0, int(binom.ppf(0.025, len(known), 0.5)) - 1) if len(known) >= 6 else 0
    return median(known), known[rank], known[-1 - rank]


def size_known(course: Course) -> bool:
    """Return whether anybody knows how large the picture was."""
    return max(course.height, default=0) > 0


def adapt_lines(
    case: Case, controller: str, rows: Sequence[Mapping[str, float | None]], courses: Sequence[Course]
) -> list[str]:
    """Return what is printed of one case."""
    lines = [f"{case.name}: {sentence_of(case, controller, rows, courses)}", f"  {case.about} ({case.source})"]
    for words, middle, low, high in figure_rows(rows):
        lines.append(f"  {words:<50}{middle:>10}" + (f"   ({low} to {high})" if len(rows) > 1 else ""))
    held = held_by(courses)
    return [*lines, f"  the estimate was held by {held}"] if held else lines


def held_by(courses: Sequence[Course]) -> str:
    """Return what held the estimate, and for what share of all seconds; empty where nobody knows."""
    counts = Counter(state for course in courses for state in course.states if state)
    total = sum(counts.values())
    return ", ".join(f"{_HELD.get(state, state)} {100 * count / total:.0f}%" for state, count in counts.most_common())


def figure_rows(rows: Sequence[Mapping[str, float | None]]) -> list[tuple[str, str, str, str]]:
    """Return each figure that applies: its words, median, and from where to where its interval goes."""
    out = []
    changes = [key for key in rows[0] if key.startswith(_CHANGE)]
    for key, words in _words(changes):
        interval = interval_of([row.get(key) for row in rows])
        if interval is not None:
            middle, low, high = (_said(key, value) for value in interval)
            out.append((words, middle, low, high))
    return out


def _words(changes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each figure's key and words; after the longest time to settle stands that of each change, if of several."""
    for key, words in FIGURES.items():
        yield key, words
        if key == "settled_s" and len(changes) > 1:
            for change in changes:
                yield change, f"… after the change at {change.removeprefix(_CHANGE).removesuffix('_s')} s"


def sentence_of(
    case: Case, controller: str, rows: Sequence[Mapping[str, float | None]], courses: Sequence[Course]
) -> str:
    """Return what came of a case in a sentence."""
    intervals = {key: interval_of([row.get(key) for row in rows]) for key in FIGURES}

    def value(key: str) -> str:
        interval = intervals[key]
        return "not known" if interval is None else _said(key, interval[0])

    if not any(course.delays for course in courses):
        return f"Nothing that {controller} sends arrives."
    # A line that never falls has nothing to react to: then how much of it is used is the finding.
    fall = fall_of(case.link, case.length_s)
    if fall is None:
        uses = "has" if intervals["steady_share"] is None else f"uses {value('steady_share')} of the line, with"
        return f"{controller} {uses} {value('freezes')} freezes."
    below = intervals["below_capacity_s"]
    # Infinity is a sender that did not get below the new capacity before the end.
    never = below is not None and math.isinf(below[0])
    said = f"When the line falls to {format_rate(fall[1])}, {controller} "
    said += "never sends below it, with" if never else f"sends below it after {value('below_capacity_s')}, with"
    said += f" {value('freezes')} freezes and {value('dropped')} packets dropped"
    if fall[2] is None or not any(map(size_known, courses)):
        return f"{said}."
    whole = intervals["to_full_size_s"]
    if whole is None:
        # A picture that hardly ever comes freezes seldom, and keeps its size too.
        rate = "" if intervals["shown_fps"] is None else f", at {value('shown_fps')} frames a second"
        return f"{said}; the picture keeps its size{rate}."
    if math.isinf(whole[0]):
        return f"{said}; the picture is not whole again before the end."
    return f"{said}; the picture is whole again {value('to_full_size_s')} after the line returns."


def _said(key: str, value: float) -> str:
    if math.isinf(value):
        return "never"
    if key in _SHARES:
        return f"{100 * value:.1f}%"
    if key.endswith("_ms"):
        return f"{value:.0f} ms"
    if key.endswith("_s"):
        return f"{value:.1f} s"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
