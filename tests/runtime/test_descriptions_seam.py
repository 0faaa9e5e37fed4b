"""A description taken as it was written is, field by field, what aiortc reads in its text."""

import asyncio
import enum

import aiortc.rtcpeerconnection
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.sdp import SessionDescription

from rtcprobe.audio.protection import Protection
from rtcprobe.runtime import aiortc_seam, descriptions_seam, negotiation
from rtcprobe.runtime.stand_ins import SeamError

SECTIONS = {
    "sound": ("audio",),
    "sound and picture": ("audio", "video"),
    "four of each and messages": ("audio", "video") * 4 + ("messages",),
    "messages": ("messages",),
}
PROTECTIONS = {
    "bare": Protection(),
    "protected": Protection(fec=True, red_copies=1, nack=True),
}


def fields(thing):
    """Return all that is in a description, as nested plain values with their types."""
    if thing is None or isinstance(thing, (str, int, float, bool, enum.Enum)):
        return type(thing), thing
    if isinstance(thing, dict):
        return type(thing), {name: fields(value) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing), [fields(each) for each in thing]
    return type(thing), {name: fields(value) for name, value in vars(thing).items()}


def read(text):
    """Return what aiortc reads in a text that nobody here wrote: it ends with a line that means nothing."""
    return SessionDescription.parse(text + "a=x-nothing\r\n")


async def offered_and_answered(kinds, protection):
    """Return offer and answer as they are written before and after candidates are gathered, none of them read yet."""
    caller, callee = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    for kind in kinds:
        if kind == "messages":
            caller.createDataChannel("messages")
        else:
            caller.addTransceiver(kind)
    with negotiation.offering(protection, transport_cc=True):
        offer = await caller.createOffer()
        await caller.setLocalDescription(offer)
        await callee.setRemoteDescription(caller.localDescription)
        answer = await callee.createAnswer()
        await callee.setLocalDescription(answer)
    written = [await caller.createOffer(), caller.localDescription, callee.localDescription]
    await caller.close()
    await callee.close()
    return [each.sdp for each in written]


@pytest.mark.parametrize("protection", PROTECTIONS.values(), ids=PROTECTIONS)
@pytest.mark.parametrize("kinds", SECTIONS.values(), ids=SECTIONS)
def test_what_is_taken_is_what_would_be_read(kinds, protection):
    aiortc_seam.install()
    for text in asyncio.run(offered_and_answered(kinds, protection)):
        taken = SessionDescription.parse(text)
        assert fields(taken) == fields(read(text))
        assert str(taken) == text
        again = SessionDescription.parse(text)
        assert again is not taken
        assert fields(again) == fields(taken)


def test_what_is_taken_shares_nothing_that_changes_with_who_wrote_it():
    aiortc_seam.install()
    description = read(asyncio.run(offered_and_answered(("audio", "video"), Protection()))[1])
    description.type = "offer"
    text = aiortc.rtcpeerconnection.wrap_session_description(description).sdp
    section = description.media[1]
    section.ice_candidates.clear()
    section.rtp.codecs[0].rtcpFeedback.clear()
    section.rtp.codecs[0].parameters["x"] = 1
    section.rtp.codecs.pop()
    section.rtp.muxId = "other"
    section.dtls.fingerprints = []
    section.ssrc.clear()
    description.group.clear()
    assert fields(SessionDescription.parse(text)) == fields(read(text))


def test_descriptions_that_nobody_reads_are_not_kept_for_good():
    aiortc_seam.install()
    description = read(asyncio.run(offered_and_answered(("audio",), Protection()))[1])
    description.type, texts = "offer", []
    for place in range(descriptions_seam._MOST_WRITTEN + 1):
        description.name = f"number {place}"
        texts.append(aiortc.rtcpeerconnection.wrap_session_description(description).sdp)
    assert SessionDescription.parse(texts[-1]).name == f"number {place}"
    assert SessionDescription.parse(texts[0]).name == "number 0"  # read, for it was let go


@pytest.mark.parametrize(
    ("owner", "name"), [(aiortc.rtcpeerconnection, "wrap_session_description"), (SessionDescription, "parse")]
)
def test_a_name_that_has_moved_is_named(owner, name, monkeypatch):
    aiortc_seam.install()
    monkeypatch.delattr(owner, name)
    with pytest.raises(SeamError, match=rf"{name} is gone"):
        descriptions_seam.install()
