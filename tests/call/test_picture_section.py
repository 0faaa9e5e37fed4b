"""A stranger's section of video: one codec of it read and written anew, or turned down while the sound goes on."""

import asyncio

import numpy as np
import pytest
from descriptions import SESSION, TRANSPORT, audio, written
from far_end import FarEnd

from rtcprobe.call.description import read_description
from rtcprobe.call.sdp import usable_answer, usable_offer
from rtcprobe.call.transceiver import PictureWanted
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.virtual import VirtualEventLoop

BUNDLE = "a=group:BUNDLE 0 1"
CHROMES = (
    "a=rtpmap:96 VP8/90000",
    "a=rtcp-fb:96 goog-remb",
    "a=rtcp-fb:96 transport-cc",
    "a=rtcp-fb:96 ccm fir",
    "a=rtcp-fb:96 nack",
    "a=rtcp-fb:96 nack pli",
    "a=rtpmap:97 rtx/90000",
    "a=fmtp:97 apt=96",
    "a=rtpmap:102 H264/90000",
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f",
    "a=rtpmap:108 H264/90000",
    "a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "a=rtpmap:98 VP9/90000",
    "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "a=ssrc-group:FID 11 12",
    "a=ssrc:11 cname:c",
    "a=ssrc:12 cname:c",
)


def video(*lines, port=9, mid="1", direction="a=sendonly", setup="a=setup:active", formats="96 97 102 108 98"):
    head = [f"m=video {port} UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", direction, "a=rtcp-mux"]
    return [*head, *(lines or CHROMES), *TRANSPORT, setup]


def offered(*sections):
    setup = "a=setup:actpass"
    return written(*SESSION, BUNDLE, *audio(direction="a=sendonly", setup=setup), *(sections or video(setup=setup)))


def of_video(usable):
    return next(each for each in read_description(usable.text, "it").media if each[0].startswith("m=video"))


@pytest.mark.parametrize(("codec", "number"), [("VP8", 96), ("H264", 108)])
def test_an_offers_first_picture_of_our_codec_is_taken_beside_its_sound(codec, number):
    usable = usable_offer(offered(), codec=codec)
    lines = of_video(usable)
    assert not usable.without_picture
    assert f"a=rtpmap:{number} {codec}/90000" in lines
    assert "a=ssrc-group:FID 11 12" in lines
    assert "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" in lines
    assert ("a=rtcp-fb:96 transport-cc" in lines) == (codec == "VP8")
    assert not any(unknown in line for unknown in ("VP9", "playout-delay", ":102 ") for line in lines)
    assert ("a=fmtp:97 apt=96" in lines) == (codec == "VP8")
    assert "a=group:BUNDLE 0 1" in usable.text.splitlines()
    # Our answer is to both sections: nothing of the offer is turned down.
    assert usable.refused == ()


def test_a_picture_before_the_sound_stays_where_it_stands_and_goes_over_the_sounds_transport():
    setup = "a=setup:actpass"
    sections = [*video(setup=setup), *audio(direction="a=sendonly", setup=setup)]
    usable = usable_offer(written(*SESSION, "a=group:BUNDLE 1 0", *sections), codec="VP8")
    assert [each[0].split()[0] for each in read_description(usable.text, "it").media] == ["m=video", "m=audio"]
    assert "a=group:BUNDLE 0 1" in usable.text.splitlines()


@pytest.mark.parametrize("sections", [
    video("a=rtpmap:98 VP9/90000", formats="98"),
    video(direction="a=inactive"),
    video(mid="7"),  # in no bundle
    video(port=0),
    ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:1"],
])  # fmt: skip
def test_an_offer_without_a_picture_for_us_is_taken_for_its_sound(sections):
    usable = usable_offer(offered(*sections), codec="VP8")
    assert usable.without_picture
    assert len(read_description(usable.text, "it").media) == 1
    assert len(usable.refused) == 1
    assert not usable_offer(offered(*sections)).without_picture  # nobody wanted one


def answered(*sections):
    """Give an answer with these sections of video to a peer that speaks and shows; return what became of it."""

    async def main():
        end = FarEnd(None)
        end.network = OutsideNetwork(asyncio.get_running_loop())
        peer = end.peer(media="sendonly", beside=[PictureWanted(track=None, media="sendonly")])
        sent = await peer.offer()
        text = written(*SESSION, BUNDLE, *audio(direction="a=recvonly"), *sections)
        usable = usable_answer(text, sent)
        await peer.accept(usable)
        agreed = peer.negotiated, peer.pictures[0].agreed
        await peer.close()
        end.network.close()
        return usable, *agreed

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(main())


def test_an_answer_that_takes_the_picture_says_what_may_be_asked_for():
    usable, sound, picture = answered(*video(direction="a=recvonly"))
    assert not usable.without_picture
    assert sound is not None
    assert (picture.codec, picture.nack, picture.pli) == ("VP8", True, True)
    assert (picture.payload_type, picture.rtx_payload_type) == (96, 97)


@pytest.mark.parametrize("sections", [
    video(port=0, direction="a=inactive"),
    video(direction="a=inactive"),
    video("a=rtpmap:98 VP9/90000", formats="98", direction="a=recvonly"),
])  # fmt: skip
def test_a_picture_that_an_answer_turns_down_costs_the_picture_alone(sections):
    usable, sound, picture = answered(*sections)
    assert usable.without_picture
    assert picture is None
    assert sound is not None
