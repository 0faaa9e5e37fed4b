"""A call ends in bounded time wherever the other side stops, says where that was, and leaves nothing behind."""

import asyncio
import re

import pytest
from calls import call as virtual_call
from calls import setup
from far_end import called, far_end, on_the_real_loop, reply

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
