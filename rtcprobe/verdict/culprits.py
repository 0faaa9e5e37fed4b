"""Which part made it worse: the phases of a slower join, the timers they paid for, the stages of a later ear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rtcprobe.result.plain import scaled
from rtcprobe.units import format_duration, format_ratio
from rtcprobe.verdict import join_figures
from rtcprobe.verdict.comparison import Comparison
from rtcprobe.verdict.difference import RESOLUTION_S, Difference, Row
from rtcprobe.verdict.figures import Pair
from rtcprobe.ways import Way

__all__ = ["Culprit", "find_culprits", "told"]

_LEAST_SHARE = 0.1
"""Of the largest part's movement; smaller ones are left to the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A part that made it worse: ``moved`` seconds of the mean (positive is slower) and ``share`` of the whole change.

    ``kind``: ``"phase"`` of the join, ``"stage"`` of the mouth-to-ear delay (then ``direction``), ``"timer"`` whose
    retransmissions cost that much more (that time is in the phases, too). ``difference`` holds both sides and the
    interval.
    """

    kind: Literal["phase", "stage", "timer"]
    name: str
    moved: float
    share: float
    difference: Difference
    direction: Way | None = None

    @property
    def sentence(self) -> str:
        """Return it said to a person: ``"stage device, caller to callee: +15ms (20ms → 35ms)"``."""
        place = "" if self.direction is None else f", {self.direction.words}"
        name = f"retransmissions by the {self.name} timer" if self.kind == "timer" else f"{self.kind} {self.name}"
        tail = " in the slowest tenth of joins" if self.difference.aggregate != "mean" else ""
        return f"{name}{place}: {told(self.difference)}{tail}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "kind": self.kind,
            "name": self.name,
            "direction": self.direction,
            "moved_ms": scaled(self.moved),
            "share": scaled(self.share, 1.0),
            "a_ms": scaled(self.difference.a.value),
            "b_ms": scaled(self.difference.b.value),
            "sentence": self.sentence,
        }


def find_culprits(failed: Sequence[Difference], comparison: Comparison, pair: Pair) -> tuple[Culprit, ...]:
    """Return what moved behind the ``failed`` headline figures, largest first; timers after the phases they are in."""
    found: list[Culprit] = []
    joins = [each for each in failed if each.metric == "join.first_audio"]
    if joins:
        phases: Sequence[Difference] = comparison.phases
        timers: Sequence[Difference] = comparison.timers
        if all(each.aggregate != "p50" for each in joins):  # only the tail moved: the mean may hide it
            phases = _plain(join_figures.phases(pair, slowest=True))
            timers = _plain(join_figures.timers(pair, slowest=True))
        slower = _moved("phase", phases)
        found += slower
        if slower:
            # What a timer cost lies in the phases it fired in: its share is of their change, or the shares would sum to
            # more than all.
            found += _moved("timer", timers, whole=sum(map(_by, phases)))
    for direction in dict.fromkeys(each.direction for each in failed if each.unit == "s" and each.direction):
        found += _moved("stage", [each for each in comparison.stages if each.direction == direction])
    return tuple(sorted(found, key=lambda each: (each.kind == "timer", -each.moved)))


def told(seen: Difference) -> str:
    """Return a difference said to a person: ``"+15ms (20ms → 35ms)"``."""
    absent = "not there" if seen.part else "never"
    one, two = (_written(side.value, seen) if side.value is not None else absent for side in (seen.a, seen.b))
    if seen.difference is None:
        return f"went from {one} to {two}"
    sign = "+" if seen.difference >= 0 else "−"
    interval = ""
    if seen.low is not None and seen.high is not None and seen.high - seen.low > 1e-6:
        interval = f", 95 % between {_written(seen.low, seen)} and {_written(seen.high, seen)}"
    return f"{sign}{_written(abs(seen.difference), seen)} ({one} → {two}{interval})"


def _moved(
    kind: Literal["phase", "stage", "timer"], parts: Sequence[Difference], whole: float | None = None
) -> list[Culprit]:
    change = sum(map(_by, parts)) if whole is None else whole
    slower = [each for each in parts if _by(each) > RESOLUTION_S]
    # First what is shown to be worse, or has no p-value as it is exact; where nothing is (each part may be within
    # chance, their sum is not), whatever moved most.
    shown = [each for each in slower if each.verdict == "worse" or each.p_value is None] or slower
    most = max(map(_by, shown), default=0.0)
    return [
        Culprit(
            kind=kind,
            name=each.part,
            moved=_by(each),
            share=_by(each) / change if change > 0.0 else 0.0,
            difference=each,
            direction=each.direction,
        )
        for each in shown
        if _by(each) >= _LEAST_SHARE * most
    ]


def _by(part: Difference) -> float:
    """Return what a part adds to the change: all of it where one side does not have it."""
    if part.difference is not None:
        return part.difference
    # A phase that is new on one side (another target's own step) has no difference of its own.
    return (part.b.value or 0.0) - (part.a.value or 0.0)


def _plain(rows: Iterable[Row]) -> list[Difference]:
    return [replace(each.difference, verdict="no difference shown") for each in rows]


def _written(value: float, seen: Difference) -> str:
    if seen.unit == "s":
        return format_duration(value, 1)
    return format_ratio(value) if seen.unit == "share" else f"{value:.4g}"
