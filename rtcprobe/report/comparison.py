"""Sides next to each other on a terminal and in Markdown: figures, their differences, ranks, waterfalls.

Rules:
    1. What is really different is said in one sentence where people look: first, or last where all else scrolls away.
    2. Beside every difference stands the smallest change this pair of runs could have shown.
    3. *Not shown* is not *equal*: chance could make as large a difference. *Equal* is what was the same in every pair,
       *unjudged* what nothing says the chance of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from rtcprobe.report.differences import (
    ABSENT,
    could_show,
    estimate_interval,
    estimate_value,
    full_name,
    metric_name,
    moved,
    ms_of,
    signed,
    signed_bounds,
    unit_words,
    verdict_word,
)
from rtcprobe.report.lines import ROWS, STYLES, cells, rule, wrapped
from rtcprobe.report.markdown import plain, table
from rtcprobe.report.sentences import arrow, counted, milliseconds
from rtcprobe.verdict.comparison import Comparison, Place, RankedMetric, Ranking, Side
from rtcprobe.verdict.difference import Difference
from rtcprobe.verdict.join_figures import merged

__all__ = [
    "about_side",
    "difference_lines",
    "difference_table",
    "in_order_given",
    "part_groups",
    "part_lines",
    "ranking_lines",
    "ranking_markdown",
    "ranking_notes",
    "ranking_sentence",
]

_EDGES = (38, 54, 70)
"""Where a, b and their difference end."""

_GROUPS = {
    "join": "Join",
    "mouth_to_ear": "Mouth to ear",
    "glass_to_glass": "Glass to glass",
    "lip_sync": "Lips after voice",
    "messages": "Messages",
    "response": "Answers",
    "barge_in": "Interruptions",
    "room": "Room",
    "link": "Link",
    "harness": "Harness",
}
_MEANS = {"response": "Stages of a mean answer", "barge_in": "Stages of a mean stop"}
_MEANINGS = {
    "not shown": "not shown: chance could make as large a difference in one of so many figures",
    "unjudged": "unjudged: one figure a side, or one call, does not say what chance does",
}
_COULD_SHOW = (
    "could show: the smallest change that chance lets these runs show; twice as large is shown nine times in ten"
)
_TOGETHER = (
    "intervals are of each figure alone; what is called better, worse or first holds for all of its family together: "
    "percentiles and what stayed unplayed, or failed joins and lost markers"
)
_LETTERS = "letters: sides that share one are not told apart; the first is a, none stands above a better one"
# Figures named in the sentence on top; a whole comparison that moved would make it a paragraph.
_MOST_NAMED = 4
_SHOWN_S = 5e-5  # less would read 0.0 ms
# Waterfalls side by side on 80 columns: eleven each beside a name of 24.
_MOST_COLUMNS = 5
# Columns that letters, label and blank have before a figure.
_RANK_NAME = 24


def ranking_lines(ranking: Ranking) -> list[Text]:
    """Return the screen of a comparison: of two sides their differences, of more their ranks."""
    lines: list[Text] = []
    if len(ranking.sides) == 2:
        # Two sides have a difference; letters among two would say it less plainly.
        lines += _two_sides(ranking.pairs[0])
    else:
        for metric in ranking.metrics:
            lines += _ranked(metric, ranking)
        lines += _waterfalls(ranking)
    for each in ranking_notes(ranking):
        lines += wrapped(f"note: {each}", indent=1, style="dim", most=None)
    head, sentence = list(_head(ranking)), wrapped(ranking_sentence(ranking), indent=1, style="bold", most=6)
    head = [line for each in ranking.troubles for line in wrapped(each, indent=0, style="bold red", most=None)] + head
    # Rule 1: where all fits a screen it is read from the top, else what stands last is what the eye finds above the
    # prompt.
    fits = len(head) + len(sentence) + len(lines) <= ROWS
    return [*head, *sentence, *lines] if fits else [*head, *lines, *sentence]


def difference_lines(
    differences: Iterable[Difference],
    titles: tuple[str, str],
    words: Sequence[tuple[str, str]] = (),
    *,
    brief: bool = False,
) -> Iterator[Text]:
    """Yield two lines for each difference, grouped: figures and what became of them; their intervals below.

    ``words``: a word and a reason for each, in place of its verdict and note. ``brief``: no second line where the word
    is ``"pass"``.
    """
    group = None
    for index, each in enumerate(differences):
        # A rule whenever the kind changes: rows come grouped (``Both.rows``).
        if each.metric.partition(".")[0] != group:
            group = each.metric.partition(".")[0]
            yield rule(_GROUPS.get(group, group), (*titles, "difference"), edges=_EDGES)
        word, note = words[index] if words else (verdict_word(each), each.note)
        yield _marked(_values(f" {metric_name(each)}{unit_words(each)}", each), word)
        intervals = (*(estimate_interval(side, each) for side in (each.a, each.b)), signed_bounds(each))
        told = f"   could show {could_show(each)}" if could_show(each) else ""
        line = cells(told, intervals, edges=_EDGES)
        # A figure without interval or detectable change has no second line.
        if line.plain.strip() and not (brief and word == "pass"):
            line.stylize("dim")
            yield line
        if note:
            yield from wrapped(note, indent=3, style="dim")


def part_lines(title: str, parts: Sequence[Difference], titles: tuple[str, str]) -> Iterator[Text]:
    """Yield one line for each phase, stage or timer that is there, and their sum."""
    shown = [each for each in parts if _seen(each)]
    if not shown:
        return
    yield rule(title, (*titles, "difference"), edges=_EDGES)
    for each in shown:
        name = each.part.replace("_", " ") or metric_name(each)
        yield _marked(_values(f" {name}", each), each.verdict if each.verdict in ("better", "worse") else "")


def difference_table(
    differences: Iterable[Difference], titles: tuple[str, str], words: Sequence[tuple[str, str]] = ()
) -> str:
    """Return a Markdown table of differences with their intervals; ``words`` as of ``difference_lines``."""
    rows = []
    for index, each in enumerate(differences):
        sides = [f"{estimate_value(side, each)} {estimate_interval(side, each)}".strip() for side in (each.a, each.b)]
        apart = f"{moved(each)} {signed_bounds(each)}".strip()
        word = words[index][0] if words else verdict_word(each)
        # Bold is for what needs a look; a pass does not.
        verdict = f"**{word}**" if word in STYLES and word != "pass" else word
        rows.append([full_name(each) + unit_words(each), *sides, apart, could_show(each), verdict])
    head = ["figure", *(plain(each) for each in titles), "difference (95 %)", "could show", "verdict"]
    return table(head, rows, numbers=1)


def ranking_markdown(ranking: Ranking) -> str:
    """Return a comparison as Markdown."""
    names = [side.label for side in ranking.sides]
    # The last given against those before it, as the sentence below says it.
    parts = [f"### {plain(ranking.sides[0].scenario)}: {' against '.join(plain(each) for each in reversed(names))}\n"]
    parts += [f"**{plain(each)}**\n" for each in ranking.troubles]
    parts += [
        f"- {plain(about_side(letter, side))}" for letter, side in zip(_letters(ranking), ranking.sides, strict=True)
    ]
    parts += ["", f"{plain(ranking_sentence(ranking))}\n"]
    if len(ranking.sides) == 2:
        pair = ranking.pairs[0]
        titles = (pair.a.label, pair.b.label)
        parts.append(difference_table(pair.differences, titles))
        parts += [f"{title}\n\n{_part_table(found, titles)}" for title, found in part_groups(pair) if found]
    else:
        parts.append(_rank_table(ranking))
        for title, rows in _waterfall_rows(ranking):
            head = [title, *(plain(each) for each in names)]
            parts.append(table(head, [[plain(name), *values] for name, values in rows], numbers=1))
    parts += [f"- {plain(each)}" for each in ranking_notes(ranking)]
    return "\n".join(parts) + "\n"


def _head(ranking: Ranking) -> Iterator[Text]:
    first = ranking.sides[0]
    instruments = ", ".join(dict.fromkeys(side.instrument for side in ranking.sides))
    about = f"{instruments}, {ranking.confidence * 100:g} % confidence"
    yield Text.assemble((first.scenario, "bold"), " " * max(2, 80 - len(first.scenario) - len(about)), (about, "dim"))
    for letter, side in zip(_letters(ranking), ranking.sides, strict=True):
        yield from wrapped(about_side(letter, side), indent=1)


def about_side(letter: str, side: Side) -> str:
    """Return who a side is, behind its letter: ``"A  old: five runs (seeds 1 to 5), 100 joins"``."""
    runs = counted(side.runs, "run", "runs")
    seeds = f"seed {_span(side.seeds)}" if side.runs == 1 else f"seeds {_span(side.seeds)}"
    target = "" if side.target == "loopback" else f", {side.target}"
    calls = f", {side.calls} calls" if side.calls > side.runs else ""
    return f"{letter}  {side.label}: {runs} ({seeds}), {side.joins} joins{calls}{target}"


def _span(seeds: Sequence[int]) -> str:
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]} to {ordered[-1]}"
    # Seeds that do not follow each other are named, as long as they fit beside the rest of a line.
    return ", ".join(map(str, ordered[:6])) + (" …" if len(ordered) > 6 else "")


def _letters(ranking: Ranking) -> list[str]:
    # Letters end at Z: the 27th side is 27.
    return [chr(ord("A") + index) if index < 26 else str(index + 1) for index in range(len(ranking.sides))]


def ranking_sentence(ranking: Ranking) -> str:
    """Return what is really different, in one sentence."""
    if len(ranking.sides) > 2:
        won = [f"{full_name(each)}: {_best(each)}" for each in ranking.metrics if each.decided]
        return f"Best, where the difference is real: {_some(won, '; ')}." if won else "No difference is shown."
    pair = ranking.pairs[0]
    said = []
    # What somebody may have to mend comes first.
    for word in ("worse", "better"):
        found = [each for each in pair.differences if each.verdict == word]
        named = [f"{full_name(each)} ({moved(each)}{ms_of(each)})" for each in found]
        said += [f"{word} in {_some(named, ', ')}"] if named else []
    if not said:
        return f"No difference is shown between {pair.a.label} and {pair.b.label}."
    return f"{pair.b.label} is {'; '.join(said)}."


def _some(named: Sequence[str], comma: str) -> str:
    rest = len(named) - _MOST_NAMED
    return comma.join([*named[:_MOST_NAMED], *([f"and {rest} more"] if rest > 0 else [])])


def _best(metric: RankedMetric) -> str:
    return " and ".join(metric.best)


def _two_sides(pair: Comparison) -> Iterator[Text]:
    yield from difference_lines(pair.differences, ("A", "B"))
    for title, parts in part_groups(pair):
        yield from part_lines(f"{title}, ms", parts, ("A", "B"))


def part_groups(pair: Comparison) -> Iterator[tuple[str, Sequence[Difference]]]:
    """Yield what explains a comparison: the title of a waterfall, and its parts."""
    yield "Phases of a mean join", pair.phases
    yield "Timers of a mean join", pair.timers
    for kind, direction in dict.fromkeys((_kind(each), each.direction) for each in pair.stages):
        way = "" if direction is None else f", {arrow(direction)}"
        title = _MEANS.get(kind, f"Stages{way}")
        yield title, [each for each in pair.stages if (_kind(each), each.direction) == (kind, direction)]


def _kind(difference: Difference) -> str:
    return difference.metric.partition(".")[0]


def _ranked(metric: RankedMetric, ranking: Ranking) -> Iterator[Text]:
    letters = dict(zip((side.label for side in ranking.sides), _letters(ranking), strict=True))
    # Where nothing is decided there are no ranks, and so nothing to be away from.
    column = "from the first" if metric.decided else "no difference shown"
    yield rule(f"{full_name(metric)}{unit_words(metric)}", (column,), edges=(79,))
    width = max(len(place.letters) for place in metric.places) if metric.decided else 0
    for place in metric.places:
        group = f"{place.letters or '-':<{width}}  " if width else ""
        name = f" {group}{letters[place.label]}  {place.label}"
        name = name if len(name) <= _RANK_NAME else f"{name[: _RANK_NAME - 1]}…"
        said = f"{estimate_value(place.estimate, metric)} {estimate_interval(place.estimate, metric)}".rstrip()
        yield cells(name, (said, _from(metric.places[0], place, metric) if metric.decided else ""), edges=(47, 79))


def _from(first: Place, place: Place, metric: RankedMetric) -> str:
    """Return how far ``place`` is from ``first``, with the interval; "" for itself."""
    # A pair stands once, by the order in which its sides were given, which need not be that of their ranks.
    turned = (place.label, first.label) in metric.pairs
    found = metric.pairs.get((place.label, first.label) if turned else (first.label, place.label))
    if found is None or found.difference is None:
        return ""
    return f"{signed(-found.difference if turned else found.difference, found)} {signed_bounds(found, turned=turned)}"


def _waterfalls(ranking: Ranking) -> Iterator[Text]:
    letters = _letters(ranking)
    for title, rows in _waterfall_rows(ranking):
        for start in range(0, len(letters), _MOST_COLUMNS):
            part = slice(start, start + _MOST_COLUMNS)
            edges = [35 + 11 * index for index in range(len(letters[part]))]
            yield rule(title, letters[part], edges=edges)
            for name, values in rows:
                yield cells(f" {name}", values[part], edges=edges)


def _waterfall_rows(ranking: Ranking) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Yield the waterfalls of every side: (title, rows of a name and one figure a side)."""
    first = ranking.sides[0].label
    # Every side's parts are in its comparison with the first: those pairs are enough, whatever the others say.
    against = {pair.b.label: pair for pair in ranking.pairs if pair.a.label == first}
    pairs = [against[side.label] for side in ranking.sides[1:]]
    groups = [dict(part_groups(pair)) for pair in pairs]
    for title in dict.fromkeys(title for each in groups for title in each):
        found = [{each.part: each for each in group.get(title, ())} for group in groups]
        rows = []
        for name in merged(tuple(each) for each in found):
            # The first side's part is the same in every pair that has it.
            sides = [next((each[name].a for each in found if name in each), None)]
            sides += [each[name].b if name in each else None for each in found]
            values = [None if side is None else side.value for side in sides]
            if any(abs(value or 0.0) >= _SHOWN_S for value in values):
                # No timer of a side fired: it cost that side nothing.
                none = milliseconds(0.0) if title.startswith("Timers") else ABSENT
                rows.append((name.replace("_", " "), [none if e is None else milliseconds(e) for e in values]))
        if rows:
            yield f"{title}, ms", rows


def _rank_table(ranking: Ranking) -> str:
    rows = []
    for metric in ranking.metrics:
        row = [full_name(metric) + unit_words(metric)]
        for place in in_order_given(metric, ranking):
            letters = f" **({place.letters})**" if metric.decided and place.letters else ""
            row.append(f"{estimate_value(place.estimate, metric)} {estimate_interval(place.estimate, metric)}{letters}")
        rows.append([*row, "" if metric.decided else "no difference shown"])
    return table(["figure (group)", *(plain(side.label) for side in ranking.sides), ""], rows, numbers=1)


def in_order_given(metric: RankedMetric, ranking: Ranking) -> list[Place]:
    """Return the places of a metric in the order its sides were given."""
    places = {place.label: place for place in metric.places}
    return [places[side.label] for side in ranking.sides]


def _part_table(parts: Iterable[Difference], titles: tuple[str, str]) -> str:
    rows = []
    for each in parts:
        if _seen(each):
            bold = "**" if each.verdict in ("better", "worse") else ""
            name = plain(each.part.replace("_", " "))
            rows.append(
                [name, *(estimate_value(side, each) for side in (each.a, each.b)), f"{bold}{moved(each)}{bold}"]
            )
    return table(["ms", *(plain(each) for each in titles), "difference"], rows, numbers=1) if rows else ""


def ranking_notes(ranking: Ranking) -> list[str]:
    """Return what a reader must know, each once."""
    found = [*ranking.notes, *(note for pair in ranking.pairs for note in pair.notes)]
    found = [each for each in found if each not in ranking.troubles]  # said on top
    rows = [each for pair in ranking.pairs for each in pair.differences]
    words = {verdict_word(each) for each in rows}
    told = [meaning for word, meaning in _MEANINGS.items() if word in words]
    told += [_COULD_SHOW] if any(each.detectable is not None for each in rows) else []
    told += [_LETTERS] if len(ranking.sides) > 2 and any(each.decided for each in ranking.metrics) else []
    return list(dict.fromkeys([*found, *told, _TOGETHER]))


def _seen(each: Difference) -> bool:
    return any(abs(side.value or 0.0) >= _SHOWN_S for side in (each.a, each.b))


def _values(title: str, each: Difference) -> Text:
    return cells(title, (estimate_value(each.a, each), estimate_value(each.b, each), moved(each)), edges=_EDGES)


def _marked(line: Text, verdict: str) -> Text:
    return line.append(f" {verdict}", STYLES.get(verdict, "dim")) if verdict else line
