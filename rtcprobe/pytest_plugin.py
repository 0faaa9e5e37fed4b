"""A pytest plugin: a test places a call and fails when a budget is missed, naming what broke.

::

    def test_two_friends_are_connected_quickly(rtcprobe_run):
        rtcprobe_run("1v1-social", budgets=["join.first_audio p95 < 700ms", "mouth_to_ear p95 < 200ms"])

    async def test_a_lossy_access(rtcprobe_run_async):
        result = await rtcprobe_run_async("1v1-social", settings={"link": "delay 40ms loss 5%"}, check=False)
        assert result.mouth_to_ear["caller_to_callee"].quality["r"] > 70

Rules:
    1. Silence is not success: a run that is inconclusive or invalid fails the test too.
    2. A call has an event loop of its own, so from an async test it runs in a thread; calls take turns.
    3. Nothing is imported until a test asks for a call: suites that never do are not slower.
"""
# ruff: noqa: PLC0415 - rule 3

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtcprobe.result import Result
    from rtcprobe.scenario import Scenario

__all__ = ["AsyncRun", "Run", "rtcprobe_run", "rtcprobe_run_async"]

_TURN = threading.Lock()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("rtcprobe", "real-time calls")
    group.addoption("--rtcprobe-seed", type=int, default=1, metavar="N", help="Seed of calls that name none (1).")
    group.addoption("--rtcprobe-append", metavar="PATH", help="Append every result to this history, one a line.")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse, before any test, options that cannot be meant.

    Raises:
        pytest.UsageError: a seed below zero; a history that cannot be written, or is something else.
    """
    seed = config.getoption("--rtcprobe-seed")
    if seed < 0:
        raise pytest.UsageError(f"--rtcprobe-seed {seed} is impossible: give zero or more")
    history = config.getoption("--rtcprobe-append")
    if history is None:
        return
    from rtcprobe.errors import BadInputError
    from rtcprobe.report.history import check_appendable

    try:
        check_appendable(history)
    except BadInputError as error:
        raise pytest.UsageError(f"--rtcprobe-append: {error}") from error


@pytest.fixture(scope="session")
def rtcprobe_run(request: pytest.FixtureRequest) -> Run:
    """Place a call and fail the test when a budget is missed; see ``Run``."""
    return Run(seed=request.config.getoption("--rtcprobe-seed"), history=request.config.getoption("--rtcprobe-append"))


@pytest.fixture(scope="session")
def rtcprobe_run_async(rtcprobe_run: Run) -> AsyncRun:
    """Do the same in an async test, where it is awaited."""
    return AsyncRun(run=rtcprobe_run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What ``rtcprobe_run`` is: call it with a scenario."""

    seed: int
    history: str | None = None

    def __call__(
        self,
        scenario: str | Path | Scenario,
        *,
        settings: Mapping[str, object] | None = None,
        budgets: Sequence[str] | None = None,
        seed: int | None = None,
        real_time: bool = False,
        strict: bool = False,
        check: bool = True,
    ) -> Result:
        """Return the judged result of ``scenario``: a name of the library, a path to YAML, or a ``Scenario``.

        ``settings`` change its keys (``{"call.joins": 5}``); ``budgets`` replace its own. ``strict`` counts undecided
        budgets as missed. ``check=False`` leaves the verdict to the test. The screen of the run is printed, so pytest
        shows it where the test fails.
        """
        __tracebackhide__ = True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            pytest.fail("rtcprobe_run blocks: in an async test await rtcprobe_run_async(...)", pytrace=False)
        result = self.measure(
            scenario, settings=settings, budgets=budgets, seed=seed, real_time=real_time, strict=strict
        )
        return _checked(result, strict=strict) if check else result

    def measure(
        self,
        scenario: str | Path | Scenario,
        *,
        settings: Mapping[str, object] | None,
        budgets: Sequence[str] | None,
        seed: int | None,
        real_time: bool,
        strict: bool,
    ) -> Result:
        """Place the call and judge it; what cannot be run or measured fails the test with its sentence."""
        __tracebackhide__ = True
        from rtcprobe.errors import RtcprobeError
        from rtcprobe.probe import run_probe
        from rtcprobe.scenario import find_scenario
        from rtcprobe.verdict import judge, parse_budget

        try:
            if isinstance(scenario, (str, Path)):
                changed = [f"{key}={value}" for key, value in (settings or {}).items()]
                plan = find_scenario(str(scenario), changed)
            elif settings:
                pytest.fail("settings change a scenario that is named, not one that is made", pytrace=False)
            else:
                plan = scenario
            if budgets is not None:
                plan = replace(plan, budgets=tuple(parse_budget(each) for each in budgets))
            seed = self.seed if seed is None else seed
            with _TURN:
                result = run_probe(plan, seed=seed, clock="real" if real_time else "virtual")
            result = judge(result, plan.budgets, strict=strict) if strict else result
        except RtcprobeError as error:
            pytest.fail(f"rtcprobe: {error}", pytrace=False)
        self._keep(result)
        return result

    def _keep(self, result: Result) -> None:
        from rich.console import Console

        from rtcprobe.report.history import append_result
        from rtcprobe.report.lines import COLUMNS
        from rtcprobe.report.terminal import print_result

        print_result(result, Console(width=COLUMNS, no_color=True, highlight=False))
        if self.history is not None:
            append_result(result, self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncRun:
    """What ``rtcprobe_run_async`` is: await it with a scenario."""

    run: Run

    async def __call__(
        self,
        scenario: str | Path | Scenario,
        *,
        settings: Mapping[str, object] | None = None,
        budgets: Sequence[str] | None = None,
        seed: int | None = None,
        real_time: bool = False,
        strict: bool = False,
        check: bool = True,
    ) -> Result:
        """Return the judged result of ``scenario``, measured in a thread; the arguments are those of ``Run``."""
        __tracebackhide__ = True
        result = await asyncio.to_thread(
            self.run.measure,
            scenario,
            settings=settings,
            budgets=budgets,
            seed=seed,
            real_time=real_time,
            strict=strict,
        )
        return _checked(result, strict=strict) if check else result


def _checked(result: Result, *, strict: bool) -> Result:
    """Return ``result`` if it passed, else fail the test with what broke, gravest first."""
    __tracebackhide__ = True
    if result.verdict == "pass":
        return result
    from rtcprobe.report.cases import gravest, result_cases

    broken = [each.message for each in gravest(result_cases(result, strict=strict)) if each.outcome != "noted"]
    said = "".join(f"\n  {each}" for each in broken)
    pytest.fail(f"{result.verdict.upper()} {result.scenario} (seed {result.seed}){said}", pytrace=False)
