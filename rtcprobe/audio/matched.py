"""The matched filter of the ear: how well a recording, from each instant on, agrees with a marker.

Facts:
    A matched filter is the best a listener can do in noise of known spectrum: the recording and the marker are both
    whitened by the recording's own long-term spectrum, which does nothing over silence or white noise and takes the
    weight off the vowels over speech. What is compared is the normalised correlation ρ of the two over the marker's
    80 ms: 1 for a perfect copy, about 0.05 RMS for anything unrelated.

How:
    Segments of 0.6 s, a new one every 0.5 s, are transformed once; every correlation after that is a product of
    spectra. Its envelope is read at 4 kHz (the band is 3.1 kHz wide, so nothing is lost but resolution); around its
    best peaks the correlation itself is read at 48 kHz, with a parabola through the three samples at the top.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from rtcprobe.audio.marker import CODES, MARKER_BAND_HZ, MARKER_SAMPLES, Marker, waveform
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm

__all__ = ["Peak", "Search", "Wanted", "know", "written_spectra"]

_Spectra = npt.NDArray[np.complex64]

_COARSE = 12  # 48 kHz to 4 kHz
_COARSE_HZ = SAMPLE_RATE_HZ / _COARSE
_SEGMENT = 2400  # coarse samples: 0.6 s
_HOP = 2000  # coarse samples: 0.5 s
_MARGIN = 40  # coarse samples before the first lag: room for the whitened marker's tails
_MARKER = MARKER_SAMPLES // _COARSE
_BIN_HZ = _COARSE_HZ / _SEGMENT
_BINS = slice(round(MARKER_BAND_HZ[0] / _BIN_HZ), round(MARKER_BAND_HZ[1] / _BIN_HZ) + 1)
_SMOOTHING_BINS = 90  # whitening follows the spectrum by 150 Hz
_RANGE = 1e-3  # and no further down than 30 dB
_QUIET = 1e-5  # 50 dB below the loudest 80 ms is silence, whatever its shape
_CANDIDATES = 3
_APART = 8  # coarse samples between candidates: 2 ms
_SCALLOP = 0.7  # the least share of a peak's height that the coarse samples beside it show
_FINE = np.arange(-18, 19)  # samples of 48 kHz: the coarse spacing and half a turn of the carrier, each way
_REACH = 18  # coarse samples to either side that the shape between them is read from
_KAISER = 11.0  # β: ripples of 110 dB, and as wide a transition as there is between the band and its image
_BEFORE_S = 50e-6  # how early a marker may seem to be heard: the instrument's own error
_TOGETHER = 4  # markers looked for at once
_BATCH = 8  # segments worked on at once, to stay within the cache


class Peak(NamedTuple):
    """A peak of the correlation: how high, and when its marker would have been heard."""

    rho: float
    heard_s: float


class Wanted(NamedTuple):
    """A marker, and between which instants it is looked for."""

    marker: Marker
    earliest_s: float
    latest_s: float

    def within(self, max_delay_s: float) -> Wanted:
        """Return it looked for no earlier than it was spoken, and no later than ``max_delay_s`` after."""
        spoken_s = self.marker.spoken_s
        return Wanted(self.marker, max(self.earliest_s, spoken_s), min(self.latest_s, spoken_s + max_delay_s))


class Search:
    """Spectra of a recording's segments, and the correlations read from them."""

    def __init__(self, pcm: Pcm, clock_s: float) -> None:
        self._clock_s = clock_s  # instant of the recording's first sample
        self._count = -(-(len(pcm) // _COARSE) // _HOP)
        self._spectra = self._transform(pcm)
        power = np.mean(np.square(self._spectra.real) + np.square(self._spectra.imag), axis=0)
        smooth = _smooth(power)
        # A recording of nothing at all is white enough.
        self._weight = 1.0 / np.maximum(smooth, max(float(smooth.max()) * _RANGE, 1e-30))
        self._energy = self._local_energy()
        self._per_amplitude = 1.0 / np.sqrt(self._energy)
        self._templates: dict[int, tuple[_Spectra, float]] = {}

    def peaks(self, wanted: Sequence[Wanted], gate: float) -> Iterator[list[Peak]]:
        """Yield of each marker its best peak between its two instants, and the others that may reach the gate.

        Several markers' segments are transformed together: the transform works on four at a time.
        """
        width = _BINS.stop - _BINS.start
        products = np.zeros((0, _SEGMENT), dtype=np.complex64)  # beyond the band it stays zero
        for begin in range(0, len(wanted), _TOGETHER):
            spans = [(each, *self._span(each)) for each in wanted[begin : begin + _TOGETHER]]
            ends = list(accumulate((end - begin for _, begin, end in spans), initial=0))
            if ends[-1] > len(products):
                products = np.zeros((ends[-1], _SEGMENT), dtype=np.complex64)
            for (each, first, last), at in zip(spans, ends, strict=False):
                template = self._template(each.marker.code)[0]
                np.multiply(self._spectra[first:last], template, out=products[at : at + last - first, :width])
            waves = np.asarray(fft.ifft(products[: ends[-1]], axis=-1), dtype=np.complex64)
            for (each, first, _), (at, end) in zip(spans, pairwise(ends), strict=True):
                yield self._best(each, first, products[at:end, :width], waves[at:end], gate) if at < end else []

    def _span(self, wanted: Wanted) -> tuple[int, int]:
        """Return the first segment that a marker may begin in, and the one behind the last; the same where none is."""
        first, last = self._lags(wanted)
        return (first // _HOP, last // _HOP + 1) if first <= last else (0, 0)

    def _lags(self, wanted: Wanted) -> tuple[int, int]:
        """Return the first and the last coarse sample of the recording at which a marker may begin."""
        first = max(0, math.floor((wanted.earliest_s - _BEFORE_S - self._clock_s) * _COARSE_HZ))
        last = min(self._count * _HOP - 1, math.ceil((wanted.latest_s - self._clock_s) * _COARSE_HZ))
        return first, last

    def _best(self, wanted: Wanted, begin: int, products: _Spectra, waves: _Spectra, gate: float) -> list[Peak]:
        """Return the peaks in what segments from ``begin`` on gave: their spectra's products, and those as waves."""
        marker, earliest_s, latest_s = wanted
        first, last = self._lags(wanted)
        template_energy = self._template(marker.code)[1]
        lags = np.abs(waves[:, _MARGIN : _MARGIN + _HOP])
        lags *= self._per_amplitude[begin : begin + len(waves)]
        envelope = lags.reshape(-1)
        # What lies outside the marker's own window is no candidate, though its segment was computed whole.
        envelope[: first - begin * _HOP] = 0.0
        envelope[last - begin * _HOP + 1 :] = 0.0
        # A peak between two coarse samples shows less than its height beside it: what could still reach the
        # gate is looked at finely, the best one in any case.
        enough = _SCALLOP * gate * math.sqrt(template_energy)
        found: list[Peak] = []
        for _ in range(_CANDIDATES):
            at = int(envelope.argmax())
            if found and envelope[at] < enough:
                break
            segment, lag = divmod(at, _HOP)
            offset, height = _peak(products[segment], waves[segment], lag + _MARGIN)
            heard_s = self._clock_s + ((begin * _HOP + at) * _COARSE + offset) / SAMPLE_RATE_HZ
            rho = height / float(np.sqrt(self._energy[begin + segment, lag] * template_energy))
            if earliest_s - _BEFORE_S <= heard_s <= latest_s:
                found.append(Peak(min(rho, 1.0), heard_s))
            # Its own flanks are no other candidates: the correlation of a band of 3.1 kHz falls off within a
            # millisecond.
            envelope[max(0, at - _APART) : at + _APART + 1] = 0.0
        return found

    def _template(self, code: int) -> tuple[_Spectra, float]:
        """Return a marker's conjugate spectrum, whitened twice (once for either side), and its whitened energy."""
        if code not in self._templates:
            spectrum = _spectrum(code)
            white = _wave(spectrum * np.sqrt(self._weight))
            energy = float(np.sum(np.square(np.abs(white)), dtype=np.float64))
            self._templates[code] = (spectrum.conj() * self._weight).astype(np.complex64), energy
        return self._templates[code]

    def _transform(self, pcm: Pcm) -> _Spectra:
        """Return the marker band of every segment's spectrum, shape (segments, bins)."""
        # A segment is 0.5 s of lags, the margin, and 80 ms of marker behind the last lag (40 + 2000 + 320 of
        # 2400): no product of its spectrum wraps around into a lag that is read.
        before, size, hop = _MARGIN * _COARSE, _SEGMENT * _COARSE, _HOP * _COARSE
        spectra = np.empty((self._count, _BINS.stop - _BINS.start), dtype=np.complex64)
        for begin in range(0, self._count, _BATCH):
            count = min(_BATCH, self._count - begin)
            first = begin * hop - before
            last = first + (count - 1) * hop + size
            sound = pcm[max(first, 0) : last]
            if len(sound) < last - first:  # at the ends there is silence
                sound = np.pad(sound, (max(-first, 0), max(last - len(pcm), 0)))
            segments = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]
            spectra[begin : begin + count] = fft.rfft(segments, axis=1)[:, _BINS]
        return spectra

    def _local_energy(self) -> npt.NDArray[np.float32]:
        """Return the whitened energy of the 80 ms from every coarse lag on, shape (segments, lags)."""
        energy = np.empty((self._count, _HOP), dtype=np.float32)
        amplitude = np.sqrt(self._weight)
        for begin in range(0, self._count, _BATCH):
            white = _wave(self._spectra[begin : begin + _BATCH] * amplitude)
            total = np.cumsum(np.square(white.real) + np.square(white.imag), axis=1, dtype=np.float64)
            head = total[:, _MARGIN - 1 : _MARGIN - 1 + _HOP]
            energy[begin : begin + _BATCH] = total[:, _MARGIN - 1 + _MARKER : _MARGIN - 1 + _MARKER + _HOP] - head
        # Where there is no sound at all the correlation of nothing with anything would be 0 / 0.
        quiet: npt.NDArray[np.float32] = np.maximum(energy, max(float(energy.max()) * _QUIET, 1e-30))
        return quiet


def _smooth(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of the ``_SMOOTHING_BINS`` around each bin, the outermost ones standing for what lies beyond.

    It is ``scipy.ndimage.uniform_filter1d(power, size, mode="nearest")`` to the bit, without 30 ms of import.
    """
    size = _SMOOTHING_BINS
    wide = np.pad(power.astype(np.float64), (size // 2, (size - 1) // 2), mode="edge")
    return (np.cumsum(np.append(np.cumsum(wide[:size])[-1], wide[size:] - wide[:-size])) / size).astype(power.dtype)


@cache
def _turns() -> tuple[npt.NDArray[np.int32], _Spectra, _Spectra]:
    """Return the bins of the marker band, a turn by coarse samples, and the band's turns by each of ``_FINE``."""
    bins = np.arange(_BINS.start, _BINS.stop, dtype=np.int32)
    turns = np.exp(2j * np.pi * np.arange(_SEGMENT) / _SEGMENT).astype(np.complex64)
    return bins, turns, np.exp(2j * np.pi * np.outer(_FINE, bins) / (_SEGMENT * _COARSE)).astype(np.complex64)


def _peak(product: _Spectra, wave: _Spectra, lag: int) -> tuple[float, float]:
    """Return where (samples of 48 kHz from ``lag``) and how high the correlation itself peaks.

    It is interpolated from its coarse ``wave`` to find out where; how high it is there, and right beside, is the sum of
    its spectrum, ``product``: thirteen times the work a point.
    """
    bins, turns, finely = _turns()
    near, kernel = wave[lag - _REACH : lag + _REACH + 1], _kernel()
    top = int((np.einsum("lb,b->l", kernel, near) * turns[_BINS.start * lag % _SEGMENT]).real.argmax())
    first = min(max(top - 1, 0), len(_FINE) - 3)
    turn = bins * lag
    turn -= turn // _SEGMENT * _SEGMENT  # a third of what ``%`` takes
    # Not a BLAS product: its threads cost more than they save on so small a one.
    fine = np.einsum("lb,b->l", finely[first : first + 3], product * turns[turn]).real / _SEGMENT
    if top in (0, len(_FINE) - 1):
        return float(_FINE[top]), float(fine[top - first])
    left, height, right = (float(value) for value in fine)
    lean = 0.5 * (left - right) / min(left - 2 * height + right, -1e-30)
    return float(_FINE[top]) + lean, height - 0.25 * (left - right) * lean


@cache
def _kernel() -> _Spectra:
    """Return what makes ``_FINE`` samples of the correlation, real parts, of the coarse ones within ``_REACH``.

    A sinc under Kaiser's window, around the middle of the band: the band's image begins 900 Hz beyond it, and a window
    of 33 samples at 4 kHz is that steep. Source: Kaiser's formulas in Oppenheim and Schafer, "Discrete-Time Signal
    Processing" (N = (A - 8) / (2.285 Δω)).
    """
    apart = np.subtract.outer(_FINE / _COARSE, np.arange(-_REACH, _REACH + 1))
    half = _REACH - _FINE[-1] / _COARSE
    window = np.i0(_KAISER * np.sqrt(np.maximum(1 - (apart / half) ** 2, 0.0))) / np.i0(_KAISER)
    middle = (_BINS.stop - 1 - _BINS.start) / 2
    turned = np.exp(2j * np.pi * (middle * apart + _BINS.start * (_FINE / _COARSE)[:, np.newaxis]) / _SEGMENT)
    return np.asarray(np.sinc(apart) * window * (np.abs(apart) < half) * turned, dtype=np.complex64)


def _spectrum(code: int) -> _Spectra:
    """Return the marker band of a marker's spectrum."""
    if code not in _known:
        _known[code] = np.asarray(fft.rfft(waveform(code), _SEGMENT * _COARSE)[_BINS], dtype=np.complex64)
    return _known[code]


_known: Final[dict[int, _Spectra]] = {}


def written_spectra() -> list[bytes]:
    """Return what is known of every marker, in the order of the codes, for ``know`` in another process."""
    return [_spectrum(code).tobytes() for code in range(CODES)]


def know(written: Sequence[bytes]) -> None:
    """Take what ``written_spectra`` said in a process with the same libraries: it need not be worked out again."""
    _known.update(enumerate(np.frombuffer(each, dtype=np.complex64) for each in written))


def _wave(band: npt.NDArray[np.complexfloating]) -> _Spectra:
    """Return the complex baseband waveform (4 kHz) of a spectrum of the marker band, along the last axis."""
    full = np.zeros((*band.shape[:-1], _SEGMENT), dtype=np.complex64)
    full[..., : band.shape[-1]] = band
    return np.asarray(fft.ifft(full, axis=-1, overwrite_x=True), dtype=np.complex64)
