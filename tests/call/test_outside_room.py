"""A room at a server outside: all come at once, and what befalls one connection is told of that one."""

import asyncio

import numpy as np
import pytest
from calls import OPUS_SILENCE
from far_end import connected, far_end, on_the_real_loop, put_ahead, reply

from rtcprobe.call.mouth_track import Speech
from rtcprobe.call.targets import last_words
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.outside_room import RoomCall, routes_of
from rtcprobe.call.targets.whip_room import WhipRoomCall
from rtcprobe.call.targets.whip_steps import Endpoints
from rtcprobe.errors import MeasurementError
from rtcprobe.link import LinkSpec
from rtcprobe.scenario.script import parse_cue
from rtcprobe.timeline import OUTSIDE_ORDER

PARTIES = ("ana", "ben", "cho")
NAMES = ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho"]
"""cho only listens."""


class PlainRoom(RoomCall):
    """``POST /NAME/publish`` and ``POST /NAME/TALKER`` take an offer each."""

    speaker_order = OUTSIDE_ORDER
    listener_order = ("feed_ready", *OUTSIDE_ORDER)
    url = ""
    gone = ()

    async def depart(self, who):
        self.gone = (*self.gone, who.name)

    async def publish(self, who, peer):
        await self._post(who, "publish", peer)

    async def listen(self, who, talker, peer):
        await self.on_air(talker)
        self.mark(peer, "feed_ready")
        await self._post(who, talker, peer)

    async def _post(self, who, what, peer):
        client, url = self.new_client(peer), f"{self.url}/{who.name}/{what}"
        offer = await self.offered(peer, client, url)
        self.mark(peer, "offer_sent")
        answer = await client.exchange("offer", "POST", url, body=offer.text, statuses=(201,))
        self.mark(peer, "answer_received")
        await self.accept(peer, answer.text(), offer)


def setup(*, endless, frames=15, join_timeout_s=5.0, script=(), lasts_s=0.0):
    speech = Speech(frames=[OPUS_SILENCE] * frames, ptime_s=0.020, endless=endless)
    return CallSetup(
        routes={route: [LinkSpec()] for route in routes_of(PARTIES)},
        speech={"ana": speech, "ben": speech, "cho": None},
        connection="cold",
        dtls_timeout_s=lambda _: 1.0,
        join_timeout_s=join_timeout_s,
        linger_s=0.0,
        cues=tuple(map(parse_cue, script)),
        lasts_s=lasts_s,
    )


def room(respond, *, talk=False, kind=PlainRoom, over_after=None, **how):
    """Return a room that has ended, whose server answers by ``respond`` (None: it plays along).

    ``over_after``: the time to join is over when so many connections are there.
    """

    async def answering(server, request):
        said = await respond(server, request)
        return said or reply("201 Created", await server.answer(request.body), content_type="application/sdp")

    async def main():
        async with far_end(answering) as server:
            made = kind(setup(endless=not talk, **how), np.random.SeedSequence(1), server="127.0.0.1")
            made.url = server.url
            done = asyncio.ensure_future(made.talk() if talk else made.join())
            if over_after is not None:
                await connected(server, over_after)
                put_ahead(made.setup.join_timeout_s)
            await done
            return made

    return on_the_real_loop(main())


async def plays_along(_server, _request):
    return None


def test_all_come_at_once_and_each_way_has_a_connection_of_its_own():
    call = room(plays_along)
    assert (call.failed, call.troubles, call.warnings) == (None, {}, [])
    assert [way.direction for way in call.ways] == NAMES
    assert [each.side for each in call.joiners] == ["ana", "ben", "cho"]
    assert {name: each["connections"] for name, each in call.report().items()} == {"ana": 2, "ben": 2, "cho": 2}
    assert list(call.legs()) == [
        "ana_to_target", "target_to_ana", "ben_to_target", "target_to_ben", "target_to_cho",
    ]  # fmt: skip
    lines = [joiner.timeline for joiner in call.joiners]
    assert max(line.begun_s for line in lines) < min(line.marks["answer_received"] for line in lines)
    for line in lines:
        assert 0.0 < line.marks["feed_ready"] < line.marks["first_packet"]


def test_a_talker_that_is_refused_costs_the_ways_from_it_and_is_told_once():
    async def refuses_ben(_server, request):
        return reply("403 Forbidden", "full") if request.path == "/ben/publish" else None

    call = room(refuses_ben)
    assert call.failed is None
    assert [way.direction for way in call.heard_ways()] == ["ana_to_ben", "ana_to_cho"]
    assert len(call.warnings) == 1
    assert call.warnings[0].startswith("ben was not heard: offer (POST http://127.0.0.1:")
    assert "the server answered 403 Forbidden, 'full'" in call.warnings[0]
    # ana had nobody else to hear; ben and cho did hear ana.
    assert [call.last_of(who) in call.troubles for who in call.attendees.values()] == [True, False, False]
    (why,) = {each.why for peer, each in call.troubles.items() if peer.side == "ana"}
    assert why.startswith("ben was not there to be heard: offer (POST ")


def test_one_who_is_let_in_nowhere_is_not_in_the_room():
    async def silent_to_cho(_server, request):
        if request.path.startswith("/cho/"):
            await asyncio.get_running_loop().create_future()

    call = room(silent_to_cho, join_timeout_s=30.0, over_after=4)
    assert call.failed is None
    assert [way.direction for way in call.heard_ways()] == ["ana_to_ben", "ben_to_ana"]
    assert all(each.startswith("cho ") for each in call.warnings)
    assert {each.stop for peer, each in call.troubles.items() if peer.side == "cho"} == {
        ("offer_sent", "answer_received")
    }


@pytest.mark.parametrize("talk", [False, True])
def test_where_nobody_is_heard_the_call_failed_of_what_went_wrong_first(talk):
    async def refuses(_server, _request):
        return reply("404 Not Found", "no such room")

    call = room(refuses, talk=talk)
    assert "the server answered 404 Not Found, 'no such room'" in call.failed
    assert call.failed.startswith("offer (POST ")


def test_a_path_that_breaks_in_the_room_is_told_of_its_way_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(last_words, "LONGEST_END_S", 0.0)  # this server's own speech has no end

    async def hangs_up_on_cho(server, request):
        if request.path == "/cho/ana":
            peer = server.peer()
            answer = await peer.answer(type("Offer", (), {"kind": "offer", "text": request.body}))

            async def hang_up():
                await peer.connected.wait()
                await asyncio.sleep(0.25)
                await peer.close()

            server.hanging_up = asyncio.ensure_future(hang_up())
            return reply("201 Created", answer.text, content_type="application/sdp")
        return None

    call = room(hangs_up_on_cho, talk=True, frames=40)
    assert (call.failed, call.cut) == (None, None)
    assert [way.direction for way in call.heard_ways()] == ["ana_to_ben", "ben_to_ana", "ben_to_cho"]
    (told,) = call.warnings
    assert told.startswith("cho did not hear ana: cho's media path broke 0.")
    assert told.endswith(" s into the call")


def test_a_script_lets_parties_come_leave_and_come_back_over_connections_of_their_own():
    script = ["cho joins at 50ms", "ben leaves at 200ms", "ben joins at 500ms"]
    call = room(plays_along, talk=True, frames=150, script=script, lasts_s=2.5)
    assert (call.failed, call.cut, call.troubles, call.warnings) == (None, None, {}, [])
    assert [cue.does for _, cue in call.happened] == ["join", "leave", "join"]
    assert call.gone == ("ben",)
    # ben publishes and listens twice, so ana hears it twice; cho, whom nobody hears, was there once.
    counts = {name: each["connections"] for name, each in call.report().items()}
    assert counts == {"ana": 3, "ben": 4, "cho": 3}
    for way in call.ways:
        said = call.said_on(way)
        assert said.departures
        base = said.departures[0].timestamp
        steps = {(each.timestamp - base) % 2**32 % 960 for each in said.departures}
        assert steps == {0}  # one grid, whatever connections


def test_who_goes_on_stage_publishes_by_its_cue_and_who_stops_is_silent():
    script = ["ben publishes at 200ms", "ana stops at 300ms"]
    call = room(plays_along, talk=True, frames=150, script=script, lasts_s=2.5)
    assert (call.failed, call.troubles, call.warnings) == (None, {}, [])
    said = {str(way.direction): call.said_on(way) for way in call.ways}
    on_stage_s, stopped_s = (at_s for at_s, _ in call.happened)
    assert said["ben_to_cho"].started_s is None or said["ben_to_cho"].started_s > on_stage_s - 0.02
    assert not said["ana_to_cho"].said_at(stopped_s + 0.02, stopped_s + 0.06)


def test_a_cue_that_comes_too_late_is_told_and_the_others_are_carried_out():
    script = ["ben leaves at 100ms", "ben speaks after ben fell silent", "ana stops at 200ms"]
    call = room(plays_along, talk=True, frames=30, script=script, lasts_s=0.3)
    assert call.warnings == ["cue 'ben speaks after ben fell silent' was not carried out: ben was not there by then"]
    assert [cue.does for _, cue in call.happened] == ["leave", "stop"]


def test_what_goes_wrong_as_a_party_leaves_is_told():
    class Leaving(PlainRoom):
        async def depart(self, _who):
            raise MeasurementError("the server would not let it go")

        async def let_go(self, _who, _peer):
            raise MeasurementError("the server does not know of it")

    script = ["ben leaves at 100ms"]
    call = room(plays_along, talk=True, kind=Leaving, frames=100, script=script, lasts_s=2.0)
    assert (call.failed, call.cut) == (None, None)
    assert call.warnings == [
        "ben left: the server would not let it go",
        "ben left: the server does not know of it",
        "ben left: the server does not know of it",
    ]


@pytest.mark.parametrize("refusal", [reply("500 Internal Server Error", "busy"), None])
def test_a_session_that_does_not_end_as_its_party_leaves_is_ended_with_the_call(refusal):
    made, asked, ended = [], [], []

    async def respond(server, request):
        if request.method == "DELETE":
            asked.append(request.path)
            if len(asked) <= 2:
                return refusal  # None: it says nothing more, and the script is over before that is given up
            ended.append(request.path)
            return reply("200 OK")
        place = f"/session/{len(made)}"
        made.append(place)
        media = "recvonly" if "a=sendonly" in request.body else "sendonly"
        answer = await server.answer(request.body, media=media)
        return reply("201 Created", answer, content_type="application/sdp", location=place)

    async def main():
        async with far_end(respond) as server:
            endpoints = Endpoints(whip=f"{server.url}/{{party}}/whip", whep=f"{server.url}/{{party}}/whep")
            script = ["ben leaves at 100ms"]
            how = setup(endless=False, frames=100, script=script, lasts_s=1.5)
            call = WhipRoomCall(how, np.random.SeedSequence(1), endpoints)
            await call.talk()
            return call

    call = on_the_real_loop(main())
    assert call.failed is None
    assert len(set(asked[:2])) == 2  # ben speaks, and hears ana
    assert sorted(ended) == sorted(made)
    told = [each for each in call.warnings if each.startswith("ben left: end of the session (DELETE http://127.0.0.1:")]
    assert (len(told), len(call.warnings)) == ((0, 0) if refusal is None else (1, 1))
