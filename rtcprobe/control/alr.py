"""Application-limited: the sender has less to send than it may, so what arrives says little of the line.

Source: libwebrtc ``modules/congestion_controller/goog_cc/alr_detector.cc``, ``modules/pacing/interval_budget.cc``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Alr"]

# 65 % of the estimate, saved up over half a second: limited from 80 % of that unspent, until less than half is.
_SHARE: Final = 0.65
_WINDOW_S: Final = 0.500
_BEGINS, _ENDS = 0.80, 0.50


class Alr:
    """A budget of 65 % of the estimate over half a second; ``since_s`` is when it began to be left unused."""

    def __init__(self, estimate_bps: float) -> None:
        self.since_s: float | None = None
        self.ended_s: float | None = None
        self._last_s: float | None = None
        self._left = 0.0
        self._rate = self._most = 0.0
        self.set_estimate(estimate_bps)

    def set_estimate(self, estimate_bps: float) -> None:
        """Adopt the estimate, bits per second."""
        self._rate = _SHARE * estimate_bps / 8
        self._most = _WINDOW_S * self._rate
        # What was saved under the old estimate does not count beyond the new one's half second.
        self._left = min(max(self._left, -self._most), self._most)

    def sent(self, size_bytes: int, now_s: float) -> None:
        """Take in a packet that was sent."""
        if self._last_s is None:
            self._last_s = now_s
            return
        most = self._most
        left = max(self._left - size_bytes, -most)
        left = self._left = min(left + self._rate * (now_s - self._last_s), most)
        self._last_s = now_s
        if left > _BEGINS * most:
            if self.since_s is None:
                self.since_s = now_s
        elif left < _ENDS * most and self.since_s is not None:
            self.since_s, self.ended_s = None, now_s
