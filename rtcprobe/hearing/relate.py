"""Which frame of the talker's is in which packet that arrived, when a server stood between.

Facts:
    A server that forwards gives packets timestamps, numbers and sources of its own, and leaves the encoded sound as it
    is; timestamps then differ from the talker's by one number for the whole stream. One that decodes and encodes (a
    mixer, an echo made of media frameworks) sends packets that are its own from end to end.

Rules:
    1. A payload that left once, and is long enough not to be chance, tells the difference of its timestamps. The
       difference most of them tell is taken, when at least half of those that say anything agree. What a talker says
       again and again, ``_APART_S`` between, is what left last before it came.
    2. Where they do not, packets have no relation to the talker's, and None says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from rtcprobe.audio.ear import MAX_DELAY_S
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.neteq.red import split_red
from rtcprobe.recording import Came, Said
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import RTP_CYCLE

__all__ = ["related"]

# Twelve bytes that are alike by chance come once in 2^96; shorter payloads (silence, DTX) are often alike.
_LEAST_BYTES = 12
# Half of those that say anything: a mixer's packets tell offsets of their own, each another.
_LEAST_SHARE = 0.5
# Longer apart than anything is under way: then what came can only be of the last departure. A programme that
# says the same sooner (silence, a short loop) tells nothing by its payload.
_APART_S = MAX_DELAY_S


def related(said: Said, came: Came) -> Arrivals | None:
    """Return what came with the talker's own timestamps; None where there is no relation."""
    left = _departures_of_payloads(said)
    red = None if came.agreed is None else came.agreed.red_payload_type
    told: Counter[int] = Counter()
    for at_s, packet in came.arrivals:
        departures = left.get(_primary(packet, red), ())
        # Nothing arrives before it left: of several departures of one payload the last one before.
        before = bisect_right(departures, at_s, key=lambda departure: departure[0])
        if before:
            # One vote a packet for a difference of timestamps.
            told[(packet.timestamp - departures[before - 1][1]) % RTP_CYCLE] += 1
    if not told:
        return None
    offset, count = told.most_common(1)[0]
    # Chance votes are spread over all numbers there are; only a forwarder's agree.
    if count < _LEAST_SHARE * told.total():
        return None
    found = Arrivals(likely=said.frames)
    for at_s, packet in came.arrivals:
        timestamp = (packet.timestamp - offset) % RTP_CYCLE
        found.add(at_s, packet.sequence, timestamp, packet.payload, packet.payload_type)
    return found


def _departures_of_payloads(said: Said) -> Mapping[bytes, Sequence[tuple[float, int]]]:
    """Return when, and with which timestamps, each payload left that left in one frame at a time."""
    frames, size = said.frames, round(said.ptime_s * RTP_CLOCK_HZ)
    departures = said.departures
    if not departures or not frames:
        return {}
    begun = said.first_sent
    # Sent again, a packet has the timestamp it had: its first departure is when it was said.
    first: dict[int, float] = {}
    for departure in departures:
        first.setdefault(departure.timestamp, departure.at_s)
    found: dict[bytes, list[tuple[float, int]]] = {}
    for timestamp, at_s in first.items():
        index = begun + (timestamp - departures[0].timestamp) % RTP_CYCLE // size
        payload = frames[index % len(frames)]
        if payload is not None and len(payload) >= _LEAST_BYTES:
            found.setdefault(payload, []).append((at_s, timestamp))
    return {
        payload: sorted(each)
        for payload, each in found.items()
        if all(later[0] - sooner[0] >= _APART_S for sooner, later in pairwise(each))
    }


def _primary(packet: RtpPacket, red: int | None) -> bytes:
    """Return a packet's own frame, out of RED where it is in it."""
    if packet.payload_type != red:
        return packet.payload
    try:
        return next((block.payload for block in split_red(packet.payload) if block.level == 0), b"")
    except ValueError:
        return b""
