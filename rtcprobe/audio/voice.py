"""Voice in a recording: when it begins and ends, how loud it is, and whether somebody speaks right now.

Facts:
    A voice detector answers whether; asked when, it errs by its window and its smoothing (silero and ten-vad place an
    onset up to 150 ms off, webrtcvad an offset 170 ms). The energy of one millisecond errs by one millisecond. What
    is decoded lags what was encoded by the codec's look-ahead (312 samples of Opus), a constant that is taken off.
    A voice is pulses: between two of a deep voice lie 12 ms that may be as quiet as the room.

Rules:
    1. Energy in blocks of 1 ms is compared with a running noise floor, the least mean over 20 ms within 1.5 s around:
       it learns a room that was never quiet, and follows one that changes.
    2. Somebody speaks where a block stands ``GATE_DB`` above the floor (and above ``LEAST_DBFS``, as a codec makes a
       little sound of silence). The onset is the first block before it that stands ``EDGE_DB`` above the floor, over
       gaps of a pulse; the offset is the last one after it likewise.
    3. Sound that sums to less than ``LEAST_SPAN_S`` is a click, no voice. Spans less than ``merge_s`` apart are one.
    4. Steady noise, however loud, is floor: who sends noise while silent is not taken to speak, and neither is a noise
       that begins (its level stays within ``_STEADY_DB``). A voice less than ``GATE_DB`` above it is not found.
    5. The transform coder of Opus smears an onset over its frame ("pre-echo"), 25 to 40 dB below it: an onset is the
       first block within ``ECHO_DB`` of the loudest of the 40 ms after it, an offset the last one within ``TAIL_DB`` of
       those before it. At 64 kb/s and less in ``application: audio`` the smear is louder than that, and onsets seem up
       to 15 ms early.

Source: ITU-T P.56 (12/2011) method B for the level; the rest was measured against agents' own logs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import Pcm

__all__ = ["GRAIN_SAMPLES", "Span", "VoiceGate", "active_speech_level", "voiced_spans"]

GRAIN_SAMPLES = 48
"""One millisecond: what onsets and offsets are told in."""

GATE_DB = 15.0
"""White noise of a wideband codec stays below +6 dB of its mean in 1 ms with a probability of 1 − 10⁻¹²; 15 dB keep
what is not white out as well, and every vowel of a voice 20 dB above its room in."""
# An edge is sought lower than the gate, where noise may be now and then, because it is sought beside what is
# a voice already. Echo and tail are rule 5's: what a codec smears lies 25 to 40 dB below, and decays slower
# than it builds up.
EDGE_DB = 6.0
ECHO_DB = 25.0
TAIL_DB = 30.0
LEAST_DBFS = -64.0
"""Opus makes −76 dBFS of a microphone's −80 dBFS; a voice of −45 dBFS begins with 1 ms of about −60."""
# Below -70 dBFS there is only Opus's own noise; shorter than 60 ms is a click; a breath of 0.6 s parts no utterance.
LEAST_EDGE_DBFS = -70.0
LEAST_SPAN_S = 0.060
MERGE_S = 0.6

_PULSE_MS = 12  # the longest period of a voice: 83 Hz
_ECHO_MS = 40
# Noise that stays within 3 dB over 300 ms, smoothed by 20, is a room's; the room is looked for 1.5 s to either side.
_SMOOTH_MS = 20
_STEADY_MS = 300
_STEADY_DB = 3.0  # syllables differ by ten and more; 20 ms of white noise in a codec's band by less than one
_CHUNK_MS = 100
_AROUND_CHUNKS = 15
_DARK_DBFS = -100.0


class Span(NamedTuple):
    """A stretch of voice, in samples of the recording: the first sample, and the one after the last."""

    begin: int
    end: int


def voiced_spans(
    pcm: Pcm, *, look_ahead_samples: int = 0, merge_s: float = MERGE_S, least_s: float = LEAST_SPAN_S
) -> list[Span]:
    """Return where somebody speaks in ``pcm`` (shape (samples,), 48 kHz, full scale ±1.0).

    ``look_ahead_samples`` is taken off both ends of each: they are then samples of what was encoded.
    """
    # From loud to exact: stretches at the edge's level, kept if anything in them reaches the gate and they
    # are no steady noise; then each end is moved to the first and last block that is no echo.
    levels = _levels_db(pcm)
    if not len(levels):
        return []
    floor = _floor_db(levels)
    loud = levels > np.maximum(floor + GATE_DB, LEAST_DBFS)
    edge = levels > np.maximum(floor + EDGE_DB, LEAST_EDGE_DBFS)
    begins, ends = edge & (levels > _most(levels) - ECHO_DB), edge & (levels > _most(levels[::-1])[::-1] - TAIL_DB)
    merged: list[list[int]] = []
    for first, last in _runs(edge, _PULSE_MS):
        if not loud[first:last].any():
            continue
        if last - first >= _STEADY_MS and _steady(levels[first:last]):
            continue
        begin, end = first + int(begins[first:last].argmax()), last - int(ends[first:last][::-1].argmax())
        if merged and begin - merged[-1][1] < merge_s * 1e3:
            merged[-1][1] = end
            # Milliseconds that sound, not those between: a click and its echo a while later are no voice of
            # that length.
            merged[-1][2] += int(edge[begin:end].sum())
        else:
            merged.append([begin, end, int(edge[begin:end].sum())])
    return [
        Span(begin * GRAIN_SAMPLES - look_ahead_samples, end * GRAIN_SAMPLES - look_ahead_samples)
        for begin, end, sounding in merged
        if sounding >= least_s * 1e3
    ]


class VoiceGate:
    """Whether somebody speaks right now, told block by block: what a listener who must answer goes by.

    ``threshold_dbfs`` is the least level taken for a voice. The floor is that of the last 1.5 s: what was quiet then.
    """

    def __init__(self, threshold_dbfs: float = LEAST_DBFS) -> None:
        self._threshold_db = threshold_dbfs
        self._chunks: deque[float] = deque(maxlen=_AROUND_CHUNKS)
        self._before_db = self._chunk_db = math.inf
        self._blocks = 0

    def loud(self, block: Pcm) -> bool:
        """Take the next 10 ms (any length will do) and return whether they are voice."""
        level_db = _db(float(np.dot(block, block)) / max(1, len(block)))
        self._chunk_db = min(self._chunk_db, level_db)
        self._blocks += 1
        # By the minimum of what was heard so far: at its first word there is no floor yet but that word's own
        # level, and the gate stays shut until something 15 dB quieter was heard.
        floor_db = min(self._before_db, self._chunk_db)
        if self._blocks * 10 >= _CHUNK_MS:
            self._chunks.append(self._chunk_db)
            self._before_db = min(self._chunks)
            self._chunk_db, self._blocks = math.inf, 0
        return level_db > max(floor_db + GATE_DB, self._threshold_db)


def active_speech_level(pcm: Pcm) -> tuple[float, float]:
    """Return the active speech level (dBFS, RMS re full scale 1.0) and the activity factor (0..1) of ``pcm``.

    Silence has a level of −inf and an activity of 0.

    Source: ITU-T P.56 (12/2011) clause 6, method B: an envelope of two poles of 30 ms, thresholds 6 dB apart with a
    hangover of 200 ms, and the level at which the mean over what is above a threshold lies 15.9 dB above it.
    """
    energy = float(np.sum(np.square(pcm, dtype=np.float64)))
    if not len(pcm) or energy <= 0.0:
        return -math.inf, 0.0
    envelope = _envelope(pcm)
    long_db = 10 * math.log10(energy / len(pcm))
    above: tuple[float, float] | None = None
    for threshold in _P56_THRESHOLDS:  # from the lowest up: the mean rises, and its distance to the threshold falls
        active = min(len(pcm), GRAIN_SAMPLES * _held(envelope >= threshold, round(_P56_HANGOVER_S * 1e3)))
        if not active:
            break
        level_db = 10 * math.log10(energy / active)
        distance_db = level_db - 20 * math.log10(threshold) - _P56_MARGIN_DB
        if distance_db <= 0.0:
            if above is not None:
                # The level where the distance is nought lies between this threshold and the one below: linear
                # between the two.
                share = above[1] / (above[1] - distance_db)
                level_db = above[0] + share * (level_db - above[0])
            return level_db, min(1.0, 10 ** ((long_db - level_db) / 10))
        above = level_db, distance_db
    level_db = long_db if above is None else above[0]
    return level_db, min(1.0, 10 ** ((long_db - level_db) / 10))


# P.56 clause 6: time constant, hangover, margin; thresholds from half of full scale down, each half of the
# one above, so 6 dB apart.
_P56_TIME_S = 0.030
_P56_HANGOVER_S = 0.200
_P56_MARGIN_DB = 15.9
_P56_THRESHOLDS: Sequence[float] = tuple(2.0**-power for power in range(20, 0, -1))


def _envelope(pcm: Pcm) -> npt.NDArray[np.float64]:
    """Return P.56's envelope at every millisecond: it asks for 694 Hz at the least, and the sound's mean is enough."""
    whole = np.pad(np.abs(pcm), (0, -len(pcm) % GRAIN_SAMPLES)).reshape(-1, GRAIN_SAMPLES)
    # Both poles as P.56 writes them, at a millisecond a step: g = exp(-1 / (f T)) with f = 1000 Hz.
    keep = math.exp(-1e-3 / _P56_TIME_S)
    once = twice = 0.0
    envelope = []
    for each in whole.mean(axis=1, dtype=np.float64).tolist():
        once = keep * once + (1 - keep) * each
        twice = keep * twice + (1 - keep) * once
        envelope.append(twice)
    return np.array(envelope)


def _held(active: npt.NDArray[np.bool_], hangover: int) -> int:
    """Return how many are active, or at most ``hangover`` after one that is."""
    last = np.where(active, np.arange(len(active)), -hangover - 1)
    return int(np.count_nonzero(np.arange(len(active)) - np.maximum.accumulate(last) <= hangover))


def _levels_db(pcm: Pcm) -> npt.NDArray[np.float64]:
    """Return the level of every whole millisecond, shape (milliseconds,)."""
    whole = len(pcm) // GRAIN_SAMPLES * GRAIN_SAMPLES
    power = np.mean(np.square(pcm[:whole].reshape(-1, GRAIN_SAMPLES), dtype=np.float64), axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (_DARK_DBFS / 10))))


def _floor_db(levels_db: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the noise floor at every millisecond (rule 1), shape (milliseconds,)."""
    count = len(levels_db)
    power = 10 ** (levels_db / 10)
    width = min(_SMOOTH_MS, count)
    summed = np.concatenate([[0.0], np.cumsum(power)])
    mean = (summed[width:] - summed[:-width]) / width
    chunks = math.ceil(len(mean) / _CHUNK_MS)
    least = np.minimum.reduceat(mean, np.arange(chunks) * _CHUNK_MS)
    padded = np.pad(least, _AROUND_CHUNKS, constant_values=np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND_CHUNKS + 1).min(axis=1)
    at = np.minimum(np.arange(count) // _CHUNK_MS, chunks - 1)
    return np.asarray(10 * np.log10(np.maximum(around, 10 ** (_DARK_DBFS / 10))))[at]


def _most(levels_db: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the loudest of every millisecond and those after it that a codec's echo can come before."""
    padded = np.pad(levels_db, (0, _ECHO_MS), constant_values=-np.inf)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, _ECHO_MS + 1).max(axis=1))


def _runs(above: npt.NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Return the stretches of True, those at most ``gap`` apart as one: (first, one after the last)."""
    places = np.flatnonzero(above)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    begins = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _steady(levels_db: npt.NDArray[np.float64]) -> bool:
    """Return whether a stretch (``_STEADY_MS`` at least) has the steady level of noise, a voice's edges left out."""
    power = 10 ** (levels_db[: len(levels_db) // _SMOOTH_MS * _SMOOTH_MS] / 10)
    mean = np.sort(power.reshape(-1, _SMOOTH_MS).mean(axis=1))
    # The loudest and the quietest eighth do not count: a noise that begins and ends has two edges of its own.
    edge = len(mean) // 8
    return bool(10 * math.log10(mean[-1 - edge] / mean[edge]) < _STEADY_DB)


def _db(power: float) -> float:
    return 10 * math.log10(max(power, 10 ** (_DARK_DBFS / 10)))
