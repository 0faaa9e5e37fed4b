import pytest

from rtcprobe.call.description import read_description
from rtcprobe.call.sdp import usable_answer, usable_offer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.whip_steps import candidates_fragment
from rtcprobe.errors import MeasurementError

SESSION = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0"]
AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 96",
    "c=IN IP4 0.0.0.0",
    "a=mid:0",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=rtpmap:96 opus/48000/2",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuv",
    "a=fingerprint:sha-256 AA:BB",
    "a=setup:actpass",
    "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
]
OFFER = Sdp(kind="offer", text="\r\n".join([*SESSION, *AUDIO]) + "\r\n")


def written(*changes, lines=(*SESSION, *AUDIO)):
    """Return a description with lines exchanged: pairs of (beginning of a line, line in its place or None)."""
    out = list(lines)
    for begins, instead in changes:
        at = next(index for index, line in enumerate(out) if line.startswith(begins))
        out[at : at + 1] = [] if instead is None else [instead]
    return "\r\n".join(out) + "\r\n"


def answered(*changes, **options):
    return usable_answer(written(*changes), OFFER, **options).text.splitlines()


def refused(*changes):
    with pytest.raises(MeasurementError) as caught:
        answered(*changes)
    return str(caught.value)


def test_an_answer_that_leaves_the_dtls_role_open_makes_us_the_server_of_the_handshake():
    assert "a=setup:active" in answered()
    assert "a=setup:passive" in answered(("a=setup", "a=setup:passive"))


def test_a_missing_mid_is_the_one_we_offered():
    assert answered(("a=mid", None)).count("a=mid:0") == 1


def test_candidates_that_no_udp_socket_can_follow_are_left_out_and_the_rest_is_ended():
    lines = answered(("a=candidate", "a=candidate:2 1 tcp 1 192.0.2.1 9 typ host tcptype active"))
    assert not [line for line in lines if line.startswith(("a=candidate", "a=end-of"))]
    assert answered()[-1] == "a=end-of-candidates"
    assert "a=end-of-candidates" not in answered(more_candidates=True)


def test_line_ends_of_either_kind_are_read():
    assert usable_answer(written().replace("\r\n", "\n"), OFFER).text.startswith("v=0\r\n")


def test_candidates_are_told_by_type():
    relay = "a=candidate:3 1 UDP 1 192.0.2.9 6000 typ relay raddr 0.0.0.0 rport 9"
    found = read_description(written(("a=setup", relay)), "it")
    assert found.candidate_types() == {"host udp": 1, "relay udp": 1}


def test_what_is_no_description_is_quoted():
    with pytest.raises(MeasurementError) as caught:
        usable_answer("<html><body>Not here</body></html>", OFFER)
    assert str(caught.value) == (
        "the answer is no session description, it begins '<html><body>Not here</body></html>': "
        "is this the endpoint's URL?"
    )


def test_a_rejected_m_line_is_a_refusal():
    assert refused(("m=audio", "m=audio 0 UDP/TLS/RTP/SAVPF 96")) == (
        "the answer rejects our audio: does the server take Opus, and this kind of call?"
    )


def test_other_m_lines_than_those_offered():
    assert refused(("m=audio", "m=video 9 UDP/TLS/RTP/SAVPF 96")) == (
        "the answer has video where audio was offered: a server answers every m-line"
    )
    assert refused(*[(line, None) for line in AUDIO]) == (
        "the answer has no m-lines where audio was offered: a server answers every m-line"
    )


def test_an_answer_that_leaves_out_data_channels_is_read_as_one_that_turns_them_down():
    channels = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:1", "a=sctp-port:5000"]
    session = [*SESSION[:-1], "a=group:BUNDLE 0 1"]
    offer = Sdp(kind="offer", text=written(lines=[*session, *AUDIO, *channels]))
    turned_down = ["m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:1"]
    refused_it = usable_answer(written(lines=[*SESSION, *AUDIO, *turned_down]), offer)
    assert usable_answer(written(), offer) == refused_it
    with pytest.raises(MeasurementError, match=r"^the answer has no m-lines where audio and application was offered"):
        usable_answer(written(lines=SESSION), offer)
    with pytest.raises(MeasurementError, match=r"^the answer has application where audio and application was offered"):
        usable_answer(written(lines=[*SESSION, *channels]), offer)


def test_what_webrtc_cannot_do_without():
    assert refused(("a=ice-ufrag", None)) == (
        "the answer, its audio, has no ICE name (ice-ufrag): is the server one for WebRTC?"
    )
    assert refused(("a=fingerprint", None)) == (
        "the answer, its audio, has no key (fingerprint): is the server one for WebRTC?"
    )
    assert refused(("a=rtcp-mux", None)) == (
        "the answer, its audio, puts RTCP on another port: WebRTC wants rtcp-mux (RFC 8834 §4.5)"
    )
    assert refused(("a=setup", "a=setup:holdconn")) == (
        "the answer has the DTLS role 'holdconn': there is no such role"
    )


def test_an_offer_of_the_servers_own_needs_audio():
    assert usable_offer(written()).kind == "offer"
    assert "a=setup:actpass" in usable_offer(written()).text.splitlines()
    with pytest.raises(MeasurementError) as caught:
        usable_offer(written(("m=audio", "m=video 9 UDP/TLS/RTP/SAVPF 96")))
    assert str(caught.value) == "the server's offer has video and no audio: is anybody speaking?"


def test_nothing_endless_is_read():
    with pytest.raises(MeasurementError, match=r"^the answer is 300,000 characters long: no session description is$"):
        usable_answer("v" * 300_000, OFFER)


def test_candidates_sent_later_name_the_session_they_belong_to():
    fragment = candidates_fragment(OFFER, ["candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"])
    assert fragment.splitlines() == [
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 96",
        "a=mid:0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
        "a=end-of-candidates",
    ]


def test_announced_sources_are_read():
    found = read_description(written(("a=setup", "a=ssrc:4294967295 cname:x")), "it")
    assert found.sources() == {4294967295}
