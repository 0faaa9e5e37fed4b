"""What a camera shows in a call, and the track that sends it picture by picture.

Facts:
    Nothing of a key frame depends on what was encoded before it, so one made by a fresh encoder is a valid answer to a
    receiver that asks for one (PLI, FIR), and pictures can be encoded beforehand, as sound is. What follows it depends
    on it: whoever encodes goes on from there.

Rules:
    1. Pictures are captured on a grid of ``frame_s`` whose phase is the camera's own, the first at the first instant of
       the grid at which it may send. Each leaves when it was captured: encoding takes no time.
    2. A key frame that was asked for is the next picture captured, however often it was asked for until then.
    3. The packets of a picture are handed over one behind the other, at once; a pacer may let them leave later
       (``runtime.pacing_seam``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

from rtcprobe.call.track import EncodedTrack
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.runtime.network import Network
from rtcprobe.ways import Medium

__all__ = ["CameraTrack", "Film"]


class Film(Protocol):
    """Pictures in the order they are captured, cut into RTP payloads."""

    @property
    def codec(self) -> str:
        """The codec's name in descriptions: ``"VP8"``."""
        ...

    @property
    def frame_s(self) -> float:
        """From one picture to the next, seconds."""
        ...

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def payloads(self, index: int, *, key: bool) -> Sequence[bytes]:
        """Return picture ``index`` as the payloads of its packets, asked for in ascending order, none twice.

        ``key``: the far side asked for a key frame. Empty where an encoder would drop the picture.
        """
        ...


class CameraTrack(EncodedTrack):
    """A track of pictures. ``asked`` is every instant at which a key frame was asked for, seconds since the epoch."""

    kind = "video"
    medium: Medium = "video"
    clock_hz = VIDEO_HZ

    def __init__(
        self,
        film: Film,
        *,
        phase_s: float,
        network: Network,
        may_show: asyncio.Event,
        before: CameraTrack | None = None,
    ) -> None:
        """``before`` is the track that went over the connection before: this one goes on, with a key frame."""
        super().__init__(count=len(film), frame_s=film.frame_s, endless=False, network=network, may_send=may_show)
        self.film = film
        self.before = before
        self.lag_s = 0.0
        self.asked_s: list[float] = []
        self._phase_s = phase_s
        self._key = False

    @property
    def frames(self) -> Sequence[bytes | None]:
        """None: the film has them, and ten minutes of them a second time are 40 MB."""
        return ()

    def due_s(self, index: int) -> float:
        """Return when picture ``index`` leaves, in seconds since the epoch: when it is captured."""
        assert self.started_s is not None
        return self.started_s + index * self.frame_s

    def key_frame_asked(self) -> None:
        """The far side asks for a key frame."""
        self.asked_s.append(self._network.now_s())
        self._key = True

    def _begin(self, now_s: float) -> tuple[float, int]:
        before = self.before
        # Several connections may have been made before one carried anything, as
        # where a party left while it was joining.
        while before is not None and before.started_s is None:  # over that connection nothing was ever sent
            before = before.before
        if before is not None and before.started_s is not None:
            self._key = True
            began_s = before.started_s
            return began_s, math.ceil((now_s - began_s) / self.frame_s)
        return self._phase_s + math.ceil((now_s - self._phase_s) / self.frame_s) * self.frame_s, 0

    def _sends(self, index: int) -> bool:
        del index
        return True

    def _payloads(self, index: int, timestamp: int) -> Sequence[bytes]:
        del timestamp
        key, self._key = self._key, False
        payloads = self.film.payloads(index, key=key)
        if key and not payloads:
            self._key = True  # it is still owed
        return payloads
