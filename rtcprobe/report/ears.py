"""The screen's part about mouth to ear: a column each way where there are two, a row each where there are more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from rich.text import Text

from rtcprobe.report.pages import Page, waterfall
from rtcprobe.report.plateaus import plateau_sentences
from rtcprobe.report.sentences import arrow, beyond, interval, milliseconds, plain_share
from rtcprobe.report.words import say
from rtcprobe.result import Account, Result
from rtcprobe.verdict import goals
from rtcprobe.ways import Way

__all__ = ["MANY", "ear_lines", "latest_ways"]

_Ear = TypeVar("_Ear", Account, Account | None)

MANY = 12
"""Ways beyond which a screen has a row for the latest alone."""

_COLUMNS = 2
"""As many ways as have a column each; of more, each has a row."""


def ear_lines(result: Result, page: Page) -> Iterator[Text]:
    """Yield what was heard on every way: a column each, or a row each where there are more than columns."""
    ears = {way: result.mouth_to_ear.get(way) for way in result.ways}
    # Calls, not tries: a void or failed one was made again under its number.
    calls = len({each.call for each in result.calls if each.void is None and each.failed is None})
    title = say("Mouth to ear: {calls} calls, ms", calls=calls) if calls > 1 else say("Mouth to ear, ms")
    late = {each.direction: beyond(each.outcome) for each in goals(result) if each.direction is not None}
    # Three columns of figures with intervals and a bar do not fit 80 columns; from three ways on the eye compares rows.
    if len(ears) > _COLUMNS:
        yield from _in_rows(title, ears, late, page)
        return
    yield page.rule(title, list(map(arrow, ears)))
    heard = list(ears.values())
    if not any(heard):
        return
    for name in ("p50", "p95"):
        yield page.cells(f" {name} [95 %]", (_quantile(ear, name) for ear in heard))
    if any(way in late for way in ears):
        yield page.cells(" later than 100 ms [95 %]", (late.get(way, "-") for way in ears))
    yield page.cells(" heard, rejected, lost", (_markers(ear) for ear in heard))
    yield from _stages(heard, page)
    for title, read in (
        (" frames lost → not played", _unplayed),
        (" RED, FEC, NACK brought (+ms)", _copies),
        (" R, MOS talking, listening", _quality),
    ):
        # Rows that no way has anything in are left out: silence protection, an end without packets.
        found = [read(ear) for ear in heard]
        if any(found):
            yield page.cells(title, found)
    for sentence in plateau_sentences(ears.values()):
        yield from page.wrapped(sentence, indent=1)


def _stages(ears: Sequence[Account | None], page: Page) -> Iterator[Text]:
    stages = [{} if ear is None else ear.stages for ear in ears]
    if any(stages):
        yield from waterfall(stages, page)
        policies = dict.fromkeys("" if ear.playout is None else ear.playout.policy for ear in ears if ear is not None)
        told = say("sum (playout {policies})", policies=", ".join(policies))
        yield page.row(f" {told}", (sum(each.values()) for each in stages))


def _in_rows(title: str, ears: Mapping[Way, Account | None], late: Mapping[Way, str], page: Page) -> Iterator[Text]:
    """Yield a row each way: delays and fates, then losses and quality; and the stages of the soonest and the latest.

    Of more than ``MANY`` ways the latest have one.
    """
    every, ears = ears, latest_ways(ears)
    rows = [
        (arrow(way), [_quantile(ear, "p50"), _quantile(ear, "p95"), late.get(way, "-").partition(" ")[0], _fates(ear)])
        for way, ear in ears.items()
    ]
    yield from page.table(title, ("p50 [95 %]", "p95 [95 %]", ">100 ms", "lost"), rows)
    says = (("lost → not played", _unplayed), ("RED, FEC, NACK (+ms)", _copies), ("R, MOS, listening", _quality))
    told = [(head, [read(ear) for ear in ears.values()]) for head, read in says]
    told = [(head, cells) for head, cells in told if any(cells)]
    if told:
        cells = zip(*([each or "-" for each in column] for _, column in told), strict=True)
        heads = [head for head, _ in told]
        yield from page.table("Frames", heads, zip(map(arrow, ears), cells, strict=True))
    if len(ears) < len(every):
        few = say("the {few} latest of {all} ways; the page and the JSON have all", few=len(ears), all=len(every))
        yield Text(f" {few}")
    timed = sorted((ear for ear in every.values() if ear is not None and ear.stages), key=lambda ear: ear.total_s)
    if timed:
        # Where the soonest and the latest spend their time tells more than a mean of all.
        ends = [timed[0], timed[-1]] if len(timed) > 1 else timed
        yield page.rule("Mean, soonest and latest", [arrow(each.way) for each in ends])
        yield from _stages(ends, page)
    for sentence in plateau_sentences(ears.values()):
        yield from page.wrapped(sentence, indent=1)


def latest_ways(ears: Mapping[Way, _Ear]) -> Mapping[Way, _Ear]:
    """Return all ways; of too many the latest, and those never heard, in their order."""
    if len(ears) <= MANY:
        return ears
    # Those never heard first of all: infinitely late (``_total_s``).
    late = sorted(ears, key=lambda way: -_total_s(ears[way]))[:MANY]
    return {way: ear for way, ear in ears.items() if way in late}


def _total_s(ear: Account | None) -> float:
    return math.inf if ear is None or not ear.heard else ear.total_s


def _fates(ear: Account | None) -> str:
    if ear is None:
        return "-"
    rejected = f"+{ear.rejected}" if ear.rejected else ""
    return say("{part} of {whole}", part=f"{ear.lost}{rejected}", whole=ear.scheduled)


def _unplayed(ear: Account | None) -> str:
    """Return what the network lost, and what after playout and every recovery never came out."""
    found = None if ear is None else ear.protection
    if found is None or not found.sent:
        return ""
    # Negative where a copy came sooner than the buffer would have waited: the sign is said.
    cost = "" if found.cost_s is None else f" for {found.cost_s * 1e3:+.1f} ms"
    return f"{plain_share(found.loss.get('before'))}→{plain_share(found.unplayed)}{cost}"


def _copies(ear: Account | None) -> str:
    """Return how many frames each kind of copy brought back, and how much later than due; "" where none did."""
    found = None if ear is None else ear.protection
    if found is None:
        return ""
    kinds = (found.recovered_by_red, found.recovered_by_fec, found.recovered_by_nack)
    if not any(each.frames for each in kinds):
        return ""
    return ", ".join(
        f"{each.frames}" + ("" if each.later_p50_s is None else f" +{milliseconds(each.later_p50_s, 0)}")
        for each in kinds
    )


def _quality(ear: Account | None) -> str:
    """Return the E-model's figures; what they assume stands in the JSON."""
    found = None if ear is None else ear.quality
    return "" if found is None else f"{found.r:.1f}, {found.mos:.2f}, {found.listening_mos:.2f}"


def _quantile(ear: Account | None, name: str) -> str:
    found = None if ear is None or ear.summary is None else ear.summary.quantile(name)
    if found is None:
        return "-"
    if found.needs is not None:
        return say("needs {count} markers", count=found.needs)
    return f"{milliseconds(found.value)} {interval(found)}"


def _markers(ear: Account | None) -> str:
    if ear is None:
        return "-"
    return say("{part} of {whole}", part=f"{ear.heard}, {ear.rejected}, {ear.lost}", whole=ear.scheduled)
