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
LINK = "link=delay 40ms 5ms distribution normal loss 1%"


def main() -> None:
    """Measure and print."""
    with_call = find_scenario("1v1-social", [LINK, f"call.duration={CALL_S:g}s", "call.joins=1"])
    brief = find_scenario("1v1-social", [LINK, "call.duration=1s", "call.joins=1"])
    joins = find_scenario("1v1-social", [LINK, "call.duration=1s", f"call.joins={JOINS}"])
    cpu_s(brief)  # imports, tables, first-run costs

    rounds = [(cpu_s(brief), cpu_s(with_call), cpu_s(joins)) for _ in range(RUNS)]
    # What the last 59 s cost, as a whole call of 60 s: the short run takes away all that is paid once.
    call = [(whole - short) * CALL_S / (CALL_S - 1.0) for short, whole, _ in rounds]
    join = [(many - short) / (JOINS - 1) for short, _, many in rounds]
    print(
        f"duplex call of {CALL_S:g} s, playout {with_call.playout}, both ears on, all of its CPU, encoding to hearing:"
    )
    for name, figure_s in (("best", min(call)), ("median", statistics.median(call))):
        print(f"  {name:<6} {figure_s:6.3f} s CPU = {CALL_S / figure_s:5.1f} x real time")
    print("join, cold signalling to first audio:")
    for name, figure_s in (("best", min(join)), ("median", statistics.median(join))):
        print(f"  {name:<6} {figure_s * 1e3:6.1f} ms CPU")


def cpu_s(scenario: Scenario) -> float:
    """Return the CPU seconds of one run of ``scenario``."""
    begun = time.process_time()
    run_probe(scenario, seed=1, clock="virtual")
    return time.process_time() - begun


if __name__ == "__main__":
    main()
