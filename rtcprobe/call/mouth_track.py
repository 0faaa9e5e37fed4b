"""What a mouth says in a call, and the tracks that say it on time: one for each connection that it is heard over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtcprobe.audio.level import QUIETEST
from rtcprobe.audio.red import RedEncoder
from rtcprobe.call.track import EncodedTrack
from rtcprobe.hearing.speech import Spoken
from rtcprobe.runtime.media_seam import EncodedFrame
from rtcprobe.runtime.network import Network
from rtcprobe.units import RTP_CLOCK_HZ

_VOICED = 60
"""Louder than this is called voice: noise as of a room lies below (``audio.mouth``: -80 and -55 dBFS), speech above."""

_AHEAD_FRAMES = 256
"""Five seconds of 20 ms, as the checks of consent are apart; aiortc's reports, four a second, end runs before."""

__all__ = ["Mouth", "MouthTrack", "Speech"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What a mouth says: encoded frames of ``ptime_s`` each, None where DTX sends nothing; ``endless`` starts over.

    ``silence`` is the frame that is sent while it is told to be silent; None: nothing is. ``levels`` are what each
    frame's packet says of how loud it is, -dBov (RFC 6464); None: they say nothing. ``voice`` is what was encoded, for
    an end that encodes by itself.
    """

    frames: Sequence[bytes | None]
    ptime_s: float
    endless: bool = False
    silence: bytes | None = None
    levels: bytes | None = None
    voice: Spoken | None = None

    @property
    def duration_s(self) -> float:
        """How long it takes to say all of it once."""
        return len(self.frames) * self.ptime_s


@dataclass(slots=True, kw_only=True, eq=False)
class Mouth:
    """One party's mouth: the microphone is always open, its frames end on a grid of ``ptime`` with a phase of its own.

    It speaks from when ``may_speak`` is set; ``began_s`` is when its first frame began, seconds since the epoch.
    """

    speech: Speech
    phase_s: float
    network: Network
    may_speak: asyncio.Event
    began_s: float | None = None
    closed: list[tuple[float, float]] = field(default_factory=list)
    """From when until when it was told to be silent, seconds since the epoch; of the last, infinity while it is."""

    def close(self) -> None:
        """Be silent from the frame on that is in progress."""
        if not self.is_closed:
            self.closed.append((self.network.now_s(), math.inf))

    def open(self) -> None:
        """Speak, or speak on: what was due meanwhile is never said."""
        if self.is_closed:
            self.closed[-1] = self.closed[-1][0], self.network.now_s()
        self.may_speak.set()

    @property
    def is_closed(self) -> bool:
        """Whether it was told to be silent."""
        return bool(self.closed) and math.isinf(self.closed[-1][1])

    def says(self, index: int) -> bytes | None:
        """Return frame ``index`` as it leaves: silence where the mouth was closed before it was over."""
        if self.closed and self.began_s is not None:
            from_s = self.began_s + index * self.speech.ptime_s
            # Any part of a frame that lies in a closed stretch silences it whole:
            # it was encoded before, and cannot be cut.
            if any(shut_s < from_s + self.speech.ptime_s and from_s < open_s for shut_s, open_s in self.closed):
                return self.speech.silence
        return self.speech.frames[index % len(self.speech.frames)]

    def begin(self, now_s: float) -> tuple[float, int]:
        """Return when its first frame began, and which is in progress at ``now_s``: frame 0, unless it spoke before."""
        ptime_s = self.speech.ptime_s
        if self.began_s is None:
            # The frame in progress, not the next: its first samples were captured
            # already, for the microphone is always open.
            self.began_s = self.phase_s + math.floor((now_s - self.phase_s) / ptime_s) * ptime_s
            return self.began_s, 0
        # Of a second connection: frames keep the numbers, and so the RTP times, that they have over the first.
        return self.began_s, max(0, math.floor((now_s - self.began_s) / ptime_s))

    def track(self) -> MouthTrack:
        """Return what says it over one connection."""
        return MouthTrack(self)


class MouthTrack(EncodedTrack):
    """A track of encoded packets, each handed over at the instant its frame ends.

    The first frame sent is the one in progress when the mouth may speak and there is somebody to hear it.
    """

    kind = "audio"
    clock_hz = RTP_CLOCK_HZ

    def __init__(self, mouth: Mouth) -> None:
        speech = mouth.speech
        super().__init__(
            count=len(speech.frames),
            frame_s=speech.ptime_s,
            endless=speech.endless,
            network=mouth.network,
            may_send=mouth.may_speak,
        )
        self.mouth = mouth
        self.red: RedEncoder | None = None
        """Puts copies of frames into later packets, where that was negotiated."""

    @property
    def gaps_s(self) -> list[tuple[float, float]]:
        """From when until when nothing of the speech left: before there was somebody to hear it, and when closed."""
        if self.started_s is None:
            return []
        begun_s, frame_s = self.started_s, self.frame_s
        late = [(begun_s, begun_s + self.first * frame_s)] if self.first else []
        return late + [
            (begun_s + math.floor((shut_s - begun_s) / frame_s) * frame_s, open_s + frame_s)  # frames are silent whole
            for shut_s, open_s in self.mouth.closed
        ]

    @property
    def frames(self) -> Sequence[bytes | None]:
        """The encoded frames, None where nothing is sent."""
        return self.mouth.speech.frames

    def ahead_s(self) -> float | None:
        """Return when a frame is due that surely comes, ``_AHEAD_FRAMES`` on or so, or the last; None where it is none.

        What is closed meanwhile says nothing, and is asked all the same.
        """
        index, frames = self._next + _AHEAD_FRAMES, self.mouth.speech.frames
        if not self._endless:
            index = min(index, self._count - 1)
        while index > self._next and frames[index % self._count] is None:  # where DTX sends nothing
            index -= 1
        return self._network.epoch_s + self.due_s(index) if index > self._next else None

    def take(self) -> EncodedFrame:
        """Return the frame that is due, and turn to the next: as everybody does, in fewer steps (it is asked often)."""
        if self.red is not None or self.mouth.closed:
            return super().take()
        speech, index = self.mouth.speech, self._next
        self._next = index + 1
        payload, levels = speech.frames[index % self._count], speech.levels
        timestamp = round(index * self.frame_s * RTP_CLOCK_HZ)
        payloads = () if payload is None else (payload,)
        if levels is None:
            return EncodedFrame(payloads, timestamp)
        level = levels[index % len(levels)]
        return EncodedFrame(payloads, timestamp, (level < _VOICED, level))

    def _begin(self, now_s: float) -> tuple[float, int]:
        return self.mouth.begin(now_s)

    def _sends(self, index: int) -> bool:
        return self.mouth.speech.frames[index % self._count] is not None

    def _level(self, index: int) -> tuple[bool, int] | None:
        levels = self.mouth.speech.levels
        if levels is None:
            return None
        level = QUIETEST if self.mouth.is_closed else levels[index % len(levels)]
        return level < _VOICED, level

    def _payloads(self, index: int, timestamp: int) -> Sequence[bytes]:
        payload = self.mouth.says(index)
        if payload is None:
            return ()  # it is closed, and sends nothing then
        return (payload if self.red is None else self.red.encode(payload, timestamp),)
