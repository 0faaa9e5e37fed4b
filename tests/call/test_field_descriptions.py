"""What servers of the field answer and offer, by what the RFCs say it means; each goes through the whole stack too."""

import asyncio

import numpy as np
import pytest
from descriptions import CANDIDATES, FREESWITCH, KEY, SESSION, TRANSPORT, VIDEO, answer, audio, offer, written
from far_end import FarEnd

from rtcprobe.call.sdp import read_candidate, usable_answer, usable_offer
from rtcprobe.call.signaling import Sdp
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.virtual import VirtualEventLoop


def ours(direction="sendrecv"):
    return Sdp(kind="offer", text=answer(direction=f"a={direction}", setup="a=setup:actpass"))


def taken(text, direction="sendrecv"):
    return usable_answer(text, ours(direction)).text.splitlines()


def refused(text, direction="sendrecv", read=usable_answer):
    with pytest.raises(MeasurementError) as caught:
        read(text, ours(direction)) if read is usable_answer else read(text)
    return str(caught.value)


def through_the_stack(text, media="sendrecv"):
    """Give a server's answer to a real peer of ours, whose offer has gone; return the peer."""

    async def main():
        end = FarEnd(None)
        end.network = OutsideNetwork(asyncio.get_running_loop())
        peer = end.peer(media=media)
        sent = await peer.offer()
        await peer.accept(usable_answer(text, sent))
        await peer.close()
        end.network.close()
        return peer

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(main())


# Directions: RFC 8866 §6.7, RFC 3264 §6.1.


@pytest.mark.parametrize(
    ("said", "offered", "meant"),
    [
        (None, "sendrecv", "a=sendrecv"),  # no direction is sendrecv
        ("a=sendrecv", "sendonly", "a=recvonly"),  # as much of it as was offered
        (None, "sendonly", "a=recvonly"),
        (None, "recvonly", "a=sendonly"),
        ("a=sendrecv", "recvonly", "a=sendonly"),
        ("a=recvonly", "sendrecv", "a=recvonly"),
        ("a=SendRecv", "sendrecv", "a=sendrecv"),  # words of the grammar have no case (RFC 5234 §2.3)
    ],
)
def test_a_direction_is_read_as_the_rfcs_say(said, offered, meant):
    lines = taken(answer(direction=said), offered)
    assert [line for line in lines if line[2:] in ("sendrecv", "sendonly", "recvonly", "inactive")] == [meant]


def test_a_direction_of_the_session_holds_where_the_section_has_none():
    text = answer(direction=None).replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n")
    assert "a=sendonly" in taken(text, "recvonly")
    assert "does not take our audio (sendonly)" in refused(text)


@pytest.mark.parametrize(
    ("said", "offered", "sentence"),
    [
        (
            "inactive",
            "sendrecv",
            "does not take our audio (inactive): does the server take Opus, and this kind of call?",
        ),
        (
            "inactive",
            "sendonly",
            "does not take our audio (inactive): does the server take Opus, and this kind of call?",
        ),
        (
            "sendonly",
            "sendonly",
            "does not take our audio (sendonly): does the server take Opus, and this kind of call?",
        ),
        ("inactive", "recvonly", "sends no audio (inactive): is anybody speaking there?"),
        ("recvonly", "recvonly", "sends no audio (recvonly): is anybody speaking there?"),
    ],
)
def test_an_answer_that_leaves_nothing_to_measure_is_a_refusal_at_once(said, offered, sentence):
    assert refused(answer(direction=f"a={said}"), offered) == f"the answer {sentence}"


# Forms that the RFCs allow, and lines that are none of ours.


@pytest.mark.parametrize(
    "line",
    [
        "a=fmtp:96",
        "a=fmtp:96 ",
        "a=fmtp:96 minptime=ten;useinbandfec",
        "a=fmtp:101 0-15",
        "a=extmap:2/sendrecv urn:ietf:params:rtp-hdrext:encrypt urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on",
        "a=extmap:4096 urn:x",
        "a=extmap:x",
        "a=rtcp-fb:* nack",
        "a=rtcp-fb:96",
        "a=rtcp:9",
        "a=rtcp:",
        "a=ssrc:1",
        "a=ssrc:99999999999 cname:x",
        "a=ssrc-group:FID one two",
        "a=msid:-",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
        "a=rid:1 send pt=96",
        "a=simulcast:send 1",
        "a=sctp-port:x",
        "a=identity",
        "a=setup",
        "a=candidate:",
        "b=AS:x",
        "k=prompt",
        "i=",
        "c=IN IP6 ::1",
        "c=IN IP4",
        "a=rtpmap:96",
        "a=rtpmap:110 telephone-event/48000",
    ],
)
def test_lines_that_a_call_does_not_need_cannot_fail_it(line):
    # Before the ones that count: the first of a kind is what many readers take.
    peer = through_the_stack(answer(line))
    assert peer.negotiated.opus_payload_type == 96


def test_freeswitch_is_taken_without_mid_group_direction_and_with_formats_of_its_own():
    peer = through_the_stack(FREESWITCH)
    assert peer.negotiated.opus_payload_type == 96
    lines = taken(FREESWITCH)
    assert [line for line in lines if line.startswith("a=candidate")] == [
        "a=candidate:1 1 udp 659136 192.0.2.1 40000 typ host"  # component 2 is RTCP's, which shares the path
    ]
    assert "a=fmtp:96 minptime=20;useinbandfec=1" in lines
    assert "a=ssrc:1122334455 cname:cname0" in lines


def test_a_byte_order_mark_is_no_part_of_a_description():
    assert taken("\ufeff" + answer())[0] == "v=0"


def test_no_role_in_an_answer_is_active_and_in_an_offer_actpass():
    assert "a=setup:active" in taken(answer(setup=None))
    assert "a=setup:actpass" in usable_offer(offer().replace("a=setup:actpass\r\n", "")).text.splitlines()


def test_ice_and_dtls_of_the_session_hold_for_its_section():
    section = [line for line in audio() if line not in TRANSPORT and not line.startswith("a=setup")]
    text = written(*SESSION, *TRANSPORT, "a=setup:passive", "a=ice-lite", *section)
    lines = taken(text)
    assert {*TRANSPORT, "a=setup:passive", "a=ice-lite"} <= set(lines)
    assert lines.index("a=ice-lite") < lines.index("m=audio 9 UDP/TLS/RTP/SAVPF 96")


def test_keys_are_taken_in_either_case_and_the_ones_that_cannot_be_checked_are_left_out():
    lines = taken(answer(f"a=fingerprint:SHA-256 {KEY.lower()}", "a=fingerprint:md5 00:01"))
    assert [line for line in lines if line.startswith("a=fingerprint")] == [f"a=fingerprint:sha-256 {KEY}"] * 2
    only = answer().replace("sha-256", "md5")
    assert refused(only).startswith("the answer, its audio, has the key 'md5 00:01:02")


@pytest.mark.parametrize("protocol", ["RTP/SAVPF", "UDP/TLS/RTP/SAVP", "udp/tls/rtp/savpf", "RTP/AVP"])
def test_every_name_of_the_protocol_is_taken(protocol):
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 96" in taken(answer(line=f"m=audio 40000/2 {protocol} 96"))


def test_what_is_no_rtp_over_udp_is_named():
    assert refused(answer(line="m=audio 9 TCP/DTLS/RTP/SAVPF 96")) == (
        "the answer, its audio, speaks 'TCP/DTLS/RTP/SAVPF': WebRTC speaks UDP/TLS/RTP/SAVPF (RFC 9429 §5.1.2)"
    )


def test_opus_is_found_whatever_its_number_and_case_and_nothing_else_is_agreed_on():
    text = answer(line="m=audio 9 UDP/TLS/RTP/SAVPF 0 111 96").replace("a=rtpmap:96 opus", "a=rtpmap:111 OPUS")
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111" in taken(text)
    assert refused(answer().replace("opus", "speex")) == (
        "the other side takes no Opus: call one that does: every browser has to (RFC 7874)"
    )


# Candidates: RFC 8839 §5.1.


def test_a_name_in_place_of_an_address_is_told_apart_to_be_looked_up():
    found = usable_answer(
        answer(candidates=("a=candidate:udp 1 udp 2130706431 sfu.example 40000 typ host", "a=end-of-candidates")),
        ours(),
    )
    assert found.names == ("candidate:udp 1 udp 2130706431 sfu.example 40000 typ host",)
    assert "a=end-of-candidates" not in found.text  # one more is to come
    assert not found.unreachable


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        ("1 1 tcp 1 192.0.2.1 9 typ host tcptype passive", "tcp, where media goes over UDP"),
        ("1 1 udp 1 0.0.0.0 9 typ host", "'0.0.0.0', port 9, is nowhere"),
        ("1 1 udp 1 192.0.2.1 0 typ host", "'192.0.2.1', port 0, is nowhere"),
        ("1 1 udp 1 10.0.0.300 9 typ host", "'10.0.0.300', port 9, is nowhere"),
        ("what", "'what' cannot be read"),
    ],
)
def test_a_candidate_that_nothing_can_be_sent_to_is_said_and_no_others_leave_no_way(candidate, why):
    found = usable_answer(answer(candidates=(f"a=candidate:{candidate}",)), ours())
    assert (found.left_out, found.unreachable) == ((why,), True)
    beside = usable_answer(answer(candidates=(f"a=candidate:{candidate}", *CANDIDATES)), ours())
    assert (beside.left_out, beside.unreachable) == ((why,), False)


def test_no_more_candidates_are_tried_than_an_agent_need_pair():
    many = [f"a=candidate:1 1 udp {priority} 192.0.2.1 {priority} typ host" for priority in range(1, 301)]
    found = usable_answer(answer(candidates=many), ours())
    kept = [line for line in found.text.splitlines() if line.startswith("a=candidate")]
    assert len(kept) == 100  # RFC 8445 §6.1.2.5
    assert kept[0].split()[3] == "300"  # the most wanted ones


def test_a_candidate_that_comes_by_itself_is_read_the_same_way():
    assert read_candidate("candidate:1 1 UDP 5 192.0.2.1 6 typ host generation 0").lines == (
        "candidate:1 1 udp 5 192.0.2.1 6 typ host",
    )
    assert read_candidate("candidate:1 1 udp 5 sfu.example 6 typ host").names
    assert not read_candidate("").lines


# A server's own offer: RFC 9429 §5.2.2 and §5.3.1, RFC 9143 §7.


@pytest.mark.parametrize(
    "video",
    [
        ("m=video 0 UDP/TLS/RTP/SAVPF 97", "c=IN IP4 0.0.0.0", "a=inactive", *VIDEO),
        ("m=video 9 UDP/TLS/RTP/SAVPF 97", "c=IN IP4 0.0.0.0", "a=sendonly", *VIDEO),
        ("m=video 0 UDP/TLS/RTP/SAVPF 97", "c=IN IP4 0.0.0.0", "a=bundle-only", "a=sendonly", *VIDEO),
        ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:1", "a=sctp-port:5000"),
        ("m=text 9 RTP/AVP 98", "a=mid:1"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:1"),
    ],
    ids=["rejected", "bundled", "bundle-only", "data", "text", "another codec"],
)
def test_the_audio_of_an_offer_is_taken_and_everything_else_answered_with_port_0(video):
    usable = usable_offer(offer(*video))
    assert usable.text.count("m=") == 1
    stack = Sdp(kind="answer", text=answer(direction="a=recvonly"))
    lines = usable.answered(stack).text.splitlines()
    kinds = [line.split()[:2] for line in lines if line.startswith("m=")]
    assert kinds == [["m=audio", "9"], [video[0].split()[0], "0"]]
    assert lines[-2:] == ["a=inactive", "a=mid:1"]
    assert "a=group:BUNDLE 0" in lines  # what is turned down is in no bundle


def test_audio_behind_video_is_found_with_the_transport_of_the_tagged_section():
    tagged = ["m=video 9 UDP/TLS/RTP/SAVPF 97", "a=sendonly", *VIDEO, "a=rtcp-mux", *TRANSPORT, "a=setup:actpass"]
    behind = ["m=audio 0 UDP/TLS/RTP/SAVPF 96", "a=bundle-only", "a=mid:0", "a=sendonly", "a=rtpmap:96 opus/48000/2"]
    text = written(*SESSION, "a=group:BUNDLE 1 0", *tagged, *CANDIDATES, *behind)
    usable = usable_offer(text)
    assert {*TRANSPORT, *CANDIDATES} <= set(usable.text.splitlines())
    lines = usable.answered(Sdp(kind="answer", text=answer())).text.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("m=")] == [["m=video", "0"], ["m=audio", "9"]]


def test_a_session_without_mids_is_answered_without_mids():
    text = written(*SESSION, *(line for line in audio(setup="a=setup:actpass") if not line.startswith("a=mid")))
    lines = usable_offer(text).answered(Sdp(kind="answer", text=answer())).text.splitlines()
    assert not [line for line in lines if line.startswith(("a=mid", "a=group"))]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (offer(direction="a=recvonly"), "the server's offer sends no audio (recvonly): is anybody speaking?"),
        (offer(direction="a=inactive"), "the server's offer sends no audio (inactive): is anybody speaking?"),
        (
            offer(bundle="1").replace("m=audio 9", "m=audio 0"),
            "the server's offer rejects its own audio (port 0): is anybody speaking?",
        ),
        (
            offer().replace("opus", "PCMU"),
            "the other side takes no Opus: call one that does: every browser has to (RFC 7874)",
        ),
        (
            offer().replace("m=audio 9 UDP/TLS/RTP/SAVPF 96", "m=audio"),
            "the server's offer has an m-line that is none of SDP: 'm=audio'",
        ),
    ],
)
def test_an_offer_without_audio_for_us_is_refused_in_a_sentence_of_ours(text, sentence):
    assert refused(text, read=usable_offer) == sentence
