"""Whole microseconds and how libwebrtc rounds them.

The estimators see whole milliseconds, which alone is ± 1 ms of noise.

Source: ``api/units/time_delta.h``, ``rtc_base/units/unit_base.h``, ``rtc_base/numerics/divide_round.h`` of libwebrtc.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["MS", "SECOND", "micros", "scaled", "ticks_us", "to_ms"]

# In microseconds.
MS: Final = 1_000
SECOND: Final = 1_000_000
_TICKS_PER_MS: Final = 90  # the RTP clock of every video payload format (RFC 3551 §5)


def to_ms(us: int) -> int:
    """Return whole milliseconds, halves upwards, below zero too (``TimeDelta::ms``)."""
    return (us + 500) // MS


def micros(ms: float) -> int:
    """Return milliseconds as microseconds, the rest cut off (``TimeDelta::Millis`` of a double)."""
    return math.trunc(ms * 1000.0)


def scaled(us: int, factor: float) -> int:
    """Return ``us · factor`` to the nearest microsecond, halves away from zero (``TimeDelta · double``)."""
    exact = us * factor
    return math.floor(exact + 0.5) if exact >= 0 else math.ceil(exact - 0.5)


def ticks_us(ticks: int) -> int:
    """Return ticks of the 90 kHz clock as microseconds, the rest cut off."""
    return int(math.copysign(abs(ticks) * MS // _TICKS_PER_MS, ticks))
