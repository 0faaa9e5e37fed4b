"""rtpengine's NG protocol: lost questions are asked again, rubbish is nothing, refusals are sentences."""

import asyncio

import pytest
from far_end import called, on_the_real_loop

from rtcprobe.call import ng
from rtcprobe.call.bencode import decode, encode
from rtcprobe.call.ng import NgClient
from rtcprobe.call.targets import endings
from rtcprobe.call.targets.rtpengine import make_target
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.link import Path
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.scenario import TargetPlan


class Rtpengine(asyncio.DatagramProtocol):
    """Answers the n-th datagram by what ``answers`` holds there, a function of the cookie; None: it is lost."""

    def __init__(self, answers):
        self.answers, self.asked = list(answers), []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        cookie, _, question = data.partition(b" ")
        self.asked.append((cookie, decode(question)))
        answer = self.answers.pop(0) if self.answers else None
        for datagram in [] if answer is None else answer(cookie):
            self.transport.sendto(datagram, addr)


def said(**answer):
    return lambda cookie: [cookie + b" " + encode(answer)]


def asked(*answers):
    """Return the answer to one question, the server that gave it, and what was asked again."""

    async def main():
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(lambda: Rtpengine(answers), local_addr=("127.0.0.1", 0))
        network = OutsideNetwork(loop)
        host = network.add_outside_host("ana", ["127.0.0.1"], up=Path([]), down=Path([]))
        client = NgClient(network, host, transport.get_extra_info("sockname"), "ana")
        try:
            return await client.ask("publish", {"command": "publish", "sdp": "v=0"}), server, client.waits()
        finally:
            client.close()
            transport.close()
            network.close()

    return on_the_real_loop(main())


def test_a_question_is_a_cookie_and_a_dictionary_and_so_is_its_answer():
    answer, server, waits = asked(said(result="ok", sdp="v=0 too"))
    assert answer == {"result": "ok", "sdp": "v=0 too"}
    assert [question for _, question in server.asked] == [{"command": "publish", "sdp": "v=0"}]
    assert waits == []


def test_a_lost_question_is_asked_again_under_its_cookie_and_told(monkeypatch):
    monkeypatch.setattr(ng, "FIRST_AGAIN_S", 0.02)
    answer, server, waits = asked(None, None, said(result="ok"))
    assert answer == {"result": "ok"}
    assert len(server.asked) == 3
    assert len({cookie for cookie, _ in server.asked}) == 1
    assert [(each.timer, each.side, each.what) for each in waits] == [("signaling", "ana", "publish")] * 2
    assert [each.at_s - each.from_s >= least_s for each, least_s in zip(waits, (0.02, 0.04), strict=True)] == [True] * 2


def test_what_answers_no_question_is_nothing_to_us():
    def rubbish(cookie):
        return [b"", b"\xff" * 40, b"other " + encode({"result": "error"}), cookie + b" " + encode({"result": "ok"})]

    assert asked(rubbish)[0] == {"result": "ok"}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            said(**{"result": "error", "error-reason": "Unknown call-id"}),
            (
                "rtpengine, publish: the server answered an error: 'Unknown call-id': "
                "the call is over there: was rtpengine started anew?"
            ),
        ),
        (said(result="error"), "rtpengine, publish: the server answered an error"),
        (lambda cookie: [cookie + b" 3:one"], "rtpengine, publish: the server answered an error"),
        (
            lambda cookie: [cookie + b" <html>"],
            (
                "rtpengine, publish: the answer is no bencode (no value at byte 0), it begins '<html>': "
                "is this an rtpengine?"
            ),
        ),
    ],
)
def test_what_cannot_be_used_is_a_sentence(answer, sentence):
    with pytest.raises(MeasurementError) as raised:
        asked(answer)
    assert str(raised.value) == sentence


def test_a_server_that_says_nothing_is_left_in_time(monkeypatch):
    monkeypatch.setattr(ng, "LIMIT_S", 0.1)
    monkeypatch.setattr(ng, "FIRST_AGAIN_S", 0.02)
    with pytest.raises(
        MeasurementError, match=r"127\.0\.0\.1:\d+ did not answer within 100ms, asked [34] times: start it"
    ):
        asked()


def test_a_call_that_rtpengine_does_not_end_or_will_not_says_so(monkeypatch):
    monkeypatch.setattr(endings, "HANG_UP_TIMEOUT_S", 0.1)
    refused = said(**{"result": "error", "error-reason": "Unknown call-id"})

    async def main(*answers):
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(lambda: Rtpengine(answers), local_addr=("127.0.0.1", 0))
        try:
            return await called(
                "rtpengine+ng://{}:{}".format(*transport.get_extra_info("sockname")), join_timeout_s=0.1
            )
        finally:
            assert [question["command"] for _, question in server.asked][-1] == "delete"
            transport.close()

    silent, refusing = on_the_real_loop(main()), on_the_real_loop(main(None, None, refused))
    assert any(each.startswith("leaving: rtpengine, delete: 127.0.0.1:") for each in silent.warnings)
    assert silent.warnings[-1].endswith(" did not answer within 100ms")
    assert refusing.warnings[-1].startswith(
        "leaving: rtpengine, delete: the server answered an error: 'Unknown call-id'"
    )


@pytest.mark.parametrize(
    "url", ["rtpengine+ng://host", "rtpengine+ng://host:2223/room", "rtpengine+ng://", "rtpengine+ng://host:99999"]
)
def test_a_target_is_a_host_and_a_port(url):
    with pytest.raises(BadInputError):
        make_target(TargetPlan(url=url))
    target = make_target(TargetPlan(url="rtpengine+ng://10.0.0.5:2223"))
    assert (target.host, target.port) == ("10.0.0.5", 2223)
    assert target.directions == ("caller_to_callee", "callee_to_caller")
