"""Small signal tools shared by stretching, concealment and merging: pitch search at 4 kHz, prediction, fades.

Facts:
    Pitch is searched in a copy of the signal at 4 kHz and refined with a parabola to one sample at 48 kHz. The
    low-pass in front of it is 7 taps long, so the copy is full of aliases of what lies above 2 kHz; on noise the
    "pitch" is therefore anywhere from 2.5 to 15 ms, and a receiver's delay moves by such random steps.

Rules:
    1. Sound is float32, full scale ±1. Energies that meet thresholds of libwebrtc are in its units, full scale 32768.
    2. ``m`` = 6 everywhere: 48 kHz is six times the 8 kHz in which libwebrtc counts.

Source: ``dsp_helper.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from functools import lru_cache
from operator import mul
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.base import Pcm

__all__ = [
    "DECIMATION",
    "ENERGY_UNIT",
    "NOISE_LENGTH",
    "OVERLAP_SAMPLES",
    "all_pole",
    "best_lag",
    "downsample",
    "fade_in",
    "linear_prediction",
    "noise_table",
    "peak",
    "ramp",
    "residual",
]

DECIMATION: Final = 12
"""48 kHz to 4 kHz."""

OVERLAP_SAMPLES: Final = 30
"""0.625 ms always kept unplayed, to be faded into what comes next. Source: ``overlap_length`` in ``expand.cc``."""

ENERGY_UNIT: Final = 32768.0**2
"""A sample's energy at full scale, in libwebrtc's units."""

_LOW_PASS: Final = np.array([0.2487, 0.0952, 0.1042, 0.1074, 0.1042, 0.0952, 0.2487], dtype=np.float32)
"""The filter in front of the decimation, symmetric. Source: ``kDownsample48kHzTbl`` in ``dsp_helper.cc``."""

# 171 ms, longer than a gap stays audible; concealment takes it in pieces of 2,048, which divide it. Behind
# them what poles at 0.995 leave after 1,024 samples: 45 dB less (``all_pole``).
NOISE_LENGTH: Final = 8192
_DYING_SAMPLES: Final = 1024


def downsample(signal: Pcm, start: int, count: int) -> Pcm:
    """Return ``count`` samples at 4 kHz, the first centred on ``signal[start + 3]``.

    Args:
        signal: at least ``start + 12 * (count - 1) + 7`` samples.
        start: where the filter's first tap lies.
        count: how many.
    """
    taps = signal[start : start + DECIMATION * count]
    if len(taps) < DECIMATION * count:
        taps = np.concatenate([taps, np.zeros(DECIMATION * count - len(taps), dtype=np.float32)])
    low: Pcm = taps.reshape(count, DECIMATION)[:, :7] @ _LOW_PASS
    return low


def peak(correlation: npt.NDArray[np.floating], length: int, *, spare: bool) -> tuple[int, int, float]:
    """Return the highest point of a 4 kHz correlation: its index, its place in 48 kHz samples, its height.

    The place is refined by a parabola through the point and its neighbours. ``spare`` says whether a point beyond
    ``length`` counts as the right neighbour of the last one (missing: zero); without it the last point is only that.
    """
    searched = length if spare else length - 1
    index = int(correlation[:searched].argmax())
    centre = float(correlation[index])
    if index == 0:
        return 0, 0, centre
    right = float(correlation[index + 1]) if index + 1 < len(correlation) else 0.0
    if index == searched - 1 and centre <= right:
        return index, (2 * index + 1) * DECIMATION // 2, (centre + right) / 2
    left = float(correlation[index - 1])
    bend = left - 2 * centre + right
    if bend >= 0:
        return index, index * DECIMATION, centre
    # Steps of one sample, at most half a point to either side.
    step = max(-6, min(6, round(6 * (left - right) / bend)))
    at = step / DECIMATION
    return index, index * DECIMATION + step, centre + (right - left) / 2 * at + bend / 2 * at * at


def best_lag(signal: Pcm, lowest: int, highest: int, length: int) -> tuple[int, float]:
    """Return the lag at which the last ``length`` samples differ least from what lies before, and that difference."""
    tail = signal[-length:]
    start = len(signal) - length - highest
    # A window a lag, as ``sliding_window_view`` has them, whose care takes longer than the distances do.
    step = signal.strides[0]
    windows: Pcm = np.ndarray((highest - lowest + 1, length), signal.dtype, signal, start * step, (step, step))
    distances = np.abs(windows - tail).sum(axis=1)[::-1]
    at = int(distances.argmin())
    return lowest + at, float(distances[at])


def linear_prediction(signal: Pcm, order: int) -> npt.NDArray[np.float64] | None:
    """Return predictor coefficients ``[1, a1, ..]`` of ``signal`` by Levinson's recursion; None where unstable."""
    lags = [float(signal @ signal), *(float(signal[lag:] @ signal[:-lag]) for lag in range(1, order + 1))]
    error = lags[0]
    if error <= 0:
        return None
    # Plain floats: at these orders the recursion is a handful of products, each cheaper than an array of them.
    predictor = [1.0]
    for step in range(1, order + 1):
        reflection = -sum(map(mul, predictor, lags[step:0:-1])) / error
        if not abs(reflection) < 1:
            return None
        mirrored = [0.0, *predictor[::-1]]
        predictor = [a + reflection * b for a, b in zip([*predictor, 0.0], mirrored, strict=True)]
        error *= 1 - reflection * reflection
    return np.array(predictor)


def residual(signal: Pcm, coefficients: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Return what the predictor cannot tell of the last ``count`` samples of ``signal``."""
    order = len(coefficients) - 1
    left: npt.NDArray[np.float64] = np.convolve(signal[-count - order :], coefficients, "valid")
    return left


def all_pole(
    excitation: npt.NDArray[np.floating], coefficients: npt.NDArray[np.float64], state: npt.NDArray[np.floating]
) -> Pcm:
    """Return ``excitation`` through 1/A(z), ``state`` being the outputs before it, oldest first.

    The recursion is done as a product of spectra, at least 1,024 points longer than the sound; poles are pulled in by
    half a percent, so that what wraps around has fallen by 45 dB and more.
    """
    from scipy import fft  # noqa: PLC0415 - who never conceals does without 50 ms of import

    order = len(coefficients) - 1
    damped = coefficients * 0.995 ** np.arange(order + 1)
    count = len(excitation)
    points = 1 << (count + _DYING_SAMPLES - 1).bit_length()
    both = np.zeros((2, points))
    driven = both[0, :count]
    driven[:] = excitation
    both[1, : order + 1] = damped
    for place in range(min(order, count)):
        # Outputs before the start act on the first `order` samples like more excitation.
        driven[place] -= damped[place + 1 :] @ state[::-1][: order - place]
    # SciPy's transform of two rows takes half of what NumPy's of each does, and gives the same.
    spectra = fft.rfft(both, axis=1)
    filtered: Pcm = fft.irfft(spectra[0] / spectra[1], points)[:count].astype(np.float32)
    return filtered


@lru_cache(maxsize=1)
def noise_table() -> npt.NDArray[np.float64]:
    """Return 8,192 fixed numbers that look normal, of zero mean and unit power.

    Each is a sum of twelve uniform ones, the outputs of SplitMix64 for 1, 2, 3, ..., so that no library's version
    changes a result. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    mixed = np.arange(1, 12 * NOISE_LENGTH + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    numbers: npt.NDArray[np.float64] = (mixed / 2.0**64).reshape(NOISE_LENGTH, 12).sum(axis=1)
    numbers -= numbers.mean()
    numbers /= np.sqrt(np.mean(numbers**2))
    return numbers


@lru_cache(maxsize=2048)
def fade_in(length: int) -> Pcm:
    """Return weights growing linearly from 1/(length + 1) to length/(length + 1)."""
    weights = (np.arange(1, length + 1) / (length + 1)).astype(np.float32)
    weights.setflags(write=False)
    return weights


def ramp(start: float, slope: float, length: int) -> Pcm:
    """Return a gain growing from ``start`` by ``slope`` per sample, at most 1."""
    gain: Pcm = np.minimum(start + slope * np.arange(length), 1.0).astype(np.float32)
    return gain
