"""``rtcprobe run``: scenarios measured, shown, judged and written down."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtcprobe.cli.common import EXIT_CODES, console
from rtcprobe.cli.measuring import Measuring, measuring_options
from rtcprobe.errors import BadInputError, ExitCode, RtcprobeError

if TYPE_CHECKING:
    from rtcprobe.result import Clock, Result
    from rtcprobe.scenario import Scenario

__all__ = ["run"]


@click.command(epilog=EXIT_CODES)
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@measuring_options
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the run.")
@click.option("--json", "json_path", metavar="PATH|-", help="Write the result (several scenarios: an array).")
@click.option(
    "--wav", "wav_dir", metavar="DIR", help="Write mouth and ear of both directions (several: a folder each)."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no screen, only the verdict.")
def run(
    scenarios: tuple[str, ...],
    *,
    measuring: Measuring,
    seed: int,
    json_path: str | None,
    wav_dir: str | None,
    quiet: bool,
) -> int:
    """Run SCENARIOs, by name (rtcprobe scenarios lists them) or by path to a YAML file."""
    from rtcprobe.report.json import check_writable

    plans = measuring.plans(scenarios)
    if json_path is not None:
        check_writable(json_path)
    folders = _wav_folders(wav_dir, plans)
    session = _Session(clock=measuring.clock, seed=seed, json_path=json_path, quiet=quiet)
    try:
        for plan, folder in zip(plans, folders, strict=True):
            if not session.run(plan, folder):
                break
    except KeyboardInterrupt:
        click.echo("rtcprobe: interrupted", err=True)
        session.codes.append(ExitCode.INTERRUPTED)
    return session.finish()


class _Session:
    """The scenarios of one command: runs each, shows it, keeps the JSON file whole, and finds the exit code."""

    def __init__(self, *, clock: Clock, seed: int, json_path: str | None, quiet: bool) -> None:
        self.clock = clock
        self.seed = seed
        self.json_path = json_path
        self.quiet = quiet
        self.results: list[Result] = []
        self.codes: list[ExitCode] = []
        self.console = console(stderr=json_path == "-")

    def run(self, scenario: Scenario, wav_dir: Path | None) -> bool:
        """Run one scenario; return whether to go on with the next."""
        from rtcprobe.probe import run_probe
        from rtcprobe.report.json import write_json
        from rtcprobe.report.progress import narrate
        from rtcprobe.report.terminal import print_result

        try:
            with narrate(scenario.name, quiet=self.quiet) as progress:
                result = run_probe(
                    scenario,
                    seed=self.seed,
                    clock=self.clock,
                    progress=progress,
                    wav_dir=wav_dir,
                )
        except RtcprobeError as error:
            click.echo(f"rtcprobe: {scenario.name}: {error}", err=True)
            self.codes.append(ExitCode(error.exit_code))
            return True
        self.results.append(result)
        self.codes.append(result.exit_code)
        if self.json_path is not None and self.json_path != "-":
            write_json(self.results, self.json_path)
        if not self.quiet:
            print_result(result, self.console)
        elif self.json_path != "-":
            click.echo(f"{result.verdict.upper()} {result.scenario}")
        return not result.interrupted

    def finish(self) -> int:
        """Write JSON to standard output where asked, and return the exit code: the gravest of the scenarios'."""
        from rtcprobe.report.json import write_json

        if self.json_path == "-" and self.results:
            write_json(self.results, "-")
        gravest = (ExitCode.INTERRUPTED, ExitCode.BAD_INPUT, ExitCode.MISSED, ExitCode.NOT_MEASURED)
        return next((code for code in gravest if code in self.codes), ExitCode.MET)


def _wav_folders(wav_dir: str | None, plans: Sequence[Scenario]) -> list[Path | None]:
    """Return a folder for each scenario, made and writable; None for each where no sound is wanted."""
    if wav_dir is None:
        return [None] * len(plans)
    if not wav_dir:
        raise BadInputError("--wav '' is no folder", "name one, or leave --wav out")
    names = [plan.name for plan in plans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(
            f"--wav {wav_dir}: two scenarios are named {twice}", "run them one by one, each into a folder of its own"
        )
    folder = Path(wav_dir)
    folders = [folder] if len(plans) == 1 else [folder / plan.name for plan in plans]
    for each in folders:
        try:
            each.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"{each} cannot be written", error.strerror or str(error)) from error
        if not os.access(each, os.W_OK):
            raise BadInputError(f"{each} cannot be written", "you have no right to write there")
    return [*folders]
