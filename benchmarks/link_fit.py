"""How well a link is found again: known links, measured by probes, fitted, and held against what was asked.

Usage: python benchmarks/link_fit.py [--probes 3000] [--seeds 30]

Each link's packets pass its own simulation, 20 ms apart; what they met is fitted as a file would be. Asked of all links
together: the shape is named in 95 % of runs, and the intervals of loss and burst hold the truth in 90 %.
Exit code 1 where that fails.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable

import numpy as np

from rtcprobe.fit import Fitted, Measured, Series, fit
from rtcprobe.link import Link, parse_link

LINKS = (
    ("delay 40ms 10ms distribution normal loss 2%", "normal", 0.02, None),
    ("delay 40ms 10ms 60% distribution paretonormal loss 2% burst 3", "paretonormal", 0.02, 3.0),
    ("delay 20ms 8ms distribution pareto loss 0.5% burst 2", "pareto", 0.005, 2.0),
    ("delay 60ms 15ms distribution uniform loss 5% burst 5", "uniform", 0.05, 5.0),
)
SPACING_S = 0.020
NAMED, HELD = 0.95, 0.90


def measured(line: str, probes: int, seed: int) -> Measured:
    """Return what ``probes`` packets through a link met."""
    link = Link(parse_link(f"{line} order free"), np.random.SeedSequence(seed))
    sent_s = np.asarray(np.arange(probes) * SPACING_S, dtype=np.float64)
    fates = [link.offer(200, now_s) for now_s in sent_s.tolist()]
    delay_s = np.array(
        [fate.arrivals_s[0] - now_s if fate.arrivals_s else math.nan for fate, now_s in zip(fates, sent_s, strict=True)]
    )
    return Measured(
        kind="simulation",
        ways=(Series(way="one way", sent_s=sent_s, delay_s=delay_s, spacing_s=SPACING_S),),
    )


def inside(truth: float, interval: tuple[float, float] | None) -> bool:
    """Return whether an interval holds the truth."""
    return interval is not None and interval[0] <= truth <= interval[1]


def share(flags: Iterable[bool]) -> float:
    """Return the share of true ones."""
    found = list(flags)
    return sum(found) / len(found) if found else math.nan


def main() -> int:
    """Fit, print, judge; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    named: list[bool] = []
    losses: list[bool] = []
    bursts: list[bool] = []
    for line, shape, loss, burst in LINKS:
        found: list[Fitted] = [fit(measured(line, options.probes, seed), trace="t") for seed in range(options.seeds)]
        shapes = [each.shape is not None and each.shape.distribution == shape and not each.reason for each in found]
        held = [inside(loss, each.losses.ratio_ci) for each in found]
        lengths = [inside(burst, each.losses.burst_ci) for each in found if burst and each.losses.burst is not None]
        rho = np.mean([each.shape.correlation or 0.0 for each in found if each.shape is not None])
        print(f"{line}: shape {share(shapes):.0%}, loss {share(held):.0%}, burst {share(lengths):.0%}, ρ {rho:.2f}")
        named, losses, bursts = named + shapes, losses + held, bursts + lengths
    print(f"all: shape {share(named):.1%}, loss {share(losses):.1%}, burst {share(bursts):.1%} of {len(bursts)}")
    return int(share(named) < NAMED or share(losses) < HELD or share(bursts) < HELD)


if __name__ == "__main__":
    sys.exit(main())
