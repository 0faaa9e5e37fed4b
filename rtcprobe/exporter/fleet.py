"""Everything serve runs and knows: probes with their metrics and last runs, workers, reports, the configuration.

Rules:
    1. A reload is whole or not at all: a bad configuration changes one gauge and nothing else.
    2. A run whose figures cannot be counted counts as a crash, and moves none of them.
    3. A probe without an outcome for two intervals is *silent*: readiness, page and a metric say so.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector

from rtcprobe.errors import BadInputError
from rtcprobe.exporter.board import Board, RunView, view
from rtcprobe.exporter.config import ProbePlan, ServeConfig
from rtcprobe.exporter.figures import ServerFigures
from rtcprobe.exporter.instruments import Draft, Format, expose, expose_gzip
from rtcprobe.exporter.outcome import Outcome, add_run, set_last_run
from rtcprobe.exporter.promises import NAMES, Promise
from rtcprobe.exporter.roster import Roster
from rtcprobe.exporter.schedule import Miss, Scheduler, Slots
from rtcprobe.exporter.shelf import Shelf
from rtcprobe.exporter.workers import Pool
from rtcprobe.probe.job import Job
from rtcprobe.secrets import scrub

__all__ = ["Fleet", "Runner"]

LOG: Final = logging.getLogger("rtcprobe")


class Runner(Protocol):
    """Who makes runs: ``workers.Pool``, or a test's stand-in."""

    async def run(self, job: Job, seed: int, *, timeout_s: float, waited_s: float, report: Path | None) -> Outcome:
        """Make one run and return how it ended, whatever happens to it."""
        ...

    def warm(self, count: int) -> None:
        """Keep this many workers ready."""
        ...

    def states(self) -> Mapping[str, int]:
        """Return how many workers are starting, idle and busy."""
        ...

    async def close(self) -> None:
        """End them all."""
        ...


class Fleet:
    """The state of a server. ``read`` reads the configuration anew; ``wall`` is the wall clock.

    ``runner`` stands in for worker processes; seeds and jitter come from ``random``.
    """

    def __init__(
        self,
        read: Callable[[], ServeConfig],
        *,
        runner: Runner | None = None,
        wall: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        self.config = read()
        self.board = Board()
        self.shelf = Shelf(self.config.reports)
        self.stopping = False
        self.slots = Slots(self.config.concurrency)
        self.random = random or SystemRandom()
        self._read = read
        self._wall = wall
        self._reports: dict[str, Path] = {}
        self.figures = ServerFigures(lambda: self.shelf)
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._runner: Runner = runner or Pool(self.figures)
        self._scheduler = Scheduler(self._execute, self.slots, self, self.random, wall)
        self._running: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._roster = Roster(self._now_s)
        self._refused = ""
        self._reloading = asyncio.Lock()
        self._on_demand = 0
        self._lag: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to probe."""
        self._loop = asyncio.get_running_loop()
        self._lag = asyncio.ensure_future(self.figures.measure_lag())
        self._apply(self.config)
        LOG.info("%d probes, %d at once", len(self.config.probes), self.config.concurrency)

    async def reload(self) -> None:
        """Read the configuration anew, beside the loop, and go over to it; refused, the old one goes on.

        Raises:
            BadInputError: it cannot be meant.
        """
        async with self._reloading:
            try:
                config = await asyncio.to_thread(self._read)
            except BadInputError as error:
                self.refuse(error)
                raise
            self._apply(config)
        LOG.info("configuration read: %d probes, %d at once", len(config.probes), config.concurrency)

    def refuse(self, error: BadInputError) -> None:
        """Take note that a new configuration was refused, and why."""
        self._refused = str(error)
        self.figures.config_refused()

    async def stop(self, grace_s: float) -> None:
        """End probing: runs in hand have ``grace_s`` seconds; then their processes are killed."""
        self.stopping = True
        await self._scheduler.stop(grace_s)
        await self._runner.close()
        if self._lag is not None:
            self._lag.cancel()

    @property
    def probes(self) -> Sequence[ProbePlan]:
        """The probes, in the order of the configuration."""
        return self.config.probes

    def running(self, probe: str) -> bool:
        """Return whether a run of it is going on."""
        return probe in self._running

    def silent(self) -> Sequence[str]:
        """Return the probes that have had no outcome for two intervals; those that just came have as long."""
        return self._roster.silent()

    def promises(self, plan: ProbePlan) -> Sequence[Promise]:
        """Return the objectives of a probe and how they stand: as Prometheus' alerts see them."""
        return self._roster.promises(plan)

    def troubles(self) -> Sequence[str]:
        """Return what somebody should see to, in sentences."""
        troubles = []
        if self._refused:
            troubles.append(f"the configuration last read was refused, the old one goes on: {self._refused}")
        if not self.shelf.writable:
            troubles.append(f"reports are not being written: {self.shelf.fault}")
        silent = self.silent()
        if silent:
            troubles.append(f"no outcome for two intervals: {', '.join(silent)}")
        if self.stopping:
            troubles.append("the server is ending")
        return troubles

    def exposition(self, form: Format, *, packed: bool = False) -> bytes:
        """Return everything, as a scrape wants it; ``packed`` by gzip."""
        self.figures.set_states(self.config, self._runner.states(), self._on_demand)
        silent = set(self.silent())
        for name, instruments in self._roster:
            instruments.set("rtcprobe_probe_silent", float(name in silent))
        owners = [*(instruments for _, instruments in self._roster), self.figures.instruments]
        return (expose_gzip if packed else expose)(owners, form, [self._process])

    async def run_on_demand(self, plan: ProbePlan, within_s: float) -> Outcome | None:
        """Run ``plan`` once for ``/probe``, done or killed within ``within_s`` seconds; None when it found no slot."""
        # Those that wait for a slot count, too: else every scrape of a busy server would queue behind the others.
        if self._on_demand >= self.config.on_demand.concurrency or self.stopping:
            return None
        self._on_demand += 1
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            if not await self.slots.take(within_s):
                return None
            try:
                waited_s = loop.time() - began_s
                outcome = await self._runner.run(
                    plan.job,
                    self.random.getrandbits(31),
                    timeout_s=max(0.0, min(plan.timeout_s, within_s - waited_s)),
                    waited_s=waited_s,
                    report=None,
                )
            finally:
                self.slots.give()
        finally:
            self._on_demand -= 1
        self.figures.ran_on_demand(outcome.failure or outcome.verdict)
        return outcome

    # What the scheduler tells.

    def due(self, plan: ProbePlan) -> None:
        """Count a start that was due."""
        self._roster.count(plan, "rtcprobe_runs_scheduled_total")

    def missed(self, plan: ProbePlan, reason: Miss) -> None:
        """Count a start that did not take place."""
        self._roster.count(plan, "rtcprobe_runs_missed_total", reason=reason)
        LOG.warning("probe %s: a run was missed: %s", plan.name, reason)

    def began(self, plan: ProbePlan) -> None:
        """Take note that a run is going on."""
        self._running.add(plan.name)
        instruments = self._roster.instruments(plan)
        if instruments is not None:
            instruments.set("rtcprobe_probe_running", 1)

    def ended(self, plan: ProbePlan, outcome: Outcome) -> None:
        """Add a run to the figures of its probe, where that probe is still there."""
        self._running.discard(plan.name)
        path = self._reports.pop(plan.name, None)
        outcome, draft, small = _drafted(plan, outcome)
        result = outcome.result
        why = "; ".join(result.reasons[:1]) if result is not None and result.verdict != "pass" else outcome.sentence
        said = [f"{outcome.verdict} ({why})" if why else outcome.verdict]
        instruments = self._roster.instruments(plan)
        if instruments is not None:
            self._roster.heard(plan, outcome)
            said += [f"{NAMES[each.slo]} {each.alarm}" for each in self.promises(plan) if each.alarm]
        LOG.info("probe %s: %s", plan.name, "; ".join(said))
        if instruments is None:
            return
        instruments.set("rtcprobe_probe_running", 0)
        draft.apply(instruments)
        kept = path is not None and self.shelf.find(path.name) is not None
        self.board.add(plan.name, dataclasses.replace(small, report=path.name if path is not None and kept else ""))

    def _now_s(self) -> float:
        """Return the loop's time; before there is one, nothing happens."""
        return 0.0 if self._loop is None else self._loop.time()

    async def _execute(self, plan: ProbePlan, seed: int, waited_s: float) -> Outcome:
        report = self.shelf.place(plan.name, seed, self._wall())
        if report is not None:
            self._reports[plan.name] = report
        elif not self.shelf.writable:
            self.figures.report_has_no_place(plan.name)
        return await self._runner.run(plan.job, seed, timeout_s=plan.timeout_s, waited_s=waited_s, report=report)

    def _apply(self, config: ServeConfig) -> None:
        self.config = config
        self._refused = ""
        if config.reports != self.shelf.reports:
            self.shelf = Shelf(config.reports)
        for name in self._roster.become(config.probes, self._running):
            self.board.forget(name)
        # Workers before slots before beats: whatever begins by this finds what it needs.
        self._runner.warm(config.concurrency)
        self.slots.resize(config.concurrency)
        self._scheduler.apply(config.probes)
        self.figures.config_read(self._wall())


def _drafted(plan: ProbePlan, outcome: Outcome) -> tuple[Outcome, Draft, RunView]:
    """Return a run with what it changes and its small picture; of one that cannot be counted, a crash with its own."""
    draft = Draft()
    try:
        add_run(draft, outcome, plan.objectives)
        set_last_run(draft, outcome, plan.objectives)
        return outcome, draft, view(outcome)
    except Exception as error:
        # A crash of ours has no figures to go wrong; should even that fail it is raised, and the scheduler tells it
        # (``_tell``).
        if outcome.result is None:
            raise
        LOG.exception("this is a fault of rtcprobe itself")
        sentence = f"the run cannot be counted: {type(error).__name__}: {' '.join(str(error).split())}"
        crash = dataclasses.replace(outcome, result=None, failure="crash", sentence=scrub(sentence))
        return _drafted(plan, crash)
