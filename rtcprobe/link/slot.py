"""Slots: packets that are due leave only when the next slot opens, some at a time.

Facts:
    So behave Wi-Fi, LTE and cable modems: what arrives in between goes out together. A slot is an instant. Packets
    due by then leave at it, at most so many packets or bytes; the rest wait for the next, one interval later. A lone
    packet waits E[X²] / 2E[X] on average, half an interval when intervals are all alike; a backlog leaves at n packets
    per mean interval.

Rules:
    1. Slots open whether or not anybody waits, the first when the link starts. (netem counts the next interval from
       the moment it last looked, so that a packet rarer than slots waits a whole one.)
    2. Slots keep the order packets were offered in, also where an earlier hop reorders; hence ``order: free`` beside
       them is refused. A packet that ``reorder`` lets step out passes them by, as in netem.
    3. A slot closes once it has carried its packets, or its bytes or more.
    4. No more than ``MOST_WAITING`` packets wait for slots, as in netem by default; who comes then is dropped.

Source: tc-netem(8) ``slot``; ``net/sched/sch_netem.c``.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.link.delay import Delay
from rtcprobe.units import format_duration

__all__ = ["MOST_WAITING", "Slot", "Slots"]

MOST_WAITING: Final = 1000
"""tc's own default (``sch_netem``), and that of the queue before the line."""

SHORTEST_S: Final = 1e-4
"""Shorter intervals are drawn out to this: no more than 10⁴ slots a second."""

_REMEMBERED_S: Final = 10.0
"""Of a longer silence only the end is gone through slot by slot; before it whole usual intervals are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """How far slots lie apart, and how much each carries; None is any number.

    Raises:
        BadInputError: an interval of nothing, a slot that carries nothing.
    """

    interval: Delay
    packets: int | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        usual_s = self.interval.quantile_s(0.5)
        if usual_s < SHORTEST_S:
            raise BadInputError(f"slot {format_duration(usual_s)} is impossible", "give 0.1ms or more")
        for name, most in (("packets", self.packets), ("bytes", self.size_bytes)):
            if most is not None and most < 1:
                raise BadInputError(f"slot {name} {most} carries nothing", "give 1 or more, or leave it out")


class Slots:
    """The slots of one hop; ``release`` seals one packet."""

    def __init__(self, slot: Slot, rng: np.random.Generator, begin_s: float) -> None:
        self._intervals = slot.interval.draws(rng)
        self._usual_s = slot.interval.quantile_s(0.5)
        self._packets = slot.packets or math.inf
        self._bytes = slot.size_bytes or math.inf
        self._opens_s = begin_s
        self._packets_left = self._packets
        self._bytes_left = self._bytes
        self._waiting: deque[float] = deque()

    def release(self, due_s: float, size_bytes: int) -> float | None:
        """Return when a packet due at ``due_s`` leaves: with the first slot that has room; None if it finds none."""
        waiting = self._waiting
        # By when they were released: whoever is due now finds those gone whose slot has opened.
        while waiting and waiting[0] <= due_s:
            waiting.popleft()
        if len(waiting) >= MOST_WAITING:
            return None
        # Whole usual intervals are passed over, so the phase of the slots is as random after a silence as before.
        if due_s - self._opens_s > _REMEMBERED_S:
            self._opens_s += (due_s - self._opens_s - _REMEMBERED_S) // self._usual_s * self._usual_s
        while self._opens_s < due_s:
            self._next()
        released_s = self._opens_s
        waiting.append(released_s)
        self._packets_left -= 1
        self._bytes_left -= size_bytes
        # Rule 3: a packet longer than what is left still goes, and then the slot is closed.
        if self._packets_left <= 0 or self._bytes_left <= 0:
            self._next()
        return released_s

    def _next(self) -> None:
        # A spread may draw next to nothing, again and again; the loop above would not come to ``due_s``.
        self._opens_s += max(SHORTEST_S, next(self._intervals))
        self._packets_left = self._packets
        self._bytes_left = self._bytes
