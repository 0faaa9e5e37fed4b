"""Whether the statistics keep their promises: ``python benchmarks/calibration.py``; exit code 1 where they do not.

What is asked, a section each (``--only`` names some):
    - *calls*: of 1,000 runs of each library scenario, the 95 % interval of the mouth-to-ear p50 and p95 and of the join
      p50 holds what all calls together give in 95 ± 3 %; none has no width; the p50's of 1v1-social is 20 ms wide at
      most, and its budget ``mouth_to_ear p95 < 200ms`` is decided in 95 %. R and what stayed unplayed are told beside
      it, and hold in 92 % or more: Wilson's interval of a rare share errs on the safe side.
      Runs are drawn, with replacement, from 200 simulated calls and 300 joins of each scenario: a new run of it would
      cost a second. They are kept in a temporary file until the code that makes them changes. The intervals of R and of
      the p95 were chosen on the calls of other seeds (from 50,001 on; 600 of each scenario by the model from 900,001
      on) than those that they are judged by (``POOL_SEED``).
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
import itertools
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from calibration_calls import POOL_SEED, another_run, pools, real_alarms, real_run
from calibration_runs import ALARMS_AT_MOST, Line
from calibration_series import alarm_cases, alarms, coverage, coverage_cases
from calibration_worlds import World, findings, gate_alarms, triple, triples

from rtcprobe.result import Result


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
