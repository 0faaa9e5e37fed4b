"""The page of a placement: where edges should stand, on a map, who enters where, and what was verified."""

from __future__ import annotations

from markupsafe import Markup

from rtcprobe.link import REGIONS
from rtcprobe.placement import Answer, Rule
from rtcprobe.report.html.curves import WIDTHS
from rtcprobe.report.html.page import environment
from rtcprobe.report.html.tables import Table
from rtcprobe.report.html.world import Mark, Place, world
from rtcprobe.report.placement import found, rests_on, served
from rtcprobe.report.sentences import milliseconds
from rtcprobe.units import format_duration, format_ratio

__all__ = ["placement_page"]

_CAPTIONS = {
    "nearest": "Circles: users, by their share; squares: edges; dashed: who enters where.",
    "best pair": "Circles: users, by their share; diamonds: edges, each pair of users entering at the best two.",
}


def placement_page(answer: Answer, *, title: str | None = None) -> str:
    """Return the page."""
    question = answer.question
    pair, near = answer.rules
    parts = [_part(answer, near, "near"), _part(answer, pair, "pair")]
    parts[0]["table"] = Table(
        caption="Who enters where",
        columns=("users", "share of all", "edge", "one way, ms"),
        rows=tuple(
            (group, format_ratio(share), edge, milliseconds(delay_s))
            for (group, edge, delay_s), share in zip(answer.entries, _shares(answer), strict=True)
        ),
        words=True,
    )
    parts[1]["table"] = Table(
        caption="Verified by calls: pairs nearest to the budget, entering at the nearest edge",
        columns=("pair", "through", "model, ms", "measured, ms"),
        rows=tuple(
            (f"{each.a} – {each.b}", each.through, milliseconds(each.model_s), milliseconds(each.measured_s))
            for each in answer.checked
        ),
        words=True,
    )
    return (
        environment()
        .get_template("curves.html.j2")
        .render(
            title=title or f"{question.choose} of {len(question.edges)} edges · rtcprobe place",
            heading=f"Where {question.choose} of {len(question.edges)} edges should stand",
            intro=f"{found(answer)} {' '.join(rests_on(answer))}",
            parts=parts,
        )
    )


def _shares(answer: Answer) -> list[float]:
    whole = sum(group.share for group in answer.question.groups)
    return [group.share / whole for group in answer.question.groups]


def _part(answer: Answer, rule: Rule, name: str) -> dict[str, object]:
    budget = format_duration(answer.question.budget_s)
    return {
        "name": f"Users enter at the {'nearest edge' if rule.name == 'nearest' else 'best pair of edges'}",
        "beside": ", ".join(rule.edges),
        "sentence": f"{served(rule)}, within {budget}.",
        "plots": _maps(answer, rule, name),
        "caption": _CAPTIONS[rule.name],
        "warnings": (),
    }


def _maps(answer: Answer, rule: Rule, name: str) -> list[Markup]:
    near = rule.name == "nearest"
    regions: dict[str, float] = {}
    for group, share in zip(answer.question.groups, _shares(answer), strict=True):
        regions[group.region] = regions.get(group.region, 0.0) + share
    edges = [Mark(at=_place(each), kind="chosen" if near else "other", label=each) for each in rule.edges]
    # Users where an edge stands have its label.
    people = [
        Mark(at=_place(each), kind="people", label="" if each in rule.edges else each, size=share)
        for each, share in regions.items()
    ]
    # A set: groups of one region differ in access, and enter at one edge.
    entered = {(group.region, edge) for group, (_, edge, _) in zip(answer.question.groups, answer.entries, strict=True)}
    # Of the best pair of edges an entrance depends on whom one calls: no line is true of all.
    ways = [(_place(region), _place(edge)) for region, edge in sorted(entered)] if near else []
    label = f"Map of {len(regions)} regions of users, and of the edges {', '.join(rule.edges)}."
    return [world([*people, *edges], ways, name=f"{name}{width}", width=width, label=label) for width in WIDTHS]


def _place(region: str) -> Place:
    return REGIONS[region].longitude, REGIONS[region].latitude
