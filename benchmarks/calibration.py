"""Whether the statistics keep their promises: ``python benchmarks/calibration.py``; exit code 1 where they do not.

What is asked, a section each (``--only`` names some):
    - *calls*: of 1,000 runs of each library scenario, the 95 % interval of the mouth-to-ear p50 and p95 and of the join
      p50 holds what all calls together give in 95 ± 3 %; none has no width; the p50's of 1v1-social is 20 ms wide at
      most, and its budget ``mouth_to_ear p95 < 200ms`` is decided in 95 %. R and what stayed unplayed are told beside
      it, and hold in 92 % or more: Wilson's interval of a rare share errs on the safe side. So may the p95 where every
      call begins with a late marker or two (1v1-long-haul, spoken-practice); of eight calls it cannot be told how many.
      Runs are drawn, with replacement, from 200 simulated calls and 300 joins of each scenario: a new run of it would
      cost a second. They are kept in a temporary file until the code that makes them changes. The interval of R was
      chosen among three on the calls of the seeds from 50,001 on; what is printed is judged on others (``POOL_SEED``).
    - *triples*: of 100 times three sides, none shown to be worse stands above a better one, a change of twice the
      detectable one is shown in 90 %, and nothing is shown where nothing changed in 95 %.
    - *coverage*: a 95 % interval of one call's correlated samples holds the truth 95 ± 2 times in a hundred; where an
      end is open or beyond all samples it seldom misses but at the other, and may do better. The mean of a heavy tail
      is let down to 91 %.
    - *alarms*, *checks*: of 1,000 pairs in which nothing changed, at most 5 % (± 1.5) are called different: each figure
      by itself, and any figure of a whole check, paired and independent.
    - *findings*: a change twice the detectable difference that was printed is found nine times in ten, and what could
      be shown agrees with the interval beside it: it is no narrower than its half, and no wider than three of them.
    - *real*: short virtual runs under seeds of their own, checked half against half.

Samples are first-order chains with a normal and a heavy (exponential of the normal) margin; calls have a level of their
own, as playout ties itself anew in each.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

import rtcprobe
from rtcprobe import Scenario, find_scenario, run_probe
from rtcprobe.quality import mos
from rtcprobe.result import (
    Account,
    HeardCall,
    Join,
    Joins,
    Missed,
    Protection,
    Quality,
    Result,
    Sample,
    Summary,
)
from rtcprobe.verdict import RankedMetric, check, evaluate, judge, parse_budget, rank
from rtcprobe.verdict.comparison import Both, compare
from rtcprobe.verdict.difference import holm
from rtcprobe.verdict.figures import named
from rtcprobe.verdict.spread import TSpread, p_value
from rtcprobe.verdict.statistics import mean_interval, quantile, share_above
from rtcprobe.verdict.tosses import Randomised
from rtcprobe.ways import BOTH_WAYS, Way

Floats = npt.NDArray[np.float64]
ALARMS_AT_MOST = 0.065
FOUND_AT_LEAST = 0.90
AGREEING = (1.0, 3.0)
"""How many halves of its 95 % interval a change may take to be shown: one for it alone, more for one of a family."""
COVERED = (0.93, 0.97)
COVERED_HEAVY_MEAN = 0.91
"""Student's t of a mean knows nothing of skewness: few samples of a heavy tail miss a little more often."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the report, and whether it is as promised."""

    text: str
    kept: bool


def chain(rng: np.random.Generator, runs: int, n: int, rho: float) -> Floats:
    """Return stationary first-order chains with standard normal margins, shape (runs, n)."""
    noise = rng.standard_normal((runs, n)) * math.sqrt(1.0 - rho**2)
    noise[:, 0] = rng.standard_normal(runs)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise, axis=1))


# Coverage


def coverage(case: tuple[str, int, float, int]) -> Line:
    """Return how often the interval of one figure holds the truth."""
    figure, n, rho, runs = case
    series = chain(np.random.default_rng(hash_of(case)), runs, n, rho)
    held = closed = 0
    for each in series:
        if figure == "mean":
            low, high = mean_interval(each, correlated=True)
            truth = 0.0
        elif figure == "heavy mean":
            low, high = mean_interval(np.exp(each / 2), correlated=True)
            truth = math.exp(1 / 8)
        elif figure.startswith("share"):
            truth = float(ndtr(-1.0))
            _, low, high = share_above(each, 1.0, correlated=True)
        else:
            p = float(figure[1:]) / 100
            found = quantile(np.exp(each), p, correlated=True)
            low, high, truth = found.low, found.high, math.exp(ndtri(p))
        held += (low is None or low <= truth) and (high is None or high >= truth)
        seen = np.exp(each) if figure in ("p50", "p95") else (-math.inf, math.inf)
        closed += low is not None and high is not None and min(seen) < low and high < max(seen)
    share = held / runs
    least = COVERED_HEAVY_MEAN if figure == "heavy mean" else COVERED[0]
    kept = share >= least and (share <= COVERED[1] or closed < 0.95 * runs)
    text = f"{figure:<12} n {n:>5}  ρ {rho:<4}   holds {share:6.1%}   both ends among the samples {closed / runs:5.0%}"
    return Line(text, kept)


def coverage_cases(scale: float) -> list[tuple[str, int, float, int]]:
    """Return figure, samples, correlation and number of series of every case."""
    figures = ("p50", "p95", "mean", "heavy mean", "share")
    runs = max(round(1000 * scale), 50)
    return [
        (figure, n, rho, runs)
        for figure, n, rho in itertools.product(figures, (120, 480, 2000), (0.0, 0.3, 0.6, 0.8, 0.9, 0.97))
        if (n < 2000 or rho in (0.0, 0.9)) and (rho < 0.95 or figure in ("p50", "p95"))
    ]


# False alarms of single figures


def alarms(case: tuple[str, str, int]) -> Line:
    """Return how often a figure is called different though nothing changed."""
    what, margin, pairs = case
    rng = np.random.default_rng(hash_of(case))
    heavy: Callable[[Floats], Floats] = np.exp if margin == "heavy" else np.asarray
    wrong = sum(p_value(_spread(what, rng, heavy)) <= 0.05 for _ in range(pairs))
    share = wrong / pairs
    return Line(f"{what:<34} {margin:<8} {pairs:>5} pairs   alarms {share:6.1%}", share <= ALARMS_AT_MOST)


def _spread(what: str, rng: np.random.Generator, margin: Callable[[Floats], Floats]) -> Randomised | TSpread:
    kind, _, detail = what.partition(", ")
    if kind.startswith("20 joins"):
        p = 0.5 if "p50" in kind else 0.95
        common = chain(rng, 1, 20, 0.0)[0] if detail == "paired" else 0.0
        a, b = (margin(common + chain(rng, 1, 20, 0.0)[0]) for _ in range(2))
        return Randomised(a, b, p, paired=detail == "paired")
    spread: TSpread | None
    if kind.startswith("runs"):  # the figures of runs, as they come
        count = int(detail.split()[0])
        a, b = margin(chain(rng, 1, count, 0.0)[0]), margin(chain(rng, 1, count, 0.0)[0])
        spread = TSpread.paired(b - a) if "paired" in detail else TSpread.unpaired(a, b)
    else:
        spread = _call_spread(0.5 if "p50" in kind else 0.95, float(detail.split()[-1]), rng, margin)
    assert spread is not None
    return spread


def _call_spread(p: float, rho: float, rng: np.random.Generator, margin: Callable[[Floats], Floats]) -> TSpread | None:
    from rtcprobe.verdict.figures import batched  # noqa: PLC0415 - the one internal this asks about

    a, b = margin(chain(rng, 1, 120, rho)[0]), margin(chain(rng, 1, 120, rho)[0])
    return batched(a, b, p, float(np.quantile(b, p) - np.quantile(a, p)), paired=True)


def alarm_cases(scale: float) -> list[tuple[str, str, int]]:
    """Return figure, margin and number of pairs of every case."""
    whats = [f"20 joins p{p}, {mode}" for p in (50, 95) for mode in ("paired", "independent")]
    whats += [f"runs, {count} {mode}" for count in (3, 5, 10) for mode in ("paired", "independent")]
    whats += [f"call p{p}, paired, rho {rho}" for p in (50, 95) for rho in (0.0, 0.6, 0.9)]
    return [(what, margin, max(round(1000 * scale), 50)) for what in whats for margin in ("normal", "heavy")]


# Runs made of calls


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call says of one way: delays of the markers heard, seconds; frames not played; R; its stages."""

    delays: tuple[float, ...]
    scheduled: int
    unplayed: float
    sent: int
    r: float | None = None
    burst_ratio: float = 1.0
    stages: tuple[tuple[str, float], ...] = ()


def composed(pieces: Sequence[Piece], way: Way) -> Account:
    """Return the account of a run of these calls."""
    heard = sum(len(each.delays) for each in pieces)
    scheduled = sum(each.scheduled for each in pieces)
    rated = [each.r for each in pieces if each.r is not None]
    burst_ratio = float(np.mean([each.burst_ratio for each in pieces]))
    unplayed = float(np.average([each.unplayed for each in pieces], weights=[e.sent for e in pieces]))
    r = float(np.mean(rated)) if rated else None
    return Account(
        kind="mouth_to_ear",
        way=way,
        scheduled=scheduled,
        heard=heard,
        rejected=0,
        lost=scheduled - heard,
        samples=tuple(
            Sample(marker=i, spoken_s=i / 2, heard_s=i / 2 + d, delay_s=d, correlation=1.0, call=call)
            for call, each in enumerate(pieces)
            for i, d in enumerate(each.delays)
        ),
        missed=tuple(
            Missed(marker=i, spoken_s=i / 2, fate="lost", call=call)
            for call, each in enumerate(pieces)
            for i in range(len(each.delays), each.scheduled)
        ),
        stages=dict(pieces[0].stages),
        protection=Protection(sent=sum(each.sent for each in pieces), lost_before=0, lost_after=0, unplayed=unplayed),
        quality=None
        if r is None
        else Quality(r=r, mos=mos(r), listening_mos=mos(r), loss_ratio=unplayed, burst_ratio=burst_ratio),
        calls=tuple(
            HeardCall(
                call=call,
                scheduled=each.scheduled,
                heard=len(each.delays),
                stages=dict(each.stages),
                unplayed=each.unplayed,
                r=each.r,
            )
            for call, each in enumerate(pieces)
        ),
    )


# Coverage of another run

SCENARIOS = ("1v1-social", "1v1-long-haul", "spoken-practice", "video-support", "voice-room-pair")
COVERED_RUNS = (0.92, 0.98)
POOL_RUNS, POOL_CALLS, POOL_JOINS = 10, 20, 30
"""Simulated runs of a scenario, and calls and joins of each: the whole world that runs are drawn from."""
POOL_SEED = 70_001
LATE_AT_FIRST = ("1v1-long-haul", "spoken-practice")
"""Each call's first markers are its late ones: no call's share of the tail says anything, and the p95 over-covers."""
WIDEST_P50_S = 0.020
DECIDED_AT_LEAST = 0.95
_PACKAGE = Path(rtcprobe.__file__).parent
_JUDGING = ("verdict", "report", "cli", "exporter")
"""Rooms that make no call: the pool outlives changes to them."""


def pool_key(first_seed: int) -> str:
    """Return what the pool depends on: the code and scenarios that make calls."""
    seen = hashlib.sha256(f"{POOL_RUNS} {POOL_CALLS} {POOL_JOINS} {first_seed}".encode())
    for path in sorted((*_PACKAGE.rglob("*.py"), *_PACKAGE.rglob("*.yaml"))):
        if path.relative_to(_PACKAGE).parts[0] not in _JUDGING:
            seen.update(path.read_bytes())
    for name in SCENARIOS:
        seen.update(find_scenario(name).digest.encode())
    return seen.hexdigest()[:16]


def pool_run(case: tuple[str, int]) -> dict[str, Any]:
    """Return one long run of a scenario as JSON has it."""
    name, seed = case
    plan = find_scenario(name, (f"call.calls={POOL_CALLS}", f"call.joins={POOL_JOINS}"))
    return dict(run_probe(plan, seed=seed, clock="virtual").to_dict())


@dataclass(frozen=True, slots=True)
class Pool:
    """Every simulated call and join of a scenario."""

    name: str
    joins: tuple[float, ...]
    ways: Mapping[Way, tuple[Piece, ...]]

    @classmethod
    def of(cls, name: str, results: Sequence[Result]) -> Pool:
        """Return what long runs hold."""
        ways: dict[Way, tuple[Piece, ...]] = {}
        for direction in BOTH_WAYS:
            ways[direction] = tuple(piece for each in results for piece in pieces(each.mouth_to_ear[direction]))
        joins = [a.first_audio_s for each in results for a in each.join.attempts]
        return cls(name, tuple(math.inf if each is None else each for each in joins), ways)


def pieces(ear: Account) -> Iterable[Piece]:
    """Yield the calls of an account."""
    for call in ear.calls:
        yield Piece(
            delays=tuple(each.delay_s for each in ear.samples if each.call == call.call),
            scheduled=call.scheduled,
            unplayed=call.unplayed or 0.0,
            sent=round((0 if ear.protection is None else ear.protection.sent) / len(ear.calls)),
            r=call.r,
            burst_ratio=(None if ear.quality is None else ear.quality.burst_ratio) or 1.0,
            stages=tuple(call.stages.items()),
        )


def pools(executor: ProcessPoolExecutor, first_seed: int) -> list[Pool]:
    """Return the pool of every scenario, simulated or as it was kept."""
    kept = Path(tempfile.gettempdir()) / f"rtcprobe-calls-{pool_key(first_seed)}.json"
    if kept.exists():
        plain = json.loads(kept.read_text())
    else:
        cases = [(name, seed) for name in SCENARIOS for seed in range(first_seed, first_seed + POOL_RUNS)]
        made = list(executor.map(pool_run, cases))
        plain = {name: made[i * POOL_RUNS : (i + 1) * POOL_RUNS] for i, name in enumerate(SCENARIOS)}
        kept.write_text(json.dumps(plain))
    return [Pool.of(name, [Result.from_dict(each) for each in runs]) for name, runs in plain.items()]


def drawn(pool: Pool, plan: Scenario, rng: np.random.Generator) -> Result:
    """Return a run of the scenario's own numbers of calls and joins, drawn from the pool and judged."""
    ears = []
    for direction, every in pool.ways.items():
        ears.append(composed([every[i] for i in rng.integers(len(every), size=plan.call.calls)], direction))
    times = [pool.joins[i] for i in rng.integers(len(pool.joins), size=plan.call.joins)]
    attempts = tuple(
        Join(party="caller", round=number, marks={"first_audio": each})
        if math.isfinite(each)
        else Join(party="caller", round=number, marks={}, failed="ice")
        for number, each in enumerate(times)
    )
    run = Result(scenario=pool.name, seed=0, clock="virtual", join=Joins(attempts=attempts), accounts=tuple(ears))
    return judge(run, plan.budgets)


def another_run(case: tuple[Pool, int]) -> list[Line]:
    """Return how often the intervals of ``runs`` runs hold what the whole pool gives, and how wide they are."""
    pool, runs = case
    plan = find_scenario(pool.name)
    rng = np.random.default_rng(hash_of(pool.name))
    seen = [drawn(pool, plan, rng) for _ in range(runs)]
    lines = [_held("join.first_audio p50", 0.5, np.array(pool.joins), [r.join.summary["first_audio"] for r in seen])]
    late = pool.name in LATE_AT_FIRST
    for direction, every in pool.ways.items():
        delays = np.concatenate([each.delays for each in every])
        summaries = [summary for run in seen if (summary := run.mouth_to_ear[direction].summary) is not None]
        for p in (0.5, 0.95):
            line = _held(f"mouth_to_ear.{direction} {named(p)}", p, delays, summaries, over=late and p > 0.5)
            if pool.name == "1v1-social" and p == 0.5:
                wide = float(np.median([_width(each, named(p)) for each in summaries]))
                line = Line(line.text, line.kept and wide <= WIDEST_P50_S)
            lines.append(line)
        r = float(np.mean([each.r for each in every if each.r is not None]))
        lines.append(_mean_held(f"mouth_to_ear.{direction}.r", r, seen))
        unplayed = float(np.average([each.unplayed for each in every], weights=[each.sent for each in every]))
        lines.append(_mean_held(f"mouth_to_ear.{direction}.unplayed", unplayed, seen))
    budget = next(each for each in plan.budgets if each.metric == "mouth_to_ear" and not each.advisory)
    decided = float(np.mean([evaluate(budget, run).verdict in ("met", "missed") for run in seen]))
    needed = DECIDED_AT_LEAST if pool.name == "1v1-social" else 0.0
    lines.append(Line(f"{budget.expression} is decided in {decided:.1%} of runs", decided >= needed))
    return [Line(f"{pool.name:<16} {each.text}", each.kept) for each in lines]


def _held(name: str, p: float, pooled: Floats, summaries: Sequence[Summary], *, over: bool = False) -> Line:
    truth = float(np.quantile(pooled, p))
    ends = [(q.low, q.high) for each in summaries if (q := each.quantile(named(p))) is not None]
    held = sum((low is None or low <= truth) and (high is None or truth <= high) for low, high in ends) / len(ends)
    pointed = sum(low is not None and low == high for low, high in ends)
    wide = float(np.median([_width(each, named(p)) for each in summaries]))
    text = f"{name:<38} holds {held:6.1%}   median width {wide * 1e3:7.1f} ms   without width {pointed}"
    return Line(text, COVERED_RUNS[0] <= held <= (1.0 if over else COVERED_RUNS[1]) and not pointed)


def _mean_held(metric: str, truth: float, runs: Sequence[Result]) -> Line:
    """Return how often the interval of a mean (of a share, of a rating) holds the ``truth``."""
    at_least = parse_budget(f"{metric} mean >= 0{'%' if metric.endswith('unplayed') else ''}")
    found = [evaluate(at_least, run) for run in runs]
    ends = [(each.low, each.high) for each in found if each.low is not None and each.high is not None]
    held = sum(low <= truth <= high for low, high in ends) / len(found)
    wide = float(np.median([high - low for low, high in ends]))
    return Line(f"{metric:<38} holds {held:6.1%}   median width {wide:7.3g}", held >= COVERED_RUNS[0])


def _width(summary: Summary, name: str) -> float:
    found = summary.quantile(name)
    return math.inf if found is None or found.low is None or found.high is None else found.high - found.low


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


# Real runs


def real_run(seed: int) -> dict[str, Any]:
    """Return a short virtual run, as JSON has it (results do not travel between processes)."""
    settings = ("call.calls=1", "call.duration=15s", "call.joins=20")
    return dict(run_probe(find_scenario("1v1-social", settings), seed=seed, clock="virtual").to_dict())


def real_alarms(results: Sequence[Result], size: int, splits: int) -> Line:
    """Return how often ``size`` runs were called worse than ``size`` others of the same build."""
    rng = np.random.default_rng(size)
    failed = 0
    for _ in range(splits):
        drawn = [results[i] for i in rng.permutation(len(results))[: 2 * size]]
        failed += check(drawn[:size], drawn[size:], fresh_seeds=True).verdict == "fail"
    share = failed / splits
    said = f"{len(results)} virtual runs, {size} against {size} other seeds, {splits} draws   alarms {share:6.1%}"
    return Line(said, share <= ALARMS_AT_MOST)


def hash_of(case: object) -> int:
    """Return a seed that depends on the case alone (``hash`` differs between processes)."""
    return zlib.crc32(str(case).encode())


def told(title: str, lines: Iterable[Line]) -> bool:
    """Print a section; return whether all of it is as promised."""
    print(f"\n{title}")
    kept = True
    for line in lines:
        print(f"  {line.text}{'' if line.kept else '   <-- outside'}", flush=True)
        kept &= line.kept
    return kept


SECTIONS = ("calls", "triples", "coverage", "alarms", "checks", "findings", "real")


def main() -> int:
    """Print the sections asked for; return 1 where any figure is outside its promise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of simulated pairs (default 1)")
    parser.add_argument("--real-runs", type=int, default=60, help="virtual runs to make (0: none)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections to print")
    options = parser.parse_args()
    began = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        kept = True
        for name in options.only:  # each is shown, whatever became of the one before
            kept &= told(*_section(name, pool, options.scale, options.real_runs))
    print(f"\n{'Every promise kept' if kept else 'NOT AS PROMISED'}, {time.perf_counter() - began:.0f} s")
    return 0 if kept else 1


def _section(name: str, pool: ProcessPoolExecutor, scale: float, real_runs: int) -> tuple[str, Iterable[Line]]:
    """Return the title and the lines of a section."""
    worlds = [World(1, True), World(3, True), World(1, False), World(3, False)]
    lines: Iterable[Line]
    if name == "calls":
        cases = [(each, max(round(1000 * scale), 200)) for each in pools(pool, POOL_SEED)]
        title, lines = "Coverage of another run", itertools.chain.from_iterable(pool.map(another_run, cases))
    elif name == "triples":
        title, lines = "Three sides", triples(list(pool.map(triple, range(max(round(100 * scale), 20)))))
    elif name == "coverage":
        title, lines = "Coverage of one call's 95 % intervals", pool.map(coverage, coverage_cases(scale))
    elif name == "alarms":
        title, lines = "False alarms of one figure", pool.map(alarms, alarm_cases(scale))
    elif name == "checks":
        title, lines = "False alarms of whole checks", (_checks(world, pool, scale) for world in worlds)
    elif name == "findings":
        cases_of = [(world, max(round(40 * scale), 20)) for world in worlds]
        title, lines = "Findings", itertools.chain.from_iterable(pool.map(findings, cases_of))
    else:
        results = [Result.from_dict(each) for each in pool.map(real_run, range(1, real_runs + 1))]
        sizes = [size for size in (1, 3, 5) if 2 * size <= len(results)]
        title, lines = "Real runs", (real_alarms(results, size, max(round(100 * scale), 20)) for size in sizes)
    return title, lines


def _checks(world: World, pool: ProcessPoolExecutor, scale: float) -> Line:
    block = 25
    cases = [(world, first, block) for first in range(0, max(round(400 * scale), 50), block)]
    failed = sum(count for count, _ in pool.map(gate_alarms, cases))
    share = failed / (block * len(cases))
    return Line(f"{world!s:<30} {block * len(cases):>5} pairs   alarms {share:6.1%}", share <= ALARMS_AT_MOST)


if __name__ == "__main__":
    sys.exit(main())
