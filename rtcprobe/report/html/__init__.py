"""Results as one self-contained HTML page: verdict on top, plots, tables, and how to run it again.

Rules:
    1. A page asks nothing of anybody: no script, no font, no image from elsewhere; its policy (CSP) forbids it too.
    2. Everything that came from outside is escaped; characters that are no text are replaced.
    3. Equal results give equal bytes.
    4. Plots are matplotlib's; waterfalls are tables with bars in them: to a listener they are tables, and on a phone
       their words keep their size.
    5. Matplotlib and Jinja are imported when a page is asked for, and a page there will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock, Result

if TYPE_CHECKING:
    from rtcprobe.capture import Dump, Heard
    from rtcprobe.placement import Answer
    from rtcprobe.report.html.adapt import AdaptCase
    from rtcprobe.report.relay import RelayReport
    from rtcprobe.verdict import Panel, Ranking

__all__ = [
    "MOST_RESULTS",
    "render_adapt",
    "render_comparison",
    "render_heard",
    "render_placement",
    "render_relay",
    "render_report",
    "render_vendors",
]

# A row each and sections of as many as fit: at 500 the table alone is a page that nobody scrolls through.
MOST_RESULTS: Final = 500


def render_report(results: Sequence[Result], *, title: str | None = None, dumps: Sequence[Dump] = ()) -> str:
    """Return the page of one result, or of several with a table of all on top.

    ``title`` is what the browser's tab says; the scenarios' names unless given. A page stays under 1 MB: where that is
    too little for all, those that did not pass are shown whole before others, and the page says so. ``dumps`` are
    what browsers counted of calls of their own: rows beside the runs'.

    Raises:
        BadInputError: no result, or more than ``MOST_RESULTS``.
    """
    if not results:
        raise BadInputError("there is no result to report", "give at least one")
    if len(results) > MOST_RESULTS:
        raise BadInputError(f"{len(results):,} results make no page", f"give {MOST_RESULTS} or fewer")
    from rtcprobe.report.html.page import report  # noqa: PLC0415 - rule 5

    return report(results, title=title, dumps=dumps)


def render_comparison(
    rankings: Sequence[Ranking],
    runs: Sequence[tuple[str, Sequence[Result]]] = (),
    *,
    title: str | None = None,
    dumps: Sequence[Dump] = (),
) -> str:
    """Return the page of one comparison, or of one for each scenario.

    ``runs`` are the results of every side (label, results), as they were ranked: with them distributions are drawn.
    ``dumps`` are what browsers counted of calls of their own.

    Raises:
        BadInputError: no comparison, or one of more than ``versus.MOST_SIDES``.
    """
    from rtcprobe.report.html.versus import comparison  # noqa: PLC0415 - rule 5

    return comparison(rankings, runs, title=title, dumps=dumps)


def render_heard(heard: Sequence[Heard], *, title: str | None = None) -> str:
    """Return the page of recordings that were heard."""
    from rtcprobe.report.html.heard import heard_page  # noqa: PLC0415 - rule 5

    return heard_page(list(heard), title=title)


def render_vendors(panel: Panel, *, title: str | None = None) -> str:
    """Return the page of vendors measured in turns: a sentence, a card each, a matrix of vendors and links."""
    from rtcprobe.report.html.vendors import page  # noqa: PLC0415 - rule 5

    return page(panel, title=title)


def render_placement(answer: Answer, *, title: str | None = None) -> str:
    """Return the page of a placement: where edges should stand, on a map, and who enters where."""
    from rtcprobe.report.html.placement import placement_page  # noqa: PLC0415 - rule 5

    return placement_page(answer, title=title)


def render_adapt(cases: Sequence[AdaptCase], *, title: str | None = None, clock: Clock | None = None) -> str:
    """Return the page of senders that adapt: rate, capacity, delay, size and freezes on one axis of time.

    ``clock`` is that of real calls; None: they are the model's.
    """
    from rtcprobe.report.html.adapt import adapt_page  # noqa: PLC0415 - rule 5

    return adapt_page(cases, title=title, clock=clock)


def render_relay(report: RelayReport) -> str:
    """Return the page of a relay: rates, delay and drops of its clients over time, and which seconds are valid."""
    from rtcprobe.report.html.relay import relay_page  # noqa: PLC0415 - rule 5

    return relay_page(report)
