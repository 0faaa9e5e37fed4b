"""Stretching and shortening audio by a pitch period without being heard.

Facts:
    Thirty milliseconds are needed. The strongest period L between 2.5 and 15 ms is looked up, and the L samples
    before and after the 15 ms point are cross-faded: once *instead* of both (shorter by L), or between them (longer
    by L). Speech that does not repeat itself is left alone: L samples apart it must correlate by more than 0.9. What
    is no louder than eight times the background noise is always stretched.

Rules:
    1. What has been played cannot be stretched: a preemptive expand starts no earlier than the unplayed part.
    2. In speech a preemptive expand needs 15 ms of unplayed audio behind the point; in silence it takes less.

Source: ``time_stretch.cc``, ``accelerate.cc``, ``preemptive_expand.cc`` (``modules/audio_coding/neteq`` of libwebrtc,
branch-heads/7871).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from rtcprobe.playout.base import Pcm
from rtcprobe.playout.neteq.dsp import DECIMATION, ENERGY_UNIT, OVERLAP_SAMPLES, downsample, fade_in, peak

__all__ = ["NEEDED_SAMPLES", "Stretch", "accelerate", "preemptive_expand"]

NEEDED_SAMPLES: Final = 1440
"""30 ms."""

# 15 ms, the point around which periods are compared; 110 points at 4 kHz, lags 10 to 59 of them (2.5 to 14.75
# ms).
_MIDDLE: Final = 720
_START: Final = 4  # offset of the first filter tap: the correlation window then ends 30 ms in
_POINTS: Final = 110
_SHORTEST_LAG: Final = 10
_LAGS: Final = 50
_ENOUGH_CORRELATION: Final = 14746 / 16384
_ENOUGH_IN_A_HURRY: Final = 0.5


class Stretch(NamedTuple):
    """What came of an attempt: the new audio, and how many samples it is longer or shorter (0: left alone)."""

    samples: Pcm
    moved_samples: int


class _Period(NamedTuple):
    lag: int
    correlation: float
    active: bool


def accelerate(signal: Pcm, background_energy: float, *, hurry: bool = False) -> Stretch:
    """Return ``signal`` (at least 30 ms) shortened by one period, or by as many as fit 15 ms when in a ``hurry``."""
    period = _find_period(signal, background_energy)
    enough = _ENOUGH_IN_A_HURRY if hurry else _ENOUGH_CORRELATION
    if period.active and period.correlation <= enough:
        return Stretch(signal, 0)
    # Whole periods, as many as 15 ms hold.
    lag = _MIDDLE // period.lag * period.lag if hurry else period.lag
    weight = fade_in(lag)
    before, after = signal[_MIDDLE - lag : _MIDDLE], signal[_MIDDLE : _MIDDLE + lag]
    mixed = before + weight * (after - before)
    return Stretch(np.concatenate([signal[: _MIDDLE - lag], mixed, signal[_MIDDLE + lag :]]), lag)


def preemptive_expand(signal: Pcm, played_samples: int, background_energy: float) -> Stretch:
    """Return ``signal`` (at least 30 ms, of which ``played_samples`` are gone) lengthened by one period."""
    if played_samples >= len(signal) - OVERLAP_SAMPLES:
        return Stretch(signal, 0)
    period = _find_period(signal, background_energy)
    lag = period.lag
    if period.active:
        if period.correlation <= _ENOUGH_CORRELATION or played_samples > _MIDDLE:
            return Stretch(signal, 0)
    else:
        lag = min(lag, len(signal) - played_samples)
    middle = max(played_samples, _MIDDLE)
    weight = fade_in(lag)
    ahead = signal[middle : middle + lag]
    back = signal[middle - lag : middle]
    mixed = ahead + weight * (back - ahead)
    return Stretch(np.concatenate([signal[:middle], mixed, signal[middle:]]), lag)


def _find_period(signal: Pcm, background_energy: float) -> _Period:
    low = downsample(signal, _START, _POINTS)
    # Lags 10 to 59 of the last fifty points, in that order.
    correlation = np.correlate(low[1:100], low[-_LAGS:], "valid")[::-1]
    lag = peak(correlation, _LAGS, spare=True)[1] + _SHORTEST_LAG * DECIMATION
    before, after = signal[_MIDDLE - lag : _MIDDLE], signal[_MIDDLE : _MIDDLE + lag]
    energy = float(before @ before), float(after @ after)
    # Eight times the background on either side, or less: nobody hears a seam in that.
    if sum(energy) * ENERGY_UNIT / 16 <= lag * background_energy:
        return _Period(lag, 0.0, active=False)
    power = (energy[0] * energy[1]) ** 0.5
    correlation_at = max(0.0, float(before @ after)) / power if power > 0 else 0.0
    return _Period(lag, min(1.0, correlation_at), active=True)
