"""irtt through ``rtcprobe relay``: the line that was asked for is found again in what irtt measured."""

import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from presence import missing

from rtcprobe.fit import fit, read_measured
from rtcprobe.link import parse_link

UP = "delay 30ms 8ms distribution normal loss 3% burst 3"
DOWN = "delay 45ms 5ms 60% distribution paretonormal loss 2%"
TALK_S = 20


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(*command, **options):
    with subprocess.Popen(command, **options) as process:  # closes its pipes too
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    if shutil.which("irtt") is None:
        missing("irtt (apt-get install irtt)")
    path = tmp_path_factory.mktemp("irtt") / "measured.json.gz"
    port = free_port()
    program = str(Path(sys.executable).with_name("rtcprobe"))
    relay = [
        program,
        "relay",
        "--listen",
        "127.0.0.1:0",
        "--to",
        f"127.0.0.1:{port}",
        "--link",
        UP,
        "--back-link",
        DOWN,
    ]
    server = ["irtt", "server", "-b", f"127.0.0.1:{port}", "-i", "10ms"]
    with running(*server, stdout=subprocess.DEVNULL), running(*relay, stderr=subprocess.PIPE, text=True) as relaying:
        front = re.search(r"relaying 127\.0\.0\.1:(\d+)", relaying.stderr.readline())[1]
        # Handshakes pass the lossy relay too: irtt asks again by itself, four times.
        client = [
            "irtt",
            "client",
            "-i",
            "10ms",
            "-d",
            f"{TALK_S}s",
            "-l",
            "160",
            "-q",
            "-o",
            str(path),
            f"127.0.0.1:{front}",
        ]
        subprocess.run(client, check=True, timeout=TALK_S + 60)
    return read_measured(path)


@pytest.mark.parametrize(("way", "line"), [("up", UP), ("down", DOWN)])
def test_what_was_asked_of_the_relay_is_found_again_within_its_intervals(measured, way, line):
    asked = parse_link(line)
    found = fit(measured, way=way, trace="unused")
    assert found.shape.distribution == asked.delay.distribution, found.line
    # This machine lets packets out late now and then: a tenth of a millisecond and more beside the sampling error.
    for name, (low_s, high_s) in (("base_s", found.shape.base_ci_s), ("jitter_s", found.shape.jitter_ci_s)):
        slack_s = 0.0015
        assert low_s - slack_s <= getattr(asked.delay, name) <= high_s + slack_s, found.line
    low, high = found.losses.ratio_ci
    assert low <= asked.loss.ratio <= high, found.line
    if way == "up":
        low, high = found.losses.burst_ci
        assert low <= asked.loss.mean_burst <= high, found.line
