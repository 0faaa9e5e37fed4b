"""What stands in offers and answers, between our own peers and with another's offer."""

import asyncio
import copy

import aiortc
import numpy as np
import pytest
from aiortc.codecs import CODECS

from rtcprobe.audio.protection import Protection
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.negotiation import agree, offering
from rtcprobe.runtime.network import Network, acting_as
from rtcprobe.runtime.virtual import VirtualEventLoop

EVERYTHING = Protection(red_copies=1, fec=True, nack=True)


def exchange(ours, theirs, change=lambda text: text):
    """Return offer and answer of two connections, the offer changed on its way, and what each side agreed on."""
    aiortc_seam.install()

    async def main():
        loop = asyncio.get_running_loop()
        network = Network(loop, sockets=False)
        caller, callee = aiortc_seam.new_peer_connection(), aiortc_seam.new_peer_connection()
        for connection in (caller, callee):
            connection.addTransceiver("audio")
        with acting_as(network.add_host("caller", "10.0.0.1")), offering(ours):
            await caller.setLocalDescription(await caller.createOffer())
        offer = change(caller.localDescription.sdp)
        with acting_as(network.add_host("callee", "10.0.0.2")), offering(theirs):
            await callee.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
            taken = agree(callee.getTransceivers()[0])
            await callee.setLocalDescription(await callee.createAnswer())
        answer = callee.localDescription.sdp
        with acting_as(network.add_host("again", "10.0.0.1")), offering(ours):
            await caller.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        got = agree(caller.getTransceivers()[0])
        for connection in (caller, callee):
            await connection.close()
        return offer, answer, got, taken

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(main())


def codec_lines(text):
    return [line for line in text.splitlines() if line.startswith(("m=", "a=rtpmap", "a=fmtp", "a=rtcp-fb"))]


def test_without_protection_offer_and_answer_are_aiortcs_own():
    for text in exchange(Protection(), Protection())[:2]:
        lines = codec_lines(text)
        assert lines[0].split()[3:] == ["96", "9", "0", "8"]
        assert lines[1:] == [
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:9 G722/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000",
        ]


def test_all_protection_stands_in_offer_and_answer():
    offer, answer, got, taken = exchange(EVERYTHING, EVERYTHING)
    for text in (offer, answer):
        lines = codec_lines(text)
        assert lines[0].split()[3:5] == ["63", "96"]
        assert lines[1:6] == [
            "a=rtpmap:63 red/48000/2",
            "a=fmtp:63 96/96",
            "a=rtpmap:96 opus/48000/2",
            "a=rtcp-fb:96 nack",
            "a=fmtp:96 useinbandfec=1;minptime=10",
        ]
    assert got == taken
    assert (got.opus_payload_type, got.red_payload_type, got.sends_red, got.nack) == (96, 63, True, True)


@pytest.mark.parametrize(
    ("protection", "there"),
    [
        (Protection(red_copies=2), "a=fmtp:63 96/96"),
        (Protection(fec=True), "a=fmtp:96 useinbandfec=1;minptime=10"),
        (Protection(nack=True), "a=rtcp-fb:96 nack"),
    ],
)
def test_each_stands_alone(protection, there):
    for text in exchange(protection, protection)[:2]:
        lines = codec_lines(text)
        said = [line for line in lines if line.startswith(("a=fmtp", "a=rtcp-fb"))]
        assert said == [there]


@pytest.mark.parametrize(("ours", "theirs"), [(EVERYTHING, Protection()), (Protection(), EVERYTHING)])
def test_what_one_side_does_not_want_is_not_agreed_on(ours, theirs):
    _, answer, got, taken = exchange(ours, theirs)
    assert got == taken
    assert (got.red_payload_type, got.sends_red, got.nack) == (None, False, False)
    assert "red/48000" not in answer
    assert "a=rtcp-fb" not in answer


def test_another_sides_numbers_and_order_are_taken_over():
    # As a browser offers: Opus at 111 first, then RED made of it.
    def like_a_browser(text):
        text = text.replace(" 63 96 ", " 111 63 ").replace("96/96", "111/111").replace(":96 ", ":111 ")
        red = "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
        return text.replace(red, "").replace("a=rtpmap:9 ", f"{red}a=rtpmap:9 ")

    offer, answer, got, taken = exchange(EVERYTHING, EVERYTHING, like_a_browser)
    assert codec_lines(offer)[1] == "a=rtpmap:111 opus/48000/2"
    assert "a=fmtp:63 111/111" in codec_lines(answer)
    for agreed in (got, taken):
        assert (agreed.opus_payload_type, agreed.red_payload_type) == (111, 63)
        assert not agreed.sends_red  # Opus stands first, so Opus is what is sent


def test_a_side_without_opus_is_said_in_one_sentence():
    def without_opus(text):
        return text.replace("96 9 0 8", "9 0 8").replace("a=rtpmap:96 opus/48000/2\r\n", "")

    with pytest.raises(
        MeasurementError, match=r"^the other side takes no Opus: call one that does: every browser has to \(RFC 7874\)$"
    ):
        exchange(Protection(), Protection(), without_opus)


def test_other_users_of_aiortc_in_the_process_see_no_change():
    before = copy.deepcopy(CODECS)
    exchange(EVERYTHING, EVERYTHING)

    async def stranger():
        connection = aiortc_seam.new_peer_connection()
        connection.addTransceiver("audio")
        connection.addTransceiver("video")
        with offering(EVERYTHING):
            mine = (await connection.createOffer()).sdp
        theirs = (await connection.createOffer()).sdp
        await connection.close()
        return mine, theirs

    mine, theirs = asyncio.run(stranger())
    assert "red/48000/2" in mine
    assert "red/48000/2" not in theirs
    assert "useinbandfec" not in theirs
    assert "VP8" in mine
    assert before == CODECS
    assert aiortc.RTCRtpSender.getCapabilities("audio").codecs[0].parameters == {}
