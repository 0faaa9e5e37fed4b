"""The figures of each direction's mouth-to-ear delay that two sides are compared by.

Facts:
    - A call is one draw of how playout ties itself to the network: within a call successive delays resemble each other,
      and another seed is another call. So runs are the honest unit where there are ``RUNS`` of them a side. Under
      equal seeds even two single calls can be told apart, as everything else about them is equal; of two single calls
      with seeds of their own, only an interval within the calls is given, and no verdict.

Rules:
    1. A side's figure over several runs is the mean of the runs' figures.
    2. A share varies at least as counting makes it vary; lost frames come in bursts, and count as fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtcprobe.result import Direction, MouthToEar, Result, Unit
from rtcprobe.verdict.difference import Estimate, Row
from rtcprobe.verdict.figures import RUNS, Figure, Floats, Pair, batched, mean_of, named, share_estimate
from rtcprobe.verdict.metrics import frames_worth
from rtcprobe.verdict.spread import EQUAL, ScoreSpread, TSpread, percentile
from rtcprobe.verdict.statistics import mean_interval, quantile, samples_needed, share_interval

__all__ = ["headlines", "stages"]

_ONE_CALL = f"within these calls only: other seeds differ too; give each side {RUNS} runs or more for a verdict"


def headlines(pair: Pair) -> Iterator[Row]:
    """Yield the figures that judge a direction: its delay, lost markers, what was not played; and R, which explains."""
    for direction in pair.directions:
        yield _delay(pair, direction, 0.50)
        yield _delay(pair, direction, 0.95)
        yield _share(pair, direction, "lost", _lost)
        yield _share(pair, direction, "unplayed", _unplayed)
        yield _rating(pair, direction)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A share of ``n`` events that are worth ``worth`` independent ones."""

    share: float
    n: float
    worth: float


def stages(pair: Pair) -> Iterator[Row]:
    """Yield every stage of the mouth-to-ear delay, by direction."""
    for direction in pair.directions:
        ears = [run.mouth_to_ear[direction] for run in (*pair.a, *pair.b) if direction in run.mouth_to_ear]
        for name in dict.fromkeys(name for ear in ears for name in ear.stages):
            yield _run_figure(
                pair,
                metric=f"mouth_to_ear.{direction}.stages.{name}",
                unit="s",
                direction=direction,
                part=name,
                read=lambda ear, name=name: ear.stages.get(name, 0.0) if ear.stages else None,  # type: ignore[misc]
            )


def _delay(pair: Pair, direction: Direction, p: float) -> Row:
    metric, needed = f"mouth_to_ear.{direction}", samples_needed(p)
    sides = [[_delays(run, direction) for run in side] for side in (pair.a, pair.b)]
    if pair.by_runs:
        figures = [[float(percentile(each, p)) if len(each) >= needed else math.nan for each in side] for side in sides]
        sizes = [sum(map(len, side)) for side in sides]
        return _over_runs(pair, (metric, named(p), "s"), direction, figures, sizes)
    estimates = []
    for side in sides:
        taken = np.concatenate(side) if side else np.empty(0)
        q = quantile(taken.tolist(), p, correlated=True)
        estimates.append(Estimate(value=q.value, low=q.low, high=q.high, n=len(taken), runs=len(side)))
    row = Figure(pair, metric, named(p), "s", estimates[0], estimates[1], direction=direction)
    if estimates[0].value is None or estimates[1].value is None:
        return row.unmeasured(f"{named(p)} needs {needed} markers heard, {estimates[0].n} and {estimates[1].n} were")
    apart = estimates[1].value - estimates[0].value
    if not pair.paired:
        a, b = (np.concatenate(side) for side in sides)
        return row.over("within calls", batched(a, b, p, apart, paired=False), withheld=_ONE_CALL)
    common = [_common(one, two, direction) for one, two in zip(pair.a, pair.b, strict=True)]
    a, b = (np.concatenate([each[side] for each in common]) for side in (0, 1))
    return row.over("within calls", batched(a, b, p, apart, paired=True), paired=True)


def _share(pair: Pair, direction: Direction, name: str, read: Callable[[MouthToEar], _Counted | None]) -> Row:
    metric = f"mouth_to_ear.{direction}.{name}"
    counted = [
        [None if direction not in run.mouth_to_ear else read(run.mouth_to_ear[direction]) for run in side]
        for side in (pair.a, pair.b)
    ]
    known = [[each for each in side if each is not None] for side in counted]
    if not known[0] or not known[1] or sum(map(len, known)) < len(pair.a) + len(pair.b):
        empty = Estimate(value=None)
        row = Figure(pair, metric, "mean", "share", empty, empty, direction=direction)
        return row.unmeasured("nothing was measured")
    if pair.by_runs:
        figures = [[each.share for each in side] for side in known]
        sizes = [round(sum(each.n for each in side)) for side in known]
        return _over_runs(pair, (metric, "mean", "share"), direction, figures, sizes, counted=known)
    pooled = [_pooled(side) for side in known]
    estimates = [
        share_estimate(each.share, each.n, each.worth, len(side)) for each, side in zip(pooled, known, strict=True)
    ]
    row = Figure(pair, metric, "mean", "share", estimates[0], estimates[1], direction=direction)
    one, two = pooled
    same = pair.paired and all(abs(x.share - y.share) <= EQUAL for x, y in zip(*known, strict=True))
    spread = ScoreSpread(a=one.share, b=two.share, n_a=one.worth, n_b=two.worth, same=same)
    return row.over("events", spread, paired=same, withheld="" if pair.paired else _ONE_CALL)


def _rating(pair: Pair, direction: Direction) -> Row:
    return _run_figure(
        pair,
        metric=f"mouth_to_ear.{direction}.r",
        unit="number",
        direction=direction,
        read=lambda ear: ear.quality.get("r"),
        higher_is_better=True,
    )


def _run_figure(
    pair: Pair,
    *,
    metric: str,
    unit: Unit,
    direction: Direction,
    read: Callable[[MouthToEar], float | None],
    part: str = "",
    higher_is_better: bool = False,
) -> Row:
    """Return a figure that each run has one of: compared over runs, or one with the other as it is."""
    figures = []
    for side in (pair.a, pair.b):
        ears = (run.mouth_to_ear.get(direction) for run in side)
        found = (None if ear is None else read(ear) for ear in ears)
        figures.append([math.nan if each is None else each for each in found])
    sizes = [len(each) for each in figures]
    if pair.by_runs:
        row = _over_runs(pair, (metric, "mean", unit), direction, figures, sizes)
        spread, seen = row.spread, row.difference
    else:
        a, b = (Estimate(value=mean_of(np.array(each)), n=len(each), runs=len(each), exact=True) for each in figures)
        row = Figure(pair, metric, "mean", unit, a, b, direction=direction).exact()
        spread, seen = None, row.difference
    explaining = replace(seen, headline=False, part=part, higher_is_better=higher_is_better)
    return Row(difference=explaining, spread=spread)


def _over_runs(
    pair: Pair,
    name: tuple[str, str, Unit],
    direction: Direction,
    figures: Sequence[Sequence[float]],
    sizes: Sequence[int],
    *,
    counted: Sequence[Sequence[_Counted]] | None = None,
) -> Row:
    """Return the row of a figure (metric, aggregate, unit) that each run of each side has; NaN where it has not."""
    a, b = (np.array(each) for each in figures)
    estimates = []
    for side, (each, size) in enumerate(zip((a, b), sizes, strict=True)):
        low, high = mean_interval(each.tolist()) if not np.any(np.isnan(each)) else (None, None)
        if counted is not None and low is not None and high is not None:
            pooled = _pooled(counted[side])  # runs that happen to agree still vary as counting makes them
            least, most = share_interval(pooled.share, pooled.worth)
            low, high = max(min(low, least), 0.0), min(max(high, most), 1.0)
        estimates.append(Estimate(value=mean_of(each[~np.isnan(each)]), low=low, high=high, n=size, runs=len(each)))
    row = Figure(pair, *name, estimates[0], estimates[1], direction=direction)
    if np.any(np.isnan(a)) or np.any(np.isnan(b)):
        missing = int(np.count_nonzero(np.isnan(a)) + np.count_nonzero(np.isnan(b)))
        return row.unmeasured(f"{missing} of {len(a) + len(b)} runs did not measure it")
    if pair.paired:
        worth = math.inf if counted is None else float(np.mean([e.worth for e in counted[0]]))
        return row.over("runs", TSpread.paired(b - a, worth=worth), paired=True)
    if counted is None:
        return row.over("runs", TSpread.unpaired(a, b))
    events = math.fsum(each.worth for side in counted for each in side)
    share = min(max(float(np.mean(np.concatenate([a, b]))), 1.0 / events), 1.0 - 1.0 / events)  # none seen is not never
    of_a, of_b = (share * (1.0 - share) / float(np.mean([each.worth for each in side])) for side in counted)
    return row.over("runs", TSpread.unpaired(a, b, (of_a, of_b)))


def _lost(ear: MouthToEar) -> _Counted | None:
    # Markers are half a second apart, longer than a burst of losses lasts: each counts in full.
    return _Counted(ear.lost / ear.scheduled, ear.scheduled, ear.scheduled) if ear.scheduled else None


def _unplayed(ear: MouthToEar) -> _Counted | None:
    share, worth = ear.protection.get("unplayed"), frames_worth(ear)
    return None if share is None or worth is None else _Counted(float(share), float(ear.protection["sent"]), worth)


def _pooled(counted: Sequence[_Counted]) -> _Counted:
    n, worth = math.fsum(e.n for e in counted), math.fsum(e.worth for e in counted)
    return _Counted(math.fsum(e.share * e.n for e in counted) / n, n, worth)


def _common(a: Result, b: Result, direction: Direction) -> tuple[Floats, Floats]:
    """Return the delays of the markers that both heard, in order."""
    ours, theirs = (
        {(s.call, s.marker): s.delay_s for s in run.mouth_to_ear[direction].samples}
        if direction in run.mouth_to_ear
        else {}
        for run in (a, b)
    )
    both = [each for each in ours if each in theirs]
    return np.array([ours[each] for each in both]), np.array([theirs[each] for each in both])


def _delays(run: Result, direction: Direction) -> Floats:
    ear = run.mouth_to_ear.get(direction)
    return np.array([] if ear is None else [each.delay_s for each in ear.samples])
