"""Whole runs against servers of other processes: an echo and a forwarder by aiortc, as kind and as awkward as any."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from services import AiortcEcho, _Service

from rtcprobe.call.targets import base
from rtcprobe.probe import run_probe
from rtcprobe.probe.harness import Harness
from rtcprobe.scenario import find_scenario

HERE = Path(__file__).parent
LINK = "link=delay 10ms"
QUICK = [
    LINK,
    "playout=fixed:60ms",
    "call.calls=1",
    "call.duration=3s",
    "call.joins=2",
    "call.join_timeout=5s",
    "budgets=[]",
]
TRIES = 3
"""A busy machine makes a run invalid, which is a verdict about the machine: it is tried again."""


class Forwarder(_Service):
    def __init__(self, address, folder):
        command = [sys.executable, HERE / "servers" / "aiortc_sfu.py", address, "{port}"]
        super().__init__("forwarder", address, folder, command, {})

    def open_sessions(self):
        return int(self.get("/sessions"))


@pytest.fixture(scope="module")
def forwarder(network, tmp_path_factory):
    server = Forwarder(network.address, tmp_path_factory.mktemp("forwarder"))
    server.start()
    yield server
    server.process.stop()


@pytest.fixture(scope="module")
def echo(network, tmp_path_factory):
    server = AiortcEcho(network.address, tmp_path_factory.mktemp("echo"))
    server.start()
    yield server
    server.process.stop()


def run(target, *settings):
    plan = find_scenario("1v1-social", [f"target={json.dumps(target)}", *QUICK, *settings])
    for _ in range(TRIES):
        result = run_probe(plan, seed=1, clock="real")
        if result.verdict != "invalid":
            break
    return result


def address_of(server):
    return server.origin.partition("://")[2]


def only_ear(result):
    (ear,) = result.mouth_to_ear.values()
    return ear


def heard_all(result):
    """Say whether every marker came through; a stall of this machine may cost one, and be no reason to be invalid."""
    ear = only_ear(result)
    return ear.scheduled == 6 and ear.heard >= 5 and ear.lost == 0


@pytest.mark.parametrize("way", ["whep", "whep-actpass", "whep-counter", "whep-later"])
def test_published_by_whip_heard_by_whep(forwarder, way):
    result = run(f"whip+whep+http://{address_of(forwarder)}/{{whip,{way}}}")
    ear = only_ear(result)
    assert list(result.mouth_to_ear) == ["caller_to_callee"]
    assert heard_all(result)
    # The link's 10 ms once, and what a forwarder on the same machine takes: little.
    assert 0.010 <= ear.stages["network_and_target"] < 0.040
    assert ear.total_s == pytest.approx(sum(s.delay_s for s in ear.samples) / ear.heard, abs=1e-6)
    for attempt in result.join.attempts:
        assert attempt.party == "callee"
        assert sum(attempt.phases.values()) == pytest.approx(attempt.first_audio_s, abs=1e-3)
        assert ("counter_offer" in attempt.phases) == (way == "whep-counter")
    assert result.parties["callee"]["pair"] == "host to host"
    assert forwarder.open_sessions() == 0


def test_candidates_follow_an_offer_that_went_without_them(forwarder):
    result = run({"url": f"whip+whep+http://{address_of(forwarder)}", "trickle": True})
    assert heard_all(result)
    for attempt in result.join.attempts:
        assert attempt.phases["candidates_sent"] > 0  # an exchange of its own, after the answer
        assert sum(attempt.phases.values()) == pytest.approx(attempt.first_audio_s, abs=1e-3)
    assert not [each for each in result.warnings if "candidates" in each]
    assert forwarder.open_sessions() == 0


def test_every_listener_of_a_room_joins_and_hears(forwarder):
    target = {"url": f"whip+whep+http://{address_of(forwarder)}", "listeners": 3}
    result = run(target)
    assert len(result.join.attempts) == 2 * 3
    listeners = ["callee", "callee-2", "callee-3"]
    assert [each.party for each in result.join.attempts] == listeners * 2
    assert [each.round for each in result.join.attempts] == [0] * 3 + [1] * 3
    assert list(result.mouth_to_ear) == list(result.measures) == [f"caller_to_{name}" for name in listeners]
    assert all(ear.heard == ear.scheduled > 0 for ear in result.accounts)
    assert list(result.parties) == ["caller", *listeners]
    assert set(result.link) == {*result.measures, "callee_to_caller"}
    assert forwarder.open_sessions() == 0


@pytest.fixture(scope="module")
def near(echo):
    """A plain echo over a short line."""
    return run(f"sdp+http://{address_of(echo)}/plain")


def test_the_link_is_passed_twice_there_and_back(echo, near):
    far = run(f"sdp+http://{address_of(echo)}/plain", "link=delay 50ms")
    assert list(near.mouth_to_ear) == ["round_trip"]
    assert only_ear(near).quality is None  # the E-model is about one way
    grown_s = only_ear(far).stages["network_and_target"] - only_ear(near).stages["network_and_target"]
    assert grown_s == pytest.approx(2 * (0.050 - 0.010), abs=0.003)


def test_loss_on_the_link_is_loss_of_the_call(echo):
    result = run(f"sdp+http://{address_of(echo)}/plain", "link=delay 5ms loss 5%", "call.duration=10s")
    for report in result.link.values():
        assert report.achieved.loss == pytest.approx(0.05, abs=0.03)  # 500 packets: three times 1 %


def test_an_unannounced_source_is_ignored_and_counted(echo):
    result = run(f"sdp+http://{address_of(echo)}/stranger")
    assert result.parties["caller"]["unexpected_source_packets"] > 100
    assert heard_all(result)


def test_what_our_own_side_took_is_told_apart(near):
    harness = near.harness
    assert harness.own_s["offer"] + harness.own_s["answer"] < harness.join_cpu_s < 0.3
    assert harness.own_s["certificate"] > 0
    assert harness.first_run_s > 0


def test_a_target_of_another_package_measures_as_ours_do(forwarder, monkeypatch):
    sys.path.insert(0, str(HERE.parent / "call"))
    example = EntryPoint("acme+http", "echo_target:make_target", base.GROUP)
    monkeypatch.setattr(base, "entry_points", lambda group: [example] if group == base.GROUP else [])
    result = run(f"acme+http://{address_of(forwarder)}/kitchen")
    assert result.target == f"acme+http://{address_of(forwarder)}/kitchen"
    assert heard_all(result)
    assert forwarder.open_sessions() == 0


FAULTS = {
    "silent": "caller first_packet not within 2 s; the caller had come to dtls_connected",
    "garbage": "the answer is no session description, it begins 'this is no session description': "
    "is this the endpoint's URL?",
    "pcmu": "the other side takes no Opus: call one that does: every browser has to (RFC 7874)",
}


@pytest.mark.beside
@pytest.mark.parametrize("way", FAULTS)
def test_a_fault_is_one_sentence_and_nothing_measured(echo, way):
    result = run(f"sdp+http://{address_of(echo)}/{way}", "call.join_timeout=2s", "call.joins=5")
    assert (result.verdict, int(result.exit_code)) == ("inconclusive", 3)
    assert [attempt.failed for attempt in result.join.attempts] == [FAULTS[way]] * 3
    assert "2 joins and the call were not tried: none of 3 was heard" in result.warnings


def test_where_nothing_was_heard_a_busy_machine_has_spoilt_nothing(network, monkeypatch):
    monkeypatch.setattr(Harness, "complaints", lambda *_: ("late",))
    result = run(f"sdp+http://{network.address}:1/x")
    assert (result.verdict, int(result.exit_code)) == ("inconclusive", 3)
    assert "refuses the TCP connection" in result.reasons[0]
    assert "late" in result.warnings


@pytest.mark.beside
def test_a_server_that_never_answers_is_left_in_time(echo):
    begun_s = time.monotonic()
    result = run(f"sdp+http://{address_of(echo)}/never", "call.join_timeout=1s")
    url = f"http://{address_of(echo)}/never"
    assert result.join.attempts[0].failed == (
        f"offer (POST {url}): not within 1s, waiting for the answer to begin; the caller had come to offer_sent"
    )
    assert time.monotonic() - begun_s < 20


@pytest.mark.beside
def test_a_turn_server_that_never_answers_is_named(echo, network):
    url = f"turn:{network.address}:1?transport=udp"
    ice = f"ice={{servers: [{{urls: '{url}'}}], policy: relay}}"
    result = run(f"sdp+http://{address_of(echo)}/plain", "call.join_timeout=1s", "call.joins=1", ice)
    assert result.join.attempts[0].failed == (
        f"caller ice_gathered not within 1 s, waiting for {url}; the caller had come to signaling_connected"
    )
    assert len(set(result.warnings)) == len(result.warnings)


@pytest.mark.beside
def test_tls_where_there_is_none_is_left_in_time(network):
    with socket.create_server((network.address, 0)) as deaf:
        url = f"{network.address}:{deaf.getsockname()[1]}"
        result = run(f"sdp+https://{url}/x", "call.join_timeout=1s")
    assert result.join.attempts[0].failed == (
        f"signalling connection (CONNECT https://{url}/x): not within 1s, waiting for the TLS handshake; "
        "the caller had come to ice_gathered"
    )


@pytest.mark.parametrize("after_s", [0.05, 4.0], ids=["joining", "talking"])
def test_a_server_that_is_killed_ends_the_call_in_a_sentence(network, tmp_path, after_s):
    server = AiortcEcho(network.address, tmp_path / "killed")
    server.start()
    killer = threading.Thread(target=_kill_once_called, args=(server, after_s))
    killer.start()
    target = f"target=sdp+http://{address_of(server)}/plain"
    plan = find_scenario("1v1-social", [target, *QUICK, "call.joins=1", "call.duration=10s"])
    result = run_probe(plan, seed=1, clock="real")
    killer.join()
    server.process.stop()
    assert int(result.exit_code) == 3
    if after_s > 1:
        assert result.cut is not None
        assert result.cut.startswith("nothing came to the caller any more ")
        ear = only_ear(result)
        assert 0 < ear.heard < ear.scheduled == 20  # what was measured until then is kept
    else:
        assert result.join.attempts[0].failed is not None


def _kill_once_called(server, after_s):
    while not server.open_calls():
        time.sleep(0.002)
    time.sleep(after_s)
    server.process.signal(signal.SIGKILL)


def test_a_planted_token_is_found_nowhere(echo):
    os.environ["PLANTED"] = "planted-secret-token"
    target = {"url": f"sdp+http://{address_of(echo)}/bearer?key=planted-in-the-url", "token": "env:PLANTED"}
    result = run(target, "call.join_timeout=2s")
    text = json.dumps(result.to_dict())
    assert "planted" not in text.replace("env:PLANTED", "")
