"""What passed a room at a server that is not ours, way by way, where parties came and went by a script.

Rules:
    1. What left is told on the time base of the first connection that its talker published on, and what came as well,
       where its packets can be told to be the talker's (``hearing.relate``): a server gives them timestamps of its own,
       anew for each connection.
    2. What was said while it could not reach a listener is not asked of the way: before its connection was open, and
       the server sent the first packet over it; from ``UNDER_WAY_S`` before it hung up on; after the
       script was over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from rtcprobe.call.peer import UNDER_WAY_S, Peer
from rtcprobe.call.targets.stints import base_of, whole, within
from rtcprobe.hearing.relate import related
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.recording import Came, Said
from rtcprobe.wrapping import RTP_CYCLE

if TYPE_CHECKING:
    from rtcprobe.call.targets.room_hooks import Attendee

__all__ = ["came_of", "said_to"]

_A_MOMENT_S = 0.005
"""How much sooner than the way takes at the fastest a packet may have left, for one to have come: a server takes some
tenths of a millisecond; less than a packet is long, so no other one is meant."""


def said_to(talker: Attendee, listener: Attendee, over_s: float) -> Said:
    """Return what ``talker`` said to ``listener`` until ``over_s`` (rules 1 and 2)."""
    spoken = whole([peer.said() for peer in talker.published])
    if not spoken.departures:
        return spoken
    windows = [
        (from_s, min(until_s, over_s))
        for from_s, until_s in _windows(talker, listener, spoken.departures[0].at_s)
        if from_s < over_s
    ]
    return spoken if windows == [(-math.inf, math.inf)] else within(spoken, windows)


def came_of(first: Came, talker: Attendee, listener: Attendee) -> Came:
    """Return what reached ``listener`` of ``talker`` (rule 1); ``first`` is what came over its first connection."""
    spoke = [said for peer in talker.published if (said := peer.said()).departures]
    heard = [peer for peer in listener.heard[talker.name] if len(peer.arrivals)]
    # One connection on either side has one time base: nothing has to be shifted.
    if len(heard) < 2 and len(spoke) < 2:
        return first
    base = base_of(spoke[0]) if spoke else 0
    arrivals = Arrivals(likely=talker.publishing.track.frames if talker.publishing is not None else ())
    for peer in heard:
        came = replace(first, arrivals=peer.arrivals, agreed=peer.negotiated)
        own = [(said, found) for said in spoke if (found := related(said, came)) is not None]
        if not own:  # mixed, or decoded in between: packets are the server's own, and so are their timestamps
            arrivals.extend(peer.arrivals)
            continue
        # A connection may have carried the talker's first and second stay; it is set on the one it overlapped longest.
        said, found = max(own, key=lambda each: _together_s(each[0], each[1]))
        shift = (base - base_of(said)) % RTP_CYCLE
        for at_s, packet in found:
            stamp = (packet.timestamp + shift) % RTP_CYCLE
            arrivals.add(at_s, packet.sequence, stamp, packet.payload, packet.payload_type)
    return replace(first, arrivals=arrivals, agreed=heard[0].negotiated if heard else first.agreed)


def _together_s(said: Said, came: Arrivals) -> float:
    """Return how long somebody spoke over one connection while something came over another."""
    begun_s = max(said.departures[0].at_s, came[0][0])
    return min(said.departures[-1].at_s, came[-1][0]) - begun_s


def _windows(talker: Attendee, listener: Attendee, begun_s: float) -> Iterator[tuple[float, float]]:
    """Yield from when until when what left ``talker`` could reach ``listener``, in order (rule 2)."""
    up, down = talker.host.up.tally.fastest_s(), listener.host.down.tally.fastest_s()
    way_s = (up or 0.0) + (down or 0.0) + _A_MOMENT_S
    peers = [peer for peer in listener.heard[talker.name] if "dtls_connected" in peer.timeline.marks]
    windows = []
    for peer in peers:
        opened_s = peer.timeline.begun_s + peer.timeline.marks["dtls_connected"]
        from_s = -math.inf if opened_s <= begun_s + way_s else _from_s(peer, opened_s, way_s)
        until_s = listener.left_s.get(peer, math.inf) - UNDER_WAY_S
        if from_s < until_s:
            windows.append((from_s, until_s))
    # Where a second connection opened before the first closed, each word is asked of one of them only.
    for (from_s, until_s), (next_s, _) in pairwise([*windows, (math.inf, math.inf)]):
        yield from_s, min(until_s, next_s)


def _from_s(peer: Peer, opened_s: float, way_s: float) -> float:
    """Return from when on what left could come over a connection that opened while its talker spoke."""
    first_s = next((at_s for at_s, _ in peer.arrivals if at_s >= opened_s), None)
    return opened_s if first_s is None else max(first_s, opened_s) - way_s
