"""Intervals and false alarms of one series (``calibration.py``): its samples are chains, its truth is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from calibration_runs import ALARMS_AT_MOST, Floats, Line, chain, hash_of
from scipy.special import ndtr, ndtri

from rtcprobe.verdict.spread import TSpread, p_value
from rtcprobe.verdict.statistics import mean_interval, quantile, share_above
from rtcprobe.verdict.tosses import Randomised

COVERED = (0.93, 0.97)
COVERED_HEAVY_MEAN = 0.91
"""Student's t of a mean knows nothing of skewness: few samples of a heavy tail miss a little more often."""


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
