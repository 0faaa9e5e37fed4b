"""STOI and ESTOI: how intelligible degraded speech is beside its original, both of one clock.

Facts:
    Both compare envelopes in 15 third-octave bands (from 150 Hz) over segments of 384 ms, at 10 kHz; frames 40 dB below
    the loudest of the original are left out. STOI correlates each band of a segment with itself, after bounding what
    was added to it (-15 dB signal to distortion); ESTOI correlates whole segments, rows and columns normalised.
    pystoi 0.4 does the same from the same papers, and is what this is compared with in the tests. It takes 27 ms of CPU
    a second of speech for both, this 2: a call that is judged should not cost half as much again.

Rule: a span with fewer than 30 frames that are not silent has no value (None): there is no segment in it.

Source: Taal et al., IEEE TASLP 19, 2125 (2011), section II; Jensen and Taal, IEEE/ACM TASLP 24, 2009 (2016), section
II.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm

__all__ = ["LEAST_S", "Intelligibility", "intelligibility"]

# Taal et al. 2011: 10 kHz, frames of 25.6 ms, 15 third-octave bands from 150 Hz, 30 frames a segment; frames 40 dB
# below the loudest are silence; a band is held to 15 dB above the original's.
_RATE_HZ = 10_000
_IN, _OUT = 24, 5  # 48 kHz to 10 kHz
_FEW = 256  # rows of a product that OpenBLAS does on the spot: for more it wakes threads, which spin for longer
_AROUND = 3  # blocks of 24 on either side that a sample is made of
_FRAME, _HOP, _FFT = 256, 128, 512
_BANDS, _LOWEST_HZ = 15, 150.0
_SEGMENT = 30  # frames: 384 ms
_RANGE_DB = 40.0
_BOUND = np.float32(1 + 10 ** (15.0 / 20))
_TINY = np.float32(1e-12)

LEAST_S = (_SEGMENT + 1) * _HOP / _RATE_HZ
"""Shorter spans have no segment."""

_Array = npt.NDArray[np.float32]


class Intelligibility(NamedTuple):
    """STOI and ESTOI of one utterance: 1 for the original itself, near 0 for what nobody understands."""

    stoi: float
    estoi: float


def intelligibility(original: Pcm, heard: Pcm) -> Intelligibility | None:
    """Return how intelligible ``heard`` is; None where there is too little speech in ``original`` to say.

    Both are of shape (samples,), 48 kHz; what one of them has longer is left out.
    """
    samples = min(len(original), len(heard))
    clean, noisy = (_frames(_at_10_khz(each[:samples])) for each in (original, heard))
    if len(clean) < _SEGMENT:
        return None
    power = np.einsum("ij,ij->i", clean, clean)
    loud = power > power.max() * 10 ** (-_RANGE_DB / 10)
    # By the original's loud frames in both: what is added to its pauses does not count, as in the papers.
    x, y = (_envelopes(_added(each[loud])) for each in (clean, noisy))
    # Frames that were left out may leave less than a segment of what seemed long enough.
    if len(x) < _SEGMENT:
        return None
    x, y = (np.lib.stride_tricks.sliding_window_view(each, _SEGMENT, axis=0) for each in (x, y))  # segment, band, frame
    return Intelligibility(stoi=_stoi(x, y), estoi=_estoi(x, y))


def _stoi(x: _Array, y: _Array) -> float:
    """Return the mean correlation of bands. Source: Taal 2011, equations 3 to 6."""
    scale = np.sqrt(_squares(x, 2) / (_squares(y, 2) + _TINY))
    bounded = np.minimum(y * scale, x * _BOUND)
    clean = x - x.mean(axis=2, keepdims=True)
    bounded -= bounded.mean(axis=2, keepdims=True)
    products = np.einsum("ijk,ijk->ij", clean, bounded)
    return float(np.mean(products / np.sqrt(_squares(clean, 2) * _squares(bounded, 2) + _TINY)[..., 0]))


def _estoi(x: _Array, y: _Array) -> float:
    """Return the mean correlation of segments. Source: Jensen and Taal 2016, equations 3 to 8."""
    x, y = _normalised(_normalised(x, 2), 1), _normalised(_normalised(y, 2), 1)
    return float(np.einsum("ijk,ijk->", x, y, dtype=np.float64) / (_SEGMENT * len(x)))


def _normalised(segments: _Array, axis: int) -> _Array:
    """Return ``segments`` with a mean of nought and a norm of one along ``axis``."""
    centred: _Array = segments - segments.mean(axis=axis, keepdims=True)
    centred /= np.sqrt(_squares(centred, axis) + _TINY)
    return centred


def _squares(segments: _Array, axis: int) -> _Array:
    """Return the sum of squares along ``axis`` (1 or 2), which stays."""
    summed = np.einsum("ijk,ijk->ij" if axis == 2 else "ijk,ijk->ik", segments, segments)  # without a copy of squares
    return np.expand_dims(np.asarray(summed, dtype=np.float32), axis)


def _at_10_khz(sound: Pcm) -> _Array:
    """Return ``sound`` at 10 kHz: of every 24 samples five."""
    blocks = len(sound) // _IN
    padded = np.zeros((_AROUND + blocks + _AROUND, _IN), dtype=np.float32)
    padded[_AROUND : _AROUND + blocks] = sound[: blocks * _IN].reshape(-1, _IN)
    filters = _filters()
    parts = np.empty((len(padded), filters.shape[1]), dtype=np.float32)
    for begin in range(0, len(padded), _FEW):  # what each block gives to the samples of every block around it
        np.matmul(padded[begin : begin + _FEW], filters, out=parts[begin : begin + _FEW])
    spans = 2 * _AROUND + 1
    out = sum(parts[place : place + blocks, place * _OUT : (place + 1) * _OUT] for place in range(spans))
    return np.asarray(out, dtype=np.float32).reshape(-1)


@lru_cache(maxsize=1)
def _filters() -> _Array:
    """Return the weight of each sample of a block in those of the blocks around it, shape (24, 7 blocks of 5).

    A sinc at 5 kHz in a Kaiser window (60 dB): flat to 4.3 kHz, above which no band lies, and closed from 5.7 kHz on,
    which would fold below that.
    """
    reach = _AROUND * _IN
    at = np.arange(_OUT) * _IN / _OUT
    away = np.arange(-reach, reach + _IN)[:, None] - at
    inside = np.clip(1.0 - (away / reach) ** 2, 0.0, None)
    beta = 0.1102 * (60.0 - 8.7)  # Source: Kaiser, ISCAS 1974
    taps = np.sinc(away * _RATE_HZ / SAMPLE_RATE_HZ) * np.i0(beta * np.sqrt(inside)) * (np.abs(away) <= reach)
    blocks = (taps / taps.sum(axis=0)).reshape(-1, _IN, _OUT)
    return np.asarray(blocks.transpose(1, 0, 2).reshape(_IN, -1), dtype=np.float32)


@lru_cache(maxsize=1)
def _window() -> _Array:
    # Without its zeros at both ends, as MATLAB's ``hanning`` is, which the authors used; numpy's has them.
    return np.hanning(_FRAME + 2)[1:-1].astype(np.float32)


def _frames(sound: _Array) -> _Array:
    """Return windowed frames, shape (frames, 256), half overlapping, as the authors cut them: the last is left out."""
    count = max(0, -(-(len(sound) - _FRAME) // _HOP))
    if not count:
        return np.zeros((0, _FRAME), dtype=np.float32)
    return np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[: count * _HOP : _HOP][:count] * _window()


def _added(frames: _Array) -> _Array:
    """Return frames, half overlapping, as one sound again."""
    out = np.zeros((len(frames) + 1, _HOP), dtype=np.float32)
    out[:-1] += frames[:, :_HOP]
    out[1:] += frames[:, _HOP:]
    return out.reshape(-1)


def _envelopes(sound: _Array) -> _Array:
    """Return the root of each band's energy, shape (frames, bands)."""
    spectrum = fft.rfft(_frames(sound), _FFT, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    return np.sqrt(np.add.reduceat(power[:, : _edges()[-1]], _edges()[:-1], axis=1))


@lru_cache(maxsize=1)
def _edges() -> npt.NDArray[np.intp]:
    """Return where each band begins among the bins, and where the last ends."""
    edges_hz = _LOWEST_HZ * 2.0 ** ((2 * np.arange(_BANDS + 1) - 1) / 6)
    bins_hz = np.arange(_FFT // 2 + 1) * _RATE_HZ / _FFT
    return np.asarray(np.abs(bins_hz - edges_hz[:, None]).argmin(axis=1))
