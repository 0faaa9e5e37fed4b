"""Messages beside a room of Janus: a party's end with it."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest
from calls import OPUS_SILENCE
from far_end import on_the_real_loop

from rtcprobe.call.mouth_track import Speech
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.janus_mix import AudioBridgeCall
from rtcprobe.call.targets.janus_room import VideoRoomCall
from rtcprobe.call.targets.janus_steps import JanusApi, JanusSteps
from rtcprobe.call.targets.outside_room import routes_of
from rtcprobe.link import LinkSpec
from rtcprobe.messages import MessagePlan

PARTIES = ("ana", "ben")


def setup():
    speech = Speech(frames=[OPUS_SILENCE], ptime_s=0.020, endless=True)
    return CallSetup(
        routes={route: [LinkSpec()] for route in routes_of(PARTIES)},
        speech=dict.fromkeys(PARTIES, speech),
        messages={"ana": MessagePlan(rate_hz=1.0)},
        connection="cold",
        dtls_timeout_s=lambda _: 1.0,
        join_timeout_s=1.0,
        linger_s=0.0,
        lasts_s=5.0,
    )


def videoroom(seed):
    return VideoRoomCall(JanusApi(host="127.0.0.1", url="ws://127.0.0.1/"), 1, setup(), seed, textroom=1)


def audiobridge(seed):
    return AudioBridgeCall(JanusApi(host="127.0.0.1", url="ws://127.0.0.1/"), 1, None, setup(), seed, textroom=1)


class Session:
    """A session at a server that never answers."""

    async def attach(self, _plugin):
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("make", [videoroom, audiobridge])
def test_whoever_leaves_a_room_writes_nothing_any_more_and_hangs_up_its_text(make, monkeypatch):
    async def attach(*_):
        return Session(), SimpleNamespace()

    monkeypatch.setattr(JanusSteps, "attach", attach)

    async def main():
        call = make(np.random.SeedSequence(1))
        ana = call.attendees["ana"]
        await call.attach(ana.peers[0], "", lambda _: None)
        end = call._texts["ana"]
        end.channel.may_send.set()
        call.write(ana)
        written = len(end.channel._messages)
        await call.depart(ana)
        call.write(ana)
        hung_up = end._connection.connectionState
        found = written, len(end.channel._messages), end.channel.finished.is_set(), hung_up, end.channel.said().messages
        await call._hang_up()
        return found

    written, after, finished, hung_up, said = on_the_real_loop(main())
    assert (written, after, finished, hung_up) == (1, 1, True, "closed")
    assert said == ()  # what was written less than a second before it left need not have come


def test_what_a_textroom_says_is_read_whatever_it_is_and_quoted_where_it_refuses(monkeypatch):
    async def attach(*_):
        return Session(), SimpleNamespace()

    monkeypatch.setattr(JanusSteps, "attach", attach)

    async def main():
        call = videoroom(np.random.SeedSequence(1))
        ana = call.attendees["ana"]
        await call.attach(ana.peers[0], "", lambda _: None)
        channel = call._texts["ana"].channel
        for said in ("[" * 100_000, "no JSON", "7", b"\xff", '{"textroom": []}'):
            channel._told(said)
        before = channel.refused
        channel._told(json.dumps({"textroom": "error", "error": "no\x1b[31m such\nroom" + "x" * 1000}))
        await call._hang_up()
        return before, channel.refused

    before, refused = on_the_real_loop(main())
    assert before == ""
    assert refused.startswith("ana: TextRoom 1 of Janus refused, 'no [31m such room")
    assert len(refused) < 200
    assert refused.isprintable()
