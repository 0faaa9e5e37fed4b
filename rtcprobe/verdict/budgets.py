"""Budgets: numbers to stay within, written as one line each and read before anything runs.

Grammar::

    METRIC AGGREGATE OP VALUE [(advisory)]
    METRIC within VALUE..VALUE [(advisory)]

    join.first_audio p95 < 600ms
    mouth_to_ear p95 < 100ms                                the worst of all ways
    mouth_to_ear.caller_to_callee.stages.jitter_buffer mean < 60ms
    mouth_to_ear share_above(150ms) < 1%
    join.failed mean <= 0% (advisory)
    av_skew within -125ms..45ms                             95 % of what was measured lies there

METRIC is a name of ``rtcprobe.verdict.metrics``, with a way or leg in it where it is about one alone; AGGREGATE one of
``p50 p90 p95 p99`` (any ``pNN``), ``min``, ``mean``, ``max``, ``share_above(VALUE)``; OP one of ``< <= > >=``; VALUE
carries its unit (a bare number for counts).
An advisory budget is judged and shown, and never fails a run.

Rules:
    1. What was not measured is never met: it is inconclusive. Of two ways both are meant, but for one that was heard
       and of which the figure cannot be told (what a browser does not play is its own): that one is named.
    2. A percentile with too few samples is inconclusive and says how many it needs.
    3. Joins that never came count as later than any limit.
    4. *Met* and *missed* are said where the whole 95 % interval agrees; where the limit lies inside it (an open end
       reaches everywhere), the budget is *undecided*. Percentiles, means, shares and ratings have intervals
       (``intervals``: about another run, where a run is several calls); extremes, figures of the link and what was
       equal in every call are what this run was: exact.
    5. No number of joins proves that none ever fails: a share limited to 0 % or 100 % is about this run, and decided.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.result import BudgetOutcome, BudgetVerdict, Result, Unit
from rtcprobe.units import format_duration, format_ratio, parse_duration, parse_ratio
from rtcprobe.verdict.intervals import Rated
from rtcprobe.verdict.metrics import Metric, Observations, known_ways, metric_named
from rtcprobe.verdict.room.people import people, those
from rtcprobe.verdict.statistics import CONFIDENCE, mean_interval, quantile, share_above, share_interval
from rtcprobe.ways import Way

__all__ = ["Budget", "evaluate", "parse_budget"]

Operator = Literal["<", "<=", ">", ">="]

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# budget    = metric SP aggregate [ SP ] op value [ "(advisory)" ]     blanks of the line are made one before
# metric    = 1*( ALPHA / DIGIT / "_" / "." / "-" )                   a party may have a dash in its name
# aggregate = 1*( ALPHA / DIGIT / "_" / "." ) [ "(" value ")" ]       share_above(150ms), p99.9
# op        = "<=" / ">=" / "<" / ">"                                 the longer first, or "=" began the value
# value     = *( any but "(" / ")" / "<" / ">" / "=" )                ``_value`` quotes what it cannot read
_LINE = re.compile(
    r"(?P<metric>[\w.-]+)\s+(?P<aggregate>[\w.]+(?:\([^()]*\))?)\s*(?P<op><=|>=|<|>)(?P<value>[^()<>=]*)"
    r"(?P<advisory>\(advisory\))?"
)
# range     = metric SP "within" SP value ".." value [ "(advisory)" ]   lazily: 1.5..3 is parted at its first ".."
_WITHIN = re.compile(
    r"(?P<metric>[\w.-]+)\s+within\s+(?P<low>[^()<>=]+?)\.\.(?P<high>[^()<>=]+?)\s*(?P<advisory>\(advisory\))?"
)
_OUTSIDE = 0.05
"""The share that may lie outside a range."""
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")  # p5, p99.9; p0 is read, and refused with what there is
_SHARE_ABOVE = re.compile(r"share_above\((.*)\)")
_LONGEST = 500  # characters: a file given by mistake is not printed whole as its own error
_EXAMPLE = "write it like join.first_audio p95 < 600ms"
# From best to worst, for the worst of several ways: what is missed is known to be bad, what was not measured may be.
_WORSE: tuple[BudgetVerdict, ...] = ("met", "undecided", "inconclusive", "missed")
_POINT = 1e-9
"""An interval no wider (seconds, a share, a rating) is the rounding of figures that are equal in every call."""
# Those that are named when one is not known; any other percentile is read, too.
_SERIES_AGGREGATES = ("p50", "p90", "p95", "p99", "min", "mean", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One line, understood: ``limit`` and ``threshold`` (of ``share_above``) in seconds, shares or bare numbers.

    ``within`` a range: the share that is more than ``threshold`` away from its ``centre``.
    """

    expression: str
    metric: str
    aggregate: str
    op: Operator
    limit: float
    unit: Unit
    probability: float | None = None
    threshold: float | None = None
    centre: float | None = None
    advisory: bool = False


def parse_budget(text: object) -> Budget:
    """Return the budget a line states.

    Raises:
        BadInputError: not of the grammar, a metric or aggregate that does not exist, or a value that cannot be meant.
    """
    if not isinstance(text, str):
        raise BadInputError(f"{text!r} is not a budget", _EXAMPLE)
    line = " ".join(text.split())
    if len(line) > _LONGEST:
        raise BadInputError(f"budget {line[:60]!r}… is {len(line):,} characters long", _EXAMPLE)
    match = _LINE.fullmatch(line)
    # After _LINE: no line is of both, as "within" is followed by no operator.
    if (ranged := _WITHIN.fullmatch(line)) is not None:
        return _within(ranged, line)
    if match is None:
        raise BadInputError(f"budget {line!r} cannot be read", _EXAMPLE)
    name, written = match["metric"], match["value"].strip()
    try:
        metric = metric_named(name)
        probability, threshold = _aggregate(match["aggregate"], metric, name)
        # share_above(150ms) of a delay is limited by a share, whatever the metric's own unit.
        unit: Unit = metric.unit if threshold is None else "share"
        limit = _value(written, unit)
    except BadInputError as error:
        raise error.within(f"budget {line!r}") from error
    expression = f"{name} {match['aggregate']} {match['op']} {written}"
    return Budget(
        expression=expression,
        metric=name,
        aggregate=match["aggregate"],
        op=cast("Operator", match["op"]),
        limit=limit,
        unit=unit,
        probability=probability,
        threshold=threshold,
        advisory=match["advisory"] is not None,
    )


def _within(match: re.Match[str], line: str) -> Budget:
    name, low, high = match["metric"], match["low"].strip(), match["high"].strip()
    try:
        centre, half = _range(metric_named(name), name, low, high)
    except BadInputError as error:
        raise error.within(f"budget {line!r}") from error
    return Budget(
        expression=f"{name} within {low}..{high}",
        metric=name,
        aggregate="within",
        op="<=",
        limit=_OUTSIDE,
        unit="share",
        threshold=half,
        centre=centre,
        advisory=match["advisory"] is not None,
    )


def _range(metric: Metric, name: str, low: str, high: str) -> tuple[float, float]:
    """Return the middle of a range, and half of its width."""
    if metric.aggregates is not None:
        raise BadInputError(f"within does not exist for {name}", f"use {', '.join(metric.aggregates)}")
    ends = [
        # _value refuses what is below zero, as no delay is: only the ends of a range may be (skew), with a minus as
        # people or a word processor write it.
        -_value(each[1:].strip(), metric.unit) if each.startswith(("-", "−")) else _value(each, metric.unit)
        for each in (low, high)
    ]
    if ends[0] >= ends[1]:
        raise BadInputError(f"{low}..{high} is no range", "give the smaller end first")
    return (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2


def evaluate(budget: Budget, result: Result) -> BudgetOutcome:
    """Return what became of ``budget`` in ``result``; of several ways, the worst of those that were measured.

    Of a call of two both are meant; in a room the ways of somebody who never came are told otherwise (``judge``). A way
    that was heard, and of which this cannot be told, is named and left out: what a browser does not play is its own.
    """
    metrics = metric_named(budget.metric).each(result)
    measured = tuple(each for each in metrics if not each.read(result).empty)
    left_out = [each for each in metrics if each not in measured]
    # Of a room what is there is judged: somebody who never came is told among the verdict's reasons, not by each
    # budget.
    if left_out and result.room_of_many:
        metrics, left_out = measured or metrics, []
    elif measured and all(_was_heard(each, result) for each in left_out):
        metrics = measured
    else:
        left_out = []
    outcomes = [_judge(budget, metric, result) for metric in metrics]
    downwards = budget.op in ("<", "<=")

    def badness(outcome: BudgetOutcome) -> tuple[int, float]:
        # Without a value it is the worst of its kind, on whichever side of the limit the bad ones lie.
        value = (math.inf if downwards else -math.inf) if outcome.value is None else outcome.value
        return _WORSE.index(outcome.verdict), value if downwards else -value

    worst = max(outcomes, key=badness)
    if not left_out:
        return worst
    ways = ", ".join(each.way.replace("_", " ") for each in left_out if each.way is not None)
    aside = f"{ways}: heard, but this cannot be told of it"
    return replace(worst, reason=f"{worst.reason}; {aside}" if worst.reason else aside)


def _was_heard(metric: Metric, result: Result) -> bool:
    """Return whether ``metric`` is of a way's sound, which was heard: of a link or a picture that says nothing."""
    if metric.over != "mouth_to_ear" or metric.way is None:
        return False
    account = result.mouth_to_ear.get(Way(metric.way))
    return account is not None and account.heard > 0


def written(value: float, unit: Unit) -> str:
    """Return a figure as people write it: ``"612ms"``, ``"2.5%"``, ``"84.3"``."""
    if unit == "s":
        return format_duration(value)
    if unit == "share":
        return format_ratio(value)
    # An R of 84.3: no interval of it is narrower; what is 1 at the most (SSIM, ESTOI) is told apart there.
    return f"{round(value, 1 if abs(value) >= 10.0 else 2 if abs(value) > 1.0 else 3):g}"


def _judge(budget: Budget, metric: Metric, result: Result) -> BudgetOutcome:
    seen = metric.read(result)
    found, verdict, reason = _verdict(budget, seen if budget.centre is None else seen.away_from(budget.centre))
    known = known_ways(metric.over, result)
    absent = metric.way if seen.empty and known and metric.way not in known else None
    if absent is not None and not (metric.over == "mouth_to_ear" and _between_people(absent, result)):
        reason = f"{reason}: there is no {absent} here, {did_you_mean(absent, known)}"
    # The budget named no way: its reader must be told which one it is about.
    elif reason and metric.way is not None and metric.name != budget.metric:
        reason = f"{metric.way.replace('.', ', ').replace('_', ' ')}: {reason}"
    return BudgetOutcome(
        expression=budget.expression,
        metric=budget.metric,
        aggregate=budget.aggregate,
        unit=budget.unit,
        limit=budget.limit,
        value=found.value,
        low=found.low,
        high=found.high,
        exact=found.exact,
        verdict=verdict,
        advisory=budget.advisory,
        reason=reason,
    )


def _between_people(way: str, result: Result) -> bool:
    """Return whether a way is from somebody, or a role, to another, who took part: then it was silent, not absent."""
    known = people(result)
    return all(those(known, end) for end in (Way(way).talker, Way(way).listener))


@dataclass(frozen=True, slots=True)
class _Found:
    """The figure a budget is about, and its interval; ``needs`` that many samples where it is refused."""

    value: float | None
    low: float | None = None
    high: float | None = None
    exact: bool = False
    needs: int | None = None


def _verdict(budget: Budget, seen: Observations) -> tuple[_Found, BudgetVerdict, str]:
    if seen.empty:
        return _Found(None), "inconclusive", "nothing was measured"
    found = _figure(budget, seen)
    have = seen.count + seen.never
    if found.needs is not None:
        return found, "inconclusive", f"{budget.aggregate} needs {found.needs} samples, {have} were taken"
    # A link without packets has no quantile: that is no failed join.
    if found.value is None and seen.figures is not None:
        return found, "inconclusive", "nothing was measured"
    if found.value is None:
        return found, "missed", f"{seen.never} of {have} never came, later than any limit"
    holds = _OPERATORS[budget.op]
    met: BudgetVerdict = "met" if holds(found.value, budget.limit) else "missed"
    # Rule 5.
    if found.exact or (budget.unit == "share" and budget.limit in (0.0, 1.0)):
        return found, met, ""
    doubt = _doubt(found.low, found.high, holds, budget.limit)
    if doubt and budget.probability is not None and None in (found.low, found.high):
        doubt += _closing(budget.probability, seen)
    return found, "undecided" if doubt else met, doubt


def _doubt(low: float | None, high: float | None, holds: Callable[[float, float], bool], limit: float) -> str:
    """Return why chance could decide otherwise: the ends of the interval (None: open) disagree; "" when they agree."""
    if holds(-math.inf if low is None else low, limit) == holds(math.inf if high is None else high, limit):
        return ""
    kind = "95 % interval" if low is not None and high is not None else "95 % interval, which is open"
    return f"the limit lies inside the {kind}: another seed may decide otherwise"


def _closing(probability: float, seen: Observations) -> str:
    """Return what would close an interval that is open; "" where joins that never came keep it open."""
    if seen.calls is not None:
        return "; several calls (--calls 5 or more) would close it"
    # The least n with max(p, 1 − p)^n ≤ 2.5 %: then the outermost of n independent observations lies beyond the
    # quantile often enough to close the interval (``interval_ranks``): 72 for p95.
    needed = math.ceil(math.log((1.0 - CONFIDENCE) / 2.0) / math.log(max(probability, 1.0 - probability)))
    return f"; {needed} samples would close it" if len(seen.values) < needed and not seen.never else ""


def _figure(budget: Budget, seen: Observations) -> _Found:
    """Return the figure; its value is None where it was not measured, or failures put it beyond any number."""
    # A rated figure has calls of its own; the same metric's other aggregates ("p5", "worst") are plain figures of the
    # run.
    if seen.rated is not None and budget.aggregate == "mean":
        return _of_run(seen.rated)
    if seen.figures is not None:
        value = seen.figures.get(budget.aggregate)
        return _Found(value, exact=value is not None)
    if budget.probability is not None:
        q = seen.calls.quantile(budget.probability) if seen.calls is not None else None
        q = q or quantile(seen.values, budget.probability, never=seen.never)
        return _Found(q.value, q.low, q.high, needs=q.needs)
    if budget.threshold is not None:
        if seen.calls is not None:
            return _Found(*seen.calls.share_above(budget.threshold))
        return _Found(*share_above(seen.values, budget.threshold, never=seen.never))
    return _mean(budget, seen) if budget.aggregate == "mean" else _extreme(budget, seen)


def _of_run(rated: Rated) -> _Found:
    """Return a figure that each call has one of; exact where it was the same in all, or nothing says its chance."""
    low, high = rated.ends()
    point = low is not None and high is not None and high - low <= _POINT
    return _Found(rated.value, *((None, None) if point else (low, high)), exact=point or (low is None and high is None))


def _mean(budget: Budget, seen: Observations) -> _Found:
    # A mean with one join that never came is infinite, however the others did: missed (rule 3).
    if seen.never:
        return _Found(None)
    if seen.calls is not None:
        return _Found(float(np.mean(seen.calls.values)), *seen.calls.mean())
    mean = math.fsum(seen.values) / len(seen.values)
    if budget.unit == "share":
        return _Found(mean, *share_interval(mean, len(seen.values)))
    return _Found(mean, *mean_interval(seen.values))


def _extreme(budget: Budget, seen: Observations) -> _Found:
    values = seen.values if seen.calls is None else seen.calls.values
    if budget.aggregate == "min":
        return _Found(float(min(values)), exact=True) if len(values) else _Found(None)
    return _Found(None) if seen.never else _Found(float(max(values)), exact=True)


def _aggregate(text: str, metric: Metric, name: str) -> tuple[float | None, float | None]:
    """Return (probability, threshold) of an aggregate; both None for min, mean and max."""
    known: Iterable[str] = metric.aggregates or (*_SERIES_AGGREGATES, f"share_above({_example(metric.unit)})")
    percentile = _PERCENTILE.fullmatch(text)
    above = _SHARE_ABOVE.fullmatch(text)
    if metric.aggregates is not None:
        if text in metric.aggregates:
            return None, None
    elif percentile is not None and 0 < float(percentile[1]) < 100:
        return float(percentile[1]) / 100, None
    elif above is not None:
        return None, _value(above[1], metric.unit)
    elif text in _SERIES_AGGREGATES:
        return None, None
    raise BadInputError(f"aggregate {text!r} does not exist for {name}", f"use {', '.join(known)}")


def _example(unit: Unit) -> str:
    return {"s": "100ms", "share": "2%", "number": "3"}[unit]


def _value(text: str, unit: Unit) -> float:
    if unit == "s":
        value = parse_duration(text)
    elif unit == "share":
        value = parse_ratio(text)
        if value > 1.0:
            raise BadInputError(f"share {text!r} is impossible", "give 0% to 100%")
    else:
        try:
            value = float(text)
        except ValueError as error:
            raise BadInputError(f"{text!r} is not a number", "write it like 3") from error
    if not (math.isfinite(value) and value >= 0.0):
        raise BadInputError(f"limit {text!r} is impossible", "give zero or more")
    return value
