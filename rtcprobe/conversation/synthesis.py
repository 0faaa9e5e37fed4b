"""Synthetic voices of ours: speech-like sound of any text, the same on every machine. They imitate, they do not read.

Facts:
    Whether speech is heard, and when it begins, ends and pauses, hangs on its energy, its pitch and its syllables; a
    recogniser needs more. What is made here has throat pulses, formants, hiss, stops and a tune, in the rhythm of the
    words; who asks an agent that understands gives it a recording, or a voice of ``espeak-ng``.

How:
    Letters become phones of two languages (English spelling, roughly; Mandarin in pinyin with tone digits). Each phone
    is a target of three formants, voicing and hiss; targets are glided over 30 ms. Voiced sound is the sum of the
    pitch's harmonics, as loud as the formants let each through; hiss is noise in a band.

Source: vowels' formants after Peterson and Barney, J. Acoust. Soc. Am. 24, 175 (1952), means of men, women's are 1.17
times as high; Mandarin tone shapes after Chao (1930), five levels. The rest was chosen to sound like speech.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.resample import resampled

__all__ = ["VOICES", "Voice", "synthesised"]

# Wide-band: formants and hiss lie below 8 kHz, and a third of the samples are made.
_RATE_HZ = 16_000
_STEP = 80  # 5 ms: how fine targets are told
# Of 5 ms: how fast tongue and lips move.
_GLIDE_STEPS = 6
# Seconds; all are shorter than ``user._GAP_S``, so that no end of a sentence is taken for that of a turn.
_PAUSE_S = {",": 0.18, ";": 0.25, ":": 0.2, ".": 0.3, "?": 0.3, "!": 0.3}
# Of the three formants, wider upwards; chosen by ear.
_BAND_WIDTHS_HZ = np.array([80.0, 110.0, 160.0])

_FLOATS = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One that speaks: its language, mean pitch, how far apart its formants are, how fast it is."""

    language: Literal["en", "zh"]
    pitch_hz: float
    tract: float
    pace: float = 1.0


VOICES = {
    "anna": Voice(language="en", pitch_hz=205.0, tract=1.17),
    "ben": Voice(language="en", pitch_hz=118.0, tract=1.0),
    "mei": Voice(language="zh", pitch_hz=225.0, tract=1.19, pace=1.05),
    "lei": Voice(language="zh", pitch_hz=130.0, tract=1.02, pace=0.95),
}
"""The voices that come with us, by name."""


class _Phone(NamedTuple):
    """A target: how long (seconds), formants (Hz), how loud the throat and the hiss, the middle of the hiss."""

    lasts_s: float
    formants: tuple[float, float, float]
    throat: float
    hiss: float = 0.0
    hiss_hz: float = 3000.0


_VOWELS = {
    "ee": (270, 2290, 3010),
    "i": (390, 1990, 2550),
    "e": (530, 1840, 2480),
    "ae": (660, 1720, 2410),
    "a": (730, 1090, 2440),
    "o": (570, 840, 2410),
    "oo": (300, 870, 2240),
    "u": (640, 1190, 2390),
    "er": (490, 1350, 1690),
    "v": (300, 1850, 2200),  # ü of pinyin, written v
}
# English letters that are one sound, as the vowel of ``_VOWELS`` they come nearest to.
_SPELT = {"ee": "ee", "ea": "ee", "oo": "oo", "ou": "oo", "er": "er", "ir": "er", "ai": "e", "ay": "e", "y": "ee"}
# Middle of each hiss, Hz: s and its like high, sh and x lower, h as the throat.
_HISSES = {"s": 6000, "sh": 3500, "x": 5000, "f": 4500, "th": 5500, "h": 1800, "z": 5500, "c": 5500, "q": 4500}
# Where the burst of each stop lies, Hz: lips low, teeth high, palate between.
_STOPS = {"p": 900, "t": 4000, "k": 2000, "b": 700, "d": 3500, "g": 1800, "ch": 3500, "zh": 3200, "j": 3800}
# Formants, Hz, of what is voiced and moves; likewise the nasals', whose first is low.
_GLIDES = {"l": (360, 1300, 2700), "r": (400, 1100, 1600), "w": (300, 700, 2200), "v": (350, 1200, 2400)}
_NASALS = {"m": (280, 950, 2200), "n": (280, 1500, 2500), "ng": (280, 2000, 2600)}
_VOICED = frozenset("bdgzvjmnlrw")

_TONES = {"1": (5, 5), "2": (3, 5), "3": (2, 1.4), "4": (5, 1), "5": (3, 2)}
"""Chao's levels at the beginning and the end of a syllable; the third tone as it is within a sentence."""

# Letters that are one sound, longest first, else single letters: a voice to be timed, not to be understood.
_SPELLING = re.compile(r"ee|ea|oo|ou|er|ir|ai|ay|sh|th|ch|ng|[a-z]")
# piece = initial of two letters / "ng" / "er" / letter                  longest first; v is ü
_PINYIN = re.compile(r"zh|ch|sh|ng|er|[a-z]")
# word  = 1*40letter [ tone ] / pause ; tone = "1" to "5" of pinyin, pause = a punctuation mark
_WORD = re.compile(r"[A-Za-z]{1,40}[1-5]?|[,;:.?!]")


def synthesised(text: str, voice: Voice) -> Pcm:
    """Return ``text`` as ``voice`` says it: shape (samples,), 48 kHz, peak 0.5; equal texts sound equal to the bit."""
    rows = [row for phone, pitch in _phones(text, voice) for row in _steps(phone, pitch, voice)]
    if not rows:
        return np.zeros(0, dtype=np.float32)
    targets = np.array(rows)
    targets[:, 1:] = _glided(targets[:, 1:])
    # Of the text, so that it sounds alike wherever it stands, and in every process (``hash`` would not).
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    sound = _voiced(targets, voice) + _hiss(targets, rng)
    peak = float(np.abs(sound).max())
    return resampled((sound * (0.5 / max(peak, 1e-9))).astype(np.float32), _RATE_HZ, SAMPLE_RATE_HZ)


def _phones(text: str, voice: Voice) -> Iterator[tuple[_Phone, tuple[float, float]]]:
    """Yield what to say, with the pitch (relative to the voice's) at the beginning and the end of it."""
    words = _WORD.findall(text)
    rise = text.rstrip().endswith("?")
    for place, word in enumerate(words):
        if word in _PAUSE_S:
            if place + 1 < len(words):
                yield _Phone(_PAUSE_S[word], (500, 1500, 2500), 0.0), (1.0, 1.0)
            continue
        if voice.language == "zh":
            tone = word[-1] if word[-1] in _TONES else "5"
            begin, end = (0.72 + 0.13 * level for level in _TONES[tone])
        else:
            left = 1 - place / max(1, len(words))
            begin = 0.92 + 0.2 * left  # pitch falls over a sentence
            end = begin * (1.35 if rise and place >= len(words) - 2 else 0.9)
        parts = [
            part
            for piece in (_PINYIN if voice.language == "zh" else _SPELLING).findall(word.lower())
            for part in _phone(piece)
        ]
        for index, part in enumerate(parts):
            # The tune goes over the whole syllable, not over each sound of it.
            share = index / max(1, len(parts)), (index + 1) / max(1, len(parts))
            yield part, (begin + (end - begin) * share[0], begin + (end - begin) * share[1])
        # 20 ms of hardly any voice part two words.
        yield _Phone(0.02, (500, 1500, 2500), 0.15), (end, end)


def _phone(piece: str) -> list[_Phone]:
    vowel = _SPELT.get(piece, piece)
    if vowel in _VOWELS and piece != "v":
        return [_Phone(0.11, _VOWELS[vowel], 1.0)]
    if piece in _NASALS:
        return [_Phone(0.06, _NASALS[piece], 0.4)]
    if piece in _GLIDES:
        return [_Phone(0.05, _GLIDES[piece], 0.6)]
    throat = 0.25 if piece in _VOICED else 0.0
    if piece in _HISSES:
        return [_Phone(0.08, (400, 1600, 2600), throat, 0.25, _HISSES[piece])]
    burst_hz = _STOPS.get(piece, 2500)
    return [
        _Phone(0.045, (300, 1500, 2500), throat * 0.3),
        _Phone(0.02, (400, 1600, 2600), throat, 0.4, burst_hz),
    ]


def _steps(phone: _Phone, pitch: tuple[float, float], voice: Voice) -> Iterator[list[float]]:
    """Yield a row for every 5 ms: pitch (Hz), throat, hiss, hiss_hz, three formants."""
    count = max(1, round(phone.lasts_s / voice.pace * _RATE_HZ / _STEP))
    for step in range(count):
        relative = pitch[0] + (pitch[1] - pitch[0]) * step / count
        formants = [each * voice.tract for each in phone.formants]
        yield [voice.pitch_hz * relative, phone.throat, phone.hiss, phone.hiss_hz, *formants]


def _glided(columns: _FLOATS) -> _FLOATS:
    """Return targets as mouths reach them: a moving mean, the sound beginning and ending in silence."""
    edge = columns[:1], columns[-1:]
    padded = np.concatenate([np.repeat(edge[0], _GLIDE_STEPS, 0), columns, np.repeat(edge[1], _GLIDE_STEPS, 0)])
    summed = np.concatenate([np.zeros((1, columns.shape[1])), np.cumsum(padded, axis=0)])
    width = _GLIDE_STEPS
    mean = (summed[width:] - summed[:-width]) / width
    first = (len(padded) - width + 1 - len(columns)) // 2
    return np.asarray(mean[first : first + len(columns)])


def _voiced(targets: _FLOATS, voice: Voice) -> _FLOATS:
    """Return the sum of the pitch's harmonics through the formants, shape (samples,) at 16 kHz."""
    at = np.arange(len(targets) * _STEP) / _STEP
    steps = np.arange(len(targets)) + 0.5
    pitch = np.interp(at, steps, targets[:, 0])
    # Phase in whole turns: pitch may change at any sample without a click.
    turns = np.cumsum(pitch) / _RATE_HZ
    sound = np.zeros(len(at))
    for harmonic in range(1, int(5500 / (voice.pitch_hz * 0.9)) + 1):
        hz = harmonic * targets[:, 0]
        through = np.prod([_resonance(hz, targets[:, 4 + each], _BAND_WIDTHS_HZ[each]) for each in range(3)], axis=0)
        loud = targets[:, 1] * through / harmonic
        loud[hz > 5500] = 0.0
        # Phases after Schroeder keep the pulses from being all peak.
        sound += np.interp(at, steps, loud) * np.cos(2 * np.pi * (harmonic * turns + harmonic**2 / 60))
    return sound


def _resonance(hz: _FLOATS, formant_hz: _FLOATS, width_hz: float) -> _FLOATS:
    """Return how much louder a resonator of ``width_hz`` makes ``hz`` than 0 Hz."""
    squared = formant_hz**2 + (width_hz / 2) ** 2
    return np.asarray(squared / np.sqrt(((hz - formant_hz) ** 2 + width_hz**2 / 4) * ((hz + formant_hz) ** 2)))


def _hiss(targets: _FLOATS, rng: np.random.Generator) -> _FLOATS:
    """Return noise around each step's middle, an octave wide, overlapped step by step."""
    length = 2 * _STEP
    window = np.hanning(length + 1)[:-1]
    hz = np.fft.rfftfreq(length, 1 / _RATE_HZ)
    sound = np.zeros((len(targets) + 1) * _STEP)
    for step in np.flatnonzero(targets[:, 2] > 1e-3).tolist():
        middle = targets[step, 3]
        band = np.exp(-((np.log2(np.maximum(hz, 50.0) / middle)) ** 2) / 0.5)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * band, length)
        sound[step * _STEP : step * _STEP + length] += targets[step, 2] * 2.0 * noise * window
    return sound[: len(targets) * _STEP]
