"""``rtcprobe report``: stored results as one page that opens anywhere."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import click

from rtcprobe.cli.common import language_option, say
from rtcprobe.cli.reading import DUMP_HELP, read_dumps, read_results, selecting_options
from rtcprobe.errors import ExitCode

__all__ = ["report"]


@click.command(short_help="Turn stored results into one HTML page.")
@click.argument("paths", nargs=-1, required=True, metavar="RESULT...")
@click.option("-o", "--output", required=True, metavar="PATH|-", help="Write the page here.")
@click.option("--title", metavar="TEXT", help="What the browser's tab says [default: the scenarios].")
@click.option("--dump", "dump_paths", multiple=True, metavar="FILE", help=DUMP_HELP)
@click.option("--figures", metavar="SERVICE", help="Tell figures in a service's words, too: agora, trtc or volcengine.")
@language_option
@selecting_options
def report(
    paths: tuple[str, ...],
    *,
    output: str,
    title: str | None,
    dump_paths: tuple[str, ...],
    figures: str | None,
    language: str,
    scenario: str | None,
    last: int | None,
) -> int:
    """Turn RESULTs (written by run --json or --append) into one HTML page that needs nothing else."""
    from rtcprobe.report.html import render_report
    from rtcprobe.report.json import check_writable, write_whole
    from rtcprobe.report.words import speaking
    from rtcprobe.verdict.dialects import told_by

    check_writable(output)
    results = [each for path in paths for each in read_results(path, scenario=scenario, last=last)]
    if figures is not None:
        results = [told_by(each, figures) for each in results]
    with speaking(language):
        page = render_report(results, title=title, dumps=read_dumps(dump_paths))
    write_whole(page, output)
    if output != "-":
        counts = {word: sum(each.verdict == word for each in results) for word in ("pass", "fail")}
        counts["inconclusive or invalid"] = len(results) - sum(counts.values())
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        say(f"{output}: {said} ({len(page.encode()) // 1000} kB)")
    return ExitCode.MET
