"""What touches the internals of aiortc and aioice: clocks, randomness, descriptions (``*_seam`` has all of them).

Known to hold for aiortc 1.16 and aioice 0.13; ``tests/runtime/test_aiortc_seam.py`` says which name moved when a new
release breaks it.

Fact: the stack reads clocks and draws randomness through module-level names (``time``, ``os``, ``random``,
``secrets``, ``uuid``, ``clock.current_datetime``, ``get_host_addresses``).

Rules:
    1. ``install`` replaces those names once per process by stand-ins that look at the running loop: on a loop without
       ``entropy`` (any loop but ours) they behave as before, so other users of aiortc in the process see no change.
    2. What a call never uses is not started while it is timed: no encoder of aiortc's, no decoder and no thread of one.
"""

from __future__ import annotations

import copy
import datetime as dt
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import aioice.ice
import aioice.utils
import aiortc.clock
import aiortc.codecs
import aiortc.mediastreams
import aiortc.rtcdtlstransport
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtcsctptransport
import aiortc.sdp
import aiortc.utils
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
)
from aiortc.rtcdtlstransport import RTCCertificate
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters, RTCRtpHeaderExtensionParameters
from cryptography.x509 import Certificate

from rtcprobe.runtime import descriptions_seam, sooner_seam
from rtcprobe.runtime.network import HOST
from rtcprobe.runtime.stand_ins import Dispatch, SeamError, attribute, put
from rtcprobe.runtime.virtual import EPOCH_S, running

__all__ = [
    "SeamError",
    "add_candidate",
    "agreed_codecs",
    "agreed_extensions",
    "attribute",
    "install",
    "new_peer_connection",
    "ntp_time",
    "offering",
    "on_state",
    "without_decoder",
]

_NTP_EPOCH_OFFSET_S = EPOCH_S + 2_208_988_800
"""Virtual time zero in seconds since 1900, NTP's epoch (RFC 5905 §6)."""

_AUDIO_CODECS: ContextVar[list[RTCRtpCodecParameters] | None] = ContextVar("rtcprobe_audio_codecs", default=None)
"""What offers and answers made in this context may hold; None for aiortc's own list."""

_MORE_EXTENSIONS: ContextVar[tuple[RTCRtpHeaderExtensionParameters, ...]] = ContextVar(
    "rtcprobe_more_extensions", default=()
)
"""Header extensions that offers and answers made in this context know beside aiortc's own, in every m-section."""

_FEEDBACK_OF: Final = {
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": RTCRtcpFeedback(type="transport-cc")
}
"""The feedback without which an extension has no use (draft-holmer-rmcat-transport-wide-cc-extensions-01 §4)."""

_CERTIFICATES: Final[list[RTCCertificate]] = []
"""Those of calls in virtual time, one after the other: as many as the largest of them had connections' ends."""

_DECODING: ContextVar[bool] = ContextVar("rtcprobe_decoding", default=True)
"""Whether a receiver started in this context gets aiortc's decoder thread."""


def install() -> None:
    """Put the stand-ins in place; calling it again does nothing.

    Raises:
        SeamError: an internal name has moved.
    """
    if getattr(aiortc.clock, "_rtcprobe", False):
        return
    _replace_clocks()
    host_addresses = aioice.ice.get_host_addresses

    def emulated_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        host = HOST.get()
        return host_addresses(use_ipv4, use_ipv6) if host is None else host.addresses()

    put(aioice.ice, "get_host_addresses", emulated_host_addresses)
    for module in (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver, aiortc.mediastreams, aiortc.rtcsctptransport):
        put(module, "time", Dispatch(time, time=_virtual_time))
    for module in (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver, aioice.ice):
        put(module, "random", Dispatch(random, random=_seeded("random", random.random)))
    for module in (aiortc.utils, aioice.utils, aiortc.rtcsctptransport):
        put(module, "os", Dispatch(os, urandom=_seeded("urandom", os.urandom)))
    for module in (aioice.ice, aioice.utils):
        stand_in = Dispatch(
            secrets,
            choice=_seeded("choice", secrets.choice),
            randbits=_seeded("randbits", secrets.randbits),
        )
        put(module, "secrets", stand_in)
    for module in (aiortc.rtcpeerconnection, aiortc.rtcrtpsender, aiortc.mediastreams):
        put(module, "uuid", Dispatch(uuid, uuid4=_seeded("uuid4", uuid.uuid4)))
    put(aiortc.rtcrtpreceiver, "threading", Dispatch(threading, Thread=_decoder_thread))
    put(aiortc.rtcdtlstransport, "certificate_digest", _digest)
    put(aiortc.rtcpeerconnection, "RTCCertificate", Dispatch(RTCCertificate, generateCertificate=_certificate))
    put(aiortc.rtcpeerconnection, "copy", Dispatch(copy, deepcopy=_copied))
    put(aiortc.rtcpeerconnection, "CODECS", _OfferedCodecs(aiortc.codecs.CODECS))
    put(aiortc.rtcpeerconnection, "HEADER_EXTENSIONS", _OfferedExtensions(aiortc.codecs.HEADER_EXTENSIONS))
    sooner_seam.install(_DECODING.get)
    descriptions_seam.install()
    aiortc.clock._rtcprobe = True  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark


def new_peer_connection(*, relay_only: bool = False) -> RTCPeerConnection:
    """Return a peer connection that asks no STUN server (the default one is public, and a 5 s stall).

    All it sends and takes has one transport from the beginning, as browsers bundle it with whoever can.
    ``relay_only`` leaves its own addresses out: what others add to it (``ice_seam``) is all it has.
    """
    policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
    return RTCPeerConnection(
        RTCConfiguration(iceServers=[], iceTransportPolicy=policy, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


@contextmanager
def offering(
    audio: list[RTCRtpCodecParameters] | None, extensions: Sequence[RTCRtpHeaderExtensionParameters] = ()
) -> Iterator[None]:
    """Make offers, and take descriptions, of this block from these audio codecs; None for aiortc's own.

    ``extensions`` are header extensions to be known beside aiortc's.
    """
    tokens = _AUDIO_CODECS.set(audio), _MORE_EXTENSIONS.set(tuple(extensions))
    try:
        yield
    finally:
        _AUDIO_CODECS.reset(tokens[0])
        _MORE_EXTENSIONS.reset(tokens[1])


@contextmanager
def without_decoder() -> Iterator[None]:
    """Start receivers of this block without a decoder, and without its thread."""
    token = _DECODING.set(False)
    try:
        yield
    finally:
        _DECODING.reset(token)


def agreed_codecs(transceiver: RTCRtpTransceiver) -> list[RTCRtpCodecParameters]:
    """Return the codecs both sides have for one m-section, the first choice first, for reading and changing.

    They stand once the other side's description has been taken; an answer is made of them.

    Raises:
        SeamError: an internal name has moved.
    """
    codecs: list[RTCRtpCodecParameters] = attribute(transceiver, "_codecs")
    return codecs


def agreed_extensions(transceiver: RTCRtpTransceiver) -> list[str]:
    """Return the URIs of the header extensions both sides have for one m-section, as ``agreed_codecs`` does.

    Raises:
        SeamError: an internal name has moved.
    """
    return [each.uri for each in attribute(transceiver, "_headerExtensions")]


async def add_candidate(sender: RTCRtpSender, attribute: str) -> None:
    """Take a remote candidate that came after its description: an SDP attribute's value; empty: there are no more.

    One that cannot be read, or that no UDP socket could use, is left out, as browsers do.
    """
    text = attribute.removeprefix("candidate:")
    with suppress(ValueError, IndexError, AssertionError):  # so are those that come after their end was said
        if not text:
            await sender.transport.transport.addRemoteCandidate(None)
            return
        candidate = aiortc.sdp.candidate_from_sdp(text)
        if candidate.protocol.lower() == "udp":
            await sender.transport.transport.addRemoteCandidate(candidate)


def on_state(emitter: Any, state: str, call: Callable[[], None]) -> None:
    """Call ``call`` whenever ``emitter`` (an ICE or DTLS transport) changes into ``state``."""

    def changed() -> None:
        if emitter.state == state:
            call()

    emitter.on("statechange", changed)


class _OfferedCodecs(dict[str, list[RTCRtpCodecParameters]]):
    """Takes the place of aiortc's list of codecs: the context's own where there is one."""

    def __getitem__(self, kind: str) -> list[RTCRtpCodecParameters]:
        audio = _AUDIO_CODECS.get() if kind == "audio" else None
        codecs = super().__getitem__(kind) if audio is None else audio
        return [_with(codec, _FEEDBACK_OF) for codec in codecs] if _MORE_EXTENSIONS.get() else codecs


class _OfferedExtensions(dict[str, list[RTCRtpHeaderExtensionParameters]]):
    """Takes the place of aiortc's list of header extensions: the context's beside them."""

    def __getitem__(self, kind: str) -> list[RTCRtpHeaderExtensionParameters]:
        usual, more = super().__getitem__(kind), _MORE_EXTENSIONS.get()
        return [*usual, *more] if more else usual


@lru_cache(maxsize=64)
def _digest(certificate: Certificate, algorithm: str) -> str:
    """Return a fingerprint as aiortc does, without joining it byte by byte.

    In virtual time the same few certificates come again in every call (``_certificate``), and both ends digest the
    other's three times over.
    """
    digest = aiortc.rtcdtlstransport.X509_DIGEST_ALGORITHMS[algorithm]
    return certificate.fingerprint(digest).hex(":").upper()


def _certificate() -> RTCCertificate:
    """Return a new certificate; in virtual time the process' n-th for the n-th connection of a call.

    A tenth of what a join costs is making two and their OpenSSL contexts (``dtls_seam.prepare_handshake``), which takes
    no virtual time, and nothing on the wire but a fingerprint tells one certificate from another.
    """
    loop = running()
    if loop is None:
        return RTCCertificate.generateCertificate()
    place = next(loop.certificates)
    if place == len(_CERTIFICATES):
        _CERTIFICATES.append(RTCCertificate.generateCertificate())
    return _CERTIFICATES[place]


def _with(codec: RTCRtpCodecParameters, feedback: Mapping[str, RTCRtcpFeedback]) -> RTCRtpCodecParameters:
    """Return a codec with the feedback that belongs to the extensions of this context."""
    more = [feedback[each.uri] for each in _MORE_EXTENSIONS.get() if each.uri in feedback]
    return codec if codec.name == "rtx" else replace(codec, rtcpFeedback=[*codec.rtcpFeedback, *more])


def _copied(codec: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    """Return what ``deepcopy`` would, a tenth of a millisecond sooner: all that can change in a codec is new."""
    return replace(codec, rtcpFeedback=list(codec.rtcpFeedback), parameters=dict(codec.parameters))


class _NoThread:
    """Takes the place of a thread that would have nothing to do."""

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


def _decoder_thread(*args: Any, **kwargs: Any) -> threading.Thread | _NoThread:
    return threading.Thread(*args, **kwargs) if _DECODING.get() else _NoThread()


def _replace_clocks() -> None:
    """Let aiortc's clock show virtual time on a loop that has it."""
    current_datetime = aiortc.clock.current_datetime
    current_ms = aiortc.clock.current_ms
    current_ntp_time = aiortc.clock.current_ntp_time

    def virtual_datetime() -> dt.datetime:
        loop = running()
        if loop is None:
            return current_datetime()
        return dt.datetime.fromtimestamp(EPOCH_S + loop.time(), dt.UTC)

    def virtual_ms() -> int:
        loop = running()
        return current_ms() if loop is None else int((_NTP_EPOCH_OFFSET_S + loop.time()) * 1e3)

    def virtual_ntp_time() -> int:
        loop = running()
        return current_ntp_time() if loop is None else ntp_time(loop.time())

    put(aiortc.clock, "current_datetime", virtual_datetime)
    put(aiortc.clock, "current_ms", virtual_ms)
    put(aiortc.clock, "current_ntp_time", virtual_ntp_time)


def ntp_time(now_s: float) -> int:
    """Return an instant of virtual time as NTP has it, 32 bits of seconds and 32 of their fractions."""
    return int((_NTP_EPOCH_OFFSET_S + now_s) * 2**32)


def _virtual_time() -> float:
    loop = running()
    return time.time() if loop is None else EPOCH_S + loop.time()


def _seeded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def draw(*args: Any) -> Any:
        loop = running()
        return original(*args) if loop is None else getattr(loop.entropy, name)(*args)

    return draw
