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
    3. Sound leaves a loudspeaker in the order it was spoken, one marker at a time: peaks are given away best first,
       and a marker cannot be heard before, or within, one that was spoken earlier. (Over speech this is what
       keeps a damaged marker from being found in its neighbour, which it resembles by up to 0.5.)
    4. A marker heard twice could be another talker's who speaks the same codes (a second rtcprobe in the room): where
       two peaks reach the gate it is rejected. (Other codes resemble its own by up to 0.5, in part.)
    5. An instant is only given when ρ reaches the gate. Below it the marker was hit by concealment or stretching,
       and the time of its peak says little: rejected. Below the floor there was nothing like it: lost.

How:
    Segments of 0.6 s, a new one every 0.5 s, are transformed once; every correlation after that is a product of
    spectra. Its envelope is read at 4 kHz (the band is 3.1 kHz wide, so nothing is lost but resolution); around its
    best peaks the correlation itself is read at 48 kHz, with a parabola through the three samples at the top.
    Markers are looked for within two seconds of being spoken; those not heard, again up to ``max_delay_s`` between
    their neighbours, and all of them when most were not heard.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from rtcprobe.audio.marker import MARKER_BAND_HZ, MARKER_S, MARKER_SAMPLES, Marker, MarkerTrain, waveform
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.errors import BadInputError
from rtcprobe.units import format_duration

__all__ = ["FLOOR", "GATE", "MAX_DELAY_S", "Hearing", "MarkerOutcome", "listen"]

MAX_DELAY_S = 10.0

GATE = 0.6
"""The least ρ that gives an instant, chosen by measurement.

Whole markers reach 0.69 and more through every mode at 16 to 64 kb/s. Of markers damaged by 5 and 20 % loss and
concealment (fixed delay and NetEQ) every one above 0.6 is where the playout put its sound, within 0.05 ms, or within
the span of a stretch that fell into it. Chance stays below: 0.25 at best in 10 s of noise, 0.3 in another marker;
over speech 0.58 once the order is kept. It is also the gate of the measurements of a real libwebrtc we compare with.
"""

FLOOR = 0.35
"""The least ρ at which a marker was hit rather than lost: what chance does not reach in noise or another marker."""

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
_APART = 8  # coarse samples between candidates: 2 ms
_SCALLOP = 0.7  # the least share of a peak's height that the coarse samples beside it show
_FINE = np.arange(-18, 19)  # samples of 48 kHz: the coarse spacing and half a turn of the carrier, each way
_SAME_S = 1e-3  # two peaks nearer to each other than that are one, found twice
_BEFORE_S = 50e-6  # how early a marker may seem to be heard: the instrument's own error
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

    def with_clock(self, instant: Callable[[float], float]) -> Hearing:
        """Return the same hearing told on another clock: ``instant`` turns every ``heard_s``."""
        return Hearing(
            tuple(
                item if item.heard_s is None else replace(item, heard_s=instant(item.heard_s)) for item in self.outcomes
            )
        )


def listen(
    pcm: Pcm,
    start_s: float,
    train: MarkerTrain,
    markers: Sequence[Marker],
    *,
    max_delay_s: float = MAX_DELAY_S,
    gate: float = GATE,
    advance_s: float = 0.0,
    after_s: float = -math.inf,
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
            (``opus_packet.phase_advance_s``); added to every instant.
        after_s: nothing is heard before it: there the markers before these were heard.

    Raises:
        BadInputError: ``max_delay_s`` longer than the codes can tell apart, or ``gate`` outside 0 to 1.
    """
    _need_possible(train, max_delay_s, gate)
    if not markers:
        return Hearing(())
    if pcm.size < MARKER_SAMPLES:
        return Hearing(
            tuple(_unheard(marker, "lost", 0.0, "the recording is shorter than a marker") for marker in markers)
        )
    search = _Search(pcm, start_s + advance_s)
    score = _Score(markers, gate, after_s)
    near_s = min(_NEAR_S, max_delay_s)
    for index, marker in enumerate(markers):
        score.offer(index, search.peaks(marker, marker.spoken_s, marker.spoken_s + near_s, gate))
    score.settle()
    if max_delay_s > near_s:
        if 2 * len(score.missing()) > len(markers):
            score = _Score(markers, gate, after_s)  # the delay is not a near one: what seemed heard may be chance
        for index in score.missing():
            earliest_s, before_s = score.between(index)
            latest_s = min(before_s, markers[index].spoken_s + max_delay_s)
            score.offer(index, search.peaks(markers[index], max(earliest_s, markers[index].spoken_s), latest_s, gate))
        score.settle()
    return Hearing(score.outcomes())


def _need_possible(train: MarkerTrain, max_delay_s: float, gate: float) -> None:
    longest_s = train.period_s - MARKER_SAMPLES / SAMPLE_RATE_HZ
    if not 0.0 < max_delay_s <= longest_s:
        every = format_duration(train.spacing_s)
        fact = f"a largest delay of {format_duration(max_delay_s)} is ambiguous with markers every {every}"
        raise BadInputError(fact, f"give more than 0ms and at most {format_duration(longest_s)}")
    if not 0.0 < gate <= 1.0:
        raise BadInputError(f"a correlation gate of {gate:g} is impossible", "give more than 0 and at most 1")


class _Peak(NamedTuple):
    """A peak of the correlation: how high, and when its marker would have been heard."""

    rho: float
    heard_s: float


class _Search:
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
        self._templates: dict[int, tuple[_Spectra, float]] = {}

    def peaks(self, marker: Marker, earliest_s: float, latest_s: float, gate: float) -> list[_Peak]:
        """Return a marker's best peak between two instants, and the others that may reach the gate."""
        first = max(0, math.floor((earliest_s - _BEFORE_S - self._clock_s) * _COARSE_HZ))
        last = min(self._count * _HOP - 1, math.ceil((latest_s - self._clock_s) * _COARSE_HZ))
        if last < first:
            return []
        begin, end = first // _HOP, last // _HOP + 1
        template, template_energy = self._template(marker.code)
        products = self._spectra[begin:end] * template
        lags = np.abs(_wave(products)[:, _MARGIN : _MARGIN + _HOP])
        envelope = (lags / np.sqrt(self._energy[begin:end] * template_energy)).reshape(-1)
        envelope[: first - begin * _HOP] = 0.0
        envelope[last - begin * _HOP + 1 :] = 0.0
        found: list[_Peak] = []
        for _ in range(_CANDIDATES):
            at = int(envelope.argmax())
            if found and envelope[at] < _SCALLOP * gate:
                break
            segment, lag = divmod(at, _HOP)
            offset, height = self._peak(products[segment], lag + _MARGIN)
            heard_s = self._clock_s + ((begin * _HOP + at) * _COARSE + offset) / SAMPLE_RATE_HZ
            rho = height / float(np.sqrt(self._energy[begin + segment, lag] * template_energy))
            if earliest_s - _BEFORE_S <= heard_s <= latest_s:
                found.append(_Peak(min(rho, 1.0), heard_s))
            envelope[max(0, at - _APART) : at + _APART + 1] = 0.0
        return found

    def _peak(self, product: _Spectra, lag: int) -> tuple[float, float]:
        """Return where (samples of 48 kHz from ``lag``) and how high the correlation itself peaks."""
        bins, turns, finely = _turns()
        turned = product * turns[bins * lag % _SEGMENT]
        # Not a BLAS product: its threads cost more than they save on so small a one.
        fine = np.einsum("lb,b->l", finely, turned).real / _SEGMENT
        top = int(fine.argmax())
        if not 0 < top < len(fine) - 1:
            return float(_FINE[top]), float(fine[top])
        left, height, right = (float(value) for value in fine[top - 1 : top + 2])
        lean = 0.5 * (left - right) / min(left - 2 * height + right, -1e-30)
        return float(_FINE[top]) + lean, height - 0.25 * (left - right) * lean

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
        before, size, hop = _MARGIN * _COARSE, _SEGMENT * _COARSE, _HOP * _COARSE
        spectra = np.empty((self._count, _BINS.stop - _BINS.start), dtype=np.complex64)
        for begin in range(0, self._count, _BATCH):
            count = min(_BATCH, self._count - begin)
            first = begin * hop - before
            padded = np.zeros((count - 1) * hop + size, dtype=np.float32)
            sound = pcm[max(first, 0) : first + len(padded)]
            padded[max(-first, 0) : max(-first, 0) + len(sound)] = sound
            segments = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
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
def _turns() -> tuple[npt.NDArray[np.int64], _Spectra, _Spectra]:
    """Return the bins of the marker band, a turn by coarse samples, and the band's turns by each of ``_FINE``."""
    bins = np.arange(_BINS.start, _BINS.stop)
    turns = np.exp(2j * np.pi * np.arange(_SEGMENT) / _SEGMENT).astype(np.complex64)
    return bins, turns, np.exp(2j * np.pi * np.outer(_FINE, bins) / (_SEGMENT * _COARSE)).astype(np.complex64)


@cache
def _spectrum(code: int) -> _Spectra:
    """Return the marker band of a marker's spectrum."""
    return np.asarray(fft.rfft(waveform(code), _SEGMENT * _COARSE)[_BINS], dtype=np.complex64)


def _wave(band: npt.NDArray[np.complexfloating]) -> _Spectra:
    """Return the complex baseband waveform (4 kHz) of a spectrum of the marker band, along the last axis."""
    full = np.zeros((*band.shape[:-1], _SEGMENT), dtype=np.complex64)
    full[..., : band.shape[-1]] = band
    return np.asarray(fft.ifft(full, axis=-1, overwrite_x=True), dtype=np.complex64)


class _Score:
    """Which peak is whose (rule 3): the best peak of all is settled first."""

    def __init__(self, markers: Sequence[Marker], gate: float, after_s: float) -> None:
        self._markers = markers
        self._after_s = after_s
        self._gate = gate
        self._offers: list[tuple[float, int, float]] = []  # -ρ, index, instant: sorts best first
        self._best = [0.0] * len(markers)
        self._loud: list[list[float]] = [[] for _ in markers]  # instants of all peaks that reach the gate
        self._heard: dict[int, _Peak] = {}
        self._order: list[int] = []  # indices heard, sorted, and their instants, which are sorted too
        self._instants: list[float] = []

    def offer(self, index: int, peaks: Iterable[_Peak]) -> None:
        """Take the peaks found for a marker."""
        for peak in peaks:
            self._offers.append((-peak.rho, index, peak.heard_s))
            self._best[index] = max(self._best[index], peak.rho)
            if peak.rho >= self._gate:
                self._loud[index].append(peak.heard_s)

    def settle(self) -> None:
        """Give every marker its best peak that reaches the gate and is not in the way of a better one."""
        for negative, index, heard_s in sorted(self._offers):
            if -negative < self._gate:
                break
            if index in self._heard:
                continue
            after_s, before_s = self.between(index)
            if after_s < heard_s < before_s:
                at = bisect_left(self._order, index)
                self._order.insert(at, index)
                self._instants.insert(at, heard_s)
                self._heard[index] = _Peak(-negative, heard_s)
        self._offers.clear()

    def missing(self) -> list[int]:
        """Return the indices without an instant."""
        return [index for index in range(len(self._markers)) if index not in self._heard]

    def between(self, index: int) -> tuple[float, float]:
        """Return the instants between which a marker can have been heard, given those heard around it."""
        at = bisect_left(self._order, index)
        after_s = self._instants[at - 1] + MARKER_S if at else self._after_s
        before_s = self._instants[at] - MARKER_S if at < len(self._instants) else math.inf
        return after_s, before_s

    def outcomes(self) -> tuple[MarkerOutcome, ...]:
        """Return what became of every marker (rules 1, 4 and 5)."""
        return tuple(self._outcome(index, marker) for index, marker in enumerate(self._markers))

    def _outcome(self, index: int, marker: Marker) -> MarkerOutcome:
        peak, best = self._heard.get(index), self._best[index]
        if peak is not None and any(abs(each_s - peak.heard_s) > _SAME_S for each_s in self._loud[index]):
            return _unheard(marker, "rejected", best, "it was heard twice: it could be another talker's")
        if peak is not None:
            return MarkerOutcome(marker=marker, outcome="heard", heard_s=peak.heard_s, correlation=peak.rho)
        if best >= self._gate:
            return _unheard(marker, "rejected", best, "another marker was heard in its place")
        if best >= FLOOR:
            return _unheard(marker, "rejected", best, f"its correlation is below {self._gate:g}")
        return _unheard(marker, "lost", best, "nothing like it was heard")


def _unheard(marker: Marker, outcome: Literal["rejected", "lost"], rho: float, reason: str) -> MarkerOutcome:
    return MarkerOutcome(marker=marker, outcome=outcome, heard_s=None, correlation=rho, reason=reason)
