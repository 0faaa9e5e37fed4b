"""The screen's part about links: a column each leg where there are two, a row each where there are more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.text import Text

from rtcprobe.report.ears import MANY
from rtcprobe.report.lines import COLUMNS
from rtcprobe.report.pages import Page
from rtcprobe.report.sentences import by_chance, milliseconds, plain_share
from rtcprobe.report.words import say
from rtcprobe.result import LinkReport, LinkSide
from rtcprobe.units import format_ratio

__all__ = ["link_lines"]

_COLUMNS = 2
"""As many legs as have a column each; of more, each has a row."""


def link_lines(
    title: str, reports: Sequence[LinkReport | None], columns: Sequence[str], *, width: int = COLUMNS
) -> Iterator[Text]:
    """Return what was asked of links and what they did, a column each."""
    page = Page(width)
    if len(reports) > _COLUMNS:
        yield from _in_rows(f"{say(title)}: {say('requested → achieved')}", reports, columns, page)
        return
    yield page.rule(f"{say(title)}: {say('requested → achieved')}", columns)
    for name, read in _LINK_ROWS:
        pairs = [[read(r.requested), read(r.achieved)] if r else ["-", "-"] for r in reports]
        # A row that neither side of any leg has: nothing reordered, nothing marked.
        if any(figure for pair in pairs for figure in pair):
            yield page.cells(name, ("→".join(pair) for pair in pairs))
        if read is _loss and any(map(by_chance, reports)):
            yield page.cells(" is that chance? [95 %]", map(by_chance, reports))
    drops = [{} if r is None else r.achieved.drops for r in reports]
    if any(drops):
        said = (", ".join(f"{count:,} {say(cause)}" for cause, count in each.items()) or say("none") for each in drops)
        yield page.cells(" drops by cause", said)


def _in_rows(title: str, reports: Sequence[LinkReport | None], names: Sequence[str], page: Page) -> Iterator[Text]:
    """Yield a row each leg; below them which losses chance does not make of what was asked, and what was dropped.

    Of more than ``MANY`` legs those of the longest delays have one.
    """
    if len(reports) > MANY:
        # By place, as two legs may have equal names in a relay's report.
        longest = sorted(range(len(reports)), key=lambda place: -_p95_s(reports[place]))[:MANY]
        kept = sorted(longest)
        told = say("{title}, {few} longest of {all}", title=title, few=MANY, all=len(reports))
        yield from _in_rows(told, [reports[place] for place in kept], [names[place] for place in kept], page)
        return
    columns = []
    for name, read in _LINK_ROWS:
        pairs = [[read(r.requested), read(r.achieved)] if r else ["-", "-"] for r in reports]
        if any(figure for pair in pairs for figure in pair):
            columns.append((name.strip().removesuffix(" (mean burst, packets)"), ["→".join(pair) for pair in pairs]))
    rows = zip(names, zip(*(cells for _, cells in columns), strict=True), strict=True)
    yield from page.table(title, [head for head, _ in columns], rows)
    dropped, unlikely = [], []
    for name, report in zip(names, reports, strict=True):
        drops = {} if report is None else report.achieved.drops
        dropped += [f"{name} {', '.join(f'{count:,} {say(cause)}' for cause, count in drops.items())}"] if drops else []
        # Only what chance does not make of it: in a room of forty legs all "yes" would be a page of them.
        chance, _, spread = by_chance(report).partition(" ")
        unlikely += [f"{name} {spread}"] if chance == say("no") else []
    if unlikely:
        told = say("chance loses as asked less than once in twenty: {legs}", legs="; ".join(unlikely))
        yield from page.wrapped(told, indent=1)
    if dropped:
        yield from page.wrapped(say("drops by cause: {legs}", legs="; ".join(dropped)), indent=1)


def _p95_s(report: LinkReport | None) -> float:
    return 0.0 if report is None else report.achieved.delay_p95_s or 0.0


def _loss(side: LinkSide) -> str:
    return plain_share(side.loss) + ("" if side.mean_burst is None else f" ({side.mean_burst:.1f})")


def _delays(side: LinkSide) -> str:
    return "/".join(map(milliseconds, (side.delay_p50_s, side.delay_p95_s)))


def _reordered(side: LinkSide) -> str:
    return format_ratio(side.reordered) if side.reordered else ""


def _marked(side: LinkSide) -> str:
    return format_ratio(side.marked) if side.marked else ""


_LINK_ROWS: tuple[tuple[str, Callable[[LinkSide], str]], ...] = (
    (" loss (mean burst, packets)", _loss),
    (" delay p50/p95, ms", _delays),
    (" reordered", _reordered),
    (" marked (ECN)", _marked),
)
