"""A call ends in bounded time wherever the other side stops, says where that was, and leaves nothing behind."""

import asyncio
import re

import pytest
from calls import call as virtual_call
from calls import setup
from far_end import called, far_end, on_the_real_loop, reply

from rtcprobe.call.targets import endings
from rtcprobe.errors import MeasurementError
from rtcprobe.link import parse_link
from rtcprobe.timeline import Stop

SDP = "application/sdp"


def stopping_at(milestone):
    """Return a server that plays along until ``milestone``, and no further."""

    async def respond(server, request):
        if milestone == "answer_received":
            return None
        if milestone == "half an answer":
            return b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\nv=0\r\n"
        answer = await server.answer(request.body, speaks=milestone != "first_packet")
        if milestone == "ice_connected":
            await server.peers[0].close()
        return reply("201 Created", answer, content_type=SDP)

    return respond


@pytest.mark.parametrize(
    ("milestone", "sentence", "stop"),
    [
        (
            "answer_received",
            "offer (POST {url}/): not within 300ms, waiting for the answer to begin; the caller had come to offer_sent",
            Stop("offer_sent", "answer_received"),
        ),
        (
            "half an answer",
            (
                "offer (POST {url}/): not within 300ms, waiting for the rest of the answer, 5 bytes of it had come; "
                "the caller had come to offer_sent"
            ),
            Stop("offer_sent", "answer_received"),
        ),
        (
            "ice_connected",
            "caller ice_connected not within 0.3 s; the caller had come to answer_received",
            Stop("answer_received", "ice_connected"),
        ),
        (
            "first_packet",
            "caller first_packet not within 0.3 s; the caller had come to dtls_connected",
            Stop("dtls_connected", "first_packet"),
        ),
    ],
)
def test_a_server_that_stops_fails_the_join_in_its_time_with_the_milestone_that_never_came(milestone, sentence, stop):
    async def main():
        async with far_end(stopping_at(milestone)) as server:
            return await called(f"sdp+{server.url}/", join_timeout_s=0.3), server.url

    call, url = on_the_real_loop(main())
    assert call.failed == sentence.format(url=url)
    assert call.stopped == stop


def test_a_server_that_falls_silent_in_the_middle_of_a_call_cuts_it():
    async def respond(server, request):
        return reply("201 Created", await server.answer(request.body), content_type=SDP)

    async def main():
        async with far_end(respond) as server:
            calling = asyncio.ensure_future(called(f"sdp+{server.url}/", talk=True, frames=1000))
            await server.asked.wait()
            await server.peers[0].heard_packet.wait()
            await server.peers[0].close()  # it says goodbye
            return await calling

    call = on_the_real_loop(main())
    assert call.failed is None
    assert call.cut.startswith("the caller's media path broke 0.")


@pytest.mark.parametrize("link", [None, "delay 60ms"])
def test_a_goodbye_leaves_through_a_delayed_link(link):
    # Left in the link, it would keep the far side's session for half a minute, until its ICE consent runs out.
    async def respond(server, request):
        return reply("201 Created", await server.answer(request.body), content_type=SDP)

    async def main():
        async with far_end(respond) as server:
            call = await called(f"sdp+{server.url}/", link=link)
            await asyncio.wait_for(server.peers[0].ended.wait(), 5.0)
            return call

    assert on_the_real_loop(main()).failed is None


def test_a_loopback_call_whose_path_breaks_is_cut_there_and_keeps_what_it_heard():
    plan = setup(parse_link("delay 20ms outage 2s 200s"), frames=5000, endless=False)
    made = virtual_call(plan, talk=True)
    # Consent is asked for every 5 s at most and given up after 6 of aioice's tries (RFC 7675 §5.1: within 30 s).
    assert made.failed is None
    after_s = re.fullmatch(r"the calle[re]'s media path broke ([0-9.]+) s into the call", made.cut)
    assert 2.0 < float(after_s[1]) < 40.0
    assert len(made.caller.arrivals) > 50


def test_a_mouth_that_nobody_asks_for_frames_ends_the_call_too():
    plan = setup(frames=50, endless=False)
    made = virtual_call(plan, talk=True, deaf=True)
    assert made.cut == "a mouth had not said all it has 6.0 s into the call: nothing asked for its frames"


@pytest.fixture
def soon(monkeypatch):
    """Hanging up is given up after a tenth of a second."""
    monkeypatch.setattr(endings, "HANG_UP_TIMEOUT_S", 0.1)


async def for_ever():
    await asyncio.get_running_loop().create_future()


async def deaf():
    try:
        await for_ever()
    except asyncio.CancelledError:
        raise ValueError("told to stop, it fails") from None


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("ending", [for_ever, deaf])
@pytest.mark.parametrize(
    ("open_now", "sentence"),
    [
        ([], "leaving: not done within 100ms"),
        (["A is silent"], "leaving: A is silent"),
        (["A is silent", "B is", "A is silent"], "leaving: A is silent (and 1 more like it)"),
    ],
)
def test_a_step_of_hanging_up_that_takes_too_long_says_so_and_what_it_waited_for(ending, open_now, sentence):
    async def main():
        told = await endings.bounded("leaving", ending(), lambda: open_now)
        await asyncio.sleep(0.01)  # what it meets when it is given up is nobody's news
        return told

    assert on_the_real_loop(main()) == sentence


@pytest.mark.usefixtures("soon")
def test_a_step_that_is_done_says_nothing_and_one_that_fails_says_how():
    async def fails():
        raise MeasurementError("the server would not", "ask again")

    async def main():
        return [await endings.bounded("leaving", step) for step in (asyncio.sleep(0), fails())]

    assert on_the_real_loop(main()) == [None, "leaving: the server would not: ask again"]


def a_session_each(*goodbyes):
    """Return a server of sessions that takes their ends as ``goodbyes`` say, one after the other."""
    left = list(goodbyes)

    async def respond(server, request):
        if request.method == "DELETE":
            return left.pop(0)
        media = (
            "recvonly" if "a=sendonly" in request.body else "sendonly" if "a=recvonly" in request.body else "sendrecv"
        )
        answer = await server.answer(request.body, media=media)
        return reply("201 Created", answer, content_type=SDP, location=f"/session/{len(server.peers)}")

    return respond


@pytest.mark.usefixtures("soon")
def test_a_session_whose_end_is_not_answered_is_told_with_how_far_it_came():
    async def main():
        async with far_end(a_session_each(None)) as server:
            return await called(f"sdp+{server.url}/", options={"delete": True}), server.url

    call, url = on_the_real_loop(main())
    assert call.failed is None
    (told,) = call.warnings
    assert re.fullmatch(
        rf"leaving: end of the session \(DELETE {url}/session/1\): not within 100ms, "
        "waiting for the answer to begin",
        told,
    )


@pytest.mark.usefixtures("soon")
def test_of_two_sessions_one_refused_and_one_unanswered_both_are_told():
    async def main():
        async with far_end(a_session_each(reply("500 Internal Server Error", "busy"), None)) as server:
            target = f"whip+whep+{server.url}/{{whip,whep}}"
            return await called(target)

    call = on_the_real_loop(main())
    assert call.failed is None
    told = sorted(re.sub(r"\S*/session/.", "…", each) for each in call.warnings)
    assert told[1].startswith("leaving: end of the session (DELETE …): the server answered 500 Internal Server Error")
    assert re.fullmatch(
        r"leaving: end of the session \(DELETE …\): not within 100ms, waiting for the answer to begin", told[0]
    )
    assert len(told) == 2
