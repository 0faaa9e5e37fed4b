"""Additive increase, multiplicative decrease: what the rate does when the queue grows, and when it does not.

Facts:
    Far from the capacity the rate grows by 8 % a second; once an overuse has told the capacity, by about half a
    packet each response time, which is twice (RTT + 100 ms): 24 kb/s a second at 2.1 Mb/s and 80 ms. When more than
    the known capacity arrives, what was known is forgotten.

Source: libwebrtc ``modules/remote_bitrate_estimator/aimd_rate_control.cc``,
``modules/congestion_controller/goog_cc/link_capacity_estimator.cc``.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from rtcprobe.control.trendline import Signal

__all__ = ["LEAST_BPS", "Aimd", "Capacity", "near_max_bps_per_s"]

# kCongestionControllerMinBitrate: below it a rate never recovers, for growth is a share of it.
LEAST_BPS: Final = 5e3
# To 0.85 of what arrives, 5 kb/s less; far from the capacity 8 % more a second, 1 kb/s at least.
_BACK_OFF: Final = 0.85
_MARGIN_BPS: Final = 5e3
_GROWTH: Final = 1.08
_LEAST_GROWTH_BPS: Final = 1e3
# Before any is known; then how a 30 fps stream of packets of 1,200 bytes would grow, 4 kb/s a second at least.
_USUAL_RTT_S: Final = 0.200
_FRAMES_PER_S: Final = 30.0
_PACKET_BITS: Final = 8 * 1200
_LEAST_NEAR_MAX: Final = 4000.0


def near_max_bps_per_s(rate_bps: float, rtt_s: float, *, response_factor: float = 2.0) -> float:
    """Return how fast the rate grows near the capacity: a packet of a 30 fps stream each response time."""
    frame_bits = rate_bps / _FRAMES_PER_S
    packet_bits = frame_bits / max(1, math.ceil(frame_bits / _PACKET_BITS))
    return max(_LEAST_NEAR_MAX, packet_bits / (response_factor * (rtt_s + 0.100)))


class Capacity:
    """What the line carried when it was overused: mean and spread, in kb/s inside."""

    def __init__(self) -> None:
        self.estimate_bps: float | None = None
        self._spread = 0.4  # normalised variance, kb/s: between 0.4 and 2.5, as in LinkCapacityEstimator

    @property
    def margin_bps(self) -> float:
        """Three standard deviations."""
        assert self.estimate_bps is not None
        return 3e3 * math.sqrt(self._spread * self.estimate_bps / 1e3)

    @property
    def spread(self) -> float:
        """The variance over the mean, kb/s."""
        return self._spread

    def add(self, sample_bps: float) -> None:
        """Take in the rate that arrived while overused."""
        x = sample_bps / 1e3
        # An exponential mean over overuses, not over seconds: 0.05 a sample.
        c = x if self.estimate_bps is None else 0.95 * self.estimate_bps / 1e3 + 0.05 * x
        self._spread = min(max(0.95 * self._spread + 0.05 * (c - x) ** 2 / max(c, 1.0), 0.4), 2.5)
        self.estimate_bps = 1e3 * c

    def forget(self) -> None:
        """Know nothing of the capacity; the spread stays."""
        self.estimate_bps = None

    def is_below(self, rate_bps: float) -> bool:
        """Whether ``rate_bps`` is above all that the capacity may be."""
        return self.estimate_bps is not None and rate_bps > self.estimate_bps + self.margin_bps

    def is_above(self, rate_bps: float) -> bool:
        """Whether ``rate_bps`` is below all that the capacity may be."""
        return self.estimate_bps is not None and rate_bps < max(0.0, self.estimate_bps - self.margin_bps)


# Of three states "decrease" lasts for one update alone: it ends in "hold", and the next report that is
# "normal" begins to grow. So each overuse costs one reduction, and growth restarts its clock with the report,
# not with the time that passed in the queue.
class Aimd:
    """The delay-based estimate, ``rate_bps``."""

    def __init__(self, start_bps: float, *, response_factor: float = 2.0) -> None:
        self.rate_bps = start_bps
        self.rtt_s = _USUAL_RTT_S
        self.capacity = Capacity()
        self._response_factor = response_factor
        self._state: Literal["hold", "increase", "decrease"] = "hold"
        self._changed_s: float | None = None
        self._arrived_bps = start_bps

    def set_rate(self, rate_bps: float, now_s: float) -> None:
        """Adopt a rate that was measured otherwise, as by a probe."""
        self.rate_bps = max(rate_bps, LEAST_BPS)
        self._changed_s = now_s

    def may_reduce(self, now_s: float, arrived_bps: float) -> bool:
        """Whether a further reduction of the same overuse is due: an RTT has passed, or less than half arrives."""
        # One reduction an RTT: what is under way still comes from the queue that the last one answered.
        wait_s = min(max(self.rtt_s, 0.010), 0.200)
        if self._changed_s is None or now_s - self._changed_s >= wait_s:
            return True
        return arrived_bps < 0.5 * self.rate_bps

    def update(self, signal: Signal, arrived_bps: float | None, now_s: float) -> float:
        """Return the rate after one report: what the detector says, and how much arrives (None: not known)."""
        # An old rate is better than none: the last one known stays.
        if arrived_bps is not None:
            self._arrived_bps = arrived_bps
        if signal == "overuse":
            self._state = "decrease"
        # The queue is draining: growing now would keep it from running empty.
        elif signal == "underuse":
            self._state = "hold"
        elif self._state == "hold":
            self._state, self._changed_s = "increase", now_s
        if self._state == "increase":
            self._increase(now_s)
        elif self._state == "decrease":
            self._decrease(now_s)
        self.rate_bps = max(self.rate_bps, LEAST_BPS)
        return self.rate_bps

    def _increase(self, now_s: float) -> None:
        arrived_bps = self._arrived_bps
        # More arrives than the line is said to carry: the line is another one.
        if self.capacity.is_below(arrived_bps):
            self.capacity.forget()
        # No further than half as much again as arrives: beyond that nothing vouches for the estimate.
        limit_bps = 1.5 * arrived_bps + 10e3
        if self.rate_bps < limit_bps:
            passed_s = 0.0 if self._changed_s is None else max(0.0, now_s - self._changed_s)
            if self.capacity.estimate_bps is not None:
                factor = self._response_factor
                more_bps = near_max_bps_per_s(self.rate_bps, self.rtt_s, response_factor=factor) * passed_s
            else:
                # A second at most, however long no report came.
                more_bps = max(self.rate_bps * (_GROWTH ** min(passed_s, 1.0) - 1), _LEAST_GROWTH_BPS)
            self.rate_bps = min(self.rate_bps + more_bps, limit_bps)
        self._changed_s = now_s

    def _decrease(self, now_s: float) -> None:
        arrived_bps = self._arrived_bps
        # Of what arrives, not of the estimate: while the queue grows this is what the line carries.
        lower_bps = _BACK_OFF * arrived_bps
        if lower_bps > _MARGIN_BPS:
            lower_bps -= _MARGIN_BPS
        # More arrives than the estimate allowed (a probe, a burst): the known capacity is the better base.
        if lower_bps > self.rate_bps and self.capacity.estimate_bps is not None:
            lower_bps = _BACK_OFF * self.capacity.estimate_bps
        self.rate_bps = min(self.rate_bps, lower_bps)
        if self.capacity.is_above(arrived_bps):
            self.capacity.forget()
        self.capacity.add(arrived_bps)
        self._state, self._changed_s = "hold", now_s
