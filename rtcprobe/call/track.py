"""A track of frames that were encoded before the call, each handed over at the instant it is due."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from aiortc import MediaStreamTrack

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.media_seam import EncodedFrame
from rtcprobe.runtime.network import Network
from rtcprobe.ways import Medium

__all__ = ["EncodedTrack"]


class EncodedTrack(MediaStreamTrack, ABC):
    """What a mouth says or a camera shows, ``frame_s`` seconds a frame, from when it may on.

    ``clock_hz`` is that of its RTP timestamps; ``lag_s`` how long after its first sample was captured a frame leaves.
    """

    medium: Medium = "audio"
    clock_hz: int

    def __init__(self, *, count: int, frame_s: float, endless: bool, network: Network, may_send: asyncio.Event) -> None:
        aiortc_seam.install()  # a track draws its name, and is made before the first connection
        super().__init__()
        self.frame_s = self.lag_s = frame_s
        self.finished = asyncio.Event()
        """Set when all of it was sent."""
        self.started_s: float | None = None
        """When frame 0 begins, in seconds since the epoch; None before the first frame is asked for."""
        self.first = 0
        """The frame sent first: not frame 0 where somebody else heard it begin."""
        self._count, self._endless = count, endless
        self._network = network
        self._may_send = may_send
        self._clock = asyncio.get_running_loop()
        self._next = 0

    @property
    @abstractmethod
    def frames(self) -> Sequence[bytes | None]:
        """What it sends, as a recording keeps it (``recording.Said``)."""

    @property
    def gaps_s(self) -> Sequence[tuple[float, float]]:
        """From when until when, seconds since the epoch, nothing of what it sends left although it was due."""
        return ()

    @property
    def duration_s(self) -> float:
        """How long it takes to send all of it once."""
        return self._count * self.frame_s

    def due_s(self, index: int) -> float:
        """Return when frame ``index`` leaves, in seconds since the epoch: when its last sample was captured."""
        assert self.started_s is not None
        return self.started_s + (index + 1) * self.frame_s

    def key_frame_asked(self) -> None:
        """The far side asks for a frame that needs none before it (PLI, FIR): sound has no others."""

    async def recv(self) -> EncodedFrame:  # type: ignore[override]
        """Return the next frame when its time has come; wait for ever after the last."""
        await self.ready()
        due_s = self.upcoming_s()
        if due_s is None:
            await self._clock.create_future()
        else:
            await self._until(due_s)
        return self.take()

    async def ready(self) -> None:
        """Return when it may be sent."""
        if self.started_s is None:
            await self._may_send.wait()
            self.started_s, self.first = self._begin(self._network.now_s())
            self._next = self.first

    def upcoming_s(self) -> float | None:
        """Return the loop's time at which the next frame is due; None after the last."""
        # Frames of which nothing is sent (DTX) are passed over here, without a
        # turn of the loop each: RTP time goes on by index.
        while self._next < self._count or self._endless:
            if self._sends(self._next):
                return self._network.epoch_s + self.due_s(self._next)
            self._next += 1
        self.finished.set()
        return None

    def ahead_s(self) -> float | None:
        """Return the loop's time at which a frame is due that surely comes, some frames on; None: it cannot be told."""
        return None

    def take(self) -> EncodedFrame:
        """Return that frame, and turn to the one after it."""
        index = self._next
        self._next += 1
        # From the index and not by adding up: 90 kHz does not divide by every frame rate, and errors would grow.
        timestamp = round(index * self.frame_s * self.clock_hz)
        return EncodedFrame(self._payloads(index, timestamp), timestamp, self._level(index))

    def _level(self, index: int) -> tuple[bool, int] | None:
        """Return how loud frame ``index`` is (``EncodedFrame.level``)."""
        del index
        return None

    @abstractmethod
    def _begin(self, now_s: float) -> tuple[float, int]:
        """Return when frame 0 begins or began, and which frame is sent first, now that it may be."""

    @abstractmethod
    def _sends(self, index: int) -> bool:
        """Return whether anything is sent of frame ``index``."""

    @abstractmethod
    def _payloads(self, index: int, timestamp: int) -> Sequence[bytes]:
        """Return the RTP payloads of frame ``index``, now that it leaves."""

    async def _until(self, when_s: float) -> None:
        waiter = self._clock.create_future()
        self._clock.call_at(when_s, _wake, waiter)
        await waiter


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
