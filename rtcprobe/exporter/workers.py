"""Worker processes: kept warm, killed when they hang, replaced when they have grown.

Facts (2 cores, Python 3.11, a run of three joins and 10 s of call in virtual time):
    A fresh process costs 1.2 s of CPU, for imports, before a run of 0.13 s (0.3 with its report), so with one process a
    run (spawn) a core could feed a tenth of the probes. A fork of a process that has imported everything costs 0.02 s,
    but copies locks of threads it has not (OpenSSL, BLAS, aiortc's decoders). A warm process costs nothing, and grows
    by 1.9 MB a run with its report, without one by nothing.
    So workers are warm, run one probe at a time, and are replaced by a fresh one after ``MOST_RUNS`` runs or beyond
    ``MOST_RESIDENT_BYTES``: memory is bounded, and a run never waits for imports unless a worker was just lost.

Rules:
    1. A run is a worker's only task: its own loop, its own process; nothing it does can block a scrape.
    2. At its timeout a run is killed with its process. What it had measured is lost with it, and is counted so.
    3. A figure that is out stays out: a report that hangs or fails costs its worker, never the result.
    4. Whatever happens in a run is its outcome, and its worker is back among the idle or ended: what a process says is
       what somebody wrote, so no list of exceptions is long enough.
    5. A worker says that it began before it reads what to do. One that was killed while idle never says it: the run
       goes to another, and loses nothing.
    6. After every run there are as many workers as are wanted: lost ones are replaced, those too many are ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast, get_args

from rtcprobe.errors import RtcprobeError
from rtcprobe.exporter.outcome import Failure, Outcome
from rtcprobe.probe.job import Job
from rtcprobe.result import Result
from rtcprobe.secrets import scrub
from rtcprobe.verdict import Goal, goals

__all__ = ["Exit", "Pool", "PoolWatcher"]

LOG: Final = logging.getLogger("rtcprobe")

Exit = Literal["timeout", "crash", "recycled", "cancelled"]

# At 1.9 MB a run (Facts) the bytes are the bound that is met; whatever grows more slowly ends here.
MOST_RUNS = 500
# A worker holds 140 MB after its first run (1v1-social): some hundred more at 1.9 MB each (Facts).
MOST_RESIDENT_BYTES = 400_000_000
# A hundred times what imports take (Facts); an answer holds a result of a day of calls at the most.
START_TIMEOUT_S = 120.0
MOST_ANSWER_BYTES = 512_000_000
MOST_TRIES = 3
"""Workers a run is offered, one after another, while none of them begins."""
PROVEN_S = 10.0
"""A worker that ends by itself, idle and younger than this, is not replaced until it is needed: no loop of starts."""

_COMMAND = (sys.executable, "-m", "rtcprobe.exporter.worker")
# One thread each: a worker is one of several on as many cores, and BLAS' own threads would fight for them. Unbuffered,
# or an answer would wait in a pipe.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class PoolWatcher(Protocol):
    """Who is told of processes and reports."""

    def worker_ended(self, reason: Exit) -> None:
        """A worker's process ended."""
        ...

    def worker_resident(self, resident_bytes: int) -> None:
        """A worker said how much memory it holds; so much is the most of any."""
        ...

    def report_written(self, path: Path, fault: str) -> None:
        """A report was written; or not, for the reason in ``fault``."""
        ...


class _WorkerLostError(Exception):
    """The process ended or spoke nonsense."""


class _Worker:
    """One process and its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.since_s = asyncio.get_running_loop().time()
        # Collects the process however it ends: nothing stays a zombie.
        self.gone = asyncio.ensure_future(process.wait())
        self.runs = 0
        self.resident_bytes = 0
        self._requests = process.stdin
        self._answers = process.stdout

    async def ask(self, request: Mapping[str, Any]) -> None:
        self._requests.write(json.dumps(request).encode() + b"\n")
        # A process that has gone is found out where its answer is awaited, with its exit code.
        with contextlib.suppress(ConnectionError):
            await self._requests.drain()

    async def began(self) -> None:
        """Wait until it says that it has what was asked."""
        if (await self.answer()).get("began") is not True:
            raise _WorkerLostError("it answered before it was asked")

    async def answer(self) -> dict[str, Any]:
        try:
            line = await self._answers.readline()
        except ValueError as error:
            raise _WorkerLostError(f"its answer is longer than {MOST_ANSWER_BYTES} bytes") from error
        # The pipe's end: what was said before it is cut off, and is nothing.
        if not line.endswith(b"\n"):
            code = await self.process.wait()
            raise _WorkerLostError(f"its process ended ({f'signal {-code}' if code < 0 else f'exit code {code}'})")
        answer = await asyncio.to_thread(json.loads, line)  # a result may be megabytes
        if not isinstance(answer, dict):
            raise _WorkerLostError(f"it said {str(answer)[:40]!r}, which is no answer")
        return answer

    async def end(self) -> None:
        """Kill the process, whatever it does, and collect it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self._requests.close()


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run while it is made: the worker that has it, and what it came to so far."""

    job: Job
    seed: int
    timeout_s: float
    waited_s: float
    report: Path | None
    began_s: float
    wall: Callable[[], float]
    worker: _Worker | None = None
    begun: bool = False
    outcome: Outcome | None = None

    def ends(
        self,
        result: Result | None = None,
        goals: tuple[Goal, ...] = (),
        failure: Failure | None = None,
        sentence: str = "",
    ) -> Outcome:
        """Return how it ended: so, unless it had ended before."""
        if self.outcome is None:
            self.outcome = Outcome(
                seed=self.seed,
                ended_unix_s=self.wall(),
                duration_s=asyncio.get_running_loop().time() - self.began_s,
                waited_s=self.waited_s,
                result=result,
                goals=goals,
                failure=failure,
                sentence=scrub(sentence),
            )
        return self.outcome


class Pool:
    """As many workers as runs go on at once; the caller bounds those. ``command`` is what a worker is (for tests)."""

    def __init__(
        self,
        watcher: PoolWatcher,
        command: Sequence[str] = _COMMAND,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._watcher = watcher
        self._command = command
        self._wall = wall
        self._wanted = 0
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._warming: set[asyncio.Task[None]] = set()
        self._awaited = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    def states(self) -> Mapping[str, int]:
        """Return how many processes are starting, idle and busy."""
        return {"starting": len(self._warming) + self._awaited, "idle": len(self._idle), "busy": len(self._busy)}

    def warm(self, count: int) -> None:
        """Let there be ``count`` workers from now on: those that lack are started, idle ones beyond are ended."""
        self._wanted = count
        self._fill()

    async def run(self, job: Job, seed: int, *, timeout_s: float, waited_s: float, report: Path | None) -> Outcome:
        """Make one run and return how it ended; whatever happens is an outcome, a cancellation too."""
        run = _Run(
            job=job,
            seed=seed,
            timeout_s=timeout_s,
            waited_s=waited_s,
            report=report,
            began_s=asyncio.get_running_loop().time(),
            wall=self._wall,
        )
        reason: Exit = "crash"
        try:
            await self._make(run)
        # Of either limit: nobody began it, or it did not end; ``_overdue`` tells which.
        except TimeoutError:
            reason = "timeout"
            outcome = run.ends(failure="timeout", sentence=_overdue(run))
        except asyncio.CancelledError:
            reason = "cancelled"
            outcome = run.ends(failure="cancelled", sentence="the run was cancelled")
        except Exception as error:
            if not isinstance(error, (_WorkerLostError, OSError, RtcprobeError)):
                LOG.exception("what a worker said was not understood")
            outcome = run.ends(failure="crash", sentence=f"the run was lost: {_told(error)}")
        else:
            return run.ends(failure="crash", sentence="the run was lost: nothing came of it")
        # All of the ways above lost the worker, and only they come here: an ``else`` that is reached means ``_make``
        # was left without an outcome.
        if run.worker is not None:
            self._retire(run.worker, reason)
        # The figures were out, the report was not yet: rule 3.
        if report is not None and outcome.result is not None:
            self._watcher.report_written(report, f"the run ended first ({reason})")
        return outcome

    async def close(self) -> None:
        """End every process."""
        self._closed = True
        for task in self._warming:
            task.cancel()
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        await asyncio.gather(
            *(worker.end() for worker in workers), *self._warming, *self._ending, return_exceptions=True
        )

    async def _make(self, run: _Run) -> None:
        # Two limits: until it began (ours), then the run's own, which does not pay for our imports.
        async with asyncio.timeout(START_TIMEOUT_S):
            worker = run.worker = await self._begin(run)
        run.begun, run.began_s = True, asyncio.get_running_loop().time()
        async with asyncio.timeout(run.timeout_s):
            run.ends(**await _read(worker))
            done = await worker.answer()
        self._finished(worker, done, run.report if run.outcome and run.outcome.result is not None else None)

    async def _begin(self, run: _Run) -> _Worker:
        """Return a worker that has begun the run (rule 5)."""
        tries = 0
        while True:
            worker = run.worker = await self._take()
            try:
                await worker.ask({**run.job.seeded(run.seed).to_dict(), "report": run.report and str(run.report)})
                await worker.began()
            # Rule 5: one that died idle (the system took its memory, somebody killed it) never began, so nothing was
            # measured.
            except _WorkerLostError:
                tries += 1
                if tries == MOST_TRIES:
                    raise
                run.worker = None
                self._retire(worker, "crash")
            else:
                return worker

    async def _take(self) -> _Worker:
        # One that is about to be there is there sooner than one that is begun now.
        while self._warming and not self._idle:
            await asyncio.wait(self._warming, return_when=asyncio.FIRST_COMPLETED)
        if self._idle:
            worker = self._idle.pop()
        else:
            self._awaited += 1
            try:
                worker = await self._start()
            finally:
                self._awaited -= 1
        self._busy.add(worker)
        return worker

    async def _warm_one(self) -> None:
        # A worker that cannot start is no run's fault: the next run tries itself, and says why it could not.
        with contextlib.suppress(_WorkerLostError, OSError, ValueError, TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                worker = await self._start()
                self._warming.discard(cast("asyncio.Task[None]", asyncio.current_task()))  # it is counted once
                self._idle.append(worker)

    async def _start(self) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MOST_ANSWER_BYTES,
            env={**os.environ, **_ENVIRONMENT},
            # A session of its own: Ctrl-C in a terminal reaches the server alone, which ends its workers in order.
            start_new_session=True,
        )
        worker = _Worker(process)
        try:
            await worker.answer()
        except BaseException as error:
            self._watcher.worker_ended("cancelled" if isinstance(error, asyncio.CancelledError) else "crash")
            await worker.end()
            raise
        worker.gone.add_done_callback(lambda _: self._ended_idle(worker))
        return worker

    def _ended_idle(self, worker: _Worker) -> None:
        """Let a worker go that ended by itself while nobody wanted anything of it."""
        if worker not in self._idle:
            return
        self._idle.remove(worker)
        self._drop(worker, "crash")
        # Else a worker that cannot even start would be started again and again.
        if worker.runs or asyncio.get_running_loop().time() - worker.since_s > PROVEN_S:
            self._fill()

    def _finished(self, worker: _Worker, done: Mapping[str, Any], report: Path | None) -> None:
        resident, fault = done["resident_bytes"], str(done["report_fault"])
        worker.runs += 1
        if resident is not None:
            worker.resident_bytes = int(resident)
            self._watcher.worker_resident(max(each.resident_bytes for each in (*self._idle, *self._busy)))
        if report is not None:
            self._watcher.report_written(report, fault)
        if worker.runs >= MOST_RUNS or worker.resident_bytes > MOST_RESIDENT_BYTES:
            self._retire(worker, "recycled")
        else:
            self._busy.discard(worker)
            self._idle.append(worker)
            self._fill()

    def _fill(self) -> None:
        """Start what lacks of the workers wanted, end idle ones beyond (rule 6)."""
        if self._closed:
            return
        # States count those starting, too, or each run that ends would start one more.
        for _ in range(self._wanted - sum(self.states().values())):
            task = asyncio.ensure_future(self._warm_one())
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)
        while self._idle and sum(self.states().values()) > self._wanted:
            self._drop(self._idle.pop(), "recycled")

    def _retire(self, worker: _Worker, reason: Exit) -> None:
        """End a worker in the background, and put another in its place."""
        self._drop(worker, reason)
        self._fill()

    def _drop(self, worker: _Worker, reason: Exit) -> None:
        self._busy.discard(worker)
        self._watcher.worker_ended(reason)
        task = asyncio.ensure_future(worker.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _read(worker: _Worker) -> dict[str, Any]:
    first = await worker.answer()
    if "result" in first:
        result, found = await asyncio.to_thread(_understood, first["result"])
        return {"result": result, "goals": found}
    failure = first["failure"]
    if failure not in get_args(Failure):
        raise _WorkerLostError(f"it said {str(failure)[:40]!r}, which is no way to fail")
    return {"failure": cast("Failure", failure), "sentence": str(first["sentence"])}


def _understood(data: object) -> tuple[Result, tuple[Goal, ...]]:
    result = Result.from_dict(data)
    return result, goals(result)


def _told(error: Exception) -> str:
    """Return what an exception says, in one line; of those that are not ours the kind too."""
    said = " ".join(str(error).split())
    return said if isinstance(error, (_WorkerLostError, RtcprobeError)) else f"{type(error).__name__}: {said}"


def _overdue(run: _Run) -> str:
    if not run.begun:
        return f"no worker came up within {START_TIMEOUT_S:g} s"
    return f"the run took longer than {run.timeout_s:g} s and was killed"
