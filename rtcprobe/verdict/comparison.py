"""Sides next to each other: two compared figure by figure, three or more ranked where the difference is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtcprobe.result import Clock, Result, Unit
from rtcprobe.verdict.difference import Difference, Estimate
from rtcprobe.verdict.statistics import CONFIDENCE

__all__ = ["Comparison", "Place", "RankedMetric", "Ranking", "Side", "compare", "rank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Who was measured: the caller's ``label`` (a target, a file), and the runs that count."""

    label: str
    scenario: str
    scenario_digest: str
    clock: Clock
    target: str
    seeds: tuple[int, ...]
    joins: int

    @property
    def runs(self) -> int:
        """How many runs count."""
        return len(self.seeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides of one scenario: ``differences`` judge, ``phases`` (of the join) and ``stages`` (per direction) explain.

    The mean phases sum to the mean join of each side, the stages to the mean mouth-to-ear delay: their ``a.value`` and
    ``b.value`` are the waterfalls. ``timers`` is what retransmissions cost the mean join, by timer. ``notes`` are what
    a reader must know: what was paired, what was left out, what one call cannot say.
    """

    a: Side
    b: Side
    paired: bool
    confidence: float
    differences: tuple[Difference, ...]
    phases: tuple[Difference, ...] = ()
    stages: tuple[Difference, ...] = ()
    timers: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One side in one metric: its figure, and its rank (1 is best; equal where no difference is shown)."""

    label: str
    estimate: Estimate
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedMetric:
    """One metric of every side, in the order the sides were given; ``decided`` when any difference is real.

    A side's rank is one more than the number of sides shown to be better; None for all where nothing is decided.
    """

    metric: str
    aggregate: str
    unit: Unit
    places: tuple[Place, ...]
    pairs: tuple[Difference, ...]

    @property
    def decided(self) -> bool:
        """Whether any two sides really differ."""
        return any(each.verdict in ("better", "worse") for each in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Three or more sides: every metric ranked, and every pair compared in full (``pairs``, a before b as given)."""

    sides: tuple[Side, ...]
    confidence: float
    metrics: tuple[RankedMetric, ...]
    pairs: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        raise NotImplementedError


def compare(
    a: Sequence[Result],
    b: Sequence[Result],
    *,
    labels: tuple[str, str] = ("A", "B"),
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Return how ``b`` differs from ``a``: each one or several runs of one scenario.

    Raises:
        BadInputError: a side without runs, sides of different scenarios, invalid runs only.
    """
    raise NotImplementedError


def rank(sides: Sequence[tuple[str, Sequence[Result]]], *, confidence: float = CONFIDENCE) -> Ranking:
    """Return every side (label, runs) ranked per metric; two sides are a ranking too.

    Raises:
        BadInputError: as ``compare``; fewer than two sides; a label given twice.
    """
    raise NotImplementedError
