"""A room through a mixing server of ours: heard by disjoint codes, its delay a stage, hiccups plateaus; refusals."""

import json
from functools import cache

import pytest

from rtcprobe.audio.opus import OpusEncoder, OpusSettings
from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.probe.beforehand import check_target
from rtcprobe.scenario import parse_scenario

ROOM = """
name: mixed
parties: {ana: {}, ben: {}, dan: {sends: nothing, messages: {rate: 5/s}}}
target: mix
link: delay 20ms
call: {calls: 1, duration: 3s, joins: 1}
codec: {complexity: 0}
"""
LOOK_AHEAD_S = OpusEncoder(OpusSettings()).lookahead_samples / 48_000
TICK_S = 0.020


@cache
def ran(*settings, seed=2):
    return run_probe(parse_scenario(ROOM, settings), seed=seed, clock="virtual")


def test_every_pair_is_heard_in_the_mix_and_stages_sum_with_the_mixer_as_one():
    result = ran()
    assert list(result.mouth_to_ear) == ["ana_to_ben", "ana_to_dan", "ben_to_ana", "ben_to_dan"]
    for account in result.mouth_to_ear.values():
        assert account.heard == account.scheduled > 0
        mean_s = sum(each.delay_s for each in account.samples) / account.heard
        assert sum(account.stages.values()) == pytest.approx(mean_s)
        assert account.stages["network"] == pytest.approx(0.040, abs=1e-4)
    assert result.verdict == "pass"
    assert all(each.first_audio_s is not None for each in result.join.attempts)


@pytest.mark.parametrize("prebuffer", [1, 6])
def test_the_mixer_keeps_its_prebuffer_a_part_of_a_tick_and_its_encoders_look_ahead(prebuffer):
    result = ran(f"target={{kind: mix, prebuffer: {prebuffer}}}")
    # Six are kept, and then up to a tick by where the talker's grid lies; of one, what came last (audio.mixer, rule 2).
    least_s = (0 if prebuffer == 1 else prebuffer * TICK_S) + LOOK_AHEAD_S
    for account in result.mouth_to_ear.values():
        assert least_s - 0.001 <= account.stages["mixer"] <= least_s + TICK_S + 0.001


def test_80_ms_more_on_one_leg_are_heard_on_the_ways_that_use_it_alone():
    def moved(leg):
        later = ran(f"legs={{{leg}: delay 100ms}}")
        return {
            str(way): later.mouth_to_ear[way].stages["network"] - account.stages["network"]
            for way, account in ran().mouth_to_ear.items()
        }

    for leg, of in (("ana_to_mix", "ana_to_"), ("mix_to_dan", "_to_dan")):
        for way, more_s in moved(leg).items():
            assert more_s == pytest.approx(0.080 if of in way else 0.0, abs=5e-5)


def test_what_a_talkers_hiccup_left_is_kept_and_told_as_a_plateau():
    hiccup = "legs={ana_to_mix: delay 20ms rate 1mbit at 1.8s rate 8kbit at 1.97s rate 1mbit}"
    result = ran(hiccup)
    for way, account in result.mouth_to_ear.items():
        stairs = [each.delay_s for each in account.spans if each.what == "plateau"]
        if way.talker == "ana":
            assert len(stairs) == 2
            assert (stairs[1] - stairs[0]) / TICK_S == pytest.approx(round((stairs[1] - stairs[0]) / TICK_S), abs=0.05)
            assert stairs[1] > stairs[0] + TICK_S / 2
        else:
            assert len(stairs) == 1


def test_messages_pass_a_mixer_as_they_are():
    sent = ran().of_kind("messages")
    assert list(sent) == ["dan_to_ana.messages", "dan_to_ben.messages"]
    for each in sent.values():
        assert each.heard == each.scheduled > 0
        assert min(one.delay_s for one in each.samples) == pytest.approx(0.040, abs=1e-3)


def test_equal_seeds_give_equal_bytes():
    def written(result):
        return json.dumps({**result.to_dict(), "environment": {}})

    first = written(ran())
    ran.cache_clear()
    assert written(ran()) == first
    assert written(ran(seed=3)) != first


def test_as_many_speak_as_there_are_codes():
    names = ", ".join(f"p{number}: {{}}" for number in range(48))
    text = ROOM.replace("ana: {}, ben: {}", names)
    assert len(check_target(parse_scenario(text, ["call.duration=15s"]), "virtual").directions) == 48 * 48


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("target={kind: mix, prebuffer: 0}", "target.prebuffer 0 is impossible: give 1 to 50 packets"),
        ("target={kind: mix, prebuffer: six}", "target.prebuffer 'six' is impossible: give 1 to 50 packets"),
        ("target={kind: mix, tick: 15ms}", "target.tick 15ms is impossible: use 10ms, 20ms, 40ms or 60ms"),
        ("target={kind: mix, tick: 20}", "target.tick: duration '20' has no unit: write it like 80ms"),
        ("target={kind: mix, nack: none}", "target.nack is not known to mix: use one of prebuffer, tick, region"),
        (
            "codec.ptime=40ms",
            "ana sends packets of 40ms, and target mix mixes one each 20ms: write target.tick 40ms, the same for all",
        ),
        (
            "edges=[singapore, frankfurt]",
            "target mix has 2 servers (singapore, frankfurt): one mixes: leave one, or write target: sfu",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(settings, sentence):
    with pytest.raises(BadInputError) as refused:
        check_target(parse_scenario(ROOM, [settings]), "virtual")
    assert str(refused.value) == sentence


def test_who_comes_later_stops_or_comes_back_is_heard_while_it_speaks():
    script = "script=[ben joins at 1s, ben stops at 3s, ben speaks at 4s, ana leaves at 5s, ana joins at 6s]"
    result = ran(script, "call.duration=9s", "link=delay 20ms")
    assert not [each for each in result.warnings if "fault" in each]
    for way in ("ben_to_dan", "ana_to_dan"):
        account = result.mouth_to_ear[way]
        assert account.heard == account.scheduled > 3
    spoken_s = [each.spoken_s for each in result.mouth_to_ear["ben_to_dan"].samples]
    begun_s = min(each.spoken_s for each in result.mouth_to_ear["ana_to_dan"].samples)
    assert min(spoken_s) > begun_s + 0.5
    assert any(each.spoken_s > begun_s + 6.0 for each in result.mouth_to_ear["ana_to_dan"].samples)
    assert result.of_kind("messages")["dan_to_ben.messages"].heard > 20


def test_a_mixer_of_sound_says_that_pictures_are_not_measured():
    result = ran("video={size: 160x120, fps: 15, bitrate: 100kbit}", "call.duration=1s")
    assert "pictures are not measured with mix: the sound was" in result.warnings
    assert {account.kind for account in result.accounts} <= {"mouth_to_ear", "messages"}
    assert all(account.heard for account in result.mouth_to_ear.values())
