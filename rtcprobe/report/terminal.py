"""The final screen, made for 80 columns and 40 rows: verdict, join, mouth to ear, link, harness, budgets.

Rules:
    1. Colour repeats what words already say; without colour, and in ASCII, nothing is lost.
    2. A percentile stands beside its interval; one that was refused says what it needs.
    3. What does not fit is budgets that were met: they are counted, and the JSON has them all.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from rtcprobe.report.lines import COLUMNS, ROWS, STYLES, cells, print_lines, rule, wrapped
from rtcprobe.report.sentences import ARROWS, attribution, interval, link_arrow, milliseconds, slowest, typical
from rtcprobe.result import WAYS, BudgetOutcome, JoinAttempt, LinkReport, MouthToEar, Result, Summary
from rtcprobe.units import format_ratio
from rtcprobe.verdict.budgets import written

__all__ = ["COLUMNS", "ROWS", "print_result", "screen"]


_NAME = 18
_BAR = 27
_EDGES = (54, 79)
"""Where the two columns of figures end."""
_QUANTILE_KEY = re.compile(r"_p\d+_s$")
_REASON_ROWS = 3
_FAULT_ROWS = 12
"""For the reasons of a run that heard nothing: what went wrong, and the cure, are all there is to read."""
_ROUND_TRIPS = (("RTCP round trip", "rtcp_round_trip_s"), ("STUN round trip", "stun_round_trip_s"))
"""What a peer heard of the distance, the first known one shown: who only listens gets no report about itself."""
_SHOWN_S = 5e-5  # less would read 0.0 ms
_SPARE = (" drops by cause", " stock aiortc")
"""Rows that go so that every budget is seen, least missed first; the JSON has them all."""
_SPARE_TOO = (" reordered", " R, MOS", " frames lost", " RED, FEC")
"""Rows that go so that any budget is seen."""
_FEWEST = 3
"""Rows that budgets always have: their title, the worst of them, and how many more there are."""
_SMALL = (0.005, 0.02, 0.05, 0.1, 0.2)
"""Phases and stages below this share of the total in every column are shown as one, ``other``; the later shares are
for screens too full otherwise."""


def print_result(result: Result, console: Console) -> None:
    """Print the final screen of ``result``."""
    print_lines(screen(result), console)


def screen(result: Result) -> list[Text]:
    """Return the lines of the final screen, at most ``ROWS`` of at most ``COLUMNS`` characters."""
    wanted = len(result.budgets) + 1
    fewest = min(wanted, _FEWEST)
    lines: list[Text] = []
    for small in _SMALL:
        lines = [*_head(result), *_join(result, small), *_mouth_to_ear(result, small)]
        lines += [*_peers(result), *_link(result), *_harness(result)]
        lines = _without(_SPARE_TOO, _without(_SPARE, lines, ROWS - wanted), ROWS - fewest)
        if len(lines) + fewest <= ROWS:
            break
    lines = lines[: ROWS - fewest]
    lines += _budgets(result.budgets, ROWS - len(lines))
    for line in lines:
        line.truncate(COLUMNS, overflow="ellipsis")
    return lines


def _without(spares: Iterable[str], lines: list[Text], rows: int) -> list[Text]:
    """Return ``lines`` without as many of the rows that begin like ``spares`` as it takes to fit ``rows``."""
    for spare in spares:
        if len(lines) > rows:
            lines = [line for line in lines if not line.plain.startswith(spare)]
    return lines


def _head(result: Result) -> Iterator[Text]:
    verdict = result.verdict.upper()
    about = f"seed {result.seed} · {result.clock} clock · "
    room = COLUMNS - len(verdict) - len(result.scenario) - len(about) - 4
    # A longer name has a row of its own.
    about += result.target if len(result.target) <= room else result.target.partition("://")[0]
    gap = COLUMNS - len(verdict) - 2 - len(result.scenario) - len(about)
    yield Text.assemble(
        (verdict, STYLES[result.verdict]), "  ", (result.scenario, "bold"), " " * max(gap, 2), (about, "dim")
    )
    judged = tuple(each.expression for each in result.budgets)  # these reasons stand beside their budgets
    told = [each for each in result.reasons if not each.startswith(judged)]
    told += [f"warning: {each}" for each in result.warnings]
    dead = _is_dead(result)
    rows = _FAULT_ROWS if dead else _REASON_ROWS
    lines = [line for each in told for line in wrapped(each, indent=2, most=rows if dead else 2)]
    yield from lines[:rows]
    if len(lines) > rows:
        yield Text("  … and more (see --json)")


def _is_dead(result: Result) -> bool:
    """Return whether every join failed; then the reasons say how."""
    attempts = result.join.attempts
    return bool(attempts) and result.verdict != "invalid" and all(each.first_audio_s is None for each in attempts)


def _rule(title: str, *columns: str) -> Text:
    return rule(title, columns, edges=_EDGES)


def _join(result: Result, small: float) -> Iterator[Text]:
    attempts = result.join.attempts
    heard = sum(each.first_audio_s is not None for each in attempts)
    yield _rule(f"Join: {heard} of {len(attempts)} heard, ms", "typical", "slowest")
    summary = result.join.summary.get("first_audio")
    if summary is not None and heard:
        yield Text(f" first audio  {'   '.join(_said(summary, name) for name in ('p50', 'p95'))}")
    middle, last = typical(attempts), slowest(attempts)
    if middle is not None and last is not None:
        yield from _phases(middle, last, small)
        told = attribution(last)
        if told is not None:
            yield from wrapped(f"slowest: {told}", indent=1, style="bold")
    failed = [each.failed for each in attempts if each.failed is not None]
    if failed and not _is_dead(result):
        steps = ", ".join(f"{name} ({failed.count(name)})" for name in dict.fromkeys(failed))
        yield from wrapped(f"gave up: {steps}", indent=1, style="bold")


def _phases(middle: JoinAttempt, last: JoinAttempt, small: float) -> Iterator[Text]:
    yield from _waterfall([middle.phases, last.phases], small)
    rtts = ("" if each.rtts is None else f"{each.rtts:.1f}" for each in (middle, last))
    trips = " and ".join(filter(None, rtts))
    title = f" total ({trips} round trips)" if trips else " total"
    yield _row(title, (each.first_audio_s or 0.0 for each in (middle, last)))


def _mouth_to_ear(result: Result, small: float) -> Iterator[Text]:
    ears = [result.mouth_to_ear.get(direction) for direction in result.measures]
    yield _rule("Mouth to ear, ms", *(ARROWS[direction] for direction in result.measures))
    if not any(ears):
        return
    for name in ("p50", "p95"):
        yield _cells(f" {name} [95 %]", (_quantile(ear, name) for ear in ears))
    yield _cells(" heard, rejected, lost", (_markers(ear) for ear in ears))
    stages = [{} if ear is None else ear.stages for ear in ears]
    if any(stages):
        yield from _waterfall(stages, small)
        policies = dict.fromkeys(str(ear.playout.get("policy", "")) for ear in ears if ear is not None)
        yield _row(f" sum (playout {', '.join(policies)})", (sum(each.values()) for each in stages))
    for title, say in (
        (" frames lost → not played", _unplayed),
        (" RED, FEC, NACK brought (+ms)", _copies),
        (" R, MOS talking, listening", _quality),
        (" stock aiortc p50/p95, misses", _stock),
    ):
        cells = [say(ear) for ear in ears]
        if any(cells):
            yield _cells(title, cells)


def _peers(result: Result) -> Iterator[Text]:
    """Say what an outside target agreed on with each peer of ours."""
    if not result.peers:
        return
    yield _rule(f"Target: {result.target}")
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
            yield from wrapped(f"{name}: {', '.join(said)}", indent=1)


def _link(result: Result) -> Iterator[Text]:
    reports = [result.link.get(direction) for direction in WAYS]
    if any(reports):
        yield from link_lines("Link", reports, [link_arrow(result, direction) for direction in WAYS])


def link_lines(title: str, reports: Sequence[LinkReport | None], columns: Iterable[str]) -> Iterator[Text]:
    """Return what was asked of links and what they did, a column each."""
    yield _rule(f"{title}: requested → achieved", *columns)
    for name, say in _LINK_ROWS:
        pairs = [[say(r.requested), say(r.achieved)] if r else ["-", "-"] for r in reports]
        if any(figure for pair in pairs for figure in pair):
            yield _cells(name, ("→".join(pair) for pair in pairs))
    drops = [{} if r is None else r.achieved.get("drops", {}) for r in reports]
    if any(drops):
        said = (", ".join(f"{count:,} {cause}" for cause, count in each.items()) or "none" for each in drops)
        yield _cells(" drops by cause", said)


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


def _unplayed(ear: MouthToEar | None) -> str:
    """Return what the network lost, and what after playout and every recovery never came out."""
    figures = {} if ear is None else ear.protection
    if not figures.get("sent"):
        return ""
    cost_s = figures.get("cost_s")
    cost = "" if cost_s is None else f" for {cost_s * 1e3:+.1f} ms"
    return f"{_share(figures.get('loss', {}).get('before'))}→{_share(figures.get('unplayed'))}{cost}"


def _copies(ear: MouthToEar | None) -> str:
    """Return how many frames each kind of copy brought back, and how much later than due; "" where none did."""
    figures = {} if ear is None else ear.protection
    kinds = [figures.get(f"recovered_by_{name}", {}) for name in ("red", "fec", "nack")]
    if not any(kind.get("frames") for kind in kinds):
        return ""
    later = (kind.get("later_p50_s") for kind in kinds)
    return ", ".join(
        f"{kind.get('frames', 0)}" + ("" if wait is None else f" +{milliseconds(wait, 0)}")
        for kind, wait in zip(kinds, later, strict=True)
    )


def _quality(ear: MouthToEar | None) -> str:
    """Return the E-model's figures; what they assume stands in the JSON."""
    figures = {} if ear is None else ear.quality
    if figures.get("r") is None:
        return ""
    scores = (figures.get("mos"), figures.get("listening_mos"))
    return ", ".join([f"{figures['r']:.1f}", *("–" if each is None else f"{each:.2f}" for each in scores)])


def _stock(ear: MouthToEar | None) -> str:
    """Return what stock aiortc would have held and missed: a side figure, not part of the sum above it."""
    figures = {} if ear is None else ear.side_figures.get("stock aiortc", {})
    if figures.get("holding_p50_s") is None:
        return ""
    held = "/".join(milliseconds(figures.get(key)) for key in ("holding_p50_s", "holding_p95_s"))
    return f"{held}, {_share(figures.get('missing_ratio'))}"


_HARNESS = {
    "detection_error": "detection",
    "emulator_late": "emulator",
    "pacing_late": "pacing",
    "join_cpu": "CPU a join",
}


def _harness(result: Result) -> Iterator[Text]:
    groups: dict[str, list[str]] = {}
    for key, value in result.harness.items():
        stem, quantile = _QUANTILE_KEY.sub("", key), _QUANTILE_KEY.search(key)
        word = value if isinstance(value, str) else milliseconds(value, 2)
        groups.setdefault(stem if quantile else key.removesuffix("_s"), []).append(word)
    said = [f"{_HARNESS.get(name, name.replace('_', ' '))} {'/'.join(each)}" for name, each in groups.items()]
    title = "Harness, ms" + (", p50/p95/p99" if any(len(each) == 3 for each in groups.values()) else "")
    if len(title) + sum(len(each) + 2 for each in said) < COLUMNS - 5:
        yield _rule(f"{title}: {', '.join(said)}")
    else:
        yield _rule(title)
        whole = [each.replace(" ", "\0") for each in said]  # lines break between figures, not within one
        for line in textwrap.wrap(", ".join(whole), COLUMNS - 1, break_long_words=False, break_on_hyphens=False):
            yield Text(f" {line}".replace("\0", " "))


def _budgets(outcomes: tuple[BudgetOutcome, ...], rows: int) -> list[Text]:
    if not outcomes:
        return [_rule("Budgets: none given")]
    order = ("missed", "inconclusive", "undecided", "met")
    ranked = sorted(outcomes, key=lambda each: (order.index(each.verdict), each.advisory))
    fit = len(ranked) if len(ranked) < rows else max(rows - 2, 1)
    lines = [_rule("Budgets")]
    spare = rows - len(ranked) - 1
    for outcome in ranked[:fit]:
        line = _budget(outcome)
        reason = f": {outcome.reason}" if outcome.reason else ""
        if spare > 0 and len(line) + len(reason) > COLUMNS:
            spare -= 1
            lines += [line, Text(f"{'':15}{outcome.reason}", style="dim")]
        else:
            lines.append(line.append(reason))
    rest = ranked[fit:]
    if rest:
        counts = (f"{sum(each.verdict == word for each in rest)} {word}" for word in order)
        lines.append(Text(f" … and {', '.join(each for each in counts if each[0] != '0')} (see --json)"))
    return lines


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


def _quantile(ear: MouthToEar | None, name: str) -> str:
    found = None if ear is None or ear.summary is None else ear.summary.quantile(name)
    if found is None:
        return "-"
    if found.needs is not None:
        return f"needs {found.needs} markers"
    return f"{milliseconds(found.value)} {interval(found)}"


def _markers(ear: MouthToEar | None) -> str:
    return "-" if ear is None else f"{ear.heard}, {ear.rejected}, {ear.lost} of {ear.scheduled}"


def _waterfall(columns: list[Mapping[str, float]], below: float) -> Iterator[Text]:
    """One row a phase or stage: a bar where the first column spends it, and every column's milliseconds."""
    totals = [sum(each.values()) for each in columns]
    names = list(dict.fromkeys(name for each in columns for name in each))
    small = [
        name
        for name in names
        if all(abs(each.get(name, 0.0)) <= below * total for each, total in zip(columns, totals, strict=True))
    ]
    rows = [(name.replace("_", " "), [each.get(name, 0.0) for each in columns]) for name in names if name not in small]
    if any(abs(sum(each.get(name, 0.0) for name in small)) >= _SHOWN_S for each in columns):
        rows.append(("other", [sum(each.get(name, 0.0) for name in small) for each in columns]))
    drawn = 0 if columns[0] else 1
    whole, begin = max(totals[drawn], 1e-9), 0.0
    for title, values in rows:
        length = max(values[drawn], 0.0)
        bar = _bar(begin / whole, (begin + length) / whole)
        begin += length
        yield _row(f" {title:<{_NAME}}{bar}", values)


def _bar(start: float, end: float) -> str:
    """Return a bar from ``start`` to ``end`` (shares of the width) in half characters; never empty."""
    first, last = round(start * _BAR * 2), round(end * _BAR * 2)
    last = max(last, first + 1)
    pad, odd = divmod(first, 2)
    if odd:  # there is no right half at the start of a bar that would not look like a gap: begin on the full cell
        first -= 1
    cells, half = divmod(last - first, 2)
    return (" " * pad + "█" * cells + "▌" * half)[:_BAR].ljust(_BAR)


def _row(title: str, seconds: Iterable[float]) -> Text:
    return _cells(title, (milliseconds(each) for each in seconds))


def _cells(title: str, columns: Iterable[str]) -> Text:
    return cells(title, columns, edges=_EDGES)
