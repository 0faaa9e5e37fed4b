"""A real Chromium as an end: our own page against a peer of ours, both ways, and what is left when it ends badly."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import DEMOS, Pages, janus_demos
from presence import missing, need
from process import ServerProcess, answers_tcp, free_port
from runs import kept_run, valid_run

from rtcprobe.scenario import library_folder

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
    """The same calls over two links, the farther with cameras."""
    more = {"delay 0ms": (), "delay 40ms": ("video={size: 320x240, fps: 15}",)}
    return {link: valid_run("1v1-social", *SHORT, f"link={link}", *each) for link, each in more.items()}


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


def test_page_and_peer_see_each_other_and_know_every_frame_twice(runs):
    seen = [each for each in runs["delay 40ms"].accounts if each.kind == "glass_to_glass"]
    assert [each.way for each in seen] == [f"{way}.video" for way in WAYS.values()]
    for each in seen:
        counts = each.playout.w3c
        assert counts["framesIdentifiedTwice"] == counts["framesIdentifiedAlike"] > 20
        assert each.stages["network_min"] == pytest.approx(0.040, abs=0.001)
        assert min(sample.delay_s for sample in each.samples) > 0.040


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


def test_janus_own_demo_page_is_an_echo_that_is_away_for_as_long_as_the_link_takes_both_ways(echo_page):
    # Told by packets: what the page plays goes by ticks of 10 ms, whose phase in each call is a matter of chance.
    recipe = str(library_folder() / "pages" / "janus-echotest.yaml")
    runs = {}
    for link in ("delay 0ms", "delay 40ms"):
        mouth = "file" if link == "delay 40ms" else "generator"  # whose packets they are makes no difference
        own = (f"target.url={echo_page}", "target.hosts=[]", f"link={link}", f"target.mouth={mouth}")
        runs[link] = valid_run(recipe, *SHORT[1:], "call.calls=1", *own)
        (join,) = runs[link].join.attempts
        assert join.failed is None
        assert "steps_done" in join.phases
        assert runs[link].mouth_to_ear["round_trip"].heard >= 4
    none, forty = (run.mouth_to_ear["round_trip"].stages["network_and_target"] for run in runs.values())
    # Each packet is let out by our loop twice, and passes Janus: as late as the harness says of itself, at most.
    late_s = sum(each.p99_s or 0.0 for run in runs.values() for each in run.harness.latenesses.values())
    assert forty - none == pytest.approx(0.080, abs=0.0015 + late_s)
    page = runs["delay 40ms"].parties["caller"]
    assert page["media"].startswith("all of it passed our link")
    assert page["mouth"].startswith("file: the browser's own microphone")


def test_two_pages_meet_hear_and_see_each_other_over_both_their_lines(network, tmp_path):
    command = [
        sys.executable,
        HERE / "servers" / "meeting.py",
        network.address,
        str(port := free_port(network.address)),
    ]
    server = ServerProcess("meeting", command, folder=tmp_path)
    server.start(lambda: answers_tcp(network.address, port))
    try:
        page = f"page+http://{network.address}:{port}/?video"
        target = f"target={{url: '{page}', ends: two, steps: [{{click: '#meet'}}]}}"
        camera = "video={size: 320x240, fps: 15}"
        run = kept_run("1v1-social", *SHORT, target, camera, "call.calls=1", "link=delay 40ms")
    finally:
        server.stop()
    assert list(run.parties) == ["caller", "callee"]
    for way in WAYS.values():
        # 26.5 ms of encoder, 40 of link, and NetEQ's least target of 20: two browsers may make it more, never less.
        assert settled_s(run, way) > 0.080
        assert run.mouth_to_ear[way].stages["network_and_page"] > 0.040
    seen = [each for each in run.accounts if each.kind == "glass_to_glass"]
    assert [each.way for each in seen] == [f"{way}.video" for way in WAYS.values()]
    for each in seen:
        counts = each.playout.w3c
        # Each frame by the number in the picture and by its RTP time: of some sixty, none may differ.
        assert counts["framesIdentifiedTwice"] == counts["framesIdentifiedAlike"] > 10
        assert each.heard > 10
        assert each.stages["network_min"] > 0.0395
        assert min(sample.delay_s for sample in each.samples) > 0.040


@pytest.mark.beside
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_who_interrupts_a_call_gets_what_was_measured_and_no_browser_is_left(tmp_path, sign):
    def interrupt(probe):
        os.killpg(probe.process.pid, sign)  # as a terminal does: to all that it started, too

    result, code = measured_until(interrupt, tmp_path)
    assert code == 128 + sign
    assert result["interrupted"] is True


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (("--user-data-dir", "--type="), "the browser went away"),
        (("--type=renderer", "--never"), "the page's renderer crashed"),
        (("playwright/driver", "chrom"), "the browser"),
    ],
    ids=["browser killed", "renderer crashed", "driver killed"],
)
def test_a_call_whose_browser_dies_is_cut_with_the_reason_and_keeps_what_was_measured(tmp_path, named, why):
    def kill(probe):
        for pid in probe.processes(*named):
            os.kill(pid, signal.SIGKILL)

    result, code = measured_until(kill, tmp_path)
    assert code == 3
    assert result["calls"][-1]["cut"].startswith(why)
    assert f"the call was cut: {why}" in " ".join((tmp_path / "log").read_text().split())
    assert result["join"]["attempts"][0]["failed"] is None


def measured_until(it_ends, folder):
    """Return the result of a call that was ended by ``it_ends`` once something was heard in it, and the exit code.

    How long a browser takes to be there is the machine's matter: who was too early tries again, later. So is a call
    that the machine spoilt, which is made again by itself, and then not ended.
    """
    for after_s in (5.0, 10.0, 20.0):
        with Probe(folder, "call.duration=30s") as probe:
            assert waited(lambda probe=probe: "talking" in probe.log(), 60.0), probe.log()
            time.sleep(after_s)
            it_ends(probe)
            code = probe.ended()
        assert probe.left_nothing()
        result = probe.result()
        cut = [each for each in result.get("calls", ()) if each["cut"] is not None and each["void"] is None]
        if cut and min(ear["heard"] for ear in result["mouth_to_ear"].values()) >= 1:
            return result, code
    raise AssertionError(f"nothing was heard within {after_s:g} s: {probe.log()}")


@pytest.mark.beside
def test_a_page_that_never_loads_is_given_up_with_exit_3_and_nothing_is_left(network, tmp_path):
    with (
        socket.create_server((network.address, 0)) as silent,
        Probe(
            tmp_path,
            f"target=page+http://{network.address}:{silent.getsockname()[1]}/",
            "call.join_timeout=2s",
            "call.duration=2s",
        ) as probe,
    ):
        assert probe.ended() == 3, probe.log()
    assert "the page did not load within 1.8 s" in " ".join(probe.log().split())
    assert probe.left_nothing()


@pytest.mark.beside
def test_a_killed_probe_leaves_no_browser(tmp_path):
    with Probe(tmp_path) as probe:
        assert waited(lambda: len(probe.processes("chrom", "--never")) > 3)
        probe.process.kill()
        probe.process.wait()
        assert waited(lambda: not probe.processes("chrom", "--never"))


class Probe:
    """A run of a page by the command line, in a temporary folder of its own; ended in any case."""

    def __init__(self, folder, *settings):
        self.folder, self.temporary = folder, Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
        command = [sys.executable, "-m", "rtcprobe", "run", "1v1-social", "--real-time", "--json", folder / "r.json"]
        for each in (*SHORT, "call.calls=1", "call.duration=60s", "link=delay 10ms", "call.joins=1", *settings):
            command += ["--set", each]
        self._log = (folder / "log").open("wb")
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        self.process = subprocess.Popen(
            command, cwd=folder, start_new_session=True, env=environment, stdout=self._log, stderr=self._log
        )
        self._seen = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._log.close()

    def log(self):
        return (self.folder / "log").read_text()

    def result(self):
        return json.loads((self.folder / "r.json").read_text())

    def ended(self):
        """Return the exit code; what it had started is remembered."""
        self.processes("", "--never")
        return self.process.wait(timeout=120)

    def processes(self, named, unnamed):
        """Return what runs below it, or did when last asked, whose command line has one name and lacks another."""
        children = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.parent.name))
        waiting = [self.process.pid]
        while waiting:
            found = children.get(waiting.pop(), ())
            self._seen.update(found)
            waiting += found
        lines = {pid: command_line(pid) for pid in self._seen}
        return [pid for pid, line in lines.items() if line and named in line and unnamed not in line]

    def left_nothing(self):
        """Return whether no process of it and no profile is left."""
        gone = waited(lambda: not self.processes("chrom", "--never") + self.processes("playwright", "--never"))
        return gone and not any(self.temporary.iterdir())


def command_line(pid):
    """Return what a process was started by; "" of none, and of one that has ended."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def settled_s(run, way):
    """Return the median delay of the later markers, over the calls."""
    return statistics.median(each for call in late_samples(run, way) for each in call)


def late_samples(run, way):
    """Return each call's delays from its third second on: by then NetEQ has found its target."""
    calls = {}
    for sample in run.mouth_to_ear[way].samples:
        calls.setdefault(sample.call, []).append(sample.delay_s)
    return [delays_s[5:] for delays_s in calls.values() if len(delays_s) > 7]


def waited(holds, limit_s=15.0):
    """Return whether ``holds`` comes true within a time."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if holds():
            return True
        time.sleep(0.1)
    return False
