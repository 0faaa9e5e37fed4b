"""The sound that came back from a page, put together: blocks with the instants at which they were pulled."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.resample import resampled
from rtcprobe.recording import Sounded

__all__ = ["Returned"]


@dataclass(slots=True)
class _Ear:
    at_ms: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    behind_ms: list[float] = field(default_factory=list)
    """How long after its instant each block was read."""
    pieces: list[npt.NDArray[np.float32]] = field(default_factory=list)


@dataclass(slots=True)
class Returned:
    """What the ears of one page have told so far; one ear a remote track."""

    ears: dict[tuple[int, int], _Ear] = field(default_factory=dict)

    def take(self, text: str) -> None:
        """Take a second of sound, as the init script words it; what cannot be read is left out."""
        try:
            told = json.loads(text)
            pcm: Pcm = (np.frombuffer(base64.b64decode(told["pcm"]), dtype="<i2") / 32768).astype(np.float32)
            sizes = [int(each) for each in told["sizes"]]
            behind_ms = [float(each) for each in told["behind"]]
            # Stamps are microseconds from the origin of whoever counted them, which
            # came along: together, the page's wall clock.
            at_ms = [float(told["origin"]) + float(each) / 1e3 for each in told["stamps"]]
            rate_hz, key = int(told["rate"]), (int(told["n"]), int(told["id"]))
        except (ValueError, TypeError, KeyError, binascii.Error):
            return
        # A message that was cut short has fewer samples than its blocks say: half of it would shift all that follows.
        if sum(sizes) != len(pcm) or not len(sizes) == len(at_ms) == len(behind_ms) or rate_hz <= 0:
            return
        ear = self.ears.setdefault(key, _Ear())
        if rate_hz != SAMPLE_RATE_HZ:
            # Tracks without processing give 44.1 kHz in blocks of 441 samples
            # (Chromium's fake device); a piece is a second of them.
            pcm = resampled(pcm, rate_hz, SAMPLE_RATE_HZ)
            # Ends of blocks, not their lengths, are turned into the new rate: rounding
            # then never adds up, and the last takes the rest.
            ends = np.minimum(np.cumsum(sizes) * SAMPLE_RATE_HZ // rate_hz, len(pcm))
            ends[-1:] = len(pcm)
            sizes = np.diff(ends, prepend=0).tolist()
        ear.at_ms += at_ms
        ear.sizes += sizes
        ear.behind_ms += behind_ms
        ear.pieces.append(pcm)

    def sound(self, key: tuple[int, int]) -> Sounded:
        """Return one track, its instants on the page's wall clock."""
        return _sounded(self.ears[key], 0.0, {})

    def sounds(self, shift_s: float, figures: Mapping[str, float]) -> list[Sounded]:
        """Return every track that sounded, the loudest first, one at least.

        ``shift_s`` turns a page's wall clock into seconds since the epoch.
        """
        # A page plays a track for every slot that a server keeps ready: the
        # talker's is the loud one, and silence is no second.
        loudness = {key: _energy(ear) for key, ear in self.ears.items()}
        order = sorted(loudness, key=lambda key: loudness[key], reverse=True)
        ears = [self.ears[key] for key in order if loudness[key] > 0.0] or [self.ears[key] for key in order[:1]]
        return [_sounded(ear, shift_s, figures) for ear in ears or [_Ear()]]


def _sounded(ear: _Ear, shift_s: float, figures: Mapping[str, float]) -> Sounded:
    return Sounded(
        at_s=np.array(ear.at_ms, dtype=np.float64) / 1e3 + shift_s,
        sizes=np.array(ear.sizes, dtype=np.int64),
        pcm=np.concatenate(ear.pieces) if ear.pieces else np.zeros(0, dtype=np.float32),
        figures=figures,
    )


def _energy(ear: _Ear) -> float:
    return float(sum(np.sum(np.square(each, dtype=np.float64)) for each in ear.pieces))
