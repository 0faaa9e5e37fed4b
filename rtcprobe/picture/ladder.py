"""What a camera shows whose rate follows the line: pictures of several sizes, each frame as large as it is told.

Facts:
    - Of a size there are two frames, encoded beforehand: the first picture of the scene, and a frame that changes
      nothing to be seen of it. Nothing depends on which of the latter were left out: an encoder's drops harm nobody.
    - A decoder of VP8 reads a frame as far as its macroblocks need, and minds nothing behind them: what a frame is
      larger than its content is filler. Every size is decodable, at any place, by anybody.

Rule: who shows it says how large each frame is. What a viewer sees stands still, so no number is read in it: frames are
told by their RTP time, and likeness is not measured.

Source: RFC 6386 §9.5 (the last partition takes what is left of a frame), §9.11 (frames without coefficients).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from rtcprobe.errors import MeasurementError
from rtcprobe.picture.codec import Decoder, Encoder
from rtcprobe.picture.film import Film, Place
from rtcprobe.picture.glass import glass
from rtcprobe.picture.settings import VideoSettings

__all__ = ["Ladder", "Shot"]

_RATE_BPS: Final = 30_000.0
"""The coarsest of VP8: content is to fit within the smallest frames."""
_SETTLED: Final = 30
"""Frames until an encoder that is given what it showed changes no pixel by more than 2 of 256."""


class Ladder:
    """The frames of every size, once for all who show them."""

    def __init__(self, settings: VideoSettings, sizes: Sequence[tuple[int, int]], *, seed: int = 0) -> None:
        self.settings, self.sizes = settings, tuple(sizes)
        self._seed = seed

    @cached_property
    def content(self) -> Sequence[tuple[bytes, bytes]]:
        """The key frame of each size, and a frame behind it that changes nothing.

        Raises:
            MeasurementError: FFmpeg cannot encode them.
        """
        return [self._rung(width, height) for width, height in self.sizes]

    def frame(self, rung: int, size_bytes: int, *, key: bool) -> bytes:
        """Return a frame of so many bytes, or of as many as its content takes."""
        content = self.content[rung][not key]
        return content + bytes(max(0, size_bytes - len(content)))

    def _rung(self, width: int, height: int) -> tuple[bytes, bytes]:
        picture = glass(width, height, self._seed).picture(0)
        encoder = Encoder(replace(self.settings, width=width, height=height, bitrate_bps=_RATE_BPS))
        first = encoder.encode(picture)
        decoder, later = Decoder(self.settings.codec), first
        for _ in range(_SETTLED):
            shown = decoder.decode(later)
            if shown is None:
                fact = f"video of {width}x{height} is not decoded here"
                raise MeasurementError(fact, "install PyAV from its wheels: pip install av")
            # What a decoder has already takes no correction.
            later = encoder.encode(shown.to_ndarray(format="yuv420p").astype(np.uint8))
        return first, later


class Shot(Film):
    """What one camera sent of a ladder, frame by frame."""

    def __init__(self, ladder: Ladder) -> None:
        super().__init__(ladder.settings)
        self.ladder = ladder
        self._sent: dict[int, tuple[int, int, bool]] = {}  # by number: rung, bytes, key
        self._before: dict[int, int] = {}

    def add(self, place: Place, rung: int, size_bytes: int) -> bytes:
        """Return frame ``place``, sent behind all that were added before."""
        if not place.key:
            # The frame sent last, whichever number it has: the camera leaves frames out, and a delta frame
            # needs what went before.
            self._before[place.number] = next(reversed(self._sent))
        self._sent[place.number] = rung, size_bytes, place.key
        return self.frame(place)

    def prepare(self, count: int) -> None:
        """Have every size ready."""
        del count
        _ = self.ladder.content

    def frame(self, place: Place) -> bytes:
        """Return a frame as it was sent."""
        rung, size_bytes, key = self._sent[place.number]
        return self.ladder.frame(rung, size_bytes, key=key)

    def before(self, place: Place) -> Place | None:
        """Return the frame that was sent before one of the same take."""
        number = self._before.get(place.number)
        return None if number is None else Place(place.since, number)

    def size(self, place: Place) -> str:
        """Return how large the picture is: ``"480x360"``."""
        width, height = self.ladder.sizes[self._sent[place.number][0]]
        return f"{width}x{height}"
