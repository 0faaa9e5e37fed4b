"""WAV files in and out: any PCM in, 16-bit mono 48 kHz out."""

from __future__ import annotations

import io
import struct
import warnings
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.resample import resampled
from rtcprobe.errors import BadInputError
from rtcprobe.textfiles import read_bytes

__all__ = ["WavFile", "read_wav", "wav_file", "write_wav"]

_MOST_BYTES = 2**30
"""An hour and a half of stereo at 48 kHz."""


def read_wav(path: Path) -> Pcm:
    """Return the sound of a WAV file: mono (channels averaged), resampled to 48 kHz, full scale ±1.0.

    Integer samples of 8 to 32 bits and floating-point samples are read; compressed ones are not.

    Raises:
        BadInputError: unreadable, not such a WAV file, or without samples.
    """
    # The standard library's ``wave`` reads no floating point, nor before Python 3.12 the extensible form of
    # the header.
    from scipy.io import wavfile  # noqa: PLC0415 - a fifth of a second that calls without WAVs should not pay

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of tags are nobody's concern
            rate_hz, raw = wavfile.read(io.BytesIO(read_bytes(path, most=_MOST_BYTES)))
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}", "give a readable WAV file") from None
    except (ValueError, struct.error, EOFError, ArithmeticError, LookupError, TypeError, NameError):
        # A malformed file meets the reader's own arithmetic in many ways; to its owner they are one.
        raise BadInputError(f"{path} is not a PCM WAV file", "convert it to 16-bit PCM") from None
    if raw.size == 0:
        raise BadInputError(f"{path} holds no samples", "give a WAV file with sound in it")
    if not 4_000 <= rate_hz <= 768_000:
        raise BadInputError(f"{path} has a sample rate of {rate_hz} Hz", "give 4 kHz to 768 kHz")
    mono = _full_scale(raw)
    if mono.ndim == 2:
        # The mean, not the sum: two equal channels must not clip.
        mono = mono.mean(axis=1, dtype=np.float32)
    return resampled(mono, rate_hz, SAMPLE_RATE_HZ)


def write_wav(path: Path, pcm: Pcm) -> None:
    """Write ``pcm`` (shape (samples,), 48 kHz, full scale ±1.0, clipped beyond) as 16-bit mono PCM.

    Raises:
        BadInputError: the file cannot be written.
    """
    with wav_file(path) as file:
        file.write(pcm)


class WavFile:
    """A 16-bit mono WAV file being written piece by piece."""

    def __init__(self, file: wave.Wave_write) -> None:
        self._file = file
        self._skipped = 0

    def begin(self, start_s: float) -> None:
        """Let what is written first be the sound of ``start_s``, and the file that of 0 s on."""
        lead = round(start_s * SAMPLE_RATE_HZ)
        self._skipped = max(-lead, 0)
        self.write(np.zeros(max(lead, 0), dtype=np.float32))

    def write(self, pcm: Pcm) -> None:
        """Write more sound, shape (samples,), 48 kHz, full scale ±1.0, clipped beyond."""
        if self._skipped:
            skipped = min(self._skipped, len(pcm))
            self._skipped -= skipped
            pcm = pcm[skipped:]
        self._file.writeframesraw(np.round(np.clip(pcm, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())


@contextmanager
def wav_file(path: Path) -> Iterator[WavFile]:
    """Write a WAV file in this block.

    Raises:
        BadInputError: the file cannot be written.
    """
    try:
        with path.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            yield WavFile(file)
    except OSError as error:
        raise BadInputError(f"cannot write {path}: {error.strerror}", "give a writable directory") from None


def _full_scale(raw: npt.NDArray[np.generic]) -> Pcm:
    """Return samples as float32 of full scale ±1.0; 8-bit PCM is unsigned (its silence is 128)."""
    if raw.dtype == np.uint8:
        return (raw.astype(np.float32) - 128.0) / np.float32(128.0)
    if np.issubdtype(raw.dtype, np.integer):
        # 24-bit samples come as 32 bits from scipy, shifted up: full scale is that of the wider type.
        return raw.astype(np.float32) / np.float32(2.0 ** (8 * raw.dtype.itemsize - 1))
    return raw.astype(np.float32)
