"""What a mouth says in a call, and the track that says it on time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiortc import MediaStreamTrack

from rtcprobe.audio.red import RedEncoder
from rtcprobe.runtime import media_seam
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


class MouthTrack(MediaStreamTrack):
    """A track of encoded packets, each handed over at the instant its frame ends (rule 2)."""

    kind = "audio"

    def __init__(self, speech: Speech, *, phase_s: float, network: Network, may_speak: asyncio.Event) -> None:
        super().__init__()
        self.speech = speech
        self._phase_s = phase_s
        self._network = network
        self._may_speak = may_speak
        self._clock = asyncio.get_running_loop()
        self._next = 0
        self.finished = asyncio.Event()
        self.red: RedEncoder | None = None
        """Puts copies of frames into later packets, where that was negotiated."""
        self.started_s: float | None = None
        """When frame 0 begins, in seconds since the epoch; None before the first frame is asked for."""

    async def recv(self) -> media_seam.EncodedFrame:  # type: ignore[override]
        """Return the next frame when its time has come; wait for ever after the last."""
        if self.started_s is None:
            await self._may_speak.wait()
            now_s = self._network.now_s()
            grid = math.floor((now_s - self._phase_s) / self.speech.ptime_s)
            self.started_s = self._phase_s + grid * self.speech.ptime_s
        frames = self.speech.frames
        while True:
            index = self._next
            if index >= len(frames) and not self.speech.endless:
                self.finished.set()
                await self._clock.create_future()
            self._next += 1
            payload = frames[index % len(frames)]
            if payload is not None:
                break
        await self._until(self._network.epoch_s + self.due_s(index))
        timestamp = index * round(self.speech.ptime_s * RTP_CLOCK_HZ)
        if self.red is not None:
            payload = self.red.encode(payload, timestamp)
        return media_seam.EncodedFrame(payload, timestamp)

    def due_s(self, index: int) -> float:
        """Return when frame ``index`` leaves, in seconds since the epoch."""
        assert self.started_s is not None
        return self.started_s + (index + 1) * self.speech.ptime_s

    async def _until(self, when_s: float) -> None:
        waiter = self._clock.create_future()
        self._clock.call_at(when_s, _wake, waiter)
        await waiter


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
