"""What a mixing server kept of a talker's sound, as the plateaus it stood on: since when, until when, how much.

Facts:
    A mixer that keeps a few packets of each talker before it decodes the first (Janus' AudioBridge: six) never gives
    back what a hiccup of the talker added: until it runs dry, the same sound waits as long as the one before it. So
    its delay is no distribution but a staircase, and a mean over two stairs is a delay that nobody heard.

Rules:
    1. A stair ends where the next two markers lie more than ``APART_S`` from its median: one alone is a packet that was
       late, or a playout that stretched.
    2. What a stair is said to be is the median of its markers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

__all__ = ["Plateau", "plateaus"]

APART_S: Final = 0.010
"""Half a mixer's tick of 20 ms, of which its delay grows by whole numbers."""
# Two in a row: one that stands apart is a marker that a stretch has moved.
_SURE: Final = 2


class Plateau(NamedTuple):
    """One stair, seconds: of the markers spoken from ``from_s`` to ``until_s``, how long each was kept."""

    from_s: float
    until_s: float
    kept_s: float


def plateaus(kept: Sequence[tuple[float, float]]) -> list[Plateau]:
    """Return the stairs of markers in order: when each was spoken, and how long it was kept."""
    return [
        Plateau(stair[0][0], stair[-1][0], statistics.median(kept_s for _, kept_s in stair)) for stair in _stairs(kept)
    ]


def _stairs(kept: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    stair: list[tuple[float, float]] = []
    for place, marker in enumerate(kept):
        if len(stair) >= _SURE:
            # The median of the whole stair, not its last marker: a stair does not creep, and a few odd
            # markers move no median.
            level_s = statistics.median(kept_s for _, kept_s in stair)
            ahead = [kept_s - level_s for _, kept_s in kept[place : place + _SURE]]
            # Both on the same side of it: one above and one below are two odd markers, not another stair.
            if len(ahead) == _SURE and (min(ahead) > APART_S or max(ahead) < -APART_S):
                yield stair
                stair = []
        stair.append(marker)
    if stair:
        yield stair
