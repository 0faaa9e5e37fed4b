"""What happens when: things to be done, earliest first; of one instant, in the order they were noted."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

__all__ = ["Agenda"]


class Agenda:
    """An agenda; ``now_s`` is the instant of what is being done."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self._coming: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()

    def at(self, at_s: float, what: Callable[[], object]) -> None:
        """Do ``what`` at ``at_s``."""
        # The number between them keeps equal instants in the order they were noted, and functions from being compared.
        heappush(self._coming, (at_s, next(self._order), what))

    def until(self, end_s: Callable[[], float]) -> None:
        """Do all that comes before ``end_s``, which may move while it is done."""
        coming = self._coming
        while coming and coming[0][0] <= end_s():
            self.now_s, _, what = heappop(coming)
            what()
