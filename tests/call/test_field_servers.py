"""Servers as the field has them, each in the test's own loop: what they name, forget, refuse and send beside media."""

import asyncio
import json
import socket
import time

import httpx
import numpy as np
import pytest
from aiortc import sdp
from far_end import called, connected, far_end, on_the_real_loop, outside_setup, put_ahead, reply

from rtcprobe.call.description import read_description
from rtcprobe.call.faults import Exchange, without_markup
from rtcprobe.call.http import Reply
from rtcprobe.call.janus import JanusSession
from rtcprobe.call.janus_answers import JanusRefusalError
from rtcprobe.call.section import Candidates
from rtcprobe.call.session import Rights, Session
from rtcprobe.call.targets import whip_steps
from rtcprobe.call.targets.base import find_target
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.ice import read_ice, read_links
from rtcprobe.runtime import gathering
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret

SDP = "application/sdp"
TOKEN = "planted-token-of-ours"
JOIN_S = 30.0


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("FIELD_TOKEN", TOKEN)


def whip(server):
    return f"whip+whep+{server.url}"


def created(answer, **headers):
    return reply("201 Created", answer, content_type=SDP, **headers)


async def playing(server, request, **headers):
    """Answer as a server that forwards: whoever offers to send is heard, whoever offers to listen hears something."""
    media = "recvonly" if "a=sendonly" in request.body else "sendonly"
    return created(await server.answer(request.body, media=media), **headers)


# Sessions: RFC 9725 §4.2; what was meant for a server is not meant for whomever it names.


def ended(location, *, options=None, refuses=False):
    """Return the DELETE requests that two servers got, the session being where ``location`` says, and the call."""

    async def main():
        async def elsewhere(_server, _request):
            return reply("401 Unauthorized") if refuses else reply("200 OK")

        async with far_end(elsewhere) as other:

            async def respond(server, request):
                if request.method == "DELETE":
                    return reply("200 OK")
                named = {} if location is None else {"location": location.format(port=server.port, other=other.port)}
                return await playing(server, request, **named)

            async with far_end(respond) as server:
                more = {} if options is None else {k: v.format(other=other.port) for k, v in options.items()}
                headers = {"X-Plain": "yes", "X-Key": "env:FIELD_TOKEN"}
                call = await called(whip(server), options={"token": "env:FIELD_TOKEN", "headers": headers, **more})
                deleted = [each for each in server.requests if each.method == "DELETE"]
                return deleted, other.requests, call

    return on_the_real_loop(main())


def carries(request):
    return TOKEN in request.headers.get("authorization", ""), TOKEN in request.headers.get("x-key", "")


@pytest.mark.parametrize("location", ["/session/1", "http://127.0.0.1:{port}/session/1"])
def test_a_session_of_the_same_origin_is_deleted_with_the_token(location):
    deleted, elsewhere, call = ended(location)
    assert [carries(each) for each in deleted] == [(True, True)] * 2
    assert (elsewhere, call.warnings) == ([], [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_session_of_another_origin_gets_no_token_and_that_is_said(host):
    _, elsewhere, call = ended(f"http://{host}:{{other}}/session/1")
    assert [carries(each) for each in elsewhere] == [(False, False)] * 2
    assert all(each.headers["x-plain"] == "yes" for each in elsewhere)
    (said,) = set(call.warnings)
    assert said.startswith(f"the session is at another origin, 'http://{host}:")
    assert said.endswith("', where the token is not sent: name it as target.session_origin if it may have it")
    assert TOKEN not in said


def test_a_session_of_an_origin_that_the_user_names_gets_the_token():
    _, elsewhere, call = ended(
        "http://127.0.0.1:{other}/session/1", options={"session_origin": "http://127.0.0.1:{other}"}
    )
    assert [carries(each) for each in elsewhere] == [(True, True)] * 2
    assert call.warnings == []


def test_a_refusal_of_a_session_without_its_token_says_why_there_was_none():
    _, _, call = ended("http://127.0.0.1:{other}/session/1", refuses=True)
    assert call.failed is None
    assert call.warnings[-1].endswith(
        "the session is at another origin, where the token is not sent: name it as target.session_origin"
    )


@pytest.mark.parametrize(
    ("location", "said"),
    [
        (None, "the answer names no Location: the session can neither be changed nor ended"),
        (
            "mailto:x@example.org",
            "the session can neither be changed nor ended: its Location 'mailto:x@example.org' is no address of HTTP",
        ),
    ],
)
def test_a_session_without_an_address_is_measured_all_the_same(location, said):
    deleted, elsewhere, call = ended(location)
    assert call.failed is None
    assert call.callees[0].arrivals
    assert (deleted, elsewhere) == ([], [])
    assert set(call.warnings) == {said}


def test_a_redirect_that_withheld_the_token_is_not_forgotten_by_the_session():
    async def main():
        async def elsewhere(server, request):
            if request.method != "POST":
                return reply("200 OK")
            return await playing(server, request, location="/session/1")

        async with far_end(elsewhere) as other:

            async def respond(_server, _request):
                return reply("307 Temporary Redirect", location=f"http://127.0.0.1:{other.port}/there")

            async with far_end(respond) as server:
                call = await called(whip(server), options={"token": "env:FIELD_TOKEN"})
                return call, [carries(each) for each in server.requests], [carries(each) for each in other.requests]

    call, here, there = on_the_real_loop(main())
    assert call.failed is None
    assert here == [(True, False)] * 2
    assert there == [(False, False)] * 4  # two offers, two ends


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("https://host/session", "https://host/session"),
        ("/session", "https://host/session"),
        ("http://host/session", None),
        ("wss://host/session", None),
    ],
)
def test_nothing_goes_from_https_to_anything_else(location, place):
    exchange = Exchange(what="offer", method="POST", url="https://host/in", host="host", begun_s=0.0)
    headers = httpx.Headers({"location": location, "etag": '"é"'.encode()})
    made = Reply(status=201, headers=headers, body=b"", url="https://host/in", exchange=exchange)
    session = Session.of(made, None, Rights(url="https://host/in", token=Secret(TOKEN), headers={}))
    assert session.url == place
    assert session.etag is None  # one that could not be sent back
    assert (session.warning is None) is (place is not None)
    if place is None:
        with pytest.raises(MeasurementError, match=r"^end: the session can neither be changed nor ended: its Location"):
            asyncio.run(session.exchange("end", "DELETE", statuses=(200,)))


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (7, "target.session_origin 7 is no origin: write it like https://media.example"),
        ("media", "target.session_origin: 'media' is not an HTTP address: write it like https://host/path"),
        (
            "https://media.example/path",
            (
                "target.session_origin 'https://media.example/path' is no origin: "
                "write scheme, host and port: https://media.example"
            ),
        ),
        (
            "http://media.example",
            "target.session_origin 'http://media.example' is not encrypted, the target is: write it with https",
        ),
    ],
)
@pytest.mark.parametrize("url", ["whip+whep://host/live", "sdp+https://host/offer"])
def test_an_origin_that_cannot_be_meant(url, written, sentence):
    with pytest.raises(BadInputError) as caught:
        find_target(TargetPlan(url=url, options={"session_origin": written}))
    assert str(caught.value) == sentence


# Listeners that come the instant their publisher is up.


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "503 Service Unavailable"])
def test_a_listener_that_comes_too_early_asks_again_and_the_wait_is_the_servers(status):
    refusals = iter([status] * 2)

    async def respond(server, request):
        if request.method == "POST" and "a=recvonly" in request.body and (refused := next(refusals, None)):
            return reply(refused, "no such stream")
        return await playing(server, request, location="/session/1") if request.method == "POST" else reply("200 OK")

    async def main():
        async with far_end(respond) as server:
            return await called(whip(server))

    call = on_the_real_loop(main())
    assert call.failed is None
    marks = call.callees[0].timeline.marks
    assert marks["offer_sent"] < marks["feed_ready"] < marks["answer_received"]
    assert marks["feed_ready"] - marks["offer_sent"] >= 0.05 + 0.1  # it was left in peace between the questions


def test_a_listener_that_is_told_so_to_the_end_fails_with_the_servers_words(monkeypatch):
    # The time is over between two questions, never during one: the next would be asked later.
    monkeypatch.setattr(whip_steps, "_AGAIN_S", (2 * JOIN_S, 2 * JOIN_S))
    monkeypatch.setattr(whip_steps, "_NOT_YET_S", {500: 4 * JOIN_S})
    refused = asyncio.Event()

    async def respond(server, request):
        if "a=recvonly" in request.body:
            refused.set()
            return reply("500 Internal Server Error", "no such feed")
        return await playing(server, request, location="/session/1") if request.method == "POST" else reply("200 OK")

    async def main():
        async with far_end(respond) as server:
            calling = asyncio.ensure_future(called(whip(server), join_timeout_s=JOIN_S))
            await refused.wait()
            await connected(server, 1)
            put_ahead(JOIN_S)
            return await calling

    call = on_the_real_loop(main())
    assert "callee answer_received not within 30 s, WHEP offer (POST" in call.failed
    assert "the server answered 500 Internal Server Error, 'no such feed'" in call.failed
    assert call.stopped.awaited == "answer_received"


def test_a_listener_of_a_room_that_does_not_know_the_feed_yet_asks_again():
    class Handle:
        asked = 0

        async def message(self, *_args, **_options):
            self.asked += 1
            if self.asked < 3:
                raise JanusRefusalError("Janus, listen: the server answered error 428", "", 428)
            if self.asked == 4:
                raise JanusRefusalError("Janus, listen: the server answered error 426", "create the room", 426)
            return self.asked

    async def main():
        target = find_target(TargetPlan(url="janus+http://127.0.0.1:1/videoroom/7"))
        call = target.call(outside_setup(target), np.random.SeedSequence(1), "real")
        listener, handle = call.callees[0], Handle()
        call.begin(listener)
        offered = await call._offered(listener, handle, "listen", {})
        with pytest.raises(JanusRefusalError, match="426"):
            await call._offered(listener, handle, "listen", {})
        await call._hang_up()
        return offered, listener.timeline

    offered, timeline = on_the_real_loop(main())
    assert offered == 3
    assert timeline.marks["feed_ready"] >= 2 * 0.1  # two waits of the target's own
    assert timeline.order.index("feed_ready") < timeline.order.index("offer_received")


def test_a_publisher_that_is_refused_is_refused_at_once():
    async def respond(_server, _request):
        return reply("500 Internal Server Error", "no such endpoint")

    async def main():
        async with far_end(respond) as server:
            return await called(whip(server)), len(server.requests)

    call, asked = on_the_real_loop(main())
    assert asked == 1
    assert "the server answered 500 Internal Server Error, 'no such endpoint'" in call.failed


def test_a_listener_without_media_is_told_that_and_not_of_an_exchange_that_never_was():
    async def respond(server, request):
        if request.method != "POST":
            return reply("200 OK")
        listens = "a=recvonly" in request.body
        answer = await server.answer(request.body, media="sendonly" if listens else "recvonly", speaks=not listens)
        return created(answer, location="/session/1")

    async def main():
        async with far_end(respond) as server:
            calling = asyncio.ensure_future(called(whip(server), join_timeout_s=JOIN_S))
            await connected(server, 2)
            put_ahead(JOIN_S)
            return await calling

    call = on_the_real_loop(main())
    assert call.failed == "callee first_packet not within 30 s; the callee had come to dtls_connected"


# Descriptions, through whole calls.


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: "\ufeff" + text.replace("a=sendrecv\r\n", "").replace("a=setup:active\r\n", ""), []),
        (lambda text: text.replace("127.0.0.1", "localhost"), []),
        (
            lambda text: text.replace("a=ice-ufrag", "a=candidate:9 1 udp 1 sfu.invalid 40000 typ host\r\na=ice-ufrag"),
            ["the caller could not look up a candidate of the server, sfu.invalid: "],
        ),
    ],
    ids=["a byte order mark, no direction and no role", "names for addresses", "a name that nobody knows"],
)
def test_an_answer_as_it_comes_is_a_call(edit, said):
    async def respond(server, request):
        return created(edit(await server.answer(request.body)))

    async def main():
        async with far_end(respond) as server:
            return await called(f"sdp+{server.url}/")

    call = on_the_real_loop(main())
    assert call.failed is None
    assert all(each.startswith(begin) for each, begin in zip(call.warnings, said, strict=False))


def test_an_answer_by_tcp_alone_is_refused_at_once():
    async def respond(server, request):
        answer = sdp.SessionDescription.parse(await server.answer(request.body))
        for candidate in answer.media[0].ice_candidates:
            candidate.protocol, candidate.tcpType = "tcp", "passive"
        return created(str(answer))

    async def main():
        async with far_end(respond) as server:
            return await called(f"sdp+{server.url}/")

    assert on_the_real_loop(main()).failed == (
        "the answer has no candidate that we could reach, only tcp, where media goes over UDP: open a UDP port there"
    )


# STUN and TURN servers.


def silent_port():
    """Return a bound UDP socket that never answers."""
    quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet.bind(("127.0.0.1", 0))
    return quiet


def test_a_dead_server_of_the_scenario_holds_an_offer_up_for_a_moment_alone(monkeypatch):
    monkeypatch.setattr(gathering, "SILENCE_S", 0.05)

    async def respond(server, request):
        return created(await server.answer(request.body))

    async def main():
        with silent_port() as quiet:
            ice = read_ice({"servers": [f"stun:127.0.0.1:{quiet.getsockname()[1]}"]})
            async with far_end(respond) as server:
                return await called(f"sdp+{server.url}/", ice=ice)

    call = on_the_real_loop(main())
    assert call.failed is None
    assert call.caller.timeline.marks["ice_gathered"] < gathering.GATHER_TIMEOUT_S / 2
    (said,) = call.warnings
    assert said.endswith("gave no candidate, no answer came while the call lasted: check host, port and transport")


def test_dead_servers_that_the_answer_names_hold_nothing_up_and_unusable_ones_are_named():
    async def respond(server, request):
        if request.method != "POST":
            return reply("200 OK")
        link = f"<stun:127.0.0.1:{quiet.getsockname()[1]}>; rel='ice-server', <turns:x?transport=udp>; rel=ice-server"
        return await playing(server, request, location="/session/1", link=link)

    async def main():
        async with far_end(respond) as server:
            return await called(whip(server))

    with silent_port() as quiet:
        call = on_the_real_loop(main())
    assert call.failed is None
    marks = call.callees[0].timeline.marks
    assert marks["ice_connected"] - marks["answer_received"] < gathering.SILENCE_S
    assert any("'turns:x?transport=udp' asks for a transport that is not offered" in each for each in call.warnings)


# Faults of ours that a server can find.


UNREADABLE = [
    b"\xbe\xde\x00\x01" + bytes([0x11, 0xFF, 0xFE, 0]),  # a mid that is no UTF-8, as RFC 9143 §15.1 has it
    b"\x10\x00\x00\x01" + bytes([2, 0, 0, 0]),  # an audio level of no bytes, in the form of two-byte headers
]


def test_a_packet_that_the_stack_cannot_read_is_dropped_and_counted():
    async def respond(server, request):
        return created(await server.answer(request.body))

    async def main():
        async with far_end(respond) as server:
            calling = asyncio.ensure_future(called(f"sdp+{server.url}/", talk=True, frames=20))
            await server.asked.wait()
            far = server.peers[0]
            await far.heard_packet.wait()
            for number, extension in enumerate(UNREADABLE):
                header = bytes([0x90, 96, 0, number]) + bytes(8) + extension
                await far._sender.transport._send_rtp(header + b"\x78\xff\xfe")
            await far.close()
            return await calling

    call = on_the_real_loop(main())
    assert call.failed is None
    assert call.cut.startswith("the caller's media path broke")  # by the goodbye alone, which came after
    assert call.report()["caller"]["unreadable_packets"] == len(UNREADABLE)


RUBBISH = [
    '{"janus": ["success"]}',
    '{"janus": {"a": 1}, "session_id": []}',
    '{"janus": "event", "sender": [1], "transaction": {}}',
    '{"janus": "hangup", "sender": {"x": 1}}',
    '{"janus": "error", "error": {"code": [], "reason": {}}}',
    '{"janus": "error", "error": {"code": 1e400, "reason": "\\ud800"}}',
    "[" * 100_000,
    '{"a":' * 50_000,
    "null",
    '{"janus": "success", "data": {"id": []}}',
    '{"janus": "success", "data": []}',
    '{"janus": "timeout", "session_id": 7}',
    '"\\ud800"',
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
def test_whatever_janus_answers_is_one_sentence_of_ours(rubbish):
    async def respond(_server, request):
        said = rubbish.replace(
            '"transaction": {}', f'"transaction": {json.dumps(json.loads(request.body)["transaction"])}'
        )
        return reply("200 OK", said, content_type="application/json")

    async def main():
        async with far_end(respond) as server:
            return await called(f"janus+{server.url}/janus/echotest", join_timeout_s=0.2)

    call = on_the_real_loop(main())
    assert "a fault of rtcprobe" not in call.failed
    assert call.failed.isprintable()


def test_a_receiving_task_with_a_fault_of_ours_loses_the_session_and_says_so():
    class Client:
        line = None

    lost = []

    async def main():
        session = JanusSession(Client(), "ws://127.0.0.1/", api_secret=None, token=None)
        session.on_gone = lost.append

        async def faulty():
            raise IndexError("nobody foresaw this")

        session.go_on(faulty)
        await asyncio.gather(*session._tasks)
        await session.close()

    asyncio.run(main())
    (said,) = lost
    assert said.startswith("a fault of rtcprobe itself, IndexError: nobody foresaw this (")


def test_a_fault_of_ours_in_a_join_is_a_failure_of_that_join(monkeypatch):
    async def respond(server, request):
        return created(await server.answer(request.body))

    def broken(*_args, **_options):
        return np.zeros(1)[7]

    monkeypatch.setattr("rtcprobe.call.targets.outside_steps.usable_answer", broken)

    async def main():
        async with far_end(respond) as server:
            return await called(f"sdp+{server.url}/")

    call = on_the_real_loop(main())
    assert call.failed.startswith("a fault of rtcprobe itself, IndexError: ")
    assert call.stopped.awaited == "ice_connected"


# What a server can make us read: 64 kB of its worst, in less than 50 ms of CPU.

WORST = 64_000
PAGES = ["<", "<script>", "<script><style>", "< ", "<a ", "</script", "</script><script", "a>"]
LINKS = ["<", "<a>;", "; a=", "'=", "= '", '"\\', ",", "<stun:" + " " * 100]
LINES = [
    "a=candidate:" + "1 " * 9,
    "a=candidate:1 1 udp 1 " + "a." * 5000,
    "a=rtpmap:96 " + "o" * 90,
    "a=ssrc:1 cname:" * 9,
]


@pytest.mark.parametrize(
    ("read", "worst"),
    [
        *((without_markup, piece) for piece in PAGES),
        *((lambda text: read_links([text]), piece) for piece in LINKS),
        *(
            (lambda text: read_description("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" + text, "it"), f"{line}\r\n")
            for line in LINES
        ),
        *((lambda text: Candidates.read(text.splitlines()), f"{line}\r\n") for line in LINES),
    ],
)
def test_no_text_of_a_server_can_keep_us(read, worst):
    text = worst * (WORST // len(worst))
    begun_s = time.process_time()
    read(text)
    assert time.process_time() - begun_s < 0.05
