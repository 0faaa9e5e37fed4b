"""A sweep by a real Dask scheduler and two workers, one of which is killed: the same bytes as one after another."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from presence import missing

GRID = """
scenario: 1v1-social
set: [call.calls=1, call.joins=1, call.duration=2s]
axes: {link: ["delay 20ms loss 2%", "delay 60ms loss 2%"]}
seeds: 6
"""
PROGRAM = str(Path(sys.executable).with_name("rtcprobe"))
DASK = str(Path(sys.executable).with_name("dask"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(stack, *command):
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    stack.callback(process.kill)
    return process


def answers(port):
    for _ in range(120):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    pytest.fail("the scheduler did not start within a minute")


def test_what_dask_workers_do_equals_a_serial_run_though_one_of_them_is_killed(tmp_path):
    if find_spec("distributed") is None or shutil.which(DASK) is None:
        missing("distributed (.ci/install-live)")
    grid, serial, clustered = tmp_path / "grid.yaml", tmp_path / "serial.jsonl", tmp_path / "clustered.jsonl"
    grid.write_text(GRID)
    subprocess.run([PROGRAM, "sweep", str(grid), "-o", str(serial), "--workers", "1"], check=True, timeout=300)
    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        started(stack, DASK, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        answers(port)
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        doomed, _ = (started(stack, DASK, "worker", url, *options) for _ in range(2))

        def kill_when_two_rows_are_there():
            while not clustered.exists() or clustered.read_bytes().count(b"\n") < 2:
                time.sleep(0.05)
            doomed.kill()

        threading.Thread(target=kill_when_two_rows_are_there, daemon=True).start()
        subprocess.run([PROGRAM, "sweep", str(grid), "-o", str(clustered), "--scheduler", url], check=True, timeout=300)
        assert doomed.wait(timeout=10) != 0
    assert clustered.read_bytes() == serial.read_bytes()
