"""``rtcprobe check``: is it slower than it was, and which part made it so?

Facts:
    In virtual time equal seeds make equal networks, so each run is compared with the run of its own seed: what differs
    is what changed in the stack or the scenario's playout, and the smallest such change shows.

Rules:
    1. What cannot be compared is refused before anything is measured: another scenario, link, clock or seeds.
    2. The baseline is written only with ``--update-baseline``, whole, and only from runs that measured something.
    3. ``--break`` shows what a gate would say of a slower stack; nothing that it broke is kept.
    4. A regression decides. Budgets do too where ``--budgets`` names them; a scenario's own are ``run``'s business.
"""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtcprobe.cli.common import INTERRUPTED, complain, say
from rtcprobe.cli.measuring import (
    Measuring,
    budgeted,
    budgets_option,
    measured,
    measuring_options,
    strict_option,
)
from rtcprobe.cli.outputs import Outputs, output_options
from rtcprobe.cli.reading import read_results
from rtcprobe.errors import BadInputError, ExitCode, RtcprobeError

if TYPE_CHECKING:
    from rtcprobe.report.cases import Case, Suite
    from rtcprobe.result import Result
    from rtcprobe.scenario import Scenario
    from rtcprobe.verdict import Goal, RegressionCheck, Tolerance
    from rtcprobe.verdict.breaking import Break

__all__ = ["check"]

RUNS = 3
"""Runs of a new baseline: one call is one draw of how playout ties itself to the network."""

_EXIT_CODES = (
    "Exit codes: 0 no worse, 1 worse (or a budget of --budgets missed), 2 bad usage or a baseline of something else, "
    f"3 could not measure or tell, {INTERRUPTED}."
)


@click.command(epilog=_EXIT_CODES, short_help="Compare fresh runs with a stored baseline.")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@click.option("--baseline", "baseline_path", required=True, metavar="FILE", help="Results to compare with.")
@click.option("--update-baseline", "update", is_flag=True, help="Store what is measured as the new baseline.")
@click.option(
    "--tolerance", default="statistical", show_default=True, metavar="+15ms|+5%", help="How much slower is still fine."
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    metavar="N",
    help=f"Runs, a seed each [default: the baseline's, else {RUNS}].",
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of the first run [default: the baseline's, else 1]."
)
@click.option("--fresh-seeds", is_flag=True, help="Use seeds the baseline does not have, and compare unpaired.")
@click.option(
    "--break",
    "broken",
    metavar="STAGE+TIME",
    help="Make one stage or phase of the fresh runs longer, to see the gate red: 'device +30ms'.",
)
@measuring_options
@budgets_option
@strict_option
@output_options
@click.option("-q", "--quiet", is_flag=True, help="No progress and no screen, only the verdict.")
def check(
    scenarios: tuple[str, ...],
    *,
    baseline_path: str,
    update: bool,
    tolerance: str,
    runs: int | None,
    seed: int | None,
    fresh_seeds: bool,
    broken: str | None,
    measuring: Measuring,
    budgets_path: str | None,
    strict: bool,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Measure SCENARIOs and compare them with a stored baseline: exit 1 when a headline figure got worse.

    In virtual time runs are compared seed by seed, so unchanged code passes every time and small changes show.
    --update-baseline stores a first baseline, or replaces the one of these scenarios.
    """
    from rtcprobe.verdict import parse_tolerance

    tolerated = parse_tolerance(tolerance)  # what costs least to refuse comes first
    change = _change(broken, update=update, outputs=outputs)
    plans = budgeted(measuring.plans(scenarios), budgets_path)
    names = _named(plans)
    outputs.refuse()
    stored = _stored(baseline_path, names, update=update, outputs=outputs)
    jobs = []
    for plan in plans:
        before = tuple(each for each in stored if each.scenario == plan.name)
        job = _Job(plan, before, _seeds(before, runs, seed, fresh=fresh_seeds), measuring, fresh_seeds)
        jobs.append(job.judged_beforehand(baseline_path, update=update))
        if change is not None:
            change.refuse(before)
    given = budgets_path is not None  # rule 4
    session = _Session(tolerance=tolerated, strict=strict, budgets=given, outputs=outputs, quiet=quiet, change=change)
    try:
        for job in jobs:
            if not session.run(job):
                break
    except KeyboardInterrupt:
        complain("interrupted")
        session.codes.append(ExitCode.INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # who read the screen went away: what was measured is written all the same
        session.finish(baseline_path if update else None, stored)
        raise
    return session.finish(baseline_path if update else None, stored)


def _named(plans: Sequence[Scenario]) -> list[str]:
    names = [plan.name for plan in plans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"two scenarios are named {twice}", "check them one by one, each with its own baseline")
    return names


@dataclass(frozen=True, slots=True)
class _Job:
    """A scenario to check: with what, and which runs to make. ``compared``: whether there is anything to compare."""

    plan: Scenario
    before: tuple[Result, ...]
    seeds: tuple[int, ...]
    measuring: Measuring
    fresh_seeds: bool
    compared: bool = True

    def judged_beforehand(self, path: str, *, update: bool) -> _Job:
        """Return the job, known to be comparable; when updating, one that is not compared needs no baseline.

        Raises:
            BadInputError: it cannot be compared with its baseline.
        """
        from rtcprobe.verdict import refuse

        if not self.before:
            return replace(self, compared=False)
        plan = self.plan
        try:
            refuse(
                self.before,
                scenario=plan.name,
                scenario_digest=plan.digest,
                seeds=self.seeds,
                fresh_seeds=self.fresh_seeds,
                clock=self.measuring.clock,
                engine=self.measuring.engine,
                target=plan.target.shown,
                settings=plan.settings,
            )
        except BadInputError as error:
            if not update:
                raise error.within(path) from error
            complain(f"warning: not compared with the old baseline: {error.message}")
            return replace(self, compared=False)
        return self


@dataclass(slots=True, kw_only=True)
class _Session:
    """The jobs of one command: measures each, compares, shows, and finds the exit code."""

    tolerance: Tolerance
    strict: bool
    budgets: bool
    outputs: Outputs
    quiet: bool
    change: Break | None = None
    checks: list[RegressionCheck] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    took_s: dict[str, float] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    fit: dict[str, list[Result]] = field(default_factory=dict)
    codes: list[ExitCode] = field(default_factory=list)

    def run(self, job: _Job) -> bool:
        """Measure and compare one scenario; return whether to go on with the next."""
        runs: list[Result] = []
        try:
            for seed in job.seeds:
                runs.append(self._measured(job, seed))
                if runs[-1].interrupted:
                    self.codes.append(ExitCode.INTERRUPTED)
                    return False
            self._judge(job, runs)
        except RtcprobeError as error:
            self._fault(job.plan.name, error)
        return True

    def finish(self, baseline_path: str | None, stored: Sequence[Result]) -> int:
        """Write what is written once, and return the exit code: the gravest of the scenarios'."""
        from rtcprobe.report.check import check_markdown
        from rtcprobe.report.markdown import faults_markdown, results_markdown

        def markdown(brief: bool) -> str:
            missed = [each for each in self.results if self.budgets and each.verdict != "pass"]
            parts = [faults_markdown(self.faults), *(check_markdown(each, self._goals(each)) for each in self.checks)]
            return "\n".join([*parts, results_markdown(missed, brief=brief)])

        try:
            if baseline_path is not None:
                self._store(baseline_path, stored)
            if self.outputs.json_path is not None:
                plain = [each.to_dict() for each in self.checks]
                value = plain[0] if len(plain) == 1 else plain
                self.outputs.write_json(json.dumps(value, indent=1, allow_nan=False) + "\n")
            self.outputs.write_cases(self.cases, self._suites(), markdown)
        except RtcprobeError as error:
            complain(str(error))
            self.codes.append(ExitCode(error.exit_code))
        gravest = (ExitCode.INTERRUPTED, ExitCode.BAD_INPUT, ExitCode.MISSED, ExitCode.NOT_MEASURED)  # as in run
        return next((code for code in gravest if code in self.codes), ExitCode.MET)

    def _goals(self, check: RegressionCheck) -> tuple[Goal, ...]:
        """Return what the goals people feel came to over the runs of a check that count."""
        from rtcprobe.verdict import goals
        from rtcprobe.verdict.goals import pooled

        runs = self.fit.get(check.comparison.b.scenario, [])
        return goals(pooled(runs)) if runs else ()

    def _suites(self) -> list[Suite]:
        from rtcprobe.report.cases import Suite

        return [
            Suite.of(name, [each for each in self.results if each.scenario == name], took_s)
            for name, took_s in self.took_s.items()
        ]

    def _measured(self, job: _Job, seed: int) -> Result:
        from rtcprobe.report.cases import budget_sentence, result_cases

        began_s = time.monotonic()
        asked = job.measuring
        result = measured(
            job.plan, seed=seed, clock=asked.clock, engine=asked.engine, quiet=self.quiet, strict=self.strict
        )
        if self.change is not None and result.verdict != "invalid":  # before anything judges or keeps it
            from rtcprobe.verdict import judge

            result = judge(self.change.applied(result), job.plan.budgets, strict=self.strict)
        self.took_s[job.plan.name] = self.took_s.get(job.plan.name, 0.0) + time.monotonic() - began_s
        self.results.append(result)
        self.outputs.append(result)
        if not self.budgets:
            return result
        self.cases += result_cases(result, strict=self.strict)
        if result.verdict != "pass":
            self.codes.append(result.exit_code)
            told = [budget_sentence(each) for each in result.budgets if each.verdict != "met" and not each.advisory]
            for sentence in told:
                say(f"{job.plan.name}, seed {seed}: {sentence}", err=self.outputs.pipes)
        return result

    def _judge(self, job: _Job, runs: list[Result]) -> None:
        """Compare the runs with their baseline, and show it."""
        from rtcprobe.report.cases import unjudged_reasons

        useless = next((each for each in runs if each.verdict == "invalid" or unjudged_reasons(each)), None)
        if useless is None:  # else compared and said, but never a baseline
            self.fit[job.plan.name] = runs
        if not job.compared:
            self._first(job, runs, useless)
            return
        from rtcprobe.report.check import check_cases, check_lines
        from rtcprobe.report.lines import print_lines
        from rtcprobe.verdict import check as checked

        found = checked(job.before, runs, self.tolerance, fresh_seeds=job.fresh_seeds)
        if self.change is not None:
            found = replace(found, notes=(f"broken on purpose: {self.change}; the baseline is as it was", *found.notes))
        self.checks.append(found)
        self.cases += check_cases(found, strict=self.strict)
        unsure = ExitCode.MISSED if self.strict else ExitCode.NOT_MEASURED
        self.codes.append({"pass": ExitCode.MET, "fail": ExitCode.MISSED}.get(found.verdict, unsure))
        if not self.quiet:
            screen = self.outputs.screen()
            if len(self.checks) > 1:
                screen.print()
            print_lines(check_lines(found, self._goals(found)), screen)
        elif not self.outputs.pipes:
            say(f"{found.verdict.upper()} {job.plan.name}")

    def _first(self, job: _Job, runs: list[Result], useless: Result | None) -> None:
        """Say what became of a first baseline."""
        from rtcprobe.report.sentences import counted

        if useless is not None:
            reasons = "; ".join(useless.reasons) or useless.verdict
            complain(f"{job.plan.name}: seed {useless.seed} is no baseline: {reasons}")
            self.codes.append(ExitCode.NOT_MEASURED)
        elif not self.outputs.pipes:
            say(f"NEW   {job.plan.name}: {counted(len(runs), 'run', 'runs')} to compare with")

    def _store(self, path: str, stored: Sequence[Result]) -> None:
        """Write the baseline anew: of the scenarios measured what is fit, of all others what was there."""
        from rtcprobe.report.history import line_of
        from rtcprobe.report.json import dumps, locked_folder, write_whole

        if not self.fit or ExitCode.INTERRUPTED in self.codes:  # rule 2: half of the runs are none
            complain(f"{path} is left as it was")
            return
        lines = Path(path).suffix == ".jsonl"  # a history stays one
        with locked_folder(path):
            if Path(path).exists():  # another check may have put its own there since
                stored = read_results(path, scenario=None, last=None)
            kept = [each for each in stored if each.scenario not in self.fit]
            results = [*kept, *(each for runs in self.fit.values() for each in runs)]
            write_whole("".join(line_of(each).decode() for each in results) if lines else dumps(results), path)
        if not self.outputs.pipes:
            say(f"{path}: baseline of {', '.join(self.fit)} written")

    def _fault(self, name: str, error: RtcprobeError) -> None:
        from rtcprobe.report.cases import fault

        complain(f"{name}: {error}")
        self.faults.append((name, str(error)))
        self.cases.append(fault(name, str(error)))
        self.codes.append(ExitCode(error.exit_code))


def _change(text: str | None, *, update: bool, outputs: Outputs) -> Break | None:
    """Return the break that is asked for.

    Raises:
        BadInputError: it cannot be meant, or what it breaks would be kept as if it had been measured.
    """
    from rtcprobe.verdict.breaking import parse_break

    if text is None:
        return None
    kept = "--update-baseline" if update else None if outputs.append_path is None else "--append"
    if kept is not None:
        raise BadInputError(f"{kept} would keep runs that --break broke on purpose", f"leave out {kept} or --break")
    return parse_break(text)


def _stored(path: str, names: Sequence[str], *, update: bool, outputs: Outputs) -> tuple[Result, ...]:
    """Return every result of the baseline file; none where a first one is to be written.

    Raises:
        BadInputError: it cannot be read, holds nothing of a scenario, or could not be written although it shall be.
    """
    from rtcprobe.report.json import check_writable

    if path in (outputs.json_path, outputs.junit_path, outputs.markdown_path, outputs.append_path):
        raise BadInputError(f"--baseline {path} is an output too", "give each a place of its own")
    if update:
        check_writable(path)
        if not Path(path).exists():
            return ()
    elif not Path(path).exists():
        raise BadInputError(f"baseline {path} does not exist", "store a first one with --update-baseline")
    results = read_results(path, scenario=None, last=None)
    held = dict.fromkeys(each.scenario for each in results)
    missing = next((name for name in names if name not in held), None)
    if missing is not None and not update:
        raise BadInputError(
            f"baseline {path} holds nothing of {missing} (it has {', '.join(held)})", "add it with --update-baseline"
        )
    return results


def _seeds(before: Sequence[Result], runs: int | None, first: int | None, *, fresh: bool) -> tuple[int, ...]:
    """Return the seeds to run: the baseline's unless told, or as many that it does not have."""
    held = sorted({each.seed for each in before})
    if held and runs is None and first is None and not fresh:
        return tuple(held)
    count = runs or len(held) or RUNS
    begin = first if first is not None else (held[-1] + 1 if fresh and held else held[0] if held else 1)
    return tuple(range(begin, begin + count))
