"""Which packet of the talker's picture is which that arrived, when a server stood between.

Facts:
    A server that forwards gives packets sources, numbers and timestamps of its own, and leaves the encoded picture as
    it is, though perhaps not what stands before it in a payload (VP8's descriptor: PictureID, TL0PICIDX). One that
    switches between publishers or layers begins anew with other differences.

Rules:
    1. A payload is known by its end, where that left once. What it says of numbers and times holds for what follows it.
    2. Where no payload is known nothing of it is ours: an empty recording, of which every frame was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rtcprobe.picture.film import Reel
from rtcprobe.picture.payload import payload_format
from rtcprobe.recording import CameVideo, Said, VideoArrival

__all__ = ["related_pictures"]

# Entropy-coded bytes, so 40 of them are alike by chance in no call; 120 at most, so that what stands before a
# payload in another server's form (a longer descriptor) is left out of the comparison.
_END_BYTES = 120
_LEAST_BYTES = 40
# RTP's sequence numbers and clock.
_NUMBERS, _TICKS = 1 << 16, 1 << 32


def related_pictures(said: Said, came: CameVideo, reel: Reel) -> CameVideo:
    """Return what came with the talker's own numbers and timestamps."""
    left = _departures_of_payloads(said, reel)
    found: list[VideoArrival] = []
    held: list[VideoArrival] = []
    off: tuple[int, int] | None = None
    for each in came.arrivals:
        known = left.get(each.payload[-_END_BYTES:])
        if known is not None:
            off = (each.sequence - known[0], each.timestamp - known[1])
            # What came before the first known one is of the same numbering; so it is told by it, looking
            # back.
            found += [_moved(before, off) for before in held]
            held = []
        if off is None:
            held.append(each)  # padding before the first frame, or a packet like another
        else:
            found.append(_moved(each, off))
    return replace(came, arrivals=found)


def _moved(arrival: VideoArrival, off: tuple[int, int]) -> VideoArrival:
    return arrival._replace(
        sequence=(arrival.sequence - off[0]) % _NUMBERS, timestamp=(arrival.timestamp - off[1]) % _TICKS
    )


def _departures_of_payloads(said: Said, reel: Reel) -> Mapping[bytes, tuple[int, int]]:
    """Return number and timestamp of each payload that left, by its end, where no other ends alike."""
    packets: dict[int, dict[int, None]] = {}
    source = said.departures[0].ssrc if said.departures else 0
    for each in said.departures:
        if each.ssrc == source:
            packets.setdefault(each.timestamp, {})[each.sequence] = None
    form = payload_format(reel.film.settings.codec)
    found: dict[bytes, tuple[int, int] | None] = {}
    for place, (timestamp, sequences) in zip(reel.places.values(), packets.items(), strict=False):
        payloads = form.packets(reel.film.frame(place), place.number)
        for payload, sequence in zip(payloads, sequences, strict=False):
            if len(payload) >= _LEAST_BYTES:
                end = payload[-_END_BYTES:]
                # Left twice (a picture that does not move): it says nothing, whichever came.
                found[end] = None if end in found else (sequence, timestamp)
    return {end: each for end, each in found.items() if each is not None}
