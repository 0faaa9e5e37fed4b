"""The laws of the link on a million packets each: what was asked, what came out, how far it may stray.

Tolerances are four standard errors of the law's own statistic. Exit code 1 when a law does not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice, product

import numpy as np
import numpy.typing as npt
from scipy import stats

from rtcprobe.link import Bernoulli, BurstLoss, Delay, FourState, GilbertElliott, Link, Loss, Tally, parse_link

PACKETS = 1_000_000
SPACING_S = 0.02
SIGMAS = 4

Law = tuple[str, float, float, float]
"""What, asked, achieved, tolerance."""


def main() -> int:
    """Print every law."""
    failed = 0
    print(f"{'law, on 1,000,000 packets':<58}{'asked':>10}{'achieved':>10}{'within':>10}")
    for name, asked, achieved, tolerance in (*loss_laws(), *delay_laws(), *order_laws(), *rate_laws()):
        holds = abs(achieved - asked) <= tolerance
        failed += not holds
        print(f"{name:<58}{asked:>10.5f}{achieved:>10.5f}{tolerance:>10.5f}{'' if holds else '  BROKEN'}")
    return int(failed > 0)


def loss_laws() -> Iterator[Law]:
    """Ratio and mean burst of every loss model (C5.1), and of every mean loss with every mean burst (C5.2)."""
    models: list[tuple[str, Loss]] = [
        ("gemodel 1% 20% 70% 0.1%", GilbertElliott(p=0.01, r=0.2, h_loss=0.7, k_loss=0.001)),
        ("gemodel 2% 40%", GilbertElliott(p=0.02, r=0.4)),
        ("state 2% 30% 20% 40% 0.5%", FourState(p13=0.02, p31=0.3, p32=0.2, p23=0.4, p14=0.005)),
    ]
    models += [(f"loss {ratio:.0%}", Bernoulli(ratio)) for ratio in (0.01, 0.05, 0.2)]
    models += [(f"loss {p:.0%} burst {b:g}", BurstLoss(p, b)) for p, b in product((0.01, 0.05, 0.2), (2.0, 5.0, 10.0))]
    for name, model in models:
        lost = np.fromiter(islice(model.outcomes(np.random.default_rng(1)), PACKETS), bool, PACKETS)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.astype(np.int8), [0]))))
        runs = edges[1::2] - edges[::2]
        # Renewal reward: losses come in len(runs) independent cycles of a run and a gap.
        gaps = np.diff(edges)[1::2]
        cycles = runs[:-1] - model.ratio * (runs[:-1] + gaps)
        yield (
            f"{name}: loss",
            model.ratio,
            float(lost.mean()),
            float(SIGMAS * cycles.std() * len(gaps) ** 0.5 / PACKETS),
        )
        yield f"{name}: mean burst", model.mean_burst or 0, float(runs.mean()), float(SIGMAS * stats.sem(runs))


def delay_laws() -> Iterator[Law]:
    """Moments of the jitter shapes, and true correlation (C5.3)."""
    moments = {"uniform": (0.0, 3**-0.5), "normal": (0.0, 1.0), "pareto": (-0.03, 0.82), "paretonormal": (-0.03, 0.83)}
    for shape, (mean, sd) in moments.items():
        drawn = _drawn(Delay(base_s=10, jitter_s=1, distribution=shape))
        rounding = 0.0 if sd in {1.0, 3**-0.5} else 0.005  # the last two are published to two places
        yield f"jitter {shape}: mean", mean, float(drawn.mean()), SIGMAS * sd / PACKETS**0.5 + rounding
        yield f"jitter {shape}: standard deviation", sd, float(drawn.std()), 2 * SIGMAS * sd / PACKETS**0.5 + rounding
    for rho in (0.5, 0.9):
        drawn = _drawn(Delay(base_s=10, jitter_s=1, distribution="normal", correlation=rho))
        achieved = float(np.corrcoef(drawn[1:], drawn[:-1])[0, 1])
        yield f"jitter normal, correlation {rho:.0%}", rho, achieved, SIGMAS * ((1 - rho**2) / PACKETS) ** 0.5 + 1e-3


def order_laws() -> Iterator[Law]:
    """How often jitter swaps neighbours when order is free, and how often packets step out (C5.3)."""
    gap, root2 = 20.0, 2**0.5
    for shape, sigma in product(("uniform", "normal"), (20, 40)):
        swapped = 0.5 * (1 - gap / 2 / sigma) ** 2 if shape == "uniform" else float(stats.norm.sf(gap / sigma / root2))
        link = Link(parse_link(f"delay 200ms {sigma}ms distribution {shape} order free"), np.random.SeedSequence(1))
        arrivals_s = np.array([link.offer(160, SPACING_S * n).arrivals_s[0] for n in range(PACKETS)])
        achieved = float((np.diff(arrivals_s) < 0).mean())
        yield (
            f"{shape} ±{sigma}ms, order free: neighbours swapped",
            swapped,
            achieved,
            SIGMAS * (swapped / PACKETS) ** 0.5,
        )
    for ratio, packets, share in (("25%", 1, 0.25), ("100%", 5, 0.2), ("25%", 5, 0.125)):
        link = Link(parse_link(f"delay 50ms reorder {ratio} gap {packets}"), np.random.SeedSequence(1))
        early = sum(link.offer(160, SPACING_S * n).arrivals_s[0] < SPACING_S * n + 0.01 for n in range(PACKETS))
        yield f"reorder {ratio} gap {packets}: share", share, early / PACKETS, SIGMAS * (share / PACKETS) ** 0.5


def rate_laws() -> Iterator[Law]:
    """A steady stream over capacity: the excess is dropped, the queue stays full (C5.4)."""
    link, tally = Link(parse_link("rate 64kbit limit 10"), np.random.SeedSequence(1)), Tally()
    for n in range(PACKETS):
        tally.add(SPACING_S * n, 200, link.offer(200, SPACING_S * n))  # 80 kbit/s
    achieved = tally.achieved()
    yield "80 kbit/s into 64: loss 1 - C/R", 0.2, achieved.loss or 0, 1e-4
    yield "80 kbit/s into 64, limit 10: longest wait Q·S/C (s)", 0.25, achieved.delay_max_s or 0, 0.025
    yield "80 kbit/s into 64: reordered", 0.0, achieved.reordered or 0, 0.0


def _drawn(delay: Delay) -> npt.NDArray[np.float64]:
    return np.fromiter(islice(delay.draws(np.random.default_rng(1)), PACKETS), float, PACKETS) - 10


if __name__ == "__main__":
    sys.exit(main())
