"""What a viewer saw: which frame each picture shown is, by the number in it, and what became of each that was sent.

Facts:
    - Pictures decoded without damage read as what they are, without exception (``benchmarks/eye.py``). Decoded with a
      reference missing most are unreadable, and a few show an old number: parts of the picture were not renewed.
    - Sixteen bits last 36 minutes at 30 frames a second; which of the frames of a number is meant, time tells.

Rules:
    1. Only what was sent is accepted, within ``LONGEST_S`` of its being filmed, nothing older than the frame before the
       last one shown, and only what the RTP time of the frame names too, where that is known.
    2. Every frame has one fate: *seen*; *unread* (shown, and its number was not to be read); *dropped* (whole, or shown
       by nobody: the receiver left it out); *left out* (by the encoder: nothing of it was sent); *lost* (some packet of
       it never came).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from rtcprobe.picture.codec import Decoder, luma_of
from rtcprobe.picture.film import Film, Place
from rtcprobe.picture.marker import NUMBERS, Reading, read

__all__ = ["LONGEST_S", "Eye", "Fate", "Viewer"]

Fate = Literal["seen", "unread", "dropped", "left out", "lost"]

LONGEST_S: Final = 10.0
"""Receivers hold no frame for longer."""


class Eye:
    """Takes what was read in pictures, as they are shown, for frames filmed at ``filmed_s``, ascending."""

    def __init__(self, filmed_s: Sequence[float]) -> None:
        self._filmed_s: npt.NDArray[np.float64] = np.asarray(filmed_s, dtype=np.float64)
        self._last = 0
        self.refused = 0
        """Numbers that were read and cannot be: not sent, too old, long passed, or another frame's."""

    def take(self, reading: Reading | None, shown_s: float, expected: int | None = None) -> int | None:
        """Return the frame, counted from 0, that a picture shown at ``shown_s`` is; None where that is not known.

        ``expected`` is the frame that the RTP time names, a second identity.
        """
        if reading is None:
            return None
        # Sixteen bits name one frame of 65,536: the newest of that number which had been filmed by then.
        newest = int(np.searchsorted(self._filmed_s, shown_s, side="right")) - 1
        frame = newest - (newest - reading.number) % NUMBERS
        impossible = frame < 0 or shown_s - self._filmed_s[frame] > LONGEST_S or frame < self._last - 1
        if impossible or expected not in (None, frame):
            self.refused += 1
            return None
        self._last = max(self._last, frame)
        return frame


class Viewer:
    """Decodes what a receiver shows, in order; what is the film's own need not be decoded again.

    The number is read in every frame that ``read_every`` divides, in none for 0: of the others, what is the film's own
    bears the number that it was filmed with.
    """

    def __init__(self, film: Film, *, read_every: int = 1) -> None:
        self._film, self._read_every = film, read_every
        self._at: Place | None = None
        """The frame last seen, while all since its key frame were the film's."""
        self._decoder: Decoder | None = None
        self.decoded = 0
        """Frames that were not the film's as it was sent, and so were decoded here."""
        self.sizes: dict[str, int] = {}
        """How many pictures had another size than the film's, by size."""

    def see(self, frame: bytes, place: Place | None) -> Reading | None:
        """Return the number in ``frame``; ``place`` is what it should be, None where that is not known."""
        # Bytes as they were sent, behind a row that was whole: then decoding cannot give anything but what
        # the film gave. In all other cases a real decoder says what a viewer sees.
        if place is not None and frame == self._film.frame(place) and self._follows(place):
            self._at, self._decoder = place, None
            self._count(self._film.size(place))
            wanted = self._read_every and place.number % self._read_every == 0
            return self._film.reading(place) if wanted else Reading(place.number % NUMBERS, 1.0)
        decoder = self._decoder
        if decoder is None:
            at = self._at
            # It must have what a receiver's has: all since the key frame, decoded again from the film.
            decoder = Decoder(self._film.settings.codec) if at is None else self._film.decoder_after(at)
        self._at, self._decoder = None, decoder
        self.decoded += 1
        picture = decoder.decode(frame)
        if picture is None:
            return None
        self._count(f"{picture.width}x{picture.height}")
        return read(luma_of(picture))

    def _count(self, size: str) -> None:
        if size != self._film.settings.size:
            self.sizes[size] = self.sizes.get(size, 0) + 1

    def _follows(self, place: Place) -> bool:
        """Return whether ``place`` comes right behind what was decoded, or needs nothing before it."""
        return place.key or self._at == self._film.before(place)
