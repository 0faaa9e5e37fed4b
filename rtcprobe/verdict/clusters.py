"""What a run of several calls says of another run: intervals that rest on how its calls differ.

Facts:
    - The markers of one call resemble each other, those of two calls do not: how playout ties itself to the network is
      drawn anew in each. So calls are the units, and the number of markers counts for little (*cluster sampling*:
      Kish, *Survey Sampling*, 1965, §5).
    - A quantile is inverted from the share of markers below it, and how that share differs between calls says how many
      independent observations the run is worth (Woodruff, JASA 47, 1952; Francisco & Fuller, Annals of Statistics 19,
      1991): n = p(1−p) / Var. Ten calls that each keep one delay are ten; ten that differ in nothing are all their
      markers.
    - With a few calls that variance is a guess, and far out in the tail hardly that: one call of ten makes a p95. So it
      is taken at the median, as the correlation ρ of two markers of a call behind normal scores (where two calls reach
      farther out and are more alike there, half-way to that), and carried to the quantile as two normals correlated by
      ρ would have it (Sheppard 1899). What remains unsure of ρ is averaged over: the variance between K calls spreads
      as a χ² of K−1 degrees of freedom.
    - The ends then are order statistics of n blocks, at fractional ranks (Hutson, J. Applied Statistics 26(3), 1999): a
      block is the mean of an n-th part of all sorted markers. Where calls are constant, blocks are calls.
    - Towards the body, a quantile of the tail is bounded by values that many markers of several calls lie beyond. There
      the calls themselves say what they are worth, value by value, and no model is asked: the end is the last value of
      which it is shown that a greater share lies beyond it than the quantile leaves (Jeffreys' interval of that share,
      Brown, Cai & DasGupta, Statistical Science 16(2), 2001, with n = share · (1 − share) / Var). Calls that each have
      their own late markers (as they start) so are worth more than all their markers.
    - Away from it, an end that would lie beyond the outermost block is a tolerance bound (Hahn & Meeker, *Statistical
      Intervals*, 1991, §4.4): from the mean of the calls' own quantiles by k of a noncentral t times their spread. That
      is guessed twice, as the calls' medians differ and as all markers on that side lie off the median of all (their
      mean fourth power: a tail counts), and the geometric mean of both is taken: medians alone know nothing of the late
      markers, markers alone little of calls. So the end does not hang on the one call that was latest.
    - No eight calls show what the latest of twenty does. Such a bound is missed by 0 to 1 % where levels are bounded,
      more often where few calls start late. So it has ``UNSEEN`` of what both ends may miss, and the end that can be
      shown has the rest.
    - Of the library's scenarios, 600 calls each by the model and 3 or 8 calls a run, p95 so holds 93 to 98 %;
      ``benchmarks/calibration.py`` prints it for others. Calls that keep one delay each, normal ones, are let down to
      90 %, levels with a tail like e^(z/2) to 84 %: few calls do not show such a tail.
    - A mean is Student's over the calls. A share is Wilson's, with the events that calls are worth (Korn & Graubard,
      Survey Methodology 24, 1998: the variance between calls, and the t of their number, turned into a sample size),
      or that losses in bursts leave, whichever is fewer.

Rules:
    1. No end lies below what the fixed stages alone take.
    2. Where calls differ in nothing, the interval is a point; where they differ, it has a width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from rtcprobe.verdict.statistics import CONFIDENCE, NODES, WEIGHTS, Ends, rank_height, share_interval

__all__ = ["Quantiles", "mean_ends", "share_ends", "worth"]

_Floats = npt.NDArray[np.float64]

UNSEEN = 0.2
"""Share of all misses that the end has which no call may reach. At a half of them 1v1-long-haul was missed there by 7 %
and 1v1-social by 0.2, and as the other end misses what it is given, no one interval held 92 to 98 % of both."""

GUESSES = 1.75
"""How many times K−1 degrees of freedom the two guesses of the spread have. Were they independent it would be two; were
they one, ends lay a fourth farther out, and ``p95 < 200ms`` of 1v1-social was decided in 84 % of runs instead of 96."""

MOST_WORTH = 2.0
"""How many times their number markers may be worth: by so much calls of which each has its late markers are more alike
than drawn ones. Eight calls do not show more."""

PLAINLY = 0.02
"""How seldom calls would differ as little at the quantile itself, were they as alike there as elsewhere."""

_LEAST_ALIKE, _MOST_ALIKE = 1e-6, 0.9999
"""Correlations between none and one: at either the table of normals has no slope."""


class Quantiles:
    """The intervals of one quantile of all values of two ``calls`` or more (shape (m,) each, none empty).

    ``least``: what no value can be below. What does not depend on the confidence is found once.
    """

    def __init__(self, calls: Sequence[_Floats], probability: float, *, least: float = -math.inf) -> None:
        self._ordered = np.sort(np.concatenate(calls))
        self._probability, self._least = probability, least
        self._point = bool(self._ordered[-1] <= self._ordered[0])
        self._sizes, self._weights = _worths(calls, self._ordered, probability)
        self.worth = 1.0 / float(self._weights @ (1.0 / self._sizes))
        self._blocks = _Blocks(self._ordered, self.worth)
        self._calls = calls

    def ends(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the interval at ``confidence``; a point where all values are equal."""
        # Rule 2, before anything is divided by a variance that is 0.
        if self._point:
            return float(self._ordered[0]), float(self._ordered[0])
        below, above = self._tails(1.0 - confidence)
        return max(self._lower(below), self._least), max(self._upper(above), self._least)

    def _tails(self, missed: float) -> tuple[float, float]:
        """Return how often the lower and the upper end may be wrong: an end that no call may reach has ``UNSEEN``."""
        # The chance that all calls lie on one side of the quantile: where it is more than half of what may be missed,
        # no rank of theirs can be the end there. Both ends may be so (a median of three calls): then each has its half.
        count = len(self._calls) * _evenness(self._calls)
        below, above = (share**count > missed / 2.0 for share in (1.0 - self._probability, self._probability))
        lower = 0.5 if below == above else UNSEEN if below else 1.0 - UNSEEN
        return lower * missed, (1.0 - lower) * missed

    @cached_property
    def _levels(self) -> _Levels:
        return _Levels(self._calls, self._probability)

    @cached_property
    def _body(self) -> _Body:
        return _Body(self._calls, self._probability)

    def _lower(self, tail: float) -> float:
        p = self._probability
        # In order of what is asked of the calls: what they show value by value; a rank between their blocks; a
        # tolerance bound, which has to lie at least as far out as the outermost block does.
        if p > 0.5 and (found := self._body.end(tail)) is not None:
            return found
        rank = self._blocks.rank(rank_height(self._sizes, self._weights, p, 1.0 - tail))
        if rank >= 1.0:
            return self._blocks.value(rank)
        return min(self._blocks.value(1.0), self._levels.lower(tail))

    def _upper(self, tail: float) -> float:
        p = self._probability
        if p < 0.5 and (found := self._body.end(tail)) is not None:
            return found
        rank = self._blocks.rank(rank_height(self._sizes, self._weights, p, tail))
        if rank <= self._blocks.count:
            return self._blocks.value(rank)
        return max(self._blocks.value(self._blocks.count), self._levels.upper(tail))


def worth(calls: Sequence[_Floats], probability: float = 0.5) -> float:
    """Return how many independent observations ``calls`` are worth for a quantile."""
    return Quantiles(calls, probability).worth


def mean_ends(figures: Sequence[float], weights: Sequence[float], confidence: float = CONFIDENCE) -> Ends:
    """Return the interval of the weighted mean of one figure a call; open where there are fewer than two."""
    from scipy.special import stdtrit  # noqa: PLC0415 - a quarter of a second that --help should not pay

    if len(figures) < 2:
        return None, None
    values, shares = np.asarray(figures, dtype=np.float64), _normalised(weights)
    centre = float(values @ shares)
    half = float(stdtrit(len(values) - 1, (1.0 + confidence) / 2.0)) * math.sqrt(_variance(values, shares))
    return centre - half, centre + half


def share_ends(
    figures: Sequence[float], weights: Sequence[float], confidence: float = CONFIDENCE, *, events: float = math.inf
) -> Ends:
    """Return the interval of the weighted mean of one share a call, worth no more than ``events`` in all.

    Where no call had it (or all had), the calls say nothing of how they differ: it is none of ``events``, or of as many
    events as there are calls where their number is not known.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - as above

    values, shares = np.asarray(figures, dtype=np.float64), _normalised(weights)
    share, seen = float(values @ shares), _variance(values, shares)
    # Wilson's interval is of a number of events: the fewer of what bursts leave and of what the calls' variance says.
    size = events
    if seen > 0.0 and len(values) > 1:
        # z over t: Wilson's interval knows the variance, these calls only guess it.
        t = float(stdtrit(len(values) - 1, (1.0 + confidence) / 2.0))
        z = float(stdtrit(math.inf, (1.0 + confidence) / 2.0))
        size = min(events, share * (1.0 - share) / seen * (z / t) ** 2)
    return share_interval(min(max(share, 0.0), 1.0), max(size, 1.0) if math.isfinite(size) else len(values), confidence)


def _worths(calls: Sequence[_Floats], ordered: _Floats, probability: float) -> tuple[_Floats, _Floats]:
    """Return how many independent observations the calls may be worth, and how likely each number is."""
    from scipy.special import chdtri, ndtr  # noqa: PLC0415 - as above

    # ρ is how alike two markers of a call are behind normal scores. Four steps, in this order: as calls differ at the
    # median; farther out, where two calls or more reach; no more than the quantile itself plainly shows; and spread
    # over what K − 1 degrees of freedom leave of it.
    k, n = len(calls), len(ordered)
    rho = _alike(calls, ordered, 0.5)
    if probability != 0.5:
        # Two calls or more must be expected beyond a level for it to show how alike its markers are.
        level = min(max(probability, 2.0 / k), 1.0 - 2.0 / k) if k > 4 else 0.5
        rho = max(rho, (rho + _alike(calls, ordered, level)) / 2.0)
        # Where each call has its share of the tail (its first markers), calls hardly differ there, and that is plain.
        alike, shared = _exceedances(round(min(probability, 1.0 - probability), 6))
        seen = _between(calls, float(np.quantile(ordered, probability)))
        rho = min(rho, float(np.interp(min(seen * (k - 1.0) / chdtri(k - 1.0, 1.0 - PLAINLY), 1.0), shared, alike)))
        rho = max(rho, _LEAST_ALIKE)
    # K calls' variance over the true one is χ² / (K − 1): dividing by its quantiles at the five nodes gives five likely
    # truths.
    between = rho * (k - 1.0) / chdtri(k - 1.0, ndtr(-NODES))
    likely = np.clip(between / (between + 1.0 - rho), _LEAST_ALIKE, _MOST_ALIKE)
    alike, shared = _exceedances(round(min(probability, 1.0 - probability), 6))
    effective = len(calls) * _evenness(calls)
    return np.clip(effective / np.interp(likely, alike, shared), 1.0, n), WEIGHTS


def _alike(calls: Sequence[_Floats], ordered: _Floats, level: float) -> float:
    """Return the correlation of two markers of a call, as how calls differ in the share below a quantile says it."""
    alike, shared = _exceedances(round(min(level, 1.0 - level), 6))
    value = float(np.quantile(ordered, level))
    return min(max(float(np.interp(_between(calls, value), shared, alike)), _LEAST_ALIKE), _MOST_ALIKE)


def _between(calls: Sequence[_Floats], value: float) -> float:
    """Return the variance between calls of the share below ``value``, of what it is where calls keep one delay each.

    Values that equal ``value`` count half on either side, so that a call which keeps just that is neither.
    """
    ends = (np.cumsum([len(each) for each in calls]), np.concatenate(calls))
    # All calls in one pass: the sum of each slice that begins where its call does.
    halves = (ends[1] < value) + 0.5 * (ends[1] == value)
    below = np.add.reduceat(halves, ends[0] - [len(each) for each in calls]) / [len(each) for each in calls]
    sizes = np.array([len(each) for each in calls], dtype=np.float64)
    shares = sizes / np.sum(sizes)
    share = float(below @ shares)
    if not 0.0 < share < 1.0:
        return 0.0
    # Divided by Σ w², which is 1/K of even calls: the variance of one call, in units of p (1 − p), which it is where
    # each call lies wholly below or above.
    return min(_variance(below, shares) / float(shares @ shares) / (share * (1.0 - share)), 1.0)


def _evenness(calls: Sequence[_Floats]) -> float:
    """Return how much of their number calls of uneven length are worth (Kish 1965, §11.7)."""
    shares = _normalised([len(each) for each in calls])
    return 1.0 / (float(shares @ shares) * len(shares))


def _variance(values: _Floats, shares: _Floats) -> float:
    """Return the variance of the mean of independent ``values`` weighted by ``shares`` (a ratio's, linearised)."""
    # Equal up to the last bit of a double: their squares would leave a variance of rounding, and a width where there is
    # none.
    if np.ptp(values) <= 1e-15 * max(abs(float(values[0])), 1.0):
        return 0.0
    off = shares * (values - float(values @ shares))
    return float(off @ off) * len(values) / (len(values) - 1.0)


def _normalised(weights: Sequence[float]) -> _Floats:
    found = np.asarray(weights, dtype=np.float64)
    return found / np.sum(found)


class _Blocks:
    """Sorted values (shape (m,)) as ``count`` order statistics, perhaps a fraction of one more."""

    def __init__(self, ordered: _Floats, count: float) -> None:
        self._ordered, self.count = ordered, count
        # Σ of the lowest i values at index i: a block's mean is then two look-ups, whatever fraction of a value its
        # ends cut.
        self._sums = np.concatenate([[0.0], np.cumsum(ordered)])

    def rank(self, height: float) -> float:
        """Return the rank at ``height`` (0..1): below 1 or above ``count`` where no block lies there."""
        return (self.count + 1.0) * height

    def value(self, rank: float) -> float:
        """Return the mean of the values between the shares (rank − 1) / count and rank / count of them."""
        rank = min(max(rank, 1.0), self.count)
        return (self._below(rank / self.count) - self._below((rank - 1.0) / self.count)) * self.count / self._n

    @property
    def _n(self) -> int:
        return len(self._ordered)

    def _below(self, share: float) -> float:
        """Return the sum of the lowest ``share`` of all values; of one that lies across, as much as lies below."""
        place = min(max(share, 0.0), 1.0) * self._n
        # At the very end no value is left to lie across: the last one counts in full.
        whole = min(math.floor(place), self._n - 1)
        return float(self._sums[whole]) + (place - whole) * float(self._ordered[whole])


class _Levels:
    """Tolerance bounds on a quantile, by how the calls differ and how far out the markers of each lie."""

    def __init__(self, calls: Sequence[_Floats], probability: float) -> None:
        weights = _normalised([len(each) for each in calls])
        self._count = len(calls) * _evenness(calls)
        self._freedom, self._probability = GUESSES * (len(calls) - 1.0), probability
        medians = np.array([np.median(each) for each in calls])
        # By Weibull's positions, as calls are short: type 7 would put the p95 of twelve markers between the last two.
        self._centre = float(weights @ [_weibull(each, probability) for each in calls])
        self._levels = math.sqrt(_variance(medians, weights) / float(weights @ weights))
        every = np.concatenate(calls)
        off = every - float(np.median(every))
        # Each side by itself: delays have a tail towards late only.
        self._below, self._above = _fourth(off[off <= 0.0]), _fourth(off[off >= 0.0])

    def lower(self, tail: float) -> float:
        """Return the bound that is above the quantile with a chance of ``tail``."""
        return self._centre - self._k(1.0 - self._probability, tail) * math.sqrt(self._levels * self._below)

    def upper(self, tail: float) -> float:
        """Return the bound that is below the quantile with a chance of ``tail``."""
        return self._centre + self._k(self._probability, tail) * math.sqrt(self._levels * self._above)

    def _k(self, probability: float, tail: float) -> float:
        from scipy.special import nctdtrit, ndtri  # noqa: PLC0415 - as above

        root = math.sqrt(self._count)
        # Hahn & Meeker's k: the noncentral t of z_p √n, over √n.
        return float(nctdtrit(self._freedom, float(ndtri(probability)) * root, 1.0 - tail)) / root


def _weibull(values: _Floats, probability: float) -> float:
    """Return a quantile by Weibull's plotting positions, r / (n + 1): of twelve the latest stands for the p95."""
    place = (len(values) + 1.0) * probability
    return float(np.interp(place, np.arange(1.0, len(values) + 1.0), np.sort(values)))


def _fourth(values: _Floats) -> float:
    """Return the root of the mean fourth power: of a tail it sees more than the mean square does."""
    return math.sqrt(math.sqrt(float(np.mean(values**4))))


class _Body:
    """The end of the interval of a tail's quantile that lies towards the body, shown by what lies beyond it."""

    def __init__(self, calls: Sequence[_Floats], probability: float) -> None:
        from scipy.special import betainc  # noqa: PLC0415 - as above

        # A low quantile is a high one of the negatives.
        self._sign = 1.0 if probability > 0.5 else -1.0
        left = min(probability, 1.0 - probability)
        calls = [np.sort(self._sign * each) for each in calls]
        self._values = np.unique(np.concatenate(calls))
        weights = _normalised([len(each) for each in calls])
        # Values that equal one count half on either side, as in _between.
        beyond = np.stack([
            1.0 - (np.searchsorted(each, self._values) + np.searchsorted(each, self._values, "right")) / 2.0 / len(each)
            for each in calls
        ])  # fmt: skip
        share = weights @ beyond
        variance = weights**2 @ (beyond - share) ** 2 * len(calls) / (len(calls) - 1.0)
        most = MOST_WORTH * sum(map(len, calls))
        worth = np.clip(share * (1.0 - share) / np.maximum(variance, 1e-12), 1.0, most)
        # Calls that all have the same share beyond a value do not say what they are worth there: as many as there are
        # of them.
        worth = np.where(variance > 0.0, np.minimum(worth, most), len(calls) * _evenness(calls))
        self._doubt = betainc(worth * share + 0.5, worth * (1.0 - share) + 0.5, left)
        """The chance that no greater share lies beyond each value than the quantile leaves."""

    def end(self, tail: float) -> float | None:
        """Return up to where each value is shown to be no farther out than the quantile; None where not one is."""
        # From the body outwards doubt grows: the first value that is doubted ends what is shown, whatever a later one
        # says.
        doubted = np.flatnonzero(self._doubt > tail)
        first = int(doubted[0]) if len(doubted) else len(self._values)
        if first == 0:
            return None
        # Between the last that is shown and the first that is doubted, in proportion: else the end would jump with one
        # marker.
        low, high = self._values[first - 1], self._values[min(first, len(self._values) - 1)]
        known, next_ = self._doubt[first - 1], self._doubt[min(first, len(self._values) - 1)]
        share = (tail - known) / (next_ - known) if next_ > known else 0.0
        return self._sign * float(low + min(max(share, 0.0), 1.0) * (high - low))


@cache
def _exceedances(probability: float) -> tuple[_Floats, _Floats]:
    """Return correlations ρ of two normals, and how alike that makes "beyond the quantile" (0..1, both rising).

    As in ``statistics``: the covariance of two exceedances is an integral over s from 0 to ρ (Sheppard 1899).
    """
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    t = float(ndtri(probability))
    # s = sin(θ) takes the pole at s = 1 out: ds / √(1 − s²) = dθ.
    angles = np.linspace(0.0, math.pi / 2.0, 2001)
    alike = np.sin(angles)
    density = np.exp(-(t**2) / (1.0 + alike))
    covariance = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0)])
    return alike, covariance / covariance[-1]
