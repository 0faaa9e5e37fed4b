"""What a loop that is awake does while nothing comes: rehearsals, a step at a time, none that might not end in time.

Rules:
    1. Time is an argument: the clock is the loop's, or a test's.
    2. A step is begun only where the longest that it took lately, and some, still fits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

__all__ = ["Meanwhile", "Rehearsal"]

Rehearsal = Iterator[str]
"""Goes on for ever, one short step each time: it yields the name of the step that comes next, and comes round again."""

# The first lap is cold and not kept, the second is known; a step begins where 1.3 times its longest is left. That is
# forgotten by a twentieth a lap: one slow step does not keep it from being tried for ever.
_LAPS = 2
_CAUTION = 1.3
_FORGETTING = 0.95


class Meanwhile:
    """Rehearsals in turn; each has gone round before the first wait, so that it is known how long its steps take."""

    def __init__(self, rehearsals: Sequence[Rehearsal], clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting = deque(_Timed(each, clock) for each in rehearsals)

    def go_on(self, left_s: float) -> bool:
        """Go one step on with the first rehearsal whose next step should end in time; return whether there was one."""
        for _ in range(len(self._waiting)):
            self._waiting.rotate(-1)
            if self._waiting[-1].goes_on(left_s):
                return True
        return False


class _Timed:
    """A rehearsal that knows how long each of its steps took lately."""

    def __init__(self, rehearsal: Rehearsal, clock: Callable[[], float]) -> None:
        self._steps = rehearsal
        self._clock = clock
        self._longest_s: dict[str, float] = {}
        first = self._next = next(rehearsal)
        for _ in range(_LAPS):
            self._step()
            while self._next != first:
                self._step()

    def goes_on(self, left_s: float) -> bool:
        """Do the next step, unless it might not end within ``left_s``; return whether it did."""
        if not self._next or left_s < _CAUTION * self._longest_s[self._next]:
            return False
        self._step()
        return True

    def _step(self) -> None:
        step, began_s = self._next, self._clock()
        self._next = ""  # an interruption ends a rehearsal, and the loop goes on
        self._next = next(self._steps)
        took_s = self._clock() - began_s
        known_s = self._longest_s.get(step)  # of the first lap nothing is kept: it is cold
        self._longest_s[step] = 0.0 if known_s is None else max(took_s, _FORGETTING * known_s)
