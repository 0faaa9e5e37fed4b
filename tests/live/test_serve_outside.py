"""``serve`` probes a server of another process on the real clock: it works, it dies, it returns, and all is seen."""

import re
import signal
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from process import ServerProcess, free_port
from services import ECHO_TOKEN, AiortcEcho

CONFIG = """
defaults: {{interval: 2s, jitter: 100ms, timeout: 30s}}
probes:
  - name: echo
    scenario: 1v1-social
    target: "sdp+http://{place}/bearer?access_token=planted-in-a-query-31"
    set:
      target.token: env:ECHO_TOKEN
      link: delay 10ms
      playout: fixed:60ms
      call.calls: 1
      call.duration: 2s
      call.joins: 1
      call.join_timeout: 4s
      budgets: []
reports: {{folder: reports, limit: 20MB}}
"""
ENOUGH_S = 90.0
"""How long a busy machine may take for what takes an idle one five seconds."""


class Serve:
    """The server, and what it says."""

    def __init__(self, folder, url, process):
        self.folder = folder
        self.url = url
        self.process = process

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def figure(self, name, *labels):
        """Return the value of the one series of ``name`` that has ``labels``; None while it is absent."""
        found = [
            float(value)
            for series, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
            if all(label in series for label in labels)
        ]
        assert len(found) <= 1
        return found[0] if found else None

    def await_figure(self, wanted, name, *labels):
        end_s = time.monotonic() + ENOUGH_S
        while time.monotonic() < end_s:
            value = self.figure(name, *labels)
            if wanted(value):
                return value
            time.sleep(0.2)
        pytest.fail(f"{name} {labels} stayed {value}\n{self.process.log.read_text()[-2000:]}")
        raise AssertionError


@pytest.fixture
def echo(network, tmp_path):
    server = AiortcEcho(network.address, tmp_path / "echo")
    server.start()
    yield server
    server.process.stop()


@pytest.fixture
def serve(echo, tmp_path):
    (tmp_path / "probes.yaml").write_text(CONFIG.format(place=echo.origin.partition("://")[2]), encoding="utf-8")
    listen = f"127.0.0.1:{free_port()}"
    command = [Path(sys.executable).with_name("rtcprobe"), "serve", "--config", "probes.yaml", "--listen", listen]
    process = ServerProcess("serve", command, folder=tmp_path, environment={"ECHO_TOKEN": ECHO_TOKEN})
    it = Serve(tmp_path, f"http://{listen}", process)

    def answers():
        try:
            return bool(it.get("/-/ready"))
        except OSError:
            return False

    try:
        process.start(answers)
        yield it
    finally:
        process.stop()


def test_a_target_works_dies_and_returns_and_no_secret_is_anywhere(echo, serve):
    def more(than):
        return lambda value: (value or 0) > than

    assert 'clock="real"' in serve.get("/metrics")
    serve.await_figure(more(0), "rtcprobe_last_join_attempts")
    before = serve.await_figure(more(0), "rtcprobe_join_seconds_count")
    serve.await_figure(more(0), "rtcprobe_mouth_to_ear_seconds_count", 'direction="round_trip"')
    assert serve.figure("rtcprobe_last_harness_lateness_seconds", 'part="loop_lag"', 'aggregate="p50"') is not None

    echo.process.kill()
    serve.await_figure(more(1), "rtcprobe_join_failures_total", 'phase="tcp"')
    serve.await_figure(lambda value: value == 1, "rtcprobe_last_join_failures", 'phase="tcp"')
    assert serve.figure("rtcprobe_last_join_seconds", 'aggregate="max"') is None  # absent, and never 0
    burnt = serve.figure("rtcprobe_slo_events_total", 'slo="join"', 'outcome="bad"')
    assert burnt >= 2
    page = serve.get("/")

    echo.start()
    after = serve.await_figure(more(before), "rtcprobe_join_seconds_count")
    serve.await_figure(lambda value: value is None, "rtcprobe_last_join_failures", 'phase="tcp"')
    assert after > before
    assert serve.figure("rtcprobe_worker_exits_total", 'reason="crash"') == 0

    said = {"page": page, "later page": serve.get("/"), "metrics": serve.get("/metrics")}
    serve.process.signal(signal.SIGHUP)
    serve.process.stop()
    said["log"] = serve.process.log.read_text()
    reports = sorted((serve.folder / "reports").iterdir())
    assert len(reports) >= 3
    said.update({path.name: path.read_text() for path in reports})
    for place, text in said.items():
        assert ECHO_TOKEN not in text, place
        assert "planted-in-a-query-31" not in text, place
    assert "access_token=***" in said["metrics"]
