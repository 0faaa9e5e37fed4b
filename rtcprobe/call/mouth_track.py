"""What a mouth says in a call, and the tracks that say it on time: one for each connection that it is heard over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rtcprobe.audio.red import RedEncoder
from rtcprobe.call.track import EncodedTrack
from rtcprobe.runtime.network import Network
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["Mouth", "MouthTrack", "Speech"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What a mouth says: encoded frames of ``ptime_s`` each, None where DTX sends nothing; ``endless`` starts over."""

    frames: Sequence[bytes | None]
    ptime_s: float
    endless: bool = False

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

    def begin(self, now_s: float) -> tuple[float, int]:
        """Return when its first frame began, and which is in progress at ``now_s``: frame 0, unless it spoke before."""
        ptime_s = self.speech.ptime_s
        if self.began_s is None:
            self.began_s = self.phase_s + math.floor((now_s - self.phase_s) / ptime_s) * ptime_s
            return self.began_s, 0
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
        speech = self.speech = mouth.speech
        super().__init__(
            count=len(speech.frames),
            frame_s=speech.ptime_s,
            endless=speech.endless,
            network=mouth.network,
            may_send=mouth.may_speak,
        )
        self._mouth = mouth
        self.red: RedEncoder | None = None
        """Puts copies of frames into later packets, where that was negotiated."""

    @property
    def frames(self) -> Sequence[bytes | None]:
        """The encoded frames, None where nothing is sent."""
        return self.speech.frames

    def _begin(self, now_s: float) -> tuple[float, int]:
        return self._mouth.begin(now_s)

    def _sends(self, index: int) -> bool:
        return self.speech.frames[index % self._count] is not None

    def _payloads(self, index: int, timestamp: int) -> Sequence[bytes]:
        payload = self.speech.frames[index % self._count]
        assert payload is not None
        return (payload if self.red is None else self.red.encode(payload, timestamp),)
