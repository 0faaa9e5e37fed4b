"""What came of a call on a line that changes: the scoreboard that RFC 8868 asks for.

Facts: the *fall* is the deepest change of rate downwards, the *return* the first change upwards after it. A line
without a fall has no figure of one. The floor of the delay is the least that any packet of the call took.

Figures of several flows are those of all that send that way together, their delays above the floor of each.

Source: RFC 8868 §3 (metrics); a freeze as in W3C webrtc-stats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final

from rtcprobe.adaptation.course import Course
from rtcprobe.adaptation.settling import settled, swings, utilisation
from rtcprobe.link import LinkSpec

__all__ = ["FIGURES", "capacity_of", "fall_of", "figures_of", "settled_of"]

FIGURES: Final[Mapping[str, str]] = {
    "below_capacity_s": "sent below the new capacity after",
    "delay_p95_ms": "delay above the path's floor, p95",
    "above_100ms_s": "longest time above 100 ms",
    "dropped": "packets dropped by the queue",
    "lost": "packets lost or dropped, before repair",
    "freezes": "freezes",
    "steady_share": "share of capacity used in steady state",
    "utilisation": "sent by what the line carries, mean of all seconds",
    "settled_s": "settled after a change of capacity, the longest",
    "swings": "swings of the rate by four within 500 ms, a minute",
    "to_90_percent_s": "back at 90% of the old rate after",
    "to_full_size_s": "full picture size again after",
    "shown_fps": "frames shown a second, mean",
    "frames_lost": "frames never shown, after repair",
    "voice_unplayed": "voice unplayed",
    "fairness": "fairness of who shares the line (Jain), last 30 s",
    "least_share": "the least of them by the most, last 20 s",
}
"""Each figure by its key, in words; a name that ends in ``_s`` is seconds, in ``_ms`` milliseconds, else a share
or a count (``dropped``, ``freezes``, ``swings``)."""

# Steady state: the last 10 s of whatever the line was for 20 s at least; RFC 8868 leaves that to who measures.
_SETTLED_S: Final = 10.0
_STEADY_FROM_S: Final = 20.0
# A rate is below the capacity when within 2 % of it: it is counted second by second. 100 ms are what an ear notices.
_NEAR: Final = 1.02
_HIGH_S: Final = 0.100


def capacity_of(spec: LinkSpec, length_s: float = 0.0) -> list[tuple[float, float]]:
    """Return (second, b/s) of every change of capacity before ``length_s``, a schedule that repeats having begun again.

    0: of one round. The rate is infinite where nothing limits it.
    """
    rates: list[tuple[float, float]] = []
    begin_s = 0.0
    # Rounds of the schedule, each from its first phase: the capacity at the seam is told only where it
    # changes.
    while True:
        for at_s, phase in zip((0.0, *(change.at_s for change in spec.schedule)), spec.phases, strict=True):
            bps = phase.rate.bps if phase.rate else float("inf")
            if not rates or (bps != rates[-1][1] and not 0 < length_s <= begin_s + at_s):
                rates.append((begin_s + at_s, bps))
        begin_s += spec.repeat_s or float("inf")
        if begin_s >= length_s:
            return rates


def fall_of(spec: LinkSpec, length_s: float) -> tuple[float, float, float | None] | None:
    """Return when the deepest fall of a call begins, to which rate, and when the line returns (None: never)."""
    rates = capacity_of(spec, length_s)
    falls = [(before[1] - now[1], now[0], now[1]) for before, now in pairwise(rates)]
    falls = [fall for fall in falls if fall[0] > 0]
    if not falls:
        return None
    _, at_s, bps = max(falls, key=lambda fall: fall[0])
    return at_s, bps, next((back_s for back_s, after in rates if back_s > at_s and after > bps), None)


def settled_of(courses: Sequence[Course], spec: LinkSpec, starts_s: Sequence[float] = ()) -> dict[str, float | None]:
    """Return when the last of some flows had settled, after each change that lasts and the longest of all.

    A change is one of the capacity, or that another flow begins at one of ``starts_s``.
    """
    capacity = capacity_of(spec, courses[0].length_s)
    changes = dict(sorted(capacity))
    for start_s in sorted(starts_s):
        changes[start_s] = [bps for at_s, bps in capacity if at_s <= start_s][-1]
    after: dict[float, float] = {}
    for course in courses:
        for each in settled(course, sorted(changes.items())):
            after[each.at_s] = max(after.get(each.at_s, 0.0), each.after_s)
    figures: dict[str, float | None] = {"settled_s": max(after.values(), default=None)}
    return figures | {f"settled_from_{at_s:g}_s": after_s for at_s, after_s in sorted(after.items())}


def figures_of(course: Course, spec: LinkSpec) -> dict[str, float | None]:
    """Return the figures of one call; None where one does not apply, ``inf`` where what is waited for never came."""
    delays_s = sorted(delay_s for _, delay_s in course.delays)
    floor_s = delays_s[0] if delays_s else 0.0
    gone = sum(course.drops) + sum(course.lost)
    figures: dict[str, float | None] = {
        "below_capacity_s": None,
        "delay_p95_ms": 1e3 * (delays_s[int(0.95 * len(delays_s))] - floor_s) if delays_s else None,
        "above_100ms_s": _longest_above(course, floor_s + _HIGH_S),
        "dropped": float(sum(course.drops)),
        "lost": gone / (gone + len(delays_s) + course.untold) if delays_s else None,
        "freezes": float(sum(course.freezes)),
        "steady_share": _steady_share(course, spec),
        "utilisation": utilisation(course, capacity_of(spec, course.length_s)),
        "swings": swings(course),
        "shown_fps": course.shown / course.length_s if course.shown else None,
        "frames_lost": 1 - course.shown / course.encoded if course.encoded else None,
        "to_90_percent_s": None,
        "to_full_size_s": None,
        "voice_unplayed": course.voice_unplayed / course.voice_sent if course.voice_sent else None,
        "fairness": None,
        "least_share": None,
    }
    figures |= settled_of([course], spec)
    fall = fall_of(spec, course.length_s)
    if fall is None:
        return figures
    # Second by second: a figure of "after" is good to a second, as the recorded calls' are, whose statistics
    # are read once a second.
    at_s, bps, back_s = fall
    figures["below_capacity_s"] = _after(course.offered_bps, at_s, lambda rate: rate <= _NEAR * bps)
    # What was sent before the fall: the mean of its last five seconds, for one second's rate differs too
    # much.
    old = course.offered_bps[max(0, int(at_s) - 5) : int(at_s)]
    if back_s is not None and old:
        figures["to_90_percent_s"] = _after(course.offered_bps, back_s, lambda rate: rate >= 0.9 * fmean(old))
        # Only a picture that shrank has a time to come back; a height that nobody knows (NaN) compares false.
        whole = max(course.height)
        if min(course.height[int(at_s) : int(back_s)], default=whole) < whole:
            figures["to_full_size_s"] = _after(course.height, back_s, lambda height: height >= whole)
    return figures


def _after(series: Sequence[float], at_s: float, holds: Callable[[float], bool]) -> float:
    whole = [second for second in range(int(at_s), len(series)) if holds(series[second])]
    return max(0.0, whole[0] + 1 - at_s) if whole else float("inf")


def _longest_above(course: Course, limit_s: float) -> float:
    longest_s, begun_s = 0.0, None
    for sent_s, delay_s in course.delays:
        if delay_s <= limit_s:
            begun_s = None
            continue
        begun_s = sent_s if begun_s is None else begun_s
        longest_s = max(longest_s, sent_s - begun_s)
    return longest_s


def _steady_share(course: Course, spec: LinkSpec) -> float | None:
    """Return the mean over phases of 20 s and more of what was delivered in their last 10 s, by their capacity."""
    rates = capacity_of(spec, course.length_s)
    ends = [*(at_s for at_s, _ in rates[1:]), course.length_s]
    shares = [
        fmean(course.delivered_bps[int(end_s - _SETTLED_S) : int(end_s)]) / bps
        for (at_s, bps), end_s in zip(rates, ends, strict=True)
        if end_s - at_s >= _STEADY_FROM_S and bps < float("inf") and int(end_s) <= len(course.delivered_bps)
    ]
    return fmean(shares) if shares else None
