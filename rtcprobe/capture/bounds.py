"""Budgets about a recording: ``concealed mean < 2%``, ``behind p95 < 150ms``; a line as a run's budgets have it.

Rule: met or missed where the whole range of a figure agrees, else undecided; of several streams the worst is judged.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.units import parse_duration, parse_ratio

if TYPE_CHECKING:
    from rtcprobe.capture.heard import HeardStream
    from rtcprobe.capture.video import SeenStream

__all__ = ["Bound", "Kept", "aggregated", "judge", "parse_bound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A budget about a recording: ``concealed mean < 2%``, ``behind p95 < 150ms``."""

    expression: str
    metric: str
    aggregate: str
    op: str
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of a budget: the worst of the streams heard, its range, the verdict."""

    expression: str
    value: float | None
    low: float | None
    high: float | None
    verdict: str
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds for seconds."""
        factor = 1e3 if self.unit == "s" else 1.0
        value, low, high = (
            None if each is None else round(each * factor, 6) for each in (self.value, self.low, self.high)
        )
        return {
            "expression": self.expression, "value": value, "range": [low, high],
            "unit": "ms" if self.unit == "s" else self.unit, "verdict": self.verdict,
        }  # fmt: skip


_METRICS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "loss": ("share", ("mean",)),
    "concealed": ("share", ("mean",)),
    "jitter_buffer": ("s", ("mean",)),
    "target": ("s", ("mean",)),
    "variable": ("s", ("p50", "p95", "p99", "max")),
    "behind": ("s", ("mean", "p50", "p95", "p99", "max")),
    "mouth_to_ear": ("s", ("mean", "p50", "p95", "p99", "max")),
    "interruptions": ("number", ("max",)),
    "r": ("number", ("mean",)),
    "freeze_share": ("share", ("mean",)),
    "freezes": ("number", ("max",)),
    "frame_rate": ("number", ("mean",)),
    "video_jitter_buffer": ("s", ("mean",)),
}
"""What a budget may be about: its unit and aggregates."""
_OF_VIDEO: Final[Mapping[str, str]] = {
    "freeze_share": "freeze_share", "freezes": "freezeCount", "frame_rate": "frame_rate",
    "video_jitter_buffer": "jitter_buffer_s",
}  # fmt: skip
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
# METRIC AGGREGATE OP VALUE, as a run's budgets: "concealed mean < 2%".
_LINE: Final = re.compile(
    r"(?P<metric>[a-z_]{1,20}) (?P<aggregate>\w{1,8}) ?(?P<op><=|>=|<|>) ?(?P<value>[^<> ]{1,20})"
)


def parse_bound(text: str) -> Bound:
    """Return the budget that a line states.

    Raises:
        BadInputError: not of the grammar, an unknown metric or aggregate, a value without its unit.
    """
    # A line is cut before it is matched: whatever somebody writes, the pattern sees no more than it could need.
    line = " ".join(text.split())[:200]
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadInputError(f"budget {line!r} cannot be read", "write it like concealed mean < 2%")
    known = _METRICS.get(match["metric"])
    if known is None:
        raise BadInputError(f"metric {match['metric']!r} does not exist", f"there are {', '.join(_METRICS)}")
    unit, aggregates = known
    if match["aggregate"] not in aggregates:
        raise BadInputError(
            f"aggregate {match['aggregate']!r} does not exist for {match['metric']}", f"use {', '.join(aggregates)}"
        )
    return Bound(
        expression=line,
        metric=match["metric"],
        aggregate=match["aggregate"],
        op=match["op"],
        limit=_limit(match["value"], unit),
    )


def _limit(text: str, unit: str) -> float:
    if unit == "s":
        return parse_duration(text)
    if unit == "share":
        return parse_ratio(text)
    try:
        value = float(text)
    except ValueError as error:
        raise BadInputError(f"{text!r} is not a number", "write it like 3") from error
    if not math.isfinite(value):
        raise BadInputError(f"{text!r} is not a number", "write it like 3")
    return value


def judge(bound: Bound, heard: Sequence[HeardStream], videos: Sequence[SeenStream] = ()) -> Kept:
    """Return what became of a budget.

    Raises:
        BadInputError: about sound or video where there is none; about a mouth-to-ear delay, and nobody said how long
            the fastest packet took.
    """
    of_video = bound.metric in _OF_VIDEO
    if not (videos if of_video else heard):
        what = "video" if of_video else "sound"
        raise BadInputError(f"budget {bound.expression!r}: no stream of {what} was heard", "leave it out, or name one")
    holds = _OPERATORS[bound.op]
    unit = _METRICS[bound.metric][0]
    found = [_seen(bound, each) for each in videos] if of_video else [_figure(bound, each) for each in heard]
    found = [each for each in found if each is not None]
    if of_video and not found:
        raise BadInputError(f"budget {bound.expression!r}: too few pictures were shown", "record more of the call")
    # Worst is farthest on the wrong side of the limit: the largest where it may not be exceeded, else the smallest.
    worst_first = sorted(
        (each for each in found if each is not None), key=lambda each: each[0], reverse=bound.op in ("<", "<=")
    )
    if not worst_first:
        raise BadInputError(
            f"budget {bound.expression!r}: a recording does not say when a word was spoken",
            "state how long the fastest packet took from the mouth, with --one-way 40ms",
        )
    value, low, high = worst_first[0]
    agreed = {holds(each, bound.limit) for each in (low, value, high)}
    verdict = "undecided" if len(agreed) > 1 else "met" if agreed == {True} else "missed"
    return Kept(expression=bound.expression, value=value, low=low, high=high, verdict=verdict, unit=unit)


def _seen(bound: Bound, video: SeenStream) -> tuple[float, float, float] | None:
    name = _OF_VIDEO[bound.metric]
    value = video.middle.w3c[name] if name in video.middle.w3c else getattr(video.middle, name)
    ranged = video.range_of(name)
    return None if value is None or ranged is None else (float(value), *ranged)


def _figure(bound: Bound, heard: HeardStream) -> tuple[float, float, float] | None:
    """Return a figure and its range; None for a mouth-to-ear delay without its assumption."""
    middle, ranges, network = heard.replayed.middle, heard.replayed.ranges, heard.network
    single = {
        "loss": network.loss,
        "r": heard.rating.r,
        "variable": getattr(network, f"variable_{bound.aggregate}_s", 0.0),
    }.get(bound.metric)
    # Loss, delay variation and the rating rest on what the recording does say: they have no range.
    if single is not None:
        return single, single, single
    if bound.metric == "interruptions":
        return middle.w3c["interruptionCount"], *ranges["interruptionCount"]
    if bound.metric in ("concealed", "jitter_buffer", "target"):
        name = "concealed" if bound.metric == "concealed" else f"{bound.metric}_s"
        value = getattr(middle, name)
        return None if value is None else (value, *ranges[name])
    plus_s = 0.0 if bound.metric == "behind" else heard.one_way_s
    if plus_s is None or not len(middle.behind_s):
        return None
    mean_s = float(np.mean(middle.behind_s))
    value = plus_s + aggregated(middle.behind_s, bound.aggregate)
    # Ranges are kept of means alone; a percentile is taken to move as its mean does between replays.
    low, high = ranges["behind_mean_s"]
    return value, value + low - mean_s, value + high - mean_s


def aggregated(values: Any, aggregate: str) -> float:
    """Return ``mean``, ``max`` or a percentile (``p95``) of an array."""
    if aggregate == "mean":
        return float(np.mean(values))
    return float(np.max(values) if aggregate == "max" else np.percentile(values, float(aggregate[1:])))
