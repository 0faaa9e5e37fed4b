"""Rooms of three at real servers: every pair is heard, all come at once, and what befalls one is told of that one."""

import json
import statistics
import threading
import time
from dataclasses import replace

import pytest
from capture import Capture, passages
from janus import BRIDGE, PIN_ROOM, ROOM, SMALL_ROOM
from runs import ROOM as ROOM_FILE
from runs import median_s, room, valid_room

from rtcprobe.probe import run_probe, talking
from rtcprobe.scenario import find_scenario

WAYS = ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho", "cho_to_ana", "cho_to_ben"]
WITHIN_S = 0.002


def videoroom(janus, number=ROOM):
    return f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{number}"


def bridge(janus):
    return f"janus+ws://{janus.address}:{janus.ws_port}/audiobridge/{BRIDGE}"


def streams(pion_sfu):
    return f"whip+whep+http://{pion_sfu.origin.removeprefix('http://')}/{{whip,whep}}/{{party}}"


@pytest.fixture
def recorded(monkeypatch):
    """The ways of the latest call as they were recorded."""
    kept = []
    hear = talking.hear_call

    def noted(ways, *args, **options):
        kept[:] = ways
        return hear(ways, *args, **options)

    monkeypatch.setattr(talking, "hear_call", noted)
    return kept


def heard_by_all(result, *, most_s=0.2):
    """Say that every pair was heard, and every join came about with phases that sum."""
    assert list(result.mouth_to_ear) == WAYS
    for way in WAYS:
        assert 0.03 < median_s(result, way) < most_s
    assert [attempt.party for attempt in result.join.attempts] == ["ana", "ben", "cho"]
    for attempt in result.join.attempts:
        assert attempt.failed is None
        assert sum(attempt.phases.values()) == pytest.approx(attempt.first_audio_s, abs=1e-3)


def captured(target, folder, tshark, recorded):
    """Run a room with a capture beside it; say that both agree on how long packets were under way."""
    capture = Capture(folder, tshark)
    try:
        result = valid_room(target)
        frames = capture.frames()
    finally:
        capture.stop()
    assert [each.way for each in recorded] == WAYS
    for each in recorded:
        apart_s = [ours_s - theirs_s for ours_s, theirs_s in passages(frames, each.said, each.came)]
        assert len(apart_s) > 100
        assert abs(statistics.fmean(apart_s)) < WITHIN_S, each.way
        assert statistics.quantiles(map(abs, apart_s), n=20)[-1] < WITHIN_S, each.way
    return result


def test_every_pair_of_a_videoroom_is_measured_as_a_capture_saw_it(janus, tmp_path, tshark, recorded):
    result = captured(videoroom(janus), tmp_path, tshark, recorded)
    heard_by_all(result)
    for attempt in result.join.attempts:
        # All came at once: nobody's feed was there before anybody joined.
        assert attempt.phases["feed_ready"] > 0.005
        assert attempt.last in {"ana", "ben", "cho"} - {attempt.party}
    assert {name: each["connections"] for name, each in result.parties.items()} == {"ana": 3, "ben": 3, "cho": 3}
    assert janus.participants() == []


def test_every_pair_through_pion_is_measured_as_a_capture_saw_it(pion_sfu, tmp_path, tshark, recorded):
    result = captured(streams(pion_sfu), tmp_path, tshark, recorded)
    heard_by_all(result)
    for attempt in result.join.attempts:
        assert attempt.phases["on_air"] > 0.005
    # Each stage of its own: Pion's reports are answered, so the round trip is known.
    assert all(each["rtcp_round_trip_s"] < 0.05 for each in result.parties.values())
    assert pion_sfu.open_sessions() == 0


def test_every_pair_through_rtpengine_is_measured_as_a_capture_saw_it(rtpengine, tmp_path, tshark, recorded):
    result = captured(rtpengine.url, tmp_path, tshark, recorded)
    heard_by_all(result)
    for attempt in result.join.attempts:
        assert "signaling" not in attempt.phases  # questions need no connection
        assert attempt.phases["on_air"] > 0.005
    assert rtpengine.calls() == 0


def test_a_question_to_rtpengine_that_was_lost_is_asked_again_and_named(rtpengine):
    away = "link={delay: 0ms, outages: [{at: 0ms, for: 150ms}]}"
    result = room(rtpengine.url, away, duration="3s")
    assert all(ear.heard for ear in result.accounts)
    for attempt in result.join.attempts:
        lost = [each for each in attempt.retransmissions if each.timer == "signaling"]
        assert {each.what for each in lost} == {"publish"}
        assert 0.2 < sum(each.cost_s for each in lost) < 0.6
        assert attempt.phases["on_air"] > 0.25


@pytest.mark.beside
def test_nobody_at_the_port_is_one_sentence(network):
    result = room(f"rtpengine+ng://{network.address}:9", "call.join_timeout=1s", duration="3s")
    assert result.exit_code == 3
    for attempt in result.join.attempts:
        talker = attempt.failed.partition(" ")[0]
        assert talker != attempt.party
        why = f"{talker} answer_received not within 1 s; {talker} had come to offer_sent"
        assert attempt.failed == f"{talker} was not there to be heard: {why}"


def test_an_rtpengine_that_dies_leaves_what_was_heard(own_rtpengine):
    killer = threading.Timer(3.0, own_rtpengine.process.kill)
    killer.start()
    result = room(own_rtpengine.url, "call.joins=1", duration="6s")
    killer.join()
    assert result.exit_code == 3
    assert result.cut is None or "nothing came to " in result.cut or "media path broke" in result.cut


def test_streams_have_addresses_by_name_too_and_a_wrong_one_costs_its_own_ways(whip, whep):
    names = ("ana", "ben", "cho")
    target = {
        "whip": {name: whip.create(f"{name}-by-name") for name in names},
        "whep": {name: whep.create(f"{name}-by-name", room=ROOM, publisher=f"{name}-by-name") for name in names},
    }
    target["whep"]["cho"] += "-of-nobody"
    result = room(json.dumps(target), "call.join_timeout=5s", duration="3s")
    assert {way for way, ear in result.mouth_to_ear.items() if ear.heard} == {
        way for way in WAYS if not way.startswith("cho_")
    }
    told = [each for each in result.warnings if each.startswith(("ana did not hear cho: ", "ben did not hear cho: "))]
    assert {"404 Not Found" in each for each in told} == {True}
    assert not any(whip.busy(f"{name}-by-name") for name in names)


def test_a_delay_on_one_leg_moves_the_ways_that_use_it_and_no_other(janus):
    result = valid_room(videoroom(janus), "legs={ben_to_target: delay 80ms}", duration="3s")
    for way in WAYS:
        # What is left is the server's own: less than a millisecond on one machine.
        under_way_s = 0.080 if way.startswith("ben_to_") else 0.0
        assert result.mouth_to_ear[way].stages["network_and_target"] == pytest.approx(under_way_s, abs=0.002), way


@pytest.mark.parametrize(("packets", "least_s", "most_s"), [(None, 0.100, 0.150), (1, 0.0, 0.035)])
def test_the_prebuffer_of_a_mixer_is_a_stage_of_its_own(janus, packets, least_s, most_s):
    settings = () if packets is None else (f"target.prebuffer={packets}",)
    result = room(bridge(janus), *settings)
    heard_by_all(result, most_s=0.35)
    for way in WAYS:
        stages = result.mouth_to_ear[way].stages
        # So many packets before the first is decoded, up to a tick of 20 ms, and 6.5 ms of the encoder's look-ahead.
        assert least_s < stages["mixer"] < most_s, way
        assert 0.0 < stages["network"] < 0.005
        assert sum(stages.values()) == pytest.approx(
            statistics.fmean(s.delay_s for s in result.mouth_to_ear[way].samples)
        )


def test_a_mixer_keeps_what_a_hiccup_of_a_talker_left_and_says_so_by_plateau(janus):
    hiccup = "legs={ana_to_target: {delay: 0ms, handovers: [{at: 3500ms, for: 180ms}]}}"
    result = room(bridge(janus), hiccup, duration="8s")
    stairs = {way: [each for each in ear.spans if each.what == "plateau"] for way, ear in result.mouth_to_ear.items()}
    for way in ("ana_to_ben", "ana_to_cho"):
        assert len(stairs[way]) >= 2, stairs[way]
        assert stairs[way][-1].delay_s - stairs[way][0].delay_s > 0.030


def test_two_in_a_mix_are_told_apart_by_one_who_listens(janus):
    result = room(bridge(janus), "parties.cho.sends=nothing")
    assert list(result.mouth_to_ear) == ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho"]
    for ear in result.accounts:
        delays_s = [each.delay_s for each in ear.samples]
        assert ear.heard >= ear.scheduled - 1
        assert max(delays_s) - min(delays_s) < 0.060  # a marker taken for another talker's would be 250 ms off


def test_who_only_listens_hears_all_and_is_heard_by_nobody(janus):
    result = room(videoroom(janus), "parties.cho.sends=nothing", "parties.ana.hears=[ben]", duration="3s")
    assert list(result.mouth_to_ear) == ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho"]
    assert all(ear.heard for ear in result.accounts)
    assert {name: each["connections"] for name, each in result.parties.items()} == {"ana": 2, "ben": 2, "cho": 2}
    assert list(result.link) == [
        "ana_to_target", "target_to_ana", "ben_to_target", "target_to_ben", "target_to_cho",
    ]  # fmt: skip


def test_one_who_never_connects_costs_its_own_ways_alone(janus):
    lost = "legs={cho_to_target: delay 0ms loss 100%}"
    result = room(videoroom(janus), lost, "call.join_timeout=2s", "budgets=[mouth_to_ear p50 < 1s]", duration="3s")
    assert result.exit_code == 0
    heard = {way for way, ear in result.mouth_to_ear.items() if ear.heard}
    assert heard == {"ana_to_ben", "ben_to_ana"}
    (told,) = [each for each in result.warnings if each.startswith("cho ")]
    assert told.startswith("cho was not in the room, or not to its end: Janus WebSocket (GET ws://")
    assert "waiting for the TCP connection; cho had reached nothing" in told
    failed = {attempt.party: attempt.failed for attempt in result.join.attempts}
    assert failed["ana"] is failed["ben"] is None
    assert failed["cho"] in told


def test_a_room_that_takes_one_publisher_says_so_of_the_others_and_is_heard(janus):
    # Of two who come at the same moment Janus 1.1.2 lets in both.
    later = "legs={ben_to_target: delay 60ms, cho_to_target: delay 60ms}"
    result = room(videoroom(janus, SMALL_ROOM), later, "call.join_timeout=3s", duration="3s")
    assert result.exit_code == 0
    assert {way for way, ear in result.mouth_to_ear.items() if ear.heard} == {"ana_to_ben", "ana_to_cho"}
    told = [each for each in result.warnings if "was not heard: Janus, publish in room 77: " in each]
    assert [each.partition(" ")[0] for each in told] == ["ben", "cho"]
    assert all("error 432, 'Maximum number of publishers (1) already reached'" in each for each in told)


@pytest.mark.beside
@pytest.mark.parametrize(("number", "said"), [(99, "No such room (99)"), (PIN_ROOM, "Missing mandatory element (pin)")])
def test_a_room_that_lets_nobody_in_is_one_sentence(janus, number, said):
    result = room(videoroom(janus, number))
    assert result.exit_code == 3
    assert len({attempt.failed for attempt in result.join.attempts}) == 1
    assert said in result.join.attempts[0].failed
    assert said in result.reasons[0]


@pytest.fixture
def spoilt_calls_count(monkeypatch):
    """A call that the machine held up is heard all the same: when who is heard is true on a busy machine too."""
    made = talking.of_stack
    monkeypatch.setattr(talking, "of_stack", lambda *args, **options: replace(made(*args, **options), void=None))


SCRIPT = [
    "ben joins at 500ms", "cho publishes at 1s", "ana stops at 2s", "cho leaves at 3s", "cho joins at 4s",
    "ana speaks at 4s", "cho publishes at 4500ms",
]  # fmt: skip


@pytest.mark.usefixtures("spoilt_calls_count")
@pytest.mark.parametrize("server", ["janus", "pion_sfu", "rtpengine"])
def test_parties_come_go_on_stage_fall_silent_leave_and_come_back_by_cues(server, request):
    running = request.getfixturevalue(server)
    url = {"janus": videoroom, "pion_sfu": streams, "rtpengine": lambda other: other.url}[server](running)
    scenario = find_scenario(str(ROOM_FILE), [f"target={url}", f"script={json.dumps(SCRIPT)}", "call.duration=7s"])
    result = run_probe(scenario, seed=1, clock="real")
    assert [each.does for each in result.happenings] == [
        "join", "publish", "stop", "leave", "join", "speak", "publish",
    ]  # fmt: skip
    assert not [each for each in result.warnings if "cue" in each or "fault" in each]
    cues = [(each.party, each.does, each.at_s) for each in result.happenings]
    at_s = {f"{party} {does}": when_s for party, does, when_s in cues}  # of several the last
    first_on_stage_s = next(when_s for party, does, when_s in cues if (party, does) == ("cho", "publish"))
    spoken_s = {way: [each.spoken_s for each in ear.samples] for way, ear in result.mouth_to_ear.items()}
    for way, ear in result.mouth_to_ear.items():
        assert ear.heard >= 2, way
        assert ear.lost <= 1, (way, ear.lost)
    assert min(spoken_s["ben_to_ana"]) >= at_s["ben join"] - 0.02
    assert not [when_s for when_s in spoken_s["ana_to_ben"] if at_s["ana stop"] < when_s < at_s["ana speak"] - 0.02]
    for way in ("cho_to_ana", "cho_to_ben"):  # heard in both of its spells on stage, and in neither before nor between
        assert min(spoken_s[way]) >= first_on_stage_s - 0.02
        assert not [when_s for when_s in spoken_s[way] if at_s["cho leave"] < when_s < at_s["cho publish"] - 0.02]
        assert max(spoken_s[way]) > at_s["cho publish"]
    assert {each.party: each.does for each in result.room.entrances} == {"ben": "join", "cho": "publish"}
    for entrance in result.room.entrances:
        assert {each.listener for each in entrance.waits} <= {"ana", "ben", "cho"} - {entrance.party}
        assert all(each.wait_s is not None and 0.0 < each.wait_s < 2.0 for each in entrance.waits), entrance
    left = {"janus": "participants", "pion_sfu": "open_sessions", "rtpengine": "calls"}[server]
    assert not getattr(running, left)()


@pytest.mark.usefixtures("spoilt_calls_count")
def test_in_a_bridge_who_goes_on_stage_is_unmuted_over_the_connection_it_has(janus):
    script = ["cho publishes at 1s", "ana leaves at 2500ms"]
    scenario = find_scenario(str(ROOM_FILE), [f"target={bridge(janus)}", f"script={script}", "call.duration=5s"])
    result = run_probe(scenario, seed=1, clock="real")
    assert [each.does for each in result.happenings] == ["publish", "leave"]
    assert {each["connections"] for each in result.parties.values()} == {1}
    on_stage, left = (each.at_s for each in result.happenings)
    assert result.mouth_to_ear["cho_to_ben"].heard >= 3
    assert all(each.spoken_s >= on_stage - 0.02 for each in result.mouth_to_ear["cho_to_ben"].samples)
    assert all(each.spoken_s <= left for each in result.mouth_to_ear["ana_to_ben"].samples)


def test_a_server_that_dies_in_the_room_leaves_what_was_heard(own_janus):
    server = own_janus()
    up = "WebRTC media is now available"

    def kill():
        end_s = time.monotonic() + 20
        while server.process.log.read_text(errors="replace").count(up) < 9 + 9 and time.monotonic() < end_s:
            time.sleep(0.01)
        time.sleep(2.5)
        server.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    begun_s = time.monotonic()
    result = room(videoroom(server), duration="6s")
    killer.join()
    assert time.monotonic() - begun_s < 20
    assert result.exit_code == 3
    assert result.cut is not None
    assert "s into the call" in result.cut
    assert all(0 < ear.heard <= ear.scheduled for ear in result.accounts)
