"""Session descriptions that aiortc wrote itself are not read anew: what was written down is at hand.

Known to hold for aiortc 1.16; ``tests/runtime/test_descriptions_seam.py`` says which name moved, or what of a
description is read otherwise than it was written, when a new release breaks it.

Facts:
    aiortc makes a description of parts, writes it as text, and reads that text twice: when it is set here, and, where
    the other end is in this process too, when it is set there. Reading is a twentieth of what a join costs.

Rules:
    1. What is taken instead of reading is what reading would give, every field of it but ``type``, which whoever reads
       sets.
    2. It shares nothing with the writer that either of them changes: lists, codecs and DTLS parameters are its own.
    3. A text is taken once, and read like any other when it comes again: nothing is kept for good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import aiortc.rtcpeerconnection
import aiortc.sdp
from aiortc import RTCSessionDescription
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription

from rtcprobe.runtime.stand_ins import attribute, put

__all__ = ["install"]

_MOST_WRITTEN: Final = 64
"""Descriptions kept that nobody has read yet: offers and answers under way, and those that a server outside reads."""

T = TypeVar("T")


def install() -> None:
    """Put the stand-ins in place.

    Raises:
        SeamError: an internal name has moved.
    """
    written: dict[str, SessionDescription] = {}
    write: Callable[[SessionDescription | None], RTCSessionDescription | None]
    write = attribute(aiortc.rtcpeerconnection, "wrap_session_description")
    read: Callable[[str], SessionDescription] = attribute(SessionDescription, "parse")

    def wrapped(description: SessionDescription | None) -> RTCSessionDescription | None:
        out = write(description)
        if out is not None and description is not None:
            written[out.sdp] = _copy(description)
            if len(written) > _MOST_WRITTEN:
                written.pop(next(iter(written)), None)
        return out

    def parse(sdp: str) -> SessionDescription:
        known = written.pop(sdp, None)
        return read(sdp) if known is None else known

    put(aiortc.rtcpeerconnection, "wrap_session_description", wrapped)
    put(SessionDescription, "parse", staticmethod(parse))


def _copy(description: SessionDescription) -> SessionDescription:
    out = _twin(description)
    out.type = None
    out.group, out.msid_semantic = list(description.group), list(description.msid_semantic)
    out.media = [_copy_of_section(section) for section in description.media]
    return out


def _copy_of_section(section: MediaDescription) -> MediaDescription:
    out = _twin(section)
    for name in ("ssrc", "ssrc_group", "fmt", "ice_candidates"):
        setattr(out, name, list(getattr(section, name)))
    out.sctpmap = dict(section.sctpmap)
    out.rtp = _twin(section.rtp)
    out.rtp.rtcp = _twin(section.rtp.rtcp)
    out.rtp.codecs = [_copy_of_codec(codec) for codec in section.rtp.codecs]
    out.rtp.headerExtensions = list(section.rtp.headerExtensions)
    if section.dtls is not None:
        out.dtls = _twin(section.dtls)
    return out


def _copy_of_codec(codec: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    out = _twin(codec)
    out.rtcpFeedback, out.parameters = list(codec.rtcpFeedback), dict(codec.parameters)
    return out


def _twin(thing: T) -> T:
    """Return another object with the same attributes, without what ``copy.copy`` asks of a class each time."""
    twin: Any = object.__new__(type(thing))
    twin.__dict__.update(thing.__dict__)
    return twin  # type: ignore[no-any-return]
