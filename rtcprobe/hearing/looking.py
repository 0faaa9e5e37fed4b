"""What came of a picture that a browser encoded, played and decoded by ours: glimpses, as a browser tells them.

Rules:
    1. The receiver is one of ours, run on packets and their instants as during the call (``screen``).
    2. What it decodes is decoded here, in that order. What it decodes and never shows is no glimpse: it was dropped.
"""

from __future__ import annotations

from collections import deque

from rtcprobe.hearing.screen import Screen
from rtcprobe.picture.codec import Decoder, luma_of
from rtcprobe.picture.marker import brightness
from rtcprobe.picture.payload import payload_format
from rtcprobe.picture.settings import VideoCodec
from rtcprobe.playout.frames import Frame
from rtcprobe.playout.frames.micros import SECOND
from rtcprobe.recording import CameVideo, Departure, Glimpse, Looked

__all__ = ["look"]


def look(came: CameVideo, policy: str, codec: VideoCodec, *, nack: bool) -> Looked:
    """Return what was seen of ``came`` by a receiver of ``policy``."""
    screen, trips = Screen(policy, codec, nack=nack), deque(came.round_trips)
    # Round trips are told before the packets that came after them, as they were during the call.
    for arrival in came.arrivals:
        while trips and trips[0][0] <= arrival.at_s:
            screen.round_trip(*trips.popleft())
        screen.take(arrival)
    screen.finish()
    form, decoder = payload_format(codec), Decoder(codec)
    # By RTP time, then number; of a payload that came twice the first copy.
    pieces: dict[int, dict[int, bytes]] = {}
    for place, arrival in enumerate(screen.arrivals):
        if place not in screen.unreadable:
            pieces.setdefault(arrival.timestamp, {}).setdefault(arrival.sequence, arrival.payload)

    def whole(frame: Frame) -> bytes:
        held = pieces.get(frame.timestamp, {})
        numbers = [number & 0xFFFF for number in range(frame.first, frame.last + 1)]
        try:
            return form.frame([held[number] for number in numbers if held.get(number)])
        except ValueError:
            return b""

    shown = {each.frame.first: each for each in screen.receiver.shown}
    glimpses: list[Glimpse] = []
    for frame in screen.receiver.decoded:
        # All that was decoded, shown or not: what follows needs it.
        picture = decoder.decode(whole(frame))
        screened = shown.get(frame.first)
        if screened is None:
            continue
        glimpses.append(
            Glimpse(
                at_s=screened.decoded_us / SECOND,
                timestamp=frame.timestamp,
                size="" if picture is None else f"{picture.width}x{picture.height}",
                cells=None if picture is None else brightness(luma_of(picture)),
                shown_s=screened.at_us / SECOND,
            )
        )
    arrivals = [
        Departure(each.at_s, each.sequence, each.timestamp, len(each.payload), each.ssrc) for each in came.arrivals
    ]
    return Looked(glimpses=glimpses, arrivals=arrivals)
