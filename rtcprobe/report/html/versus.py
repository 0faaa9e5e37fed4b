"""The page of a comparison: what is really different, ranks, waterfalls and distributions side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from markupsafe import Markup

from rtcprobe.errors import BadInputError
from rtcprobe.report.comparison import (
    about_side,
    in_order_given,
    part_groups,
    ranking_notes,
    ranking_sentence,
)
from rtcprobe.report.differences import (
    estimate_interval,
    estimate_value,
    full_name,
    moved,
    signed_bounds,
    unit_words,
    verdict_word,
)
from rtcprobe.report.dumped import NOTE
from rtcprobe.report.html.charts import MOST_LINES, Limit, Series, distribution
from rtcprobe.report.html.page import LANDMARK_MS, environment
from rtcprobe.report.html.tables import dumped
from rtcprobe.report.html.waterfall import Waterfall, falling
from rtcprobe.report.html.words import NOTHING, arrow
from rtcprobe.report.lead import beyond_goals
from rtcprobe.report.sentences import figure, milliseconds
from rtcprobe.result import Kind, Result
from rtcprobe.verdict import Account, Comparison, Difference, Ranking
from rtcprobe.verdict.join_figures import merged
from rtcprobe.ways import Way

if TYPE_CHECKING:
    from rtcprobe.capture import Dump

__all__ = ["comparison", "difference_rows"]

Runs = Sequence[tuple[str, Sequence[Result]]]

# Columns of a rank table; of twelve sides 66 pairs stand in full below it.
MOST_SIDES: Final = 12
_TONES: Final = {"better": "good", "worse": "bad"}
# Of messages no distribution is drawn: their percentiles stand in the differences.
_DELAYS: Final[Sequence[tuple[Kind, str, Sequence[Limit]]]] = (
    ("mouth_to_ear", "Mouth to ear, {}: share heard", (Limit(text=f"{LANDMARK_MS:g} ms", at_ms=LANDMARK_MS),)),
    ("glass_to_glass", "Glass to glass, {}: share seen", ()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of a pair: both sides, how far apart, what could have been shown, and the verdict."""

    name: str
    a: tuple[str, str]
    b: tuple[str, str]
    difference: tuple[str, str]
    detectable: str
    verdict: str
    tone: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One figure of every side: (figure, interval, its group's letters or "")."""

    name: str
    places: tuple[tuple[str, str, str], ...]
    decided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The waterfalls of every side next to each other, on one scale."""

    title: str
    waterfalls: tuple[Waterfall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All that is shown of one scenario's comparison."""

    anchor: str
    ranking: Ranking
    sentence: str
    sides: tuple[str, ...]
    pairs: tuple[tuple[str, Comparison, tuple[Row, ...]], ...]
    ranked: tuple[Ranked, ...]
    groups: tuple[Group, ...]
    plots: tuple[tuple[str, Markup], ...]
    keys: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def comparison(rankings: Sequence[Ranking], runs: Runs, *, title: str | None, dumps: Sequence[Dump]) -> str:
    """Return the page of ``rankings``; see ``render_comparison``."""
    if not rankings:
        raise BadInputError("there is no comparison to show", "compare two results or more")
    # Refused before anything is drawn: of thirteen sides 78 pairs would stand in full.
    most = max(len(each.sides) for each in rankings)
    if most > MOST_SIDES:
        raise BadInputError(f"{most} sides make no page", f"compare {MOST_SIDES} or fewer")
    sections = [_section(each, runs, f"c{index + 1}") for index, each in enumerate(rankings)]
    names = [each.ranking.sides[0].scenario for each in sections]
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            title=title or f"{' against '.join(reversed([each.label for each in rankings[0].sides]))} · rtcprobe",
            names=names,
            sections=sections,
            beside=dumped(dumps, runs),
            beside_note=NOTE,
        )
    )


def _section(ranking: Ranking, runs: Runs, anchor: str) -> Section:
    letters = [chr(ord("A") + index) for index in range(len(ranking.sides))]
    name_of = dict(zip((side.label for side in ranking.sides), letters, strict=True))
    plots, keys = _plots(ranking, runs, letters, anchor)
    return Section(
        anchor=anchor,
        ranking=ranking,
        # Troubles before the sentence: a winner among sides of which one failed is to be read so.
        sentence=" ".join([*(f"{each}." for each in ranking.troubles), ranking_sentence(ranking)]),
        sides=tuple(
            f"{about_side(letter, side)}{_beyond(side.label, side.scenario, runs)}"
            for letter, side in zip(letters, ranking.sides, strict=True)
        ),
        pairs=tuple(
            (f"{name_of[each.b.label]} against {name_of[each.a.label]}", each, difference_rows(each.differences))
            for each in ranking.pairs
        ),
        ranked=tuple(
            Ranked(
                name=full_name(each) + unit_words(each),
                places=tuple(
                    (
                        estimate_value(place.estimate, each),
                        estimate_interval(place.estimate, each),
                        place.letters if each.decided else "",
                    )
                    for place in in_order_given(each, ranking)
                ),
                decided=each.decided,
            )
            # Of two sides the differences say everything that ranks could.
            for each in (ranking.metrics if len(ranking.sides) > 2 else ())
        ),
        groups=tuple(_groups(ranking, letters)),
        plots=plots,
        keys=keys,
        notes=tuple(ranking_notes(ranking)),
    )


def _beyond(label: str, scenario: str, runs: Runs) -> str:
    """Return what the goals people feel came to over the runs of a side, as the end of a line."""
    # A vendor's account by another name: it knows which runs count, and pools them.
    own = tuple(each for name, results in runs if name == label for each in results if each.scenario == scenario)
    said = beyond_goals(Account(vendor=label, link="", runs=own).goals)
    return f"; {said}" if said else ""


def difference_rows(differences: Iterable[Difference]) -> tuple[Row, ...]:
    """Return a row for each figure of a pair."""
    return tuple(_row(each) for each in differences)


def _row(each: Difference) -> Row:
    return Row(
        name=full_name(each) + unit_words(each),
        a=(estimate_value(each.a, each), estimate_interval(each.a, each)),
        b=(estimate_value(each.b, each), estimate_interval(each.b, each)),
        difference=(moved(each), signed_bounds(each)),
        detectable=NOTHING if each.detectable is None else figure(each.detectable, each.unit),
        verdict=verdict_word(each),
        tone=_TONES.get(each.verdict, "plain"),
        note=each.note,
    )


def _groups(ranking: Ranking, letters: Sequence[str]) -> list[Group]:
    """Return what each side's mean join and mean delays were made of."""
    first = ranking.sides[0].label
    # As ``report.comparison._waterfall_rows``: the pairs with the first side hold every side once.
    against = [pair for pair in ranking.pairs if pair.a.label == first]
    found = [dict(part_groups(pair)) for pair in against]
    groups: list[Group] = []
    for title in dict.fromkeys(title for each in found for title in each):
        sides = [_parts(found[0].get(title, ()), side="a")]
        sides += [_parts(each.get(title, ()), side="b") for each in found]
        totals = [sum(each.values()) for each in sides]
        scale_s = max(totals, default=0.0)
        # No timer fired on any side.
        if scale_s <= 0.0:
            continue
        # Timers are not contiguous: each is a cost of its own, told in the differences.
        names = merged(tuple(each) for each in sides)
        timers = title.startswith("Timers")
        groups.append(
            Group(
                title=title,
                waterfalls=tuple(
                    falling(
                        # A timer that did not fire cost nothing, and is told so; a phase that a side has not is not
                        # there.
                        {name: parts.get(name, 0.0) for name in names if timers or name in parts},
                        caption=f"{letter}: {milliseconds(total)} ms",
                        head="part",
                        scale_s=scale_s,
                        side_by_side=timers,
                    )
                    for letter, parts, total in zip(letters, sides, totals, strict=True)
                ),
            )
        )
    return groups


def _parts(differences: Sequence[Difference], *, side: str) -> Mapping[str, float]:
    estimates = ((each.part, each.a if side == "a" else each.b) for each in differences)
    return {name: estimate.value for name, estimate in estimates if estimate.value is not None}


def _plots(
    ranking: Ranking, runs: Runs, letters: Sequence[str], anchor: str
) -> tuple[tuple[tuple[str, Markup], ...], tuple[tuple[str, str, str], ...]]:
    """Return distributions with a line each side (title, picture), and their key; none for too many sides."""
    scenario = ranking.sides[0].scenario
    held = {label: [each for each in results if each.scenario == scenario] for label, results in runs}
    sides = [(letter, held.get(side.label, [])) for letter, side in zip(letters, ranking.sides, strict=True)]
    # Without the runs themselves (a comparison read from JSON) there is nothing to draw.
    if len(sides) > MOST_LINES or not all(results for _, results in sides):
        return (), ()
    drawn: list[tuple[str, Markup]] = []
    series = [_joins(letter, results) for letter, results in sides]
    drawn += _drawn("Joins: share heard within so many ms", series, (), f"{anchor}-joins")
    for kind, what, limits in _DELAYS:
        for way in dict.fromkeys(way for _, results in sides for each in results for way in each.of_kind(kind)):
            series = [_delays(letter, results, kind, way) for letter, results in sides]
            title = f"{what.format(arrow(Way.of(way.talker, way.listener)))} within so many ms"
            drawn += _drawn(title, series, limits, f"{anchor}-{way.replace('_', '-').replace('.', '-')}")
    keys = tuple(
        (f"line{index}", letter, side.label)
        for index, (letter, side) in enumerate(zip(letters, ranking.sides, strict=True))
    )
    return tuple(drawn), keys


def _joins(letter: str, results: Sequence[Result]) -> Series:
    attempts = [each for result in results for each in result.join.attempts]
    heard = [each.first_audio_s for each in attempts if each.first_audio_s is not None]
    return Series(title=letter, values_ms=np.array(heard) * 1e3, of=len(attempts))


def _delays(letter: str, results: Sequence[Result], kind: Kind, way: Way) -> Series:
    ears = [found for result in results if (found := result.of_kind(kind).get(way)) is not None]
    delays = np.array([sample.delay_s for ear in ears for sample in ear.samples])
    # Of all that was to come: what never did keeps the line below 100 %.
    return Series(title=letter, values_ms=delays * 1e3, of=sum(ear.scheduled for ear in ears))


def _drawn(title: str, series: Sequence[Series], limits: Sequence[Limit], name: str) -> list[tuple[str, Markup]]:
    if not any(len(each.values_ms) for each in series):
        return []
    label = f"{title}. " + " ".join(
        f"{each.title}: {len(each.values_ms)} of {each.of}, median {np.median(each.values_ms):.1f} ms."
        if len(each.values_ms)
        else f"{each.title}: none of {each.of}."
        for each in series
    )
    return [(title, distribution(series, limits, name=name, label=label))]
