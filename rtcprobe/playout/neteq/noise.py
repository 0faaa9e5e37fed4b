"""How loud the room is: a slow estimate of background noise, which tells speech from silence.

Facts:
    After every tick that played decoded sound untouched, the 5.3 ms decoded last are looked at. Quieter than the
    threshold and spectrally flat, they become the estimate; louder, the threshold creeps up by 0.35 % a tick (four
    times in four seconds), so a room that got louder is believed in the end.
    The estimate decides whether time-stretching treats a passage as silence. Concealment does *not* fade into it:
    its gain is set to zero when concealment starts, and nothing raises it, so a long gap ends in exact zeros.

Source: ``background_noise.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871); the exact zeros:
measured on libwebrtc M151.
"""

from __future__ import annotations

from typing import Final

from rtcprobe.playout.base import Pcm
from rtcprobe.playout.neteq.dsp import ENERGY_UNIT, linear_prediction, residual

__all__ = ["WINDOW_SAMPLES", "BackgroundNoise"]

WINDOW_SAMPLES: Final = 256
_ORDER: Final = 8
_RESIDUAL_SAMPLES: Final = 64
_CREEP: Final = 1 + 229 / 65536
_START_ENERGY: Final = 2500.0
_START_THRESHOLD: Final = 500_000.0
_UNKNOWN_ENERGY: Final = 75_000.0
_DECAY: Final = 1 - 1 / 1024
_FLOOR_SHARE: Final = 2.0**-20  # 60 dB below the loudest


class BackgroundNoise:
    """The estimate; energies are per sample, full scale 32768."""

    __slots__ = ("_known", "_loudest", "_mean", "_threshold", "energy")

    def __init__(self) -> None:
        self.energy = _START_ENERGY
        self._threshold = _START_THRESHOLD
        self._loudest = 0.0
        self._mean = 0.0
        self._known = False

    @property
    def speech_energy(self) -> float:
        """The energy against which time-stretching tells speech: the estimate, or a guess before there is one."""
        return self.energy if self._known else _UNKNOWN_ENERGY

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
        coefficients = linear_prediction(latest, _ORDER)
        if coefficients is None:
            return
        left = residual(latest, coefficients, _RESIDUAL_SAMPLES)
        if 5 * float(left @ left) * ENERGY_UNIT >= 16 * mean:
            self.energy = max(mean, 1.0)
            self._known = True

    def update_again(self) -> None:
        """Take the same samples as last time once more, as a tick that decodes nothing does."""
        if self._mean >= self._threshold:
            self._creep()

    def _creep(self) -> None:
        self._threshold *= _CREEP
        loudest = self._loudest * _DECAY
        self._loudest = max(loudest, self._mean)
        floor = self._loudest * _FLOOR_SHARE
        self._threshold = max(self._threshold, floor)
