"""Whose priority is raised: what we started, whatever else runs on the machine."""

import subprocess
import sys

import pytest

from rtcprobe.runtime.priority import _threads_under

NAMED = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, b"abc\\xe2\\x82", 0, 0, 0)  # PR_SET_NAME: as the kernel cuts a longer name
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names of processes are Linux's")
def test_a_name_cut_within_a_character_hides_no_process():
    with subprocess.Popen(
        [sys.executable, "-c", NAMED, "somebody"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        found = _threads_under("somebody")
        process.stdin.close()
    assert process.pid in found
