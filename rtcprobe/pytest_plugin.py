"""A pytest plugin: a test places a call and fails when a budget is missed, naming what broke.

::

    def test_two_friends_are_connected_quickly(rtcprobe_run):
        rtcprobe_run("1v1-social", budgets=["join.first_audio p95 < 700ms", "mouth_to_ear p95 < 200ms"])

    async def test_a_lossy_access(rtcprobe_run_async):
        result = await rtcprobe_run_async("1v1-social", link="delay 40ms loss 5%", check=False)
        assert result.mouth_to_ear["caller_to_callee"].r > 70

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
from typing import TYPE_CHECKING, TypedDict, Unpack

import pytest

if TYPE_CHECKING:
    from rtcprobe.result import Clock, Engine, Result
    from rtcprobe.scenario import Scenario

__all__ = ["Asked", "AsyncRun", "Run", "rtcprobe_run", "rtcprobe_run_async"]

# Two async tests may ask at the same time, from threads of their own: what is set in aiortc's modules for a
# call holds for the process.
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
    # Looked at before the first test, so that a history that cannot be written fails in a second, not after
    # an hour.
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


class Asked(TypedDict, total=False):
    """What may be asked of a call beside its scenario.

    ``settings``: keys of the scenario to change, as a mapping (``{"call.joins": 5}``) or as lines of ``--set``
    (``["call.joins=5"]``). ``link``: the path both ways in its place (``"delay 40ms loss 5%"``). ``budgets``: lines in
    place of the scenario's own. ``seed``: ``--rtcprobe-seed`` unless given. ``real_time``: on the machine's clock, as a
    server needs. ``engine``: ``"model"`` is faster, and makes no joins. ``strict``: undecided budgets count as missed.
    """

    settings: Mapping[str, object] | Sequence[str]
    link: str
    budgets: Sequence[str]
    seed: int
    real_time: bool
    engine: Engine
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What ``rtcprobe_run`` is: call it with a scenario."""

    seed: int
    history: str | None = None

    def __call__(self, scenario: str | Path | Scenario, *, check: bool = True, **asked: Unpack[Asked]) -> Result:
        """Return the judged result of ``scenario``: a name of the library, a path to YAML, or a ``Scenario``.

        What may be asked is in ``Asked``. ``check=False`` leaves the verdict to the test. The screen of the run is
        printed, so pytest shows it where the test fails.
        """
        __tracebackhide__ = True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            pytest.fail("rtcprobe_run blocks: in an async test await rtcprobe_run_async(...)", pytrace=False)
        result = self.measure(scenario, asked)
        return _checked(result, strict=asked.get("strict", False)) if check else result

    def measure(self, scenario: str | Path | Scenario, asked: Asked) -> Result:
        """Place the call and judge it; what cannot be run or measured fails the test with its sentence."""
        __tracebackhide__ = True
        from rtcprobe.errors import RtcprobeError
        from rtcprobe.probe import run_probe
        from rtcprobe.verdict import judge, parse_budget

        # Types are not checked at run time: a misspelt ``budget=`` would otherwise be ignored, and the test
        # pass.
        unknown = set(asked) - set(Asked.__annotations__)
        if unknown:
            known = ", ".join(Asked.__annotations__)
            raise TypeError(f"rtcprobe_run has no parameter {min(unknown)!r}: use {known}")
        try:
            plan = _planned(scenario, asked)
            if "budgets" in asked:
                plan = replace(plan, budgets=tuple(parse_budget(each) for each in asked["budgets"]))
            with _TURN:
                clock: Clock = "real" if asked.get("real_time") else "virtual"
                engine = asked.get("engine", "stack")
                result = run_probe(plan, seed=asked.get("seed", self.seed), clock=clock, engine=engine)
            result = judge(result, plan.budgets, strict=True) if asked.get("strict") else result
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

    async def __call__(self, scenario: str | Path | Scenario, *, check: bool = True, **asked: Unpack[Asked]) -> Result:
        """Return the judged result of ``scenario``, measured in a thread; the arguments are those of ``Run``."""
        __tracebackhide__ = True
        result = await asyncio.to_thread(self.run.measure, scenario, asked)
        return _checked(result, strict=asked.get("strict", False)) if check else result


def _planned(scenario: str | Path | Scenario, asked: Asked) -> Scenario:
    """Return the scenario to place, changed as asked.

    Raises:
        BadInputError: it cannot be meant.
    """
    from rtcprobe.errors import BadInputError
    from rtcprobe.scenario import find_scenario

    settings, link = asked.get("settings") or {}, asked.get("link")
    if isinstance(settings, str):
        raise BadInputError(f"settings {settings!r} is one text", "write a list of them, or a mapping")
    lines = [f"{key}={value}" for key, value in settings.items()] if isinstance(settings, Mapping) else [*settings]
    if link is not None:
        # Whichever came last would win, and nobody would see that the other was thrown away.
        if any(line.partition("=")[0].strip().split(".")[0] == "link" for line in lines):
            raise BadInputError("link is given and among the settings too", "write the whole link in one of them")
        lines.append(f"link={link}")
    if isinstance(scenario, (str, Path)):
        return find_scenario(str(scenario), lines)
    if lines:
        raise BadInputError("settings and link change a scenario that is named, not one that is made", "name one")
    return scenario


def _checked(result: Result, *, strict: bool) -> Result:
    """Return ``result`` if it passed, else fail the test with what broke, gravest first."""
    __tracebackhide__ = True
    if result.verdict == "pass":
        return result
    from rtcprobe.report.cases import gravest, result_cases

    broken = [each.message for each in gravest(result_cases(result, strict=strict)) if each.outcome != "noted"]
    said = "".join(f"\n  {each}" for each in broken)
    pytest.fail(f"{result.verdict.upper()} {result.scenario} (seed {result.seed}){said}", pytrace=False)
