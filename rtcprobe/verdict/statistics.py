"""What a handful of observations can honestly say: percentiles with intervals, and when to refuse one.

Facts:
    - The number of observations below a quantile is binomial, whatever the distribution. Two order statistics
      therefore enclose the quantile with a coverage that needs no model of the delay (David & Nagaraja, *Order
      Statistics*, 3rd ed., §7.1). Near the tail of a small sample no observation is late enough to close the interval:
      it stays open and is shown so.
    - Successive mouth-to-ear samples resemble each other (the jitter buffer remembers), so n of them are worth fewer.
      What counts for a quantile is how the *indicator* "later than the quantile" persists: its integrated
      autocorrelation time τ turns n into n/τ. Two estimates, of which the larger counts. One is the indicator's own:
      autocorrelations summed until pairs of them stop being positive (Geyer, *Practical Markov Chain Monte Carlo*,
      Statistical Science 7(4), 1992, initial monotone sequence); near a tail it sees few crossings and guesses low. The
      other takes the neighbours' correlation of normal scores, corrected for its bias (Marriott & Pope, Biometrika 41,
      1954), and says what a first-order Gaussian chain of that correlation would give.
    - Coverage of the 95 % interval of p50 and p95 on such chains of 120 and 240 samples: 93 to 100 % up to ρ = 0.8,
      86 to 100 % up to ρ = 0.95, where 120 samples are worth three (400 simulated series a case).

Rules:
    1. A percentile is given only where at least one observation is expected beyond it: 20 for p95, 100 for p99.
       Correlation does not refuse it: it widens or opens the interval.
    2. An observation that never came (a failed join) is later than every other, never left out.
    3. The estimate is the linear interpolation NumPy and R call type 7; the interval is made of observations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from rtcprobe.result import Quantile, Summary

__all__ = [
    "CONFIDENCE",
    "PERCENTILES",
    "correlation_time",
    "interval_ranks",
    "quantile",
    "samples_needed",
    "summarise",
]

CONFIDENCE = 0.95
PERCENTILES = (0.50, 0.90, 0.95, 0.99)

_Floats = npt.NDArray[np.float64]


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
    return Summary(
        n=len(taken),
        effective_n=effective,
        quantiles=tuple(_quantile(taken, p, correlated=correlated, confidence=confidence) for p in probabilities),
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
    return _quantile(_series(values, never), probability, correlated=correlated, confidence=confidence)


def samples_needed(probability: float) -> int:
    """Return how many independent observations a percentile needs: one expected beyond it on its rarer side."""
    return math.ceil(round(1.0 / min(probability, 1.0 - probability), 9))


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
    if n < 4 or power <= 1e-18 * n:
        return 1.0
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    autocorrelation = np.fft.irfft(spectrum * np.conj(spectrum), size)[:n] / power
    pairs = autocorrelation[0 : n - n % 2 : 2] + autocorrelation[1:n:2]
    stops = np.flatnonzero(pairs <= 0.0)
    pairs = np.minimum.accumulate(pairs[: int(stops[0])] if len(stops) else pairs)
    return float(np.clip(2.0 * np.sum(pairs) - 1.0, 1.0, n))


def _quantile(taken: _Floats, probability: float, *, correlated: bool, confidence: float) -> Quantile:
    n = len(taken)
    minimum = samples_needed(probability)
    if n < minimum:
        return Quantile(probability=probability, value=None, needs=minimum)
    ordered = np.sort(taken)
    value = _interpolated(ordered, probability)
    time = _indicator_time(taken, value, probability) if correlated else 1.0
    worth = max(1, round(n / time))
    low, high = interval_ranks(worth, probability, confidence)
    # Ranks among `worth` independent observations sit at the same heights among the n correlated ones.
    stretch = (n + 1) / (worth + 1)
    return Quantile(
        probability=probability,
        value=_finite(value),
        low=None if low is None else _finite(float(ordered[max(math.floor(low * stretch), 1) - 1])),
        high=None if high is None else _finite(float(ordered[min(math.ceil(high * stretch), n) - 1])),
    )


def _indicator_time(taken: _Floats, value: float, probability: float) -> float:
    """Return how many successive samples are worth one when asking for a quantile (the larger of two estimates)."""
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    n = len(taken)
    own = correlation_time((taken > value).astype(np.float64))
    scores = ndtri((_ranks(taken) - 0.5) / n)
    scores -= np.mean(scores)
    power = float(scores @ scores)
    if n < 4 or power <= 0.0:
        return own
    rho = float(scores[1:] @ scores[:-1]) / power
    rho = min(rho + (1.0 + 3.0 * rho) / n, 0.999)
    if rho <= 0.0:
        return own
    lags = np.arange(1, min(n, math.ceil(math.log(1e-3) / math.log(rho)) + 1))
    # Covariance of two exceedances of t by normals correlated r: the integral over s from 0 to r of
    # exp(-t²/(1+s)) / (2π √(1-s²)) (Sheppard 1899, Plackett 1954).
    t, step = float(ndtri(probability)), 5e-4
    s = np.arange(0.0, 1.0 - step / 2, step)
    density = np.exp(-(t**2) / (1.0 + s)) / (2.0 * math.pi * np.sqrt(1.0 - s**2))
    covariance = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0) * step])
    autocorrelation = np.interp(rho**lags, s, covariance) / (probability * (1.0 - probability))
    return min(float(n), max(own, 1.0 + 2.0 * float(np.sum(autocorrelation))))


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
