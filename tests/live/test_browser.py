"""A real Chromium as an end: our own page against a peer of ours, both ways, and what is left when it ends badly."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import DEMOS, Pages, janus_demos
from presence import missing, need
from process import ServerProcess, answers_tcp, free_port
from runs import valid_run

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHORT = (
    "target=page",
    "devices={capture: 0ms, playback: 0ms}",
    "call.calls=2",
    "call.duration=4s",
    "call.joins=1",
    "call.join_timeout=20s",
    "budgets=[]",
)
WAYS = {"there": "caller_to_callee", "back": "callee_to_caller"}


@pytest.fixture(scope="module", autouse=True)
def _browser(network):
    assert network.address
    need(*BROWSERS)
    if find_spec("playwright") is None:
        missing("playwright")


@pytest.fixture(scope="module")
def runs(_browser):
    """The same calls over two links."""
    return {link: valid_run("1v1-social", *SHORT, f"link={link}") for link in ("delay 0ms", "delay 40ms")}


def test_the_links_delay_moves_what_the_page_says_by_as_much_on_the_wire(runs):
    # What is between mouth and wire is the browser's encoder and pacer: half a millisecond to one and a half.
    for link, network_s in (("delay 0ms", 0.0), ("delay 40ms", 0.040)):
        stages = runs[link].mouth_to_ear["caller_to_callee"].stages
        assert 0.0 <= stages["sender_pacing"] < 0.003
        assert stages["network_min"] == pytest.approx(network_s, abs=0.001)
        assert abs(stages["residual"]) < 0.005


def test_the_links_delay_moves_what_the_page_hears_by_as_much_give_or_take_a_tick(runs):
    # NetEQ plays in ticks of 10 ms, whose phase to the packets is a matter of chance in every call.
    none, forty = (settled_s(runs[link], WAYS["back"]) for link in ("delay 0ms", "delay 40ms"))
    assert forty - none == pytest.approx(0.040, abs=0.010)
    assert runs["delay 40ms"].mouth_to_ear["callee_to_caller"].stages["network_min"] == pytest.approx(0.040, abs=0.001)


def test_markers_of_one_call_agree_to_a_tenth_of_a_millisecond_once_it_has_settled(runs):
    for way in WAYS.values():
        spreads_s = [statistics.pstdev(each) for run in runs.values() for each in late_samples(run, way)]
        assert min(spreads_s) < 0.0002


def test_a_pages_join_is_taken_apart_from_navigation_to_first_sound(runs):
    (join,) = runs["delay 40ms"].join.attempts
    assert join.failed is None
    named = ["page_opened", "page_loaded", "microphone_given", "connection_made", "offer", "answer", "ice", "dtls"]
    assert [*join.phases] == [*named, "media", "playout"]
    assert sum(join.phases.values()) == pytest.approx(join.marks["first_audio"])
    # A check there and back; ClientHello to Finished is two round trips, the first packet one way and one more.
    assert join.phases["ice"] >= 0.070
    assert join.phases["dtls"] >= 0.079


def test_all_media_passed_our_link_and_the_browser_is_named(runs):
    page = runs["delay 40ms"].parties["caller"]
    assert page["browser"].startswith("Chromium ")
    assert page["media"].startswith("all of it passed our link")
    assert page["getStats"]["packetsReceived"] > 150


@pytest.fixture(scope="module")
def echo_page(janus, tmp_path_factory):
    """The EchoTest page of Janus' own demos, as Debian packages it."""
    need(str(DEMOS / "echotest.html"))
    pages = Pages(janus.address, janus_demos(tmp_path_factory.mktemp("demos"), janus))
    pages.start()
    yield f"page+{pages.url}/echotest.html"
    pages.process.stop()


def test_janus_own_demo_page_is_an_echo_whose_delay_moves_by_the_link_both_ways(echo_page):
    target = f"target={{url: '{echo_page}', steps: [{{click: '#start'}}]}}"
    runs = {}
    for link in ("delay 0ms", "delay 40ms"):
        both = [f"link.caller_to_callee={link}", f"link.callee_to_caller={link}"]
        runs[link] = valid_run("1v1-social", *SHORT, "call.calls=1", target, *both)
        (join,) = runs[link].join.attempts
        assert join.failed is None
        assert "steps_done" in join.phases
    none, forty = (settled_s(run, "round_trip") for run in runs.values())
    assert forty - none == pytest.approx(0.080, abs=0.012)
    assert runs["delay 40ms"].parties["caller"]["media"].startswith("all of it passed our link")


def test_two_pages_meet_and_hear_each_other_over_both_their_lines(network, tmp_path):
    command = [
        sys.executable,
        HERE / "servers" / "meeting.py",
        network.address,
        str(port := free_port(network.address)),
    ]
    server = ServerProcess("meeting", command, folder=tmp_path)
    server.start(lambda: answers_tcp(network.address, port))
    try:
        page = f"page+http://{network.address}:{port}/"
        target = f"target={{url: '{page}', ends: two, steps: [{{click: '#meet'}}]}}"
        run = valid_run("1v1-social", *SHORT, target, "call.calls=1", "link=delay 40ms")
    finally:
        server.stop()
    assert list(run.parties) == ["caller", "callee"]
    for way in WAYS.values():
        # 26.5 ms of encoder, 40 of link; NetEQ's target of 20 to 40 and its tick; no more than half a second at worst.
        assert 0.080 < settled_s(run, way) < 0.150
        assert run.mouth_to_ear[way].stages["network_and_page"] > 0.040


def test_a_step_that_never_comes_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("RTCPROBE_TEST", str(tmp_path))
    page = tmp_path / "page.html"
    page.write_text("<button>nothing</button>", encoding="utf-8")
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "18973", "--bind", "127.0.0.1", "--directory", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        settings = ["call.join_timeout=2s", "call.joins=1", "call.calls=1", "call.duration=3s", "budgets=[]"]
        target = "target={url: 'page+http://127.0.0.1:18973/page.html', steps: [{click: '#start'}]}"
        result = run_probe(find_scenario("1v1-social", [target, *settings]), seed=1, clock="real")
    finally:
        server.kill()
        server.wait()
    assert result.verdict == "inconclusive"
    assert "page step 1 of 1, click #start" in result.join.attempts[0].failed
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_who_interrupts_a_call_gets_what_was_measured_and_no_browser_is_left(tmp_path, sign):
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    command = [sys.executable, "-m", "rtcprobe", "run", "1v1-social", "--real-time", "--json", str(tmp_path / "r.json")]
    for each in (*SHORT, "call.calls=1", "call.duration=60s", "link=delay 10ms", "call.joins=1"):
        command += ["--set", each]
    environment = {**os.environ, "TMPDIR": str(folder), "RTCPROBE_TEST": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        probe = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, env=environment, stdout=log, stderr=log)
    try:
        assert waited(lambda: b"talking" in (tmp_path / "log").read_bytes())
        time.sleep(6.0)
        os.killpg(probe.pid, sign)  # as a terminal does: to all that it started, too
        probe.wait(timeout=30)
    finally:
        probe.kill()
    assert probe.returncode == 128 + sign, (tmp_path / "log").read_text()
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["interrupted"] is True
    assert min(ear["heard"] for ear in result["mouth_to_ear"].values()) >= 1
    assert waited(lambda: not left_behind(tmp_path))
    folder.rmdir()  # and no profile


def test_a_killed_probe_leaves_no_browser(tmp_path):
    settings = [each for setting in (*SHORT, "call.duration=60s", "link=delay 10ms") for each in ("--set", setting)]
    environment = {**os.environ, "RTCPROBE_TEST": str(tmp_path)}
    command = [sys.executable, "-m", "rtcprobe", "run", "1v1-social", "--real-time", "-q", *settings]
    probe = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    assert waited(lambda: len(left_behind(tmp_path)) > 3)
    probe.kill()
    probe.wait()
    assert waited(lambda: not left_behind(tmp_path))


def settled_s(run, way):
    """Return the median delay of the later markers, over the calls."""
    return statistics.median(each for call in late_samples(run, way) for each in call)


def late_samples(run, way):
    """Return each call's delays from its third second on: by then NetEQ has found its target."""
    calls = {}
    for sample in run.mouth_to_ear[way].samples:
        calls.setdefault(sample.call, []).append(sample.delay_s)
    return [delays_s[5:] for delays_s in calls.values() if len(delays_s) > 7]


def left_behind(folder):
    """Return the browsers and drivers that live and were started by the test whose folder this is."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"RTCPROBE_TEST={folder}".encode() in environment and ("chrom" in command or "playwright" in command):
            found.append(command[:80])
    return found


def waited(holds, limit_s=15.0):
    """Return whether ``holds`` comes true within a time."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if holds():
            return True
        time.sleep(0.1)
    return False
