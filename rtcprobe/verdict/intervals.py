"""The one place where a figure gets its interval: a run's summary, budgets, comparisons and checks all ask here.

Rules:
    1. Of several calls, an interval is about another run of the scenario: it rests on how the calls differ
       (``clusters``).
    2. Of one call, it can only be about that call: it rests on how successive markers persist (``statistics``), and who
       shows it says so. Results from before runs had several calls keep theirs.
    3. Join attempts are independent, whatever call they stand beside.
    4. R is made of a delay and a loss, and has the interval that theirs make of it. The ratings of eight calls, most of
       them near the best there is, do not show how bad a ninth may be: Student's interval of their mean held 70 to
       94 % of what a hundred calls gave.
    5. No mouth-to-ear delay lies below what capture, packet, look-ahead and device alone take.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtcprobe.quality import conversation
from rtcprobe.result import Account, HeardCall, Quantile, Summary
from rtcprobe.verdict import clusters, statistics
from rtcprobe.verdict.statistics import CONFIDENCE, PERCENTILES, Ends

__all__ = ["Calls", "Rated", "fixed_s", "frames_worth", "least_s", "of_calls", "rating_bounds", "rating_ends"]

_Floats = npt.NDArray[np.float64]

_FIXED = ("capture", "encode", "packetisation", "look_ahead", "device", "display")
"""Stages that take as long in every call, whatever the network does."""


def fixed_s(ear: Account) -> float:
    """Return what the fixed stages take, seconds: no mouth-to-ear delay is shorter."""
    return math.fsum(ear.stages.get(name, 0.0) for name in _FIXED)


def least_s(account: Account) -> float:
    """Return what no value of an account is below, seconds: skew is below zero where the picture comes first."""
    return -math.inf if account.kind == "lip_sync" else fixed_s(account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Values taken in one call or several (shape (m,) each, none empty), and what no value can be below."""

    parts: tuple[_Floats, ...]
    least: float = -math.inf
    # A verdict asks one percentile at some thirty confidences (``HybridSpread.tails``): what does not depend on them is
    # kept.
    _known: dict[float, clusters.Quantiles] = field(default_factory=dict, compare=False, repr=False)

    @property
    def values(self) -> _Floats:
        """All of them, call after call."""
        return np.concatenate(self.parts) if self.parts else np.empty(0)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def quantile(self, probability: float, confidence: float = CONFIDENCE) -> Quantile:
        """Return a percentile with its interval; refused where too few values were taken."""
        if len(self.parts) < 2:
            found = statistics.quantile(self.values, probability, correlated=True, confidence=confidence)
            return Quantile(
                probability=probability,
                value=found.value,
                low=None if found.low is None or found.value is None else min(max(found.low, self.least), found.value),
                high=found.high,
                needs=found.needs,
            )
        # Correlation widens, it does not refuse: as of one call, one value must be expected beyond the percentile.
        needs = statistics.samples_needed(probability)
        if len(self) < needs:
            return Quantile(probability=probability, value=None, needs=needs)
        low, high = self.ends(probability, confidence)
        # Blocks and bounds need not hold the figure itself (type 7 of all values), as they are made in other ways: the
        # printed interval does.
        value = float(np.quantile(self.values, probability))
        return Quantile(
            probability=probability,
            value=value,
            low=None if low is None else min(low, value),
            high=None if high is None else max(high, value),
        )

    def ends(self, probability: float, confidence: float) -> Ends:
        """Return the interval of a percentile of several calls."""
        if probability not in self._known:
            least = min(self.least, float(np.min(self.values)))
            self._known[probability] = clusters.Quantiles(self.parts, probability, least=least)
        return self._known[probability].ends(confidence)

    def mean(self, confidence: float = CONFIDENCE) -> Ends:
        """Return the interval of the mean."""
        if len(self.parts) < 2:
            low, high = statistics.mean_interval(self.values, correlated=True, confidence=confidence)
        else:
            means, sizes = [float(np.mean(each)) for each in self.parts], list(map(len, self.parts))
            low, high = clusters.mean_ends(means, sizes, confidence)
        return None if low is None else min(max(low, self.least), float(np.mean(self.values))), high

    def share_above(self, threshold: float) -> tuple[float, float, float]:
        """Return the share of values above ``threshold``, and its interval."""
        if len(self.parts) < 2:
            return statistics.share_above(self.values, threshold, correlated=True)
        shares = [float(np.mean(each > threshold)) for each in self.parts]
        sizes = list(map(len, self.parts))
        # Where no call goes beyond it, how the calls differ in the body says what they are worth.
        events = clusters.worth(self.parts) if len(set(shares)) == 1 else math.inf
        low, high = clusters.share_ends(shares, sizes, events=events)
        share = float(np.mean(self.values > threshold))
        return share, min(low or 0.0, share), max(1.0 if high is None else high, share)

    def summary(self, confidence: float = CONFIDENCE) -> Summary:
        """Return percentiles with their intervals, mean and extremes."""
        if len(self.parts) < 2:
            plain = statistics.summarise(self.values, correlated=True, confidence=confidence)
            effective, quantiles = plain.effective_n, tuple(self.quantile(q.probability) for q in plain.quantiles)
        else:
            effective = clusters.worth(self.parts)
            quantiles = tuple(self.quantile(p, confidence) for p in PERCENTILES)
        taken = self.values
        return Summary(
            n=len(taken),
            effective_n=effective,
            quantiles=quantiles,
            mean=float(np.mean(taken)) if len(taken) else None,
            minimum=float(np.min(taken)) if len(taken) else None,
            maximum=float(np.max(taken)) if len(taken) else None,
            confidence=confidence,
        )


def of_calls(ear: Account) -> Calls:
    """Return the delays of an account, seconds, call by call."""
    parts: dict[int, list[float]] = {}
    for each in ear.samples:
        parts.setdefault(each.call, []).append(each.delay_s)
    return Calls(parts=tuple(np.array(each) for each in parts.values()), least=least_s(ear))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A figure that each call has one of: ``value`` of all, ``figures`` and ``weights`` of the calls.

    ``events``: it is a share, seen among as many independent events. ``made``: its interval at a confidence, where that
    is made of other figures'. ``bounds``: what no run can be beyond.
    """

    value: float
    figures: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    events: float | None = None
    made: Callable[[float], Ends] | None = field(default=None, compare=False)
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @classmethod
    def of(
        cls,
        value: float,
        ear: Account,
        read: Callable[[HeardCall], float | None],
        events: float | None = None,
        bounds: tuple[float, float] = (-math.inf, math.inf),
    ) -> Rated:
        """Return the figure of an account and, where all of its calls have it, of each."""
        found = [(read(each), float(each.scheduled)) for each in ear.calls if each.scheduled]
        figures = [figure for figure, _ in found if figure is not None]
        # A call that lacks the figure (an old result, a stage that one had not) would be left out of the interval but
        # not of the value: then none is made of calls.
        if len(figures) < len(found):
            return cls(value=value, events=events, bounds=bounds)
        weights = tuple(weight for _, weight in found)
        return cls(value=value, figures=tuple(figures), weights=weights, events=events, bounds=bounds)

    def ends(self, confidence: float = CONFIDENCE) -> Ends:
        """Return the interval: about another run where there are several calls; a share's of one, else none."""
        # Made of others' where these are closed; else as the calls' own figures have it, which is better than nothing.
        if self.made is not None and None not in (made := self.made(confidence)):
            return self._possible(*made)
        if len(self.figures) > 1:
            if self.events is not None:
                low, high = clusters.share_ends(self.figures, self.weights, confidence, events=self.events)
                return self._held(low, high)
            low, high = clusters.mean_ends(self.figures, self.weights, confidence)
            # A run's figure need not be the mean of its calls' (R of the mean delay is not the mean R): the interval is
            # moved on to it.
            off = self.value - float(np.average(self.figures, weights=self.weights))
            return self._possible(None if low is None else low + off, None if high is None else high + off)
        if self.events is not None:
            return self._held(*statistics.share_interval(self.value, self.events, confidence))
        return None, None

    def _possible(self, low: float | None, high: float | None) -> Ends:
        least, most = self.bounds
        return None if low is None else max(low, least), None if high is None else min(high, most)

    # The calls' weighted mean may be off the run's share, as their weights are markers and not frames: whatever it is,
    # the figure printed lies in its interval.
    def _held(self, low: float | None, high: float | None) -> Ends:
        return None if low is None else min(low, self.value), None if high is None else max(high, self.value)


def frames_worth(ear: Account) -> float | None:
    """Return how many independent frames those sent are worth, as frames are lost in bursts; None if not known.

    Bursts BurstR times as long as chance makes them (ITU-T G.107 §3.5) are those of a two-state chain whose states
    persist by 1 − 1/BurstR, and whose correlation time so is 2 BurstR − 1.
    """
    if ear.protection is None or not ear.protection.sent:
        return None
    burst_ratio = max((None if ear.quality is None else ear.quality.burst_ratio) or 1.0, 1.0)
    return ear.protection.sent / (2.0 * burst_ratio - 1.0)


def rating_ends(ear: Account, confidence: float = CONFIDENCE) -> Ends:
    """Return what the ends of the mean delay and of the unplayed share make of R; open where they are not known.

    What each of the two takes off or adds is joined as squares (Zou & Donner, Statistics in Medicine 27, 2008).
    """
    share, events = ear.unplayed, frames_worth(ear)
    if ear.quality is None or share is None or events is None or not ear.samples:
        return None, None
    delays = of_calls(ear)
    low_s, high_s = delays.mean(confidence)
    least, most = Rated.of(share, ear, lambda call: call.unplayed, events).ends(confidence)
    # R can be no surer than what it is made of.
    if low_s is None or high_s is None or least is None or most is None:
        return None, None
    r, burst_ratio, delay_s = ear.quality.r, ear.quality.burst_ratio, float(np.mean(delays.values))

    def rated(delay_s: float, loss: float) -> float:
        return conversation(one_way_delay_s=max(delay_s, 0.0), loss_ratio=loss, burst_ratio=burst_ratio).r

    middle = rated(delay_s, share)
    return (
        r - math.hypot(middle - rated(high_s, share), middle - rated(delay_s, most)),
        r + math.hypot(rated(max(low_s, delays.least), share) - middle, rated(delay_s, least) - middle),
    )


def rating_bounds(ear: Account) -> tuple[float, float]:
    """Return between what every R lies: 0, and that of a call without loss whose fixed stages are all of its delay."""
    best = conversation(one_way_delay_s=max(fixed_s(ear), 0.0), loss_ratio=0.0).r
    return 0.0, max(best, ear.r or 0.0)
