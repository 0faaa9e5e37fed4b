"""Memory beside calls: what was freed is used again."""

import ctypes
import subprocess
import sys

import pytest

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
