"""A real Janus between two ends of ours, and as an echo: repeatable, and the link shows as it was set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from janus import PIN, PIN_ROOM, ROOM, SMALL_ROOM
from runs import called, measured, median_s, quiet_run, valid_run

RTCPROBE = Path(sys.executable).with_name("rtcprobe")
WAY = "caller_to_callee"
NETEQ = "playout=neteq"
MORE_JOINS = "call.joins=5"
ADDED_S = 0.080
LOSS = 0.05


def room_url(janus, room=ROOM):
    return f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{room}"


def phase_sum_s(attempt):
    return sum(attempt.phases.values())


def heard(result):
    """The attempts of ``result``, all of which came to be heard."""
    assert [attempt.failed for attempt in result.join.attempts] == [None] * len(result.join.attempts)
    return result.join.attempts


@pytest.fixture(scope="module")
def five(janus):
    """Five runs alike through a room."""
    return [quiet_run(room_url(janus), NETEQ) for _ in range(5)]


def test_mouth_to_ear_through_a_room_is_repeatable_within_three_milliseconds(five):
    medians_s = [median_s(result, WAY) for result in five]
    assert max(medians_s) - min(medians_s) <= 0.003, medians_s


def test_a_delay_added_to_the_speakers_link_is_added_to_mouth_to_ear(five, janus):
    later = quiet_run(room_url(janus), NETEQ, f"link.{WAY}=delay 80ms")
    before_s = sorted(median_s(result, WAY) for result in five)[2]
    assert median_s(later, WAY) - before_s == pytest.approx(ADDED_S, abs=0.001)


def test_loss_on_the_link_is_achieved_and_arrives_as_missing_frames(janus):
    result = measured(room_url(janus), NETEQ, f"link.{WAY}=delay 0ms loss 5%", "codec.ptime=10ms", "call.duration=12s")
    link, ear = result.link[WAY], result.mouth_to_ear[WAY]
    assert link.requested.loss == LOSS
    assert link.achieved.offered > 1000
    assert link.achieved.loss == pytest.approx(LOSS, abs=0.01)
    assert ear.protection.loss["before"] == pytest.approx(link.achieved.loss, abs=0.01)


def test_phases_of_every_join_sum_to_its_total(five, janus):
    echo = measured(f"janus+http://{janus.address}:{janus.http_port}/echotest", MORE_JOINS)
    attempts = [attempt for result in (*five, echo) for attempt in heard(result)]
    assert len(attempts) >= 10
    for attempt in attempts:
        assert phase_sum_s(attempt) == pytest.approx(attempt.first_audio_s, abs=0.001)


@pytest.mark.parametrize("scheme", ["janus+http", "janus+ws"])
def test_the_echo_test_comes_back_over_either_transport(janus, scheme):
    port = janus.http_port if scheme == "janus+http" else janus.ws_port
    result = measured(f"{scheme}://{janus.address}:{port}/echotest", MORE_JOINS)
    assert len(heard(result)) == 5
    # Two jitter buffers' worth of nothing: what comes back is what was sent, so the delay is one of ours, not twice.
    assert 0.04 < median_s(result, "round_trip") < 0.2
    assert set(result.mouth_to_ear) == {"round_trip"}


def test_what_the_server_agreed_to_is_told(five):
    for name, peer in five[0].parties.items():
        assert peer["dtls"].startswith("DTLSv1."), name
        assert peer["candidates"] == {"host udp": 1}
        assert peer["codec"].startswith("opus")
        assert peer["pair"] == "host to host"
    assert five[0].parties["caller"]["server"].startswith("Janus WebRTC Server 1.")


def test_the_harness_says_its_own_share_of_a_join(five):
    for result in five:
        assert 0 < result.harness.join_cpu_s < 0.2


@pytest.mark.beside
def test_a_room_with_a_pin_takes_it_from_the_environment(janus, monkeypatch):
    monkeypatch.setenv("LIVE_ROOM_PIN", PIN)
    result = called(room_url(janus, PIN_ROOM), "target.pin=env:LIVE_ROOM_PIN", "call.duration=2s")
    assert heard(result)
    assert PIN not in repr(result)


@pytest.mark.beside
def test_several_listeners_hear_one_speaker(janus):
    result = called(room_url(janus), "target.listeners=3", "call.joins=2", "call.duration=3s")
    assert len(heard(result)) == 6
    assert list(result.parties) == ["caller", "callee", "callee-2", "callee-3"]
    assert [way.listener for way in result.mouth_to_ear] == ["callee", "callee-2", "callee-3"]


@pytest.mark.beside
def test_candidates_that_come_after_the_answer_are_taken(own_janus):
    server = own_janus(full_trickle=True)
    for url in (f"janus+http://{server.address}:{server.http_port}/echotest", room_url(server)):
        result = called(url, "call.duration=2s")
        assert heard(result)
        assert {peer["pair"] for peer in result.parties.values()} == {"host to host"}


@pytest.mark.beside
@pytest.mark.parametrize("scheme", ["janus", "janus+wss"])
def test_a_janus_behind_tls_is_called_with_the_authority_that_signed_it_alone(janus, authority, scheme):
    port = janus.https_port if scheme == "janus" else janus.wss_port
    url = f"{scheme}://{janus.address}:{port}/echotest"
    result = called(url, f"target.ca={authority.ca}", "call.duration=2s")
    (attempt,) = heard(result)
    assert attempt.phases["tls"] > 0
    (stranger,) = called(url, "call.duration=2s").join.attempts
    assert "comes from a CA not trusted here: name the CA file that vouches for it" in stranger.failed


@pytest.mark.beside
def test_a_planted_api_secret_is_found_in_nothing_that_leaves(own_janus, tmp_path):
    secret = "planted-janus-api-secret"
    server = own_janus(api_secret=secret)
    url = f"janus+http://{server.address}:{server.http_port}/echotest"
    written = {}
    for name, value in (("right", secret), ("wrong", secret[::-1])):
        out = tmp_path / f"{name}.json"
        how = [
            "--real-time",
            "--set",
            "target.secret=env:LIVE_SECRET",
            "--joins",
            "1",
            "--calls",
            "1",
            "--duration",
            "2s",
        ]
        command = [RTCPROBE, "run", "1v1-social", "--target", url, *how, "--json", out]
        environment = {**os.environ, "LIVE_SECRET": value}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
        written[name] = done.stdout + done.stderr + out.read_text()
    assert "round_trip" in written["right"]
    assert "error 403, 'Unauthorized request (wrong or missing secret/token)'" in written["wrong"]
    for text in written.values():
        assert secret not in text
        assert secret[::-1] not in text


def test_nothing_is_left_in_the_rooms(janus, five):
    assert five
    for room in (ROOM, SMALL_ROOM):
        assert janus.participants(room) == []


def test_the_same_file_runs_on_loopback_and_on_janus(janus, tmp_path):
    scenario = tmp_path / "same.yaml"
    scenario.write_text(
        "name: same\n"
        "serves: a test\n"
        "sources: [a test]\n"
        "caller: {region: frankfurt, access: wifi-good}\n"
        "callee: {region: london, access: wifi-good}\n"
        "signaling: {region: london, connection: cold}\n"
        "call: {calls: 1, duration: 3s, joins: 2}\n"
        "budgets: [mouth_to_ear p50 < 1s]\n"
    )
    loopback = valid_run(str(scenario))
    real = valid_run(str(scenario), f"target={room_url(janus)}")
    assert (loopback.target, real.target) == ("loopback", room_url(janus))
    assert loopback.verdict == real.verdict == "pass"
    assert median_s(real, WAY) == pytest.approx(median_s(loopback, WAY), abs=0.080)
