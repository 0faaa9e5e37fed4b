"""When a frame of an RTP time belongs, by this side's clock: a line through arrivals, fitted as they come.

Facts:
    - Recursive least squares, ticks ≈ w₀·t + w₁. It follows the *mean* arrival, not the earliest.
    - Releases since some time between 2025-06 and 2026-06 keep outliers out: from the 300th frame on, one that lies two
      deviations from the mean of the residuals changes nothing, up to 150 in a row. After a step of delay a receiver
      thus keeps its old time base for 5 s at 30 frames a second: frames come as they can when the delay rose, and are
      shown late by the step when it fell. Chromium 156 has it; ``rejecting=False`` is the older rule.

Source: ``video/timing/timestamp_extrapolator.cc`` of libwebrtc (2026-08), ``modules/video_coding/timing`` (2025-06).
"""

from __future__ import annotations

import math
from typing import Final

from rtcprobe.playout.frames.micros import MS, SECOND, to_ms
from rtcprobe.wrapping import Unwrapper

__all__ = ["Extrapolator"]

# 90 kHz; the offset unknown, the rate nearly certain. Two frames make a line, 10 s of silence or a jump of 10 s end it.
_TICKS_PER_MS: Final = 90.0
_UNSURE: Final = 1e10
_START_COUNT: Final = 2
_SILENCE_US: Final = 10 * SECOND
_JUMP_TICKS: Final = 900_000
_REJECT_FROM, _REJECT_MOST = 300, 150
_REJECT_DEVIATIONS: Final = 2.0
# Mean and variance of residuals: a thousand frames' memory, from 3,000 ticks (33 ms) on.
_FORGET: Final = 0.999
_START_VARIANCE: Final = 3000.0**2
# CUSUM in ticks: the sum that means a step, what a frame may be late without counting, and what it counts at most.
_ALARM, _DRIFT, _MOST_ERROR = 60e3, 6600.0, 7000.0
_MOST_COUNTED: Final = 3000


class Extrapolator:
    """The time base of one stream; ``start_us`` is when the stream was made."""

    def __init__(self, start_us: int, *, rejecting: bool = True) -> None:
        self._rejecting = rejecting
        self.reset(start_us)

    def reset(self, now_us: int) -> None:
        """Begin anew."""
        self._start_us = self._last_us = now_us
        self._unwrap = Unwrapper(32)
        self._first: int | None = None
        self._previous: int | None = None
        self._w0, self._w1 = _TICKS_PER_MS, 0.0
        self._p00, self._p01, self._p10, self._p11 = 1.0, 0.0, 0.0, _UNSURE
        self._count = 0
        self._mean, self._variance, self._rejected = 0.0, _START_VARIANCE, 0
        self._above = self._below = 0.0

    def update(self, now_us: int, timestamp: int) -> None:
        """Take a frame's arrival."""
        if now_us - self._last_us > _SILENCE_US:
            self.reset(now_us)
        else:
            self._last_us = now_us
        ticks = self._unwrap.unwrap(timestamp)
        if self._rejecting and self._previous is not None and abs(ticks - self._previous) > _JUMP_TICKS:
            # Upstream compares with the time since the last arrival, which it has just set to nothing.
            self.reset(now_us)
            ticks = self._unwrap.unwrap(timestamp)
        t_ms = float(to_ms(now_us - self._start_us))
        if self._first is None:
            # The line goes through the first frame, whenever after the start it came.
            self._w1 = -self._w0 * t_ms
            self._first = ticks
        residual = (ticks - self._first) - t_ms * self._w0 - self._w1
        if self._rejecting and self._outlying(residual):
            self._rejected += 1
            if self._rejected <= _REJECT_MOST:
                return
            self._p11 = _UNSURE
        self._rejected = 0
        if self._changed(residual) and self._count >= _START_COUNT:
            self._p11 = _UNSURE
        if not self._rejecting and self._previous is not None and ticks < self._previous:
            return
        self._fit(t_ms, residual)
        self._previous = ticks
        self._count = min(self._count + 1, _MOST_COUNTED)

    def local_us(self, timestamp: int) -> int | None:
        """Return when the frame of ``timestamp`` belongs, in whole ms after the start; None before any arrival."""
        if self._first is None or self._previous is None:
            return None
        ticks = self._unwrap.peek(timestamp)
        if self._count < _START_COUNT:
            return self._last_us + math.trunc((ticks - self._previous) / _TICKS_PER_MS * 1000.0)
        if self._w0 < 1e-3:
            return self._start_us
        return self._start_us + math.trunc((ticks - self._first - self._w1) / self._w0 + 0.5) * MS

    def _fit(self, t_ms: float, residual: float) -> None:
        # Recursive least squares with regressors (t, 1) and no forgetting: K = P·x / (1 + xᵀ·P·x), w += K·e,
        # P -= K·xᵀ·P.
        k0 = self._p00 * t_ms + self._p01
        k1 = self._p10 * t_ms + self._p11
        scale = 1.0 + t_ms * k0 + k1
        k0, k1 = k0 / scale, k1 / scale
        self._w0 += k0 * residual
        self._w1 += k1 * residual
        p00, p01, p10, p11 = self._p00, self._p01, self._p10, self._p11
        self._p00 = p00 - (k0 * t_ms * p00 + k0 * p10)
        self._p01 = p01 - (k0 * t_ms * p01 + k0 * p11)
        self._p10 = p10 - (k1 * t_ms * p00 + k1 * p10)
        self._p11 = p11 - (k1 * t_ms * p01 + k1 * p11)

    def _outlying(self, residual: float) -> bool:
        if self._count >= _REJECT_FROM and abs(residual - self._mean) > _REJECT_DEVIATIONS * math.sqrt(self._variance):
            return True
        self._mean = _FORGET * self._mean + (1.0 - _FORGET) * residual
        self._variance = max(_FORGET * self._variance + (1.0 - _FORGET) * (residual - self._mean) ** 2, 1.0)
        return False

    def _changed(self, residual: float) -> bool:
        """Return whether the delay has changed by now (CUSUM of residuals)."""
        residual = max(-_MOST_ERROR, min(_MOST_ERROR, residual))
        self._above = max(self._above + residual - _DRIFT, 0.0)
        self._below = min(self._below + residual + _DRIFT, 0.0)
        if self._above <= _ALARM and self._below >= -_ALARM:
            return False
        self._above = self._below = 0.0
        return True
