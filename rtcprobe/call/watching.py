"""Who watches a picture while it comes: a video receiver that asks for what is missing, and for key frames.

Rules:
    1. It runs on packets and their instants alone, and is the receiver that hearing sees them through afterwards
       (``hearing.screen``), unless lip sync, which needs the sound's playout, holds pictures back there: then a key
       frame after 3 s without a frame may be asked for some tens of ms apart.
    2. The round trip is what RTCP measured on the sound's stream, as soon as there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rtcprobe.call.peer import Peer
from rtcprobe.recording import CameVideo, VideoArrival
from rtcprobe.runtime.feedback_seam import Feedback
from rtcprobe.runtime.network import Network
from rtcprobe.timeline import VIDEO_ORDER

if TYPE_CHECKING:  # every call asks who watches; in one of sound nobody has a receiver of pictures
    from rtcprobe.hearing.screen import Screen
    from rtcprobe.picture.settings import VideoCodec

__all__ = ["Watching", "came_video", "first_pictures", "watched_on"]

# Receivers of pictures count whole microseconds (``playout.frames``), as libwebrtc's do.
_US: Final = 1_000_000


class Watching:
    """The receiver of one stream at work, by a policy of ``playout.frames``; ``nack``: whether it asks for packets.

    ``first_picture`` is set when it has shown one; ``screen`` is what it plays packets on.
    """

    def __init__(self, policy: str, codec: VideoCodec, *, nack: bool, feedback: Feedback, network: Network) -> None:
        self.first_picture = asyncio.Event()
        self._policy, self._codec = policy, codec
        self.screen = self._screen(nack=nack)
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
        self.screen = self._screen(nack=False)

    def _screen(self, *, nack: bool) -> Screen:
        from rtcprobe.hearing.screen import Screen  # noqa: PLC0415 - a call of sound has none

        return Screen(self._policy, self._codec, nack=nack)

    def packet_arrived(self, packet: VideoArrival) -> None:
        """Take a packet, in order of arrival."""
        self._ssrc = packet.ssrc
        self._tell_round_trip(packet.at_s)
        self.screen.take(packet)
        self._after()

    def _tell_round_trip(self, at_s: float) -> None:
        now_s = self.round_trip_s()
        # Told with the instant of a packet, and kept by the screen: hearing plays the same changes at the same packets.
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


def first_pictures(peer: Peer) -> Iterator[asyncio.Event]:
    """Yield what is set when ``peer`` has shown the first picture of each section that somebody watches."""
    for picture in peer.pictures:
        if isinstance(picture.watcher, Watching):
            yield picture.watcher.first_picture


def came_video(peer: Peer, *, forwarded: bool) -> CameVideo | None:
    """Return what came of the other side's picture; None where none was agreed on."""
    # The first section is the one: a call of two has one picture each way; rooms ask for theirs by section.
    for picture in peer.pictures:
        came = peer.came_video(picture, forwarded=forwarded, there_and_back=False)
        watcher = picture.watcher
        return replace(came, round_trips=watcher.screen.round_trips) if isinstance(watcher, Watching) else came
    return None


def watched_on(peer: Peer) -> Screen | None:
    """Return what ``peer`` watched the other side's picture on, once it is over; None where it watched none."""
    watcher = next((picture.watcher for picture in peer.pictures), None)
    return watcher.screen if isinstance(watcher, Watching) else None


def _unknown() -> None:
    """Return no round trip."""
