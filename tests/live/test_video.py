"""Pictures through real servers: every undamaged one is read, and none that was not sent."""

import json

import pytest
from janus import ROOM
from runs import BARE, valid_run

WAY = "caller_to_callee.video"
SHORT = (*BARE, "call.calls=1", "call.duration=5s", "call.joins=1", "call.join_timeout=10s", "playout=neteq")


def shown(target, *settings):
    return valid_run("1v1-video", f"target={target}", *SHORT, *settings)


def through(result, way=WAY):
    account = result.of_kind("glass_to_glass")[way]
    assert account.heard > 0.95 * account.scheduled, (account.heard, account.scheduled, result.warnings)
    assert {each.why for each in account.missed} <= {"", "dropped"}  # none was shown and not read
    return account


def room_url(janus):
    return f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}"


def test_every_picture_is_read_through_a_room(janus):
    result = shown(room_url(janus))
    account = through(result)
    assert "network_and_target" in account.stages
    # Camera, encoder and screen are assumed to take 55 ms; the rest is the receiver's, and the machine's.
    assert 0.055 < min(each.delay_s for each in account.samples) < 0.100
    (attempt,) = result.join.attempts
    assert attempt.marks["first_video_packet"] <= attempt.marks["first_key_frame"] <= attempt.marks["first_picture"]
    assert result.of_kind("lip_sync")[WAY].heard > 0


def test_a_room_that_takes_no_such_picture_is_measured_by_its_sound(janus):
    result = shown(room_url(janus), "video.codec=h264")  # the room's one codec is VP8
    assert result.mouth_to_ear["caller_to_callee"].heard > 0
    assert not result.of_kind("glass_to_glass")
    assert result.warnings.count("the target takes part without a picture: the sound was measured") == 1


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_every_picture_comes_back_from_an_echo(janus, codec):
    url = f"janus+ws://{janus.address}:{janus.ws_port}/echotest"
    result = shown(url, f"video={{size: 320x240, fps: 15, codec: {codec}}}")
    through(result, "caller_to_caller.video")


def test_a_picture_published_by_whip_is_seen_by_whep(whip, whep):
    target = json.dumps({"whip": whip.create("shown-feed"), "whep": whep.create("shown-view", room=ROOM)})
    through(shown(target, "video={size: 320x240, fps: 15, bitrate: 300kbit}"))
