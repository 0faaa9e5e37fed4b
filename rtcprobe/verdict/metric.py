"""What a budget is about, and what a run holds of it: a metric, of every way or of one, and its observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from rtcprobe.result import Kind, Result, Unit
from rtcprobe.verdict.intervals import Calls, Rated
from rtcprobe.verdict.room.people import groups, people

__all__ = ["Metric", "Observations", "Over", "known_ways"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What a run holds of one metric: ``values`` in the order taken, and how many more never came.

    ``calls`` instead, where they resemble each other within a call. ``figures`` instead, by aggregate name, where the
    run keeps only figures (a link's delay quantiles over packets); ``rated``: its figure "mean" and that of each call.
    """

    values: tuple[float, ...] = ()
    never: int = 0
    calls: Calls | None = None
    figures: Mapping[str, float] | None = None
    rated: Rated | None = None

    def away_from(self, centre: float) -> Observations:
        """Return the same as distances from ``centre``."""
        # Distances lose what no value can be below: their least is 0, whatever the figure's own is.
        values = tuple(abs(each - centre) for each in self.values)
        calls = None if self.calls is None else Calls(parts=tuple(np.abs(each - centre) for each in self.calls.parts))
        return replace(self, values=values, calls=calls)

    @property
    def count(self) -> int:
        """How many values were taken."""
        return len(self.values) if self.calls is None else len(self.calls)

    @property
    def empty(self) -> bool:
        """Whether nothing at all was observed."""
        return not self.count and not self.never and not self.figures and self.rated is None


Over = Literal["run", "join", "room", "link"] | Kind
"""What a metric is about: the run, its joins or the room (of all parties together, of one, or of a role), its links
(leg by leg), or the accounts of one kind (way by way)."""

_WHOLE: Final[tuple[Over, ...]] = ("run", "join", "room")
"""What means all together where it names nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A name a budget may use, as ``root`` and ``suffix``: its unit, its aggregates (None: any of a series).

    ``way`` is the way, leg or party it is about; None, of what has ways, means every one of them (``each``).
    """

    root: str
    suffix: str
    unit: Unit
    pick: Callable[[Result, str], Observations]
    aggregates: tuple[str, ...] | None = None
    over: Over = "run"
    way: str | None = None

    @property
    def name(self) -> str:
        """What a budget calls it: ``"mouth_to_ear.ana_to_ben.lost"``."""
        return self.root + ("" if self.way is None else f".{self.way}") + self.suffix

    def at(self, way: str) -> Metric:
        """Return the same of one way, leg or party."""
        return replace(self, way=way)

    def each(self, result: Result) -> tuple[Metric, ...]:
        """Return what it stands for in a result: itself, or itself of every way or leg that was measured."""
        if self.over in _WHOLE or self.way is not None:
            return (self,)
        # Itself, where there is none: it then reads as nothing, and a budget is inconclusive instead of vanishing.
        return tuple(map(self.at, known_ways(self.over, result))) or (self,)

    def read(self, result: Result) -> Observations:
        """Return what the run holds of it: nothing, where it has ways and names none."""
        if self.over not in _WHOLE and self.way is None:
            return Observations()
        return self.pick(result, self.way or "")


def known_ways(over: Over, result: Result) -> tuple[str, ...]:
    """Return the ways of a kind, the legs, the parties that joined and their roles, that a result knows of."""
    if over == "link":
        return tuple(result.link)
    if over == "join":
        joined = (each.party for each in (*result.join.attempts, *result.join.others))
        return tuple(dict.fromkeys((*joined, *groups(people(result)))))
    if over == "room":
        return tuple(dict.fromkeys((*people(result), *groups(people(result)))))
    if over == "run":
        return ()
    return result.ways if over == "mouth_to_ear" else tuple(result.of_kind(over))
