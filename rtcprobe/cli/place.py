"""``rtcprobe place``: where edges should stand."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
from pathlib import Path

import click

from rtcprobe.cli.common import INTERRUPTED, console
from rtcprobe.cli.outputs import need_places
from rtcprobe.errors import ExitCode

__all__ = ["place"]

_EXIT_CODES = f"Exit codes: 0 answered, 2 bad file or usage, {INTERRUPTED}."


@click.command(epilog=_EXIT_CODES, short_help="Choose where edges should stand for users by region.")
@click.argument("question", metavar="USERS.yaml", type=click.Path(path_type=Path))
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the calls."
)
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON.")
@click.option("--html", "html_path", metavar="PATH|-", help="Write one page that opens anywhere, with a map.")
def place(*, question: Path, seed: int, json_path: str | None, html_path: str | None) -> int:
    """Choose edges for the users in USERS.yaml: which, who enters where, and the share of pairs inside the budget.

    What a call takes beside the backbone is measured by calls in virtual time; the sets are chosen with proof where
    users may enter at any two edges, and by greedy choice and swaps where they are sent to the nearest; pairs near the
    budget are verified by calls.
    """
    from rtcprobe.placement import answer, read_question
    from rtcprobe.report.json import write_whole
    from rtcprobe.report.lines import print_lines
    from rtcprobe.report.placement import placement_lines

    need_places({"--json": json_path, "--html": html_path})
    asked = read_question(question)
    # Progress is for people; standard output may be the answer as JSON.
    screen = console(stderr=True)

    def done(number: int, count: int) -> None:
        # A carriage return in a log file is a line without end.
        if screen.is_terminal:
            screen.print(f"measuring pair {number + 1} of {count} of accesses", end="\r")

    found = answer(asked, seed=seed, done=done)
    if json_path is not None:
        text = json.dumps(found.to_dict(), indent=1, allow_nan=False, ensure_ascii=json_path == "-")
        write_whole(text + "\n", json_path)
    if html_path is not None:
        from rtcprobe.report.html import render_placement

        write_whole(render_placement(found), html_path)
    print_lines(placement_lines(found), console(stderr="-" in (json_path, html_path)))
    return ExitCode.MET
