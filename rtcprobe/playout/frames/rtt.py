"""The round trip a jitter estimate counts on: the largest of the current regime.

Source: ``video/timing/rtt_filter.cc`` of libwebrtc.
"""

from __future__ import annotations

import math
from typing import Final

from rtcprobe.playout.frames.micros import SECOND, micros, scaled, to_ms

__all__ = ["RoundTrips"]

# rtt_filter.cc: 3 s at most, averaged over 35; five in a row beyond 2.5 or 3.5 deviations are another regime.
_MOST_US: Final = 3 * SECOND
_MOST_COUNT: Final = 35
_JUMP_DEVIATIONS, _DRIFT_DEVIATIONS = 2.5, 3.5
_TURNS: Final = 5


class RoundTrips:
    """Largest round trip since the last jump or drift, µs; 0 before the first."""

    def __init__(self) -> None:
        self.value_us = 0
        self._average_us = 0
        self._variance = 0  # ms², whole: upstream cuts the rest off at each step
        self._count = 1
        self._any = False
        self._jumps: list[int] = []
        self._jumping = 0
        self._drifts: list[int] = []

    def update(self, rtt_us: int) -> None:
        """Take a measured round trip."""
        if not self._any:
            if not rtt_us:
                return
            self._any = True
        rtt_us = min(rtt_us, _MOST_US)
        alpha = (self._count - 1) / self._count if self._count > 1 else 0.0
        self._count = min(self._count + 1, _MOST_COUNT)
        before_us, variance = self._average_us, self._variance
        self._average_us = scaled(self._average_us, alpha) + scaled(rtt_us, 1.0 - alpha)
        off_ms = to_ms(rtt_us - self._average_us)
        self._variance = int(alpha * self._variance + (1.0 - alpha) * off_ms**2)
        self.value_us = max(self.value_us, rtt_us)
        # The order matters: where the jump test fails, the drift test is not asked, as upstream's ``||`` has
        # it.
        if not self._jumped(rtt_us) or not self._drifted(rtt_us):
            # While a jump is being judged, what it did to the averages is undone.
            self._average_us, self._variance = before_us, variance

    def _jumped(self, rtt_us: int) -> bool:
        off_us = self._average_us - rtt_us
        if abs(off_us) <= micros(_JUMP_DEVIATIONS * math.sqrt(self._variance)):
            self._jumps.clear()
            return True
        sign = 1 if off_us >= 0 else -1
        if self._jumps and sign != self._jumping:
            self._jumps.clear()
        self._jumping = sign
        self._jumps.append(rtt_us)
        if len(self._jumps) < _TURNS:
            return False
        self._restart(self._jumps)
        return True

    def _drifted(self, rtt_us: int) -> bool:
        if self.value_us - self._average_us <= micros(_DRIFT_DEVIATIONS * math.sqrt(self._variance)):
            self._drifts.clear()
            return True
        self._drifts.append(rtt_us)
        if len(self._drifts) >= _TURNS:
            self._restart(self._drifts)
        return True

    def _restart(self, values: list[int]) -> None:
        self.value_us = max(values)
        self._average_us = sum(values) // len(values)
        values.clear()
        self._count = _TURNS + 1
