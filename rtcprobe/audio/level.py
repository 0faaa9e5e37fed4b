"""How loud each frame is, as a mouth tells it in the header of its packets (RFC 6464).

Facts:
    A level is -dBov: decibels below the overload point of digital sound, 0 to 127 (RFC 6465 §2: the mean square of the
    samples against that of a full-scale square wave). Digital silence is 127.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from rtcprobe.audio.pcm import Pcm

__all__ = ["QUIETEST", "levels_of"]

# RFC 6464, section 3: seven bits, 0 to 127 below full scale; digital silence is 127.
QUIETEST: Final = 127

# The power of the quietest level that can be said; below it the logarithm would fall without end.
_LEAST: Final = 10.0 ** (-QUIETEST / 10.0)


def levels_of(sound: Iterable[Pcm], frame_samples: int) -> bytes:
    """Return the level of each frame of ``sound`` (mono, full scale 1.0), a byte each; what is left is one, too."""
    out, rest = bytearray(), np.zeros(0, dtype=np.float32)
    for piece in sound:
        whole = np.concatenate([rest, piece]) if len(rest) else piece
        count = len(whole) // frame_samples
        out += _levels(whole[: count * frame_samples].reshape(count, frame_samples))
        rest = whole[count * frame_samples :]
    return bytes(out + _levels(rest.reshape(1, -1))) if len(rest) else bytes(out)


def _levels(frames: Pcm) -> bytes:
    """Return the level of each row, shape (frames, samples)."""
    mean_square = np.mean(np.square(frames, dtype=np.float64), axis=1)
    levels = np.round(-10.0 * np.log10(np.maximum(mean_square, _LEAST)))
    return bytes(np.clip(levels, 0, QUIETEST).astype(np.uint8))
