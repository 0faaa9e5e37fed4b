"""The page of vendors measured in turns."""

from __future__ import annotations

from rtcprobe.report.html.page import environment
from rtcprobe.report.html.versus import Row, difference_rows
from rtcprobe.report.vendors import cards, matrices, panel_notes, panel_sentence
from rtcprobe.verdict import Panel, Ranking

__all__ = ["page"]


def page(panel: Panel, *, title: str | None) -> str:
    """Return the page of ``panel``; see ``render_vendors``."""
    names = dict.fromkeys(each.scenario for account in panel.accounts for each in account.runs)
    in_full = [(link, _pairs(each)) for link, each in panel.rankings.items() if each is not None]
    return (
        environment()
        .get_template("vendors.html.j2")
        .render(
            title=title or f"{', '.join(panel.vendors)} · rtcprobe",
            scenario=", ".join(names) or "nothing measured",
            vendors=panel.vendors,
            links=panel.links,
            sentence=panel_sentence(panel),
            choice=panel.choice,
            cards=cards(panel),
            matrices=matrices(panel),
            links_in_full=in_full,
            notes=panel_notes(panel, mark="best"),
        )
    )


def _pairs(ranking: Ranking) -> list[tuple[str, str, str, tuple[Row, ...]]]:
    """Return every pair: its title, both names, and a row a figure."""
    return [
        (f"{each.b.label} against {each.a.label}", each.a.label, each.b.label, difference_rows(each.differences))
        for each in ranking.pairs
    ]
