"""What libwebrtc takes from an encoder's target because its frames differ in size: the bitrate adjuster.

Facts:
    Frames above their share of the rate cannot leave within their share of the time, even where the mean is right. How
    much they do, over the last 3 s, is a factor by which the target is divided: 1.2 until 30 frames are known (after a
    start and after each change of size), else 1 to 2. So a camera's encoder, whose frames differ by 7 %, sends some
    2 % less than it may; one whose frames grow too large for the rate gets down to half.
    Where the link would carry more than the target (a maximum limits it, or the congestion window has frames left out)
    the target is lowered for the mean alone, not for each frame.
    A frame that the codec itself leaves out is not known here.

Source: libwebrtc main f3ae3eb62e2a, ``video/encoder_bitrate_adjuster.cc``, ``encoder_overshoot_detector.cc``,
``rate_utilization_tracker.cc``; on by default, with headroom (``rtc_base/experiments/rate_control_settings.h``).
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["BitrateAdjuster"]

# Of encoder_bitrate_adjuster.cc and its parts: window, frames to know, the factor while unknown, its bound, frames
# kept.
_WINDOW_S: Final = 3.0
_LEAST_FRAMES: Final = 30
_UNKNOWN: Final = 1.2
_MOST: Final = 2.0
_MOST_FRAMES: Final = 100


class BitrateAdjuster:
    """One stream; asked for the target before each frame and told what the frame took."""

    def __init__(self) -> None:
        self._frames = 0
        self._level = 0.0  # bits that could not leave yet
        self._share = 0.0  # bits of a frame that is no larger than its share
        self._rate_bps = 0.0
        self._at_s = 0.0
        self._over: deque[tuple[float, float]] = deque()  # (when, by what factor a frame was too much)
        self._sum = 0.0
        self._made: deque[tuple[float, float, float]] = deque(maxlen=_MOST_FRAMES)  # (when, bits, target)
        self._target_bps = 0.0

    def adjusted_bps(self, target_bps: float, allowed_bps: float, fps: float, now_s: float) -> float:
        """Return what the codec is told of ``target_bps``; ``allowed_bps`` is what the link would carry."""
        self._target_bps = target_bps
        factor = _UNKNOWN
        if self._frames >= _LEAST_FRAMES:
            while self._over and self._over[0][0] < now_s - _WINDOW_S:
                self._sum -= self._over.popleft()[1]
            factor = self._sum / len(self._over) if self._over else _UNKNOWN
        factor = min(max(factor, 1.0), _MOST)
        # What the link has to spare may carry the frames that are too large; only the mean has to stay within the
        # target.
        spare_bps = allowed_bps - target_bps
        if spare_bps > 0 and factor > 1:
            wanted_bps = (factor - max(1.0, self._of_mean(now_s))) * target_bps
            factor *= target_bps / (target_bps + min(max(wanted_bps, 0.0), spare_bps))
        rate_bps = min(target_bps / factor, target_bps)
        self._leak(now_s)
        self._rate_bps, self._share = rate_bps, rate_bps / fps
        return rate_bps

    def encoded(self, bits: float, now_s: float) -> None:
        """Take in what a frame took."""
        self._leak(now_s)
        self._frames += 1
        # A large frame is no fault of its own: what it leaves no room for is the next one's.
        over = min(self._level, max(0.0, bits + self._level - self._share))
        # The first frame, which is a key frame, has no bucket behind it: it counts by its own size.
        factor = 1 + over / self._share if self._over else max(1.0, bits / self._share)
        self._level += bits - over
        self._over.append((now_s, factor))
        self._sum += factor
        self._made.append((now_s, bits, self._target_bps))

    def _leak(self, now_s: float) -> None:
        self._level = max(0.0, self._level - self._rate_bps * (now_s - self._at_s))
        self._at_s = now_s

    def _of_mean(self, now_s: float) -> float:
        """Return how much more than the target was made in the last 3 s."""
        made = self._made
        while made and made[0][0] < now_s - _WINDOW_S:
            made.popleft()
        if self._frames < _LEAST_FRAMES or not made:
            return _UNKNOWN
        bits = allowed = 0.0
        before_s, rate_bps = made[0][0], 0.0
        for at_s, each, target_bps in made:
            bits += each
            allowed += (at_s - before_s) * rate_bps
            before_s, rate_bps = at_s, target_bps
        return bits / (allowed + max((now_s - before_s) * rate_bps, made[-1][1]))
