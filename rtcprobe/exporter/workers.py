"""Worker processes: kept warm, killed when they hang, replaced when they have grown.

Facts (2 cores, Python 3.11, a run of three joins and 10 s of call in virtual time):
    A fresh process costs 3 to 4.5 s of imports before a run of 0.7 s, so one process a run (spawn) can feed no probe
    every 10 s. A fork of a process that has imported everything costs 0.02 s, but copies locks of threads it has not
    (OpenSSL, BLAS, aiortc's decoders). A warm process costs nothing and grows by 1.8 MB a run, 2.4 with its report.
    So workers are warm, run one probe at a time, and are replaced by a fresh one after ``MOST_RUNS`` runs or beyond
    ``MOST_RESIDENT_BYTES``: memory is bounded, and a run never waits for imports unless a worker was just lost.

Rules:
    1. A run is a worker's only task: its own loop, its own process; nothing it does can block a scrape.
    2. At its timeout a run is killed with its process. What it had measured is lost with it, and is counted so.
    3. A figure that is out stays out: a report that hangs or fails costs its worker, never the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from rtcprobe.exporter.config import Job
from rtcprobe.exporter.outcome import Failure, Outcome
from rtcprobe.result import Result
from rtcprobe.secrets import scrub

__all__ = ["Exit", "Pool", "PoolWatcher"]

Exit = Literal["timeout", "crash", "recycled", "cancelled"]

MOST_RUNS = 500
MOST_RESIDENT_BYTES = 400_000_000
START_TIMEOUT_S = 120.0
MOST_ANSWER_BYTES = 512_000_000

_COMMAND = (sys.executable, "-m", "rtcprobe.exporter.worker")
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
        self.runs = 0
        self.resident_bytes = 0
        self._requests = process.stdin
        self._answers = process.stdout

    async def ask(self, request: Mapping[str, Any]) -> None:
        self._requests.write(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await self._requests.drain()

    async def answer(self) -> dict[str, Any]:
        try:
            line = await self._answers.readline()
        except ValueError as error:
            raise _WorkerLostError(f"its answer is longer than {MOST_ANSWER_BYTES} bytes") from error
        if not line.endswith(b"\n"):
            code = await self.process.wait()
            raise _WorkerLostError(f"its process ended ({f'signal {-code}' if code < 0 else f'exit code {code}'})")
        return await asyncio.to_thread(json.loads, line)  # a result may be megabytes

    async def end(self) -> None:
        """Kill the process, whatever it does, and collect it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self._requests.close()


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
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._warming: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    def states(self) -> Mapping[str, int]:
        """Return how many processes are starting, idle and busy."""
        return {"starting": len(self._warming), "idle": len(self._idle), "busy": len(self._busy)}

    def warm(self, count: int) -> None:
        """Start workers until ``count`` are there or on their way; end idle ones beyond it."""
        for _ in range(count - sum(self.states().values())):
            task = asyncio.ensure_future(self._warm_one())
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)
        while self._idle and sum(self.states().values()) > count:
            self._retire(self._idle.pop(), "recycled", replace=False)

    async def run(self, job: Job, seed: int, *, timeout_s: float, waited_s: float, report: Path | None) -> Outcome:
        """Make one run and return how it ended; every failure is an outcome, a cancellation too."""
        began_s = asyncio.get_running_loop().time()

        def ended(result: Result | None = None, failure: Failure | None = None, sentence: str = "") -> Outcome:
            return Outcome(
                seed=seed,
                ended_unix_s=self._wall(),
                duration_s=asyncio.get_running_loop().time() - began_s,
                waited_s=waited_s,
                result=result,
                failure=failure,
                sentence=scrub(sentence),
            )

        worker: _Worker | None = None
        reason: Exit = "crash"
        outcome: Outcome | None = None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                worker = await self._take()
            began_s = asyncio.get_running_loop().time()
            async with asyncio.timeout(timeout_s):
                await worker.ask(_request(job, seed, report))
                outcome = ended(**await _read(worker))
                done = await worker.answer()
            self._finished(worker, done, report if outcome.result is not None else None)
        except TimeoutError:
            reason = "timeout"
            outcome = outcome or ended(failure="timeout", sentence=_overdue(worker, timeout_s))
        except (_WorkerLostError, OSError, ValueError, KeyError) as error:
            outcome = outcome or ended(failure="crash", sentence=f"the run was lost: {error}")
        except asyncio.CancelledError:
            reason = "cancelled"
            outcome = outcome or ended(failure="cancelled", sentence="the run was cancelled")
        else:
            return outcome
        if worker is not None:
            self._retire(worker, reason)
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

    async def _take(self) -> _Worker:
        while self._warming and not self._idle:
            await asyncio.wait(self._warming, return_when=asyncio.FIRST_COMPLETED)
        worker = self._idle.pop() if self._idle else await self._start()
        self._busy.add(worker)
        return worker

    async def _warm_one(self) -> None:
        with contextlib.suppress(_WorkerLostError, OSError, TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                self._idle.append(await self._start())

    async def _start(self) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MOST_ANSWER_BYTES,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )
        worker = _Worker(process)
        try:
            await worker.answer()
        except BaseException:
            self._watcher.worker_ended("cancelled" if self._closed else "crash")
            await worker.end()
            raise
        return worker

    def _finished(self, worker: _Worker, done: Mapping[str, Any], report: Path | None) -> None:
        worker.runs += 1
        resident = done["resident_bytes"]
        if resident is not None:
            worker.resident_bytes = resident
            self._watcher.worker_resident(max(each.resident_bytes for each in (*self._idle, *self._busy)))
        if report is not None:
            self._watcher.report_written(report, done["report_fault"])
        if worker.runs >= MOST_RUNS or (resident or 0) > MOST_RESIDENT_BYTES:
            self._retire(worker, "recycled")
        else:
            self._busy.discard(worker)
            self._idle.append(worker)

    def _retire(self, worker: _Worker, reason: Exit, *, replace: bool = True) -> None:
        """End a worker in the background, and put another in its place."""
        count = sum(self.states().values())
        self._busy.discard(worker)
        self._watcher.worker_ended(reason)
        task = asyncio.ensure_future(worker.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        if replace and not self._closed:
            self.warm(count)


def _request(job: Job, seed: int, report: Path | None) -> Mapping[str, Any]:
    return {
        "scenario": job.scenario,
        "settings": job.settings,
        "clock": job.clock,
        "seed": seed,
        "report": None if report is None else str(report),
    }


async def _read(worker: _Worker) -> dict[str, Any]:
    first = await worker.answer()
    if "result" in first:
        return {"result": await asyncio.to_thread(Result.from_dict, first["result"])}
    return {"failure": first["failure"], "sentence": first["sentence"]}


def _overdue(worker: _Worker | None, timeout_s: float) -> str:
    if worker is None:
        return f"no worker came up within {START_TIMEOUT_S:g} s"
    return f"the run took longer than {timeout_s:g} s and was killed"
