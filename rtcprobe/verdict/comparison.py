"""Sides next to each other: two compared figure by figure, three or more ranked where the difference is real."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rtcprobe.errors import BadInputError
from rtcprobe.result import Result, Unit
from rtcprobe.verdict import ear_figures, join_figures, room_figures
from rtcprobe.verdict.difference import Difference, Estimate, Row, settle
from rtcprobe.verdict.figures import RUNS, Pair
from rtcprobe.verdict.letters import grouped, ordered
from rtcprobe.verdict.room.grouping import readable
from rtcprobe.verdict.sides import Side, are_pairs, counts, gather, settings_apart
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
    """One side in one metric: its figure, and its ``letters``: sides that share one are not told apart.

    ``letters`` are empty where the side has no figure.
    """

    label: str
    estimate: Estimate
    letters: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedMetric:
    """One metric of every side, best first; ``decided`` when any difference is real.

    No side stands above one that it is shown to be worse than; ``best`` are those that none is shown to be better than.
    ``pairs`` are by the labels of both sides, the one that was given first before the other.
    """

    metric: str
    aggregate: str
    unit: Unit
    places: tuple[Place, ...]
    best: tuple[str, ...]
    pairs: Mapping[tuple[str, str], Difference]

    @property
    def decided(self) -> bool:
        """Whether any two sides really differ."""
        return any(each.verdict in ("better", "worse") for each in self.pairs.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a figure of seconds is in milliseconds."""
        factor = 1e3 if self.unit == "s" else 1.0
        return {
            "metric": self.metric,
            "aggregate": self.aggregate,
            "unit": "ms" if self.unit == "s" else self.unit,
            "decided": self.decided,
            "best": list(self.best),
            "places": [{"label": p.label, "letters": p.letters, **p.estimate.to_dict(factor)} for p in self.places],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Three or more sides: every metric ranked, and every pair compared in full (``pairs``, a before b as given).

    ``left_out`` are sentences about sides without a run that counts.
    """

    sides: tuple[Side, ...]
    confidence: float
    metrics: tuple[RankedMetric, ...]
    pairs: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is to be said before any figure: sides left out, and those that failed."""
        return (*self.left_out, *(trouble for side in self.sides for trouble in side.troubles))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "confidence": self.confidence,
            "left_out": list(self.left_out),
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
    return _compared([Both.of(labels[0], a, labels[1], b, by_role=True)], confidence)[0]


def rank(sides: Sequence[tuple[str, Sequence[Result]]], *, confidence: float = CONFIDENCE) -> Ranking:
    """Return every side (label, runs) ranked per metric; two sides are a ranking too.

    All pairs are corrected together: that any letter is chance happens with at most ``1 − confidence`` a family.

    Raises:
        BadInputError: as ``compare``; fewer than two sides; a label given twice.
    """
    labels = [label for label, _ in sides]
    if len(labels) < 2:
        raise BadInputError(f"{len(labels)} side cannot be ranked", "give two or more")
    for label in labels:
        if labels.count(label) > 1:
            raise BadInputError(f"side {label!r} is given twice", "give each its own name")
    # Of three targets one that was invalid all night must not hide how the other two compare: it is left out and said.
    # A side without any run at all is the caller's mistake, and ``gather`` refuses it.
    fit = [(label, runs) for label, runs in sides if not runs or any(map(counts, runs))]
    left_out = [
        f"{label} is left out: all {len(runs)} of its runs are invalid or interrupted{_why(runs)}"
        for label, runs in sides
        if runs and not any(map(counts, runs))
    ]
    # With one side left nothing can be ranked: then the refusal names the side without a run that counts.
    if len(fit) >= 2:
        sides, labels = fit, [label for label, _ in fit]
    pairs = _compared(
        [Both.of(*sides[i], *sides[j], by_role=True) for i in range(len(sides)) for j in range(i + 1, len(sides))],
        confidence,
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
        left_out=tuple(left_out),
    )


def _why(runs: Sequence[Result]) -> str:
    reason = next((reason for run in runs for reason in run.reasons), "")
    return f" ({reason})" if reason else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Two sides before they are compared: ``pair`` by role where rooms are large, ``whole`` as they are."""

    a: Side
    b: Side
    pair: Pair
    whole: Pair
    notes: tuple[str, ...]

    @classmethod
    def of(cls, label_a: str, a: Sequence[Result], label_b: str, b: Sequence[Result], *, by_role: bool = False) -> Both:
        """Return what counts of two sides; ``by_role``: large rooms' ways from role to role.

        Raises:
            BadInputError: see ``compare``.
        """
        one, runs_a, notes_a = gather(label_a, a)
        two, runs_b, notes_b = gather(label_b, b)
        if one.scenario != two.scenario:
            raise BadInputError(
                f"{label_a} is of scenario {one.scenario}, {label_b} of {two.scenario}", "compare runs of one scenario"
            )
        if one.engine != two.engine:
            raise BadInputError(
                f"{label_a} is of engine {one.engine}, {label_b} of {two.engine}", "compare runs of one engine"
            )
        # Of all runs given, before those that do not count are left out: a level is asked for, not measured.
        spoken = [sorted({_level(each) for each in side}) for side in (a, b)]
        if spoken[0] != spoken[1]:
            raise BadInputError(
                f"{label_a} was spoken to at {', '.join(spoken[0])}, {label_b} at {', '.join(spoken[1])}",
                "agents hear a louder voice sooner: compare conversations of one level",
            )
        whole = Pair(a=runs_a, b=runs_b, paired=are_pairs(runs_a, runs_b))
        pair = whole
        if by_role:
            pair = replace(whole, a=tuple(map(readable, runs_a)), b=tuple(map(readable, runs_b)))
        return cls(a=one, b=two, pair=pair, whole=whole, notes=(*notes_a, *notes_b, *_remarks(one, two, pair)))

    def rows(self) -> tuple[list[Row], list[Row], list[Row], list[Row]]:
        """Return what is compared: what judges, and the phases, stages and timers that explain."""
        return (
            [
                *join_figures.headlines(self.pair),
                *room_figures.joins(self.whole),
                *ear_figures.headlines(self.pair),
                *room_figures.headlines(self.whole),
            ],
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
        if min(a.calls, b.calls) < RUNS:
            notes.append(f"{a.runs} {what}: a change shown here is real for it; {RUNS} or more say it of the scenario")
    elif min(a.calls, b.calls) < RUNS:
        notes.append(
            f"{a.calls} and {b.calls} calls: those with other seeds differ too, so mouth-to-ear is not judged; "
            f"give each side {RUNS} or more"
        )
    return notes


def _compared(both: Sequence[Both], confidence: float) -> tuple[Comparison, ...]:
    """Return the comparisons, their headline figures corrected together."""
    # Below a half, intervals made of two tails would cross; at 1 they reach from everywhere to everywhere.
    if not 0.5 <= confidence < 1.0:
        raise BadInputError(f"confidence {confidence} is impossible", "give one from 0.5 to below 1, like 0.95")
    # Flat, so that rows of all pairs are corrected together; ``settled`` takes them back four at a time, in the same
    # order.
    families = [rows for each in both for rows in each.rows()]
    settled = iter(settle(families, confidence))
    return tuple(each.settled(settled, confidence) for each in both)


def _ranked(name: str, labels: Sequence[str], pairs: Sequence[Comparison]) -> RankedMetric:
    rows = {(each.a.label, each.b.label): row for each in pairs for row in each.differences if row.name == name}
    first = next(iter(rows.values()))
    estimates = {label: Estimate(value=None) for label in labels}
    beaten = []
    for (one, two), row in rows.items():
        estimates |= {one: row.a, two: row.b}
        if row.verdict in ("better", "worse"):
            # A verdict is about b, the second of the pair.
            worse, better = (one, two) if row.verdict == "better" else (two, one)
            beaten.append((labels.index(worse), labels.index(better)))
    order = ordered([_badness(estimates[label], row=first) for label in labels], beaten)
    # Without a figure a side cannot be told apart from anybody, and would share every letter: it has none.
    there = [each for each in order if _measured(estimates[labels[each]])]
    letters = grouped(there, beaten)
    losers = {worse for worse, _ in beaten}
    return RankedMetric(
        metric=first.metric,
        aggregate=first.aggregate,
        unit=first.unit,
        places=tuple(
            Place(label=labels[each], estimate=estimates[labels[each]], letters=letters.get(each, "")) for each in order
        ),
        best=tuple(labels[each] for each in there if each not in losers),
        pairs=rows,
    )


def _measured(estimate: Estimate) -> bool:
    return estimate.value is not None or estimate.never > 0


def _badness(estimate: Estimate, row: Difference) -> float:
    """Return how bad a figure is among those of its metric: none is worst, then what never came."""
    if estimate.value is None:
        # A number that any real figure is below, and infinity is above: sorted, sides that failed stand before those
        # that have nothing.
        return 1e300 if estimate.never else math.inf
    return -estimate.value if row.higher_is_better else estimate.value


def _level(result: Result) -> str:
    """Return the level at which a conversation was held; markers have one of their own, always the same."""
    held = result.settings.get("conversation")
    return str(held.get("level")) if isinstance(held, Mapping) else "the markers' level"
