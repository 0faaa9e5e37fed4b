"""What touches the internals of aiortc and aioice: clocks, randomness, codecs, packets (``*_seam`` has all of them).

Known to hold for aiortc 1.16 and aioice 0.13; ``tests/runtime/test_aiortc_seam.py`` says which name moved when a new
release breaks it.

Facts:
    - The stack reads clocks and draws randomness through module-level names (``time``, ``os``, ``random``,
      ``secrets``, ``uuid``, ``clock.current_datetime``, ``get_host_addresses``).
    - aiortc's audio jitter buffer counts packets, not time: RTP is taken before it.

Rules:
    1. ``install`` replaces those names once per process by stand-ins that look at the running loop: on a loop without
       ``entropy`` (any loop but ours) they behave as before, so other users of aiortc in the process see no change.
    2. What a call never uses is not started while it is timed: no encoder of aiortc's, no decoder and no thread of one.
"""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import os
import random
import secrets
import threading
import time
import types
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import aioice.ice
import aioice.utils
import aiortc.clock
import aiortc.codecs
import aiortc.mediastreams
import aiortc.rtcdtlstransport
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.sdp
import aiortc.utils
from aiortc import RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket
from cryptography.x509 import Certificate

from rtcprobe.runtime.network import HOST
from rtcprobe.runtime.virtual import EPOCH_S, VirtualEventLoop

__all__ = [
    "EncodedFrame",
    "MediaPath",
    "SeamError",
    "add_candidate",
    "agreed_codecs",
    "attribute",
    "install",
    "limit_resends",
    "media_path",
    "new_peer_connection",
    "offering",
    "on_state",
    "round_trip_s",
    "send_encoded",
    "take_rtp",
]

RtpHandler = Callable[[RtpPacket], Sequence[int]]

_NTP_EPOCH_OFFSET_S = EPOCH_S + 2_208_988_800
"""Virtual time zero in seconds since 1900, NTP's epoch (RFC 5905 §6)."""

_SENDER_ENCODER = "_RTCRtpSender__encoder"
_SENDER_ROUND_TRIP = "_RTCRtpSender__rtt"
_RECEIVER_STREAMS = "_RTCRtpReceiver__remote_streams"
_RECEIVER_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"


_AUDIO_CODECS: ContextVar[list[RTCRtpCodecParameters] | None] = ContextVar("rtcprobe_audio_codecs", default=None)
"""What offers and answers made in this context may hold; None for aiortc's own list."""

_DECODING: ContextVar[bool] = ContextVar("rtcprobe_decoding", default=True)
"""Whether a receiver started in this context gets aiortc's decoder thread."""


class SeamError(RuntimeError):
    """A name inside aiortc or aioice is not where this version of rtcprobe knows it."""


def attribute(owner: object, name: str) -> Any:
    """Return ``owner.name``.

    Raises:
        SeamError: it has moved.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__name__
        raise SeamError(
            f"{kind}.{name} is gone: this rtcprobe knows aiortc 1.16 and aioice 0.13, install those"
        ) from None


def install() -> None:
    """Put the stand-ins in place; calling it again does nothing.

    Raises:
        SeamError: an internal name has moved.
    """
    if getattr(aiortc.clock, "_rtcprobe", False):
        return
    current_datetime = aiortc.clock.current_datetime
    current_ms = aiortc.clock.current_ms
    current_ntp_time = aiortc.clock.current_ntp_time
    host_addresses = aioice.ice.get_host_addresses

    def virtual_datetime() -> dt.datetime:
        loop = _virtual_loop()
        if loop is None:
            return current_datetime()
        return dt.datetime.fromtimestamp(EPOCH_S + loop.time(), dt.UTC)

    def virtual_ms() -> int:
        loop = _virtual_loop()
        return current_ms() if loop is None else int((_NTP_EPOCH_OFFSET_S + loop.time()) * 1e3)

    def virtual_ntp_time() -> int:
        loop = _virtual_loop()
        return current_ntp_time() if loop is None else int((_NTP_EPOCH_OFFSET_S + loop.time()) * 2**32)

    def emulated_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        host = HOST.get()
        return host_addresses(use_ipv4, use_ipv6) if host is None else host.addresses()

    _replace(aiortc.clock, "current_datetime", virtual_datetime)
    _replace(aiortc.clock, "current_ms", virtual_ms)
    _replace(aiortc.clock, "current_ntp_time", virtual_ntp_time)
    _replace(aioice.ice, "get_host_addresses", emulated_host_addresses)
    for module in (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver, aiortc.mediastreams):
        _replace(module, "time", _Dispatch(time, time=_virtual_time))
    for module in (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver, aioice.ice):
        _replace(module, "random", _Dispatch(random, random=_seeded("random", random.random)))
    for module in (aiortc.utils, aioice.utils):
        _replace(module, "os", _Dispatch(os, urandom=_seeded("urandom", os.urandom)))
    for module in (aioice.ice, aioice.utils):
        stand_in = _Dispatch(
            secrets,
            choice=_seeded("choice", secrets.choice),
            randbits=_seeded("randbits", secrets.randbits),
        )
        _replace(module, "secrets", stand_in)
    for module in (aiortc.rtcpeerconnection, aiortc.rtcrtpsender, aiortc.mediastreams):
        _replace(module, "uuid", _Dispatch(uuid, uuid4=_seeded("uuid4", uuid.uuid4)))
    _replace(aiortc.rtcrtpreceiver, "threading", _Dispatch(threading, Thread=_decoder_thread))
    _replace(aiortc.rtcdtlstransport, "certificate_digest", _digest)
    _replace(aiortc.rtcpeerconnection, "copy", _Dispatch(copy, deepcopy=_copied))
    _replace(aiortc.rtcpeerconnection, "CODECS", _OfferedCodecs(aiortc.codecs.CODECS))
    aiortc.clock._rtcprobe = True  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark


def new_peer_connection(*, relay_only: bool = False) -> RTCPeerConnection:
    """Return a peer connection that asks no STUN server (the default one is public, and a 5 s stall).

    ``relay_only`` leaves its own addresses out: what others add to it (``ice_seam``) is all it has.
    """
    policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
    return RTCPeerConnection(RTCConfiguration(iceServers=[], iceTransportPolicy=policy))


@contextmanager
def offering(audio: list[RTCRtpCodecParameters] | None) -> Iterator[None]:
    """Make offers, and take descriptions, of this block from these audio codecs; None for aiortc's own."""
    token = _AUDIO_CODECS.set(audio)
    try:
        yield
    finally:
        _AUDIO_CODECS.reset(token)


def agreed_codecs(connection: RTCPeerConnection) -> list[RTCRtpCodecParameters]:
    """Return the audio codecs both sides have, the other side's first choice first, for reading and changing.

    They stand once the other side's description has been taken; an answer is made of them.

    Raises:
        SeamError: an internal name has moved.
    """
    codecs: list[RTCRtpCodecParameters] = attribute(connection.getTransceivers()[0], "_codecs")
    return codecs


async def add_candidate(sender: RTCRtpSender, attribute: str) -> None:
    """Take a remote candidate that came after its description: an SDP attribute's value; empty: there are no more.

    One that cannot be read, or that no UDP socket could use, is left out, as browsers do.
    """
    text = attribute.removeprefix("candidate:")
    if not text:
        await sender.transport.transport.addRemoteCandidate(None)
        return
    with suppress(ValueError, IndexError, AssertionError):
        candidate = aiortc.sdp.candidate_from_sdp(text)
        if candidate.protocol.lower() == "udp":
            await sender.transport.transport.addRemoteCandidate(candidate)


def on_state(emitter: Any, state: str, call: Callable[[], None]) -> None:
    """Call ``call`` whenever ``emitter`` (an ICE or DTLS transport) changes into ``state``."""

    def changed() -> None:
        if emitter.state == state:
            call()

    emitter.on("statechange", changed)


def send_encoded(sender: RTCRtpSender) -> None:
    """Let ``sender`` send ``EncodedFrame`` items of its track as they are.

    Without this it would open a libopus encoder and a resampler of its own when the first frame comes, a few
    milliseconds of CPU just when the join is timed.

    Raises:
        SeamError: an internal name has moved.
    """
    attribute(sender, _SENDER_ENCODER)
    setattr(sender, _SENDER_ENCODER, _Packer())


class EncodedFrame(NamedTuple):
    """A payload and its place in time, in ticks of the RTP clock since the first frame."""

    payload: bytes
    timestamp: int


class _Packer:
    """Takes the place of aiortc's encoder: what comes in is encoded already."""

    def pack(self, frame: EncodedFrame) -> tuple[list[bytes], int]:
        return [frame.payload], frame.timestamp


def take_rtp(receiver: RTCRtpReceiver, handler: RtpHandler) -> None:
    """Give every RTP packet to ``handler`` at its arrival, after SRTP, in order of arrival.

    The sequence numbers it returns are asked for again (NACK). aiortc goes on to keep its RTCP statistics; its jitter
    buffer gets nothing, and its decoder no thread. After the first packet of a source nothing else of its own handling
    matters to a call, so the rest is left out.

    Raises:
        SeamError: an internal name has moved.
    """
    handle: Callable[..., Awaitable[None]] = attribute(receiver, "_handle_rtp_packet")
    ask_again: Callable[[int, list[int]], Awaitable[None]] = attribute(receiver, "_send_rtcp_nack")
    attribute(receiver, _RECEIVER_JITTER_BUFFER)
    setattr(receiver, _RECEIVER_JITTER_BUFFER, _NoJitterBuffer())
    streams: dict[int, aiortc.rtcrtpreceiver.StreamStatistics] = attribute(receiver, _RECEIVER_STREAMS)

    async def tapped(packet: RtpPacket, arrival_time_ms: int) -> None:
        missing = handler(packet)
        stream = streams.get(packet.ssrc)
        if stream is None:
            await handle(packet, arrival_time_ms=arrival_time_ms)
        else:
            stream.add(packet)
        if missing:
            for ascending in _without_wraps(missing):
                await ask_again(packet.ssrc, ascending)

    receive = receiver.receive

    async def without_decoder(parameters: RTCRtpReceiveParameters) -> None:
        token = _DECODING.set(False)
        try:
            await receive(parameters)
        finally:
            _DECODING.reset(token)

    receiver._handle_rtp_packet = tapped  # type: ignore[method-assign]  # noqa: SLF001
    receiver.receive = without_decoder  # type: ignore[method-assign]


def limit_resends(sender: RTCRtpSender, may_resend: Callable[[int], bool]) -> None:
    """Ask ``may_resend`` before ``sender`` sends a sequence number again that was asked for (NACK).

    aiortc itself resends whatever it still has, 128 packets: 2.6 s of 20 ms packets, but 0.6 s of 5 ms packets.

    Raises:
        SeamError: an internal name has moved.
    """
    retransmit: Callable[[int], Awaitable[None]] = attribute(sender, "_retransmit")

    async def limited(sequence: int) -> None:
        if may_resend(sequence):
            await retransmit(sequence)

    sender._retransmit = limited  # type: ignore[assignment, method-assign]  # noqa: SLF001


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPath:
    """What ICE and DTLS agreed on; None for what they have not yet.

    ``local`` and ``remote`` are the types of the candidates in use, ``remote_address`` is host and port of the far one.
    """

    local: str | None = None
    local_address: str | None = None
    remote: str | None = None
    remote_address: str | None = None
    dtls: str | None = None
    cipher: str | None = None
    srtp: str | None = None


def media_path(sender: RTCRtpSender) -> MediaPath:
    """Return what ICE and DTLS of ``sender`` agreed on so far.

    Raises:
        SeamError: an internal name has moved.
    """
    dtls = sender.transport
    pair = attribute(attribute(dtls.transport, "_connection"), "_nominated").get(1)
    ice = {}
    if pair is not None:
        ice = {
            "local": pair.local_candidate.type,
            "local_address": f"{pair.local_addr[0]}:{pair.local_addr[1]}",
            "remote": pair.remote_candidate.type,
            "remote_address": f"{pair.remote_addr[0]}:{pair.remote_addr[1]}",
        }
    tls = attribute(dtls, "_ssl")
    if tls is None or tls.get_cipher_name() is None:
        return MediaPath(**ice)
    profile: bytes = tls.get_selected_srtp_profile()
    return MediaPath(
        **ice, dtls=tls.get_protocol_version_name(), cipher=tls.get_cipher_name(), srtp=profile.decode() or None
    )


def round_trip_s(sender: RTCRtpSender) -> float | None:
    """Return the round trip that ``sender`` measured by RTCP reports, smoothed; None before the first.

    Raises:
        SeamError: an internal name has moved.
    """
    measured: float | None = attribute(sender, _SENDER_ROUND_TRIP)
    return measured


class _OfferedCodecs(dict[str, list[RTCRtpCodecParameters]]):
    """Takes the place of aiortc's list of codecs: the context's own where there is one."""

    def __getitem__(self, kind: str) -> list[RTCRtpCodecParameters]:
        audio = _AUDIO_CODECS.get() if kind == "audio" else None
        return super().__getitem__(kind) if audio is None else audio


def _digest(certificate: Certificate, algorithm: str) -> str:
    """Return a fingerprint as aiortc does, without joining it byte by byte."""
    digest = aiortc.rtcdtlstransport.X509_DIGEST_ALGORITHMS[algorithm]
    return certificate.fingerprint(digest).hex(":").upper()


def _copied(codec: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    """Return what ``deepcopy`` would, a tenth of a millisecond sooner: all that can change in a codec is new."""
    return replace(codec, rtcpFeedback=list(codec.rtcpFeedback), parameters=dict(codec.parameters))


class _NoJitterBuffer:
    """Takes the place of aiortc's jitter buffer and never yields a frame."""

    def add(self, _packet: RtpPacket) -> tuple[bool, None]:
        return False, None


class _NoThread:
    """Takes the place of a thread that would have nothing to do."""

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


def _decoder_thread(*args: Any, **kwargs: Any) -> threading.Thread | _NoThread:
    return threading.Thread(*args, **kwargs) if _DECODING.get() else _NoThread()


class _Dispatch(types.SimpleNamespace):
    """A module with a few names replaced."""

    def __init__(self, module: types.ModuleType, **replacements: Any) -> None:
        super().__init__(**replacements)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _virtual_loop() -> VirtualEventLoop | None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, VirtualEventLoop) else None


def _virtual_time() -> float:
    loop = _virtual_loop()
    return time.time() if loop is None else EPOCH_S + loop.time()


def _seeded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def draw(*args: Any) -> Any:
        loop = _virtual_loop()
        return original(*args) if loop is None else getattr(loop.entropy, name)(*args)

    return draw


def _without_wraps(sequences: Sequence[int]) -> list[list[int]]:
    """Return ``sequences`` cut where they wrap: aiortc's NACK takes ascending numbers only."""
    cuts = [index for index, (before, after) in enumerate(pairwise(sequences), 1) if after < before]
    return [list(sequences[begin:end]) for begin, end in pairwise([0, *cuts, len(sequences)])]


def _replace(owner: types.ModuleType, name: str, value: object) -> None:
    attribute(owner, name)
    setattr(owner, name, value)
