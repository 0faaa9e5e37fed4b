"""``rtcprobe run``: scenarios measured, shown, judged and written down."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtcprobe.cli.common import EXIT_CODES, complain, language_option, say
from rtcprobe.cli.measuring import Measuring, budgeted, budgets_option, measured, measuring_options, strict_option
from rtcprobe.cli.outputs import Outputs, output_options
from rtcprobe.cli.pushing import Pushing, pushing_options
from rtcprobe.errors import BadInputError, ExitCode, RtcprobeError
from rtcprobe.secrets import scrub

if TYPE_CHECKING:
    from rtcprobe.result import Result
    from rtcprobe.scenario import Scenario

__all__ = ["run"]

_GRAVEST = (
    ExitCode.INTERRUPTED,
    ExitCode.BAD_INPUT,
    ExitCode.MISSED,
    ExitCode.NOT_MEASURED,
    ExitCode.NOT_HANDED_OVER,
)


@click.command(epilog=EXIT_CODES, short_help="Run scenarios and judge them by their budgets.")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@measuring_options
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the run.")
@budgets_option
@strict_option
@output_options
@pushing_options
@click.option(
    "--wav",
    "wav_dir",
    metavar="DIR",
    help="Write mouth and ear of both directions: a folder each for several scenarios, and for several calls (call-1).",
)
@click.option(
    "--video",
    "video_dir",
    metavar="DIR",
    help="Write what was filmed and, beside it, what was shown, an MP4 a way, in folders as --wav has them.",
)
@language_option
@click.option("-q", "--quiet", is_flag=True, help="No progress and no screen, only the verdict.")
def run(
    scenarios: tuple[str, ...],
    *,
    measuring: Measuring,
    outputs: Outputs,
    pushing: Pushing,
    seed: int,
    budgets_path: str | None,
    strict: bool,
    wav_dir: str | None,
    video_dir: str | None,
    language: str,
    quiet: bool,
) -> int:
    """Run SCENARIOs, by name (rtcprobe scenarios lists them) or by path to a YAML file."""
    # Rule 1 of the package: all scenarios and places are judged before the first is run.
    plans = budgeted(measuring.plans(scenarios), budgets_path)
    outputs.refuse()
    pushing.refuse()
    if pushing.push_delete:
        return pushing.delete(plans)
    if video_dir and not any(plan.sending("video") for plan in plans):
        raise BadInputError(f"--video {video_dir}: nobody shows a picture here", "set video, as --set video.codec=vp8")
    folders = zip(_folders("--wav", wav_dir, plans), _folders("--video", video_dir, plans), strict=True)
    if measuring.engine != "stack" and pushing.asked:
        raise BadInputError(
            "engine model is for looking ahead: what it says would stand among measurements",
            "leave out --push and --openmetrics, or --engine",
        )
    session = _Session(measuring=measuring, seed=seed, strict=strict, outputs=outputs, pushing=pushing, quiet=quiet)
    session.language = language
    try:
        for plan, (sound, pictures) in zip(plans, folders, strict=True):
            if not session.run(plan, sound, pictures):
                break
    except KeyboardInterrupt:
        complain("interrupted")
        session.codes.append(ExitCode.INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # who read the screen went away: what was measured is written all the same
        session.finish()
        raise
    return session.finish()


class _Session:
    """The scenarios of one command: runs each, shows it, keeps what is written whole, and finds the exit code."""

    def __init__(
        self, *, measuring: Measuring, seed: int, strict: bool, outputs: Outputs, pushing: Pushing, quiet: bool
    ) -> None:
        self.clock = measuring.clock
        self.engine = measuring.engine
        self.seed = seed
        self.strict = strict
        self.outputs = outputs
        self.pushing = pushing
        self.quiet = quiet
        self.results: list[Result] = []
        self.took_s: list[float] = []
        self.faults: list[tuple[str, str]] = []
        self.codes: list[ExitCode] = []
        self.language = "en"

    def run(self, scenario: Scenario, wav_dir: Path | None, video_dir: Path | None = None) -> bool:
        """Run one scenario; return whether to go on with the next."""
        self.pushing.begin()
        began_s = time.monotonic()
        try:
            result = measured(
                scenario,
                seed=self.seed,
                clock=self.clock,
                engine=self.engine,
                quiet=self.quiet,
                strict=self.strict,
                wav_dir=wav_dir,
                video_dir=video_dir,
            )
        except RtcprobeError as error:
            fault = scrub(str(error))
            complain(f"{scenario.name}: {fault}")
            self.faults.append((scenario.name, fault))
            self.codes.append(ExitCode(error.exit_code))
            # A fault is handed over, too: a dashboard that only ever hears of good runs goes silent when it matters.
            self._handed(self.pushing.hand_over(scenario, seed=self.seed, clock=self.clock, fault=fault))
            return True
        self.results.append(result)
        self.took_s.append(time.monotonic() - began_s)
        self.codes.append(result.exit_code)
        # At once, scenario by scenario: what an hour measured must not hang on what the next one does.
        self._written(lambda: self.outputs.append(result))
        # Rewritten whole with every result, so that it is valid JSON at any time; a pipe gets all of it at the end.
        if self.outputs.json_path not in (None, "-"):
            self._written(self._write_json)
        # Half a run would stand on a dashboard like a whole one.
        if not result.interrupted:
            self._handed(self.pushing.hand_over(scenario, seed=self.seed, clock=self.clock, result=result))
        if not self.quiet:
            from rtcprobe.report.terminal import print_result
            from rtcprobe.report.words import speaking

            with speaking(self.language):
                print_result(result, self.outputs.screen())
        # Quiet is one line a scenario, and none where the reader of a pipe expects a document alone.
        elif not self.outputs.pipes:
            say(f"{result.verdict.upper()} {result.scenario}")
        return not result.interrupted

    def finish(self) -> int:
        """Write what is written once, and return the exit code: the gravest of the scenarios'."""
        if self.outputs.json_path == "-" and self.results:
            self._written(self._write_json)
        self._written(self._write_cases)
        # The gravest first: a run that was broken off outweighs a budget, a budget what could not be handed over.
        return next((code for code in _GRAVEST if code in self.codes), ExitCode.MET)

    def _handed(self, arrived: bool) -> None:
        if not arrived:
            self.codes.append(ExitCode.NOT_HANDED_OVER)

    def _write_json(self) -> None:
        from rtcprobe.report.json import dumps

        self.outputs.write_json(dumps(self.results, ascii_only=self.outputs.json_path == "-"))

    def _write_cases(self) -> None:
        if not self.outputs.tells:
            return
        from rtcprobe.report.cases import Suite, fault, result_cases
        from rtcprobe.report.markdown import faults_markdown, results_markdown
        from rtcprobe.report.words import speaking

        cases = [case for each in self.results for case in result_cases(each, strict=self.strict)]
        cases += [fault(name, sentence) for name, sentence in self.faults]
        made = zip(self.results, self.took_s, strict=True)
        suites = [Suite.of(each.scenario, [each], took_s) for each, took_s in made]

        def told(brief: bool) -> str:
            with speaking(self.language):
                return faults_markdown(self.faults) + results_markdown(self.results, brief=brief)

        self.outputs.write_cases(cases, suites, told)

    def _written(self, write: Callable[[], None]) -> None:
        """Write, and go on where that cannot be: what was measured is shown and kept elsewhere."""
        try:
            write()
        except RtcprobeError as error:
            complain(str(error))
            self.codes.append(ExitCode(error.exit_code))


def _folders(flag: str, named: str | None, plans: Sequence[Scenario]) -> list[Path | None]:
    """Return a folder for each scenario, made and writable; None for each where nothing is to be written."""
    if named is None:
        return [None] * len(plans)
    # An empty variable of a shell: as a path it would be the current folder.
    if not named:
        raise BadInputError(f"{flag} '' is no folder", f"name one, or leave {flag} out")
    names = [plan.name for plan in plans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(
            f"{flag} {named}: two scenarios are named {twice}", "run them one by one, each into a folder of its own"
        )
    folder = Path(named)
    folders = [folder] if len(plans) == 1 else [folder / plan.name for plan in plans]
    for each in folders:
        try:
            each.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"{each} cannot be written", error.strerror or str(error)) from error
        # A folder that is there already was made without asking whether it can be written.
        if not os.access(each, os.W_OK):
            raise BadInputError(f"{each} cannot be written", "you have no right to write there")
    return [*folders]
