"""Whether the statistics keep their promises: ``python benchmarks/calibration.py``; exit code 1 where they do not.

What is asked:
    - *Coverage*: a 95 % interval of correlated samples holds the truth 95 ± 2 times in a hundred; where an end is open
      or beyond all samples it seldom misses but at the other, and may do better. The mean of a heavy tail is let down
      to 91 %.
    - *False alarms*: of 1,000 pairs in which nothing changed, at most 5 % (± 1.5) are called different: each figure by
      itself, and any figure of a whole check, paired, independent and over several runs.
    - *Findings*: a change twice the detectable difference that was printed is found nine times in ten.
    - *Real runs*: short virtual calls under seeds of their own, checked half against half.

Samples are first-order chains with a normal and a heavy (exponential of the normal) margin; calls have a level of their
own, as playout ties itself anew in each.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from rtcprobe import find_scenario, run_probe
from rtcprobe.result import DIRECTIONS, JoinAttempt, Joins, MouthToEar, Result, Sample
from rtcprobe.verdict import check
from rtcprobe.verdict.comparison import Both, compare
from rtcprobe.verdict.difference import holm
from rtcprobe.verdict.spread import Randomised, TSpread, p_value
from rtcprobe.verdict.statistics import mean_interval, quantile, share_above

Floats = npt.NDArray[np.float64]
ALARMS_AT_MOST = 0.065
FOUND_AT_LEAST = 0.90
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


# Whole checks


@dataclass(frozen=True, slots=True)
class World:
    """What a simulated run draws: joins (some pay a timer) and two chains of delays about a level of the call."""

    runs: int
    paired: bool
    rho: float = 0.8
    joins: int = 20

    def side(self, rng: np.random.Generator, draws: Sequence[int], shift_s: float = 0.0) -> list[Result]:
        """Return one run for each seed, everything later by ``shift_s``."""
        return [self._run(rng, seed, shift_s) for seed in draws]

    def _run(self, rng: np.random.Generator, seed: int, shift_s: float) -> Result:
        shared = np.random.default_rng(seed) if self.paired else rng
        times = 0.6 + 0.02 * shared.standard_normal(self.joins) + 1.0 * (shared.random(self.joins) < 0.05)
        if self.paired:
            times += 0.005 * rng.standard_normal(self.joins)
        attempts = tuple(
            JoinAttempt(caller={"first_audio": each}) for each in np.maximum(times + shift_s, 0.0).tolist()
        )
        ears = {d: self._ear(rng, shared, shift_s) for d in DIRECTIONS[:2]}
        return Result(
            scenario="simulated",
            seed=seed,
            clock="virtual",
            verdict="pass",
            join=Joins(attempts=attempts),
            mouth_to_ear=ears,
        )

    def _ear(self, rng: np.random.Generator, shared: np.random.Generator, shift_s: float) -> MouthToEar:
        level = 0.150 + 0.005 * shared.standard_normal()
        delays = level + 0.004 * chain(shared, 1, 120, self.rho)[0] + shift_s
        if self.paired:
            delays += 0.002 * chain(rng, 1, 120, self.rho)[0] + 0.001 * rng.standard_normal()
        lost = int(rng.binomial(120, 0.01))
        samples = tuple(
            Sample(marker=i, spoken_s=i / 2, heard_s=i / 2 + d, delay_s=d, correlation=1.0)
            for i, d in enumerate(delays[lost:].tolist(), start=lost)
        )
        unplayed = float(rng.binomial(3000, 0.01)) / 3000
        return MouthToEar(
            scheduled=120,
            heard=120 - lost,
            rejected=0,
            lost=lost,
            samples=samples,
            protection={"sent": 3000, "unplayed": unplayed},
            quality={"burst_ratio": 1.0},
        )

    def pair(self, rng: np.random.Generator, number: int, shift_s: float = 0.0) -> tuple[list[Result], list[Result]]:
        """Return two sides of the pair ``number``, the second later by ``shift_s``."""
        ours = [1000 * number + i for i in range(self.runs)]
        theirs = ours if self.paired else [each + 500 for each in ours]
        return self.side(rng, ours), self.side(rng, theirs, shift_s)

    def __str__(self) -> str:
        return f"{self.runs} run{'s' if self.runs > 1 else ''} a side, {'paired' if self.paired else 'independent'}"


def judged(a: Sequence[Result], b: Sequence[Result]) -> dict[str, tuple[float, bool]]:
    """Return of each figure that gates its p-value and whether b is larger: what ``check`` decides by."""
    rows = Both.of("a", a, "b", b).rows()[0]
    spreads = {row.difference.name: row.spread for row in rows if row.in_family}
    return {
        name: (p_value(spread), spread.tails(0.0)[0] < 0.5) for name, spread in spreads.items() if spread is not None
    }


def gate_alarms(case: tuple[World, int, int]) -> tuple[int, int]:
    """Return how many whole checks of nothing new failed, and how many were made."""
    world, first, count = case
    rng = np.random.default_rng((first, world.runs, world.paired))
    failed = 0
    for number in range(first, first + count):
        a, b = world.pair(rng, number)
        found = judged(a, b)
        adjusted = holm([p for p, _ in found.values()])
        fails = any(p <= 0.05 and larger for p, (_, larger) in zip(adjusted, found.values(), strict=True))
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
    for number in range(pairs):
        for each in compare(*world.pair(np.random.default_rng((77, number)), number)).differences:
            if each.unit == "s" and each.detectable is not None:
                printed.setdefault(each.name, []).append(each.detectable)
                planted = world.pair(np.random.default_rng((77, number)), number, 2.0 * each.detectable)
                own.setdefault(each.name, []).append(_found(planted, each.name))
    lines = []
    for name, seen in printed.items():
        change = 2.0 * float(np.median(seen))
        fresh = [_found(world.pair(np.random.default_rng((78, i)), i, change), name) for i in range(pairs)]
        share = float(np.mean(own[name]))
        said = (
            f"{world!s:<27} {name:<34} detectable {change / 2 * 1e3:6.1f} ms, {len(seen)} of {pairs} pairs   "
            f"twice that found {share:6.1%}, in fresh pairs {np.mean(fresh):6.1%}"
        )
        lines.append(Line(said, share >= FOUND_AT_LEAST))
    return lines


def _found(pair: tuple[list[Result], list[Result]], name: str) -> bool:
    """Whether the figure is shown to be worse at Holm's hardest step: as if nothing else had moved."""
    rows = judged(*pair)
    p, larger = rows[name]
    return p <= 0.05 / len(rows) and larger


# Real runs


def real_run(seed: int) -> dict[str, Any]:
    """Return a short virtual call, as JSON has it (results do not travel between processes)."""
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


def main() -> int:
    """Print every section; return 1 where any figure is outside its promise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of simulated pairs (default 1)")
    parser.add_argument("--real-runs", type=int, default=60, help="virtual calls to make (0: none)")
    options = parser.parse_args()
    began = time.perf_counter()
    pairs = max(round(1000 * options.scale), 50)
    worlds = [World(1, True), World(3, True), World(5, True), World(3, False), World(5, False)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        kept = told("Coverage of 95 % intervals", pool.map(coverage, coverage_cases(options.scale)))
        kept &= told("False alarms of one figure", pool.map(alarms, alarm_cases(options.scale)))
        block = 50
        lines = []
        for world in worlds:
            cases = [(world, first, block) for first in range(0, pairs, block)]
            failed = sum(count for count, _ in pool.map(gate_alarms, cases))
            share = failed / (block * len(cases))
            text = f"{world!s:<30} {block * len(cases):>5} pairs   alarms {share:6.1%}"
            lines.append(Line(text, share <= ALARMS_AT_MOST))
        kept &= told("False alarms of whole checks", lines)
        few = max(round(60 * options.scale), 20)
        found = pool.map(findings, [(world, few) for world in worlds])
        kept &= told("Findings", itertools.chain.from_iterable(found))
        if options.real_runs:
            results = [Result.from_dict(each) for each in pool.map(real_run, range(1, options.real_runs + 1))]
            sizes = [size for size in (3, 5, 10) if 2 * size <= len(results)]
            kept &= told(
                "Real runs", (real_alarms(results, size, max(round(100 * options.scale), 20)) for size in sizes)
            )
    print(f"\n{'Every promise kept' if kept else 'NOT AS PROMISED'}, {time.perf_counter() - began:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
