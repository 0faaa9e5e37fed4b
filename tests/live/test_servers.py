"""Servers and peers of others: WHIP and WHEP over Janus, a pion echo, a browser, each called as a customer would."""

import json
import urllib.request

import pytest
from janus import MOUNTPOINT, ROOM, ROOM_SECRET
from runs import called, measured, median_s

TOKEN = "live-whip-bearer-token"
ONE_WAY = "caller_to_callee"
BACK = "round_trip"


def heard(result):
    """The attempts of ``result``, all of which came to be heard."""
    assert [attempt.failed for attempt in result.join.attempts] == [None] * len(result.join.attempts)
    return result.join.attempts


def written(**keys):
    return json.dumps(keys)


def test_published_by_whip_and_heard_by_whep_which_answers_with_its_own_offer(whip, whep, janus, monkeypatch):
    monkeypatch.setenv("LIVE_TOKEN", TOKEN)
    target = written(
        whip=whip.create("room-feed", token=TOKEN),
        whep=whep.create("room-view", room=ROOM, token=TOKEN),
        token="env:LIVE_TOKEN",
    )
    result = measured(target, "call.joins=2")
    assert len(heard(result)) == 2
    assert 0.05 < median_s(result, ONE_WAY) < 0.3
    assert TOKEN not in repr(result)
    # Every session was deleted: the endpoint is free, the room empty.
    assert not whip.busy("room-feed")
    assert janus.participants() == []


def test_a_mountpoint_answers_the_listeners_offer_with_a_role_that_is_no_answer(whip, whep, janus):
    # The WHIP server forwards what it gets as plain RTP to the mountpoint.
    body = {
        "id": "mountpoint-feed",
        "room": ROOM,
        "label": "mountpoint-feed",
        "secret": ROOM_SECRET,
        "recipient": {"host": janus.address, "audioPort": janus.mountpoint_port},
    }
    request = urllib.request.Request(
        f"{whip.base_url}/create", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5):
        pass
    whep_url = whep.create("mountpoint-view", mountpoint=MOUNTPOINT)
    result = measured(written(whip=f"{whip.base_url}/endpoint/mountpoint-feed", whep=whep_url))
    assert heard(result)
    assert 0.05 < median_s(result, ONE_WAY) < 0.3


@pytest.mark.beside
def test_a_wrong_token_is_said_with_where_it_came_from_and_no_one_keeps_asking(whip, whep, monkeypatch):
    monkeypatch.setenv("LIVE_TOKEN", "quite-another-token")
    target = written(
        whip=whip.create("locked", token=TOKEN), whep=whep.create("locked-view", room=ROOM), token="env:LIVE_TOKEN"
    )
    result = called(target)
    assert result.exit_code == 3
    (attempt,) = result.join.attempts
    assert "403 Forbidden, 'Unauthorized': check the token (env:LIVE_TOKEN)" in attempt.failed
    assert "quite-another-token" not in repr(result)


def test_a_pion_echo_comes_back_as_plain_sdp_and_as_json(pion):
    address = pion.origin.removeprefix("http://")
    for body in ("sdp", "json"):
        result = measured(written(url=f"sdp+http://{address}/offer", body=body), "call.duration=3s")
        assert heard(result)
        assert 0.05 < median_s(result, BACK) < 0.3
        assert result.parties["caller"]["dtls"].startswith("DTLSv1.")


def test_a_browser_hears_us_and_sends_it_back(chromium):
    address = chromium.origin.removeprefix("http://")
    target = written(url=f"sdp+http://{address}/echo", delete=True)
    result = measured(target, "call.duration=8s")
    assert heard(result)
    # Our ear, the browser's NetEQ, its mixer and its encoder: twice 60 ms and more, and less than half a second.
    assert 0.1 < median_s(result, BACK) < 0.5
    assert chromium.open_calls() == 0


def test_a_browser_that_speaks_by_itself_is_joined_and_nothing_more_is_claimed(chromium):
    address = chromium.origin.removeprefix("http://")
    target = written(url=f"sdp+http://{address}/publish", delete=True, echo=False)
    result = called(target, "call.duration=2s", "call.joins=3")
    assert len(heard(result)) == 3
    assert result.mouth_to_ear == {}


@pytest.mark.beside
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_room_of_janus_is_reached_through_a_relay_alone(janus, coturn, transport, monkeypatch):
    from coturn import TURN_PASSWORD, TURN_USER

    monkeypatch.setenv("LIVE_TURN", TURN_PASSWORD)
    before = coturn.allocations()
    servers = [{"urls": coturn.url(transport), "username": TURN_USER, "credential": "env:LIVE_TURN"}]
    target = f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}"
    result = called(target, f"ice.servers={json.dumps(servers)}", "ice.policy=relay", "call.duration=3s")
    assert heard(result)
    assert coturn.allocations() - before >= 2
    assert {peer["pair"].split()[0] for peer in result.parties.values()} == {"relay"}
    assert TURN_PASSWORD not in repr(result)


def test_a_listener_that_comes_before_the_room_knows_its_feed_waits_for_the_server(whip, whep, janus):
    # The publisher's last handshake flight is still in the link when we are connected: Janus knows no feed yet.
    target = written(whip=whip.create("early-feed"), whep=whep.create("early-view", room=ROOM))
    result = called(target, "call.joins=3", "call.duration=2s", "link=delay 60ms")
    waits = [attempt.phases.get("feed_ready") for attempt in heard(result)]
    assert all(wait is None or wait > 0.0 for wait in waits)
    room = f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}"
    assert len(heard(called(room, "call.joins=3", "call.duration=2s", "link=delay 60ms"))) == 3
