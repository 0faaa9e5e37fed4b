"""RTCP receiver reports at the sender: the loss that they tell, and the rule by it while nothing better is ready.

Facts:
    A fraction is formed once reports cover 20 packets. The rule decides only while the loss-based estimate has too few
    observations: at 2 % and less the rate grows to 1.08 times the least of the last second and 1 kb/s, above 10 % it
    falls by half the loss, once each 300 ms and RTT, and once a report.

Source: libwebrtc main f3ae3eb62e2a, ``modules/congestion_controller/goog_cc/send_side_bandwidth_estimation.cc``
(``UpdatePacketsLost``, ``UpdateEstimate``, ``UpdateMinHistory``).
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["LossReports"]

# kLimitNumPackets: below twenty packets one loss would be 5 % and more.
_LEAST_PACKETS: Final = 20
# kDefaultLowLossThreshold and kDefaultHighLossThreshold: between the two nothing changes.
_LOW, _HIGH = 0.02, 0.10
# 8 % and 1 kb/s above the least of the last second (kBweIncreaseInterval): however often it is asked, it
# grows by no more in a second.
_GROWTH: Final = 1.08
_GROWTH_BPS: Final = 1e3
_WINDOW_S: Final = 1.0
# kBweDecreaseInterval; an RTT comes on top, until a report can tell of the rate that was lowered last.
_DECREASE_S: Final = 0.300
_FRESH_S: Final = 1.2 * 5.0
"""1.2 times the longest interval between reports."""


class LossReports:
    """``fraction`` is the last loss, a share of 256; ``first_s`` when the first report came."""

    def __init__(self) -> None:
        self.fraction = 0
        self.first_s: float | None = None
        self._lost = self._expected = 0
        self._told_s: float | None = None
        self._fell_s = float("-inf")
        self._may_fall = False
        self._least: deque[tuple[float, float]] = deque()

    def told(self, lost: int, expected: int, now_s: float) -> bool:
        """Take in what reports add; return whether there is a new fraction. Nonsense is no loss."""
        if self.first_s is None:
            self.first_s = now_s
        if expected <= 0:
            return False
        self._lost += lost
        self._expected += expected
        if self._expected < _LEAST_PACKETS:
            return False
        # A copy or a late packet makes the sum of lost ones negative (RFC 3550, section 6.4.1, says so): then
        # nothing is lost.
        self.fraction = min(max(256 * self._lost, 0) // self._expected, 255)
        self._lost = self._expected = 0
        self._told_s, self._may_fall = now_s, True
        return True

    def seen(self, rate_bps: float, now_s: float) -> None:
        """Remember the rate, to know the least of the last second."""
        least = self._least
        # A queue of minima: rates rise from front to back, so the front is the least of the window and each
        # rate enters and leaves once. The millisecond is the source's, whose clock has no finer one.
        while least and now_s - least[0][0] + 1e-3 > _WINDOW_S:
            least.popleft()
        while least and rate_bps <= least[-1][1]:
            least.pop()
        least.append((now_s, rate_bps))

    def decided(self, rate_bps: float, rtt_s: float, now_s: float) -> float:
        """Return the rate by the rule; ``seen`` must have been called."""
        if self._told_s is None or now_s - self._told_s >= _FRESH_S:
            return rate_bps
        loss = self.fraction / 256
        if loss <= _LOW:
            return self._least[0][1] * _GROWTH + _GROWTH_BPS
        if loss > _HIGH and self._may_fall and now_s - self._fell_s >= _DECREASE_S + rtt_s:
            self._fell_s, self._may_fall = now_s, False
            # By half of the loss: (1 - fraction / 256 / 2), in whole 1/512.
            return rate_bps * (512 - self.fraction) / 512
        return rate_bps
