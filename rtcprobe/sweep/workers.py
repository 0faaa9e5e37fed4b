"""Jobs done by several processes: here, or wherever a Dask scheduler has workers.

Theory of operation:
    A job is to be done, in hand, or done. Jobs are handed out in order while fewer are in hand than ``_IN_HAND`` a
    worker; rows leave as they come. A pool lives until a worker dies: then what was in hand is either done after all,
    and its row leaves, or goes back to the front with one death more against it, and a new pool goes on.

Facts:
    - A worker that is killed (out of memory, by hand) breaks a pool of processes: all that was in hand is lost with it.
      It is handed out again to a new pool.
    - Dask's own cost is some 4 ms of CPU a task; it keeps nothing when its client dies, which the book does.

Rules:
    1. No more jobs are in hand than keep all workers busy, so that a large grid costs no memory.
    2. A job in whose hands workers died three times is given up, and said to be. One in whose hands a worker died is
       done alone from then on: of those that were in hand together it would never be known which it was.
    3. What is interrupted has lost only what was in hand.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.sweep.grid import Task
from rtcprobe.sweep.job import done

__all__ = ["by_dask", "by_processes", "one_by_one"]

Row = dict[str, Any]
# A worker may die by hand or for another's memory: once is chance, twice may be, the third time it is the job.
MOST_DEATHS: Final = 3
_IN_HAND: Final = 2
"""Jobs in hand for each worker: one that it does, one that it will do next."""
# A scheduler and two workers took 26 s to be up on a machine at a load of 20.
_SCHEDULER_S: Final = 30.0


def one_by_one(jobs: Sequence[Task]) -> Iterator[Row]:
    """Yield the row of each job, in this process."""
    for job in jobs:
        yield done(job)


def by_processes(jobs: Sequence[Task], workers: int, *, work: Callable[[Task], Row] = done) -> Iterator[Row]:
    """Yield the row of each job as it is done by one of ``workers`` processes.

    Raises:
        MeasurementError: a job in whose hands three workers died.
    """
    left, deaths = deque(jobs), Counter[str]()
    while left:
        # A fresh server process, not a fork of this one: whatever threads run here would be copied halfway.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["rtcprobe.sweep.job", *(["rtcprobe.probe"] if work is done else [])])
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interruptions_to_the_client) as pool:
            hands: dict[Future[Row], Task] = {}
            try:
                yield from _handed_out(pool, left, hands, deaths, work=work, workers=workers)
            except BrokenProcessPool:
                lost = [job for future, job in hands.items() if not _is_done(future)]
                for job in lost:
                    deaths[job.key] += 1
                worst = max(lost, key=lambda job: deaths[job.key], default=None)
                if worst is not None and deaths[worst.key] >= MOST_DEATHS:
                    where = ", ".join(f"{axis}={value}" for axis, value in worst.point)
                    raise MeasurementError(
                        f"workers died {MOST_DEATHS} times with seed {worst.seed} of {where} in hand",
                        "give the machine more memory, or fewer --workers",
                    ) from None
                yield from (future.result() for future in hands if _is_done(future))
                # In their old order at the front: what was in hand comes before what never was.
                left.extendleft(reversed(lost))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _handed_out(
    pool: ProcessPoolExecutor,
    left: deque[Task],
    hands: dict[Future[Row], Task],
    deaths: Counter[str],
    *,
    work: Callable[[Task], Row],
    workers: int,
) -> Iterator[Row]:
    """Keep ``workers`` busy until no job is left; yield rows as they come."""
    while left or hands:
        while left and len(hands) < _most_in_hand(left[0], hands.values(), deaths, workers):
            job = left.popleft()
            try:
                hands[pool.submit(work, job)] = job
            except BrokenProcessPool:
                left.appendleft(job)
                raise
        finished, _ = wait(hands, return_when=FIRST_COMPLETED)
        for future in finished:
            row = future.result()  # before it leaves the hands: a pool that broke raises here
            del hands[future]
            yield row


def _most_in_hand(following: Task, hands: Collection[Task], deaths: Counter[str], workers: int) -> int:
    """Return how many jobs may be in hand, ``following`` among them (rule 2)."""
    alone = any(deaths[job.key] for job in (following, *hands))
    return 1 if alone else _IN_HAND * workers


def _is_done(future: Future[Row]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _leave_interruptions_to_the_client() -> None:
    # Ctrl-C reaches every process of the terminal's group (termios(3)): the client alone decides what becomes of jobs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def by_dask(jobs: Sequence[Task], scheduler: str) -> Iterator[Row]:
    """Yield the row of each job as a worker of the Dask ``scheduler`` (``tcp://host:port``) has done it.

    Raises:
        BadInputError: Dask is not installed, or nothing answers there.
        MeasurementError: workers died over a job again and again.
    """
    try:
        from distributed import Client, KilledWorker, as_completed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BadInputError(
            "--scheduler needs Dask", "pip install 'rtcprobe[dask]', here and where workers run"
        ) from error
    try:
        client = Client(scheduler, timeout=_SCHEDULER_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"--scheduler {scheduler} does not answer", "start dask scheduler and dask worker"
        ) from error
    with client:
        left = deque(jobs)
        running = as_completed(loop=client.loop)
        count = 0
        try:
            while left or count:
                # More in hand than here: between machines a task is as far away as a
                # round trip, and Dask keeps its workers fed.
                while left and count < max(8, 4 * _threads(client)):
                    job = left.popleft()
                    running.add(client.submit(done, job, key=f"call-{job.key}", pure=False))
                    count += 1
                future = next(running)
                count -= 1
                row = future.result()
                # What a future holds stays in a worker's memory, and in the client's, until it is let go.
                future.release()
                yield row
        except KilledWorker as error:
            raise MeasurementError("a job killed every worker that took it", "give workers more memory") from error


def _threads(client: Any) -> int:
    return sum(client.nthreads().values()) or 1
