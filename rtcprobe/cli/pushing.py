"""What ``run`` hands to Prometheus when it does not stay to be scraped: ``--push`` and ``--openmetrics``."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from rtcprobe.cli.common import complain, say
from rtcprobe.errors import BadInputError, ExitCode, RtcprobeError

if TYPE_CHECKING:
    from rtcprobe.exporter.instruments import Instruments
    from rtcprobe.exporter.outcome import Failure
    from rtcprobe.exporter.push import Gateway
    from rtcprobe.result import Clock, Result
    from rtcprobe.scenario import Scenario

__all__ = ["Pushing", "pushing_options"]

_OPTIONS = (
    click.option("--push", "push_url", metavar="URL", help="Put the figures of each run into a Pushgateway."),
    click.option(
        "--push-grouping",
        "push_grouping",
        multiple=True,
        metavar="NAME=VALUE",
        help="Further grouping key beside job and probe: --push-grouping instance=ci-7.",
    ),
    click.option("--push-auth", "push_auth", metavar="USER:env:NAME", help="Basic auth; or USER:file:PATH."),
    click.option("--push-delete", "push_delete", is_flag=True, help="Measure nothing: delete what --push put there."),
    click.option(
        "--openmetrics",
        "openmetrics_path",
        metavar="PATH",
        help="Write the figures as OpenMetrics; end PATH in .prom for node_exporter's textfile collector.",
    ),
)


@dataclass(slots=True, kw_only=True)
class Pushing:
    """Where figures go, and those of the runs so far."""

    push_url: str | None = None
    push_grouping: tuple[str, ...] = ()
    push_auth: str | None = None
    push_delete: bool = False
    openmetrics_path: str | None = None
    _runs: list[Instruments] = field(default_factory=list, init=False)
    _gateway: Gateway | None = field(default=None, init=False)
    _began_s: float = field(default=0.0, init=False)

    @property
    def asked(self) -> bool:
        """Whether figures go anywhere."""
        return self.push_url is not None or self.openmetrics_path is not None

    def refuse(self) -> None:
        """Refuse what cannot be meant, before anything is measured.

        Raises:
            BadInputError: a URL, key or password that cannot be; a file that cannot be written.
        """
        from rtcprobe.report.json import check_writable

        if self.push_url is None and (self.push_grouping or self.push_auth or self.push_delete):
            raise BadInputError("there is nowhere to push", "give --push URL")
        if self.openmetrics_path is not None:
            check_writable(self.openmetrics_path)
        if self.push_url is not None:
            from rtcprobe.exporter.push import Gateway

            # Made now for its refusals; nothing is sent before the first run has ended.
            self._gateway = Gateway(self.push_url, self.push_grouping, self.push_auth)

    def delete(self, plans: Sequence[Scenario]) -> ExitCode:
        """Delete the groups of these scenarios from the gateway.

        Raises:
            MeasurementError: the gateway was not reached, or refused it.
        """
        assert self._gateway is not None
        for plan in plans:
            self._gateway.delete(plan.name)
            say(f"deleted {self._gateway.place(plan.name)}")
        return ExitCode.MET

    def begin(self) -> None:
        """A run begins."""
        self._began_s = time.monotonic()

    def hand_over(
        self, scenario: Scenario, *, seed: int, clock: Clock, result: Result | None = None, fault: str = ""
    ) -> bool:
        """Hand over a run, its ``result`` or the ``fault`` that kept it from one; return whether all of it arrived."""
        if self._gateway is None and self.openmetrics_path is None:
            return True
        from rtcprobe.exporter.outcome import Outcome
        from rtcprobe.exporter.push import run_instruments, textfile
        from rtcprobe.report.json import write_whole
        from rtcprobe.verdict import goals

        failure: Failure | None = None if result is not None else "unmeasured"
        outcome = Outcome(
            seed=seed,
            ended_unix_s=time.time(),
            # Not of the wall clock, which NTP may step within a run.
            duration_s=time.monotonic() - self._began_s,
            result=result,
            goals=() if result is None else goals(result),
            failure=failure,
            sentence=fault,
        )
        run = run_instruments(scenario, clock, outcome)
        # A textfile is replaced whole at every scrape: it holds all runs so far, or the first ones would vanish.
        self._runs.append(run)
        arrived = True
        if self.openmetrics_path is not None:
            # Both are tried, whatever became of the first; neither changes the verdict (exit code 4 only where budgets
            # were met).
            arrived &= _said(functools.partial(write_whole, textfile(self._runs), self.openmetrics_path))
        if self._gateway is not None:
            arrived &= _said(functools.partial(self._gateway.put, run))
        return arrived


def pushing_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` the flags that hand figures over; it gets them as one ``pushing``."""
    names = tuple(name for name in Pushing.__dataclass_fields__ if not name.startswith("_"))

    @functools.wraps(command)
    def collected(**given: Any) -> int:
        pushing = Pushing(**{name: given.pop(name) for name in names})
        return command(pushing=pushing, **given)

    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def _said(hand_over: Callable[[], None]) -> bool:
    """Hand over, and say where that failed; return whether it did not."""
    try:
        hand_over()
    except RtcprobeError as error:
        complain(str(error))
        return False
    return True
