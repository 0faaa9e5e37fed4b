"""The figures of a room that two sides are compared by: what no single way has (``room.metrics``).

Rules:
    1. As with delays, calls are the unit from ``RUNS`` of them on (``ear_figures``): words of one call are heard over
       the same buffers, and newcomers of one call meet the same network. Under equal seeds each call has its own
       counterpart.
    2. Spread, waits and gaps judge. Talk-over explains: it is the sum of two delays that judge by themselves.
    3. Waits that never ended are later than any: a percentile among them is never, and is not compared. Their share
       is, where there are any: else nobody would be told that half the room waits in vain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from rtcprobe.result import Result
from rtcprobe.verdict.difference import Estimate, Row
from rtcprobe.verdict.ear_figures import rated, unpaired
from rtcprobe.verdict.figures import RUNS, Figure, Floats, Pair, batched, named, share_estimate
from rtcprobe.verdict.intervals import Calls, Rated
from rtcprobe.verdict.metrics import metric_named
from rtcprobe.verdict.spread import HybridSpread, Spread, TSpread, percentile
from rtcprobe.verdict.statistics import quantile, samples_needed

__all__ = ["headlines", "joins"]

_TIMES: Final = {
    "room.spread": "words that two heard",
    "room.on_stage": "waits for somebody on stage",
    "room.silence": "waits for a host",
    "room.joined": "newcomers",
    "room.first_picture": "newcomers who see somebody",
    "room.on_screen": "waits for a picture of somebody on stage",
    "room.talk_over": "pairs",
}
_EXPLAIN: Final = ("room.talk_over",)
_SHARES: Final = ("room.gap_share_80ms", "room.gap_share_200ms")
"""From 80 ms on as Volcengine counts, from 200 as Agora does (``room.figures.GAPS_S``)."""
_WITHIN: Final = ("join.within_1s", "join.within_5s")

_ONE_CALL = f"within these calls only: other seeds differ too; give each side {RUNS} calls or more for a verdict"


def joins(pair: Pair) -> Iterator[Row]:
    """Yield the shares of joins in time; nothing where neither side is a room."""
    for name in _WITHIN if _rooms(pair) else ():
        yield _within(pair, name)


def headlines(pair: Pair) -> Iterator[Row]:
    """Yield the figures of the room that either side has."""
    if not _rooms(pair):
        return
    for name in _TIMES:
        if any(not metric_named(name).read(run).empty for run in (*pair.a, *pair.b)):
            yield _time(pair, name, 0.50)
            yield _time(pair, name, 0.95)
        # Rule 3: a row of it only where any wait was in vain, so that a room without one is not corrected for it.
        if any(metric_named(name).read(run).never for run in (*pair.a, *pair.b)):
            yield rated(pair, _OfRoom(f"{name}.never"), "share")
    for name in _SHARES:
        if any(metric_named(name).read(run).rated is not None for run in (*pair.a, *pair.b)):
            yield rated(pair, _OfRoom(name), "share")


def _rooms(pair: Pair) -> bool:
    return any(each.room is not None for each in (*pair.a, *pair.b))


class _OfRoom(NamedTuple):
    """A share of the time that everybody listened, or of all waits."""

    metric: str
    way: None = None

    @property
    def name(self) -> str:
        return self.metric

    def weight(self, run: Result, found: Rated) -> float:
        """Return the seconds, or how many waits, it is a share of."""
        del run
        return math.fsum(found.weights)


class _Unit(NamedTuple):
    """What one call (or one whole run) has of it; infinity for what never came."""

    key: tuple[int, int]
    values: Floats


def _units(pair: Pair, runs: Sequence[Result], name: str) -> list[_Unit]:
    found: list[_Unit] = []
    for run in runs:
        taken = metric_named(name).read(run)
        if taken.calls is None:
            # Where some never ended they are not told call by call (``room.metrics``): the run is the unit, with
            # infinities.
            parts: Sequence[Floats] = [np.array([*taken.values, *[math.inf] * taken.never])]
        else:
            parts = [np.concatenate(taken.calls.parts)] if pair.run_is_unit else taken.calls.parts
        found += [_Unit((run.seed, number), part) for number, part in enumerate(parts) if len(part)]
    return found


def _estimate(units: Sequence[_Unit], p: float, runs: int) -> Estimate:
    values = np.concatenate([each.values for each in units]) if units else np.array([])
    never = int(np.count_nonzero(np.isinf(values)))
    # Blocks and batches are made of means, which infinity has none of: independent ranks stand in.
    if never or not units:
        found = quantile(values[np.isfinite(values)].tolist(), p, never=never)
    else:
        found = Calls(parts=tuple(each.values for each in units), least=0.0).quantile(p)
    return Estimate(value=found.value, low=found.low, high=found.high, n=len(values), runs=runs, never=never)


def _time(pair: Pair, name: str, p: float) -> Row:
    ours, theirs = (_units(pair, side, name) for side in (pair.a, pair.b))
    one, two = _estimate(ours, p, len(pair.a)), _estimate(theirs, p, len(pair.b))
    row = Figure(pair, name, named(p), "s", one, two, headline=name not in _EXPLAIN)
    if one.value is None or two.value is None:
        needed = samples_needed(p)
        if min(one.n, two.n) < needed:
            return row.unmeasured(f"{named(p)} needs {needed} {_TIMES[name]}, {one.n} and {two.n} were there")
        return row.unmeasured(f"{named(p)} lies among waits that never ended")
    # Both percentiles are known, but a side's waits that never ended can be put anywhere beyond: the difference is
    # shown and not judged; their share is (rule 3).
    if one.never or two.never:
        return row.over("none", None, withheld="some never ended: how far chance moves the others says nothing of them")
    paired = pair.paired and [each.key for each in ours] == [each.key for each in theirs]
    a, b = (Calls(parts=tuple(each.values for each in side), least=0.0) for side in (ours, theirs))
    apart = two.value - one.value
    # As ``ear_figures``: calls are the unit from ``RUNS`` on, stretches of one call below.
    if min(len(a.parts), len(b.parts)) >= RUNS:
        spread: Spread | None = unpaired(a, b, p, (one.value, two.value))
        if paired:
            moved = [float(percentile(y, p) - percentile(x, p)) for x, y in zip(a.parts, b.parts, strict=True)]
            own = TSpread.paired(np.array(moved))
            spread = own and own.about(apart)
        return row.over("runs" if pair.run_is_unit else "calls", spread, paired=paired)
    same = paired and [len(each) for each in a.parts] == [len(each) for each in b.parts]
    spread = batched(a.values, b.values, p, apart, paired=same)
    return row.over("within calls", spread, paired=same, withheld="" if same else _ONE_CALL)


def _within(pair: Pair, name: str) -> Row:
    a, b = (
        np.array([each for run in side for each in metric_named(name).read(run).values]) for side in (pair.a, pair.b)
    )
    one, two = (
        share_estimate(float(np.mean(each)), len(each), len(each), len(side)) if len(each) else Estimate(value=None)
        for each, side in ((a, pair.a), (b, pair.b))
    )
    row = Figure(pair, name, "mean", "share", one, two, higher_is_better=True)
    if one.value is None or two.value is None:
        return row.unmeasured("no join was tried")
    same = pair.paired and np.array_equal(a, b)
    spread = HybridSpread.of_shares(one.value, two.value, len(a), len(b), same=same)
    return row.over("attempts", spread, paired=same)
