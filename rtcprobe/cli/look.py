"""Commands that measure no call: the catalogues, the schema, the instrument itself, recorded sound."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
from pathlib import Path

import click

from rtcprobe.cli.common import console
from rtcprobe.errors import ExitCode

__all__ = ["links", "scenarios", "schema", "score", "selftest", "targets"]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def score(folder: Path) -> None:
    """Score the sound that run --wav DIR wrote, speech only: ViSQOL's MOS-LQO of each ear against its mouth."""
    from rtcprobe.listening import score_folder, visqol
    from rtcprobe.report.listening import print_listening

    print_listening(score_folder(folder, visqol), console())


@click.command()
@click.argument("names", nargs=-1, metavar="[SCENARIO]...")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key, as run does.")
def scenarios(names: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """List the scenarios that come with rtcprobe, and whom each serves; of each SCENARIO, its parties and paths."""
    screen = console()
    if names:
        from rtcprobe.report.situation import print_situation
        from rtcprobe.scenario import find_scenario

        for place, name in enumerate(names):
            if place:
                screen.print()
            print_situation(find_scenario(name, settings), screen)
        return
    from rtcprobe.scenario import library, library_folder, serves

    for name in library():
        screen.print(f"[bold]{name:<19}[/bold] {serves(name)}", highlight=False, soft_wrap=True)
    screen.print(f"\nfiles: {library_folder()}", highlight=False, soft_wrap=True)
    screen.print(
        "who takes part in one, and over which paths: rtcprobe scenarios NAME", highlight=False, soft_wrap=True
    )


@click.command()
@click.argument("regions", nargs=-1, metavar="[REGION]...")
def links(regions: tuple[str, ...]) -> None:
    """List regions and accesses with what is sourced and what assumed; with REGIONs, the round trips from them."""
    from rtcprobe.report.links import print_catalogue, print_round_trips

    if regions:
        print_round_trips(regions, console())
    else:
        print_catalogue(console())


@click.command()
def targets() -> None:
    """List the kinds of targets: how each is written, what is heard, which keys it takes under target."""
    from importlib.metadata import entry_points

    from rtcprobe.call.targets.kinds import GROUP, KINDS

    screen = console()
    for kind in KINDS:
        screen.print(f"[bold]{kind.written}[/bold]", highlight=False, soft_wrap=True)
        told = {"calls": kind.calls, "hears": kind.hears, "without TLS": kind.plain, "keys": ", ".join(kind.options)}
        for name, said in told.items():
            if said:
                screen.print(f"  {name:<12}{said}", highlight=False, soft_wrap=True)
    known = {scheme for kind in KINDS for scheme in kind.schemes}
    for scheme in (each.name for each in entry_points(group=GROUP) if each.name not in known):
        screen.print(f"[bold]{scheme}://[/bold]\n  brought by another package", highlight=False, soft_wrap=True)
    screen.print("\nEvery target takes region too: how far away it should seem (rtcprobe links).", soft_wrap=True)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a scenario, for editors."""
    from rtcprobe.scenario import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2))


@click.command()
def selftest() -> int:
    """Inject known delays across codec settings and print the instrument's own errors, pass or fail."""
    from rtcprobe.report.selftest import print_selftest, print_voice_selftest
    from rtcprobe.selftest import selftest_rows
    from rtcprobe.selftest_voice import voice_rows

    # Both are shown, whatever the first one says.
    markers = print_selftest(selftest_rows(), console())
    voices = print_voice_selftest(voice_rows(), console())
    return ExitCode.MET if markers and voices else ExitCode.NOT_MEASURED
