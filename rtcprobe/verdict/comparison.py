"""Sides next to each other: two compared figure by figure, three or more ranked where the difference is real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rtcprobe.errors import BadInputError
from rtcprobe.result import Result, Unit
from rtcprobe.verdict import ear_figures, join_figures
from rtcprobe.verdict.difference import Difference, Estimate, Row, settle
from rtcprobe.verdict.figures import RUNS, Pair
from rtcprobe.verdict.sides import Side, are_pairs, gather, settings_apart
from rtcprobe.verdict.statistics import CONFIDENCE

__all__ = ["Both", "Comparison", "Place", "RankedMetric", "Ranking", "Side", "compare", "rank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides of one scenario: ``differences`` judge, ``phases`` of the join and ``stages`` per direction explain.

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
        return {
            "confidence": self.confidence,
            "paired": self.paired,
            "a": self.a.to_dict(),
            "b": self.b.to_dict(),
            "differences": [each.to_dict() for each in self.differences],
            "phases": [each.to_dict() for each in self.phases],
            "stages": [each.to_dict() for each in self.stages],
            "timers": [each.to_dict() for each in self.timers],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One side in one metric: its figure, and its rank (1 is best; equal where no difference is shown).

    ``rank`` None: shown to be neither better nor worse than any other.
    """

    label: str
    estimate: Estimate
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedMetric:
    """One metric of every side, in the order the sides were given; ``decided`` when any difference is real.

    A side's rank is one more than the number of sides shown to be better.
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a figure of seconds is in milliseconds."""
        factor = 1e3 if self.unit == "s" else 1.0
        return {
            "metric": self.metric,
            "aggregate": self.aggregate,
            "unit": "ms" if self.unit == "s" else self.unit,
            "decided": self.decided,
            "places": [{"label": p.label, "rank": p.rank, **p.estimate.to_dict(factor)} for p in self.places],
        }


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
        return {
            "confidence": self.confidence,
            "sides": [each.to_dict() for each in self.sides],
            "metrics": [each.to_dict() for each in self.metrics],
            "pairs": [each.to_dict() for each in self.pairs],
            "notes": list(self.notes),
        }


def compare(
    a: Sequence[Result],
    b: Sequence[Result],
    *,
    labels: tuple[str, str] = ("A", "B"),
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Return how ``b`` differs from ``a``: each one or several runs of one scenario.

    Raises:
        BadInputError: a side without runs that count, a side or two sides of different scenarios.
    """
    return _compared([Both.of(labels[0], a, labels[1], b)], confidence)[0]


def rank(sides: Sequence[tuple[str, Sequence[Result]]], *, confidence: float = CONFIDENCE) -> Ranking:
    """Return every side (label, runs) ranked per metric; two sides are a ranking too.

    All pairs and metrics are corrected together: that any rank is chance happens with at most ``1 − confidence``.

    Raises:
        BadInputError: as ``compare``; fewer than two sides; a label given twice.
    """
    labels = [label for label, _ in sides]
    if len(labels) < 2:
        raise BadInputError(f"{len(labels)} side cannot be ranked", "give two or more")
    for label in labels:
        if labels.count(label) > 1:
            raise BadInputError(f"side {label!r} is given twice", "give each its own name")
    pairs = _compared(
        [Both.of(*sides[i], *sides[j]) for i in range(len(sides)) for j in range(i + 1, len(sides))], confidence
    )
    found: dict[str, Side] = {}
    for each in pairs:
        found |= {each.a.label: each.a, each.b.label: each.b}
    names = dict.fromkeys(row.name for each in pairs for row in each.differences)
    return Ranking(
        sides=tuple(found[label] for label in labels),
        confidence=confidence,
        metrics=tuple(_ranked(name, labels, pairs) for name in names),
        pairs=pairs,
        notes=tuple(dict.fromkeys(note for each in pairs for note in each.notes)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Two sides before they are compared."""

    a: Side
    b: Side
    pair: Pair
    notes: tuple[str, ...]

    @classmethod
    def of(cls, label_a: str, a: Sequence[Result], label_b: str, b: Sequence[Result]) -> Both:
        """Return what counts of two sides.

        Raises:
            BadInputError: see ``compare``.
        """
        one, runs_a, notes_a = gather(label_a, a)
        two, runs_b, notes_b = gather(label_b, b)
        if one.scenario != two.scenario:
            raise BadInputError(
                f"{label_a} is of scenario {one.scenario}, {label_b} of {two.scenario}", "compare runs of one scenario"
            )
        pair = Pair(a=runs_a, b=runs_b, paired=are_pairs(runs_a, runs_b))
        return cls(a=one, b=two, pair=pair, notes=(*notes_a, *notes_b, *_remarks(one, two, pair)))

    def rows(self) -> tuple[list[Row], list[Row], list[Row], list[Row]]:
        """Return what is compared: what judges, and the phases, stages and timers that explain."""
        return (
            [*join_figures.headlines(self.pair), *ear_figures.headlines(self.pair)],
            list(join_figures.phases(self.pair)),
            list(ear_figures.stages(self.pair)),
            list(join_figures.timers(self.pair)),
        )

    def settled(self, families: Iterator[tuple[Difference, ...]], confidence: float) -> Comparison:
        """Return the comparison of the next four families, ``rows`` judged."""
        differences, phases, stages, timers = (next(families) for _ in range(4))
        return Comparison(
            a=self.a,
            b=self.b,
            paired=self.pair.paired,
            confidence=confidence,
            differences=differences,
            phases=phases,
            stages=stages,
            timers=timers,
            notes=self.notes,
        )


def _remarks(a: Side, b: Side, pair: Pair) -> list[str]:
    notes = []
    apart = settings_apart(pair.a[0].settings, pair.b[0].settings)
    if apart:
        more = f", and {len(apart) - 3} more" if len(apart) > 3 else ""
        notes.append(f"settings differ ({a.label} there, {b.label} here): {'; '.join(apart[:3])}{more}")
    if a.clock != b.clock:
        notes.append(f"clocks differ: {a.label} is {a.clock}, {b.label} {b.clock}; CPU time is only in the real one")
    if pair.paired:
        what = "seed" if a.runs == 1 else "seeds"
        notes.append(f"paired: equal {what}, so each join and marker is compared with its own")
        if not pair.by_runs:
            notes.append(f"{a.runs} {what}: a change shown here is real for it; {RUNS} or more say it of the scenario")
    elif not pair.by_runs:
        notes.append(
            f"{a.runs} and {b.runs} runs: calls with other seeds differ too, so mouth-to-ear is not judged; "
            f"give each side {RUNS} or more"
        )
    return notes


def _compared(both: Sequence[Both], confidence: float) -> tuple[Comparison, ...]:
    """Return the comparisons, their headline figures corrected together."""
    if not 0.5 <= confidence < 1.0:
        raise BadInputError(f"confidence {confidence} is impossible", "give one from 0.5 to below 1, like 0.95")
    families = [rows for each in both for rows in each.rows()]
    settled = iter(settle(families, confidence))
    return tuple(each.settled(settled, confidence) for each in both)


def _ranked(name: str, labels: Sequence[str], pairs: Sequence[Comparison]) -> RankedMetric:
    rows = {(each.a.label, each.b.label): row for each in pairs for row in each.differences if row.name == name}
    first = next(iter(rows.values()))
    beaten = dict.fromkeys(labels, 0)
    placed: set[str] = set()
    estimates: dict[str, Estimate] = {}
    for (one, two), row in rows.items():
        estimates |= {one: row.a, two: row.b}
        if row.verdict in ("better", "worse"):
            beaten[one if row.verdict == "better" else two] += 1
            placed |= {one, two}
    absent = Estimate(value=None)
    return RankedMetric(
        metric=first.metric,
        aggregate=first.aggregate,
        unit=first.unit,
        places=tuple(
            Place(
                label=label,
                estimate=estimates.get(label, absent),
                rank=1 + beaten[label] if label in placed else None,
            )
            for label in labels
        ),
        pairs=tuple(rows.values()),
    )
