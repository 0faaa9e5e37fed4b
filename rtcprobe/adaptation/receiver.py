"""Who receives: asks again for what is missing, shows frames in order, and counts freezes.

Facts:
    A frame is decoded when all of it came and the one before it was decoded; a key frame needs none before it. Missing
    numbers are asked for at once and again each RTT. A freeze is a frame shown later after the one before it than
    three mean intervals and than a mean and 150 ms (W3C webrtc-stats, freezeCount).

Source: libwebrtc ``modules/video_coding/nack_requester.cc``, ``video/video_quality_observer2.cc``.
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["VideoReceiver"]

_TRIES: Final = 10
_WAIT_S: Final = 3.0
_KEY_EVERY_S: Final = 0.5
_FREEZE_S: Final = 0.150


class VideoReceiver:
    """Packets are (number, frame, packets in the frame, key); numbers are those of the media, not of copies."""

    def __init__(self) -> None:
        self.freezes = 0
        self.frozen_s = 0.0
        self.longest_freeze_s = 0.0
        self.shown = 0
        self._missing: dict[int, tuple[float, int]] = {}  # number → last asked, times
        self._next = 0
        self._frames: dict[int, tuple[set[int], int, bool]] = {}
        self._decoded = -1
        self._shown_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=30)
        self._asked_key_s = -1.0

    def arrived(self, number: int, frame: int, count: int, *, key: bool, now_s: float) -> None:
        """Take in a packet, the first time or again."""
        if number >= self._next:
            for missing in range(self._next, number):
                self._missing[missing] = (-1.0, 0)
            self._next = number + 1
        else:
            self._missing.pop(number, None)
        if frame <= self._decoded:
            return
        came, _, _ = self._frames.setdefault(frame, (set(), count, key))
        came.add(number)
        if len(came) == count:
            self._decode(frame, now_s, key=key)

    def asks(self, now_s: float, rtt_s: float) -> list[int]:
        """Return the numbers to ask for now."""
        asked = []
        for number, (at_s, tries) in list(self._missing.items()):
            if tries and now_s - at_s < rtt_s:
                continue
            if tries >= _TRIES:
                del self._missing[number]
                continue
            self._missing[number] = (now_s, tries + 1)
            asked.append(number)
        return asked

    def needs_key(self, now_s: float) -> bool:
        """Whether nothing was shown for so long that a key frame is asked for."""
        if self._shown_s is None or now_s - self._shown_s < _WAIT_S or now_s - self._asked_key_s < _KEY_EVERY_S:
            return False
        self._asked_key_s = now_s
        self._missing.clear()
        return True

    def _decode(self, frame: int, now_s: float, *, key: bool) -> None:
        if frame == self._decoded + 1 or key:
            if frame > self._decoded + 1:
                for old in [each for each in self._frames if each < frame]:
                    del self._frames[old]
                self._missing.clear()
            self._show(frame, now_s)
        while True:
            following = self._frames.get(self._decoded + 1)
            if following is None or len(following[0]) < following[1]:
                return
            self._show(self._decoded + 1, now_s)

    def _show(self, frame: int, now_s: float) -> None:
        del self._frames[frame]
        self._decoded = frame
        self.shown += 1
        if self._shown_s is not None:
            interval_s = now_s - self._shown_s
            usual_s = self._intervals_s
            if len(usual_s) == usual_s.maxlen:
                mean_s = sum(usual_s) / len(usual_s)
                if interval_s > max(3 * mean_s, mean_s + _FREEZE_S):
                    self.freezes += 1
                    self.frozen_s += interval_s
                    self.longest_freeze_s = max(self.longest_freeze_s, interval_s)
            usual_s.append(interval_s)
        self._shown_s = now_s
