"""How fast edges are chosen, and how good: thirty regions, thirty candidates, six edges.

Usage: python benchmarks/placement.py [--groups 30] [--edges 30] [--choose 6]

Made-up shares (Dirichlet) over the regions of the catalogue, calls that take 105 ms and 12 ms a leg of access. Best
pair is asked to be proven optimal; the nearest rule's greedy choice is held against trying every set at a size where
that can be done (20 candidates, 3 edges). Exit code 1 where a proof is missing, it took over 5 s of CPU, or greedy lost
over 1 %.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from rtcprobe.link import REGIONS, backbone
from rtcprobe.placement import choosing
from rtcprobe.placement.choosing import Problem, best_pair, nearest

MOST_S, MOST_LOST = 5.0, 0.01


def problem(groups: int, edges: int) -> Problem:
    """Return users and candidates of the catalogue's regions; those beyond them stand beside others."""
    names = list(REGIONS)
    people = [names[index % len(names)] for index in range(groups)]
    places = [names[(index * 7) % len(names)] for index in range(edges)]
    rng = np.random.default_rng(1)
    beside = rng.uniform(0.0, 0.004, (groups, edges))
    return Problem(
        reach=np.array([[backbone(a, b).rtt_s / 2 for b in places] for a in people]) + beside,
        legs=np.array([[0.0 if a == b else backbone(a, b).rtt_s / 2 for b in places] for a in places]),
        weights=rng.dirichlet(np.ones(groups)),
        cells=np.full((groups, groups), 0.105 + 2 * 0.012),
    )


def main() -> int:
    """Choose, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--groups", 30), ("--edges", 30), ("--choose", 6)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    asked = problem(options.groups, options.edges)
    failed = False
    for budget_s in (0.2, 0.25, 0.3):
        begun_s = time.process_time()
        pair = best_pair(asked, budget_s, options.choose)
        proof_s = time.process_time() - begun_s
        begun_s = time.process_time()
        near = nearest(asked, budget_s, options.choose)
        greedy_s = time.process_time() - begun_s
        failed |= not pair.proven or proof_s > MOST_S
        proven = "proven" if pair.proven else "NOT proven"
        print(
            f"{budget_s * 1e3:.0f} ms: best pair {pair.share:.4f} {proven} in {proof_s:.1f} s of CPU; "
            f"nearest {near.share:.4f} in {greedy_s:.1f} s"
        )
    small = problem(20, 20)
    exact = nearest(small, 0.25, 3)
    choosing._EVERY_SET = 0  # type: ignore[misc]  # noqa: SLF001 - greedy, where every set could be tried
    greedy = nearest(small, 0.25, 3)
    lost = 1.0 - greedy.share / exact.share
    print(f"20 candidates, 3 edges: every set {exact.share:.4f}, greedy and swaps {greedy.share:.4f}, {lost:.2%} less")
    return int(failed or lost > MOST_LOST)


if __name__ == "__main__":
    sys.exit(main())
