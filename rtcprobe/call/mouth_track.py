"""What a mouth says in a call, and the track that says it on time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rtcprobe.audio.red import RedEncoder
from rtcprobe.call.track import EncodedTrack
from rtcprobe.runtime.network import Network
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["MouthTrack", "Speech"]


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


class MouthTrack(EncodedTrack):
    """A track of encoded packets, each handed over at the instant its frame ends.

    The microphone is always open: its frames end on a grid of ``ptime`` whose phase is ``phase_s``. The first frame
    sent is the one in progress when it may speak.
    """

    kind = "audio"
    clock_hz = RTP_CLOCK_HZ

    def __init__(self, speech: Speech, *, phase_s: float, network: Network, may_speak: asyncio.Event) -> None:
        super().__init__(
            count=len(speech.frames),
            frame_s=speech.ptime_s,
            endless=speech.endless,
            network=network,
            may_send=may_speak,
        )
        self.speech = speech
        self._phase_s = phase_s
        self.red: RedEncoder | None = None
        """Puts copies of frames into later packets, where that was negotiated."""

    @property
    def frames(self) -> Sequence[bytes | None]:
        """The encoded frames, None where nothing is sent."""
        return self.speech.frames

    def _begins_s(self, now_s: float) -> float:
        return self._phase_s + math.floor((now_s - self._phase_s) / self.frame_s) * self.frame_s

    def _sends(self, index: int) -> bool:
        return self.speech.frames[index % self._count] is not None

    def _payloads(self, index: int, timestamp: int) -> Sequence[bytes]:
        payload = self.speech.frames[index % self._count]
        assert payload is not None
        return (payload if self.red is None else self.red.encode(payload, timestamp),)
