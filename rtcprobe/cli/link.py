"""``rtcprobe link fit``: a measurement of the user's own network as a link line."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json

import click

from rtcprobe.cli.common import console
from rtcprobe.cli.outputs import need_places
from rtcprobe.errors import BadInputError, ExitCode

__all__ = ["link"]

_EXIT_CODES = "Exit codes: 0 a line was printed, 2 bad file or usage, 3 no shape fits and no --trace was given."
_WAYS = {"up": "up", "down": "down", "round-trip": "round trip", "one-way": "one way"}


@click.group()
def link() -> None:
    """Links: the words that every --link, scenario and relay takes."""


@link.command(epilog=_EXIT_CODES, short_help="Fit a link line to a measurement.")
@click.argument("file", metavar="FILE")
@click.option("--way", type=click.Choice(list(_WAYS)), help="Which way, where FILE knows both [default: up].")
@click.option("--base", metavar="TIME", help="Delay of the fastest packet, which captures do not know.")
@click.option("--interval", metavar="TIME", help="How far apart probes were sent, where FILE does not say, like 200ms.")
@click.option("--asymmetric", is_flag=True, help="Refuse round trips: the ways are known to differ.")
@click.option("--trace", "trace_path", metavar="PATH", help="Write the delays: the line where no shape fits.")
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON.")
def fit(
    *,
    file: str,
    way: str | None,
    base: str | None,
    interval: str | None,
    asymmetric: bool,
    trace_path: str | None,
    json_path: str | None,
) -> int:
    """Fit a link line to FILE: irtt's JSON, the output of ping (any system), fping -C, mtr --raw or owping, RIPE Atlas'
    JSON, a LENS table, a packet capture or an RTC event log.

    Standard output is the line and nothing else, so that --link "$(rtcprobe link fit FILE)" works; what it rests on,
    and what a simulated line does, goes to standard error.
    """  # noqa: D205 - click shows the first paragraph whole
    from rtcprobe.fit import as_trace, read_measured
    from rtcprobe.fit import fit as fitted_to
    from rtcprobe.report.fitted import fitted_lines
    from rtcprobe.report.json import write_whole
    from rtcprobe.report.lines import print_lines

    need_places({"--trace": trace_path, "--json": json_path})
    if trace_path == "-":
        raise BadInputError("--trace - is no file", "name one: the line refers to it")
    interval_s, base_s = _duration("--interval", interval), _duration("--base", base)
    measured = read_measured(file, interval_s=interval_s)
    if asymmetric and measured.ways[0].way == "round trip":
        raise BadInputError(
            f"{file} measures round trips, which cannot tell the ways apart",
            "measure with irtt, or leave --asymmetric out",
        )
    found = fitted_to(measured, way=None if way is None else _WAYS[way], base_s=base_s, trace=trace_path)
    # What people read, so that standard output is the line alone, and can be another command's --link.
    print_lines(fitted_lines(found), console(stderr=True))
    if trace_path is not None:
        write_whole(as_trace(found.trace, {"written by": "rtcprobe link fit", "way": found.way}), trace_path)
    if json_path is not None:
        write_whole(json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n", json_path)
    if not found.line:
        click.echo(
            "rtcprobe: no shape fits: give --trace PATH, and the line will name the delays as they were", err=True
        )
        return ExitCode.NOT_MEASURED
    if json_path != "-":
        click.echo(found.line)
    return ExitCode.MET


def _duration(flag: str, written: str | None) -> float | None:
    from rtcprobe.units import parse_duration

    if written is None:
        return None
    try:
        seconds = parse_duration(written)
    except BadInputError as error:
        raise error.within(flag) from None
    # Probes an hour apart say nothing of a link's packets.
    if not 0.0 < seconds <= 60.0:
        raise BadInputError(f"{flag} {written} is impossible", "give more than 0s, 60s at most")
    return seconds
