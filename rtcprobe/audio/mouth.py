"""The mouth: a programme with markers in it, and the packets it becomes.

Facts:
    A receiver that stretches time (NetEQ) treats silence, noise and speech differently, so what is spoken under
    the markers is part of the measurement. Encoding happens before the call: the encoder's CPU then never disturbs
    the pacing of packets.

Rules:
    1. Levels are stated: markers at −20 dBFS over silence and noise; over speech they lie a stated ratio below the
       speech, which is brought to −26 dBFS active level (the nominal level of listening tests, ITU-T P.830 §7.2.2).
    2. Silence is a microphone's: a floor of −80 dBFS. True zeros make the SILK layer search for nothing (60 s take
       0.65 s to encode instead of 0.25 s), and leave the CELT layer at 16 kb/s too few bits for the marker after them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtcprobe.audio.marker import MARKER_SAMPLES, MarkerTrain, waveform
from rtcprobe.audio.opus import OpusEncoder, OpusSettings
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.wav import read_wav
from rtcprobe.errors import BadInputError

__all__ = [
    "LEAST_MARKER_DB",
    "MARKER_DBFS",
    "MARKER_TO_SPEECH_DB",
    "MOST_MARKER_DB",
    "NOISE_DBFS",
    "PIECE_SAMPLES",
    "SILENCE_DBFS",
    "SPEECH_DBFS",
    "Mouth",
    "Noise",
    "Programme",
    "Speech",
    "encode_stream",
    "encoded",
]


# RMS, dB re full scale 1.0, each for the reason in the rules above. A marker may lie 30 dB below its speech
# (a level at which few are heard) to 20 above (no louder than full scale, -26 + 20 = -6).
MARKER_DBFS = -20.0
NOISE_DBFS = -55.0
SILENCE_DBFS = -80.0
SPEECH_DBFS = -26.0
LEAST_MARKER_DB, MOST_MARKER_DB = -30.0, 20.0
MARKER_TO_SPEECH_DB = -10.0

PIECE_SAMPLES = 480_000
"""Sound is made and encoded ten seconds at a time: in one piece an hour of it is 690 MB."""

# 20 ms: longer than a voice's pulse, shorter than a pause between words.
_ACTIVE_BLOCK_SAMPLES = 960
_ACTIVE_MARGIN_DB = 20.0  # blocks this far below the loudest are pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """White noise of ``level_dbfs`` RMS (dB re full scale 1.0), equal for equal seeds; silence is a very low one."""

    level_dbfs: float = NOISE_DBFS
    seed: int = 0

    def __post_init__(self) -> None:
        if not -140.0 <= self.level_dbfs <= -10.0:
            raise BadInputError(f"noise level {self.level_dbfs:g} dBFS is out of range", "give -140 to -10")

    @property
    def marker_dbfs(self) -> float:
        """RMS level of the markers over this programme."""
        return MARKER_DBFS

    @property
    def name(self) -> str:
        """All that it depends on."""
        return repr(self)

    def pieces(self, samples: int) -> Iterator[Pcm]:
        """Yield the first ``samples`` of the programme, ``PIECE_SAMPLES`` at a time; the last may be shorter."""
        source = np.random.default_rng(np.random.SeedSequence(self.seed))
        gain = np.float32(_amplitude(self.level_dbfs))
        for begin in range(0, samples, PIECE_SAMPLES):
            noise = source.standard_normal(min(PIECE_SAMPLES, samples - begin), dtype=np.float32)
            noise *= gain
            yield noise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speech:
    """Speech, mono at 48 kHz, repeated as long as needed, with markers ``marker_to_speech_db`` relative to it."""

    samples: Pcm
    marker_to_speech_db: float = MARKER_TO_SPEECH_DB
    _scaled: Pcm = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not LEAST_MARKER_DB <= self.marker_to_speech_db <= MOST_MARKER_DB:
            raise BadInputError(
                f"marker-to-speech ratio {self.marker_to_speech_db:g} dB is out of range",
                f"give {LEAST_MARKER_DB:g} to {MOST_MARKER_DB:g}",
            )
        if self.samples.ndim != 1 or self.samples.size == 0:
            raise BadInputError("the speech holds no samples", "give a WAV file with sound in it")
        if not np.all(np.isfinite(self.samples)):
            raise BadInputError("the speech holds samples that are not numbers", "give another WAV file")
        level = active_level(self.samples)
        if level < _amplitude(-90.0):
            raise BadInputError("the speech is silent", "give a WAV file with sound in it")
        object.__setattr__(self, "_scaled", self.samples * np.float32(_amplitude(SPEECH_DBFS) / level))

    @classmethod
    def from_wav(cls, path: Path, marker_to_speech_db: float = MARKER_TO_SPEECH_DB) -> Speech:
        """Return the speech of a WAV file of any rate and channel count.

        Raises:
            BadInputError: unreadable, not PCM, without samples, or silent.
        """
        try:
            return cls(samples=read_wav(path), marker_to_speech_db=marker_to_speech_db)
        except BadInputError as error:
            raise error if str(path) in error.message else error.within(str(path)) from None

    @property
    def marker_dbfs(self) -> float:
        """RMS level of the markers over this programme."""
        return SPEECH_DBFS + self.marker_to_speech_db

    @property
    def name(self) -> str:
        """All that it depends on."""
        return f"speech {hashlib.sha256(self._scaled.data).hexdigest()} with markers of {self.marker_dbfs!r} dBFS"

    def pieces(self, samples: int) -> Iterator[Pcm]:
        """Yield the first ``samples`` of the programme, ``PIECE_SAMPLES`` at a time; the last may be shorter."""
        length = len(self._scaled)
        for begin in range(0, samples, PIECE_SAMPLES):
            # Indices, not a slice: a copy, to which ``Mouth`` adds its markers in place.
            yield self._scaled[np.arange(begin, min(begin + PIECE_SAMPLES, samples)) % length]


Programme = Noise | Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Mouth:
    """Speaks a marker train over a programme (silence unless told otherwise)."""

    train: MarkerTrain = field(default_factory=MarkerTrain)
    programme: Programme = field(default_factory=lambda: Noise(level_dbfs=SILENCE_DBFS))

    @property
    def name(self) -> str:
        """All that what is spoken depends on, but for how long it is."""
        return f"{self.train} over {self.programme.name}"

    def pieces(self, duration_s: float) -> Iterator[Pcm]:
        """Yield what is spoken, ``PIECE_SAMPLES`` at a time (the last may be shorter); no marker is cut off at the end.

        Sound is mono, 48 kHz, full scale ±1.0.
        """
        starts = [(round(each.spoken_s * SAMPLE_RATE_HZ), each.code) for each in self.train.markers(duration_s)]
        gain = _amplitude(self.programme.marker_dbfs)
        begin = 0
        for pcm in self.programme.pieces(round(duration_s * SAMPLE_RATE_HZ)):
            end = begin + len(pcm)
            # A marker may reach over the seam of two pieces: it is left in the list until its last sample is
            # spoken, and each piece adds its own part.
            while starts and starts[0][0] + MARKER_SAMPLES <= begin:
                starts.pop(0)
            for start, code in starts:
                if start >= end:
                    break
                wave = waveform(code)
                # All markers at one RMS, fades included: codes differ by what their bends do to it.
                level = np.float32(gain / float(np.sqrt(np.mean(np.square(wave)))))
                first, last = max(start, begin), min(start + MARKER_SAMPLES, end)
                pcm[first - begin : last - begin] += wave[first - start : last - start] * level
            yield np.clip(pcm, -1.0, 1.0, out=pcm)
            begin = end

    def pcm(self, duration_s: float) -> Pcm:
        """Return what is spoken in one piece: shape (samples,)."""
        return np.concatenate([np.zeros(0, dtype=np.float32), *self.pieces(duration_s)])


def encode_stream(pcm: Pcm, settings: OpusSettings) -> list[bytes]:
    """Return the payloads of ``pcm``, one per packet time, the last one padded with zeros.

    With DTX some of them say "nothing to hear" (``is_dtx``); whether they are sent is the sender's business.
    """
    return list(encoded((pcm,), settings))


def encoded(pieces: Iterable[Pcm], settings: OpusSettings) -> Iterator[bytes]:
    """Yield the payloads of sound that comes in pieces of any length, as ``encode_stream`` does of the whole."""
    encoder = OpusEncoder(settings)
    size = settings.frame_samples
    rest = np.zeros(0, dtype=np.float32)
    for piece in pieces:
        sound = np.concatenate([rest, piece]) if len(rest) else piece
        whole = len(sound) // size * size
        for begin in range(0, whole, size):
            yield encoder.encode(sound[begin : begin + size])
        rest = sound[whole:]
    if len(rest):
        yield encoder.encode(np.pad(rest, (0, size - len(rest))))


def active_level(pcm: Pcm) -> float:
    """Return the RMS of the blocks of 20 ms that are no pauses (within 20 dB of the loudest), as an amplitude.

    A plain stand-in for the speech voltmeter of ITU-T P.56: within about 1 dB of it on speech, and level is not
    what is measured here.
    """
    whole = len(pcm) // _ACTIVE_BLOCK_SAMPLES * _ACTIVE_BLOCK_SAMPLES
    blocks = pcm[:whole].reshape(-1, _ACTIVE_BLOCK_SAMPLES) if whole else pcm.reshape(1, -1)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10 ** (-_ACTIVE_MARGIN_DB / 10)])))


def _amplitude(level_db: float) -> float:
    return float(10 ** (level_db / 20))
