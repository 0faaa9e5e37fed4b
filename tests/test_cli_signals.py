"""Signals that come while the command is still being loaded."""

import signal
import subprocess
import sys

import pytest

BUSY = """
import os, runpy, signal, sys
from importlib.abc import MetaPathFinder

class Comes(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "rtcprobe.cli.signals":  # in the middle of loading
            os.kill(os.getpid(), int(sys.argv.pop(1)))
        return None

sys.meta_path.insert(0, Comes())
runpy.run_module("rtcprobe", run_name="__main__")
"""


def loaded(number, *arguments):
    return subprocess.run(
        [sys.executable, "-c", BUSY, str(int(number)), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_ends_a_command_that_is_still_being_loaded_is_said(number, code):
    done = loaded(number, "schema")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (code, "", "rtcprobe: interrupted")


def test_serve_outlives_a_hang_up_that_comes_while_it_is_being_loaded(tmp_path):
    config = tmp_path / "serve.yaml"
    config.write_text("probes:\n  - {name: a, scenario: 1v1-social}\n")
    done = loaded(signal.SIGHUP, "serve", "--config", str(config), "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("a: 1v1-social")
