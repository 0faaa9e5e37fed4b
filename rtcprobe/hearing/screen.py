"""A receiver of pictures at work on what comes: it plays packets as they are taken, and keeps what was asked of it.

Theory of operation: whoever watches during a call, to ask for what is missing, plays every packet through a receiver;
so does hearing afterwards, to tell when each frame was shown. They are the same receiver on the same packets, so what
the first made of them is kept (``Screen``), and the second takes it over where nothing differs: same policy, same
packets, same round trips, and no delay wished for by lip sync. What lip sync reads of a receiver is its delay at whole
seconds, and that is kept, too.

Rule: what is due by the instant at which something comes is done before that is taken, so that it makes no difference
    whether somebody looked in between.
"""

from __future__ import annotations

import math
from typing import Final

from rtcprobe.picture.payload import PayloadFormat, payload_format
from rtcprobe.picture.settings import VideoCodec
from rtcprobe.playout.frames import FrameReceiver, LibwebrtcReceiver, VideoPacket, make_receiver
from rtcprobe.playout.frames.micros import SECOND
from rtcprobe.recording import CameVideo, VideoArrival

__all__ = ["Screen", "packet_of"]

_DRAIN_US: Final = 12 * SECOND
"""A receiver may hold a frame for 10 s."""


def packet_of(arrival: VideoArrival, form: PayloadFormat) -> VideoPacket | None:
    """Return a packet as a receiver sees it; None where its payload is cut off, or of another format."""
    if not arrival.payload:
        return _packet(arrival, size_bytes=0, begins=None, key=None)  # padding
    try:
        seen = form.look(arrival.payload)
    except ValueError:
        return None
    return _packet(arrival, size_bytes=seen.size_bytes, begins=seen.begins, key=seen.key)


class Screen:
    """A receiver of ``policy`` of one stream, and what it was given.

    ``unreadable`` are the places of arrivals that were left out. ``round_trips`` are those it was told, with their
    instants, seconds.
    """

    def __init__(self, policy: str, codec: VideoCodec, *, nack: bool) -> None:
        self.receiver: FrameReceiver = make_receiver(policy, nack=nack)
        self.arrivals: list[VideoArrival] = []
        self.round_trips: list[tuple[float, float]] = []
        self.unreadable: set[int] = set()
        self._made = policy, codec, nack
        self._form = payload_format(codec)
        self._targets_us: list[int] = []
        """Of a receiver that has one: its delay at the end of each second."""
        self._second_us = SECOND
        self._reached_us = 0
        self._astray = False
        self._asked = (0, 0)

    def round_trip(self, at_s: float, round_trip_s: float) -> None:
        """Take a round trip that RTCP measured."""
        self.advance(round(at_s * SECOND))
        self.round_trips.append((at_s, round_trip_s))
        self.receiver.round_trip(round(round_trip_s * SECOND))

    def take(self, arrival: VideoArrival) -> None:
        """Take a packet, in order of arrival."""
        at_us = round(arrival.at_s * SECOND)
        if at_us < self._reached_us:
            self._astray = True  # a clock that others share: somebody looked after it came, and before it was taken
        # Up to just before it: what is due at its very instant is done after it was taken, as in a call.
        self._note_to(math.ceil(arrival.at_s * SECOND) - 1)
        packet = packet_of(arrival, self._form)
        if packet is None:
            self.unreadable.add(len(self.arrivals))
        else:
            self.receiver.insert_packet(packet, at_us)
        self.arrivals.append(arrival)
        # What is asked for while the end is drained, nobody would hear: counts stop at the last packet.
        self._asked = self.receiver.counters.nacks, self.receiver.counters.plis

    def advance(self, now_us: int) -> None:
        """Let the receiver do what is due by ``now_us``."""
        self._note_to(now_us)
        self._reached_us = max(self._reached_us, now_us)
        self.receiver.advance(now_us)

    def target_us(self, at_s: float) -> int | None:
        """Return the delay that the receiver aimed at, when it had done all by ``at_s``; None where it has none.

        Where it has gone on since, ``at_s`` is a whole second.
        """
        at_us = round(at_s * SECOND)
        # At a whole second that has passed the answer is kept; at any other instant the receiver must not be
        # beyond it.
        if at_us % SECOND or at_us >= self._second_us:
            self.advance(at_us)
        if not isinstance(self.receiver, LibwebrtcReceiver):
            return None
        return self.receiver.timing.target_us if at_us % SECOND else self._targets_us[at_us // SECOND - 1]

    def finish(self) -> None:
        """Play what is held: nothing more will come, and nobody is asked any more."""
        if self.arrivals:
            self.advance(round(self.arrivals[-1].at_s * SECOND) + _DRAIN_US)
        self.receiver.counters.nacks, self.receiver.counters.plis = self._asked

    def is_of(self, came: CameVideo, made: tuple[str, str, bool]) -> bool:
        """Return whether one ``made`` so (policy, codec, NACK) and given what ``came`` would be just where this is."""
        given = self.arrivals == came.arrivals and self.round_trips == came.round_trips
        return given and self._made == made and not self._astray

    def _note_to(self, at_us: int) -> None:
        """Note the delay at the end of each second that ends by ``at_us``."""
        receiver = self.receiver
        if isinstance(receiver, LibwebrtcReceiver):
            while self._second_us <= at_us:
                receiver.advance(self._second_us)
                self._targets_us.append(receiver.timing.target_us)
                self._second_us += SECOND


def _packet(arrival: VideoArrival, *, size_bytes: int, begins: bool | None, key: bool | None) -> VideoPacket:
    return VideoPacket(
        sequence=arrival.sequence,
        timestamp=arrival.timestamp,
        marker=arrival.marker,
        size_bytes=size_bytes,
        begins=begins,
        key=key,
    )
