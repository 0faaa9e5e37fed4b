"""The page: what every section shows, handed to the templates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rtcprobe.report.dumped import NOTE
from rtcprobe.report.html import messages, sights, tables, turns, view, waterfall
from rtcprobe.report.html import room as rooms
from rtcprobe.report.html.charts import MOST_LINES, Heard, Limit, Series, distribution, in_bins, on_axis, over_time
from rtcprobe.report.html.repeat import Repeat, repeat
from rtcprobe.report.html.trend import newest_first, trends
from rtcprobe.report.html.words import arrow
from rtcprobe.report.lead import lead
from rtcprobe.report.sentences import milliseconds
from rtcprobe.report.words import retold, said_in, say
from rtcprobe.result import Account, BudgetOutcome, Result, TargetSteps
from rtcprobe.ways import Way

if TYPE_CHECKING:
    from rtcprobe.capture import Dump

__all__ = ["MOST_BYTES", "environment", "report"]

MOST_BYTES: Final = 900_000
"""What the results shown whole may take of a page, which stays under 1 MB: some 90 kB each, an hour's 170."""
LANDMARK_MS: Final = 100.0
"""The line of every distribution of delays, whatever its budgets."""

# percentile = "p" 1*2DIGIT [ "." 1*DIGIT ]      as ``verdict.budgets`` reads it: its share stands on the limit's line
_PERCENTILE: Final = re.compile(r"p\d{1,2}(\.\d+)?")
# Seconds between two calls laid end to end: as long as between two markers, so a border hides none.
_PAUSE_S: Final = 0.5

_NO_TEXT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Controls, halves of characters, and what turns the direction of writing around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All that is shown of one result."""

    anchor: str
    result: Result
    tone: view.Tone
    lead: str
    sentence: str
    slow: tuple[str, ...]
    notes: tuple[str, ...]
    tiles: tuple[view.Tile, ...]
    budgets: tuple[view.BudgetRow, ...]
    joins: tuple[waterfall.Waterfall, ...]
    gave_up: tables.Table | None
    join_table: tables.Table | None
    join_plot: Markup | None
    talk: turns.Talk | None
    room: rooms.Told | None
    named: tables.Table | None
    stages: tuple[waterfall.Waterfall, ...]
    ear_table: tables.Table | None
    ear_plots: tuple[Markup, ...]
    in_bins: bool
    drawn: tuple[Way, ...]
    left_out: int
    """Ways that are not drawn; tables have them all."""
    share_plot: Markup | None
    sight_plots: tuple[Markup, ...]
    sight_table: tables.Table | None
    worst: tuple[sights.Worst, ...]
    sight_stages: tuple[waterfall.Waterfall, ...]
    sent: messages.Shown | None
    link: tables.Table | None
    harness: tables.Table | None
    link_notes: tuple[str, ...]
    tables: tuple[tables.Table, ...]
    repeat: Repeat


def report(results: Sequence[Result], *, title: str | None, dumps: Sequence[Dump]) -> str:
    """Return the page of ``results``; see ``render_report``."""
    # Before anything is numbered: anchors and the overview's links go by this order.
    results = newest_first(results)
    names = list(dict.fromkeys(each.scenario for each in results))
    # Sections are rendered first, as only their text says how many fit.
    whole = _whole(results)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=title or f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} · rtcprobe",
            count=len(results),
            trends=trends(results),
            overview=tables.overview(results),
            shown=[
                (each.verdict, view.TONES[each.verdict], f"r{index + 1}" if index in whole else "")
                for index, each in enumerate(results)
            ],
            sections=[text for _, text in sorted(whole.items())],
            beside=tables.dumped(
                dumps, [(name, [each for each in results if each.scenario == name]) for name in names]
            ),
            beside_note=NOTE,
        )
    )


@cache
def environment() -> Environment:
    """Return the templates, which escape whatever they are given."""
    made = Environment(
        loader=PackageLoader("rtcprobe.report.html"),
        autoescape=True,
        # A name that a template has wrong is a fault that tests meet, not an empty cell that a reader does.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    made.globals |= {"ms": milliseconds, "percent": _percent, "arrow": arrow, "say": say, "language": said_in}
    return made


def _text(value: Any) -> Any:
    """Replace what is no text in whatever a template writes."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    # U+FFFD shows that something stood there; leaving it out could make another word of a name.
    return _NO_TEXT.sub("\ufffd", value)


def _percent(part: float, whole: float) -> str:
    return f"{min(max(part / whole, 0.0), 1.0) * 100:.2f}"


def _whole(results: Sequence[Result]) -> dict[int, Markup]:
    """Return the sections of as many results as fit, by place: those that did not pass before others."""
    template = environment().get_template("_section.html.j2")
    # Who looks at 200 runs looks for those that failed.
    ranked = sorted(range(len(results)), key=lambda index: (results[index].verdict == "pass", index))
    whole: dict[int, Markup] = {}
    room = MOST_BYTES
    for index in ranked:
        section = _section(results[index], f"r{index + 1}")
        text = Markup(template.render(s=section, single=len(results) == 1))  # noqa: S704 - the template has escaped it
        room -= len(text.encode())
        # One is always shown, however long.
        if room < 0 and whole:
            break
        whole[index] = text
    return whole


def _section(result: Result, anchor: str) -> Section:
    every = [(way, ear) for way, ear in result.mouth_to_ear.items() if ear.scheduled]
    ears = _drawn(every)
    watched = _drawn([(way, each) for way, each in result.of_kind("glass_to_glass").items() if each.scheduled])
    sent = _drawn([(way, each) for way, each in result.of_kind("messages").items() if each.scheduled])
    # One layout for sound, pictures and messages: they share their axis of time.
    laid_out = _laid_out([each for _, each in (*ears, *watched, *sent)])
    seen = [sights.frames(way, each, *laid_out) for way, each in watched]
    heard = [_heard(direction, ear, *laid_out) for direction, ear in ears]
    browsers = any("browser" in each for each in result.parties.values())
    taking_part = "The browsers, and what was done to them" if browsers else "Negotiated with the other side"
    plain = (
        tables.mapping_table(taking_part, result.parties),
        tables.mapping_table("Versions", result.environment),
    )
    return Section(
        anchor=anchor,
        result=result,
        tone=view.TONES[result.verdict],
        lead=lead(result),
        sentence=view.sentence(result),
        slow=view.slow_parts(result),
        notes=view.notes(result),
        gave_up=tables.gave_up(result.join.attempts),
        harness=tables.mapping_table("Harness: what the instrument itself adds", result.harness.figures()),
        tiles=view.tiles(result),
        budgets=view.budget_rows(result.budgets),
        joins=waterfall.join_waterfalls(result.join.attempts),
        join_table=tables.join_table(result),
        join_plot=_join_plot(result, f"{anchor}-joins"),
        talk=turns.talk(result),
        room=rooms.room(result),
        named=rooms.named_table(result),
        stages=waterfall.stage_waterfalls(result),
        ear_table=tables.mouth_to_ear_table(result),
        ear_plots=_plots(heard, seen, anchor, " ".join(_told(each) for each in heard)),
        in_bins=in_bins(heard),
        drawn=tuple(way for way, _ in ears),
        left_out=len(every) - len(ears),
        share_plot=_share_plot(result, ears, f"{anchor}-share"),
        sight_plots=_plots(seen, heard, f"{anchor}-frames", " ".join(sights.told(each) for each in seen)),
        sight_table=sights.sight_table(result),
        worst=sights.worst(result),
        sight_stages=sights.sight_waterfalls(result),
        sent=messages.shown(result, [messages.deliveries(way, each, *laid_out) for way, each in sent], heard, anchor),
        link=tables.link_table(result),
        link_notes=tuple(dict.fromkeys(retold(str(n)) for r in result.link.values() for n in r.requested.notes)),
        tables=tuple(each for each in plain if each is not None),
        repeat=repeat(result),
    )


def _plots(drawn: Sequence[Heard], beside: Sequence[Heard], name: str, label: str) -> tuple[Markup, ...]:
    """Return what was heard or seen over time, for a wide page and a narrow one; ``beside`` shares its axis."""
    return tuple(
        over_time(drawn, name=f"{name}-{width}", width=width, label=label, beside=beside)
        for width in (("wide", "narrow") if drawn else ())
    )


def _drawn(ears: Sequence[tuple[Way, Account]]) -> list[tuple[Way, Account]]:
    """Return the ways that can be drawn, in their order: of too many the soonest, and the latest of the others."""
    if len(ears) <= MOST_LINES:
        return list(ears)
    # Never heard is later than anything heard.
    ranked = sorted(ears, key=lambda each: each[1].total_s if each[1].heard else math.inf)
    # Ranked by delay, drawn in the result's own order, so that lines keep their names' order.
    chosen = [ranked[0], *ranked[1 - MOST_LINES :]]
    return [each for each in ears if each in chosen]


def _heard(direction: Way, ear: Account, moved_s: Mapping[int, float], begins_s: tuple[float, ...]) -> Heard:
    """Return what is drawn of one direction, the time of each call ``moved_s`` later."""
    # Fixed playout aims at nothing, and old results kept no steps: an empty line of steps, none drawn.
    steps = (ear.playout and ear.playout.target_steps) or TargetSteps(since_s=(), target_delay_s=())
    # Results of one call kept no call with their steps.
    of_calls = steps.call or (0,) * len(steps.since_s)
    since_s = [moved_s.get(call, 0.0) + at_s for call, at_s in zip(of_calls, steps.since_s, strict=True)]
    return on_axis(
        arrow(direction),
        ear,
        moved_s,
        target_since_s=np.array(since_s, dtype=np.float64),
        target_ms=np.array(steps.target_delay_s, dtype=np.float64) * 1e3,
        begins_s=begins_s,
    )


def _laid_out(ears: Sequence[Account]) -> tuple[Mapping[int, float], tuple[float, ...]]:
    """Return what is added to each call's time so that calls lie end to end, and where each then begins.

    One call keeps its own time. Of several the silence while they join is left out; half a second parts them.
    """
    spans_s: dict[int, tuple[float, float]] = {}
    spoken = [(each.call, each.spoken_s) for ear in ears for each in ear.samples]
    spoken += [(each.call, each.spoken_s) for ear in ears for each in ear.missed]
    for call, at_s in spoken:
        first_s, last_s = spans_s.get(call, (math.inf, -math.inf))
        spans_s[call] = min(first_s, at_s), max(last_s, at_s)
    if len(spans_s) < 2:
        return dict.fromkeys(spans_s, 0.0), ()
    begins_s = list(
        accumulate((last_s - first_s + _PAUSE_S for _, (first_s, last_s) in sorted(spans_s.items())), initial=0.0)
    )
    moved_s = {
        # Half of the pause before the first marker, half behind the last: the border lies in the middle.
        call: begin_s + _PAUSE_S / 2 - first_s
        for begin_s, (call, (first_s, _)) in zip(begins_s, sorted(spans_s.items()), strict=False)
    }
    return moved_s, tuple(begins_s[:-1])


def _told(each: Heard) -> str:
    """Return what the plot of one direction shows, for who cannot see it."""
    missed = f"{len(each.lost_s)} markers lost, {len(each.rejected_s)} rejected"
    if not len(each.delay_ms):
        return f"{each.title}: no marker was heard, {missed}."
    low, middle, high = np.min(each.delay_ms), np.median(each.delay_ms), np.max(each.delay_ms)
    aim = ""
    if len(each.target_ms):
        aim = f"; the jitter buffer aimed at {np.min(each.target_ms):g} to {np.max(each.target_ms):g} ms"
    return (
        f"{each.title}: {len(each.delay_ms)} markers heard {low:.1f} to {high:.1f} ms late, median {middle:.1f} ms; "
        f"{missed}{aim}."
    )


def _join_plot(result: Result, name: str) -> Markup | None:
    attempts = result.join.attempts
    heard = np.array([a.first_audio_s for a in attempts if a.first_audio_s is not None]) * 1e3
    if not len(heard):
        return None
    limits = _limits(result.budgets, "join.first_audio")
    failed = len(attempts) - len(heard)
    label = (
        f"Distribution of {len(attempts)} joins: {failed} never heard the other side; the others took "
        f"{heard.min():.0f} to {heard.max():.0f} ms, median {np.median(heard):.0f} ms"
    )
    return distribution(
        [Series(title="joins", values_ms=heard, of=len(attempts))],
        limits, name=name, label=f"{label}.", dots=True,
    )  # fmt: skip


def _share_plot(result: Result, ears: Sequence[tuple[Way, Account]], name: str) -> Markup | None:
    if not ears:
        return None
    series = [
        Series(title=arrow(d), values_ms=np.array([s.delay_s for s in ear.samples]) * 1e3, of=ear.scheduled)
        for d, ear in ears
    ]
    limits = [Limit(text="100 ms", at_ms=LANDMARK_MS)]
    for metric in ("mouth_to_ear", *(f"mouth_to_ear.{direction}" for direction, _ in ears)):
        limits += _limits(result.budgets, metric)
    label = "Distribution of mouth-to-ear delays. " + " ".join(
        f"{each.title}: {float(np.mean(each.values_ms <= LANDMARK_MS)) * len(each.values_ms) / each.of:.0%} of "
        f"{each.of} markers heard within 100 ms."
        for each in series
        if len(each.values_ms)
    )
    return distribution(series, limits, name=name, label=label)


def _limits(budgets: Sequence[BudgetOutcome], metric: str) -> list[Limit]:
    """Return the lines of the budgets on exactly ``metric`` that are delays."""
    out: list[Limit] = []
    for each in budgets:
        # A share_above's limit is no delay, though its threshold is.
        if each.metric != metric or each.unit != "s":
            continue
        # A limit on a mean or a most has no share of the values that must lie before it: no point on its line.
        share = float(each.aggregate[1:]) / 100 if _PERCENTILE.fullmatch(each.aggregate) else None
        text = each.expression.removeprefix(metric).strip()
        out.append(
            Limit(text=text, at_ms=each.limit * 1e3, share=share, tone="bad" if each.verdict == "missed" else "plain")
        )
    return out
