"""How loud the room is: a slow estimate of background noise, which tells speech from silence.

Facts:
    After every tick that played decoded sound untouched, the 5.3 ms decoded last are looked at. Quieter than the
    threshold and spectrally flat, they become the estimate; louder, the threshold creeps up by 0.35 % a tick (four
    times in four seconds), so a room that got louder is believed in the end.
    The estimate decides whether time-stretching treats a passage as silence; it is worked out when that is asked, from
    the newest candidate back to the first flat one, because most candidates are never asked for.
    Concealment does *not* fade into it: its gain is set to zero when concealment starts, and nothing raises it, so a
    long gap ends in exact zeros.

Source: ``background_noise.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871); the exact zeros:
measured on libwebrtc M151.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rtcprobe.playout.base import Pcm
from rtcprobe.playout.neteq.dsp import ENERGY_UNIT, linear_prediction, residual

__all__ = ["WINDOW_SAMPLES", "BackgroundNoise"]

# kVecLen, kMaxLpcOrder and kResidualLength of ``background_noise.h``.
WINDOW_SAMPLES: Final = 256
_ORDER: Final = 8
_RESIDUAL_SAMPLES: Final = 64
_CREEP: Final = 1 + 229 / 65536  # 0.35 % a tick, as upstream has it in Q16
_START_ENERGY: Final = 2500.0  # a room at -56 dBFS
_START_THRESHOLD: Final = 500_000.0  # -33 dBFS: the first sound quieter than that is taken for the room
_UNKNOWN_ENERGY: Final = 75_000.0  # -42 dBFS, as long as nothing was
_DECAY: Final = 1 - 1 / 1024  # the loudest is half forgotten after 7 s of such ticks
_MOST_CANDIDATES: Final = 256  # of ours: settled before they cost more memory than the look at them costs time
_FLOOR_SHARE: Final = 2.0**-20  # 60 dB below the loudest


class BackgroundNoise:
    """The estimate; energies are per sample, full scale 32768."""

    __slots__ = ("_candidates", "_energy", "_known", "_loudest", "_mean", "_threshold")

    def __init__(self) -> None:
        self._energy = _START_ENERGY
        self._threshold = _START_THRESHOLD
        self._loudest = 0.0
        self._mean = 0.0
        self._known = False
        self._candidates: list[tuple[Pcm, float]] = []  # sound and its mean energy, oldest first

    @property
    def energy(self) -> float:
        """The estimate."""
        self._settle()
        return self._energy

    @property
    def speech_energy(self) -> float:
        """The energy against which time-stretching tells speech: the estimate, or a guess before there is one."""
        self._settle()
        return self._energy if self._known else _UNKNOWN_ENERGY

    def update(self, latest: Pcm) -> None:
        """Take the 256 samples decoded last."""
        total = float(latest @ latest) * ENERGY_UNIT
        self._mean = mean = total / WINDOW_SAMPLES
        if mean >= self._threshold:
            self._creep()
            return
        if total < 1:
            return  # digital silence tells nothing
        self._threshold = max(mean, 1.0)
        self._add(latest.copy(), mean)

    def update_again(self) -> None:
        """Take the same samples as last time once more, as a tick that decodes nothing does."""
        if self._mean >= self._threshold:
            self._creep()

    def follow(self, windows: Pcm, again: Sequence[int]) -> None:
        """Do what ``update`` does for each of ``windows``, shape (n, 256), and ``update_again`` so often after each."""
        # The product of a row with itself: the one that ``@`` makes of two vectors, to the bit.
        totals: list[float] = (np.vecdot(windows, windows).astype(np.float64) * ENERGY_UNIT).tolist()
        mean, threshold, loudest = self._mean, self._threshold, self._loudest
        quiet: list[tuple[int, float]] = []
        for place, (total, times) in enumerate(zip(totals, again, strict=True)):
            mean, left = total / WINDOW_SAMPLES, times
            if mean >= threshold:
                left += 1
            elif total >= 1:
                threshold = mean if mean > 1.0 else 1.0  # noqa: FURB136 - and so does ``max``
                quiet.append((place, mean))
            while left and mean >= threshold:  # which rises, and stays where it is higher
                # What ``_crept`` does: a call of it takes longer than all this.
                loudest *= _DECAY
                loudest = mean if loudest < mean else loudest  # noqa: FURB136 - and so does ``max``
                threshold *= _CREEP
                floor = loudest * _FLOOR_SHARE
                threshold = floor if threshold < floor else threshold  # noqa: FURB136
                left -= 1
        self._mean, self._threshold, self._loudest = mean, threshold, loudest
        if quiet:
            # Copied together, as the sound they are of will be written over.
            kept = windows[[place for place, _ in quiet]]
            self._candidates += zip(kept, [each for _, each in quiet], strict=True)
            if len(self._candidates) >= _MOST_CANDIDATES:
                self._settle()

    def _add(self, sound: Pcm, mean: float) -> None:
        self._candidates.append((sound, mean))
        if len(self._candidates) >= _MOST_CANDIDATES:
            self._settle()

    def _settle(self) -> None:
        for sound, mean in reversed(self._candidates):
            if _is_flat(sound, mean):
                self._energy = max(mean, 1.0)
                self._known = True
                break
        self._candidates.clear()

    def _creep(self) -> None:
        self._threshold, self._loudest = _crept(self._threshold, self._loudest, self._mean)


def _crept(threshold: float, loudest: float, mean: float) -> tuple[float, float]:
    """Return threshold and loudest level after a tick no quieter than the threshold."""
    loudest *= _DECAY
    loudest = max(loudest, mean)
    threshold *= _CREEP
    floor = loudest * _FLOOR_SHARE
    return (max(threshold, floor)), loudest


def _is_flat(sound: Pcm, mean: float) -> bool:
    """Return whether a predictor makes little of ``sound``: then it is noise."""
    coefficients = linear_prediction(sound, _ORDER)
    if coefficients is None:
        return False
    left = residual(sound, coefficients, _RESIDUAL_SAMPLES)
    return 5 * float(left @ left) * ENERGY_UNIT >= 16 * mean
