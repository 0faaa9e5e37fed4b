"""Pictures through servers of ours: seen by everybody, from a key frame on, sent again, and no sooner than the way."""

from functools import cache
from itertools import pairwise

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.scenario import parse_scenario

ROOM = """
name: shown
parties: {ana: {}, ben: {sends: nothing}, cho: {sends: nothing}}
target: sfu
signaling: {connection: warm}
link: delay 40ms
video: {size: 160x120, fps: 15, bitrate: 100kbit, playout: asap}
call: {calls: 1, duration: 2s, joins: 1}
"""


@cache
def run(*settings):
    return run_probe(parse_scenario(ROOM, settings), seed=1, clock="virtual")


def sights(result):
    return {account.way: account for account in result.accounts if account.kind == "glass_to_glass"}


def delays_s(result):
    return {way: [each.delay_s for each in account.samples] for way, account in sights(result).items()}


def test_every_frame_is_seen_by_everybody_as_long_after_as_the_two_legs_take():
    found = sights(run())
    assert list(found) == ["ana_to_ben.video", "ana_to_cho.video"]
    for account in found.values():
        assert account.heard == account.scheduled == 30
        assert account.stages["network_min"] == pytest.approx(0.080, abs=1e-5)
        assert account.playout.w3c["keyFramesDecoded"] == 1
    assert all(join.marks["first_picture"] >= join.marks["first_key_frame"] for join in run().join.attempts)
    assert [account.way for account in run().accounts if account.kind == "lip_sync"] == list(found)


def test_80_ms_more_on_a_leg_are_seen_on_the_way_that_uses_it_and_on_no_other():
    before, after = delays_s(run()), delays_s(run("legs.sfu_to_cho=delay 120ms"))
    assert after["ana_to_ben.video"] == pytest.approx(before["ana_to_ben.video"], abs=1e-9)
    assert after["ana_to_cho.video"] == pytest.approx([each + 0.080 for each in before["ana_to_cho.video"]], abs=5e-5)


def test_who_comes_later_is_sent_a_key_frame_and_is_asked_for_nothing_before_it():
    result = run("parties.cho.comes=1s")
    late, early = sights(result)["ana_to_cho.video"], sights(result)["ana_to_ben.video"]
    assert 5 <= late.scheduled == late.heard < 15
    assert [each.playout.w3c["keyFramesDecoded"] for each in (early, late)] == [2, 1]  # what one asks for, all get
    assert early.heard == early.scheduled == 30


def test_cameras_are_asked_no_more_often_than_the_scenario_says():
    coming = ("parties.cho.comes=1s", "parties.ben.comes=1300ms", "call.duration=3s")
    found = {
        throttle: sights(run(*coming, f"target={{kind: sfu, pli_throttle: {throttle}}}"))
        for throttle in ("0ms", "900ms")
    }
    first = {throttle: account["ana_to_ben.video"].samples[0].spoken_s for throttle, account in found.items()}
    # Ben, who comes 0.3 s after Cho, is sent a key frame of its own, or waits until Ana may be asked again.
    assert 0.4 < first["900ms"] - first["0ms"] < 0.7


@pytest.mark.parametrize(
    ("leg", "nack", "whole"),
    [
        ("sfu_to_cho", "answer", True),
        ("sfu_to_cho", "none", False),
        ("ana_to_sfu", "answer", False),
        ("ana_to_sfu", "answer+ask", True),
    ],
)
def test_servers_send_pictures_again_and_ask_for_them_as_the_scenario_says(leg, nack, whole):
    result = run(f"target={{kind: sfu, nack: {nack}}}", "link=delay 20ms", f"legs.{leg}=delay 20ms loss 4%")
    account = sights(result)["ana_to_cho.video"]
    assert result.link[leg].achieved.loss > 0
    assert (account.heard == account.scheduled) is whole
    assert (account.stages["repair"] > 0) is whole  # in RTX


def test_joins_say_what_their_first_pictures_took():
    assert [each.asked for each in run().join.attempts] == [{}, {}]
    lossy = run("link=delay 40ms loss 15%", "call.joins=2", "call.duration=500ms", "video.bitrate=400kbit")
    asked = [each.asked for each in lossy.join.attempts]
    assert any(each.get("resent", 0) > 0 for each in asked)
    assert all(each.get("packets", 0) >= each.get("resent", 0) > -1 for each in asked)


def test_a_join_waits_for_no_picture_that_is_not_sent_on():
    loud = "parties={ana: {mouth: {programme: noise, marker_level: 20dB}}, ben: {}, cho: {}}"
    result = run("target={kind: sfu, last_n: 1}", loud)
    assert not result.warnings
    assert {each.party for each in result.join.attempts if each.failed is None} == {"ana", "ben", "cho"}
    everybody = run("target={kind: sfu, last_n: 3}", loud)
    assert all("first_picture" in each.marks for each in everybody.join.attempts)


def test_a_join_waits_for_no_picture_from_a_server_that_is_not_reached():
    edges = {"ana": "left", "ben": "left", "cho": "right", "dan": "right"}
    result = run(
        *(f"parties.{name}={{edge: {edge}}}" for name, edge in edges.items()),
        "servers={left: {}, right: {}}", "assign=named", "call.duration=2s",
        "legs={left_to_right: delay 40ms loss 100%, right_to_left: delay 40ms loss 100%}",
    )  # fmt: skip
    told = "servers left and right do not reach each other: what is said at one is not heard at the other"
    assert list(result.warnings) == [told]
    assert all("first_picture" in each.marks for each in result.join.attempts)


def test_who_leaves_and_comes_back_goes_on_showing_and_what_nobody_filmed_is_no_freeze():
    account = sights(run("call.duration=3s", "script=[ana leaves at 800ms, ana joins at 1500ms]"))["ana_to_ben.video"]
    assert account.heard == account.scheduled
    assert account.figures["freeze_share"] == 0
    filmed_s = [each.spoken_s for each in account.samples]
    gap_s = max(after - before for before, after in pairwise(filmed_s))
    assert 0.7 < gap_s < 1.2
    assert [each.marker for each in account.samples] == sorted({each.marker for each in account.samples})


@pytest.mark.parametrize(
    "script",
    [
        "ana joins at 500ms, ana leaves at 520ms, ana joins at 1200ms",
        "ana leaves at 500ms, ana joins at 900ms, ana leaves at 920ms, ana joins at 1500ms",
    ],
)
def test_who_leaves_before_its_join_is_done_shows_what_it_would_have_shown_when_it_comes_back(script):
    result = run("call.duration=3s", f"script=[{script}]")
    for account in sights(result).values():
        assert account.heard == account.scheduled > 15
        first, *_, last = account.samples
        frames_s = {each.marker: each.spoken_s for each in account.samples}
        assert len(frames_s) == account.scheduled  # no number twice
        for number, at_s in frames_s.items():  # one grid
            assert at_s - first.spoken_s == pytest.approx((number - first.marker) / 15)
        assert 2.5 < last.spoken_s < 3.5


def test_a_room_over_two_servers_shows_everybody_to_everybody():
    result = run(
        "servers={one: {}, two: {}}", "parties.cho.edge=two", "parties.ben.sends=audio",
        "legs={one_to_two: delay 30ms, two_to_one: delay 30ms}",
    )  # fmt: skip
    least = {way: account.stages["network_min"] for way, account in sights(result).items()}
    assert least == {
        way: pytest.approx(0.110 if way.endswith("_to_cho.video") else 0.080, abs=1e-5)
        for way in ("ana_to_ben.video", "ana_to_cho.video", "ben_to_ana.video", "ben_to_cho.video")
    }


def test_equal_seeds_show_equal_pictures():
    settings = ("link=delay 40ms 5ms distribution normal loss 2%", "call.joins=1")
    scenario = parse_scenario(ROOM, settings)
    found = [run_probe(scenario, seed=3, clock="virtual").to_dict() for _ in range(2)]
    for told in found:
        del told["environment"]
    assert found[0] == found[1]
