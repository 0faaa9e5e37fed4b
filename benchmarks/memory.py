"""What calls keep: the memory of a long call beside that of a short one, and of a process that makes many.

``python benchmarks/memory.py`` prints, and fails unless:
    - a virtual call of an hour takes at most 1.5 times the peak memory of one of a minute (both of 1v1-social's kind,
      on a link that loses 1 %, processes of their own);
    - a run of 5,000 joins, and 1,000 runs of a call of 3 s, each in one process, stay within 20 MB of what they had
      after the tenth.

It takes about ten minutes; ``--brief`` takes one: there are 300 joins and 100 calls then.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rtcprobe.probe import run_probe
from rtcprobe.result import Progress
from rtcprobe.scenario import Scenario, find_scenario

LONGEST_RATIO = 1.5
MOST_GROWTH_MB = 20.0
LINK = "link=delay 40ms 5ms distribution normal loss 1%"
MINUTE_S, HOUR_S = 60, 3600
WARM = 10


def scenario(duration_s: float, joins: int = 1) -> Scenario:
    """Return the measured scenario."""
    return find_scenario("1v1-social", [LINK, f"call.duration={duration_s:g}s", f"call.joins={joins}", "call.calls=1"])


def peak_mb(duration_s: float) -> float:
    """Return the peak memory of this process after one call."""
    run_probe(scenario(duration_s), seed=1, clock="virtual")
    # Linux counts kilobytes, macOS bytes (getrusage(2)).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def resident_mb() -> float:
    """Return what this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def growth_mb(make: Callable[[Callable[[int], None]], None]) -> float:
    """Return how much more this process held at most, after ``WARM`` of what ``make`` makes, than right after them."""
    levels: list[float] = []

    def made(count: int) -> None:
        if count >= WARM:
            levels.append(resident_mb())

    make(made)
    return max(levels) - levels[0]


def joins(count: int) -> float:
    """Return the growth of a run of ``count`` joins."""

    def make(made: Callable[[int], None]) -> None:
        def progress(at: Progress) -> None:
            if at.step == "joining":
                made(round(at.done))

        run_probe(scenario(1, count), seed=1, clock="virtual", progress=progress)

    return growth_mb(make)


def calls(count: int) -> float:
    """Return the growth over ``count`` runs of a call of 3 s."""

    def make(made: Callable[[int], None]) -> None:
        for number in range(count):
            run_probe(scenario(3), seed=number, clock="virtual")
            made(number + 1)

    return growth_mb(make)


def measured(kind: str, amount: float) -> float:
    """Return what a process of its own says of ``kind``."""
    command = [sys.executable, __file__, "--only", kind, "--amount", f"{amount:g}"]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Measure, print, and exit with 1 where it is too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--only", choices=["peak", "joins", "calls"], help=argparse.SUPPRESS)
    parser.add_argument("--amount", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    kinds: dict[str, Callable[[float], float]] = {
        "peak": peak_mb,
        "joins": lambda amount: joins(int(amount)),
        "calls": lambda amount: calls(int(amount)),
    }
    if options.only:
        print(json.dumps(kinds[options.only](options.amount)))
        return
    minute_mb, hour_mb = measured("peak", MINUTE_S), measured("peak", HOUR_S)
    ratio = hour_mb / minute_mb
    print(f"a minute's call {minute_mb:.0f} MB, an hour's {hour_mb:.0f}: {ratio:.2f} times (at most {LONGEST_RATIO})")
    good = ratio <= LONGEST_RATIO
    for kind, count in (("joins", 300 if options.brief else 5000), ("calls", 100 if options.brief else 1000)):
        grown_mb = measured(kind, count)
        print(f"{count:,} {kind} in one process: {grown_mb:+.1f} MB since the tenth (at most {MOST_GROWTH_MB:+.0f})")
        good &= grown_mb <= MOST_GROWTH_MB
    sys.exit(not good)


if __name__ == "__main__":
    main()
