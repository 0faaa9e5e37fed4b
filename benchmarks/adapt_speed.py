"""How fast a sender that adapts is in virtual time: a 90 s call with control, and the same at a fixed rate.

Usage: python benchmarks/adapt_speed.py [--rounds N]. Process time, alternating, the best of each.
Exit code 1 below 100 times real time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rtcprobe.adaptation import Call, Settings, controller_of, find_case

LEAST = 100.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Time both; print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    case = find_case("step")
    best = dict.fromkeys(("gcc", "fixed:2mbit"), float("inf"))
    for seed in range(options.rounds):
        for controller in best:
            settings = Settings(forward=case.link, back=case.back, length_s=case.length_s, seed=seed)
            begun_s = time.process_time()
            Call(settings, controller_of(controller)).run()
            best[controller] = min(best[controller], time.process_time() - begun_s)
    for controller, took_s in best.items():
        print(f"{controller:<12}{case.length_s / took_s:>8.0f} times real time, a core")
    return int(case.length_s / best["gcc"] < LEAST)


if __name__ == "__main__":
    sys.exit(main())
