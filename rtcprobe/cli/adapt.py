"""``rtcprobe adapt``: what a sender does when the line shrinks, in virtual time."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json

import click

from rtcprobe.cli.common import say
from rtcprobe.errors import BadInputError, ExitCode

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
def adapt(
    *, scenarios: tuple[str, ...], controller: str, line: str | None, length: str, seeds: int, json_path: str | None
) -> int:
    """Call over lines that change and print the scoreboard of RFC 8868: a model of a sender, in virtual time.

    SCENARIO is a name (step, ramp, loss, rfc8867-5.1, ...) or a .yaml file; without any, all that come with rtcprobe.
    gcc is libwebrtc's sender, remb stock aiortc's, fixed:RATE none. Nothing is sent over any network.
    """
    from rtcprobe.adaptation import (
        Call,
        Settings,
        case_names,
        case_of_link,
        controller_of,
        figures_of,
        find_case,
    )
    from rtcprobe.report.adapt import adapt_lines, interval_of
    from rtcprobe.report.json import check_writable, write_whole
    from rtcprobe.units import parse_duration

    if json_path is not None:
        check_writable(json_path)
    if line is not None and scenarios:
        raise BadInputError(f"--link and scenario {scenarios[0]!r} are both given", "leave one out")
    controller_of(controller)
    try:
        length_s = parse_duration(length)
    except BadInputError as error:
        raise error.within("--length") from None
    if line is not None:
        cases = [case_of_link(line, length_s)]
    else:
        cases = [find_case(name) for name in scenarios or case_names()]
    if json_path != "-":
        say(f"engine: model (virtual time, {seeds} {'seed' if seeds == 1 else 'seeds'}); controller: {controller}")
    written = []
    for case in cases:
        rows = []
        for seed in range(seeds):
            settings = Settings(forward=case.link, back=case.back, length_s=case.length_s, seed=seed)
            rows.append(figures_of(Call(settings, controller_of(controller)).run(), case.link))
        if json_path != "-":
            say("")
            for each in adapt_lines(case, controller, rows):
                say(each)
        figures = {key: interval_of([row[key] for row in rows]) for key in rows[0]}
        written.append({"scenario": case.name, "about": case.about, "source": case.source, "figures": figures})
    if json_path is not None:
        document = {"engine": "model", "controller": controller, "seeds": seeds, "scenarios": _plain(written)}
        write_whole(json.dumps(document, indent=1, allow_nan=False) + "\n", json_path)
    return ExitCode.MET


def _plain(value: object) -> object:
    """Return ``value`` with what never came as the word ``never``, for JSON knows no infinity."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return "never" if value == float("inf") else value
