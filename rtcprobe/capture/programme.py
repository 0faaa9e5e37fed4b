"""Sound to put where a capture has only ciphertext: NetEQ minds what it plays, and silence is the worst guess.

Facts:
    - NetEQ stretches and conceals by looking at the sound: a tone or digital silence as payload gave 45 to 98 ms of
      jitter buffer where speech gave 58 to 107 (the same packets of a captured call, six tick phases).
    - Two programmes far apart (speech, and the noise of a quiet room) therefore say how much the unknown sound matters.

Rule: both are made by arithmetic from fixed seeds; nothing is decoded, so a frame of any length costs the same.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.base import SAMPLE_RATE_HZ

__all__ = ["PROGRAMMES", "PROGRAMME_S", "ProgrammeDecoder", "frame_payload"]

Pcm = npt.NDArray[np.float32]

PROGRAMMES: Final = ("speech-like", "noise -55 dBFS")
# 1.4 million samples, made once a process; a call of minutes hears it several times.
PROGRAMME_S: Final = 30
# The level of speech that ITU-T tests are made at (P.56, active speech level), and a quiet room's
# noise as of our own mouths (``audio.mouth``).
_SPEECH_DBFS, _NOISE_DBFS = -26.0, -55.0
_PAYLOAD: Final = struct.Struct(">QH")
_SYLLABLE_S: Final = 0.22  # four and a half a second, the rhythm of speech (Greenberg, Speech Communication 29, 1999)
_VOWELS: Final = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants, Hz, of men's vowels. Source: Peterson & Barney, JASA 24, 1952, table II."""


def frame_payload(timestamp: int, samples: int) -> bytes:
    """Return a payload that stands for ``samples`` (up to 65,535) of a programme from RTP time ``timestamp`` on."""
    return _PAYLOAD.pack(timestamp & 0xFFFFFFFFFFFFFFFF, samples)


class ProgrammeDecoder:
    """Fills playout's ``Decoder``: what a payload of ``frame_payload`` stands for; anything shorter is silence.

    ``begin_s`` is where in the programme RTP time 0 lies: another place is another speech of the same kind.
    """

    def __init__(self, programme: str, begin_s: float = 0.0) -> None:
        self._sound = _sound(programme)
        self._begin = round(begin_s * SAMPLE_RATE_HZ)
        self._quiet = _noise(SAMPLE_RATE_HZ, _NOISE_DBFS - 10.0, seed=3)

    def decode(self, payload: bytes) -> Pcm:
        """Return the samples a payload stands for."""
        if len(payload) != _PAYLOAD.size:
            return self._quiet[: self.duration_samples(payload)].copy()
        at, samples = _PAYLOAD.unpack(payload)
        at = (at + self._begin) % (len(self._sound) - samples)
        return self._sound[at : at + samples].copy()

    def decode_fec(self, payload: bytes, samples: int) -> Pcm:  # noqa: ARG002 - the interface of any decoder
        """Return concealment: what a ciphertext protects cannot be known."""
        return self.conceal(samples)

    def conceal(self, samples: int) -> Pcm:
        """Return ``samples`` of quiet noise, as a codec does while its sender is silent."""
        return self._quiet[:samples].copy()

    def duration_samples(self, payload: bytes) -> int:
        """Return how many samples a payload stands for."""
        return _PAYLOAD.unpack(payload)[1] if len(payload) == _PAYLOAD.size else 960

    def has_fec(self, payload: bytes) -> bool:  # noqa: ARG002 - the interface of any decoder
        """Return False: whether there is a copy inside cannot be seen."""
        return False


@cache
def _sound(programme: str) -> Pcm:
    samples = PROGRAMME_S * SAMPLE_RATE_HZ
    if programme == PROGRAMMES[1]:
        return _noise(samples, _NOISE_DBFS, seed=1)
    return _speech(samples)


def _noise(samples: int, level_dbfs: float, *, seed: int) -> Pcm:
    noise = np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)
    return noise * np.float32(10 ** (level_dbfs / 20))


def _speech(samples: int) -> Pcm:
    """Return syllables of a buzz with a gliding pitch through three formants, hisses between some, pauses, noise."""
    rng = np.random.default_rng(2)
    out = _noise(samples, _NOISE_DBFS, seed=1).copy()
    size = round(_SYLLABLE_S * SAMPLE_RATE_HZ)
    at_s = np.arange(size) / SAMPLE_RATE_HZ
    envelope = np.sin(np.pi * np.clip(at_s / _SYLLABLE_S, 0, 1)) ** 0.6
    level = 10 ** (_SPEECH_DBFS / 20)
    for begin in range(0, samples - size, size):
        kind = rng.random()
        if kind < 0.25:  # a pause
            continue
        if kind < 0.35:  # an unvoiced consonant
            sound = np.diff(rng.standard_normal(size + 1)) * envelope * 0.4
        else:
            pitch_hz = rng.uniform(95, 150) * (1 + rng.uniform(-0.15, 0.15) * at_s / _SYLLABLE_S)
            phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
            formants = _VOWELS[rng.integers(len(_VOWELS))]
            sound = np.zeros(size)
            # Of a pitch of 95 to 150 Hz: up to 2.6 and 4 kHz, where the third formant lies.
            for harmonic in range(1, 28):
                frequency = harmonic * float(pitch_hz[0])
                # A resonance 90 Hz to either side of each formant; a floor under them, as a voice has no gaps.
                gain = sum(1.0 / (1.0 + ((frequency - each) / 90.0) ** 2) for each in formants) + 0.02
                sound += gain / harmonic**0.3 * np.sin(harmonic * phase)
            sound *= envelope
        rms = float(np.sqrt(np.mean(sound**2)))
        out[begin : begin + size] += (sound * (level / rms)).astype(np.float32)
    return out
