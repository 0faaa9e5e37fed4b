"""The figures of each way's delay that two sides are compared by: of its sound, its picture, its messages.

Facts:
    - A call is one draw of how playout ties itself to the network: within it successive delays resemble each other, the
      next call is another draw. So calls are the unit, those of all runs of a side together, from ``RUNS`` of them on;
      a run from before runs had several calls is one. On the real clock runs are, where there are as many: the calls
      of one share the network of the hour.
    - Under equal seeds each call has its own counterpart, and even two single calls can be told apart, as everything
      else about them is equal; of two single calls with seeds of their own, only an interval within the calls is given,
      and no verdict.

Rules:
    1. A side's percentiles are of all its markers (or frames); its shares and means of its runs, weighted by these.
    2. A share varies at least as counting makes it vary; lost frames come in bursts, and count as fewer.
    3. Skew explains and does not judge: both too early and too late are worse, so no end of it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.result import Account, Kind, Result, Sample, Unit
from rtcprobe.verdict.difference import Estimate, Method, Row
from rtcprobe.verdict.figures import RUNS, Figure, Floats, Pair, batched, named
from rtcprobe.verdict.intervals import Calls, Rated, least_s
from rtcprobe.verdict.metrics import metric_named
from rtcprobe.verdict.spread import EQUAL, HybridSpread, Spread, TSpread, percentile
from rtcprobe.verdict.statistics import Ends, samples_needed
from rtcprobe.verdict.tosses import Randomised
from rtcprobe.ways import Way

__all__ = ["headlines", "rated", "stages", "unpaired"]

_ONE_CALL = f"within these calls only: other seeds differ too; give each side {RUNS} calls or more for a verdict"


_FEWEST_TOSSED = 10
"""Pairs of calls from which tosses can show a difference among a dozen figures (two in 2^10); of fewer, Student's t."""
_FEWEST_BLOCKS = 5
"""Calls a side from which their order says enough; of fewer (old runs, of one call each) their percentiles do."""


_RATED: Mapping[Kind, Mapping[str, Unit]] = {
    "mouth_to_ear": {"lost": "share", "unplayed": "share", "r": "number"},
    "glass_to_glass": {"lost": "share", "freeze_share": "share", "ssim": "number"},
    "messages": {"lost": "share", "head_of_line_share": "share"},
    "response": {"lost": "share", "inside": "share", "said_estoi": "number", "estoi": "number"},
    "barge_in": {"lost": "share", "false_stops": "share"},
}
"""What is compared of each kind beside its delay: shares judge, what else there is explains."""


_SOMETIMES = ("false_stops", "said_estoi", "estoi")
"""What only some scripts can say: where neither side does, there is no row of it."""

_COUNTED: Mapping[Kind, str] = {
    "glass_to_glass": "frames seen",
    "messages": "messages delivered",
    "response": "answers heard",
    "barge_in": "stops heard",
}


def headlines(pair: Pair) -> Iterator[Row]:
    """Yield the figures of every way: its delay, what was lost, not played or stood still; and what explains them."""
    for kind, compared in _RATED.items():
        for way in pair.ways(kind):
            yield _delay(pair, kind, way, 0.50)
            yield _delay(pair, kind, way, 0.95)
            for name, unit in compared.items():
                if name not in _SOMETIMES or any(name in each.figures for each in _accounts(pair, kind, way)):
                    yield rated(pair, _Of(kind, way, name), unit)
    for way in pair.ways("lip_sync"):
        yield _delay(pair, "lip_sync", way, 0.50)


def stages(pair: Pair) -> Iterator[Row]:
    """Yield every stage of every way's delay."""
    for kind in _RATED:
        for way in pair.ways(kind):
            for name in dict.fromkeys(name for each in _accounts(pair, kind, way) for name in each.stages):
                yield rated(pair, _Of(kind, way, f"stages.{name}"), "s", part=name)


def _accounts(pair: Pair, kind: Kind, way: Way) -> list[Account]:
    return [found for run in (*pair.a, *pair.b) if (found := run.of_kind(kind).get(way)) is not None]


class Of(Protocol):
    """A figure of which each call has one, of a way or of a room: its metric, its last name, and what weighs a run."""

    @property
    def metric(self) -> str:
        """The metric as a budget writes it."""
        ...

    @property
    def way(self) -> Way | None:
        """The way it is of."""
        ...

    @property
    def name(self) -> str:
        """What it is called there."""
        ...

    def weight(self, run: Result, found: Rated) -> float:
        """Return of how much it is a share or a mean in a run."""
        ...


class _Of(NamedTuple):
    """A figure of one account: ``"lost"``, ``"stages.device"``."""

    kind: Kind
    way: Way
    name: str

    @property
    def metric(self) -> str:
        return f"{self.kind}.{self.way}.{self.name}"

    def weight(self, run: Result, found: Rated) -> float:
        """Return how many markers were scheduled on its way."""
        del found
        return run.of_kind(self.kind)[self.way].scheduled


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call (or one whole run) heard: which markers (of which call), and how late, seconds."""

    key: tuple[int, int]
    markers: tuple[tuple[int, int], ...]
    delays: Floats


def _heard(pair: Pair, runs: Sequence[Result], kind: Kind, way: Way) -> tuple[list[_Call], Calls]:
    """Return the calls of a side that heard anything, and their delays."""
    # A whole run as one where runs are the unit: its calls' markers are then told apart by their call and number.
    found, least, whole = [], np.inf, pair.run_is_unit
    for run in runs:
        ear = run.of_kind(kind).get(way)
        if ear is None or not ear.samples:
            continue
        least = min(least, least_s(ear))
        calls: dict[int, list[Sample]] = {}
        for each in ear.samples:
            calls.setdefault(0 if whole else each.call, []).append(each)
        for number, taken in calls.items():
            found.append(
                _Call(
                    key=(run.seed, number),
                    markers=tuple((each.call, each.marker) for each in taken),
                    delays=np.array([each.delay_s for each in taken]),
                )
            )
    return found, Calls(parts=tuple(each.delays for each in found), least=least if found else 0.0)


def _delay(pair: Pair, kind: Kind, way: Way, p: float) -> Row:
    heard = [_heard(pair, side, kind, way) for side in (pair.a, pair.b)]
    (ours, a), (theirs, b) = heard
    estimates = []
    for calls, side in ((a, pair.a), (b, pair.b)):
        q = calls.quantile(p) if len(calls) else None
        estimates.append(
            Estimate(value=None, n=0, runs=len(side))
            if q is None
            else Estimate(value=q.value, low=q.low, high=q.high, n=len(calls), runs=len(side))
        )
    # Rule 3.
    judges = kind != "lip_sync"
    row = Figure(pair, f"{kind}.{way}", named(p), "s", estimates[0], estimates[1], headline=judges, direction=way)
    if estimates[0].value is None or estimates[1].value is None:
        needed, what = samples_needed(p), _COUNTED.get(kind, "markers heard")
        return row.unmeasured(f"{named(p)} needs {needed} {what}, {estimates[0].n} and {estimates[1].n} were")
    if not judges:
        return row.exact()
    apart = estimates[1].value - estimates[0].value
    # Equal seeds, but a call that nobody heard on one side has no counterpart: then all are compared as independent.
    paired = pair.paired and [each.key for each in ours] == [each.key for each in theirs]
    if min(len(a.parts), len(b.parts)) >= RUNS:
        method: Method = "runs" if pair.run_is_unit else "calls"
        values = (estimates[0].value, estimates[1].value)
        spread = _paired(ours, theirs, p, apart) if paired else unpaired(a, b, p, values)
        return row.over(method, spread, paired=paired)
    # Of fewer calls than ``RUNS`` only stretches of one call can be compared. Under equal seeds that tells the two
    # builds apart, for everything else is equal; under others the interval is shown and no verdict (Facts).
    if not paired:
        return row.over("within calls", batched(a.values, b.values, p, apart, paired=False), withheld=_ONE_CALL)
    both_a, both_b, _ = _common(ours, theirs)
    return row.over("within calls", batched(both_a, both_b, p, apart, paired=True), paired=True)


def _paired(ours: Sequence[_Call], theirs: Sequence[_Call], p: float, apart: float) -> Spread | None:
    """Return the spread of a percentile between calls and their own counterparts."""
    a, b, calls = _common(ours, theirs)
    if len(ours) >= _FEWEST_TOSSED:
        return Randomised(a, b, p, paired=True, calls=calls) if len(a) else None
    both = [(a[calls == each], b[calls == each]) for each in dict.fromkeys(calls.tolist())]
    spread = TSpread.paired(np.array([float(percentile(two, p) - percentile(one, p)) for one, two in both]))
    return spread and spread.about(apart)


def unpaired(a: Calls, b: Calls, p: float, values: tuple[float, float]) -> Spread | None:
    """Return the spread of a percentile between two sides of calls of their own."""
    if min(len(a.parts), len(b.parts)) >= _FEWEST_BLOCKS:
        return HybridSpread(*values, lambda c: a.ends(p, c), lambda c: b.ends(p, c))
    one, two = (np.array([float(percentile(each, p)) for each in side.parts]) for side in (a, b))
    spread = TSpread.unpaired(one, two)
    return spread and spread.about(values[1] - values[0])


def _common(ours: Sequence[_Call], theirs: Sequence[_Call]) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Return the delays of the markers that both heard, in order, and which call each was spoken in."""
    a: list[float] = []
    b: list[float] = []
    calls: list[int] = []
    for number, (one, two) in enumerate(zip(ours, theirs, strict=True)):
        # By call and marker: one that only one side heard has no counterpart, and is among what was lost.
        there = dict(zip(two.markers, two.delays.tolist(), strict=True))
        for marker, delay_s in zip(one.markers, one.delays.tolist(), strict=True):
            if marker in there:
                a.append(delay_s)
                b.append(there[marker])
                calls.append(number)
    return np.array(a), np.array(b), np.array(calls, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class _Side:
    """A figure of one side: of all its runs, and of each unit (``keys``)."""

    rated: Rated
    keys: tuple[tuple[int, int], ...]
    markers: int

    @property
    def events(self) -> float | None:
        return self.rated.events


def _side(pair: Pair, runs: Sequence[Result], of: Of) -> _Side | None:
    """Return a figure of a side; None where a run did not measure it."""
    parts, weights, keys = [], [], []
    figures: list[float] = []
    shares: list[float] = []
    events: list[float | None] = []
    for run in runs:
        found = metric_named(of.metric).read(run).rated
        if found is None:
            return None
        weight = of.weight(run, found)
        parts.append(found)
        weights.append(weight)
        events.append(found.events)
        # A run of one call (``rtcprobe.result/1``), or one whose calls do not all have the figure, is a unit of its
        # own.
        alone = pair.run_is_unit or len(found.figures) < 2
        figures += [found.value] if alone else found.figures
        shares += [float(weight)] if alone else found.weights
        keys += [(run.seed, number) for number in range(1 if alone else len(found.figures))]
    # What runs' intervals were made of is within a run: where runs are the unit, how they differ says it instead.
    made = None if pair.run_is_unit or any(each.made is None for each in parts) else partial(_joined, parts, weights)
    whole = Rated(
        value=float(np.average([each.value for each in parts], weights=weights)),
        figures=tuple(figures),
        weights=tuple(shares),
        # Events add up over runs: they are independent draws.
        events=None if None in events else sum(each for each in events if each is not None),
        made=made,
    )
    return _Side(whole, tuple(keys), round(sum(weights)))


def _joined(parts: Sequence[Rated], weights: Sequence[float], confidence: float) -> Ends:
    """Return the interval of the mean of runs' figures: distances to the ends add as squares, as everywhere."""
    below, above = [], []
    for part, weight in zip(parts, weights, strict=True):
        low, high = part.ends(confidence)
        if low is None or high is None:
            return None, None
        below.append((part.value - low) * weight / sum(weights))
        above.append((high - part.value) * weight / sum(weights))
    value = float(np.average([each.value for each in parts], weights=weights))
    return value - math.hypot(*below), value + math.hypot(*above)


def rated(pair: Pair, of: Of, unit: Unit, part: str = "") -> Row:
    """Return a figure that each call has one of: a share, which judges; R or a stage, which explain."""
    a, b = (_side(pair, runs, of) for runs in (pair.a, pair.b))
    judges = unit == "share"
    estimates = []
    by_calls = a is not None and b is not None and min(len(a.keys), len(b.keys)) >= RUNS
    for side, runs in ((a, pair.a), (b, pair.b)):
        if side is None:
            estimates.append(Estimate(value=None))
            continue
        # A mean that explains (a stage) of one or two calls has no interval: only what they were is told.
        known = by_calls or judges or side.rated.made is not None
        low, high = side.rated.ends() if known else (None, None)
        n = side.markers if judges else len(side.keys)
        estimates.append(Estimate(value=side.rated.value, low=low, high=high, n=n, runs=len(runs), exact=not known))
    row = Figure(
        pair,
        of.metric,
        "mean",
        unit,
        estimates[0],
        estimates[1],
        headline=judges,
        direction=of.way,
        part=part,
        higher_is_better=of.name in ("r", "ssim", "said_estoi", "estoi"),
    )
    if a is None or b is None:
        return row.unmeasured(_missing(a, b))
    paired = pair.paired and a.keys == b.keys
    if by_calls:
        return row.over("runs" if pair.run_is_unit else "calls", _spread(a, b, paired=paired), paired=paired)
    if a.rated.made is not None and b.rated.made is not None:
        # R of one call is as unsure as its delay and its loss are within that call.
        spread = HybridSpread(a.rated.value, b.rated.value, a.rated.ends, b.rated.ends)
        return row.over("within calls", spread, paired=paired, withheld=_ONE_CALL)
    if not judges:
        return row.exact()
    same = paired and _equal(a, b)
    spread = HybridSpread.of_shares(a.rated.value, b.rated.value, a.events or 1.0, b.events or 1.0, same=same)
    return row.over("events", spread, paired=same, withheld="" if paired else _ONE_CALL)


def _spread(a: _Side, b: _Side, *, paired: bool) -> TSpread | HybridSpread | None:
    one, two = np.array(a.rated.figures), np.array(b.rated.figures)
    apart = b.rated.value - a.rated.value
    if paired:
        # Each call's part of all events: how much counting alone makes its share vary.
        worth = np.inf if a.events is None else a.events / len(a.keys)
        spread = TSpread.paired(two - one, worth=worth)
        return spread and spread.about(apart)
    if None not in (a.events, b.events) or None not in (a.rated.made, b.rated.made):
        return HybridSpread(a.rated.value, b.rated.value, a.rated.ends, b.rated.ends)
    return TSpread.unpaired(one, two)


def _equal(a: _Side, b: _Side) -> bool:
    return all(abs(x - y) <= EQUAL for x, y in zip(a.rated.figures, b.rated.figures, strict=True))


def _missing(a: _Side | None, b: _Side | None) -> str:
    if a is None and b is None:
        return "nothing was measured"
    return f"{'the first' if a is None else 'the second'} of both sides did not measure it in every run"
