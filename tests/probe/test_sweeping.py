"""Memory beside calls: what was freed is used again, and garbage is looked for when it disturbs nobody."""

import ctypes
import gc
import subprocess
import sys

import pytest

from rtcprobe.probe.sweeping import SELDOM, USUAL, unwalked

FAULTS = """
import resource
import numpy as np
from rtcprobe.probe.sweeping import unwalked

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(3 * 2**17) for _ in range(4)]  # 3 MB each
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
with unwalked("virtual"):
    faults()
    print(before, faults())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone gives it back so soon"
)
def test_memory_that_was_freed_beside_calls_is_not_asked_for_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, beside = map(int, done.stdout.split())
    assert before > 10_000  # of 4 kB: 20 times 12 MB are 61,440
    assert beside < 1_000


@pytest.mark.parametrize(
    ("clock", "parties", "thresholds"),
    [("virtual", 2, SELDOM), ("virtual", 3, USUAL), ("real", 2, USUAL), ("real", 3, USUAL)],
)
def test_garbage_waits_only_where_a_clock_is_not_disturbed_and_little_of_it_waits(clock, parties, thresholds):
    before = gc.get_threshold()
    with unwalked(clock, parties):
        assert gc.get_threshold() == thresholds
    assert gc.get_threshold() == before
