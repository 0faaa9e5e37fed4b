"""The ear: where in a recording each marker was heard, and what became of those that were not.

Facts:
    A matched filter is the best a listener can do in noise of known spectrum: the recording and the marker are both
    whitened by the recording's own long-term spectrum, which does nothing over silence or white noise and takes the
    weight off the vowels over speech. What is compared with the gate is the normalised correlation ρ of the two
    over the marker's 80 ms: 1 for a perfect copy, about 0.05 RMS for anything unrelated.

Rules:
    1. Every scheduled marker ends as heard, rejected or lost, with its reason: scheduled = heard + rejected + lost.
    2. Nothing is heard before it is spoken, nor more than ``max_delay_s`` after; that bound is shorter than the
       period of the codes, so a code names one marker.
    3. One peak is one marker's: of two markers claiming instants less than half a marker apart the better one
       keeps its own.
    4. An instant is only given when ρ reaches the gate. Below it the marker was hit by concealment or stretching,
       and the time of its peak says little: rejected. Below the floor there was nothing like it: lost.

How:
    Segments of 0.6 s, a new one every 0.5 s, are transformed once; every correlation after that is a product of
    spectra. Its envelope is read at 4 kHz (the band is 3.1 kHz wide, so nothing is lost but resolution); around its
    best peaks the correlation itself is read at 48 kHz, with a parabola through the three samples at the top.
    Markers not heard within two seconds are looked for again up to ``max_delay_s``.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import uniform_filter1d

from rtcprobe.audio.marker import MARKER_BAND_HZ, MARKER_SAMPLES, Marker, MarkerTrain, waveform
from rtcprobe.errors import BadInputError
from rtcprobe.units import format_duration

__all__ = ["FLOOR", "GATE", "MAX_DELAY_S", "Hearing", "MarkerOutcome", "listen"]

SAMPLE_RATE_HZ = 48_000
MAX_DELAY_S = 10.0

GATE = 0.6
FLOOR = 0.4

Pcm = npt.NDArray[np.float32]
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
_NEAR_S = 2.0
_CANDIDATES = 3
_APART = 4  # coarse samples between candidates: 1 ms
_SCALLOP = 0.7  # the least share of a peak's height that the coarse samples beside it show
_FINE = np.arange(-18, 19)  # samples of 48 kHz: the coarse spacing and half a turn of the carrier, each way
_BEFORE_S = 50e-6  # how early a marker may seem to be heard: the instrument's own error
_PEAK_S = 0.040  # rule 3: half a marker
_BATCH = 16  # segments worked on at once, to stay within the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerOutcome:
    """What became of one marker. ``heard_s`` (the clock of ``spoken_s``) is there when it was heard, only then.

    ``correlation`` is the best ρ found; ``reason`` says why it was not heard and is empty where it was.
    """

    marker: Marker
    outcome: Literal["heard", "rejected", "lost"]
    heard_s: float | None
    correlation: float
    reason: str = ""

    @property
    def delay_s(self) -> float | None:
        """Mouth-to-ear delay of this marker: heard less spoken."""
        return None if self.heard_s is None else self.heard_s - self.marker.spoken_s


@dataclass(frozen=True)
class Hearing:
    """Every scheduled marker's outcome, in the order spoken."""

    outcomes: tuple[MarkerOutcome, ...]

    @property
    def scheduled(self) -> int:
        """How many markers were to be heard."""
        return len(self.outcomes)

    @cached_property
    def heard(self) -> tuple[MarkerOutcome, ...]:
        """The markers with an instant."""
        return tuple(item for item in self.outcomes if item.outcome == "heard")

    @cached_property
    def rejected(self) -> tuple[MarkerOutcome, ...]:
        """The markers that came out damaged."""
        return tuple(item for item in self.outcomes if item.outcome == "rejected")

    @cached_property
    def lost(self) -> tuple[MarkerOutcome, ...]:
        """The markers that did not come out."""
        return tuple(item for item in self.outcomes if item.outcome == "lost")

    @cached_property
    def delays_s(self) -> npt.NDArray[np.float64]:
        """Mouth-to-ear delays of the markers heard, shape (heard,), in the order spoken."""
        return np.array([item.delay_s for item in self.heard], dtype=np.float64)


def listen(
    pcm: Pcm,
    start_s: float,
    train: MarkerTrain,
    markers: Sequence[Marker],
    *,
    max_delay_s: float = MAX_DELAY_S,
    gate: float = GATE,
    advance_s: float = 0.0,
) -> Hearing:
    """Find each of ``markers`` in a recording.

    Args:
        pcm: the recording, shape (samples,), 48 kHz, whose first sample left the loudspeaker at ``start_s``.
        start_s: on the clock of ``Marker.spoken_s``.
        train: where the markers come from; bounds the delay.
        markers: those scheduled, usually ``train.markers(...)``.
        max_delay_s: no marker is looked for later than this after it was spoken.
        gate: the least correlation that gives an instant, 0 to 1.
        advance_s: how much earlier than its nominal look-ahead the codec delivers the marker band
            (``opus.phase_advance_s``); added to every instant.

    Raises:
        BadInputError: ``max_delay_s`` longer than the codes can tell apart, or ``gate`` outside 0 to 1.
    """
    if not 0.0 < max_delay_s <= train.period_s - MARKER_SAMPLES / SAMPLE_RATE_HZ:
        raise BadInputError(
            f"a largest delay of {format_duration(max_delay_s)} is ambiguous with markers every "
            f"{format_duration(train.spacing_s)}",
            f"give more than 0ms and at most {format_duration(train.period_s - MARKER_SAMPLES / SAMPLE_RATE_HZ)}",
        )
    if not 0.0 < gate <= 1.0:
        raise BadInputError(f"a correlation gate of {gate:g} is impossible", "give more than 0 and at most 1")
    if not markers:
        return Hearing(())
    if pcm.size < MARKER_SAMPLES:
        return Hearing(tuple(_lost(marker, 0.0, "the recording is shorter than a marker") for marker in markers))
    search = _Search(pcm)
    clock_s = start_s + advance_s
    found = [search.find(marker, clock_s, min(_NEAR_S, max_delay_s)) for marker in markers]
    if max_delay_s > _NEAR_S:
        for index, marker in enumerate(markers):
            if found[index][1] < gate:
                found[index] = search.find(marker, clock_s, max_delay_s)
    return Hearing(tuple(_judge(markers, found, gate)))


class _Search:
    """Spectra of a recording's segments, and the correlations read from them."""

    def __init__(self, pcm: Pcm) -> None:
        self._count = -(-(len(pcm) // _COARSE) // _HOP)
        self._spectra = self._transform(pcm)
        power = np.mean(np.square(self._spectra.real) + np.square(self._spectra.imag), axis=0)
        smooth = uniform_filter1d(power, _SMOOTHING_BINS, mode="nearest")
        # A recording of nothing at all is white enough.
        self._weight = 1.0 / np.maximum(smooth, max(float(smooth.max()) * _RANGE, 1e-30))
        self._energy = self._local_energy()
        self._templates: dict[int, tuple[_Spectra, float]] = {}
        self._bins = np.arange(_BINS.start, _BINS.stop)
        self._turns = np.exp(2j * np.pi * np.arange(_SEGMENT) / _SEGMENT).astype(np.complex64)
        self._fine = np.exp(2j * np.pi * np.outer(_FINE, self._bins) / (_SEGMENT * _COARSE)).astype(np.complex64)

    def find(self, marker: Marker, clock_s: float, reach_s: float) -> tuple[float, float]:
        """Return (heard_s, ρ) of a marker's best peak, from when it was spoken to ``reach_s`` later.

        ``clock_s`` is the instant of the recording's first sample.
        """
        earliest_s = marker.spoken_s - _BEFORE_S - clock_s
        latest_s = marker.spoken_s + reach_s - clock_s
        first = max(0, int(np.floor(earliest_s * _COARSE_HZ)))
        last = min(self._count * _HOP - 1, int(np.ceil(latest_s * _COARSE_HZ)))
        if last < first:
            return clock_s, 0.0
        begin, end = first // _HOP, last // _HOP + 1
        template, template_energy = self._template(marker.code)
        products = self._spectra[begin:end] * template
        lags = np.abs(_wave(products)[:, _MARGIN : _MARGIN + _HOP])
        envelope = (lags / np.sqrt(self._energy[begin:end] * template_energy)).reshape(-1)
        envelope[: first - begin * _HOP] = 0.0
        envelope[last - begin * _HOP + 1 :] = 0.0
        best = (clock_s, 0.0)
        for _ in range(_CANDIDATES):
            at = int(envelope.argmax())
            if envelope[at] < best[1] * _SCALLOP:
                break
            segment, lag = divmod(at, _HOP)
            offset, height = self._peak(products[segment], lag + _MARGIN)
            heard_s = ((begin * _HOP + at) * _COARSE + offset) / SAMPLE_RATE_HZ
            rho = height / float(np.sqrt(self._energy[begin + segment, lag] * template_energy))
            if rho > best[1] and earliest_s <= heard_s <= latest_s:
                best = (heard_s + clock_s, min(rho, 1.0))
            envelope[max(0, at - _APART) : at + _APART + 1] = 0.0
        return best

    def _peak(self, product: _Spectra, lag: int) -> tuple[float, float]:
        """Return where (samples of 48 kHz from ``lag``) and how high the correlation itself peaks."""
        turned = product * self._turns[self._bins * lag % _SEGMENT]
        # Not a BLAS product: its threads cost more than they save on so small a one.
        fine = np.einsum("lb,b->l", self._fine, turned).real / _SEGMENT
        top = int(fine.argmax())
        if not 0 < top < len(fine) - 1:
            return float(_FINE[top]), float(fine[top])
        left, height, right = (float(value) for value in fine[top - 1 : top + 2])
        lean = 0.5 * (left - right) / min(left - 2 * height + right, -1e-30)
        return float(_FINE[top]) + lean, height - 0.25 * (left - right) * lean

    def _template(self, code: int) -> tuple[_Spectra, float]:
        """Return a marker's conjugate spectrum, whitened twice (once for either side), and its whitened energy."""
        if code not in self._templates:
            spectrum = fft.rfft(waveform(code), _SEGMENT * _COARSE)[_BINS]
            white = _wave(spectrum * np.sqrt(self._weight))
            energy = float(np.sum(np.square(np.abs(white)), dtype=np.float64))
            self._templates[code] = (spectrum.conj() * self._weight).astype(np.complex64), energy
        return self._templates[code]

    def _transform(self, pcm: Pcm) -> _Spectra:
        """Return the marker band of every segment's spectrum, shape (segments, bins)."""
        before, size, hop = _MARGIN * _COARSE, _SEGMENT * _COARSE, _HOP * _COARSE
        padded = np.zeros((self._count - 1) * hop + size, dtype=np.float32)
        sound = pcm[: len(padded) - before]
        padded[before : before + len(sound)] = sound
        segments = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
        spectra = np.empty((self._count, _BINS.stop - _BINS.start), dtype=np.complex64)
        for begin in range(0, self._count, _BATCH):
            spectra[begin : begin + _BATCH] = fft.rfft(segments[begin : begin + _BATCH], axis=1)[:, _BINS]
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
        quiet: npt.NDArray[np.float32] = np.maximum(energy, max(float(energy.max()) * _QUIET, 1e-30))
        return quiet


def _wave(band: npt.NDArray[np.complexfloating]) -> _Spectra:
    """Return the complex baseband waveform (4 kHz) of a spectrum of the marker band, along the last axis."""
    full = np.zeros((*band.shape[:-1], _SEGMENT), dtype=np.complex64)
    full[..., : band.shape[-1]] = band
    return np.asarray(fft.ifft(full, axis=-1, overwrite_x=True), dtype=np.complex64)


def _judge(markers: Sequence[Marker], found: Sequence[tuple[float, float]], gate: float) -> list[MarkerOutcome]:
    """Return the outcome of each marker from the best peak found for it (rules 3 and 4)."""
    taken: list[float] = []  # instants given away so far, sorted
    outcomes: dict[int, MarkerOutcome] = {}
    for index in sorted(range(len(markers)), key=lambda index: (-found[index][1], index)):
        marker, (heard_s, rho) = markers[index], found[index]
        if rho < min(FLOOR, gate):
            outcomes[index] = _lost(marker, rho, "nothing like it was heard")
        elif rho < gate:
            outcomes[index] = _rejected(marker, rho, f"its correlation is below {gate:g}")
        elif (at := bisect_left(taken, heard_s - _PEAK_S)) < len(taken) and taken[at] <= heard_s + _PEAK_S:
            outcomes[index] = _rejected(marker, rho, "another marker was heard at its instant")
        else:
            insort(taken, heard_s)
            outcomes[index] = MarkerOutcome(marker=marker, outcome="heard", heard_s=heard_s, correlation=rho)
    return [outcomes[index] for index in range(len(markers))]


def _rejected(marker: Marker, rho: float, reason: str) -> MarkerOutcome:
    return MarkerOutcome(marker=marker, outcome="rejected", heard_s=None, correlation=rho, reason=reason)


def _lost(marker: Marker, rho: float, reason: str) -> MarkerOutcome:
    return MarkerOutcome(marker=marker, outcome="lost", heard_s=None, correlation=rho, reason=reason)
