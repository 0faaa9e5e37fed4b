"""Two guards beside the estimate: when feedback stays away, and when too much is under way.

Source: libwebrtc ``modules/congestion_controller/goog_cc/send_side_bandwidth_estimation.cc`` (``RttBasedBackoff``),
``congestion_window_pushback_controller.cc``, ``goog_cc_network_control.cc``;
``rtc_base/experiments/rate_control_settings.cc`` (``QueueSize:350,MinBitrate:30000,DropFrame:true``).
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Pushback", "RttBackOff"]

# Above 3 s, a fifth less each second, down to 5 kb/s.
_LIMIT_S: Final = 3.0
_FACTOR: Final = 0.8
_EVERY_S: Final = 1.0
_FLOOR_BPS: Final = 5e3
# The window: the least RTT of 32 reports and 350 ms more, at least two packets; it leaves the encoder 30 kb/s.
_QUEUE_S: Final = 0.350
_LEAST_BYTES: Final = 3000.0
_LEAST_BPS: Final = 30e3
_RTTS: Final = 32


class RttBackOff:
    """An RTT above 3 s, time without feedback counted in: the rate falls by a fifth each second."""

    def __init__(self) -> None:
        self._rtt_s = 0.0
        self._told_s: float | None = None
        self._fell_s: float | None = None

    def told(self, rtt_s: float, now_s: float) -> None:
        """Take in the propagation RTT of a report."""
        self._rtt_s, self._told_s = rtt_s, now_s

    def exceeded(self, last_sent_s: float | None) -> bool:
        """Whether the corrected RTT is above the limit; ``last_sent_s``: when the last packet left."""
        if self._told_s is None or last_sent_s is None:
            return False
        return self._rtt_s + max(0.0, last_sent_s - self._told_s) > _LIMIT_S

    def lowered(self, rate_bps: float, now_s: float) -> float:
        """Return the rate while the limit is exceeded."""
        if rate_bps <= _FLOOR_BPS or (self._fell_s is not None and now_s - self._fell_s < _EVERY_S):
            return rate_bps
        self._fell_s = now_s
        return max(_FACTOR * rate_bps, _FLOOR_BPS)


class Pushback:
    """The congestion window: it lowers no target, it drops up to every second frame.

    ``ratio`` is what share of the target the encoder may use; ``size_bytes`` the window, None before feedback.
    """

    def __init__(self) -> None:
        self.ratio = 1.0
        self.size_bytes: float | None = None
        self._rtts_s: deque[float] = deque(maxlen=_RTTS)

    def told(self, longest_rtt_s: float, target_bps: float) -> None:
        """Take in the longest feedback RTT of a report: the window is 350 ms more than the least of them."""
        self._rtts_s.append(longest_rtt_s)
        size_bytes = target_bps * (min(self._rtts_s) + _QUEUE_S) / 8
        if self.size_bytes is not None:
            # A target that falls by half would throw away frames at once: the window follows by half a step a report.
            size_bytes = (size_bytes + self.size_bytes) / 2
        self.size_bytes = max(_LEAST_BYTES, size_bytes)

    def allowed_bps(self, target_bps: float, in_flight_bytes: int) -> float:
        """Return what the encoder may use with so much under way; each call moves the ratio."""
        if not self.size_bytes:
            return target_bps
        fill = in_flight_bytes / self.size_bytes
        # Down by 10 or 5 % a call, up by 5 %; nearly nothing under way is the end of every congestion.
        if fill > 1.5:
            self.ratio *= 0.9
        elif fill > 1.0:
            self.ratio *= 0.95
        elif fill < 0.1:
            self.ratio = 1.0
        else:
            self.ratio = min(1.05 * self.ratio, 1.0)
        allowed_bps = self.ratio * target_bps
        return allowed_bps if allowed_bps >= _LEAST_BPS else max(allowed_bps, min(target_bps, _LEAST_BPS))
