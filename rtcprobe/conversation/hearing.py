"""What somebody who takes part makes of what is heard: whether the other speaks, and since when.

Rule: speech has begun when ``least_s`` of it were heard within it, and counts from its first block; it has ended when
nothing was heard for ``gap_s``, and counts to its last block. These are decisions taken during the call, a block of
10 ms fine; what is measured is measured afterwards (``audio.voice``).
"""

from __future__ import annotations

from typing import NamedTuple

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.voice import VoiceGate

__all__ = ["Heard", "Turns"]

# Floating point: ten blocks of 10 ms are as good as 100 ms.
_AS_GOOD_S = 1e-9


class Heard(NamedTuple):
    """Speech that has ended, seconds: its first and last sound, and when it was known to be over."""

    begun_s: float
    ended_s: float
    decided_s: float


class Turns:
    """Follows the other's speech.

    ``speaking_since_s`` is when the speech going on began (None: silence), ``loud_s`` how much voice was heard since,
    ``ended`` every speech there was.
    """

    def __init__(self, gate: VoiceGate, *, least_s: float, gap_s: float) -> None:
        self._gate = gate
        self._least_s, self._gap_s = least_s, gap_s
        self._first_s: float | None = None
        self._last_s = 0.0
        self.loud_s = 0.0
        self.ended: list[Heard] = []

    @property
    def speaking_since_s(self) -> float | None:
        """When the speech going on began; None where there is none, or too little to be one."""
        return self._first_s if self.loud_s >= self._least_s - _AS_GOOD_S else None

    @property
    def silent_since_s(self) -> float | None:
        """When the latest speech ended; None before the first."""
        return self.ended[-1].ended_s if self.ended else None

    def hear(self, block: Pcm, at_s: float) -> None:
        """Take a block that is heard from ``at_s`` on."""
        end_s = at_s + len(block) / SAMPLE_RATE_HZ
        if self._gate.loud(block):
            if self._first_s is None:
                self._first_s = at_s
            self.loud_s += end_s - at_s
            self._last_s = end_s
        # Silence long enough ends it; too little voice before is forgotten, as a cough is, and no turn.
        elif self._first_s is not None and end_s - self._last_s >= self._gap_s - _AS_GOOD_S:
            if self.speaking_since_s is not None:
                self.ended.append(Heard(self._first_s, self._last_s, end_s))
            self._first_s, self.loud_s = None, 0.0
