"""A result in the words of a page: its verdict in a sentence, what is slow, and every figure in a table.

Rules:
    1. Nothing is computed that the result does not hold; here figures are only chosen, ordered and written.
    2. What was not measured is a dash, never a zero.
    3. Whatever directions a result has are shown, in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rtcprobe.report.sentences import ARROWS, attribution, bounds, figure, interval, milliseconds, slowest, typical
from rtcprobe.result import BudgetOutcome, JoinAttempt, MouthToEar, Quantile, Result, Summary
from rtcprobe.units import format_ratio

__all__ = [
    "Bar",
    "Column",
    "Table",
    "Tile",
    "Tone",
    "Waterfall",
    "arrow",
    "budget_rows",
    "gave_up",
    "join_table",
    "join_waterfalls",
    "link_table",
    "mapping_table",
    "mouth_to_ear_table",
    "notes",
    "overview",
    "sentence",
    "slow_parts",
    "stage_waterfalls",
    "tiles",
]

Tone = Literal["good", "bad", "warn", "plain"]

TONES: Mapping[str, Tone] = {
    "pass": "good",
    "met": "good",
    "fail": "bad",
    "missed": "bad",
    "invalid": "bad",
    "inconclusive": "warn",
    "undecided": "warn",
}
_ORDER = ("missed", "inconclusive", "undecided", "met")
_LOST_ROWS = {"stun": "lost STUN check", "dtls": "lost DTLS flight", "signaling": "lost segment"}
_NOTHING = "–"
_NO_NEWS = frozenset({_NOTHING, "0%"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table's heading over ``span`` columns."""

    text: str
    span: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that begin with their heading; ``groups`` stand above ``columns`` where there are two rows of headings."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[Column, ...] = ()
    words: bool = False
    """Whether the cells hold words, not figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a waterfall: spans of (begin, length) in seconds."""

    name: str
    spans: tuple[tuple[float, float], ...]
    value: str
    kind: Literal["plain", "most", "given", "lost"] = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Rows one after the other that add up to ``total_s``, drawn on a scale of ``scale_s``."""

    caption: str
    head: str
    bars: tuple[Bar, ...]
    total_s: float
    scale_s: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure that matters, large: what it is, the figure, what to know about it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """One budget: its verdict, the line as it was written, what it is, and why."""

    verdict: str
    tone: Tone
    expression: str
    value: str
    interval: str
    reason: str


def arrow(direction: str) -> str:
    """Return a direction as people read it: ``"caller → callee"``."""
    return next((said for name, said in ARROWS.items() if name == direction), direction.replace("_", " "))


def sentence(result: Result) -> str:
    """Return why the verdict is what it is, in one sentence."""
    if result.verdict == "invalid":
        return f"Not to be trusted: {_reason(result)}."
    if result.interrupted:
        return "Interrupted: only what was measured until then is here."
    binding = [each for each in result.budgets if not each.advisory]
    missed = [each for each in binding if each.verdict == "missed"]
    if result.verdict == "fail" and missed:
        more = f", and {len(missed) - 1} more" if len(missed) > 1 else ""
        worst = missed[0]
        return f"{len(missed)} of {len(binding)} budgets missed: {worst.expression} is {_value(worst)}{more}."
    if result.verdict != "pass":
        return f"{_upper(_reason(result))}."
    if not result.budgets:
        return "Measured; there was no budget to judge it by."
    met = sum(each.verdict == "met" for each in binding)
    said = (
        f"{'All' if met == len(binding) else f'{met} of'} {len(binding)} budgets met" if binding else "Nothing binding"
    )
    undecided = sum(each.verdict == "undecided" for each in binding)
    advisory = sum(each.advisory and each.verdict == "missed" for each in result.budgets)
    said += f", {undecided} undecided" if undecided else ""
    return said + (f"; {advisory} advisory missed." if advisory else ".")


def notes(result: Result) -> tuple[str, ...]:
    """Return what neither the sentence on top nor the budgets say: further reasons, and warnings; each once."""
    told = tuple(each.expression for each in result.budgets)
    said = sentence(result)
    reasons = [each for each in result.reasons if not (told and each.startswith(told)) and each not in said]
    cut = getattr(result, "cut", None)
    extra = [f"The call was cut short: {cut}"] if cut else []
    warned = [f"Warning: {each}" for each in result.warnings]
    every = [*(_upper(each) for each in reasons if _upper(each) not in said), *extra, *warned]
    return tuple(each if (n := every.count(each)) == 1 else f"{each} ({n} times)" for each in dict.fromkeys(every))


def slow_parts(result: Result) -> tuple[str, ...]:
    """Return which part is slow, a sentence for the join, its timers, and each direction."""
    said: list[str] = []
    middle, last = typical(result.join.attempts), slowest(result.join.attempts)
    if middle is not None and middle.phases and middle.first_audio_s:
        said.append(f"Typical join: longest is {_most(middle.phases, middle.first_audio_s)}.")
    told = None if last is None else attribution(last)
    if told is not None:
        said.append(f"Slowest join: {told}.")
    said.extend(
        f"Mouth to ear, {arrow(direction)}: longest is {_most(ear.stages, ear.total_s)}."
        for direction, ear in result.mouth_to_ear.items()
        if ear.stages and ear.total_s > 0
    )
    return tuple(said)


def tiles(result: Result) -> tuple[Tile, ...]:
    """Return the figures a reader looks for first."""
    attempts = result.join.attempts
    heard = sum(each.first_audio_s is not None for each in attempts)
    out: list[Tile] = []
    if attempts:
        out += _pair("Join", result.join.summary.get("first_audio"), f"{heard} of {len(attempts)} heard")
    for direction, ear in result.mouth_to_ear.items():
        if not ear.scheduled:
            continue
        out += _pair(f"Mouth to ear, {arrow(direction)}", ear.summary, f"{ear.heard} of {ear.scheduled} markers heard")
    return tuple(out)


def budget_rows(outcomes: Iterable[BudgetOutcome]) -> tuple[BudgetRow, ...]:
    """Return the budgets, those that need a look first."""
    ranked = sorted(outcomes, key=lambda each: (_rank(each.verdict), each.advisory))
    return tuple(
        BudgetRow(
            verdict=each.verdict,
            tone="warn" if each.advisory and each.verdict == "missed" else TONES.get(each.verdict, "plain"),
            expression=each.expression + (" (advisory)" if each.advisory else ""),
            value=_value(each),
            interval="" if each.low is None and each.high is None else bounds(each.low, each.high, each.unit),
            reason=each.reason,
        )
        for each in ranked
    )


def join_waterfalls(attempts: Sequence[JoinAttempt]) -> tuple[Waterfall, ...]:
    """Return the phases of the typical and of the slowest join, on one scale; the slowest with its lost time."""
    middle, last = typical(attempts), slowest(attempts)
    if middle is None or last is None or not (middle.phases or last.phases):
        return ()
    scale_s = max(last.first_audio_s or 0.0, 1e-9)
    shown = [_join_waterfall("Typical join", middle, scale_s)]
    if last is not middle:
        shown.append(_join_waterfall("Slowest join", last, scale_s))
    return tuple(shown)


def gave_up(attempts: Sequence[JoinAttempt]) -> Table | None:
    """Return where the joins that were never heard gave up."""
    steps = [each.failed or "unknown step" for each in attempts if each.first_audio_s is None]
    rows = tuple((step, f"{steps.count(step)} of {len(attempts)}") for step in dict.fromkeys(steps))
    return Table(caption="Joins never heard", columns=("gave up", "joins"), rows=rows) if rows else None


def join_table(result: Result) -> Table | None:
    """Return every phase's percentiles over all joins."""
    summary = result.join.summary
    if all(each.first_audio_s is None for each in result.join.attempts):
        return None
    names = list(dict.fromkeys(q.name for each in summary.values() for q in each.quantiles))
    rows = tuple(
        ("whole join" if name == "first_audio" else _words(name), *_cells(each, names), _ms(each.mean))
        for name, each in summary.items()
    )
    return Table(caption="All joins, ms [95 % interval]", columns=("phase", *names, "mean"), rows=rows)


def stage_waterfalls(result: Result) -> tuple[Waterfall, ...]:
    """Return where each direction's mean delay went, on one scale."""
    shown = [(direction, ear) for direction, ear in result.mouth_to_ear.items() if ear.stages]
    scale_s = max([sum(max(s, 0.0) for s in ear.stages.values()) for _, ear in shown] or [0.0])
    return tuple(
        Waterfall(
            caption=f"{_upper(arrow(direction))}, mean {milliseconds(ear.total_s)} ms",
            head="stage",
            bars=_bars(ear.stages),
            total_s=ear.total_s,
            scale_s=max(scale_s, 1e-9),
            note=f"playout {ear.playout.get('policy', 'unknown')}; grey: set by the scenario",
        )
        for direction, ear in shown
    )


def mouth_to_ear_table(result: Result) -> Table | None:
    """Return the figures of every direction next to each other."""
    ears = list(result.mouth_to_ear.items())
    if not ears:
        return None
    rows: list[tuple[str, ...]] = []
    for name in ("p50", "p90", "p95", "p99"):
        cells = [_cell(ear.summary, name) for _, ear in ears]
        if any(cell != _NOTHING for cell in cells):
            rows.append((f"{name}, ms", *cells))
    rows.append(
        ("mean; min–max, ms", *(_NOTHING if ear.summary is None else _extremes(ear.summary) for _, ear in ears))
    )
    rows.append(
        ("heard, rejected, lost", *(f"{ear.heard}, {ear.rejected}, {ear.lost} of {ear.scheduled}" for _, ear in ears))
    )
    rows += _figures([ear for _, ear in ears])
    columns = ("", *(arrow(direction) for direction, _ in ears))
    return Table(caption="Mouth-to-ear delay, by direction", columns=columns, rows=tuple(rows))


def link_table(result: Result) -> Table | None:
    """Return what was asked of the link next to what its packets met."""
    reports = list(result.link.items())
    if not reports:
        return None
    sides = [side for _, report in reports for side in (report.requested, report.achieved)]
    rows = [(title, *(_link_figure(side, key) for side in sides)) for title, key in _LINK_ROWS]
    drops = [
        ", ".join(f"{count:,} {cause}" for cause, count in dict(side.get("drops") or {}).items()) or _NOTHING
        for side in sides
    ]
    rows.append(("drops by cause", *drops))
    return Table(
        caption="Link: requested next to achieved",
        columns=("", *("requested", "achieved") * len(reports)),
        rows=tuple(row for row in rows if not _NO_NEWS.issuperset(row[1:])),
        groups=(Column(text=""), *(Column(text=arrow(direction), span=2) for direction, _ in reports)),
    )


def mapping_table(caption: str, mapping: Mapping[str, Any]) -> Table | None:
    """Return any plain mapping as rows of name and value; mappings inside are named by their path."""
    rows = tuple(_flat(mapping, ""))
    return Table(caption=caption, columns=("what", "value"), rows=rows, words=True) if rows else None


def overview(results: Sequence[Result]) -> Table:
    """Return all results, a row each."""
    rows = []
    for result in results:
        worst = [_worst(result, name) for name in ("p50", "p95")]
        joins = [_found(result.join.summary.get("first_audio"), name) for name in ("p50", "p95")]
        rows.append(
            (
                result.scenario,
                result.target,
                f"{result.seed}",
                *(_NOTHING if q is None else _quantile(q, short=True) for q in joins),
                *(_NOTHING if value is None else milliseconds(value) for value in worst),
            )
        )
    columns = ("scenario", "target", "seed", "join p50", "join p95", "mouth to ear p50", "mouth to ear p95")
    return Table(caption="All results, ms; mouth to ear: the slower direction", columns=columns, rows=tuple(rows))


_LINK_ROWS = (
    ("loss", "loss"),
    ("mean burst, packets", "mean_burst"),
    ("delay least, ms", "delay_min_s"),
    ("delay p50, ms", "delay_p50_s"),
    ("delay p95, ms", "delay_p95_s"),
    ("delay p99, ms", "delay_p99_s"),
    ("delay most, ms", "delay_max_s"),
    ("reordered", "reordered"),
    ("duplicated", "duplicated"),
    ("corrupted", "corrupted"),
    ("rate of the line, kbit/s", "rate_bps"),
    ("bit rate sent, kbit/s", "offered_bps"),
    ("packets sent", "offered"),
    ("packets delivered", "delivered"),
)


def _link_figure(side: Mapping[str, Any], key: str) -> str:
    value = side.get(key)
    if not isinstance(value, (int, float)):
        return _NOTHING
    if key.endswith("_s"):
        return milliseconds(value)
    if key.endswith("_bps"):
        return f"{value / 1e3:,.0f}"
    if key == "mean_burst":
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else format_ratio(value)


def _join_waterfall(title: str, attempt: JoinAttempt, scale_s: float) -> Waterfall:
    bars = list(_bars(attempt.phases))
    for timer in dict.fromkeys(each.timer for each in attempt.retransmissions):
        fired = [each for each in attempt.retransmissions if each.timer == timer and each.cost_s > 0.0]
        if fired:
            sides = " and ".join(dict.fromkeys(each.side for each in fired))
            bars.append(
                Bar(
                    name=f"{_LOST_ROWS.get(timer, f'lost {timer}')}, {sides}",
                    spans=tuple((each.at_s - each.cost_s, each.cost_s) for each in fired),
                    value=milliseconds(sum(each.cost_s for each in fired)),
                    kind="lost",
                )
            )
    spurious = sum(each.cost_s <= 0.0 for each in attempt.retransmissions)
    notes = [] if attempt.rtts is None else [f"{attempt.rtts:.1f} round trips of the media path"]
    if spurious:
        notes.append(f"{spurious} more retransmission{'s' if spurious > 1 else ''} cost it nothing")
    return Waterfall(
        caption=f"{title}, {milliseconds(attempt.first_audio_s)} ms",
        head="phase",
        bars=tuple(bars),
        total_s=attempt.first_audio_s or 0.0,
        scale_s=scale_s,
        note="; ".join(notes),
    )


_GIVEN = frozenset({"capture", "packetisation", "look_ahead", "device"})
"""Stages the scenario sets; they are no finding."""
_SHOWN_S = 5e-5  # less would read 0.0 ms


def _bars(parts: Mapping[str, float]) -> tuple[Bar, ...]:
    """Return the parts one after the other; what would read 0.0 ms moves the next along and is left out."""
    most = max(parts.values(), default=0.0)
    bars: list[Bar] = []
    begin_s = 0.0
    for name, length_s in parts.items():
        if abs(length_s) >= _SHOWN_S:
            kind: Literal["plain", "most", "given"] = "given" if name in _GIVEN else "plain"
            bars.append(
                Bar(
                    name=_words(name),
                    spans=((begin_s + min(length_s, 0.0), abs(length_s)),),
                    value=milliseconds(length_s),
                    kind="most" if length_s == most else kind,
                )
            )
        begin_s += length_s
    return tuple(bars)


def _figures(ears: Sequence[MouthToEar]) -> Iterator[tuple[str, ...]]:
    """Return the rows of figures that only some runs have."""
    readers: tuple[tuple[str, Callable[[MouthToEar], str]], ...] = (
        ("frames lost on the way", lambda e: _ratio(dict(e.protection.get("loss") or {}).get("before"))),
        ("frames not played", lambda e: _ratio(e.protection.get("unplayed"))),
        ("delay that copies cost, ms", lambda e: _ms(e.protection.get("cost_s"))),
        ("concealed sound", lambda e: _ratio(e.playout.get("concealed_ratio"))),
        ("jitter buffer's mean target, ms", lambda e: _ms(e.playout.get("mean_target_delay_s"))),
        ("R (E-model)", lambda e: _plain(e.quality.get("r"), 1)),
        ("MOS talking, listening", lambda e: _both(e.quality.get("mos"), e.quality.get("listening_mos"))),
    )
    for title, read in readers:
        cells = [read(ear) for ear in ears]
        if any(cell != _NOTHING for cell in cells):
            yield (title, *cells)
    names = dict.fromkeys(name for ear in ears for name in ear.side_figures)
    for name in names:
        figures = [dict(ear.side_figures.get(name) or {}) for ear in ears]
        held = [f"{_ms(each.get('holding_p50_s'))} / {_ms(each.get('holding_p95_s'))}" for each in figures]
        yield (f"for comparison, {name}: holds p50 / p95, ms", *held)


def _pair(name: str, summary: Summary | None, count: str) -> Iterator[Tile]:
    """Return the median and the tail of ``summary`` as tiles."""
    middle, tail = _found(summary, "p50"), _found(summary, "p95")
    yield Tile(name=f"{name}, median", value=_large(middle), note=f"{_sure(middle)}{count}")
    yield Tile(name=f"{name}, p95", value=_large(tail), note=_sure(tail).removesuffix(" · "))


def _large(found: Quantile | None) -> str:
    if found is None or found.value is None:
        return "never" if found is not None and found.needs is None else _NOTHING
    return f"{milliseconds(found.value, 1 if found.value < 1.0 else 0)} ms"


def _sure(found: Quantile | None) -> str:
    if found is None:
        return ""
    if found.needs is not None:
        return f"needs {found.needs} · "
    return "" if found.value is None else f"{interval(found)} · "


def _found(summary: Summary | None, name: str) -> Quantile | None:
    return None if summary is None or not summary.n else summary.quantile(name)


def _worst(result: Result, name: str) -> float | None:
    """Return the percentile of the slower direction."""
    found = (_found(ear.summary, name) for ear in result.mouth_to_ear.values())
    return max((each.value for each in found if each is not None and each.value is not None), default=None)


def _cells(summary: Summary, names: Iterable[str]) -> Iterator[str]:
    yield from (_cell(summary, name) for name in names)


def _cell(summary: Summary | None, name: str) -> str:
    found = _found(summary, name)
    return _NOTHING if found is None else _quantile(found)


def _quantile(found: Quantile, *, short: bool = False) -> str:
    if found.needs is not None:
        return f"needs {found.needs}"
    if found.value is None:
        return "never"
    return milliseconds(found.value) if short else f"{milliseconds(found.value)} {interval(found)}"


def _extremes(summary: Summary) -> str:
    if summary.mean is None:
        return _NOTHING
    return f"{milliseconds(summary.mean)}; {milliseconds(summary.minimum)}–{milliseconds(summary.maximum)}"


def _most(parts: Mapping[str, float], total_s: float) -> str:
    name = max(parts, key=lambda each: parts[each])
    return (
        f"{_words(name)}, {milliseconds(parts[name], 0)} of {milliseconds(total_s, 0)} ms ({parts[name] / total_s:.0%})"
    )


def _value(outcome: BudgetOutcome) -> str:
    return "not measured" if outcome.value is None else figure(outcome.value, outcome.unit)


def _flat(mapping: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, value in mapping.items():
        name = f"{path}{_words(key)}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        elif value is None:
            yield name, _NOTHING
        elif isinstance(value, (list, tuple)):
            yield name, "; ".join(str(each) for each in value) or _NOTHING
        elif key.endswith("_s") and isinstance(value, (int, float)):
            yield f"{path}{_words(key.removesuffix('_s'))}", f"{milliseconds(value, 2)} ms"
        else:
            yield name, f"{value:,.6g}" if isinstance(value, float) else str(value)


def _ratio(value: Any) -> str:
    return format_ratio(value) if isinstance(value, (int, float)) else _NOTHING


def _ms(value: Any) -> str:
    return milliseconds(value) if isinstance(value, (int, float)) else _NOTHING


def _plain(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else _NOTHING


def _both(first: Any, second: Any) -> str:
    return _NOTHING if first is None and second is None else f"{_plain(first, 2)}, {_plain(second, 2)}"


def _rank(verdict: str) -> int:
    return _ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)


def _reason(result: Result) -> str:
    return result.reasons[0] if result.reasons else "no reason was recorded"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _words(name: str) -> str:
    return name.replace("_", " ")
