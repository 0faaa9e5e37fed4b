"""When a frame that may wait is really released: a native thread knows whole ms, Chromium 64 ticks a second.

Facts:
    - A native thread counts a delayed task in whole ms of its clock, rounded up, and sleeps whole ms from whatever woke
      it last: so a task falls due up to a millisecond later than asked, in the phase of the last packet that came.
    - Chromium releases frames of all streams together, on a metronome of 64 Hz. A frame goes at the tick *before* its
      latest time; at once where that has passed, or comes 5 ms and more before the next tick. So it leaves up to
      15.6 ms early. Of 156 headless the phase coherence with 15.625 ms was 0.998, with 1/60 s 0.06.

Source: ``rtc_base/thread.cc``, ``video/decode_synchronizer.cc`` of libwebrtc (2026-08).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from rtcprobe.playout.frames.micros import MS

__all__ = ["Metronome", "MillisecondTimer", "ReleaseTimer"]

# 1/64 s; and who is due 5 ms and more before the next tick does not wait for it.
TICK_US: Final = 15_625
_EARLY_US: Final = 5 * MS


class ReleaseTimer(Protocol):
    """When a frame leaves the buffer."""

    def schedule(self, wait_us: int, now_us: int) -> int:
        """Return when a frame that may wait ``wait_us`` is released."""
        ...

    def woken(self, now_us: int, due_us: int) -> int:
        """Return when what was due at ``due_us`` is due, the thread having been woken at ``now_us``."""
        ...


@dataclass(slots=True)
class MillisecondTimer:
    """A native thread; ``late_us`` is by how much the system wakes it late."""

    late_us: int = 80
    _run_ms: int = 0

    def schedule(self, wait_us: int, now_us: int) -> int:
        """Return when a task is run that is posted with a delay: at once without one."""
        if wait_us <= 0:
            return now_us
        # Whole milliseconds, rounded up, on a clock of whole milliseconds that is rounded down: up to one too
        # many.
        self._run_ms = now_us // MS - (-wait_us // MS)
        return self.woken(now_us, now_us + 1)

    def woken(self, now_us: int, due_us: int) -> int:
        """Count the whole ms that are left from now on; what is due already stays so."""
        if due_us <= now_us:
            return due_us
        left_ms = self._run_ms - now_us // MS
        return now_us if left_ms <= 0 else now_us + left_ms * MS + self.late_us


@dataclass(slots=True)
class Metronome:
    """Chromium's ticks, ``phase_us`` after whole periods of the clock."""

    phase_us: int = 0

    def schedule(self, wait_us: int, now_us: int) -> int:
        """Return the tick at which a frame is released, or now."""
        next_us = now_us + TICK_US - (now_us - self.phase_us) % TICK_US
        latest_us = now_us + wait_us
        # Upstream's rule word by word: so near to the tick one waits for it, though it comes too late by up
        # to 5 ms.
        if latest_us < next_us - _EARLY_US or latest_us < now_us:
            return now_us
        if latest_us < next_us + TICK_US:
            return next_us
        return next_us + (latest_us - next_us) // TICK_US * TICK_US

    def woken(self, now_us: int, due_us: int) -> int:  # noqa: ARG002 - ticks do not depend on it
        """Return ``due_us``."""
        return due_us
