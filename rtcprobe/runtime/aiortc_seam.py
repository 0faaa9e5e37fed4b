"""Everything that touches the internals of aiortc and aioice, and nothing else does.

Known to hold for aiortc 1.16 and aioice 0.13; ``tests/runtime/test_aiortc_seam.py`` says which name moved when a new
release breaks it.

Facts:
    - The stack reads clocks and draws randomness through module-level names (``time``, ``os``, ``random``,
      ``secrets``, ``uuid``, ``clock.current_datetime``, ``get_host_addresses``).
    - OpenSSL's DTLS retransmission timer reads the machine's clock and cannot be told otherwise, so in virtual time a
      lost handshake datagram would never come again.
    - aiortc's audio jitter buffer counts packets, not time: RTP is taken before it.

Rules:
    1. ``install`` replaces those names once per process by stand-ins that look at the running loop: on a loop without
       ``entropy`` (any loop but ours) they behave as before, so other users of aiortc in the process see no change.
    2. Handshake retransmission is ours on both clocks (``HandshakeFlights``), between DTLS and ICE.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import secrets
import time
import types
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import aioice.ice
import aioice.utils
import aiortc.clock
import aiortc.codecs
import aiortc.mediastreams
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.sdp
import aiortc.utils
from aiortc import RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from rtcprobe.runtime.network import HOST
from rtcprobe.runtime.virtual import EPOCH_S, VirtualEventLoop

__all__ = [
    "EncodedFrame",
    "HandshakeFlights",
    "MediaPath",
    "SeamError",
    "add_candidate",
    "agreed_codecs",
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

LEAST_PATIENCE_S = 0.020

_SENDER_ENCODER = "_RTCRtpSender__encoder"
_SENDER_ROUND_TRIP = "_RTCRtpSender__rtt"
_RECEIVER_STREAMS = "_RTCRtpReceiver__remote_streams"
_RECEIVER_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_DTLS_HANDSHAKE_DONE = "_RTCDtlsTransport__handshake_done"


_AUDIO_CODECS: ContextVar[list[RTCRtpCodecParameters] | None] = ContextVar("rtcprobe_audio_codecs", default=None)
"""What offers and answers made in this context may hold; None for aiortc's own list."""


class SeamError(RuntimeError):
    """A name inside aiortc or aioice is not where this version of rtcprobe knows it."""


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
    codecs: list[RTCRtpCodecParameters] = _attribute(connection.getTransceivers()[0], "_codecs")
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
    _attribute(sender, _SENDER_ENCODER)
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
    buffer and decoder get nothing. After the first packet of a source nothing else of its own handling matters to a
    call, so the rest is left out.

    Raises:
        SeamError: an internal name has moved.
    """
    handle: Callable[..., Awaitable[None]] = _attribute(receiver, "_handle_rtp_packet")
    ask_again: Callable[[int, list[int]], Awaitable[None]] = _attribute(receiver, "_send_rtcp_nack")
    _attribute(receiver, _RECEIVER_JITTER_BUFFER)
    setattr(receiver, _RECEIVER_JITTER_BUFFER, _NoJitterBuffer())
    streams: dict[int, aiortc.rtcrtpreceiver.StreamStatistics] = _attribute(receiver, _RECEIVER_STREAMS)

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

    receiver._handle_rtp_packet = tapped  # type: ignore[method-assign]  # noqa: SLF001


def limit_resends(sender: RTCRtpSender, may_resend: Callable[[int], bool]) -> None:
    """Ask ``may_resend`` before ``sender`` sends a sequence number again that was asked for (NACK).

    aiortc itself resends whatever it still has, 128 packets: 2.6 s of 20 ms packets, but 0.6 s of 5 ms packets.

    Raises:
        SeamError: an internal name has moved.
    """
    retransmit: Callable[[int], Awaitable[None]] = _attribute(sender, "_retransmit")

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
    pair = _attribute(_attribute(dtls.transport, "_connection"), "_nominated").get(1)
    ice = {}
    if pair is not None:
        ice = {
            "local": pair.local_candidate.type,
            "local_address": f"{pair.local_addr[0]}:{pair.local_addr[1]}",
            "remote": pair.remote_candidate.type,
            "remote_address": f"{pair.remote_addr[0]}:{pair.remote_addr[1]}",
        }
    tls = _attribute(dtls, "_ssl")
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
    measured: float | None = _attribute(sender, _SENDER_ROUND_TRIP)
    return measured


class HandshakeFlights:
    """Retransmits DTLS handshake flights on the loop's clock, standing between a DTLS and an ICE transport.

    Facts:
        - A verbatim copy of a datagram that was lost is accepted; of one that arrived it is dropped by the replay
          window (RFC 6347 §4.1.2.6) and would not make the peer answer.
        - The side that sends the last flight is done at once and starts no timer (RFC 6347 §4.2.4).

    Rules:
        1. The last flight sent is kept. When its timer expires without a new flight, it is sent again, and the
           timer doubles up to 60 s (RFC 6347 §4.2.4.1).
        2. The deadline is absolute: media that arrives meanwhile must not postpone it, or a lost last flight hangs.
        3. A handshake datagram that was seen before is the peer's retransmission: our last flight is sent again; but
           not within half a timeout of the last time, for that was the network's own copy, and two such would chase
           each other.
    """

    MAX_TIMEOUT_S = 60.0

    def __init__(self, dtls: RTCDtlsTransport, initial_timeout_s: Callable[[], float]) -> None:
        """Stand between ``dtls`` and its ICE transport; ``initial_timeout_s`` is asked when a flight first leaves."""
        ice = self._ice = dtls.transport
        self.sent_s: list[list[float]] = []
        """Loop times at which each flight left: the first copy, then every copy sent again."""
        self._loop = asyncio.get_running_loop()
        self._send_datagram: Callable[[bytes], Coroutine[Any, Any, None]] = _attribute(ice, "_send")
        self._receive_datagram: Callable[[], Coroutine[Any, Any, bytes]] = _attribute(ice, "_recv")
        self._initial_timeout_s = initial_timeout_s
        self._flight: list[bytes] = []
        self._answered = True
        self._seen: set[bytes] = set()
        self._done = False
        self._timeout_s = 0.0
        self._patience_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        _attribute(dtls, _DTLS_HANDSHAKE_DONE)
        setattr(dtls, _DTLS_HANDSHAKE_DONE, True)  # aiortc then never asks OpenSSL's own timer
        ice._send = self._send  # noqa: SLF001
        ice._recv = self._recv  # noqa: SLF001
        for state in ("connected", "closed", "failed"):
            on_state(dtls, state, self.stop)

    def stop(self) -> None:
        """The handshake is over on this side: no more timers (a duplicate of the peer's is still answered)."""
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _send(self, data: bytes) -> None:
        if not self._done and _is_dtls(data):
            if self._answered:
                self._answered = False
                self._flight = []
                self._timeout_s = self._initial_timeout_s()
                self._patience_s = max(self._timeout_s / 2, LEAST_PATIENCE_S)
                self.sent_s.append([self._loop.time()])
            self._flight.append(data)
            self._arm()
        await self._send_datagram(data)

    async def _recv(self) -> bytes:
        data = await self._receive_datagram()
        if self._done and data[0] > 127:
            self._step_aside()
        elif _is_dtls(data):
            if data in self._seen:
                if self.sent_s and self._loop.time() - self.sent_s[-1][-1] >= self._patience_s:
                    self._resend()
            elif not self._done:
                self._seen.add(data)
                self._answered = True
        return data

    def _step_aside(self) -> None:
        # Media of the peer's proves that it has our last flight: nothing is left to do here.
        self._ice._send = self._send_datagram  # type: ignore[assignment]  # noqa: SLF001
        self._ice._recv = self._receive_datagram  # noqa: SLF001

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._timeout_s, self._expire)

    def _expire(self) -> None:
        self._timeout_s = min(2 * self._timeout_s, self.MAX_TIMEOUT_S)
        self._arm()
        self._resend()

    def _resend(self) -> None:
        if self._flight:
            self.sent_s[-1].append(self._loop.time())
            task = asyncio.ensure_future(self._send_flight(list(self._flight)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_flight(self, flight: list[bytes]) -> None:
        try:
            for data in flight:
                await self._send_datagram(data)
        except ConnectionError:
            pass  # ICE has closed: nobody to resend to


class _OfferedCodecs(dict[str, list[RTCRtpCodecParameters]]):
    """Takes the place of aiortc's list of codecs: the context's own where there is one."""

    def __getitem__(self, kind: str) -> list[RTCRtpCodecParameters]:
        audio = _AUDIO_CODECS.get() if kind == "audio" else None
        return super().__getitem__(kind) if audio is None else audio


class _NoJitterBuffer:
    """Takes the place of aiortc's jitter buffer and never yields a frame, so its decoder thread sleeps."""

    def add(self, _packet: RtpPacket) -> tuple[bool, None]:
        return False, None


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


def _is_dtls(data: bytes) -> bool:
    """Return whether a datagram is a DTLS record. Source: RFC 7983 §7."""
    return len(data) > 0 and 19 < data[0] < 64


def _attribute(owner: object, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__name__
        raise SeamError(
            f"{kind}.{name} is gone: this rtcprobe knows aiortc 1.16 and aioice 0.13, install those"
        ) from None


def _replace(owner: types.ModuleType, name: str, value: object) -> None:
    _attribute(owner, name)
    setattr(owner, name, value)
