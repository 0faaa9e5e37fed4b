"""The laws of the link on up to a million packets each: what was asked, what came out, how far it may stray.

Tolerances are four standard errors of the law's own statistic. Exit code 1 when a law does not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, islice, product

import numpy as np
import numpy.typing as npt
from scipy import stats

from rtcprobe.link import Bernoulli, BurstLoss, Delay, FourState, GilbertElliott, Link, Loss, Tally, parse_link
from rtcprobe.link.bottleneck import Bottleneck
from rtcprobe.link.flows import Download
from rtcprobe.link.spec import Limit, Rate

PACKETS = 1_000_000
SOME = 200_000
"""Enough for the laws of queues, which take longer."""

SPACING_S = 0.02
SIGMAS = 4

Law = tuple[str, float, float, float]
"""What, asked, achieved, tolerance."""


def main() -> int:
    """Print every law."""
    failed = 0
    print(f"{'law, on 1,000,000 packets, or 200,000':<58}{'asked':>11}{'achieved':>11}{'within':>10}")
    laws = (loss_laws, delay_laws, order_laws, rate_laws, slot_laws, bucket_laws, aqm_laws, cross_laws)
    for name, asked, achieved, tolerance in chain.from_iterable(law() for law in laws):
        holds = abs(achieved - asked) <= tolerance
        failed += not holds
        print(f"{name:<58}{asked:>11.5f}{achieved:>11.5f}{tolerance:>10.5f}{'' if holds else '  BROKEN'}")
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
    # A full queue meets the step: each second delivers what the rate in force then allows, to a packet.
    link = Link(
        parse_link("rate 2.5mbit limit 200ms at 20s rate 600kbit at 40s rate 2.5mbit"), np.random.SeedSequence(1)
    )
    left_s = [at for n in range(20_000) for at in link.offer(1250, 0.003 * n).arrivals_s]  # 3.3 Mbit/s
    seconds = np.bincount(np.array(left_s, int), minlength=60) * 10.0
    for second, kbit in ((19, 2500.0), (20, 600.0), (21, 600.0), (40, 2500.0)):
        yield f"2.5 Mbit/s, 0.6 from 20 to 40 s: kbit in second {second}", kbit, float(seconds[second]), 10.0


def slot_laws() -> Iterator[Law]:
    """The wait of a lone packet, E[X²]/2E[X] for intervals X; and how fast a backlog leaves."""
    gaps_s = np.random.default_rng(1).uniform(0.015, 0.045, SOME)
    for written, mean_s in (("slot 10ms", 0.005), ("slot 5ms 15ms", (100 + 100 / 12) / 20e3)):
        link = Link(parse_link(written), np.random.SeedSequence(1))
        offers_s = np.cumsum(gaps_s)
        waits_s = np.array([link.offer(160, at).arrivals_s[0] for at in offers_s.tolist()]) - offers_s
        yield f"{written}: mean wait (ms)", 1e3 * mean_s, float(1e3 * waits_s.mean()), _means_tolerance(1e3 * waits_s)
    link = Link(parse_link("slot 5ms 15ms packets 4"), np.random.SeedSequence(1))
    last_s = [link.offer(160, 0.0).arrivals_s[0] for _ in range(SOME)][-1]
    # 50,000 intervals, uniform over 10 ms: their mean strays by 10/√12/√50,000 ms.
    yield "slot 5ms 15ms packets 4: ms a slot, backlogged", 10, 4e3 * last_s / SOME, SIGMAS * 10 / 12**0.5 / 50_000**0.5


def bucket_laws() -> Iterator[Law]:
    """The fullest window of a shaper and of a policer less what the rate brings: the bucket. And a policer's loss."""
    rng = np.random.default_rng(1)
    sizes, offers_s = rng.integers(40, 1500, SOME), np.cumsum(rng.exponential(0.006, SOME))
    for written in ("rate 1mbit bucket 8kB", "police 1mbit 8kB"):
        link = Link(parse_link(written), np.random.SeedSequence(1))
        fates = [link.offer(size, at) for size, at in zip(sizes.tolist(), offers_s.tolist(), strict=True)]
        passed = np.array([fate.dropped is None for fate in fates])
        left_s = np.array([fate.arrivals_s[0] for fate in fates if fate.arrivals_s])
        went = np.concatenate(([0], np.cumsum(sizes[passed])))
        # The most of (went until i) - (went before j) - rate·(t_i - t_j) over all j ≤ i.
        over = went[1:] - 125_000 * left_s - np.minimum.accumulate(went[:-1] - 125_000 * left_s)
        yield f"{written}: fullest window - rate·t (B)", 8000, float(over.max()), 1.0
    link = Link(parse_link("police 400kbit 2kB"), np.random.SeedSequence(1))
    lost = sum(link.offer(1000, 0.016 * n).dropped is not None for n in range(SOME))
    yield "500 kbit/s into police 400: loss 1 - C/R", 0.2, lost / SOME, 1e-4


def aqm_laws() -> Iterator[Law]:
    """Steady states under load that nobody answers: CoDel at 2 % too much, PI² at 25 %, marks of L4S, the ramp."""
    tally = _steady("rate 10mbit aqm codel", 0.001 / 1.02)
    yield "codel, 2% too much: loss 1 - C/R", 1 - 1 / 1.02, tally.achieved().loss or 0, 5e-4
    yield "codel, 2% too much: median wait (ms)", 6.0, float(1e3 * np.median(tally.delays_s()) - 1), 1.0
    tally = _steady("rate 10mbit aqm pi2", 0.0008)
    yield "pi2, 25% too much: loss 1 - C/R", 0.2, tally.achieved().loss or 0, 5e-4
    # The mean over time is the target; packets that get in find less, for fewer get in when the wait is long.
    yield "pi2, 25% too much: mean wait (ms)", 15.0, float(1e3 * tally.delays_s().mean() - 1), 1.0
    link = Link(parse_link("rate 10mbit aqm ecn-ramp ecn ect1"), np.random.SeedSequence(1))
    marked = sum([link.offer(7500, 0.1 * (n // 2)).marked for n in range(SOME)][1::2])  # waits of 6 ms
    yield "ecn-ramp 4..8 ms, waits of 6 ms: marked", 0.5, 2 * marked / SOME, SIGMAS * (0.5 / SOME) ** 0.5


def cross_laws() -> Iterator[Law]:
    """A download fills its line and swings as Reno does; pulses and the walk keep their mean."""
    seconds = 600
    for written, mean_bps, relative in (
        ("rate 2mbit limit 50 cross tcp 50ms", 2e6 - 8 * 160 * 50, 0.005),
        ("rate 5mbit cross pulses 2mbit 100ms 500ms", 0.4e6, 0.005),
        # The stationary mean of x ← clamp(x + N(-0.1, 0.6)·√0.2) is 0.3397; 600 s hold some 200 levels of it.
        ("rate 5mbit cross random-walk 500kbit", 0.3397 * 500e3, SIGMAS * 0.36 / 0.34 / 200**0.5),
    ):
        link = Link(parse_link(written), np.random.SeedSequence(1))
        link.offer(160, 0.0)
        before = link.crossed()[0].delivered_bytes
        for n in range(1, 50 * seconds + 1):
            link.offer(160, SPACING_S * n)
        achieved = 8 * (link.crossed()[0].delivered_bytes - before) / seconds
        yield f"{written} (Mbit/s)", mean_bps / 1e6, achieved / 1e6, relative * mean_bps / 1e6
    # 5 Mbit/s · 50 ms are 26 packets in the pipe, 20 wait and one is being sent: the 48th is lost.
    yield "tcp, 5 Mbit/s, 50 ms, 20 may wait: top of the window", 48, float(_tops(seconds).mean()), 1.0


def _steady(written: str, every_s: float) -> Tally:
    """Return the second half of a steady stream of 1,250 B."""
    link, tally = Link(parse_link(written), np.random.SeedSequence(1)), Tally()
    for n in range(SOME):
        fate = link.offer(1250, every_s * n)
        if n >= SOME // 2:
            tally.add(every_s * n, 1250, fate)
    return tally


def _tops(seconds: float) -> npt.NDArray[np.float64]:
    """Return the windows at which a download met a loss, after slow start."""
    queue = Bottleneck((), 0.0)
    queue.configure(Rate(bps=5e6), Limit(packets=21))  # the one being sent included
    flow, tops, window = Download(0.05, 1_000_000, np.random.default_rng(1), 0.0), [], 0.0
    while flow.next_s < seconds:
        flow.step(queue)
        if flow.window < window:
            tops.append(window)
        window = flow.window
    return np.array(tops[2:])


def _means_tolerance(drawn: npt.NDArray[np.float64]) -> float:
    return float(SIGMAS * stats.sem(drawn))


def _drawn(delay: Delay) -> npt.NDArray[np.float64]:
    return np.fromiter(islice(delay.draws(np.random.default_rng(1)), PACKETS), float, PACKETS) - 10


if __name__ == "__main__":
    sys.exit(main())
