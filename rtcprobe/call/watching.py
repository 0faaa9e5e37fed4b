"""Who watches a picture while it comes: a video receiver that asks for what is missing, and for key frames.

Rules:
    1. It runs on packets and their instants alone, and is the receiver that hearing sees them through afterwards
       (``hearing.screen``), unless lip sync, which needs the sound's playout, holds pictures back there: then a key
       frame after 3 s without a frame may be asked for some tens of ms apart.
    2. The round trip is what RTCP measured on the sound's stream, as soon as there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from rtcprobe.hearing.screen import Screen
from rtcprobe.picture.settings import VideoCodec
from rtcprobe.recording import VideoArrival
from rtcprobe.runtime.feedback_seam import Feedback
from rtcprobe.runtime.network import Network
from rtcprobe.timeline import VIDEO_ORDER

__all__ = ["Watching"]

# Receivers of pictures count whole microseconds (``playout.frames``), as libwebrtc's do.
_US: Final = 1_000_000


class Watching:
    """The receiver of one stream at work, by a policy of ``playout.frames``; ``nack``: whether it asks for packets.

    ``first_picture`` is set when it has shown one; ``screen`` is what it plays packets on.
    """

    def __init__(self, policy: str, codec: VideoCodec, *, nack: bool, feedback: Feedback, network: Network) -> None:
        self.first_picture = asyncio.Event()
        self.screen = Screen(policy, codec, nack=nack)
        self._policy, self._codec = policy, codec
        self.round_trip_s: Callable[[], float | None] = _unknown
        """Who is asked for it."""
        self._feedback, self._network = feedback, network
        self._loop = asyncio.get_running_loop()
        self._round_trip_s: float | None = None
        self._ssrc = 0
        self._due: asyncio.TimerHandle | None = None

    @property
    def shown(self) -> int:
        """How many pictures were shown so far."""
        return int(self.screen.receiver.counters.w3c()["framesRendered"])

    def freezes_s(self) -> list[tuple[float, float]]:
        """Return from when until when the picture stood, seconds since the call's epoch."""
        return [(begin / _US, end / _US) for begin, end in self.screen.receiver.counters.freezes.spans_us]

    @property
    def awaits(self) -> str | None:
        """The milestone that it waits for, of ``timeline.VIDEO_ORDER``; None once it has shown a picture."""
        if self.first_picture.is_set():
            return None
        packet, key_frame, picture = VIDEO_ORDER
        counters = self.screen.receiver.counters
        return picture if counters.key_frames else key_frame if counters.packets else packet

    def nothing_comes(self) -> None:
        """Take note that no picture was agreed on: nobody waits for one."""
        self.first_picture.set()

    def without_nack(self) -> None:
        """Take note that no packet may be asked for again: nothing has come yet."""
        self.screen = Screen(self._policy, self._codec, nack=False)

    def packet_arrived(self, packet: VideoArrival) -> None:
        """Take a packet, in order of arrival."""
        self._ssrc = packet.ssrc
        self._tell_round_trip(packet.at_s)
        self.screen.take(packet)
        self._after()

    def _tell_round_trip(self, at_s: float) -> None:
        now_s = self.round_trip_s()
        if now_s is not None and now_s != self._round_trip_s:
            self._round_trip_s = now_s
            self.screen.round_trip(at_s, now_s)

    def _after(self) -> None:
        """Ask for what is wanted, and plan the next look."""
        receiver = self.screen.receiver
        if receiver.shown:
            self.first_picture.set()
        for request in receiver.requests:
            if request.kind == "nack":
                self._feedback.ask_again(self._ssrc, request.sequences)
            else:
                self._feedback.ask_key_frame(self._ssrc)
        receiver.requests.clear()
        # Until the first picture was shown its instant is waited for; after it only what may have to be asked for is.
        self._plan(receiver.asks_us() if self.first_picture.is_set() else receiver.next_us())

    def _plan(self, at_us: int | None) -> None:
        """Look at ``at_us`` or sooner: a timer that comes too soon costs less than one that is put off every packet."""
        if at_us is None:
            return
        at_s = self._network.epoch_s + at_us / _US
        if self._due is not None and self._due.when() <= at_s:
            return
        if self._due is not None:
            self._due.cancel()
        self._due = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        assert self._due is not None
        # A clock that reads a hair less than the timer's own instant has reached it all the same.
        due_us = round((self._due.when() - self._network.epoch_s) * _US)
        self._due = None
        self.screen.advance(max(due_us, round(self._network.now_s() * _US)))
        self._after()


def _unknown() -> None:
    """Return no round trip."""
