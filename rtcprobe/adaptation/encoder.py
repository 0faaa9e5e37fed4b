"""What a camera's encoder makes of a rate: frame sizes, dropped frames, key frames, and the size of the picture.

Facts:
    Kept is the frame rate, and the resolution falls (maintain-framerate, the default of cameras): by 3/5 of the pixels
    when the quantiser is high for 2 s (later 5 s), up again when it is low. At its coarsest quantiser a frame still
    takes bits; below those the frame rate falls after all.
    The quantiser follows bits a pixel by a power law; its two numbers describe VP8 on a moving, textured VGA clip at
    1.2 to 2 Mb/s, far from any step. The bits of the coarsest frame are read off the frame rates of recorded calls
    after a step to 600 kb/s, so those recordings are no independent test of them. How fast the output follows its
    target, the cost of a key frame and the noise are estimates.

Source: libwebrtc ``modules/video_coding/utility/quality_scaler.cc``, ``call/adaptation/video_stream_adapter.cc``,
``video/video_stream_encoder.cc``; ``video/config/encoder_stream_factory.cc`` for the default maxima.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Final

__all__ = ["FPS", "SIZES", "Encoder", "default_max_bps"]

FPS: Final = 30.0
SIZES: Final = ((640, 480), (480, 360), (320, 240), (240, 180))
"""The chain of VGA by 3/5 of the pixels, as Chromium shows it."""

_DEFAULT_MAX_BPS: Final = ((320 * 240, 600e3), (640 * 480, 1700e3), (960 * 540, 2000e3))
_LARGEST_MAX_BPS: Final = 2500e3
_QP_AT, _BPP_AT, _QP_POWER = 42.0, 0.163, 1.2
_QP_LOW, _QP_HIGH, _QP_MOST = 29.0, 95.0, 127.0
_COARSEST_BPP: Final = 0.065
_KEY: Final = 3.0
"""A key frame takes so many times the bits of another."""
_FIRST_CHECK_S, _CHECK_S, _FRAMES = 2.0, 5.0, 60
_DROPS: Final = 0.6
_RISE_S, _FALL_S = 1.0, 0.15
_BUCKET_S: Final = 0.5
_LEAST_BPS: Final = 30e3


def default_max_bps(width: int, height: int) -> float:
    """Return what Chromium lets a camera's picture of that size take when nobody says otherwise."""
    return next((bps for pixels, bps in _DEFAULT_MAX_BPS if width * height <= pixels), _LARGEST_MAX_BPS)


class Encoder:
    """One stream; ``frame`` is asked 30 times a second. ``max_bps`` None: the default of each size.

    ``noise`` yields factors around 1 by which frames differ; ``scales``: whether the picture's size may change.
    """

    def __init__(self, noise: Iterator[float], max_bps: float | None, *, scales: bool = True) -> None:
        self.place = 0
        self.dropped = 0
        self._noise = noise
        self._scales = scales
        self._max_bps = max_bps
        self._rate_bps = 0.0
        self._bucket = 0.0  # bits beyond the target
        self._key_due = True
        self._qps: deque[float] = deque(maxlen=150)
        self._skipped: deque[bool] = deque(maxlen=150)
        self._checked_s = 0.0
        self._was_high = False
        self._counter = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return SIZES[self.place]

    @property
    def max_bps(self) -> float:
        """What the stream may take at most."""
        return self._max_bps or default_max_bps(*self.size)

    def ask_key(self) -> None:
        """Let the next frame be a key frame."""
        self._key_due = True

    def frame(self, target_bps: float, drop_every: int | None, now_s: float) -> tuple[int, bool] | None:
        """Return bytes of the next frame and whether it is a key frame; None when it is dropped."""
        target_bps = min(max(target_bps, _LEAST_BPS), self.max_bps)
        lag_s = _RISE_S if target_bps > self._rate_bps > 0 else _FALL_S
        self._rate_bps += (target_bps - self._rate_bps) * (1 - math.exp(-1 / FPS / lag_s) if self._rate_bps else 1.0)
        self._bucket = max(0.0, self._bucket - target_bps / FPS)
        self._counter += 1
        pushed_back = drop_every is not None and self._counter % drop_every == 0
        skipped = pushed_back or self._bucket > _BUCKET_S * target_bps
        self._skipped.append(skipped)
        self._scale(now_s)
        if skipped:
            self.dropped += 1
            return None
        pixels = self.size[0] * self.size[1]
        bpp = self._rate_bps / FPS / pixels
        qp = min(_QP_AT * (_BPP_AT / bpp) ** _QP_POWER, _QP_MOST)
        self._qps.append(qp)
        bits = max(bpp, _COARSEST_BPP) * pixels * next(self._noise)
        key, self._key_due = self._key_due, False
        if key:
            bits *= _KEY
        self._bucket += bits
        return max(100, round(bits / 8)), key

    def _scale(self, now_s: float) -> None:
        """Change the size of the picture where the quantiser says so."""
        if not self._scales or now_s - self._checked_s < (_CHECK_S if self._was_high else _FIRST_CHECK_S):
            return
        self._checked_s = now_s
        if len(self._skipped) < _FRAMES:
            return
        qp = sum(self._qps) / len(self._qps) if self._qps else _QP_MOST
        drops = sum(self._skipped) / len(self._skipped)
        if qp > _QP_HIGH or drops >= _DROPS:
            self._was_high = True
            step = 1
        elif qp <= _QP_LOW:
            step = -1
        else:
            return
        place = min(max(self.place + step, 0), len(SIZES) - 1)
        if place != self.place:
            self.place = place
            self._key_due = True
        self._qps.clear()
        self._skipped.clear()
