"""Order through the delay stage of a hop: a packet arrives no earlier than any that entered the stage before it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Keeper"]

_HINDSIGHT: Final = 256
"""How many recent packets a latecomer is placed among; see ``Keeper``."""


_Floats = npt.NDArray[np.float64]


class Keeper:
    """Keeps order through the delay stage, for packets sealed one by one."""

    def __init__(self) -> None:
        self._last = (-math.inf, -math.inf)
        self._recent: deque[tuple[float, float]] = deque(maxlen=_HINDSIGHT)  # (entered, arrives), both rising

    def place(self, entered_s: float, wanted_s: float) -> float:
        """Return when the packet that entered at ``entered_s`` arrives: as wanted, but never past a neighbour."""
        last_entered_s, last_arrival_s = self._last
        if entered_s >= last_entered_s:
            arrival_s = max(wanted_s, last_arrival_s)
            self._last = (entered_s, arrival_s)
            self._recent.append(self._last)
            return arrival_s
        return self._place_among(entered_s, wanted_s)

    def place_many(
        self, entered_s: npt.NDArray[np.float64], wanted_s: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return ``place`` of packets that entered in this order."""
        if len(entered_s) and entered_s[0] < self._last[0]:  # whoever sealed ahead of time stands behind them
            both = zip(entered_s.tolist(), wanted_s.tolist(), strict=True)
            return np.array([self.place(entered, wanted) for entered, wanted in both])
        # Each no earlier than the latest before it: the running maximum is what ``place`` keeps, one packet
        # at a time.
        arrival_s = np.maximum.accumulate(np.maximum(wanted_s, self._last[1]))
        if len(arrival_s):
            recent = zip(entered_s[-_HINDSIGHT:].tolist(), arrival_s[-_HINDSIGHT:].tolist(), strict=True)
            self._recent.extend(recent)
            self._last = self._recent[-1]
        return arrival_s

    def place_last(self, entered_s: float, wanted_s: float) -> float:
        """Return when it arrives behind everyone, were it overtaken or not: slots have room for it there alone."""
        return self.place(max(entered_s, self._last[0]), wanted_s)

    def _place_among(self, entered_s: float, wanted_s: float) -> float:
        # An earlier hop let it be overtaken: it goes between those sealed before it, by the time it entered.
        place = bisect_right(self._recent, entered_s, key=lambda pair: pair[0])
        # Between its neighbours: not before the one that entered earlier, not after the one that entered
        # later. Of one that is older than all that is remembered only the latter is known.
        floor_s = self._recent[place - 1][1] if place else wanted_s
        arrival_s = min(max(wanted_s, floor_s), self._recent[place][1])
        # A full list forgets its oldest; one older than that would be forgotten at once, and is not put in.
        if len(self._recent) < _HINDSIGHT or place:
            if len(self._recent) == _HINDSIGHT:
                self._recent.popleft()
                place -= 1
            self._recent.insert(place, (entered_s, arrival_s))
        return arrival_s
