"""The end of a call through a server that is not ours: when it has fallen silent, and whether it was lost before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import Way
from rtcprobe.call.targets.blame import named
from rtcprobe.runtime.outside import OutsideNetwork

__all__ = ["gone", "last_packets"]

SILENCE_S = 0.5
"""How long nothing may have come for the end of the call to be the end."""
# Mixers and voice agents send silence without a pause; by then what was said last has come, or never will: it is more
# than any jitter buffer holds.
LONGEST_END_S = 3.0
GONE_S = 3.0
"""A listener that heard nothing for so long before the mouths fell silent had lost the target."""


def gone(ways: Sequence[Way], network: OutsideNetwork, begun_s: float) -> str | None:
    """Return which listener had lost the target before the mouths fell silent, now, in a sentence; None for nobody."""
    now_s = network.now_s()
    found = None
    for way in ways:
        last_s = way.listener.arrivals[-1][0] if way.listener.arrivals else begun_s
        # Silence is no loss where the talker sent nothing either (DTX), or
        # where a line is asked to stand still (``pauses``).
        if now_s - last_s > GONE_S and not _paused(way.talker, last_s) and not network.pauses:
            found = f"nothing came to {named(way.listener.side)} any more {last_s - begun_s:.1f} s into the call"
    return found


async def last_packets(ways: Sequence[Way], network: OutsideNetwork, silent_s: float) -> None:
    """Wait until nothing has come for ``SILENCE_S``; a server that never falls silent gets ``LONGEST_END_S``."""
    while True:
        now_s = network.now_s()
        came_s = [way.listener.arrivals[-1][0] for way in ways if way.listener.arrivals]
        quiet_s = now_s - max([silent_s, network.last_arrival_s, *came_s])
        if quiet_s >= SILENCE_S or now_s - silent_s >= LONGEST_END_S:
            return
        # A millisecond more, so that the next look does not come a hair too early, and look once again.
        await asyncio.sleep(min(SILENCE_S - quiet_s, SILENCE_S) + 0.001)


def _paused(talker: Peer, since_s: float) -> bool:
    """Return whether ``talker`` sent nothing after ``since_s`` either."""
    departures = talker.said().departures
    return not departures or departures[-1].at_s < since_s
