"""A server without processes: runs are answered by hand, at once or after a time on the loop's own clock."""

import asyncio
import re
from pathlib import Path
from random import Random

import pytest

from rtcprobe.exporter.config import parse_config
from rtcprobe.exporter.fleet import Fleet
from rtcprobe.exporter.outcome import Outcome
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import VirtualEventLoop

TWO_PROBES = """
defaults: {interval: 60s, jitter: 5s, timeout: 30s}
probes:
  - {name: here, scenario: 1v1-social}
  - {name: far, scenario: 1v1-long-haul, interval: 2min}
on_demand: {scenarios: [1v1-social], targets: [loopback]}
"""


class StandIn:
    """Makes no call: each run takes ``takes_s`` on the loop's clock and ends as ``answers`` says."""

    def __init__(self, answer, takes_s=0.0):
        self.answer = answer
        self.takes_s = takes_s
        self.asked = []

    async def run(self, job, seed, *, timeout_s, waited_s, report):
        self.asked.append((job, seed, timeout_s, report))
        began_s = asyncio.get_running_loop().time()

        def ended(**more):
            took_s = asyncio.get_running_loop().time() - began_s
            return Outcome(
                seed=seed, ended_unix_s=1.6e9 + began_s + took_s, duration_s=took_s, waited_s=waited_s, **more
            )

        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.takes_s(job) if callable(self.takes_s) else self.takes_s)
        except TimeoutError:
            return ended(failure="timeout", sentence="the run took too long")
        except asyncio.CancelledError:
            return ended(failure="cancelled", sentence="the run was cancelled")
        answer = self.answer(job) if callable(self.answer) else self.answer
        return ended(**({"result": answer} if not isinstance(answer, dict) else answer))

    def warm(self, count):
        pass

    def states(self):
        return {"starting": 0, "idle": 1, "busy": 0}

    async def close(self):
        pass


@pytest.fixture
def make_fleet():
    def make(answer, text=TWO_PROBES, takes_s=0.0, **more):
        read = text if callable(text) else lambda: parse_config(text, folder=Path())
        return Fleet(read, runner=StandIn(answer, takes_s), wall=lambda: 1.6e9, random=Random(7), **more)

    return make


@pytest.fixture
def in_virtual_time():
    """Run a coroutine on a virtual loop: minutes of schedule cost milliseconds."""

    def run(main):
        import numpy as np

        with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
            return runner.run(main)

    return run


@pytest.fixture
def series():
    """Read one exposition: ``series(fleet)["name", "label=value", …] -> number`` (labels in alphabetical order)."""
    from rtcprobe.exporter.metrics import PROBE_LABELS

    line = re.compile(r"^([a-z0-9_:]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)  # the client's own parser takes seconds
    label = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def read(body):
        out = {}
        for name, labels, value in line.findall(body.decode()):
            own = sorted(f"{k}={v}" for k, v in label.findall(labels) if k not in PROBE_LABELS or k == "probe")
            out[name, *own] = float(value)
        return out

    return read
