"""When probes run: each on its own beat, a bounded number at once, and every start accounted for.

Facts:
    A probe starts at once, so that there are figures, then on its beat: start + offset + k · interval, at least half an
    interval later. Jitter moves single starts, never the beat. The offset comes from the probe's name, so probes of one
    interval do not run in lockstep, here or on the neighbour's machine.

Rules:
    1. Every due start ends as exactly one of: a run, an error, a miss; the ``Watcher`` is told which, whatever
       ``execute`` raises or returns: due = runs + errors + missed + in hand, at any time.
    2. A start is never made up for: a probe that was held up goes on with its next beat.
    3. A probe never overlaps itself; a due run waits for a free slot until its next beat is due, then it is missed.
    4. Time is the loop's, and nothing here waits but on it: in virtual time a week takes seconds.
    5. Every run has a fresh seed, kept with its outcome.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, Protocol, cast

from rtcprobe.exporter.config import ProbePlan
from rtcprobe.exporter.outcome import Failure, Outcome
from rtcprobe.secrets import scrub

__all__ = ["Miss", "Scheduler", "Slots", "Watcher"]

LOG: Final = logging.getLogger("rtcprobe")

Miss = Literal["overlap", "busy", "stalled", "cancelled"]

# Floating point: a beat that falls on this very instant has not passed.
_BEAT_SLACK_S = 1e-6
_FAULT = "this is a fault of rtcprobe itself, please report it"


class Watcher(Protocol):
    """Who is told what becomes of the starts of a probe."""

    def due(self, plan: ProbePlan) -> None:
        """A start was due."""
        ...

    def missed(self, plan: ProbePlan, reason: Miss) -> None:
        """It did not take place."""
        ...

    def began(self, plan: ProbePlan) -> None:
        """It did."""
        ...

    def ended(self, plan: ProbePlan, outcome: Outcome) -> None:
        """And so it ended."""
        ...


class Slots:
    """How many runs may go on at once, first come first served; the number may change meanwhile."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, within_s: float) -> bool:
        """Wait for a slot; return whether there was one within ``within_s`` seconds."""
        # Nobody passes those who wait, even where a slot has just come free.
        if self.taken < self.limit and not self._waiting:
            self.taken += 1
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                await turn
        except TimeoutError:
            if turn.done() and not turn.cancelled():  # the slot came in the very moment the time was up
                return True
            self._leave(turn)
            return False
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            else:
                self._leave(turn)
            raise
        return True

    def give(self) -> None:
        """Give a slot back."""
        self.taken -= 1
        self._admit()

    def resize(self, limit: int) -> None:
        """Change how many there are; those taken stay taken."""
        self.limit = limit
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.taken < self.limit:
            turn = self._waiting.popleft()
            # One that gave up at this very moment takes no slot with it.
            if not turn.done():
                self.taken += 1
                turn.set_result(None)

    def _leave(self, turn: asyncio.Future[None]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)


@dataclass(slots=True, eq=False)
class _Probe:
    plan: ProbePlan
    beat: asyncio.Task[None] | None = None
    run: asyncio.Task[None] | None = None
    started: bool = False
    removed: bool = False


class Scheduler:
    """Runs probes on their beats. ``execute`` makes one run and returns how it ended; ``wall`` is the wall clock."""

    def __init__(
        self,
        execute: Callable[[ProbePlan, int, float], Awaitable[Outcome]],
        slots: Slots,
        watcher: Watcher,
        random: Random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._execute = execute
        self._slots = slots
        self._watcher = watcher
        self._random = random
        self._probes: dict[str, _Probe] = {}
        self._runs: set[asyncio.Task[None]] = set()

    @property
    def in_hand(self) -> int:
        """How many due starts wait for a slot or run."""
        return len(self._runs)

    def apply(self, plans: Iterable[ProbePlan]) -> None:
        """Make these the probes: new ones begin, others end after the run in hand, those that stay keep their beat."""
        wanted = {plan.name: plan for plan in plans}
        for name in [name for name in self._probes if name not in wanted]:
            self._end(self._probes.pop(name))
        for name, plan in wanted.items():
            probe = self._probes.get(name)
            if probe is None:
                probe = self._probes[name] = _Probe(plan)
                self._begin(probe)
                continue
            # Only what moves the beat begins it anew: a new budget must not make a probe jump.
            same_beat = (plan.interval_s, plan.jitter_s) == (probe.plan.interval_s, probe.plan.jitter_s)
            probe.plan = plan
            # The run in hand goes on, and the new beat begins half an interval from now at the earliest.
            if not same_beat and probe.beat is not None:
                probe.beat.cancel()
                self._begin(probe)

    async def stop(self, grace_s: float) -> None:
        """End all: runs in hand have ``grace_s`` seconds to finish, then they are cancelled and counted as such."""
        for probe in self._probes.values():
            if probe.beat is not None:
                probe.beat.cancel()
        if not self._runs:
            return
        # Only beats were cancelled so far: what they began has its grace, and is an outcome or "cancelled" (rule 1).
        _, late = await asyncio.wait(self._runs, timeout=grace_s)
        for run in late:
            run.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _begin(self, probe: _Probe) -> None:
        probe.beat = asyncio.ensure_future(self._keep_beat(probe))
        probe.beat.add_done_callback(_tell)

    def _end(self, probe: _Probe) -> None:
        probe.removed = True
        if probe.beat is not None:
            probe.beat.cancel()

    async def _keep_beat(self, probe: _Probe) -> None:
        loop = asyncio.get_running_loop()
        interval_s = probe.plan.interval_s
        # beat k is due at  start + offset + k * interval + jitter * random,  0 <= random < 1
        # Jitter is drawn anew for each start and never added to the beat, so starts do not drift.
        beat_s = loop.time() + _offset_s(probe.plan)
        # Once in its life: a beat begun anew by a reload is no reason to run at once.
        if not probe.started:
            probe.started = True
            self._due(probe, loop.time(), beat_s)
        while True:
            due_s = beat_s + self._random.random() * probe.plan.jitter_s
            await asyncio.sleep(due_s - loop.time())
            self._due(probe, due_s, beat_s + interval_s)
            beat_s += interval_s
            # The machine was asleep, or this loop was: each whole beat that passed is due and missed, so that due =
            # runs + errors + misses stays true, and none is made up for (rule 2). The last one is still to come, at
            # once.
            while beat_s + interval_s < loop.time() - _BEAT_SLACK_S:
                self._watcher.due(probe.plan)
                self._watcher.missed(probe.plan, "stalled")
                beat_s += interval_s

    def _due(self, probe: _Probe, due_s: float, next_s: float) -> None:
        """Let a start be due: a run, or at once a miss where the run before still goes on."""
        self._watcher.due(probe.plan)
        if probe.run is not None:
            self._watcher.missed(probe.plan, "overlap")
            return
        # Counted as in hand before it first runs: rule 1 holds at any time.
        probe.run = asyncio.ensure_future(self._run(probe, due_s, next_s))
        self._runs.add(probe.run)
        probe.run.add_done_callback(self._runs.discard)
        probe.run.add_done_callback(_tell)

    async def _run(self, probe: _Probe, due_s: float, next_s: float) -> None:
        loop = asyncio.get_running_loop()
        plan = probe.plan
        try:
            # Rule 3: until its own next beat is due; then that one takes its place in the queue.
            if not await self._slots.take(next_s - loop.time()):
                self._watcher.missed(plan, "busy")
                return
            try:
                # Taken out of the configuration while it waited for its turn.
                if probe.removed:
                    self._watcher.missed(plan, "cancelled")
                    return
                self._watcher.began(plan)
                outcome = await self._outcome(plan, max(0.0, loop.time() - due_s))
            finally:
                self._slots.give()
        except asyncio.CancelledError:
            self._watcher.missed(plan, "cancelled")  # it was still waiting: of what began there is an outcome
            raise
        finally:
            # Told and no longer in hand in one step: who looks between them would count this start twice (rule 1).
            self._runs.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            probe.run = None
        self._watcher.ended(plan, outcome)

    async def _outcome(self, plan: ProbePlan, waited_s: float) -> Outcome:
        """Return how a run ends; what ``execute`` raises or returns beside an outcome is a failure of ours (rule 1)."""
        seed, began_s = self._random.getrandbits(31), asyncio.get_running_loop().time()

        def failed(failure: Failure, sentence: str) -> Outcome:
            return Outcome(
                seed=seed,
                ended_unix_s=self._wall(),
                duration_s=asyncio.get_running_loop().time() - began_s,
                waited_s=waited_s,
                failure=failure,
                sentence=scrub(sentence),
            )

        try:
            outcome: object = await self._execute(plan, seed, waited_s)
        except asyncio.CancelledError:
            return failed("cancelled", "the run was cancelled")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            LOG.exception("this is a fault of rtcprobe itself")
            return failed("crash", f"{_FAULT}: {type(error).__name__}: {' '.join(str(error).split())}")
        if not isinstance(outcome, Outcome):
            return failed("crash", f"{_FAULT}: a run returned {type(outcome).__name__}")
        return outcome


def _offset_s(plan: ProbePlan) -> float:
    """Return how long after its first start the beat of a probe begins: half an interval to one and a half."""
    # Of the name, not of ``hash``: the same in every process, on every machine.
    share = zlib.crc32(plan.name.encode()) / 2**32
    return plan.interval_s * (share if share >= 0.5 else 1.0 + share)


def _tell(task: asyncio.Task[None]) -> None:
    """Say that a task of ours ended as none should; a probe that goes silent must not do so silently."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        LOG.error("this is a fault of rtcprobe itself: %s: %s", type(error).__name__, error, exc_info=error)
