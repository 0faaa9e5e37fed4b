"""Concealment: going on with the last pitch period, ever more like noise, ever quieter.

Facts:
    The first call of a gap analyses the last 32 ms: period, how well it repeats, how the level moves, and a
    sixth-order predictor for the noisy part. Each call then yields one period (2.5 to 15 ms), so a call may make
    more than a tick needs and the rest is played in the next. Noise-like sound fades by 0.5 % per 1/8 ms, steadily
    voiced sound not at all before the fourth call.
    What is left when the gap ends differs in length from the gap: a merge moves the delay by up to a period.

Rules:
    1. The gain is kept in Q14: it reaches exact zero when it stops falling after more than three calls.
    2. The sound has 16 bits, as upstream: a gap fades to exact zeros some time before the gain is zero.
    3. Background noise is not faded in (M151: exact zeros after 110 to 130 ms on noise of -55 dBFS).

Source: ``expand.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.base import Pcm
from rtcprobe.playout.neteq.dsp import (
    DECIMATION,
    NOISE_LENGTH,
    OVERLAP_SAMPLES,
    all_pole,
    best_lag,
    downsample,
    fade_in,
    linear_prediction,
    noise_table,
    peak,
    residual,
)
from rtcprobe.playout.neteq.sync import SyncBuffer

__all__ = ["Expand"]

_M: Final = 6  # upstream's lengths are of 8 kHz (``fs_mult``)
_HISTORY: Final = 256 * _M  # 32 ms
_SHORTEST_LAG: Final = 20 * _M  # 2.5 ms: a voice of 400 Hz
_LONGEST_LAG: Final = 120 * _M  # 15 ms: one of 67 Hz
_REFINE: Final = 4 * _M  # two points of 4 kHz to either side, where the best lag at 48 kHz is looked for
_DISTORTION_SAMPLES: Final = 20 * _M
_LPC_SAMPLES: Final = 160 * _M  # 20 ms
_LPC_ORDER: Final = 6
_GAIN_SAMPLES: Final = 128
_POINTS: Final = 124  # 4 kHz: 60 correlated, at lags 10 to 63
_CORRELATED: Final = 60
_SEARCHED: Final = 51
_CANDIDATES: Final = 3
_ONE: Final = 16384  # Q14, in which upstream keeps gains (rule 1)
_SLOPE_ONE: Final = 1 << 20  # mute slopes are Q20 per sample
_NOISY_SLOPE: Final = 5243 // _M
_SLOPE_AFTER: Final = {3: 1049 // _M, 7: 2097 // _M}  # from the fourth and the eighth call on, voiced or not
_MOST_CALLS: Final = 200  # ``kMaxConsecutiveExpands``
_NOISE_AHEAD: Final = 2048  # two or three periods of the longest lag
_STEPS: Final = np.float32(32768)  # of 16-bit sound (rule 2)
_COUNT: Final = np.arange(2 * _LONGEST_LAG, dtype=np.float64)  # 0, 1, 2, … of a period's samples
_COUNT_32: Final = _COUNT.astype(np.float32)


@dataclass(slots=True, kw_only=True, eq=False)
class _Material:
    """What the analysis of the last 32 ms gives the whole gap."""

    lags: tuple[int, int, int]
    longest_lag: int
    last: Pcm  # the last period and overlap
    previous: Pcm  # the one before, at the same level
    voice_mix: float  # how much of the period, how much noise
    slope_q20: int
    onset: bool
    predictor: npt.NDArray[np.float64]
    noise_gain: float
    noise_state: npt.NDArray[np.floating]
    noise: Pcm  # made ahead, and from where on it is unused
    noise_at: int = 0


class Expand:
    """The concealment of one stream; ``process`` yields the next period."""

    __slots__ = (
        "_calls",
        "_direction",
        "_lag_index",
        "_material",
        "_mix",
        "_noise_place",
        "_slope_q20",
        "_steady",
        "mute_q14",
    )

    def __init__(self) -> None:
        self._material: _Material | None = None
        self._calls = 0
        self._lag_index = -1
        self._direction = 1
        self._steady = False
        self._mix = 1.0
        self._slope_q20 = 0
        self._noise_place = 0
        self.mute_q14 = _ONE

    @property
    def mute(self) -> float:
        """The gain concealment has faded to."""
        return self.mute_q14 / _ONE

    @property
    def muted(self) -> bool:
        """Whether a gap is being concealed that has faded to nothing."""
        return self._material is not None and not self._steady and self.mute_q14 == 0

    @property
    def longest_lag(self) -> int:
        """The longest of this gap's lags, in samples; 0 outside a gap."""
        return self._material.longest_lag if self._material is not None else 0

    def reset(self) -> None:
        """End the gap: the next call analyses anew."""
        self._material = None
        self._calls = 0

    def hold_for_normal(self) -> None:
        """Prepare one more period to cross-fade into the packet that came late: its best lag, no more fading."""
        self._lag_index, self._direction, self._steady = 0, 0, True

    def hold_for_merge(self) -> None:
        """Prepare one more period to align a new packet to: its best lag, no more fading."""
        self._lag_index, self._direction, self._steady = -1, 1, True

    def process(self, sync: SyncBuffer) -> Pcm:
        """Return the next period; the overlap at the end of ``sync`` is faded into it where the sound is voiced."""
        material = self._material
        if material is None:
            self._begin()
            material = self._material = _heard(sync.data[sync.end - _HISTORY : sync.end])
            self._slope_q20 = material.slope_q20
        lag = material.lags[self._next_lag_index()]
        if self.mute_q14 == 0 and not self._steady:  # faded out: zeros, and no work for them
            self._calls = min(self._calls + 1, _MOST_CALLS)
            return np.zeros(lag, dtype=np.float32)
        voiced = self._voiced(material, lag)
        # Q14 of 0.05: below that, or in mostly noise, a cross-fade would be heard less than it costs.
        if self.mute_q14 > 819 and self._mix > 0.5:
            weight = fade_in(OVERLAP_SAMPLES)
            overlap = sync.data[sync.end - OVERLAP_SAMPLES : sync.end]
            overlap *= 1 - weight
            overlap += weight * np.float32(self.mute) * voiced[:OVERLAP_SAMPLES]
        sound = self._mixed(material, voiced[OVERLAP_SAMPLES:], lag)
        self._fade(material, sound, lag)
        self._calls = min(self._calls + 1, _MOST_CALLS)
        # In place from here on, as below: a period is some hundred samples, and each array costs as much as its sums.
        sound *= _STEPS
        np.rint(sound, out=sound)
        sound /= _STEPS
        return sound

    def _begin(self) -> None:
        self._lag_index, self._direction, self._steady = -1, 1, False
        self._calls = 0
        self._mix = 1.0
        self.mute_q14 = _ONE

    def _next_lag_index(self) -> int:
        # Best, mean, towards the other, mean, best ...: three lags that swing, so that no period is repeated like a
        # machine.
        self._lag_index += self._direction
        if self._lag_index <= 0:
            self._direction = 1
        if self._lag_index >= 2:
            self._direction = -1
        return self._lag_index

    def _voiced(self, material: _Material, lag: int) -> Pcm:
        last = material.last[-lag - OVERLAP_SAMPLES :]
        if self._lag_index == 0:
            return last
        # Of the period before: a quarter with the mean lag, half with the third, none with the best.
        share = np.float32(0.25 if self._lag_index == 1 else 0.5)
        voiced: Pcm = material.previous[-lag - OVERLAP_SAMPLES :] - last
        voiced *= share
        voiced += last
        return voiced

    def _mixed(self, material: _Material, voiced: Pcm, lag: int) -> Pcm:
        """Return the period with ever more noise in it."""
        target = material.voice_mix
        # Long periods take on noise more slowly, for each call lasts longer.
        shift = max(0, material.longest_lag.bit_length() - 5)
        step = 0.0 if self._steady else (256 >> shift) / _ONE
        if target >= 1.0 and self._mix >= 1.0:
            return voiced.copy()
        noise = self._noise(material, lag)
        mixed: Pcm = voiced - noise
        if step == 0.0:
            mixed *= np.float32(self._mix)
        else:
            falling = max(0, min(lag, int((self._mix - target) / step)))
            mixed[:falling] *= (self._mix - step * _COUNT[:falling]).astype(np.float32)
            mixed[falling:] *= np.float32(target)
            self._mix = target if falling < lag else self._mix - step * lag
        mixed += noise
        return mixed

    def _noise(self, material: _Material, lag: int) -> Pcm:
        """Return the next ``lag`` samples of noise with the spectrum of the last decoded sound."""
        if material.noise_at + lag > len(material.noise):
            # Made ahead for two or three calls, as long as most gaps: one pass through the filter, not three.
            excitation = noise_table()[self._noise_place : self._noise_place + _NOISE_AHEAD]
            self._noise_place = (self._noise_place + _NOISE_AHEAD) % NOISE_LENGTH
            if material.noise_gain or material.noise_state.any():
                material.noise = all_pole(material.noise_gain * excitation, material.predictor, material.noise_state)
            else:  # before the first packet
                material.noise = np.zeros(_NOISE_AHEAD, dtype=np.float32)
            material.noise_state = material.noise[-_LPC_ORDER:]
            material.noise_at = 0
        start = material.noise_at
        material.noise_at += lag
        return material.noise[start : start + lag]

    def _fade(self, material: _Material, sound: Pcm, lag: int) -> None:
        self._slope_q20 = max(self._slope_q20, _SLOPE_AFTER.get(self._calls, 0))
        # The level was rising steeply: a first period that fades would be heard as a dip.
        if self._calls == 0 and material.onset:
            return
        sound *= np.float32(self.mute)
        if self._steady:
            return
        sound *= 1 - np.float32(self._slope_q20 / _SLOPE_ONE) * _COUNT_32[:lag]
        gain = _ONE - ((lag * self._slope_q20 + 8192) >> 6)
        gain = (gain * self.mute_q14 + 8192) >> 14
        self.mute_q14 = 0 if self._calls > 3 and gain >= self.mute_q14 else gain


def _heard(history: Pcm) -> _Material:
    """Return the analysis of ``history``; that of silence, which every stream begins with, is always the same."""
    return _analyse(history) if history.any() else replace(_silence())


@cache
def _silence() -> _Material:
    return _analyse(np.zeros(_HISTORY, dtype=np.float32))


def _analyse(history: Pcm) -> _Material:
    distortion_lag, correlation_lag = _lags(history)
    longest = max(distortion_lag, correlation_lag)
    coefficient = _repetition(history, distortion_lag, correlation_lag)
    length = longest + OVERLAP_SAMPLES
    last = history[-length:].copy()
    previous = history[-length - distortion_lag : -distortion_lag].copy()
    ratio = _match_level(last, previous)
    predictor = linear_prediction(history[-_LPC_SAMPLES:], _LPC_ORDER)
    if predictor is None:
        predictor = np.zeros(_LPC_ORDER + 1)
        predictor[0] = 1.0
    left = residual(history, predictor, _GAIN_SAMPLES)
    voice_mix = _voice_mix(coefficient)
    slope_q20, onset = _mute_slope(ratio, distortion_lag, voice_mix)
    mean = distortion_lag + correlation_lag
    towards = mean - 1 if distortion_lag > correlation_lag else mean + 1
    return _Material(
        lags=(distortion_lag, mean // 2, towards // 2) if distortion_lag != correlation_lag else (distortion_lag,) * 3,
        longest_lag=longest,
        last=last,
        previous=previous,
        voice_mix=voice_mix,
        slope_q20=slope_q20,
        onset=onset,
        predictor=predictor,
        noise_gain=float(np.sqrt(left @ left / _GAIN_SAMPLES)),
        noise_state=history[-_LPC_ORDER:].copy(),
        noise=np.zeros(0, dtype=np.float32),
    )


def _lags(history: Pcm) -> tuple[int, int]:
    """Return the period by least difference and by highest correlation, of the best of three candidates."""
    low = downsample(history, _HISTORY - DECIMATION * _POINTS - 6, _POINTS)
    tail = low[-_CORRELATED:]
    correlation = np.correlate(low[:-10], tail, "valid")[::-1].astype(np.float64)  # lags 10 to 64
    best: tuple[float, int, int] | None = None
    for _ in range(_CANDIDATES):
        index, place, height = peak(correlation[:54], _SEARCHED, spare=False)
        correlation_lag = place + _SHORTEST_LAG
        distortion_lag, distance = best_lag(
            history,
            max(_SHORTEST_LAG, correlation_lag - _REFINE),
            min(_LONGEST_LAG - 1, correlation_lag + _REFINE),
            _DISTORTION_SAMPLES,
        )
        # How much alike by how different: a candidate must be good by both measures.
        ratio = height / distance if distance > 0 else 0.0 if height == 0 else float("inf")
        if best is None or ratio > best[0]:
            best = (ratio, distortion_lag, correlation_lag)
        # The next candidate is another peak, not this one's shoulder.
        correlation[max(0, index - 2) : min(_SEARCHED - 1, index + 2) + 1] = 0.0
    assert best is not None
    return best[1], best[2]


def _repetition(history: Pcm, distortion_lag: int, correlation_lag: int) -> float:
    """Return how well the signal correlates with itself one period earlier, 0 to 1 (or below 0)."""
    length = max(min(distortion_lag + 10, _LONGEST_LAG), 60 * _M)
    start = min(distortion_lag, correlation_lag)
    lags = abs(distortion_lag - correlation_lag) + 1
    tail = history[-length:]
    before = history[_HISTORY - length - start - lags + 1 : _HISTORY - start]
    correlation = np.correlate(before, tail, "valid")[::-1]
    at = int(correlation.argmax())
    shifted = history[_HISTORY - length - start - at : _HISTORY - start - at]
    power = float(tail @ tail) * float(shifted @ shifted)
    return min(1.0, float(correlation[at]) / power**0.5) if power > 0 else 0.0


def _match_level(last: Pcm, previous: Pcm) -> float:
    """Bring ``previous`` to the level of ``last`` in place; return by how much, 1/2 or 2 where they differ more."""
    energy, before = float(last @ last), float(previous @ previous)
    if energy / 4 < before and energy > before / 4:
        ratio: float = (energy / before) ** 0.5
        previous *= np.float32(ratio)
        return ratio
    previous[:] = last
    return 0.5 if energy / 4 < before or before == 0 else 2.0


def _voice_mix(x: float) -> float:
    if x <= 0.48:
        return 0.0
    return min(1.0, max(0.0, (-5179 + 19931 * x - 16422 * x**2 + 5776 * x**3) / 4096))


def _mute_slope(ratio: float, lag: int, voice_mix: float) -> tuple[int, bool]:
    """Return the fading per sample in Q20, and whether the level was rising steeply."""
    if ratio > 1.5:
        slope = (ratio - 1) / (lag * ratio) * _SLOPE_ONE
        return round(slope / (2 if ratio > 1.8 else 8)), True
    slope_q20 = int((1 - ratio) / lag * _SLOPE_ONE)
    if voice_mix <= 0.8:
        return max(slope_q20, _NOISY_SLOPE), False
    return 0 if ratio > 0.98 else slope_q20, False
