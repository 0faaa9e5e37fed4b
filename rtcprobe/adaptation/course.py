"""What comes of a call: a row a second, a row a packet of delays, and the sums of the second that runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtcprobe.link import Fate

__all__ = ["Course", "Tally"]


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
    delays: list[tuple[float, float]] = field(default_factory=list)
    untold: int = 0
    """How many more came that have no row in ``delays``: reports and feedback of the sender's own."""
    voice_sent: int = 0
    voice_unplayed: int = 0
    shown: int = 0
    encoded: int = 0


class Tally:
    """What was offered to the line since the last row, and what became of it."""

    def __init__(self) -> None:
        self._bytes = self._dropped = self._lost = self._again_bytes = 0

    def offered(self, size_bytes: int, fate: Fate, *, again: bool = False) -> None:
        """Take in a packet and its fate; ``again``: it was sent before."""
        self._bytes += size_bytes
        self._again_bytes += size_bytes * again
        if not fate.arrivals_s:
            queued = fate.dropped in ("queue", "aqm", "policer")
            self._dropped += queued
            self._lost += not queued

    def take(self, course: Course) -> None:
        """Write a second down, and begin the next."""
        course.offered_bps.append(8.0 * self._bytes)
        course.drops.append(self._dropped)
        course.lost.append(self._lost)
        course.rtx_bps.append(8.0 * self._again_bytes)
        self._bytes = self._dropped = self._lost = self._again_bytes = 0
