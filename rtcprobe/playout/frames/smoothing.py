"""What a native application's sink gets, and when: frames are held until 10 ms before their time.

Source: ``video/render/incoming_video_stream.cc``, ``video_render_frames.cc`` of libwebrtc (2026-08). Chromium does
without.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from rtcprobe.playout.frames.micros import MS, to_ms

__all__ = ["Smoothing"]

Item = TypeVar("Item")

# video_render_frames.cc: shown 10 ms before its time; half a second old, or 10 s ahead, is no time to be shown at.
_DELAY_MS: Final = 10
_OLD_MS, _FUTURE_MS = 500, 10_000
_LATE_US: Final = 60


class Smoothing(Generic[Item]):
    """Items to be shown at whole ms; of several that are due at once only the newest is."""

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Item]] = deque()
        self._last_ms = 0
        self.due_us: int | None = None
        self.dropped = 0

    def add(self, item: Item, render_ms: int, now_us: int) -> Item | None:
        """Take an item; return what is shown now, if anything."""
        now_ms = to_ms(now_us)
        old = bool(self._queue) and render_ms + _OLD_MS < now_ms
        if old or render_ms > now_ms + _FUTURE_MS or render_ms < self._last_ms:
            self.dropped += 1
            return None
        self._last_ms = render_ms
        self._queue.append((render_ms, item))
        # Behind others it waits for the look that they have planned already.
        return self.dequeue(now_us) if len(self._queue) == 1 else None

    def dequeue(self, now_us: int) -> Item | None:
        """Return the newest that is due, and plan the next look."""
        shown: Item | None = None
        now_ms = to_ms(now_us)
        while self._queue and self._queue[0][0] - _DELAY_MS <= now_ms:
            self.dropped += shown is not None
            shown = self._queue.popleft()[1]
        # A wait of whole ms from here: the phase of the decoder stays in it.
        self.due_us = now_us + (self._queue[0][0] - _DELAY_MS - now_ms) * MS + _LATE_US if self._queue else None
        return shown
