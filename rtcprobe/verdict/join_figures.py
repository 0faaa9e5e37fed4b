"""The figures of joining that two sides are compared by.

Facts:
    - Join attempts are independent draws on the virtual clock, and are pooled over the runs. On the real clock they
      share the network of the hour, and runs count where there are ``RUNS``.

Rules:
    1. Percentiles are of all attempts, failed ones included; phases and timers of those that were heard.
    2. Calls of a run change nothing here: joins are drawn apart from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from rtcprobe.result import Join, Result
from rtcprobe.verdict.difference import Estimate, Row
from rtcprobe.verdict.figures import Figure, Floats, Pair, batched, mean_estimate, mean_of, named, share_estimate
from rtcprobe.verdict.spread import HybridSpread, TSpread, percentile
from rtcprobe.verdict.statistics import quantile, samples_needed
from rtcprobe.verdict.tosses import Randomised

__all__ = ["NOT_THERE", "headlines", "merged", "phase_order", "phases", "timers"]

NOT_THERE = "one side's joins have no such phase"

_RANDOMISED = 400
"""Attempts of both sides up to which tosses are made; more are cut into batches."""


def headlines(pair: Pair) -> Iterator[Row]:
    """Yield the figures that judge joining; nothing where neither side tried, of pictures where none was ever shown."""
    attempts = [attempt for each in (*pair.a, *pair.b) for attempt in each.join.attempts]
    if attempts:
        yield _join_percentile(pair, "first_audio", 0.50)
        yield _join_percentile(pair, "first_audio", 0.95)
        yield _failed(pair)
    if any("first_picture" in each.marks for each in attempts):
        yield _join_percentile(pair, "first_picture", 0.50)
        yield _join_percentile(pair, "first_picture", 0.95)


def phases(pair: Pair, *, slowest: bool = False) -> Iterator[Row]:
    """Yield the mean of every phase of the joins that were heard; of the ``slowest`` tenth of them only.

    In the order the joins went through them. A phase that one side's joins do not have is not there, neither better nor
    worse.
    """
    for name in phase_order(each for run in (*pair.a, *pair.b) for each in run.join.attempts):

        def read(each: Join, name: str = name) -> float:
            return each.phases.get(name, 0.0)

        there = [any(name in each.phases for run in side for each in run.join.attempts) for side in (pair.a, pair.b)]
        yield _join_mean(pair, f"join.{name}", name, read, slowest=slowest, there=(there[0], there[1]))


def phase_order(attempts: Iterable[Join]) -> tuple[str, ...]:
    """Return every phase of the attempts in the order they went through them, whatever the target calls its own."""
    return merged(tuple(each.phases) for each in attempts)


def merged(orders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of several orders as one: what another lacks stands behind the name it followed."""
    whole: list[str] = []
    for names in dict.fromkeys(orders):
        place = 0
        for name in names:
            if name in whole:
                # Never back: two targets that order the same steps differently keep the order of the one that was seen
                # first.
                place = max(place, whole.index(name) + 1)
            else:
                whole.insert(place, name)
                place += 1
    return tuple(whole)


def timers(pair: Pair, *, slowest: bool = False) -> Iterator[Row]:
    """Yield what each timer's retransmissions cost the mean join that was heard; of the ``slowest`` tenth only."""
    every = {r.timer for run in (*pair.a, *pair.b) for each in run.join.attempts for r in each.retransmissions}
    for name in sorted(every):

        def read(each: Join, name: str = name) -> float:
            return math.fsum(r.cost_s for r in each.retransmissions if r.timer == name)

        yield _join_mean(pair, f"join.retransmission_cost.{name}", name, read, slowest=slowest)


def _join_percentile(pair: Pair, milestone: str, p: float) -> Row:
    of_runs = [tuple(_reached(run, milestone) for run in side) for side in (pair.a, pair.b)]
    a, b = (np.concatenate(side) for side in of_runs)
    found = [
        quantile(each[np.isfinite(each)].tolist(), p, never=int(np.count_nonzero(np.isinf(each)))) for each in (a, b)
    ]
    estimates = [
        Estimate(
            value=q.value,
            low=q.low,
            high=q.high,
            n=len(each),
            runs=len(side),
            never=int(np.count_nonzero(np.isinf(each))),
        )
        for q, each, side in zip(found, (a, b), of_runs, strict=True)
    ]
    row = Figure(pair, f"join.{milestone}", named(p), "s", estimates[0], estimates[1])
    needed = samples_needed(p)
    if min(len(a), len(b)) < needed or not (np.any(np.isfinite(a)) and np.any(np.isfinite(b))):
        return row.unmeasured(f"{named(p)} needs {needed} joins a side, {len(a)} and {len(b)} were tried")
    paired = pair.paired and [len(each) for each in of_runs[0]] == [len(each) for each in of_runs[1]]
    if not pair.virtual and pair.by_runs and all(len(each) >= needed for side in of_runs for each in side):
        one, two = (np.array([float(percentile(each, p)) for each in side]) for side in of_runs)
        return row.over("runs", TSpread.unpaired(one, two), value_a=mean_of(one), value_b=mean_of(two))
    if len(a) + len(b) <= _RANDOMISED:
        return row.over("attempts", Randomised(a, b, p, paired=paired), paired=paired)
    if estimates[0].value is None or estimates[1].value is None:
        return row.unmeasured(f"{named(p)} lies among joins that never came")
    apart = estimates[1].value - estimates[0].value
    return row.over("attempts", batched(a, b, p, apart, paired=paired), paired=paired)


def _failed(pair: Pair) -> Row:
    counts = []
    for side in (pair.a, pair.b):
        fates = np.array([each.failed is not None for run in side for each in run.join.attempts], dtype=np.float64)
        counts.append(fates)
    a, b = counts
    estimates = [
        share_estimate(float(np.mean(each)), len(each), len(each), len(side))
        for each, side in zip(counts, (pair.a, pair.b), strict=True)
        if len(each)
    ]
    if len(estimates) < 2:
        empty = Estimate(value=None)
        return Figure(pair, "join.failed", "mean", "share", empty, empty).unmeasured("no join was tried")
    row = Figure(pair, "join.failed", "mean", "share", estimates[0], estimates[1])
    same = pair.paired and np.array_equal(a, b)
    spread = HybridSpread.of_shares(float(np.mean(a)), float(np.mean(b)), len(a), len(b), same=same)
    return row.over("attempts", spread, paired=same)


def _join_mean(
    pair: Pair,
    metric: str,
    part: str,
    read: Callable[[Join], float],
    *,
    slowest: bool,
    there: tuple[bool, bool] = (True, True),
) -> Row:
    """Return the row of a mean over joins that were heard; of the slowest tenth, without an interval.

    ``there``: whether the joins of either side have it at all.
    """
    sides = [[_picked(run, read) for run in side] for side in (pair.a, pair.b)]
    a, b = (np.concatenate(side) for side in sides)
    if slowest:
        tails = [_of_slowest(each, runs) for each, runs in ((a, pair.a), (b, pair.b))]
        one, two = (
            Estimate(value=mean_of(e), n=len(e), runs=len(s), exact=True) for e, s in zip(tails, sides, strict=True)
        )
        return Figure(pair, metric, "mean of the slowest tenth", "s", one, two, headline=False, part=part).exact()
    heard_a, heard_b = a[~np.isnan(a)], b[~np.isnan(b)]
    one, two = (
        mean_estimate(heard, len(runs)) if has else Estimate(value=None, runs=len(runs))
        for heard, runs, has in zip((heard_a, heard_b), (pair.a, pair.b), there, strict=True)
    )
    row = Figure(pair, metric, "mean", "s", one, two, headline=False, part=part)
    if not all(there):
        return row.unmeasured(NOT_THERE)
    if not len(heard_a) or not len(heard_b):
        return row.unmeasured("no join was heard")
    if pair.paired and len(a) == len(b):
        both = ~(np.isnan(a) | np.isnan(b))
        apart = float(np.mean(heard_b) - np.mean(heard_a))
        spread = TSpread.paired(b[both] - a[both])
        return row.over("attempts", spread and spread.about(apart), paired=True)
    if not pair.virtual and pair.by_runs:
        means_a, means_b = (
            np.array([float(np.nanmean(each)) for each in side if not np.all(np.isnan(each))]) for side in sides
        )
        return row.over("runs", TSpread.unpaired(means_a, means_b))
    return row.over("attempts", TSpread.unpaired(heard_a, heard_b))


def _picked(run: Result, read: Callable[[Join], float]) -> Floats:
    """Return a figure of every attempt; NaN where the join was not heard."""
    return np.array([math.nan if e.first_audio_s is None else read(e) for e in run.join.attempts])


def _of_slowest(picked: Floats, runs: tuple[Result, ...]) -> Floats:
    joined = np.concatenate([_joined(run) for run in runs])
    order = [int(i) for i in np.argsort(joined, kind="stable") if math.isfinite(joined[i])]
    return picked[order[len(order) - math.ceil(len(order) / 10) :]]


def _joined(run: Result) -> Floats:
    return _reached(run, "first_audio")


def _reached(run: Result, milestone: str) -> Floats:
    """Return when each attempt reached ``milestone``; infinity where it never did, though something was to be heard."""
    return np.array([each.marks.get(milestone, math.inf) for each in run.join.attempts])
