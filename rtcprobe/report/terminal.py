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
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from rtcprobe.report.browsers import browser_words
from rtcprobe.report.ears import ear_lines
from rtcprobe.report.lead import lead, out_of_reach
from rtcprobe.report.lines import COLUMNS, STYLES, cell_width, padded, print_lines, width_of
from rtcprobe.report.link_lines import link_lines
from rtcprobe.report.messages import message_lines
from rtcprobe.report.pages import Page, waterfall
from rtcprobe.report.room import named_lines, room_lines
from rtcprobe.report.sentences import (
    attribution,
    beyond,
    interval,
    link_arrow,
    milliseconds,
    slowest,
    typical,
)
from rtcprobe.report.sights import first_picture_told, sight_lines
from rtcprobe.report.turns import conversation, turn_lines
from rtcprobe.report.words import retold, say
from rtcprobe.result import BudgetOutcome, Join, Result, Summary
from rtcprobe.verdict import goals
from rtcprobe.verdict.budgets import written

__all__ = ["print_result", "screen"]


# key = stem "_p" 1*DIGIT "_s"      loop_lag_p95_s: three such figures of ``Instrument.figures`` are one word here
_QUANTILE_KEY = re.compile(r"_p\d+_s$")
_ROUND_TRIPS = (("RTCP round trip", "rtcp_round_trip_s"), ("STUN round trip", "stun_round_trip_s"))
"""What a peer heard of the distance, the first known one shown: who only listens gets no report about itself."""


def print_result(result: Result, console: Console) -> None:
    """Print the final screen of ``result``, as wide as ``console`` has room for."""
    print_lines(screen(result, width_of(console)), console)


def screen(result: Result, width: int = COLUMNS) -> list[Text]:
    """Return the lines of the final screen, of at most ``width`` characters."""
    page = Page(width)
    lines = [*_head(result, page), *_join(result, page), *room_lines(result, page), *named_lines(result, page)]
    # In a conversation nobody speaks markers: its answers stand where ears would.
    lines += turn_lines(result, page) if conversation(result) else ear_lines(result, page)
    lines += [*sight_lines(result, page), *message_lines(result, page)]
    lines += [*_peers(result, page), *_link(result, page), *_harness(result, page), *_budgets(result.budgets, page)]
    for line in lines:
        # Rule 3's last resort: names of people's own that fit nowhere.
        line.truncate(width, overflow="ellipsis")
    return lines


def _head(result: Result, page: Page) -> Iterator[Text]:
    verdict = say(result.verdict).upper()
    about = f"{say('seed {seed}', seed=result.seed)} · {say(result.instrument)} · "
    room = page.width - cell_width(verdict) - len(result.scenario) - cell_width(about) - 4
    # A longer name has a row of its own.
    # Of a URL too long for the line its scheme says what kind of target it was; the section below has it whole.
    about += result.target if len(result.target) <= room else result.target.partition("://")[0]
    gap = page.width - cell_width(verdict) - 2 - len(result.scenario) - cell_width(about)
    yield Text.assemble(
        (verdict, STYLES[result.verdict]), "  ", (result.scenario, "bold"), " " * max(gap, 2), (about, "dim")
    )
    yield from page.wrapped(lead(result), indent=0, style="bold")
    judged = tuple(each.expression for each in result.budgets)  # these reasons stand beside their budgets
    told = [each for each in result.reasons if not (judged and each.startswith(judged))]
    told = [*map(retold, told), *(say("warning: {text}", text=retold(each)) for each in result.warnings)]
    told += out_of_reach(goals(result))
    for each in told:
        yield from page.wrapped(each, indent=2)


def _is_dead(result: Result) -> bool:
    """Return whether every join failed; then the reasons say how."""
    attempts = result.join.attempts
    return bool(attempts) and result.verdict != "invalid" and all(each.first_audio_s is None for each in attempts)


def _join(result: Result, page: Page) -> Iterator[Text]:
    attempts = result.join.attempts
    # The model makes no joins: an empty section would look like a failure.
    if not attempts and result.engine == "model":
        return
    heard = sum(each.first_audio_s is not None for each in attempts)
    middle, last = typical(attempts), slowest(attempts)
    title = say("Join: {heard} of {total} heard, ms", heard=heard, total=len(attempts))
    yield page.rule(title, _titles(attempts, middle, last))
    summary = result.join.summary.get("first_audio")
    if summary is not None and heard:
        yield Text(f" {say('first audio')}  {'   '.join(_said(summary, name) for name in ('p50', 'p95'))}")
    picture = first_picture_told(attempts)
    if picture:
        yield from page.wrapped(picture, indent=1)
    for goal in goals(result):
        # The join's own; those of ears stand in their columns.
        if goal.direction is None and goal.outcome.value is not None:
            word = "out of reach" if goal.out_of_reach else goal.outcome.verdict
            share = say(
                "later than {limit:g} ms: {share} of {count} joins (goal 5%): {word}",
                limit=goal.limit_s * 1e3,
                share=beyond(goal.outcome),
                count=goal.of,
                word=say(word),
            )
            yield Text(f" {share}")
    if middle is not None and last is not None:
        yield from _phases(middle, last, page)
        told = attribution(last)
        if told is not None:
            yield from page.wrapped(say("slowest: {told}", told=told), indent=1, style="bold")
    failed = [each.failed for each in attempts if each.failed is not None]
    if failed and not _is_dead(result):
        steps = ", ".join(f"{name} ({failed.count(name)})" for name in dict.fromkeys(failed))
        yield from page.wrapped(say("gave up: {steps}", steps=steps), indent=1, style="bold")


def _titles(attempts: Sequence[Join], *shown: Join | None) -> list[str]:
    """Return what the columns of two joins are called: where several parties join, whose each is."""
    several = len({each.party for each in attempts}) > 1
    names = [f": {each.party}" if several and each is not None else "" for each in shown]
    return [f"{say(title)}{name}" for title, name in zip(("typical", "slowest"), names, strict=True)]


def _phases(middle: Join, last: Join, page: Page) -> Iterator[Text]:
    yield from waterfall([middle.phases, last.phases], page)
    rtts = ("" if each.rtts is None else f"{each.rtts:.1f}" for each in (middle, last))
    trips = say(" and ").join(filter(None, rtts))
    title = say("total ({trips} round trips)", trips=trips) if trips else say("total")
    yield page.row(f" {title}", (each.first_audio_s or 0.0 for each in (middle, last)))


def _peers(result: Result, page: Page) -> Iterator[Text]:
    """Say what an outside target agreed on with each peer of ours."""
    # Of both ends ours there is nothing negotiated that the scenario did not say.
    if not any(result.parties.values()):
        return
    yield page.rule(say("Target: {target}", target=result.target))
    for name, peer in result.parties.items():
        said = [str(peer[key]) for key in ("pair", "dtls", "codec") if peer.get(key)]
        offered = peer.get("candidates") or {}
        if len(offered) > 1:  # else the pair tells
            said.insert(0, f"offered {' and '.join(offered)}")
        if peer.get("codec"):
            # Only with a codec agreed on: without one no protection is no finding.
            said += [word.upper() for word in ("fec", "red", "nack") if peer.get(word)] or ["no protection"]
        timed = [(title, peer[key]) for title, key in _ROUND_TRIPS if peer.get(key) is not None][:1]
        said += [f"{title} {milliseconds(seconds)} ms" for title, seconds in timed]
        said += browser_words(peer)
        count = peer.get("unexpected_source_packets")
        said += [f"{count:,} packets of a stranger"] if count else []
        if said:
            yield from page.wrapped(f"{name}: {', '.join(said)}", indent=1)


def _link(result: Result, page: Page) -> Iterator[Text]:
    if result.link:
        arrows = [link_arrow(result, leg) for leg in result.link]
        yield from link_lines("Link", list(result.link.values()), arrows, width=page.width)


_HARNESS = {
    "detection_error": "detection",
    "emulator_late": "emulator",
    "pacing_late": "pacing",
    "join_cpu": "CPU a join",
}


def _harness(result: Result, page: Page) -> Iterator[Text]:
    groups: dict[str, list[str]] = {}
    for key, value in result.harness.figures().items():
        stem, quantile = _QUANTILE_KEY.sub("", key), _QUANTILE_KEY.search(key)
        word = say(value) if isinstance(value, str) else milliseconds(value, 2)
        groups.setdefault(stem if quantile else key.removesuffix("_s"), []).append(word)
    said = [f"{say(_HARNESS.get(name, name.replace('_', ' ')))} {'/'.join(each)}" for name, each in groups.items()]
    title = say("Harness, ms") + (", p50/p95/p99" if any(len(each) == 3 for each in groups.values()) else "")
    # One line where it fits: of an instrument that was in time nobody wants to read more.
    if cell_width(title) + sum(cell_width(each) + 2 for each in said) < page.width - 5:
        yield page.rule(f"{title}: {', '.join(said)}")
    else:
        yield page.rule(title)
        whole = [each.replace(" ", "\0") for each in said]  # lines break between figures, not within one
        for line in textwrap.wrap(", ".join(whole), page.width - 1, break_long_words=False, break_on_hyphens=False):
            yield Text(f" {line}".replace("\0", " "))


def _budgets(outcomes: tuple[BudgetOutcome, ...], page: Page) -> Iterator[Text]:
    if not outcomes:
        yield page.rule("Budgets: none given")
        return
    yield page.rule("Budgets")
    # What needs a look first, what binds before what advises.
    order = ("missed", "inconclusive", "undecided", "met")
    for outcome in sorted(outcomes, key=lambda each: (order.index(each.verdict), each.advisory)):
        line = _budget(outcome)
        because = retold(outcome.reason)
        reason = f": {because}" if because else ""
        if line.cell_len + len(reason) <= page.width:
            yield line.append(reason)
        else:
            yield line
            yield from page.wrapped(because, indent=15, style="dim")


def _budget(outcome: BudgetOutcome) -> Text:
    if outcome.value is None:
        value = ""
    elif outcome.unit == "s":
        value = say(" is {value}", value=f"{milliseconds(outcome.value)} ms")
    else:
        value = say(" is {value}", value=written(outcome.value, outcome.unit))
    note = say(" (advisory)") if outcome.advisory else ""
    verdict = (padded(f" {say(outcome.verdict)}", 14), STYLES.get(outcome.verdict, "yellow"))
    return Text.assemble(verdict, f"{outcome.expression}{note}{value}")


def _said(summary: Summary, name: str) -> str:
    found = summary.quantile(name)
    if found is None:
        return f"{name} -"
    if found.needs is not None:
        return say("{name} needs {needs} joins, {made} made", name=name, needs=found.needs, made=summary.n)
    if found.value is None:
        return say("{name} never ({never} of {count} failed)", name=name, never=summary.never, count=summary.n)
    return f"{name} {milliseconds(found.value)} ms {interval(found)}"
