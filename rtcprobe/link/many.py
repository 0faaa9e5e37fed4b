"""Fates of many packets at once, on a hop where nothing becomes of a packet but that it is lost, or delayed.

Facts:
    Without a queue no packet's fate hangs on another's but by order, and the components' numbers come one a packet: so
    a whole call's can be taken together, as columns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.link.delay import LOST
from rtcprobe.link.keeper import Keeper

__all__ = ["SILENCE_S", "Floats", "move_on", "sealed"]

Floats = npt.NDArray[np.float64]

SILENCE_S: Final = 0.200
"""Longer than any packet spacing of a call (120 ms, RFC 6716 §3.2), no longer than any retransmission timer."""

# How often a chain is taken to move on in a silence: as often as an audio call sends, 20 ms a packet.
_STEP_S: Final = 0.020
_MOST_STEPS: Final = 50
"""After a second of silence nothing is left of a burst of ten packets (0.9⁵⁰ = 0.5 %)."""


def move_on(lost: Iterator[bool], silence_s: float) -> None:
    """Let a loss chain move on through a silence (rule 4 of ``hop``)."""
    for _ in range(min(int(silence_s / _STEP_S), _MOST_STEPS)):
        next(lost)


def sealed(
    offer_s: Floats,
    lost: Iterator[bool],
    delays: Iterator[float],
    keeper: Keeper | None,
    *,
    since_s: float | None,
    cause: str,
) -> tuple[Floats, Counter[str]]:
    """Return when packets arrive that enter at ``offer_s``, NaN where not, shape (packets,), and drops by cause.

    Args:
        offer_s: instants that do not fall.
        lost: whether each is, in turn.
        delays: of each, in turn; ``LOST`` for one that a recording says never came.
        keeper: keeps the order; None where it is not kept.
        since_s: when the packet before came, for a chain that moves on through silences; None for others.
        cause: of what is lost.
    """
    count = len(offer_s)
    gone = np.zeros(count, dtype=bool)
    # A chain moves on where the one by one way would: between the same two packets, by the same number of
    # steps.
    silences = [] if since_s is None else np.flatnonzero(np.diff(offer_s, prepend=since_s) > SILENCE_S).tolist()
    for begin, end in pairwise((0, *silences, count)):
        gone[begin:end] = np.fromiter(islice(lost, end - begin), bool, end - begin)
        if end < count and since_s is not None:
            move_on(lost, float(offer_s[end] - (offer_s[end - 1] if end else since_s)))
    delay_s = np.fromiter(islice(delays, count), np.float64, count)
    untraced = ~gone & (delay_s == LOST)
    came = ~gone & ~untraced
    arrival_s = np.full(count, math.nan)
    arrival_s[came] = offer_s[came] + delay_s[came]
    if keeper is not None:
        arrival_s[came] = keeper.place_many(offer_s[came], arrival_s[came])
    drops = {cause: int(gone.sum()), "trace": int(untraced.sum())}
    return arrival_s, Counter({why: dropped for why, dropped in drops.items() if dropped})
