"""Is the queue growing? The slope of the smoothed delay over 20 groups, against a threshold that adapts.

Facts:
    The threshold falls to 6 after about a second of quiet, so a lone group 60 ms late is an overuse: a model without
    the threshold's memory behaves differently.

Source: libwebrtc ``modules/congestion_controller/goog_cc/trendline_estimator.cc``; Carlucci et al., "Analysis and
design of the Google congestion control for web real-time communication", MMSys 2016.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

__all__ = ["Signal", "Trendline"]

Signal = Literal["normal", "overuse", "underuse"]

# 20 groups, smoothed by 0.9; the slope times the groups so far (60 at most) times 4 is compared with the threshold.
_POINTS: Final = 20
_SMOOTHING: Final = 0.9
_GAIN: Final = 4.0
_MOST_DELTAS: Final = 60
# The threshold, ms: from 12.5 it follows the trend, faster down (0.039 a ms) than up (0.0087). The papers have it the
# other way about (draft-ietf-rmcat-gcc-02: 0.01 up, 0.00018 down); this is what libwebrtc does.
_START, _LEAST, _MOST = 12.5, 6.0, 600.0
_UP, _DOWN = 0.0087, 0.039
_UNLIKELY: Final = 15.0
"""So far above the threshold a trend is a spike, and the threshold does not follow it."""
# A pause of the stream moves the threshold by 100 ms worth at most; an overuse must have lasted for 10 ms of sending.
_LONGEST_STEP_MS: Final = 100.0
_OVER_MS: Final = 10.0


class Trendline:
    """The detector: ``signal`` is what it says, ``threshold`` and ``trend`` (in the threshold's unit) why."""

    def __init__(self) -> None:
        self.signal: Signal = "normal"
        self.threshold = _START
        self.trend = 0.0
        self.slope = 0.0
        self._deltas = 0
        self._first_ms: float | None = None
        self._sum_ms = 0.0
        self._smooth_ms = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=_POINTS)
        self._moved_ms: float | None = None
        self._over_ms: float | None = None
        self._over_count = 0

    def add(self, arrival_delta_ms: float, send_delta_ms: float, arrival_ms: float) -> None:
        """Take in what two groups differ by, and when the later one arrived."""
        self._deltas += 1
        if self._first_ms is None:
            self._first_ms = arrival_ms
        self._sum_ms += arrival_delta_ms - send_delta_ms
        self._smooth_ms = _SMOOTHING * self._smooth_ms + (1 - _SMOOTHING) * self._sum_ms
        self._points.append((arrival_ms - self._first_ms, self._smooth_ms))
        # Until there are 20 the slope is the last one, zero at first: nothing is judged by a line through two points.
        slope = _slope(self._points) if len(self._points) == _POINTS else None
        self._detect(self.slope if slope is None else slope, send_delta_ms, arrival_ms)

    def _detect(self, slope: float, send_delta_ms: float, now_ms: float) -> None:
        if self._deltas < 2:
            self.signal = "normal"
            return
        self.trend = min(self._deltas, _MOST_DELTAS) * slope * _GAIN
        if self.trend > self.threshold:
            # It began somewhere between the two groups: half is as good a guess as any.
            self._over_ms = send_delta_ms / 2 if self._over_ms is None else self._over_ms + send_delta_ms
            self._over_count += 1
            # Two groups in a row, and the slope is not on its way down already.
            if self._over_ms > _OVER_MS and self._over_count > 1 and slope >= self.slope:
                self._over_ms, self._over_count = 0.0, 0
                self.signal = "overuse"
        else:
            self._over_ms, self._over_count = None, 0
            self.signal = "underuse" if self.trend < -self.threshold else "normal"
        self.slope = slope
        self._move(abs(self.trend), now_ms)

    def _move(self, trend: float, now_ms: float) -> None:
        before_ms = now_ms if self._moved_ms is None else self._moved_ms
        self._moved_ms = now_ms
        if trend > self.threshold + _UNLIKELY:
            return
        gain = _DOWN if trend < self.threshold else _UP
        moved = self.threshold + gain * (trend - self.threshold) * min(now_ms - before_ms, _LONGEST_STEP_MS)
        self.threshold = min(max(moved, _LEAST), _MOST)


def _slope(points: deque[tuple[float, float]]) -> float | None:
    """Return the least-squares slope; None when all points are at one instant."""
    count = len(points)
    sum_x = sum_y = 0.0
    for x, y in points:
        sum_x += x
        sum_y += y
    mean_x, mean_y = sum_x / count, sum_y / count
    over = under = 0.0
    for x, y in points:
        off = x - mean_x
        over += off * (y - mean_y)
        under += off * off
    return over / under if under else None
