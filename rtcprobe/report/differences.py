"""Words for one difference: its figures, intervals and verdict as people read them, on any report."""

from __future__ import annotations

from rtcprobe.report.sentences import arrow, bare, bounds, figure
from rtcprobe.verdict.comparison import RankedMetric
from rtcprobe.verdict.difference import Difference, Estimate
from rtcprobe.ways import Way

__all__ = [
    "ABSENT",
    "could_show",
    "estimate_interval",
    "estimate_value",
    "full_name",
    "metric_name",
    "moved",
    "ms_of",
    "signed",
    "signed_bounds",
    "unit_words",
    "verdict_word",
]

_WORDS = {"no difference shown": "not shown", "not judged": "unjudged", "not measured": "no data"}
_NAMES = {
    "r": "R",
    "mos": "MOS",
    "listening_mos": "listening MOS",
    "ssim": "SSIM",
    "freeze_share": "frozen",
}
ABSENT = "not there"
"""A phase or stage that a side does not have."""


def verdict_word(each: Difference) -> str:
    """Return what became of a difference: better, worse, equal, not shown, unjudged, or no data."""
    # Of equal seeds: the very same in every pair, which "not shown" would hide.
    if each.verdict == "no difference shown" and each.low == each.high == 0.0:
        return "equal"
    return _WORDS.get(each.verdict, each.verdict)


def metric_name(difference: Difference | RankedMetric) -> str:
    """Return a metric and its aggregate as people read them, below the title of their group."""
    words = [_NAMES.get(each, each.replace("_", " ")) for each in _parts(difference)]
    whole = difference.aggregate == "mean" and difference.unit != "s"  # one figure a run: nothing to tell apart
    return " ".join([*words, *([] if whole else [difference.aggregate])])


def _parts(of: Difference | RankedMetric) -> list[str]:
    """Return the words of a metric below its group, its way as people read it."""
    way = next((each.direction for each in (of.pairs.values() if isinstance(of, RankedMetric) else (of,))), None)
    rest = of.metric.partition(".")[2]
    if way is None or not rest.startswith(way):
        return rest.split(".") if rest else []
    left = rest.removeprefix(way).removeprefix(".")
    sound = Way.of(way.talker, way.listener)  # the group says of what it is
    return [arrow(sound), *(left.split(".") if left else [])]


def signed_bounds(each: Difference, *, turned: bool = False) -> str:
    """Return the interval of a difference: ``"[+14.8 to +15.2]"``; "" where nothing was measured.

    ``turned``: of a minus b.
    """
    if each.difference is None or (each.a.exact and each.b.exact):
        return ""
    ends = [(each.low, 1.0), (each.high, 1.0)] if not turned else [(each.high, -1.0), (each.low, -1.0)]
    # Turned around, the upper end of one is the lower of the other, with its sign.
    said = ["open" if end is None else signed(way * end, each).removesuffix("pp") for end, way in ends]
    return "[open]" if said == ["open", "open"] else f"[{' to '.join(said)}]"


def estimate_value(estimate: Estimate, of: Difference | RankedMetric) -> str:
    """Return a figure in the unit of what it is of; "never" for joins that never came, a dash for no measurement."""
    if estimate.value is None:
        return "never" if estimate.never else ABSENT if isinstance(of, Difference) and of.part else "-"
    return bare(estimate.value, of.unit)


def estimate_interval(estimate: Estimate, of: Difference | RankedMetric) -> str:
    """Return the interval of a figure; "" for one that has none."""
    if estimate.exact or (estimate.value is None and not estimate.never):
        return ""
    return bounds(estimate.low, estimate.high, of.unit)


def could_show(each: Difference) -> str:
    """Return the smallest change this pair could have shown; "" where nothing was measured or there is no chance."""
    if each.difference is None or (each.a.exact and each.b.exact):
        return ""
    return "nothing" if each.detectable is None else bare(each.detectable, each.unit)


def moved(each: Difference) -> str:
    """Return a difference with its sign, without the name of its unit."""
    return "-" if each.difference is None else signed(each.difference, each)


def signed(value: float, each: Difference) -> str:
    """Return a change with its sign; that of a share is in percentage points."""
    # 5 % to 7 % is 2 percentage points; "+2%" would be read as 5.1 %.
    return figure(value, each.unit, sign=True).removesuffix(" ms").replace("%", "pp")


def unit_words(each: Difference | RankedMetric) -> str:
    """Return what follows a figure's name: ``", ms"`` where it is a time."""
    return ", ms" if each.unit == "s" else ""


def ms_of(each: Difference) -> str:
    """Return the unit behind a time in running text: ``" ms"``; "" behind anything else."""
    return " ms" if each.unit == "s" else ""


def full_name(each: Difference | RankedMetric) -> str:
    """Return a metric and its aggregate with the group they are of: ``"join first audio p50"``."""
    root = each.metric.partition(".")[0].replace("_", " ")
    return f"{root} {metric_name(each)}"
