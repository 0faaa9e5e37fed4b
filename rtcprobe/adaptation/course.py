"""What comes of a call: a row a second, a row a packet of delays, and the sums of the second that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rtcprobe.link import Fate

__all__ = ["ROW_S", "Course", "Tally", "delays_by_second"]

ROW_S: Final = 0.200
"""RFC 8868 §3: rates are measured at intervals of 200 ms."""


@dataclass(slots=True)
class Course:
    """What came of a call: a row a second of ``target_bps`` and the rest, a row a packet of ``delays``."""

    length_s: float
    target_bps: list[float] = field(default_factory=list)
    offered_bps: list[float] = field(default_factory=list)
    delivered_bps: list[float] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    rtx_bps: list[float] = field(default_factory=list)
    freezes: list[int] = field(default_factory=list)
    height: list[float] = field(default_factory=list)
    """NaN where nobody knows it."""
    pacer_s: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    """What held the estimate where it was, a word a second (none where it began later); empty where nobody knows."""
    sent_bps: list[float] = field(default_factory=list)
    """What was offered, a row each 200 ms from 0 s on (RFC 8868 §3); empty where nobody counted so finely."""
    delays: list[tuple[float, float]] = field(default_factory=list)
    untold: int = 0
    """How many more came that have no row in ``delays``: reports and feedback of the sender's own."""
    voice_sent: int = 0
    voice_unplayed: int = 0
    shown: int = 0
    encoded: int = 0


def delays_by_second(course: Course) -> tuple[list[float], list[float]]:
    """Return the longest and the mean delay (s) of what left in each second; NaN where nothing came of it."""
    seconds = len(course.target_bps)
    sent = np.array(course.delays, dtype=np.float64).reshape(-1, 2)
    # What leaves at the very end of the last second would have a row of its own.
    place = np.minimum(sent[:, 0].astype(int), seconds - 1)
    longest = np.full(seconds, np.nan)
    # ``fmax`` ignores the NaN that stands for "nothing yet"; ``maximum`` would keep it for ever.
    np.fmax.at(longest, place, sent[:, 1])
    counts = np.bincount(place, minlength=seconds)
    sums = np.bincount(place, weights=sent[:, 1], minlength=seconds)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return longest.tolist(), mean.tolist()


class Tally:
    """What was offered to the line since the last row, and what became of it."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._bytes = self._dropped = self._lost = self._again_bytes = 0

    def offered(self, size_bytes: int, now_s: float, fate: Fate, *, again: bool = False) -> None:
        """Take in a packet and its fate; ``again``: it was sent before."""
        fine, row = self._course.sent_bps, int(now_s / ROW_S)
        if row >= len(fine):
            fine += [0.0] * (row + 1 - len(fine))
        fine[row] += 8 * size_bytes / ROW_S
        self._bytes += size_bytes
        self._again_bytes += size_bytes * again
        if not fate.arrivals_s:
            # Congestion's own losses apart from those of the line: the two mean different things to who reads
            # the report.
            queued = fate.dropped in ("queue", "aqm", "policer")
            self._dropped += queued
            self._lost += not queued

    def end(self) -> None:
        """Leave as many rows as the call has intervals."""
        course = self._course
        rows = round(course.length_s / ROW_S)
        course.sent_bps = (course.sent_bps + [0.0] * rows)[:rows]

    def take(self) -> None:
        """Write a second down, and begin the next."""
        course = self._course
        course.offered_bps.append(8.0 * self._bytes)
        course.drops.append(self._dropped)
        course.lost.append(self._lost)
        course.rtx_bps.append(8.0 * self._again_bytes)
        self._bytes = self._dropped = self._lost = self._again_bytes = 0
