"""``rtcprobe adapt``: what a sender does when the line shrinks, in virtual time."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from rtcprobe.cli.common import say
from rtcprobe.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from rtcprobe.adaptation import Case, Course
    from rtcprobe.result import Progress

__all__ = ["adapt"]


@click.command(
    epilog="Exit codes: 0 the scoreboard was printed, 2 bad scenario or usage.",
    short_help="What a sender does when the line shrinks.",
)
@click.argument("scenarios", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--controller", default="gcc", show_default=True, metavar="gcc|remb|fixed:RATE", help="What decides the rate."
)
@click.option("--link", "line", metavar="LINE", help='A line of your own: "rate 2mbit at 20s rate 500kbit".')
@click.option("--length", metavar="TIME", default="60s", show_default=True, help="Of a call over --link.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=10, show_default=True, help="Calls of each scenario.")
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON.")
@click.option("--html", "html_path", metavar="PATH", help="Write a page: rate, capacity, delay, size and freezes.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def adapt(
    *,
    scenarios: tuple[str, ...],
    controller: str,
    line: str | None,
    length: str,
    seeds: int,
    json_path: str | None,
    html_path: str | None,
    quiet: bool,
) -> int:
    """Call over lines that change and print the scoreboard of RFC 8868: a model of a sender, in virtual time.

    SCENARIO is a name (step, ramp, loss, rfc8867-5.1, ...) or a .yaml file; without any, all that come with rtcprobe.
    Where several flows share a line, the figures are theirs together, with Jain's fairness.
    gcc is libwebrtc's sender, remb stock aiortc's, fixed:RATE none. Nothing is sent over any network.
    """
    from rtcprobe.adaptation import controller_of
    from rtcprobe.report.adapt import adapt_lines, interval_of
    from rtcprobe.report.json import check_writable, write_whole
    from rtcprobe.report.progress import narrate

    for path in (json_path, html_path):
        if path is not None:
            check_writable(path)
    controller_of(controller)
    cases = _cases(scenarios, line, length)
    if json_path != "-":
        say(f"engine: model (virtual time, {seeds} {'seed' if seeds == 1 else 'seeds'}); controller: {controller}")
    written, drawn = [], []
    with narrate("adapt", quiet=quiet) as progress:
        for case in cases:
            rows, courses = _called(case, controller, seeds, progress)
            if json_path != "-":
                say("")
                for each in adapt_lines(case, controller, rows):
                    say(each)
            figures = {key: interval_of([row[key] for row in rows]) for key in rows[0]}
            written.append({"scenario": case.name, "about": case.about, "source": case.source, "figures": figures})
            if html_path is not None:
                drawn.append((case, rows, courses))
    if json_path is not None:
        document = {"engine": "model", "controller": controller, "seeds": seeds, "scenarios": _plain(written)}
        write_whole(json.dumps(document, indent=1, allow_nan=False) + "\n", json_path)
    if html_path is not None:
        write_whole(_page(drawn, controller), html_path)
    return ExitCode.MET


def _cases(scenarios: tuple[str, ...], line: str | None, length: str) -> list[Case]:
    """Return the lines that are meant."""
    from rtcprobe.adaptation import case_names, case_of_link, find_case
    from rtcprobe.units import parse_duration

    if line is not None and scenarios:
        raise BadInputError(f"--link and scenario {scenarios[0]!r} are both given", "leave one out")
    try:
        length_s = parse_duration(length)
    except BadInputError as error:
        raise error.within("--length") from None
    if line is not None:
        return [case_of_link(line, length_s)]
    return [find_case(name) for name in scenarios or case_names()]


def _page(drawn: list[tuple[Case, list[dict[str, float | None]], list[Course]]], controller: str) -> str:
    """Return the page that draws the courses of every line."""
    from rtcprobe.report.html import render_adapt
    from rtcprobe.report.html.adapt import AdaptCase

    return render_adapt(
        [AdaptCase(case=case, controller=controller, rows=rows, courses=runs) for case, rows, runs in drawn]
    )


def _called(
    case: Case, controller: str, seeds: int, progress: Callable[[Progress], None] | None
) -> tuple[list[dict[str, float | None]], list[Course]]:
    """Return the figures and courses of a call for each seed."""
    from rtcprobe.adaptation import Call, Flow, Settings, controller_of, fairness, figures_of, meet, together
    from rtcprobe.result import Progress

    rows, courses = [], []
    for seed in range(seeds):
        if progress is not None:
            progress(Progress(step=case.name, done=seed, total=seeds, unit="calls"))
        if case.flows == (Flow(),):
            settings = Settings(
                forward=case.link, back=case.back, length_s=case.length_s, max_bps=case.max_bps, seed=seed
            )
            runs = [Call(settings, controller_of(controller)).run()]
        else:
            runs = meet(
                case.flows,
                case.link,
                case.back,
                length_s=case.length_s,
                controller=controller,
                seed=seed,
                max_bps=case.max_bps,
            )
        course = together(case.flows, runs) if len(runs) > 1 else runs[0]
        rows.append(figures_of(course, case.link) | {"fairness": fairness(case.flows, runs, case.link)})
        courses.append(course)
    return rows, courses


def _plain(value: object) -> object:
    """Return ``value`` with what never came as the word ``never``, for JSON knows no infinity."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return "never" if value == float("inf") else value
