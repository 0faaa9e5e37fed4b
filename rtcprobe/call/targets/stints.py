"""What somebody said over several connections, one after the other, as if over one, and the part of it meant for one.

Fact:
    Each connection that is published on has a source, numbers and a time base of its own (RFC 3550 §5.1). Frames are
    those of one mouth, on one grid: so a connection's timestamps differ from another's by one number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from rtcprobe.recording import Departure, Departures, Said
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import RTP_CYCLE

__all__ = ["base_of", "whole", "within"]


def base_of(said: Said) -> int:
    """Return the RTP timestamp of frame 0 of a speech."""
    size = round(said.ptime_s * RTP_CLOCK_HZ)
    return (said.departures[0].timestamp - said.first_sent * size) % RTP_CYCLE


def whole(saids: Sequence[Said]) -> Said:
    """Return what was said over all of these connections, on the time base of the first that anything left on."""
    spoke = [said for said in saids if said.departures] or list(saids[:1])
    first = spoke[0]
    if len(spoke) == 1:
        return first
    base, departures, gaps = base_of(first), Departures(), list(first.gaps_s)
    for place, said in enumerate(spoke):
        shift = (base - base_of(said)) % RTP_CYCLE if place else 0
        for each in said.departures:
            stamp = (each.timestamp + shift) % RTP_CYCLE
            departures.add(each.at_s, each.sequence, stamp, each.size_bytes, each.ssrc)
    for before, after in pairwise(spoke):
        # Between two connections nothing left: from the last packet of the one to
        # the beginning of the first frame of the other.
        gaps.append((before.departures[-1].at_s, after.departures[0].at_s - after.ptime_s))
    finished = any(said.finished for said in spoke)
    return replace(first, departures=departures, gaps_s=tuple(gaps), finished=finished)


def within(said: Said, windows: Sequence[tuple[float, float]], again: Iterable[Departure] = ()) -> Said:
    """Return what was said within ``windows``, and sent ``again`` by somebody else."""
    size = round(said.ptime_s * RTP_CLOCK_HZ)
    base = base_of(said)
    kept = [each for each in said.departures if any(from_s <= each.at_s < until_s for from_s, until_s in windows)]
    if not kept:
        return replace(said, departures=(), gaps_s=((-math.inf, math.inf),))
    departures = Departures()
    for each in sorted((*kept, *again), key=lambda left: left.at_s):
        departures.add(*each)
    # What is not within any window is a gap: before the first, between two, behind the last.
    ends = [-math.inf, *(instant for window in windows for instant in window), math.inf]
    outside = [(ends[place], ends[place + 1]) for place in range(0, len(ends), 2)]
    gaps = [(left_s, again_s - said.ptime_s) for left_s, again_s in outside if left_s < again_s]
    first = (kept[0].timestamp - base) % RTP_CYCLE // size
    return replace(said, departures=departures, gaps_s=(*said.gaps_s, *gaps), first=first)
