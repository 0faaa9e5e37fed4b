"""How fast calls run in virtual time: CPU of a 60 s duplex call with both ears on, and of one join.

Prints CPU seconds of this process, best and median of several runs, and the ratio to real time. Figures of one run
compare with each other; machines differ.
"""

from __future__ import annotations

import statistics
import time

from rtcprobe.probe import run_probe
from rtcprobe.scenario import Scenario, find_scenario

RUNS = 5
CALL_S = 60.0
JOINS = 50
PLAYOUTS = ("fixed:60ms", "neteq")
LINK = "link=delay 40ms 5ms distribution normal loss 1%"


def main() -> None:
    """Measure and print."""
    brief, joins = "call.duration=1s", f"call.joins={JOINS}"
    kinds = {
        "brief": scenario(brief),
        "joins": scenario(brief, joins),
        **{playout: scenario(f"playout={playout}") for playout in PLAYOUTS},
    }
    cpu_s(kinds["brief"])  # imports, tables, first-run costs
    rounds = [{name: cpu_s(kind) for name, kind in kinds.items()} for _ in range(RUNS)]

    for playout in PLAYOUTS:
        # What the last 59 s cost, as a whole call of 60 s: the short run takes away all that is paid once.
        figures_s = [(each[playout] - each["brief"]) * CALL_S / (CALL_S - 1.0) for each in rounds]
        print(f"duplex call of {CALL_S:g} s, playout {playout}, both ears on, all of its CPU from encoding to hearing:")
        for name, figure_s in (("best", min(figures_s)), ("median", statistics.median(figures_s))):
            print(f"  {name:<6} {figure_s:6.3f} s CPU = {CALL_S / figure_s:5.1f} x real time")
    figures_s = [(each["joins"] - each["brief"]) / (JOINS - 1) for each in rounds]
    print("join, cold signalling to first audio:")
    for name, figure_s in (("best", min(figures_s)), ("median", statistics.median(figures_s))):
        print(f"  {name:<6} {figure_s * 1e3:6.1f} ms CPU")


def scenario(*settings: str) -> Scenario:
    """Return the measured scenario, one join and 60 s unless told otherwise."""
    return find_scenario("1v1-social", [LINK, "call.calls=1", f"call.duration={CALL_S:g}s", "call.joins=1", *settings])


def cpu_s(scenario: Scenario) -> float:
    """Return the CPU seconds of one run of ``scenario``."""
    begun = time.process_time()
    run_probe(scenario, seed=1, clock="virtual")
    return time.process_time() - begun


if __name__ == "__main__":
    main()
