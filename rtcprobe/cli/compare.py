"""``rtcprobe compare``: vendors, builds or settings side by side."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtcprobe.cli.common import complain, console
from rtcprobe.cli.outputs import need_places
from rtcprobe.cli.reading import DUMP_HELP, read_dumps, read_results, selecting_options
from rtcprobe.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from rich.text import Text

    from rtcprobe.result import Result
    from rtcprobe.verdict import Ranking

__all__ = ["compare"]


@click.command(short_help="Compare files of results side by side.")
@click.argument("paths", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--dump", "dump_paths", multiple=True, metavar="FILE", help=DUMP_HELP)
@selecting_options
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON (several scenarios: an array).")
@click.option("--markdown", "markdown_path", metavar="PATH|-", help="Write Markdown.")
@click.option("--html", "html_path", metavar="PATH|-", help="Write one HTML page that needs nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="No screen.")
def compare(
    paths: tuple[str, ...],
    *,
    dump_paths: tuple[str, ...],
    scenario: str | None,
    last: int | None,
    json_path: str | None,
    markdown_path: str | None,
    html_path: str | None,
    quiet: bool,
) -> int:
    """Compare the results in files A, B, ...: each file is a side, all its results of a scenario are runs of it.

    Every scenario that all files hold is compared. A difference is called better or worse only where it is real at 95 %
    confidence, all figures taken together; a rank likewise.
    """
    from rtcprobe.report.lines import print_lines
    from rtcprobe.verdict import rank

    if len(paths) < 2:
        raise BadInputError(f"{paths[0]} alone cannot be compared", "name two files or more")
    need_places({"--json": json_path, "--markdown": markdown_path, "--html": html_path})
    sides = [
        (label, read_results(path, scenario=scenario, last=last))
        for label, path in zip(_labels(paths), paths, strict=True)
    ]
    rankings = [rank([(label, _of(runs, name)) for label, runs in sides]) for name in _common(sides)]
    dumps = read_dumps(dump_paths)
    if not quiet:
        from rtcprobe.report.comparison import ranking_lines

        # Standard output belongs to the program behind the pipe (rule 3 of the package).
        screen = console(stderr="-" in (json_path, markdown_path, html_path))
        for index, ranking in enumerate(rankings):
            if index:
                screen.print()
            print_lines([*ranking_lines(ranking), *_goal_lines(ranking, sides)], screen)
        if dumps:
            from rtcprobe.report.dumped import dumped_lines

            print_lines(dumped_lines(dumps, sides), screen)
    _write(rankings, json_path=json_path, markdown_path=markdown_path)
    if html_path is not None:
        from rtcprobe.report.html import render_comparison
        from rtcprobe.report.json import write_whole

        write_whole(render_comparison(rankings, sides, dumps=dumps), html_path)
    return ExitCode.MET


def _write(rankings: Sequence[Ranking], *, json_path: str | None, markdown_path: str | None) -> None:
    from rtcprobe.report.json import write_whole

    if json_path is not None:
        plain = [each.to_dict() for each in rankings]
        value = plain[0] if len(plain) == 1 else plain
        # ASCII on a pipe, whose encoding is not known (``report.json`` rule 2).
        text = json.dumps(value, indent=1, ensure_ascii=json_path == "-", allow_nan=False)
        write_whole(f"{text}\n", json_path)
    if markdown_path is not None:
        from rtcprobe.report.comparison import ranking_markdown

        write_whole("\n".join(ranking_markdown(each) for each in rankings), markdown_path)


def _goal_lines(ranking: Ranking, sides: Sequence[tuple[str, Sequence[Result]]]) -> list[Text]:
    """Return what the goals people feel came to on every side, over all runs that count."""
    from rtcprobe.report.lead import beyond_goals
    from rtcprobe.report.lines import wrapped
    from rtcprobe.verdict import Account

    held = dict(sides)
    lines: list[Text] = []
    for side in ranking.sides:
        runs = tuple(_of(held[side.label], side.scenario))
        said = beyond_goals(Account(vendor=side.label, link="", runs=runs).goals)
        lines += wrapped(f"{side.label}: {said}", indent=1) if said else []
    return lines


def _labels(paths: Sequence[str]) -> list[str]:
    """Return short names that tell the files apart: their stems, or as much of their paths as it takes.

    Raises:
        BadInputError: a file is named twice.
    """
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise BadInputError(f"{twice} is named twice", "compare it with another file")
    # a/run.json and b/run.json are told apart by their paths.
    stems = [Path(path).stem for path in paths]
    return [stem if stems.count(stem) == 1 and stem else path for stem, path in zip(stems, paths, strict=True)]


def _common(sides: Sequence[tuple[str, Sequence[Result]]]) -> list[str]:
    """Return the scenarios that every side holds, and say which are left out.

    Raises:
        BadInputError: there is none.
    """
    held = [dict.fromkeys(each.scenario for each in runs) for _, runs in sides]
    common = [name for name in held[0] if all(name in each for each in held)]
    if not common:
        said = "; ".join(f"{label} holds {', '.join(each)}" for (label, _), each in zip(sides, held, strict=True))
        raise BadInputError(f"no scenario is in every file ({said})", "measure the same scenario on every side")
    left = [name for each in held for name in each if name not in common]
    if left:
        names = ", ".join(dict.fromkeys(left))
        complain(f"warning: not in every file, so not compared: {names}")
    return common


def _of(runs: Sequence[Result], scenario: str) -> list[Result]:
    return [each for each in runs if each.scenario == scenario]
