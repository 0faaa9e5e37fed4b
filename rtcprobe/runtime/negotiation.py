"""What offers and answers say about codecs and protection against loss, and what was agreed on.

Facts:
    Stock aiortc offers Opus without parameters or feedback, and no RED. Browsers offer RED behind Opus and use it when
    an application moves it to the front (``setCodecPreferences``): the first codec agreed on is the one sent.

Rules:
    1. Where no protection is asked for, offers and answers are aiortc's own, to the byte.
    2. RED stands before Opus, at 63, Chrome's number: with the marker bit 191, the last that is no RTCP (RFC 5761 §4).
    3. NACK is agreed on for Opus, and holds for what carries it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from aiortc import RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcrtpparameters import (
    ParametersDict,
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)

from rtcprobe.audio.protection import Protection
from rtcprobe.control.feedback import EXTENSION_URI
from rtcprobe.errors import MeasurementError
from rtcprobe.recording import Agreed, AgreedVideo
from rtcprobe.runtime import aiortc_seam

__all__ = ["NO_OPUS", "agree", "agree_video", "offering", "prefer", "refuse_nack"]

NO_OPUS = ("the other side takes no Opus", "call one that does: every browser has to (RFC 7874)")
"""What is said of a description without it: the fact, and the cure."""

# What Chrome offers for red/48000/2.
_RED_PAYLOAD_TYPE = 63
_NACK = RTCRtcpFeedback(type="nack")  # RFC 4585 §4.2
_PLI = RTCRtcpFeedback(type="nack", parameter="pli")
_REMB = RTCRtcpFeedback(type="goog-remb")  # draft-alvestrand-rmcat-remb-03 §2.3
_NUMBERS = RTCRtcpFeedback(type="transport-cc")
_FEC: ParametersDict = {"useinbandfec": 1, "minptime": 10}  # RFC 7587 §6.1; what libwebrtc offers


_TRANSPORT_CC = RTCRtpHeaderExtensionParameters(id=4, uri=EXTENSION_URI)  # 1 to 3 are aiortc's own


@contextmanager
def offering(protection: Protection, *, transport_cc: bool = False) -> Iterator[None]:
    """Make offers, and take descriptions, of this block with what ``protection`` asks for.

    ``transport_cc``: and with packets numbered over the whole transport (``transport_cc_seam``).
    """
    codecs = None if protection == Protection() else _codecs(protection)
    with aiortc_seam.offering(codecs, (_TRANSPORT_CC,) if transport_cc else ()):
        yield


def agree(transceiver: RTCRtpTransceiver) -> Agreed:
    """Return what was agreed on for sound, once the other side's description was taken, before an answer is made.

    Raises:
        MeasurementError: the other side takes no Opus.
    """
    codecs = aiortc_seam.agreed_codecs(transceiver)
    opus = next((codec for codec in codecs if codec.name.lower() == "opus"), None)
    if opus is None:
        raise MeasurementError(*NO_OPUS)
    red = next((codec for codec in codecs if codec.name.lower() == "red"), None)
    if red is not None:
        red.parameters = _made_of(opus)  # Opus may have got the other side's number meanwhile
    return Agreed(
        opus_payload_type=_payload_type(opus),
        red_payload_type=None if red is None else _payload_type(red),
        sends_red=codecs[0] is red,
        nack=_NACK in opus.rtcpFeedback,
    )


def prefer(transceiver: RTCRtpTransceiver, codec: str) -> None:
    """Let ``transceiver`` send and take pictures of this codec alone (``"VP8"``, ``"H264"``), with RTX where it can."""
    known = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([each for each in known if each.mimeType.split("/")[1] in {codec, "rtx"}])


def agree_video(transceiver: RTCRtpTransceiver) -> AgreedVideo | None:
    """Return what was agreed on for a picture, once the other side's description was taken; None: there is none.

    Who may be told of the line in two ways is told in the better one: the other is not in our answer.
    """
    codecs = aiortc_seam.agreed_codecs(transceiver)
    first = next((codec for codec in codecs if not is_rtx(codec)), None)
    if first is None or transceiver.currentDirection == "inactive":
        return None
    number = _payload_type(first)
    rtx = next((codec for codec in codecs if is_rtx(codec) and codec.parameters.get("apt") == number), None)
    numbered = EXTENSION_URI in aiortc_seam.agreed_extensions(transceiver) and _NUMBERS in first.rtcpFeedback
    if numbered:
        first.rtcpFeedback = [each for each in first.rtcpFeedback if each != _REMB]
    return AgreedVideo(
        codec=first.name,
        payload_type=number,
        rtx_payload_type=None if rtx is None else _payload_type(rtx),
        nack=_NACK in first.rtcpFeedback,
        pli=_PLI in first.rtcpFeedback,
        tells="transport-cc" if numbered else "goog-remb" if _REMB in first.rtcpFeedback else None,
    )


def refuse_nack(transceiver: RTCRtpTransceiver) -> None:
    """Agree to no NACK, nor to RTX, once the other side's description was taken, before an answer is made."""
    codecs = aiortc_seam.agreed_codecs(transceiver)
    for codec in codecs:
        codec.rtcpFeedback = [each for each in codec.rtcpFeedback if each != _NACK]
    codecs[:] = [each for each in codecs if not is_rtx(each)]


def _codecs(protection: Protection) -> list[RTCRtpCodecParameters]:
    """Return aiortc's audio codecs, Opus with what ``protection`` asks for, RED before it."""
    codecs = deepcopy(CODECS["audio"])
    opus = next(codec for codec in codecs if codec.name.lower() == "opus")
    if protection.fec:
        opus.parameters = dict(_FEC)
    if protection.nack:
        opus.rtcpFeedback = [_NACK]
    if protection.red_copies:
        red = RTCRtpCodecParameters(
            mimeType="audio/red",
            clockRate=opus.clockRate,
            channels=opus.channels,
            payloadType=_RED_PAYLOAD_TYPE,
            parameters=_made_of(opus),
        )
        codecs.insert(codecs.index(opus), red)
    return codecs


def _made_of(opus: RTCRtpCodecParameters) -> ParametersDict:
    """Return RED's parameters: the payload types of frame and copy. Source: RFC 2198 §5."""
    return {f"{opus.payloadType}/{opus.payloadType}": None}


def _payload_type(codec: RTCRtpCodecParameters) -> int:
    assert codec.payloadType is not None
    return codec.payloadType
