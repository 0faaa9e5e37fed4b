"""What a second core gives a sweep: the same jobs by one process and by two, in turns, and what a task costs.

Usage: python benchmarks/sweep_speed.py [--jobs 2000] [--rounds 5]

Half of the jobs go to one worker and half to two, in alternating blocks, so that a slow minute hits both. Beside them
stands what two cores of this machine give at all: the same jobs by two programs that know nothing of each other, beside
one of them alone. Rows must be equal to the byte. Exit code 1 when two workers do less than 1.8 times what one does,
and less than nine tenths of what the machine itself gives.

On paper, from what was measured: how fast 1,000 cores would be. A client hands out a task in its own CPU time; workers
need theirs; whichever is slower decides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rtcprobe.sweep.grid import Task, read_grid
from rtcprobe.sweep.workers import by_processes, one_by_one

LEAST_TIMES = 1.8
LEAST_OF_MACHINE = 0.9
CORES_ON_PAPER = 1000
GRID = """
scenario: 1v1-social
engine: model
set: [call.calls=1, call.duration=6s]
axes:
  link.loss: [0%, 1%, 2%, 5%]
  link.delay: [20ms, 80ms]
seeds: {seeds}
"""


def timed(tasks: list[Task], workers: int) -> tuple[float, float, list[str]]:
    """Return wall seconds, CPU seconds of this process, and the rows in the order of the tasks."""
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    rows = sorted(by_processes(tasks, workers), key=lambda row: row["key"])
    return time.perf_counter() - begun_s, time.process_time() - cpu_s, [json.dumps(row, sort_keys=True) for row in rows]


def alone(path: Path, first: int, last: int) -> subprocess.Popen[bytes]:
    """Start a program that does some jobs of a grid by itself."""
    return subprocess.Popen([sys.executable, __file__, "--child", str(path), str(first), str(last)])


def machine(path: Path, count: int) -> float:
    """Return how much faster two programs do ``2 * count`` jobs than one after the other."""
    begun_s = time.perf_counter()
    for first in (0, count):
        alone(path, first, first + count).wait()
    by_one_s = time.perf_counter() - begun_s
    begun_s = time.perf_counter()
    both = [alone(path, first, first + count) for first in (0, count)]
    for each in both:
        each.wait()
    return by_one_s / (time.perf_counter() - begun_s)


def main() -> int:
    """Measure, print, judge; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        path, first, last = options.child
        for _ in one_by_one(read_grid(Path(path)).tasks()[int(first) : int(last)]):
            pass
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid.yaml"
        path.write_text(GRID.format(seeds=-(-options.jobs // 8)))
        tasks = read_grid(path).tasks()
        return judged(tasks, options.rounds, machine(path, min(100, len(tasks) // 4)))


def judged(tasks: list[Task], rounds: int, possible: float) -> int:
    """Do the blocks in turns, print what came of them, and return the exit code."""
    size = max(1, len(tasks) // (2 * rounds))
    ratios, each_s, parent_s, equal = [], [], [], True
    for number in range(rounds):
        block = tasks[2 * number * size : (2 * number + 1) * size]
        order = (1, 2) if number % 2 == 0 else (2, 1)
        taken = {workers: timed(block, workers) for workers in order}
        equal &= taken[1][2] == taken[2][2]
        ratios.append(taken[1][0] / taken[2][0])
        each_s.append(taken[1][0] / len(block))
        parent_s.append(taken[2][1] / len(block))
    ratio, task_s, client_s = (statistics.median(each) for each in (ratios, each_s, parent_s))
    print(f"{2 * rounds * size} jobs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"two workers: {ratio:.2f} times one (each round: {', '.join(f'{each:.2f}' for each in ratios)})")
    print(f"this machine: two programs of their own are {possible:.2f} times one")
    print(f"a task: {task_s * 1e3:.1f} ms of a worker, {client_s * 1e3:.2f} ms of the client's CPU")
    print(f"rows equal to the byte: {'yes' if equal else 'NO'}")
    workers_rate, client_rate = CORES_ON_PAPER / task_s, 1.0 / client_s
    rate = min(workers_rate, client_rate)
    print(
        f"on paper: {CORES_ON_PAPER} cores could do {workers_rate:,.0f} tasks/s, one client hands out "
        f"{client_rate:,.0f}: {rate:,.0f} tasks/s, {rate * task_s:,.0f} times one core"
    )
    enough = ratio >= LEAST_TIMES or ratio >= LEAST_OF_MACHINE * possible
    return int(not equal or not enough)


if __name__ == "__main__":
    sys.exit(main())
