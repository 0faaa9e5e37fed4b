"""How late the real loop runs, and when the whole process stood still.

Facts:
    What a stall does to a call outlasts it: NetEQ raises its target by what came late and lowers it over 10 to 20 s, so
    0.6 s without the processor are heard for a third of a minute. A stall is few samples among many, so quantiles of
    packets do not show it.

Rules:
    1. Lateness is weighed by time: timers are due on a grid from beginning to end, those that came due while nothing
       ran as well. A timer due at a random instant would have been late by one of these values.
    2. Later than ``STALL_S`` is a stall: it lasts from the first timer that came due in it to its end, so it began up
       to one period earlier. Less is one frame late within its own packet time, as any scheduler may have it.
"""

from __future__ import annotations

import asyncio
from array import array
from typing import Final, NamedTuple

import numpy as np

__all__ = ["STALL_S", "LagMeter", "Stall"]

STALL_S: Final = 0.020
"""One packet time of Opus: a packet that is later moves what NetEQ aims at by a step (20 ms) or more."""


class Stall(NamedTuple):
    """When a stall began, on the loop's clock, and how long it lasted; seconds."""

    at_s: float
    lasted_s: float


class LagMeter:
    """Measures how late the loop itself runs, by a timer every ``period_s``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float = 0.020) -> None:
        self.samples_s = array("d")
        self.stalls: list[Stall] = []
        self._loop = loop
        self._period_s = period_s
        self._due_s = loop.time() + period_s
        self._handle = loop.call_at(self._due_s, self._tick)

    def stop(self) -> None:
        """Stop measuring; what is late by now counts."""
        self._handle.cancel()
        self._count(self._loop.time())

    def _tick(self) -> None:
        self._count(self._loop.time())
        self._handle = self._loop.call_at(self._due_s, self._tick)

    def _count(self, now_s: float) -> None:
        late_s = now_s - self._due_s
        if late_s < 0.0:
            return
        if late_s > STALL_S:
            self.stalls.append(Stall(self._due_s, late_s))
        missed = int(late_s / self._period_s) + 1
        self.samples_s.extend((late_s - self._period_s * np.arange(missed)).tolist())
        self._due_s += missed * self._period_s
