"""Signals that come while the command is still being loaded."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_ends_a_command_that_is_still_being_loaded_is_said(number, code):
    done = loaded(number, "schema")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (code, "", "rtcprobe: interrupted")


def test_serve_outlives_a_hang_up_that_comes_while_it_is_being_loaded(tmp_path):
    config = tmp_path / "serve.yaml"
    config.write_text("probes:\n  - {name: a, scenario: 1v1-social}\n")
    done = loaded(signal.SIGHUP, "serve", "--config", str(config), "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("a: 1v1-social")


def test_nothing_large_is_loaded_before_signals_wait():
    loads = "import sys; before = {*sys.modules}; import rtcprobe.__main__; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"typing", "re", "click", "numpy", "rtcprobe.errors"}.isdisjoint(done.stdout.split())


def test_a_hang_up_ignored_by_who_starts_serve_does_not_end_it_before_its_first_line(tmp_path):
    config = tmp_path / "serve.yaml"
    config.write_text("probes:\n  - {name: a, scenario: 1v1-social}\n")
    serve = [sys.executable, "-m", "rtcprobe", "serve", "--config", str(config), "--check"]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited, as from nohup
    try:
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:
            process.send_signal(signal.SIGHUP)
            assert process.communicate()[0].startswith("a: 1v1-social")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.returncode == 0
