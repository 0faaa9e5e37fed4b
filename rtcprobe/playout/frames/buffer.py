"""Whole frames until they are decoded: which can be next, and which is the newest that could be.

A frame is *continuous* when all it needs has come, *decodable* when all it needs was released.

Source: ``api/video/frame_buffer.cc`` of libwebrtc (2026-08).
"""

from __future__ import annotations

from bisect import insort
from typing import Final

from rtcprobe.playout.frames.assembly import Frame

__all__ = ["FrameBuffer"]

# kMaxFramesBuffered and kMaxFramesHistory, upstream's names of them.
MOST_FRAMES: Final = 800
_REMEMBERED: Final = 8192


class FrameBuffer:
    """Frames of one stream, in the order of their sequence numbers."""

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        """By the number of their last packet, which is how the next frame names the one it needs."""
        self._order: list[int] = []
        self._decoded: dict[int, None] = {}
        self._continuous: set[int] = set()
        self._newest_decoded: int | None = None
        self.dropped = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._frames)

    def insert(self, frame: Frame) -> int:
        """Take a frame; return how many became continuous by it (0 where it was refused)."""
        # There already, or of a past that was shown: a decoder does not go back.
        if frame.last in self._frames or (self._newest_decoded is not None and frame.last <= self._newest_decoded):
            self.refused += 1
            return 0
        if len(self._frames) >= MOST_FRAMES:
            # Full, and nothing came of it: only a key frame needs none of those that wait.
            if not frame.key:
                self.refused += 1
                return 0
            self.clear()
        self._frames[frame.last] = frame
        insort(self._order, frame.last)
        return self._spread(frame)

    def clear(self) -> None:
        """Drop all frames."""
        self.dropped += len(self._frames)
        self._frames.clear()
        self._order.clear()
        self._continuous.clear()

    def next_and_last(self) -> tuple[Frame, Frame] | None:
        """Return the first decodable frame and the last; None where there is none."""
        decodable = [
            frame
            for number in self._order
            if (frame := self._frames[number]).after is None or frame.after in self._decoded
        ]
        return (decodable[0], decodable[-1]) if decodable else None

    def take(self, frame: Frame) -> Frame:
        """Take ``frame`` out to be decoded: those before it are dropped."""
        # Older ones that were decodable are superseded; counted as dropped, all but the one taken.
        self._drop_to(frame.last, kept=1)
        self._decoded[frame.last] = None
        self._newest_decoded = frame.last
        while len(self._decoded) > _REMEMBERED:
            del self._decoded[next(iter(self._decoded))]
        return frame

    def drop(self, frame: Frame) -> None:
        """Drop ``frame`` and those before it."""
        self._drop_to(frame.last, kept=0)

    def _drop_to(self, number: int, *, kept: int) -> None:
        place = self._order.index(number) + 1
        for old in self._order[:place]:
            del self._frames[old]
            self._continuous.discard(old)
        self.dropped += place - kept
        del self._order[:place]

    def _spread(self, frame: Frame) -> int:
        """Mark what is continuous now; frames come in any order, so those behind ``frame`` may become so too."""
        if not self._is_continuous(frame):
            return 0
        self._continuous.add(frame.last)
        grown = 1
        # In order, so that one that becomes continuous carries those behind it within this same pass.
        for number in self._order[self._order.index(frame.last) + 1 :]:
            if number not in self._continuous and self._is_continuous(self._frames[number]):
                self._continuous.add(number)
                grown += 1
        return grown

    def _is_continuous(self, frame: Frame) -> bool:
        return frame.after is None or frame.after in self._continuous or frame.after in self._decoded
