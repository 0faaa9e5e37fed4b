"""The losses of a measured way: their share and mean burst with intervals, outages apart.

Facts:
    - Losses in a row are told from single ones by likelihood: a two-state chain against independent losses, one more
      parameter, twice the log ratio against χ² with one degree of freedom (3.84 at 95 %).
    - Losses that come in runs are worth fewer observations: n (1 − ρ) / (1 + ρ), with ρ = 1 − p01 − p10 of the chain.
    - Bursts end with a probability that is a share itself; its interval is a Beta's (Jeffreys), and the mean burst's
      its inverse.

Rules:
    1. Probes lost for 300 ms and more in a row are an outage, said with its time, and no part of the share.
    2. A burst is a figure only where probes are as near to each other as a call's packets, and ten bursts were seen.
    3. None lost is "below 3/n", never 0 (the rule of three: Hanley & Lippman-Hand, JAMA 249, 1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.fit.series import Series
from rtcprobe.fit.shapes import NEIGHBOURS_S

__all__ = ["Losses", "Outage", "fit_losses"]

Interval = tuple[float, float]
Mask = npt.NDArray[np.bool_]

# Losses in a row of three probes and 300 ms are an outage, no burst: a chain that has to explain them explains nothing
# else.
OUTAGE_S: Final = 0.300
# Of fewer a mean length is known to no better than a third of it.
_LEAST_BURSTS: Final = 10
# Of one degree of freedom: twice the log likelihood ratio of a chain against independent losses (Wilks).
_CHI2_95: Final = 3.841


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Nothing came for so long, from then on."""

    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """``ratio`` of ``probes`` outside outages; ``burst`` None where it cannot be known or losses are independent."""

    probes: int
    lost: int
    ratio: float
    ratio_ci: Interval
    burst: float | None
    burst_ci: Interval | None
    in_runs: bool
    outages: tuple[Outage, ...]
    inside: Mask
    """Which probes lie outside every outage, shape (n,)."""


def fit_losses(series: Series) -> Losses:
    """Return what was lost of ``series``."""
    from rtcprobe.verdict.statistics import share_interval  # noqa: PLC0415 - statistics bring SciPy's with them

    lost = series.lost
    outages, inside = _outages(series, lost)
    kept = lost[inside]
    count, gone = len(kept), int(np.count_nonzero(kept))
    ratio = gone / count if count else 0.0
    together = not series.aggregated and series.spacing_s <= NEIGHBOURS_S
    starts, ends, rho, ratio_of_likelihoods = _chain(kept, inside)
    in_runs = together and ratio_of_likelihoods > _CHI2_95 and rho > 0.0
    worth = count * (1.0 - rho) / (1.0 + rho) if in_runs else float(count)
    low, high = share_interval(ratio, max(worth, 1.0)) if count else (0.0, 1.0)
    if gone == 0:
        high = min(1.0, 3.0 / max(count, 1))
    burst, burst_ci = (None, None)
    if in_runs and starts >= _LEAST_BURSTS:
        burst = gone / starts
        burst_ci = _burst_interval(ends, gone)
    return Losses(
        probes=count, lost=gone, ratio=ratio, ratio_ci=(low, high), burst=burst, burst_ci=burst_ci, in_runs=in_runs,
        outages=outages, inside=inside,
    )  # fmt: skip


def _outages(series: Series, lost: Mask) -> tuple[tuple[Outage, ...], Mask]:
    """Return runs of losses as long as an outage, and which probes lie in none."""
    inside = np.ones(len(lost), dtype=np.bool_)
    if series.aggregated:
        return (), inside
    times_s = series.times_s
    edges = np.diff(np.concatenate([[0], lost.astype(np.int8), [0]]))
    found: list[Outage] = []
    for begin, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        # As few as three probes far apart are no outage but three losses.
        # From the first lost probe to where the next would have been: an outage ends between two probes.
        lasts_s = float(times_s[end - 1] - times_s[begin]) + series.spacing_s
        if lasts_s >= OUTAGE_S and end - begin >= 3:
            inside[begin:end] = False
            found.append(Outage(at_s=float(times_s[begin] - times_s[0]), for_s=lasts_s))
    return tuple(found), inside


def _chain(kept: Mask, inside: Mask) -> tuple[int, int, float, float]:
    """Return bursts begun and ended, ρ of the two-state chain, and twice its log likelihood over independence."""
    places = np.flatnonzero(inside)
    neighbours = np.diff(places) == 1
    first, second = kept[:-1][neighbours], kept[1:][neighbours]
    n01, n00 = int(np.count_nonzero(~first & second)), int(np.count_nonzero(~first & ~second))
    n10, n11 = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(first & second))
    total = n00 + n01 + n10 + n11
    # A run of losses at the very beginning has no probe before it that came.
    starts = n01 + int(bool(len(kept) and kept[0]))
    # None lost, all lost, or none of a pair that could tell: a chain has no second parameter then.
    if not (n01 + n11) or not (n00 + n10) or not (n10 + n11):
        return starts, n10, 0.0, 0.0
    p01, p11, p = n01 / (n00 + n01), n11 / (n10 + n11), (n01 + n11) / total
    chain = _log(n01, p01) + _log(n00, 1 - p01) + _log(n11, p11) + _log(n10, 1 - p11)
    alone = _log(n01 + n11, p) + _log(n00 + n10, 1 - p)
    return starts, n10, p11 - p01, 2.0 * (chain - alone)


def _log(count: int, probability: float) -> float:
    return count * math.log(probability) if count else 0.0


def _burst_interval(ends: int, lost: int) -> Interval:
    from scipy.special import betaincinv  # noqa: PLC0415 - as above

    # Jeffreys' prior: half an end and half a going-on before anything was seen.
    a, b = ends + 0.5, max(lost - ends, 0) + 0.5
    low, high = (float(betaincinv(a, b, each)) for each in (0.025, 0.975))
    return 1.0 / high, 1.0 / max(low, 1e-9)
