"""False alarms, findings and ranks of whole comparisons (``calibration.py``), in worlds whose truth is planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from calibration_runs import Line, Piece, chain, composed

from rtcprobe.result import Account, Join, Joins, Result
from rtcprobe.verdict import RankedMetric, check, rank
from rtcprobe.verdict.comparison import Both, compare
from rtcprobe.verdict.difference import holm
from rtcprobe.verdict.spread import p_value
from rtcprobe.ways import BOTH_WAYS, Way

FOUND_AT_LEAST = 0.90
AGREEING = (1.0, 3.0)
"""How many halves of its 95 % interval a change may take to be shown: one for it alone, more for one of a family."""


# Whole checks


@dataclass(frozen=True, slots=True)
class World:
    """What a simulated run draws: joins (some pay a timer) and, each way, calls with a level of their own."""

    runs: int
    paired: bool
    rho: float = 0.8
    joins: int = 20
    calls: int = 8
    markers: int = 12

    def side(self, rng: np.random.Generator, draws: Sequence[int], shift_s: float = 0.0) -> list[Result]:
        """Return one run for each seed, everything later by ``shift_s``."""
        return [self._run(rng, seed, shift_s) for seed in draws]

    def _run(self, rng: np.random.Generator, seed: int, shift_s: float) -> Result:
        shared = np.random.default_rng(seed) if self.paired else rng
        times = 0.6 + 0.02 * shared.standard_normal(self.joins) + 1.0 * (shared.random(self.joins) < 0.05)
        if self.paired:
            times += 0.005 * rng.standard_normal(self.joins)
        attempts = tuple(
            Join(party="caller", round=number, marks={"first_audio": each})
            for number, each in enumerate(np.maximum(times + shift_s, 0.0).tolist())
        )
        ears = tuple(self._ear(rng, shared, shift_s, way) for way in BOTH_WAYS)
        return Result(
            scenario="simulated",
            seed=seed,
            clock="virtual",
            verdict="pass",
            join=Joins(attempts=attempts),
            accounts=ears,
        )

    def _ear(self, rng: np.random.Generator, shared: np.random.Generator, shift_s: float, way: Way) -> Account:
        n, frames = self.markers, 25 * self.markers
        levels = 0.150 + 0.005 * shared.standard_normal((self.calls, 1)) + shift_s
        delays = levels + 0.002 * chain(shared, self.calls, n, self.rho)
        if self.paired:
            delays += 0.002 * rng.standard_normal((self.calls, 1)) + 0.001 * rng.standard_normal((self.calls, n))
        lost = rng.binomial(1, 0.01, (self.calls, n)).astype(bool)
        unplayed = rng.binomial(frames, 0.01, self.calls) / frames
        return composed(
            [
                Piece(delays=tuple(delays[i][~lost[i]].tolist()), scheduled=n, unplayed=float(unplayed[i]), sent=frames)
                for i in range(self.calls)
            ],
            way,
        )

    def pair(self, rng: np.random.Generator, number: int, shift_s: float = 0.0) -> tuple[list[Result], list[Result]]:
        """Return two sides of the pair ``number``, the second later by ``shift_s``."""
        ours = [1000 * number + i for i in range(self.runs)]
        theirs = ours if self.paired else [each + 500 for each in ours]
        return self.side(rng, ours), self.side(rng, theirs, shift_s)

    def __str__(self) -> str:
        return f"{self.runs} run{'s' if self.runs > 1 else ''} a side, {'paired' if self.paired else 'independent'}"


def judged(a: Sequence[Result], b: Sequence[Result]) -> dict[str, tuple[float, bool]]:
    """Return of each figure that gates its p-value, corrected for its family, and whether b is larger."""
    rows = [row for row in Both.of("a", a, "b", b).rows()[0] if row.in_family]
    found: dict[str, tuple[float, bool]] = {}
    for rare in (False, True):
        family = [(row.difference.name, row.spread) for row in rows if row.difference.rare == rare]
        known = [(name, spread) for name, spread in family if spread is not None]
        adjusted = holm([p_value(spread) for _, spread in known])
        found |= {name: (p, spread.tails(0.0)[0] < 0.5) for p, (name, spread) in zip(adjusted, known, strict=True)}
    return found


def gate_alarms(case: tuple[World, int, int]) -> tuple[int, int]:
    """Return how many whole checks of nothing new failed, and how many were made."""
    world, first, count = case
    rng = np.random.default_rng((first, world.runs, world.paired))
    failed = 0
    for number in range(first, first + count):
        a, b = world.pair(rng, number)
        fails = any(p <= 0.05 and larger for p, larger in judged(a, b).values())
        if number == first:  # the very gate, intervals and all
            assert fails == (check(a, b, fresh_seeds=not world.paired).verdict == "fail")
        failed += fails
    return failed, count


def findings(case: tuple[World, int]) -> list[Line]:
    """Return, for each figure, how often a change of twice the detectable difference is found.

    Judged is the change planted into the very pair that printed it; beside it stands what fresh pairs make of twice the
    median that was printed (less where pairs differ much in what they can see: a p95 among timers, two long batches).
    """
    world, pairs = case
    own: dict[str, list[bool]] = {}
    printed: dict[str, list[float]] = {}
    halves: dict[str, list[float]] = {}
    for number in range(pairs):
        for each in compare(*world.pair(np.random.default_rng((77, number)), number)).differences:
            if each.unit == "s" and each.detectable is not None:
                printed.setdefault(each.name, []).append(each.detectable)
                if each.low is not None and each.high is not None and each.high > each.low:
                    halves.setdefault(each.name, []).append(2.0 * each.detectable / (each.high - each.low))
                planted = world.pair(np.random.default_rng((77, number)), number, 2.0 * each.detectable)
                own.setdefault(each.name, []).append(_found(planted, each.name))
    lines = []
    for name, seen in printed.items():
        change = 2.0 * float(np.median(seen))
        fresh = [_found(world.pair(np.random.default_rng((78, i)), i, change), name) for i in range(pairs)]
        share = float(np.mean(own[name]))
        said = (
            f"{world!s:<27} {name:<34} detectable {change / 2 * 1e3:6.1f} ms, {len(seen)} of {pairs} pairs   "
            f"twice that found {share:6.1%}, in fresh pairs {np.mean(fresh):6.1%}   {_agreeing(halves[name])}"
        )
        agrees = AGREEING[0] <= float(np.median(halves[name])) <= AGREEING[1]
        lines.append(Line(said, share >= FOUND_AT_LEAST and agrees))
    return lines


def _agreeing(ratios: Sequence[float]) -> str:
    return f"could show {np.median(ratios):.1f} times the interval's half"


def _found(pair: tuple[list[Result], list[Result]], name: str) -> bool:
    """Whether the figure is shown to be worse at Holm's hardest step: as if nothing else had moved."""
    rows = [row for row in Both.of("a", pair[0], "b", pair[1]).rows()[0] if row.in_family]
    row = next(each for each in rows if each.difference.name == name)
    family = sum(each.difference.rare == row.difference.rare for each in rows)
    assert row.spread is not None
    return p_value(row.spread) <= 0.05 / family and row.spread.tails(0.0)[0] < 0.5


# Three sides


@dataclass(frozen=True, slots=True)
class Triple:
    """What became of one: whether anything was shown where nothing changed, what was planted, and what was shown."""

    false: bool
    misplaced: int
    planted: int
    shown: int


def triple(number: int) -> Triple:
    """Rank three equal sides, then with one of them later by twice the change that was detectable."""
    world = World(3, False)
    rng = np.random.default_rng((79, number))

    def sides(shift_s: float) -> list[tuple[str, list[Result]]]:
        drawn = np.random.default_rng((80, number))
        seeds = {name: range(10 * place, 10 * place + world.runs) for place, name in enumerate("ABC")}
        return [(name, world.side(drawn, seeds[name], shift_s if name == "B" else 0.0)) for name in "ABC"]

    equal = rank(sides(0.0))
    false = any(metric.decided for metric in equal.metrics)
    name = str(rng.choice([f"mouth_to_ear.{d} p50" for d in BOTH_WAYS] + ["join.first_audio p50"]))
    change = max(
        each.detectable or 0.0
        for pair in equal.pairs
        for each in pair.differences
        if each.name == name and "B" in (pair.a.label, pair.b.label)
    )
    moved = rank(sides(2.0 * change))
    rows = [(pair, each) for pair in moved.pairs for each in pair.differences if each.name == name]
    planted = [(p, e) for p, e in rows if "B" in (p.a.label, p.b.label)]
    shown = [e for p, e in planted if e.verdict == ("worse" if p.b.label == "B" else "better")]
    return Triple(false, sum(map(misplaced, (*equal.metrics, *moved.metrics))), len(planted), len(shown))


def misplaced(metric: RankedMetric) -> int:
    """Return how many sides stand above one that they are shown to be worse than, or share a letter with it."""
    places = {place.label: (index, set(place.letters)) for index, place in enumerate(metric.places)}
    wrong = 0
    for (one, two), row in metric.pairs.items():
        if row.verdict in ("better", "worse"):
            worse, better = (two, one) if row.verdict == "worse" else (one, two)
            wrong += places[worse][0] < places[better][0] or bool(places[worse][1] & places[better][1])
    return wrong


def triples(found: Sequence[Triple]) -> list[Line]:
    """Return what became of all of them."""
    false, wrong = float(np.mean([each.false for each in found])), sum(each.misplaced for each in found)
    shown = sum(each.shown for each in found) / sum(each.planted for each in found)
    return [
        Line(f"{len(found)} triples: {wrong} sides above or beside a better one", wrong == 0),
        Line(f"twice the detectable change is shown in {shown:.1%}", shown >= FOUND_AT_LEAST),
        Line(f"anything shown where nothing changed in {false:.1%}", false <= 0.05),
    ]
