"""The final screen: verdict, what was found in a sentence, join, mouth to ear, link, harness, budgets.

Rules:
    1. Colour repeats what words already say; without colour, and in ASCII, nothing is lost.
    2. A percentile stands beside its interval; one that was refused says what it needs.
    3. Which rows there are depends on what was measured, never on the terminal: nothing said is cut where it can be
       wrapped, and a wider terminal (to 120 columns) gets longer bars and sentences, not other rows.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from rtcprobe.report import lines as plain
from rtcprobe.report.lead import lead, out_of_reach
from rtcprobe.report.lines import COLUMNS, STYLES, print_lines, width_of
from rtcprobe.report.sentences import (
    arrow,
    attribution,
    beyond,
    by_chance,
    interval,
    link_arrow,
    milliseconds,
    slowest,
    typical,
)
from rtcprobe.report.turns import conversation, turn_lines
from rtcprobe.result import Account, BudgetOutcome, JoinAttempt, LinkReport, Result, Summary
from rtcprobe.units import format_ratio
from rtcprobe.verdict import goals
from rtcprobe.verdict.budgets import written

__all__ = ["link_lines", "print_result", "screen"]


_NAME = 18
_CELL = 25
"""As wide as a column of figures is, its gap included."""
_SHORTEST_BAR = 8
_QUANTILE_KEY = re.compile(r"_p\d+_s$")
_ROUND_TRIPS = (("RTCP round trip", "rtcp_round_trip_s"), ("STUN round trip", "stun_round_trip_s"))
"""What a peer heard of the distance, the first known one shown: who only listens gets no report about itself."""
_SHOWN_S = 5e-5  # less would read 0.0 ms
_SMALL = 0.005
"""Phases and stages below this share of the total in every column are shown as one, ``other``."""


@dataclass(frozen=True, slots=True)
class _Page:
    """How wide the screen is, and so where its columns of figures end."""

    width: int = COLUMNS

    def edges(self, columns: int) -> tuple[int, ...]:
        """Return where each of so many columns ends."""
        each = min(_CELL, (self.width - _NAME) // max(columns, 1))
        return tuple(self.width - 1 - each * (columns - 1 - index) for index in range(columns))

    def rule(self, title: str, columns: Sequence[str] = ()) -> Text:
        """Return a line across with titles of columns."""
        return plain.rule(title, columns, edges=self.edges(len(columns)), width=self.width)

    def cells(self, title: str, columns: Iterable[str]) -> Text:
        """Return a title and its columns."""
        found = list(columns)
        return plain.cells(title, found, edges=self.edges(len(found)))

    def row(self, title: str, seconds: Iterable[float]) -> Text:
        """Return a title and a column of milliseconds each."""
        return self.cells(title, (milliseconds(each) for each in seconds))

    def wrapped(self, text: str, *, indent: int, style: str = "") -> list[Text]:
        """Return a sentence, whole."""
        return plain.wrapped(text, indent=indent, style=style, width=self.width)


def print_result(result: Result, console: Console) -> None:
    """Print the final screen of ``result``, as wide as ``console`` has room for."""
    print_lines(screen(result, width_of(console)), console)


def screen(result: Result, width: int = COLUMNS) -> list[Text]:
    """Return the lines of the final screen, of at most ``width`` characters."""
    page = _Page(width)
    lines = [*_head(result, page), *_join(result, page)]
    lines += [
        *(
            turn_lines(result, page, lambda each: _waterfall(each, page))
            if conversation(result)
            else _mouth_to_ear(result, page)
        )
    ]
    lines += [*_peers(result, page), *_link(result, page), *_harness(result, page), *_budgets(result.budgets, page)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _head(result: Result, page: _Page) -> Iterator[Text]:
    verdict = result.verdict.upper()
    about = f"seed {result.seed} · {result.instrument} · "
    room = page.width - len(verdict) - len(result.scenario) - len(about) - 4
    # A longer name has a row of its own.
    about += result.target if len(result.target) <= room else result.target.partition("://")[0]
    gap = page.width - len(verdict) - 2 - len(result.scenario) - len(about)
    yield Text.assemble(
        (verdict, STYLES[result.verdict]), "  ", (result.scenario, "bold"), " " * max(gap, 2), (about, "dim")
    )
    yield from page.wrapped(lead(result), indent=0, style="bold")
    judged = tuple(each.expression for each in result.budgets)  # these reasons stand beside their budgets
    told = [each for each in result.reasons if not (judged and each.startswith(judged))]
    told += [f"warning: {each}" for each in result.warnings]
    told += out_of_reach(goals(result))
    for each in told:
        yield from page.wrapped(each, indent=2)


def _is_dead(result: Result) -> bool:
    """Return whether every join failed; then the reasons say how."""
    attempts = result.join.attempts
    return bool(attempts) and result.verdict != "invalid" and all(each.first_audio_s is None for each in attempts)


def _join(result: Result, page: _Page) -> Iterator[Text]:
    attempts = result.join.attempts
    if not attempts and result.engine == "model":
        return
    heard = sum(each.first_audio_s is not None for each in attempts)
    yield page.rule(f"Join: {heard} of {len(attempts)} heard, ms", ("typical", "slowest"))
    summary = result.join.summary.get("first_audio")
    if summary is not None and heard:
        yield Text(f" first audio  {'   '.join(_said(summary, name) for name in ('p50', 'p95'))}")
    for goal in goals(result):
        if goal.direction is None and goal.outcome.value is not None:
            said = f"{beyond(goal.outcome)} of {goal.of} joins"
            word = "out of reach" if goal.out_of_reach else goal.outcome.verdict
            yield Text(f" later than {goal.limit_s * 1e3:g} ms: {said} (goal 5%): {word}")
    middle, last = typical(attempts), slowest(attempts)
    if middle is not None and last is not None:
        yield from _phases(middle, last, page)
        told = attribution(last)
        if told is not None:
            yield from page.wrapped(f"slowest: {told}", indent=1, style="bold")
    failed = [each.failed for each in attempts if each.failed is not None]
    if failed and not _is_dead(result):
        steps = ", ".join(f"{name} ({failed.count(name)})" for name in dict.fromkeys(failed))
        yield from page.wrapped(f"gave up: {steps}", indent=1, style="bold")


def _phases(middle: JoinAttempt, last: JoinAttempt, page: _Page) -> Iterator[Text]:
    yield from _waterfall([middle.phases, last.phases], page)
    rtts = ("" if each.rtts is None else f"{each.rtts:.1f}" for each in (middle, last))
    trips = " and ".join(filter(None, rtts))
    title = f" total ({trips} round trips)" if trips else " total"
    yield page.row(title, (each.first_audio_s or 0.0 for each in (middle, last)))


def _mouth_to_ear(result: Result, page: _Page) -> Iterator[Text]:
    ears = [result.mouth_to_ear.get(way) for way in result.measures]
    calls = len({each.call for each in result.calls if each.void is None and each.failed is None})
    title = f"Mouth to ear: {calls} calls, ms" if calls > 1 else "Mouth to ear, ms"
    yield page.rule(title, [arrow(way) for way in result.measures])
    if not any(ears):
        return
    for name in ("p50", "p95"):
        yield page.cells(f" {name} [95 %]", (_quantile(ear, name) for ear in ears))
    late = {each.direction: each for each in goals(result)}
    late_ones = [late[way].outcome if way in late else None for way in result.measures]
    if any(late_ones):
        yield page.cells(" later than 100 ms [95 %]", ("-" if each is None else beyond(each) for each in late_ones))
    yield page.cells(" heard, rejected, lost", (_markers(ear) for ear in ears))
    stages = [{} if ear is None else ear.stages for ear in ears]
    if any(stages):
        yield from _waterfall(stages, page)
        policies = dict.fromkeys("" if ear.playout is None else ear.playout.policy for ear in ears if ear is not None)
        yield page.row(f" sum (playout {', '.join(policies)})", (sum(each.values()) for each in stages))
    for title, say in (
        (" frames lost → not played", _unplayed),
        (" RED, FEC, NACK brought (+ms)", _copies),
        (" R, MOS talking, listening", _quality),
    ):
        found = [say(ear) for ear in ears]
        if any(found):
            yield page.cells(title, found)


def _peers(result: Result, page: _Page) -> Iterator[Text]:
    """Say what an outside target agreed on with each peer of ours."""
    if not result.peers:
        return
    yield page.rule(f"Target: {result.target}")
    for name, peer in result.peers.items():
        said = [str(peer[key]) for key in ("pair", "dtls", "codec") if peer.get(key)]
        offered = peer.get("candidates") or {}
        if len(offered) > 1:  # else the pair tells
            said.insert(0, f"offered {' and '.join(offered)}")
        if peer.get("codec"):
            said += [word.upper() for word in ("fec", "red", "nack") if peer.get(word)] or ["no protection"]
        timed = [(title, peer[key]) for title, key in _ROUND_TRIPS if peer.get(key) is not None][:1]
        timed += [("mouth to ear", peer[key]) for key in ("mouth_to_ear_mean_s",) if peer.get(key) is not None]
        said += [f"{title} {milliseconds(seconds)} ms" for title, seconds in timed]
        count = peer.get("unexpected_source_packets")
        said += [f"{count:,} packets of a stranger"] if count else []
        if said:
            yield from page.wrapped(f"{name}: {', '.join(said)}", indent=1)


def _link(result: Result, page: _Page) -> Iterator[Text]:
    if result.link:
        arrows = [link_arrow(result, leg) for leg in result.link]
        yield from link_lines("Link", list(result.link.values()), arrows, width=page.width)


def link_lines(
    title: str, reports: Sequence[LinkReport | None], columns: Sequence[str], *, width: int = COLUMNS
) -> Iterator[Text]:
    """Return what was asked of links and what they did, a column each."""
    page = _Page(width)
    yield page.rule(f"{title}: requested → achieved", columns)
    for name, say in _LINK_ROWS:
        pairs = [[say(r.requested), say(r.achieved)] if r else ["-", "-"] for r in reports]
        if any(figure for pair in pairs for figure in pair):
            yield page.cells(name, ("→".join(pair) for pair in pairs))
        if say is _loss and any(map(by_chance, reports)):
            yield page.cells(" is that chance? [95 %]", map(by_chance, reports))
    drops = [{} if r is None else r.achieved.get("drops", {}) for r in reports]
    if any(drops):
        said = (", ".join(f"{count:,} {cause}" for cause, count in each.items()) or "none" for each in drops)
        yield page.cells(" drops by cause", said)


def _loss(side: Mapping[str, Any]) -> str:
    burst = side.get("mean_burst")
    return _share(side.get("loss")) + ("" if burst is None else f" ({burst:.1f})")


def _share(ratio: float | None) -> str:
    return "-" if ratio is None else format_ratio(ratio)


def _delays(side: Mapping[str, Any]) -> str:
    return "/".join(milliseconds(side.get(key)) for key in ("delay_p50_s", "delay_p95_s"))


def _reordered(side: Mapping[str, Any]) -> str:
    return format_ratio(side["reordered"]) if side.get("reordered") else ""


def _marked(side: Mapping[str, Any]) -> str:
    return format_ratio(side["marked"]) if side.get("marked") else ""


_LINK_ROWS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    (" loss (mean burst, packets)", _loss),
    (" delay p50/p95, ms", _delays),
    (" reordered", _reordered),
    (" marked (ECN)", _marked),
)


def _unplayed(ear: Account | None) -> str:
    """Return what the network lost, and what after playout and every recovery never came out."""
    found = None if ear is None else ear.protection
    if found is None or not found.sent:
        return ""
    cost = "" if found.cost_s is None else f" for {found.cost_s * 1e3:+.1f} ms"
    return f"{_share(found.loss.get('before'))}→{_share(found.unplayed)}{cost}"


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


_HARNESS = {
    "detection_error": "detection",
    "emulator_late": "emulator",
    "pacing_late": "pacing",
    "join_cpu": "CPU a join",
}


def _harness(result: Result, page: _Page) -> Iterator[Text]:
    groups: dict[str, list[str]] = {}
    for key, value in result.harness.items():
        stem, quantile = _QUANTILE_KEY.sub("", key), _QUANTILE_KEY.search(key)
        word = value if isinstance(value, str) else milliseconds(value, 2)
        groups.setdefault(stem if quantile else key.removesuffix("_s"), []).append(word)
    said = [f"{_HARNESS.get(name, name.replace('_', ' '))} {'/'.join(each)}" for name, each in groups.items()]
    title = "Harness, ms" + (", p50/p95/p99" if any(len(each) == 3 for each in groups.values()) else "")
    if len(title) + sum(len(each) + 2 for each in said) < page.width - 5:
        yield page.rule(f"{title}: {', '.join(said)}")
    else:
        yield page.rule(title)
        whole = [each.replace(" ", "\0") for each in said]  # lines break between figures, not within one
        for line in textwrap.wrap(", ".join(whole), page.width - 1, break_long_words=False, break_on_hyphens=False):
            yield Text(f" {line}".replace("\0", " "))


def _budgets(outcomes: tuple[BudgetOutcome, ...], page: _Page) -> Iterator[Text]:
    if not outcomes:
        yield page.rule("Budgets: none given")
        return
    yield page.rule("Budgets")
    order = ("missed", "inconclusive", "undecided", "met")
    for outcome in sorted(outcomes, key=lambda each: (order.index(each.verdict), each.advisory)):
        line = _budget(outcome)
        reason = f": {outcome.reason}" if outcome.reason else ""
        if len(line) + len(reason) <= page.width:
            yield line.append(reason)
        else:
            yield line
            yield from page.wrapped(outcome.reason, indent=15, style="dim")


def _budget(outcome: BudgetOutcome) -> Text:
    if outcome.value is None:
        value = ""
    elif outcome.unit == "s":
        value = f" is {milliseconds(outcome.value)} ms"
    else:
        value = f" is {written(outcome.value, outcome.unit)}"
    note = " (advisory)" if outcome.advisory else ""
    verdict = (f" {outcome.verdict:<13}", STYLES.get(outcome.verdict, "yellow"))
    return Text.assemble(verdict, f"{outcome.expression}{note}{value}")


def _said(summary: Summary, name: str) -> str:
    found = summary.quantile(name)
    if found is None:
        return f"{name} -"
    if found.needs is not None:
        return f"{name} needs {found.needs} joins, {summary.n} made"
    if found.value is None:
        return f"{name} never ({summary.never} of {summary.n} failed)"
    return f"{name} {milliseconds(found.value)} ms {interval(found)}"


def _quantile(ear: Account | None, name: str) -> str:
    found = None if ear is None or ear.summary is None else ear.summary.quantile(name)
    if found is None:
        return "-"
    if found.needs is not None:
        return f"needs {found.needs} markers"
    return f"{milliseconds(found.value)} {interval(found)}"


def _markers(ear: Account | None) -> str:
    return "-" if ear is None else f"{ear.heard}, {ear.rejected}, {ear.lost} of {ear.scheduled}"


def _waterfall(columns: list[Mapping[str, float]], page: _Page) -> Iterator[Text]:
    """One row a phase or stage: a bar where the first column spends it, and every column's milliseconds."""
    totals = [sum(each.values()) for each in columns]
    names = list(dict.fromkeys(name for each in columns for name in each))
    small = [
        name
        for name in names
        if all(abs(each.get(name, 0.0)) <= _SMALL * total for each, total in zip(columns, totals, strict=True))
    ]
    rows = [(name.replace("_", " "), [each.get(name, 0.0) for each in columns]) for name in names if name not in small]
    if any(abs(sum(each.get(name, 0.0) for name in small)) >= _SHOWN_S for each in columns):
        rows.append(("other", [sum(each.get(name, 0.0) for name in small) for each in columns]))
    drawn = 0 if columns[0] else 1
    whole, begin = max(totals[drawn], 1e-9), 0.0
    name_room = max([_NAME, *(len(title) + 1 for title, _ in rows)])
    room = page.edges(len(columns))[0] - 9 - name_room  # of a figure such as 12,345.6 before the first edge
    for title, values in rows:
        length = max(values[drawn], 0.0)
        bar = _bar(begin / whole, (begin + length) / whole, room) if room >= _SHORTEST_BAR else ""
        begin += length
        yield page.row(f" {title:<{name_room}}{bar}", values)


def _bar(start: float, end: float, room: int) -> str:
    """Return a bar from ``start`` to ``end`` (shares of ``room`` cells) in half characters; never empty."""
    first, last = round(start * room * 2), round(end * room * 2)
    last = max(last, first + 1)
    pad, odd = divmod(first, 2)
    if odd:  # there is no right half at the start of a bar that would not look like a gap: begin on the full cell
        first -= 1
    cells, half = divmod(last - first, 2)
    return (" " * pad + "█" * cells + "▌" * half)[:room].ljust(room)
