"""The delay of a measured way: base, jitter, shape and likeness of neighbours; or a reason why no shape fits.

Facts:
    - Every shape of a link is ``base + jitter · shape(u)``, so its best fit is a straight line through the quantiles
      from 0.5 to 99.5 %, each weighing as much as it is sure: the variance of a quantile is u(1-u)/(n f²), f being the
      density there (David & Nagaraja, *Order Statistics*, 3rd ed., §10.2). Which shape is best, the
      Kolmogorov-Smirnov distance says.
    - Intervals come from resampling blocks of neighbours, since neighbours are alike (Künsch, Annals of Statistics
      17(3), 1989).
    - The distance of n independent draws from their own law is under 0.05 at n = 500 and more with near certainty;
      alike neighbours are worth fewer. A tail is judged by itself: a gamma's p99 lies 11 ms beyond the nearest shape's.

Rules:
    1. Likeness is said where probes are no farther apart than packets of a call are (40 ms), and only where it is more
       than chance.
    2. Packets that arrive together, again and again, with nothing between, are slots: no jitter is fitted to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from rtcprobe.fit.series import Series
from rtcprobe.link.delay import DISTRIBUTIONS, LONGEST_S

__all__ = ["NEIGHBOURS_S", "Shape", "Slots", "fit_shape", "slots_of"]

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

# Twice a packet's time and a bit: probes farther apart say nothing of how alike neighbouring packets are.
NEIGHBOURS_S: Final = 0.045
# Steps of half a per cent from 0.5 to 99.5: beyond, one probe of some hundreds decides.
_QUANTILES: Final = np.linspace(0.005, 0.995, 199)
_Z: Final = ndtri(_QUANTILES)
# Kolmogorov-Smirnov's distance, judged from so many probes on that chance alone stays below it.
_WORST_DISTANCE, _JUDGED_FROM = 0.05, 500
# 5 ms at p99, or half the jitter where that is more: less than a step of NetEQ's target (20 ms) is heard by nobody.
_WORST_TAIL_S, _WORST_TAIL_SHARE = 0.005, 0.5
# Neighbours are alike, 25 of them stay together. Of 100 draws two or three lie beyond either end of a 95 % interval.
_BOOTSTRAPS, _BLOCK = 100, 25
# Below that the clock of the machine that pinged is what varies.
_LEAST_JITTER_S: Final = 20e-6
# A pause of a machine or a line ends within that; three probes late in it are one event, not three.
_HICCUP_S: Final = 0.5
# Shares of gaps between arrivals below 1 % of the spacing, and from 2 to 90 %: slots of 20 to 100 ms probed each 10 ms
# gave 0.50 to 0.87 and 0.00; order kept under heavy jitter (normal 12 ms, pareto 30 ms) 0.34 to 0.58 and 0.14 to 0.22.
_TOGETHER, _BETWEEN = 0.1, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The best shape: base and jitter with 95 % intervals, ρ of neighbours (None: not known), how far off it is.

    ``tail_s`` is by how much the measured p99 lies beyond the fitted one, ``hiccups`` left out: moments in which
    several packets in a row were far too late, of which no shape knows. ``misfit`` says why none fits ("": one does).
    """

    base_s: float
    base_ci_s: Interval
    jitter_s: float
    jitter_ci_s: Interval
    distribution: str
    correlation: float | None
    distance: float
    tail_s: float
    hiccups: int = 0
    misfit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Packets leave in slots so far apart; ``base_s`` is the delay of one that did not wait."""

    length_s: float
    base_s: float


def fit_shape(series: Series) -> Shape:
    """Return the shape of the delays of ``series``, which has twenty arrivals or more."""
    came = series.delay_s[~series.lost]
    quantiles = np.quantile(came, _QUANTILES)
    spread_s = float(quantiles[-1] - quantiles[0])
    rho = _likeness(series)
    if spread_s < _LEAST_JITTER_S:
        base_s = float(np.median(came))
        return Shape(
            base_s=base_s, base_ci_s=(base_s, base_s), jitter_s=0.0, jitter_ci_s=(0.0, 0.0), distribution="normal",
            correlation=None, distance=0.0, tail_s=0.0,
        )  # fmt: skip
    hiccups = _hiccups(series, quantiles)
    came = series.delay_s[~series.lost & ~hiccups]
    quantiles = np.quantile(came, _QUANTILES)
    fits = {name: _line(name, quantiles) for name in DISTRIBUTIONS}
    distances = {name: _distance(came, name, *fit) for name, fit in fits.items()}
    best = min(distances, key=lambda name: distances[name])
    base_s, jitter_s = fits[best]
    bases, jitters = _resampled(came, best)
    tail_s = float(np.quantile(came, 0.99)) - (base_s + jitter_s * _value(best, 0.99))
    return Shape(
        base_s=min(max(base_s, 0.0), LONGEST_S),
        base_ci_s=_interval(bases),
        jitter_s=min(jitter_s, LONGEST_S),
        jitter_ci_s=_interval(jitters),
        distribution=best,
        correlation=rho,
        distance=distances[best],
        tail_s=tail_s,
        hiccups=int(np.count_nonzero(np.diff(np.flatnonzero(hiccups)) > 1)) + int(hiccups.any()),
        misfit=_misfit(distances[best], tail_s, _tail_allowed_s(best, jitter_s, len(came)), len(came), rho),
    )


def slots_of(series: Series) -> Slots | None:
    """Return the slots that packets left in; None where there are none, or probes are too far apart to show them."""
    came = ~series.lost
    came_s = np.sort((series.times_s + series.delay_s)[came])
    gaps = np.diff(came_s)
    if len(gaps) < 100:
        return None
    together = float(np.mean(gaps < 0.01 * series.spacing_s))
    between = float(np.mean((gaps >= 0.02 * series.spacing_s) & (gaps <= 0.9 * series.spacing_s)))
    if together < _TOGETHER or between >= _BETWEEN:
        return None
    large = gaps[gaps > 0.9 * series.spacing_s]
    return Slots(length_s=float(np.median(large)), base_s=float(np.quantile(series.delay_s[came], 0.005)))


def _hiccups(series: Series, quantiles: Floats) -> npt.NDArray[np.bool_]:
    """Return which probes belong to a hiccup: three or more far too late within half a second.

    A heavy tail is late now and then; a machine or a line that paused is late all at once. Far too late is as much
    beyond the median as four times what lies between it and the slow tenth: no shape reaches there.
    """
    median_s, slow_s = float(quantiles[99]), float(quantiles[179])
    late_s = median_s + max(_WORST_TAIL_S, 4.0 * (slow_s - median_s))
    late = np.flatnonzero(np.nan_to_num(series.delay_s, nan=0.0) > late_s)
    chosen = np.zeros(len(series.delay_s), dtype=np.bool_)
    if series.aggregated or series.spacing_s > _HICCUP_S / 3 or not len(late):
        return chosen
    for group in np.split(late, np.flatnonzero(np.diff(series.times_s[late]) > _HICCUP_S) + 1):
        if len(group) >= 3:
            chosen[group] = True
    return chosen


def _tail_allowed_s(name: str, jitter_s: float, count: int) -> float:
    """Return how far the p99 of ``count`` draws may lie off: its own standard error three times, or what none hears."""
    slope = jitter_s * (_value(name, 0.992) - _value(name, 0.988)) / 0.004
    error_s = slope * math.sqrt(0.99 * 0.01 / count)
    return max(_WORST_TAIL_S, _WORST_TAIL_SHARE * jitter_s, 3.0 * error_s)


def _misfit(distance: float, tail_s: float, tail_allowed_s: float, count: int, rho: float | None) -> str:
    # Alike neighbours are worth (1 - ρ) / (1 + ρ) of as many that are not, and the distance grows as 1/√n.
    worth = count * (1.0 - (rho or 0.0)) / (1.0 + (rho or 0.0))
    # 1.36/√n is the 95 % point of Kolmogorov's distribution.
    allowed = max(_WORST_DISTANCE, 1.36 / math.sqrt(max(worth, 1.0)))
    if count < _JUDGED_FROM:
        return ""
    if distance > allowed:
        return f"no shape is nearer than {distance:.2f} to the delays (Kolmogorov-Smirnov; {allowed:.2f} would do)"
    if tail_s > tail_allowed_s:  # a lighter one does no harm, and a heavy shape's own p99 is unsure
        return f"the slowest in a hundred are {tail_s * 1e3:+.0f} ms off the nearest shape"
    return ""


def _line(name: str, quantiles: Floats) -> tuple[float, float]:
    """Return base and jitter of the straight line through the quantiles."""
    shape, weights = _weighted(name)
    mean = float(weights @ shape)
    middle_s = float(weights @ quantiles)
    centred = weights * (shape - mean)
    jitter_s = max(float(centred @ (quantiles - middle_s) / (centred @ (shape - mean))), 0.0)
    return middle_s - jitter_s * mean, jitter_s


@cache
def _weighted(name: str) -> tuple[Floats, Floats]:
    """Return a shape at the quantiles, and how much each weighs, summing to 1."""
    shape = DISTRIBUTIONS[name](_Z)
    slope = np.maximum(np.gradient(shape, _QUANTILES), 1e-3)  # 1/f; a tail held to an end has none
    weights = 1.0 / (_QUANTILES * (1.0 - _QUANTILES) * slope**2)
    # No quantile outweighs the rest: where a density is endless, as at a sharp floor, the sample's is not.
    weights = np.minimum(weights, 20.0 * np.median(weights))
    return shape, weights / weights.sum()


def _value(name: str, probability: float) -> float:
    return float(DISTRIBUTIONS[name](np.array([ndtri(probability)]))[0])


def _distance(came: Floats, name: str, base_s: float, jitter_s: float) -> float:
    """Return the Kolmogorov-Smirnov distance of ``came`` from a fitted shape."""
    grid = np.linspace(-4.5, 4.5, 2001)
    values = base_s + jitter_s * DISTRIBUTIONS[name](grid)
    from scipy.special import ndtr  # noqa: PLC0415 - beside its inverse above it is needed here alone

    ordered = np.sort(came)
    fitted = np.interp(ordered, values, ndtr(grid))
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.max(steps[1:] - fitted), np.max(fitted - steps[:-1])))


def _likeness(series: Series) -> float | None:
    """Return ρ of neighbours' normal scores; 0 where it is no more than chance, None where it cannot be known."""
    if series.aggregated or series.spacing_s > NEIGHBOURS_S:
        return None
    came = ~series.lost
    scores = np.full(len(came), np.nan)
    scores[came] = ndtri((rankdata(series.delay_s[came]) - 0.5) / np.count_nonzero(came))
    both = came[1:] & came[:-1]
    if np.count_nonzero(both) < 20:
        return None
    rho = float(np.corrcoef(scores[:-1][both], scores[1:][both])[0, 1])
    # Two standard errors of a correlation that is none, 1/√n each.
    if not math.isfinite(rho) or rho < 2.0 / math.sqrt(np.count_nonzero(both)):
        return 0.0
    return min(rho, 0.99)


def _resampled(came: Floats, name: str) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(1)
    block = min(_BLOCK, max(1, len(came) // 4))
    fits = []
    for _ in range(_BOOTSTRAPS):
        starts = rng.integers(0, len(came) - block + 1, size=-(-len(came) // block))
        drawn = came[(starts[:, None] + np.arange(block)[None, :]).reshape(-1)]
        fits.append(_line(name, np.quantile(drawn, _QUANTILES)))
    bases, jitters = zip(*fits, strict=True)
    return np.array(bases), np.array(jitters)


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
