"""An agent's door as pipecat has it: candidates that follow the offer, and the channel it tells of itself over."""

import json

import pytest
from far_end import called, far_end, on_the_real_loop, reply

from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.base import find_target
from rtcprobe.conversation.claims import read_deed
from rtcprobe.errors import BadInputError
from rtcprobe.scenario import TargetPlan

TOLD = ["user-started-speaking", "user-stopped-speaking", "bot-started-speaking", "bot-stopped-speaking"]
RUBBISH = ["", "{", "[]", "7", '{"type": 7}', '{"type": "metrics"}', "[" * 5_000]


def agent(requests, *, name="session-1", status="200 OK", channels=True):
    """Return who answers an offer, takes candidates by PATCH, and tells ``TOLD`` once its channel is there.

    Without ``channels`` it knows of none: it does not see the m-line.
    """

    async def respond(server, request):
        told = json.loads(request.body)
        requests.append((request.method, told))
        if request.method == "PATCH":
            peer = server.peers[-1]
            if status == "200 OK":
                for each in told["candidates"]:
                    await peer.add_candidate(each["candidate"])
            return reply(status, "{}", content_type="application/json")
        peer = server.peer()

        def opened(channel):
            for each in [*RUBBISH, *(json.dumps({"label": "rtvi-ai", "type": kind}) for kind in TOLD)]:
                channel.send(each)

        peer._connection.on("datachannel", opened)
        offer = told["sdp"] if channels else told["sdp"].partition("m=application")[0]
        text = (await peer.answer(Sdp(kind="offer", text=offer))).text
        body = {"sdp": text, "type": "answer", **({} if name is None else {"pc_id": name})}
        return reply("200 OK", json.dumps(body), content_type="application/json")

    return respond


def held(**how):
    """Return a call with such an agent, and what it was asked."""
    options = how.pop("options", {})
    requests = []

    async def main():
        async with far_end(agent(requests, **how)) as server:
            return await called(
                f"sdp+{server.url}/api/offer", options={"kind": "agent", **options}, talk=True, frames=40
            )

    return on_the_real_loop(main()), requests


def test_what_an_agent_tells_of_itself_is_taken_and_rubbish_counted():
    call, ((method, _),) = held()
    assert (call.failed, call.cut, method) == (None, None, "POST")
    claims = call.peers[0].claims
    assert [each.deed for each in claims.came] == ["user began", "user stopped", "agent began", "agent stopped"]
    assert claims.messages == len(RUBBISH) + len(TOLD)
    assert claims.opened_s is not None


def test_an_agent_that_leaves_the_channel_out_of_its_answer_is_called_without_one():
    call, ((_, offered),) = held(channels=False)
    assert "m=application" in offered["sdp"]
    assert (call.failed, call.cut) == (None, None)
    assert "first_packet" in call.caller.timeline.marks
    claims = call.peers[0].claims
    assert (claims.opened_s, claims.messages) == (None, 0)


def test_no_channel_is_opened_where_none_is_wanted():
    call, ((_, offered),) = held(options={"events": False})
    assert call.failed is None
    assert "m=application" not in offered["sdp"]
    assert call.peers[0].claims is None


def test_candidates_follow_the_offer_by_patch_and_their_end():
    call, requests = held(options={"trickle": True})
    assert call.failed is None
    (_, offer), (method, patch) = requests
    assert method == "PATCH"
    assert "a=candidate" not in offer["sdp"]
    assert patch["pc_id"] == "session-1"
    *candidates, end = patch["candidates"]
    assert [each["candidate"].split(":")[0] for each in candidates] == ["candidate"] * len(candidates)
    assert candidates
    assert end == {"candidate": "", "sdp_mid": candidates[0]["sdp_mid"], "sdp_mline_index": 0}
    assert "candidates_sent" in call.caller.timeline.marks


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"name": None}, "the answer names no pc_id, so no candidates can follow"),
        ({"status": "404 Not Found"}, "candidates (PATCH"),
    ],
)
def test_a_server_that_takes_no_candidates_later_is_told_by_name(how, sentence):
    call, _ = held(options={"trickle": True}, **how)
    assert sentence in call.failed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "agent", "events": ""}, "target.events '' is no name of a channel"),
        ({"kind": "agent", "events": True}, "target.events True is no name of a channel"),
        ({"events": "chat"}, "target.events has no effect without kind: agent"),
        ({"trickle": True}, "target.trickle has no effect with body sdp"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, sentence):
    with pytest.raises(BadInputError) as caught:
        find_target(TargetPlan(url="sdp+https://agent.example/api/offer", options=options))
    assert str(caught.value).startswith(sentence)


def test_an_agent_behind_whip_and_whep_has_one_user():
    options = {"kind": "agent", "listeners": 2}
    with pytest.raises(BadInputError, match=r"target\.listeners means nothing of an agent"):
        find_target(TargetPlan(url="whip+whep://agent.example/{whip,whep}", options=options))


def test_events_of_openai_mean_the_same():
    kinds = ["input_audio_buffer.speech_started", "output_audio_buffer.started", "output_audio_buffer.cleared"]
    assert [read_deed(json.dumps({"type": kind})) for kind in kinds] == ["user began", "agent began", "agent stopped"]
