"""What a handful of observations can honestly say: percentiles, means and shares with intervals, and when to refuse.

Facts:
    - The number of observations below a quantile is binomial, whatever the distribution. Two order statistics
      therefore enclose the quantile with a coverage that needs no model of the delay (David & Nagaraja, *Order
      Statistics*, 3rd ed., §7.1). Near the tail of a small sample no observation is late enough to close the interval:
      it stays open and is shown so.
    - Successive mouth-to-ear samples resemble each other (the jitter buffer remembers), so n of them are worth fewer.
      What counts for a quantile is how the *indicator* "later than the quantile" persists: its integrated
      autocorrelation time τ turns n into n/τ. τ is taken from the correlation ρ of neighbours' normal scores, as in a
      first-order Gaussian chain; where the indicator's own autocorrelations (summed until pairs of them stop being
      positive: Geyer, *Practical Markov Chain Monte Carlo*, Statistical Science 7(4), 1992) say plainly more, they do.
    - n/τ is no whole number, so ranks are fractional (Hutson, *Calculating nonparametric confidence intervals for
      quantiles using fractional order statistics*, J. Applied Statistics 26(3), 1999).
    - ρ of a short series is a guess, and guessed low: the mean is estimated too (Marriott & Pope, Biometrika 41, 1954:
      (1 + 3ρ)/n), and scores of ranks hide about as much again (measured: (1 + 1.4ρ) times that). What remains unsure
      is averaged over: ρ spreads about its guess with twice its standard error on Fisher's scale, as Student's t
      spreads a variance.
    - The count of exceedances is binomial-like only where a few of their clumps are seen: where ``CLUMPS`` effective
      observations are expected beyond an end of a correlated interval. With fewer, the end lies beyond everything
      that was seen: by ``STRETCH``/n of the range on the side of the quantile's body, by the whole range on its tail's,
      which stays open below ``GLIMPSE``. That assumes that the rest of the call would vary as the part that was heard
      did: chains with neighbours correlated up to 0.97 do, a call that jumps once an hour does not.
    - ``benchmarks/calibration.py`` shows what that reaches: 95 ± 2 %, more where an end is open or beyond all
      observations; the mean of a heavy tail 92 %, as Student's t knows nothing of skewness.
    - A share's interval is Wilson's (JASA 22, 1927), with the effective number of events.

Rules:
    1. A percentile is given only where at least one observation is expected beyond it: 20 for p95, 100 for p99.
       Correlation does not refuse it: it widens or opens the interval.
    2. An observation that never came (a failed join) is later than every other, never left out.
    3. The estimate is the linear interpolation NumPy and R call type 7; the interval is made of observations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from rtcprobe.result import Quantile, Summary

__all__ = [
    "CONFIDENCE",
    "NODES",
    "PERCENTILES",
    "WEIGHTS",
    "Ends",
    "batches",
    "correlation_time",
    "interval_ranks",
    "mean_interval",
    "neighbours",
    "quantile",
    "rank_height",
    "samples_needed",
    "share_above",
    "share_interval",
    "summarise",
]

CONFIDENCE = 0.95  # what everybody's intervals have, so that they are read without asking
PERCENTILES = (0.50, 0.90, 0.95, 0.99)  # p99 too: of fewer than a hundred it is shown refused

CLUMPS = 5.0
"""Effective observations that must be expected beyond a correlated interval's end for it to be among them."""
GLIMPSE = 0.7
"""Effective observations that must be expected beyond the end on the rarer side for it to be closed at all."""
STRETCH = 60.0
"""Successive observations that may leave as wide a range unseen as they span; twice as many leave half of it."""
_FEWEST_STRETCHED = 20  # of fewer, STRETCH / n would be more than three whole ranges: open is the honester end

_Floats = npt.NDArray[np.float64]
Ends = tuple[float | None, float | None]
"""An interval: None where it is open."""
BATCH_TIMES, BATCH_BEYOND = 6.0, 8.0  # correlation times in a batch; observations beyond the quantile in a batch

_PLAINLY = 2.0  # times the chain's correlation time; by less, a short series' own sum is off by chance
# Gauss-Hermite: five likely values of a normal, and their weights.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
WEIGHTS = WEIGHTS / np.sum(WEIGHTS)


def summarise(
    values: Iterable[float],
    *,
    never: int = 0,
    correlated: bool = False,
    probabilities: Sequence[float] = PERCENTILES,
    confidence: float = CONFIDENCE,
) -> Summary:
    """Return percentiles with intervals, mean and extremes of ``values`` (any unit, in the order they were taken).

    ``never`` more observations never came. ``correlated``: successive values may resemble each other. With failures
    neither mean nor maximum exists, and both are None.
    """
    taken = _series(values, never)
    if not len(taken):
        return Summary(n=0, effective_n=0.0, confidence=confidence)
    complete = never == 0
    effective = len(taken) / (correlation_time(_ranks(taken)) if correlated else 1.0)
    rho = _persistence(taken) if correlated else None
    return Summary(
        n=len(taken),
        effective_n=effective,
        quantiles=tuple(_quantile(taken, p, rho, confidence) for p in probabilities),
        mean=float(np.mean(taken)) if complete else None,
        minimum=_finite(float(np.min(taken))),
        maximum=float(np.max(taken)) if complete else None,
        never=never,
        confidence=confidence,
    )


def quantile(
    values: Iterable[float],
    probability: float,
    *,
    never: int = 0,
    correlated: bool = False,
    confidence: float = CONFIDENCE,
) -> Quantile:
    """Return one percentile of ``values`` with its interval; refused (value None) where rule 1 says so."""
    taken = _series(values, never)
    return _quantile(taken, probability, _persistence(taken) if correlated and len(taken) else None, confidence)


def samples_needed(probability: float) -> int:
    """Return how many independent observations a percentile needs: one expected beyond it on its rarer side."""
    return math.ceil(round(1.0 / min(probability, 1.0 - probability), 9))


@lru_cache(maxsize=1024)
def interval_ranks(n: int, probability: float, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Return the ranks (1 = smallest) of the two of ``n`` independent observations that enclose the quantile.

    Each end is missed with at most half of ``1 − confidence``; None where no observation is far enough out.
    """
    from scipy.special import bdtr  # noqa: PLC0415 - a quarter of a second that --help should not pay

    tail = (1.0 - confidence) / 2.0
    at_most = bdtr(np.arange(n + 1, dtype=np.float64), n, probability)  # P(B <= k), k = 0..n
    low = int(np.searchsorted(at_most, tail, side="right"))  # the largest rank r with P(B <= r-1) <= tail
    high = int(np.searchsorted(at_most, 1.0 - tail, side="left")) + 1  # the smallest s with P(B >= s) <= tail
    return (low if low >= 1 else None), (high if high <= n else None)


def correlation_time(series: _Floats) -> float:
    """Return how many successive observations are worth one independent observation (at least 1).

    Shape (n,). A constant series counts as independent: it holds nothing to resemble.
    """
    n = len(series)
    centred = series - np.mean(series)
    power = float(centred @ centred)
    if n < 4 or power <= 1e-18 * n:  # a spread of 1e-9 (s) is rounding, and rounding has a correlation too
        return 1.0
    size = 1 << (2 * n - 1).bit_length()  # twice its length: else the FFT would join its end to its beginning
    spectrum = np.fft.rfft(centred, size)
    autocorrelation = np.fft.irfft(spectrum * np.conj(spectrum), size)[:n] / power
    pairs = autocorrelation[0 : n - n % 2 : 2] + autocorrelation[1:n:2]
    stops = np.flatnonzero(pairs <= 0.0)
    pairs = np.minimum.accumulate(pairs[: int(stops[0])] if len(stops) else pairs)  # Geyer's monotone: a rise is noise
    return float(np.clip(2.0 * np.sum(pairs) - 1.0, 1.0, n))


def neighbours(series: _Floats) -> float:
    """Return the correlation of successive observations (shape (n,)); 0 where nothing varies."""
    centred = series - np.mean(series)
    power = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / power if len(series) > 3 and power > 1e-18 * len(series) else 0.0


def mean_interval(values: Iterable[float], *, correlated: bool = False, confidence: float = CONFIDENCE) -> Ends:
    """Return the interval of a mean: Student's t, over batches long enough to forget each other where ``correlated``.

    Open on both sides where fewer than two independent observations (or batches) are there.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - as above

    taken = _series(values, 0)
    if len(taken) < 2:
        return None, None
    means = np.array([np.mean(each) for each in np.array_split(taken, batches(taken))]) if correlated else taken
    k = len(means)
    half = float(stdtrit(k - 1, (1.0 + confidence) / 2.0)) * float(np.std(means, ddof=1)) / math.sqrt(k)
    centre = float(np.mean(taken))
    return centre - half, centre + half


def share_interval(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's interval of a share seen among ``n`` (effective, so perhaps fractional) events."""
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    z2 = float(ndtri((1.0 + confidence) / 2.0)) ** 2
    centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = math.sqrt(z2 * (share * (1.0 - share) / n + z2 / (4.0 * n * n))) / (1.0 + z2 / n)
    # It holds the share itself, whatever was rounded: of 395 in 395 the upper end came out a hair below 1.
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def batches(series: _Floats, rarer: float = 0.5) -> int:
    """Return into how many batches of successive observations ``series`` may be cut so that they forget each other.

    Two to ten: ``BATCH_TIMES`` correlation times each, and ``BATCH_BEYOND`` observations expected beyond a quantile
    that leaves the share ``rarer`` on its rarer side. Few long batches and Student's t keep their promise where many
    short ones do not (Schmeiser, *Batch size effects in the analysis of simulation output*, Operations Research 30(3),
    1982; the two constants are the smallest with which ``benchmarks/calibration.py`` holds).
    """
    n = len(series)
    rho = _persistence(series) if n > 3 and np.ptp(series) > 0.0 else 0.0
    time = (1.0 + rho) / (1.0 - rho)
    return int(min(max(min(n / (BATCH_TIMES * time), n * rarer / BATCH_BEYOND), 2.0), 10.0))


def _persistence(series: _Floats) -> float:
    """Return the correlation of neighbours in the normal chain behind ``series``, its bias undone; 0 to 0.99."""
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    n = len(series)
    rho = neighbours(ndtri((_ranks(series) - 0.5) / n))  # Hazen's positions, so that no score is infinite
    return min(max(rho + (1.0 + 1.4 * rho) * (1.0 + 3.0 * rho) / n, 0.0), 0.99)


def share_above(
    values: Iterable[float],
    threshold: float,
    *,
    never: int = 0,
    correlated: bool = False,
    confidence: float = CONFIDENCE,
) -> tuple[float, float, float]:
    """Return the share of observations above ``threshold`` (those that never came are), and its interval."""
    taken = _series(values, never)
    n = len(taken)
    share = float(np.count_nonzero(taken > threshold)) / n
    worth = float(n)
    if correlated and n > 3:
        # Where none (or all) are above, how they would persist is still known from how the delays do.
        near = min(max(1.0 - share, 1.0 / (n + 1.0)), n / (n + 1.0))
        sizes, weights = _effective_sizes(taken, _persistence(taken), threshold, round(near, 3) or 1e-3)
        worth = 1.0 / float(weights @ (1.0 / sizes))
    return share, *share_interval(share, worth, confidence)


def _quantile(taken: _Floats, probability: float, rho: float | None, confidence: float) -> Quantile:
    """Return the percentile of observations whose ``_persistence`` is ``rho``; None where they are independent."""
    n = len(taken)
    minimum = samples_needed(probability)
    if n < minimum:
        return Quantile(probability=probability, value=None, needs=minimum)
    ordered = np.sort(taken)
    value = _interpolated(ordered, probability)
    low, high = (
        _ranked_ends(ordered, probability, confidence)
        if rho is None
        else _correlated_ends(ordered, _effective_sizes(taken, rho, value, probability), probability, confidence)
    )
    return Quantile(probability=probability, value=_finite(value), low=low, high=high)


def _ranked_ends(ordered: _Floats, probability: float, confidence: float) -> Ends:
    low, high = interval_ranks(len(ordered), probability, confidence)
    return (
        None if low is None else _finite(float(ordered[low - 1])),
        None if high is None else _finite(float(ordered[high - 1])),
    )


def _correlated_ends(ordered: _Floats, sizes: tuple[_Floats, _Floats], probability: float, confidence: float) -> Ends:
    """Return the ends at fractional ranks of the effective number of observations, averaged over what it may be.

    Where too few are expected beyond an end it is stretched beyond all that were seen, or open.
    """
    n = len(ordered)
    worth, weights = sizes
    typical = 1.0 / float(weights @ (1.0 / worth))
    tail = (1.0 - confidence) / 2.0

    def end(share_below: float, expected_beyond: float) -> float | None:
        if expected_beyond < CLUMPS:
            return None
        place = (n + 1) * rank_height(worth, weights, probability, share_below) - 1.0  # rank, from 0
        below = math.floor(place)
        if not 0 <= below < n - 1:
            return None
        first, second = float(ordered[below]), float(ordered[below + 1])
        return _finite(second if math.isinf(second) else first + (place - below) * (second - first))

    low, high = end(1.0 - tail, typical * probability), end(tail, typical * (1.0 - probability))
    if (low is None or high is None) and n >= _FEWEST_STRETCHED and math.isfinite(ordered[-1]):
        least, most = _stretched(ordered, probability)
        if low is None and (probability >= 0.5 or typical * probability >= GLIMPSE):
            low = least
        if high is None and (probability <= 0.5 or typical * (1.0 - probability) >= GLIMPSE):
            high = most
    return low, high


def _stretched(ordered: _Floats, probability: float) -> tuple[float, float]:
    """Return ends beyond all observations, by shares of the range they span."""
    least, most = float(ordered[0]), float(ordered[-1])
    body, tail = (most - least) * STRETCH / len(ordered), most - least
    low = least - (body if probability >= 0.5 else tail)
    high = most + (body if probability <= 0.5 else tail)
    return (max(low, 0.0) if least >= 0.0 else low), high  # a delay is never negative


def rank_height(worth: _Floats, weights: _Floats, probability: float, share_below: float) -> float:
    """Return u such that the u-th of ``worth`` uniform observations lies below ``probability`` that often."""
    from scipy.special import betainc  # noqa: PLC0415 - as above

    def excess(u: float) -> float:
        return float(weights @ betainc((worth + 1.0) * u, (worth + 1.0) * (1.0 - u), probability)) - share_below

    return _root(excess, 0.0, 1.0 - share_below, 1.0, -share_below)


def _root(falling: Callable[[float], float], low: float, at_low: float, high: float, at_high: float) -> float:
    """Return where a smooth function falls through 0, by regula falsi with the Illinois rule (Dowell & Jarratt 1971).

    A third of the calls that halving needs; a few halvings come first, for the ends of a steep step say nothing.
    """
    middle, held = low, 0.0
    for turn in range(64):
        middle = (low + high) / 2.0 if turn < 3 else (low * at_high - high * at_low) / (at_high - at_low)
        here = falling(middle)
        if abs(here) < 1e-10:
            break
        if here > 0.0:
            low, at_low = middle, here
            at_high *= 0.5 if held > 0.0 else 1.0  # an end that stays twice counts half
        else:
            high, at_high = middle, here
            at_low *= 0.5 if held < 0.0 else 1.0
        held = here
    return middle


def _effective_sizes(taken: _Floats, rho: float, value: float, probability: float) -> tuple[_Floats, _Floats]:
    """Return how many independent observations ``taken`` may be worth for a quantile, and how likely each number is."""
    n = len(taken)
    step = 2.0 / math.sqrt(n * (1.0 - rho**2))
    rhos, times = _chain_times(probability)
    likely = np.interp(np.tanh(math.atanh(rho) + step * NODES), rhos, times)
    own = correlation_time((taken > value).astype(np.float64))
    if own > _PLAINLY * float(np.interp(rho, rhos, times)):
        likely = np.maximum(likely, own)  # what was seen persists more than any such chain: it counts, not the model
    return np.maximum(n / likely, 1.0), WEIGHTS


@cache
def _chain_times(probability: float) -> tuple[_Floats, _Floats]:
    """Return correlations ρ and, of a Gaussian chain with each, the correlation time of "later than the quantile".

    Covariance of two exceedances of t by normals correlated r: the integral over s from 0 to r of
    exp(-t²/(1+s)) / (2π √(1-s²)) (Sheppard 1899, Plackett 1954).
    """
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    t, step = float(ndtri(probability)), 5e-4
    s = np.arange(0.0, 1.0 - step / 2, step)
    density = np.exp(-(t**2) / (1.0 + s)) / (2.0 * math.pi * np.sqrt(1.0 - s**2))
    covariance = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0) * step])
    rhos = np.concatenate([np.linspace(0.0, 0.9, 46), np.linspace(0.91, 0.995, 18)])
    lags = np.arange(1, 1500)  # at ρ = 0.995 the last of them adds less than a thousandth
    shares = np.interp(rhos[:, None] ** lags, s, covariance) / (probability * (1.0 - probability))
    return rhos, 1.0 + 2.0 * np.sum(shares, axis=1)


def _series(values: Iterable[float], never: int) -> _Floats:
    taken = np.asarray([*values, *([math.inf] * never)], dtype=np.float64)
    assert not np.any(np.isnan(taken)), "an observation is a number, or it never came"
    return taken


def _interpolated(ordered: _Floats, probability: float) -> float:
    place = (len(ordered) - 1) * probability
    below = math.floor(place)
    share = place - below
    low = float(ordered[below])
    if share < 1e-12:
        return low
    high = float(ordered[below + 1])
    return high if math.isinf(high) else low + share * (high - low)


def _ranks(series: _Floats) -> _Floats:
    """Return average ranks, which tame outliers; equal values share theirs."""
    _, inverse, counts = np.unique(series, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    mean_rank = upper - (counts - 1) / 2.0
    return np.asarray(mean_rank[inverse.reshape(-1)], dtype=np.float64)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
