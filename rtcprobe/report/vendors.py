"""Vendors next to each other: a sentence for who decides, a card a vendor, a matrix of vendors and links.

Rules:
    1. The first sentence says who is to be taken, or that nobody is shown to be best, and where the difference is.
    2. Every figure of the matrix has its interval; who is shown to be better than all others on a link is marked.
    3. What could not be measured stands where its figure would, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from rtcprobe.report.differences import full_name
from rtcprobe.report.lead import beyond_goals
from rtcprobe.report.lines import COLUMNS, cells, rule, wrapped
from rtcprobe.report.markdown import plain, table
from rtcprobe.report.sentences import arrow, milliseconds
from rtcprobe.verdict.comparison import RankedMetric
from rtcprobe.verdict.difference import Estimate
from rtcprobe.verdict.vendors import Panel, headline
from rtcprobe.ways import Way

__all__ = ["Card", "Matrix", "cards", "matrices", "panel_lines", "panel_markdown", "panel_notes", "panel_sentence"]

_CELL = 22
"""As wide as a figure with its interval and a mark: ``1,967 [1,946–2,001] ◄``."""
_NOT = "not measured"
_FIGURES = {
    "join.first_audio": ("Joining", "joins soonest"),
    "join.first_picture": ("First picture", "shows a first picture soonest"),
    "mouth_to_ear": ("Mouth to ear", "is heard soonest"),
    "glass_to_glass": ("Glass to glass", "is seen soonest"),
    "response": ("Answer", "answers soonest"),
    "barge_in": ("Stop", "stops soonest"),
    "room.spread": ("Spread of listeners", "spreads its listeners least"),
    "room.on_stage": ("On stage to heard", "lets newcomers on stage be heard soonest"),
    "room.silence": ("Without a host", "is without a host the shortest"),
    "room.joined": ("Newcomers", "lets newcomers hear soonest"),
    "room.first_picture": ("Newcomers' first picture", "lets newcomers see soonest"),
    "room.on_screen": ("On stage to seen", "lets newcomers on stage be seen soonest"),
    "room.talk_over": ("Talk-over window", "lets two fall into each other's words the least"),
}
"""Of each headline figure: what it is called, and what is said of who is best in it."""
BEST = "◄"
"""Who is shown to be better than all others on this link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One vendor: who it is, how many runs counted, where it is best, what became of the goals, what went wrong."""

    vendor: str
    target: str
    runs: str
    best: str
    goals: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One figure: a row a vendor, a column a link; each cell the figure, its interval, and whether it is the best."""

    name: str
    rows: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...]


def panel_sentence(panel: Panel) -> str:
    """Return who is to be taken, and why, in a sentence; else that nobody is shown to be, and what differs."""
    # First who is missing: a winner among the others is one among those that could be measured.
    absent = [each for each in panel.vendors if not any(panel.account(each, link).counted for link in panel.links)]
    gone = f" {' and '.join(absent)} could not be measured." if absent else ""
    choice = panel.choice
    winners = dict.fromkeys(each.vendor for each in panel.wins)
    wins = "; ".join(f"{vendor} {_won(vendor, panel)}" for vendor in winners)
    # In order: somebody to take; a choice of links; nobody to compare; nothing shown.
    if choice is not None:
        return f"Take {choice}: it {_won(choice, panel)}, and no other is shown to be better in anything.{gone}"
    if wins:
        return f"It depends: {wins}.{gone}"
    if all(each is None for each in panel.rankings.values()):
        return f"There are no two vendors to compare.{gone}"
    return f"No vendor is shown to be best in joining or in delay, on any link.{gone}"


def cards(panel: Panel) -> list[Card]:
    """Return a card a vendor, in the order they were given."""
    return [_card(vendor, panel) for vendor in panel.vendors]


def matrices(panel: Panel) -> list[Matrix]:
    """Return a matrix for each headline figure that any vendor has."""
    found: dict[str, dict[str, RankedMetric]] = {}
    for link, ranking in panel.rankings.items():
        for metric in () if ranking is None else headline(ranking):
            found.setdefault(_title(metric), {})[link] = metric
    best = {(each.vendor, each.link, full_name(each.metric)) for each in panel.wins}
    out = []
    for name, by_link in found.items():
        rows = tuple(
            (vendor, tuple(_matrix_cell(vendor, by_link.get(link), link, best) for link in panel.links))
            for vendor in panel.vendors
        )
        if any(value != _NOT for _, row in rows for value, _, _ in row):
            out.append(Matrix(name=name, rows=rows))
    return out


def _matrix_cell(
    vendor: str, metric: RankedMetric | None, link: str, best: set[tuple[str, str, str]]
) -> tuple[str, str, bool]:
    places = () if metric is None else metric.places
    place = next((each for each in places if each.label == vendor), None)
    # Rule 3: the vendor is in the panel, and not in the ranking of this link.
    if metric is None or place is None:
        return _NOT, "", False
    return (*_figure(place.estimate), (vendor, link, full_name(metric)) in best)


def panel_notes(panel: Panel, *, mark: str = BEST) -> list[str]:
    """Return what a reader must know, each once."""
    said = [note for ranking in panel.rankings.values() if ranking is not None for note in ranking.notes]
    said += [note for each in panel.rankings.values() if each is not None for pair in each.pairs for note in pair.notes]
    # At 95 %: one time in 20 (``verdict.vendors`` rule 1).
    chance = round(1.0 / (1.0 - panel.confidence))
    marks = (
        f"{mark}: shown to be better than all others on that link; any such mark here is chance one time in {chance}"
    )
    turns = "runs were made in turns, and each round began with another vendor: a noisy minute hits all alike"
    # The mark is explained only where one stands.
    told = [marks, turns] if panel.wins else [turns]
    return list(dict.fromkeys([*told, *said]))


def panel_lines(panel: Panel, *, width: int = COLUMNS) -> list[Text]:
    """Return the screen: the sentence, the matrices, the cards, the notes."""
    lines = wrapped(panel_sentence(panel), indent=0, style="bold", width=width)
    for matrix in matrices(panel):
        lines += _matrix_lines(matrix, panel, width)
    lines.append(rule("Vendors", width=width))
    for card in cards(panel):
        lines += wrapped(f"{card.vendor} {card.best} ({card.target}, {card.runs})", indent=1, width=width)
        for said in (*card.goals, *card.faults):
            lines += wrapped(said, indent=3, width=width)
    for note in panel_notes(panel):
        lines += wrapped(f"note: {note}", indent=1, style="dim", width=width)
    return lines


def panel_markdown(panel: Panel) -> str:
    """Return all of it as Markdown."""
    parts = ["## Vendors\n", f"**{plain(panel_sentence(panel))}**\n"]
    for matrix in matrices(panel):
        rows = []
        for vendor, row in matrix.rows:
            told = [" ".join(filter(None, (value, spread, BEST if won else ""))) for value, spread, won in row]
            rows.append([plain(vendor), *map(plain, told)])
        parts.append(table([plain(matrix.name), *map(plain, panel.links)], rows, numbers=1))
    for card in cards(panel):
        parts.append(f"- **{plain(card.vendor)}** {plain(f'{card.best} ({card.target}, {card.runs})')}")
        parts += [f"  - {plain(said)}" for said in (*card.goals, *card.faults)]
    return "\n".join([*parts, "", *(f"- {plain(note)}" for note in panel_notes(panel))]) + "\n"


def _matrix_lines(matrix: Matrix, panel: Panel, width: int) -> Iterator[Text]:
    # As many links side by side as fit beside a vendor's name; more go on below.
    room = max((width - 14) // _CELL, 1)
    for start in range(0, len(panel.links), room):
        part = slice(start, start + room)
        links = panel.links[part]
        edges = [width - 1 - _CELL * (len(links) - 1 - index) for index in range(len(links))]
        yield rule(matrix.name, links, edges=edges, width=width)
        for vendor, row in matrix.rows:
            said = (f"{value} {spread}".rstrip() + (f" {BEST}" if won else "  ") for value, spread, won in row[part])
            yield cells(f" {vendor}", said, edges=edges)


def _card(vendor: str, panel: Panel) -> Card:
    accounts = [panel.account(vendor, link) for link in panel.links]
    runs = [each for account in accounts for each in account.runs]
    made = len(runs) + sum(len(each.faults) for each in accounts)
    kept = sum(len(each.counted) for each in accounts)
    won = _won(vendor, panel)
    goals = [f"{each.link}: {beyond_goals(each.goals)}" for each in accounts if each.goals]
    return Card(
        vendor=vendor,
        target=runs[0].target if runs else "never measured",
        runs=f"{kept} of {made} runs counted",
        best=won or ("is not shown to be best in anything" if kept else "could not be measured"),
        goals=tuple(goals),
        faults=tuple(f"{each.link}: left out: {each.why_not}" for each in accounts if each.why_not),
    )


def _title(metric: RankedMetric) -> str:
    """Return what people call a headline figure: ``"Joining, p95, ms"``."""
    way = next((each.direction for each in metric.pairs.values() if each.direction is not None), None)
    what = _FIGURES[_family(metric)][0] + ("" if way is None else f", {arrow(Way.of(way.talker, way.listener))}")
    return f"{what}, {metric.aggregate}, ms"


def _family(metric: RankedMetric) -> str:
    return next(each for each in _FIGURES if metric.metric.startswith(each))


def _figure(estimate: Estimate) -> tuple[str, str]:
    """Return a delay and its interval in whole milliseconds: vendors differ by more, or not at all."""
    if estimate.value is None:
        return ("never" if estimate.never else _NOT), ""
    # One figure where both ends round to the same.
    ends = dict.fromkeys("open" if each is None else milliseconds(each, 0) for each in (estimate.low, estimate.high))
    return milliseconds(estimate.value, 0), "" if estimate.exact else f"[{'–'.join(ends)}]"


def _won(vendor: str, panel: Panel) -> str:
    """Return in what a vendor is best: ``"joins soonest on every link and is heard soonest on 5g"``; "" for nothing."""
    found: dict[str, dict[str, None]] = {}
    for win in panel.wins:
        if win.vendor == vendor:
            found.setdefault(_FIGURES[_family(win.metric)][1], {})[win.link] = None
    said = []
    for what, links in found.items():
        # With one link measured "on every link" would promise too much: nothing is said of where.
        every = len(links) == len(panel.links)
        where = ("" if len(panel.links) == 1 else " on every link") if every else f" on {' and '.join(links)}"
        said.append(what + where)
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))
