"""The part of the seam that touches aiortc's senders and receivers: frames in, packets out, what both ends agreed on.

Known to hold for aiortc 1.16; ``tests/runtime/test_media_seam.py`` says which name moved when a new release breaks it.

Fact: aiortc's audio jitter buffer counts packets, not time: RTP is taken before it.

Rule: no encoder of aiortc's, no jitter buffer and no decoder takes part in a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci, unwrap_rtx

from rtcprobe.runtime import express_seam, sending_seam
from rtcprobe.runtime.aiortc_seam import attribute, without_decoder
from rtcprobe.runtime.express_seam import Note
from rtcprobe.runtime.sending_seam import EncodedFrame
from rtcprobe.runtime.statistics_seam import counting
from rtcprobe.wrapping import without_wraps

__all__ = [
    "EncodedFrame",
    "MediaPath",
    "limit_resends",
    "media_path",
    "only_possible_round_trips",
    "round_trip_s",
    "route_by_mid",
    "send_encoded",
    "skip_unreadable",
    "ssrcs",
    "take_rtp",
]

LOG: Final = logging.getLogger("rtcprobe")

RtpHandler = Callable[[RtpPacket], Sequence[int]]

_DTLS_LOG = "_RTCDtlsTransport__log_debug"
_SENDER_ENCODER = "_RTCRtpSender__encoder"
_SENDER_ROUND_TRIP = "_RTCRtpSender__rtt"
_RECEIVER_STREAMS = "_RTCRtpReceiver__remote_streams"
_RECEIVER_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_RECEIVER_NACK = "_RTCRtpReceiver__nack_generator"
_RECEIVER_SSRC = "_RTCRtpReceiver__rtcp_ssrc"

_RTX_HEADER_BYTES = 2  # RFC 4588 §4: the original sequence number


def send_encoded(sender: RTCRtpSender) -> None:
    """Let ``sender`` send ``EncodedFrame`` items of its track as they are.

    Without this it would open a libopus encoder and a resampler of its own when the first frame comes, a few
    milliseconds of CPU just when the join is timed.

    Raises:
        SeamError: an internal name has moved.
    """
    attribute(sender, _SENDER_ENCODER)
    setattr(sender, _SENDER_ENCODER, _Packer())
    sending_seam.send_paced(sender)


class _Packer:
    """Takes the place of aiortc's encoder: what comes in is encoded already."""

    def pack(self, frame: EncodedFrame) -> tuple[list[bytes], int]:
        return list(frame.payloads), frame.timestamp


def take_rtp(
    receiver: RTCRtpReceiver,
    handler: RtpHandler,
    *,
    resent: RtpHandler | None = None,
    estimates: Callable[[], bool] = bool,
    notes: Callable[[int], Note | None] = lambda _ssrc: None,
) -> None:
    """Give every RTP packet to ``handler`` at its arrival, after SRTP, in order of arrival.

    What comes again in RTX (RFC 4588) goes to ``resent``, with the source, number and type it had at first; without
    ``resent`` it is left out. The sequence numbers they return are asked for again (NACK). aiortc goes on to keep its
    RTCP statistics; its jitter buffer gets nothing, its own NACKs are off, and its decoder gets no thread. After the
    first packet of a source nothing else of its own handling matters to a call, so the rest is left out: but for its
    estimate of the line, where it ``estimates``, told the sender by REMB (draft-alvestrand-rmcat-remb-03). Without one
    senders that adapt stay where they began.

    ``notes`` returns what notes the packets of a source, where ``handler`` does that with them now and nothing more:
    such may come many in a row (``coasting_seam``).

    Raises:
        SeamError: an internal name has moved.
    """
    taking = _Taking(receiver, handler, resent, estimates, notes)
    for name, stand_in in ((_RECEIVER_JITTER_BUFFER, _NoJitterBuffer()), (_RECEIVER_NACK, None)):
        attribute(receiver, name)
        setattr(receiver, name, stand_in)
    receiver._handle_rtp_packet = taking.packet  # type: ignore[method-assign]  # noqa: SLF001
    receiver.receive = taking.begin  # type: ignore[method-assign]


def route_by_mid(dtls: RTCDtlsTransport) -> None:
    """Let a source that was not announced belong to the m-section that its packets name (RFC 8843 §9.2).

    aiortc goes by payload type alone, and drops such a source where two sections agreed on the same one.

    Raises:
        SeamError: an internal name has moved.
    """
    router = attribute(dtls, "_rtp_router")
    route: Callable[[RtpPacket], object] = attribute(router, "route_rtp")
    by_ssrc: dict[int, object] = attribute(router, "ssrc_table")
    by_mid: dict[str, object] = attribute(router, "mid_table")

    def routed(packet: RtpPacket) -> object:
        if packet.ssrc not in by_ssrc and packet.extensions.mid in by_mid:
            by_ssrc[packet.ssrc] = by_mid[packet.extensions.mid]
        return route(packet)

    router.route_rtp = routed


class _Taking:
    """What ``take_rtp`` does with the packets of one receiver."""

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        handler: RtpHandler,
        resent: RtpHandler | None,
        estimates: Callable[[], bool],
        notes: Callable[[int], Note | None],
    ) -> None:
        self._notes = notes
        self._receiver, self._handler, self._resent = receiver, handler, resent
        self._handle: Callable[..., Awaitable[None]] = attribute(receiver, "_handle_rtp_packet")
        self._ask_again: Callable[[int, list[int]], Awaitable[None]] = attribute(receiver, "_send_rtcp_nack")
        self._receive = receiver.receive
        self._streams: dict[int, aiortc.rtcrtpreceiver.StreamStatistics] = attribute(receiver, _RECEIVER_STREAMS)
        self._estimating = _Estimating(receiver, estimates)
        self._asking: list[asyncio.Future[None]] = []
        self._wrapped: dict[int, tuple[int, Mapping[int, int]]] = {}  # of RTX: type inside, source inside by source

    async def begin(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin to receive, without a decoder."""
        self._wrapped.update(_inside_rtx(parameters))
        with without_decoder():
            await self._receive(parameters)

    async def packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Take a packet that came aiortc's way."""
        inside = self._wrapped.get(packet.payload_type) if self._wrapped else None
        taken = packet if inside is None else _unwrapped(packet, *inside)
        missing: Sequence[int] = ()
        if inside is None:
            missing = self._handler(packet)
        elif taken is not None and self._resent is not None:
            missing = self._resent(taken)
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            await self._handle(packet, arrival_time_ms=arrival_time_ms)
        else:
            stream.add(packet)
            if self._estimating.wanted():
                await self._estimating.packet(packet, arrival_time_ms)
            elif inside is None:
                take, notes = partial(self._directly, stream), partial(self._notes, packet.ssrc)
                taker = express_seam.Taker(self._receiver, take, notes, counting(stream))
                express_seam.hand_over(self._receiver, packet.ssrc, packet.payload_type, taker)
        if missing and taken is not None:
            for ascending in without_wraps(missing):
                await self._ask_again(taken.ssrc, ascending)

    def _directly(self, stream: aiortc.rtcrtpreceiver.StreamStatistics, packet: express_seam.Came) -> None:
        """Take a packet that came by express."""
        alike = cast("RtpPacket", packet)  # both read names that are there
        missing = self._handler(alike)
        stream.add(alike)
        for ascending in without_wraps(missing) if missing else ():
            self._asking.append(asyncio.ensure_future(self._ask_again(packet.ssrc, ascending)))
            self._asking[:] = [each for each in self._asking if not each.done()]


class _Estimating:
    """What aiortc's receiver of pictures does about the line: an estimate, and REMB whenever that has a new one."""

    def __init__(self, receiver: RTCRtpReceiver, wanted: Callable[[], bool]) -> None:
        self.wanted = wanted
        """Asked with each packet: what was agreed on is known by then."""
        self._receiver = receiver
        self._estimator = attribute(receiver, "_RTCRtpReceiver__remote_bitrate_estimator")
        self._send: Callable[[RtcpPsfbPacket], Awaitable[None]] = attribute(receiver, "_send_rtcp")
        attribute(receiver, _RECEIVER_SSRC)

    async def packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Take a packet; one that does not say when it was sent tells nothing."""
        sent = packet.extensions.abs_send_time
        if sent is None:
            return
        size = len(packet.payload) + packet.padding_size
        found = self._estimator.add(
            abs_send_time=sent, arrival_time_ms=arrival_time_ms, payload_size=size, ssrc=packet.ssrc
        )
        own: int | None = attribute(self._receiver, _RECEIVER_SSRC)
        if found is not None and own is not None:
            fci = pack_remb_fci(*found)
            await self._send(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=own, media_ssrc=0, fci=fci))


def _inside_rtx(parameters: RTCRtpReceiveParameters) -> Iterator[tuple[int, tuple[int, Mapping[int, int]]]]:
    """Yield each payload type of RTX that was agreed on: the type of what is inside, and its source by RTX's own."""
    media_of = {each.rtx.ssrc: each.ssrc for each in parameters.encodings if each.rtx is not None}
    for codec in parameters.codecs:
        of = codec.parameters.get("apt") if is_rtx(codec) else None
        if codec.payloadType is not None and isinstance(of, int):
            yield codec.payloadType, (of, media_of)


def _unwrapped(packet: RtpPacket, payload_type: int, media_of: Mapping[int, int]) -> RtpPacket | None:
    """Return the packet inside ``packet`` of RTX; None of one that is empty (padding) or of no source that is known."""
    ssrc = media_of.get(packet.ssrc)
    if ssrc is None or len(packet.payload) < _RTX_HEADER_BYTES:
        return None
    return unwrap_rtx(packet, payload_type=payload_type, ssrc=ssrc)


def skip_unreadable(dtls: RTCDtlsTransport, skipped: Callable[[], None]) -> None:
    """Drop each packet of ``dtls`` that the stack cannot read, and tell ``skipped``.

    aiortc expects ``ValueError`` alone of its parsers; anything else (an extension of the wrong length, a name that is
    no UTF-8) would end the task that receives, and the whole media path with it, without a word.

    Raises:
        SeamError: an internal name has moved.
    """

    def careful(handle: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def handled(*args: Any, **options: Any) -> None:
            try:
                await handle(*args, **options)
            except (ConnectionError, asyncio.CancelledError):
                raise
            except Exception as error:
                LOG.debug("a packet was not read: %s", error, exc_info=error)
                skipped()

        return handled

    for name in ("_handle_rtp_data", "_handle_rtcp_data"):
        setattr(dtls, name, careful(attribute(dtls, name)))
    said: Callable[..., None] = attribute(dtls, _DTLS_LOG)

    def saying(message: str, *args: object) -> None:
        if message.endswith("parsing failed: %s"):  # what aiortc drops by itself, it says here alone
            skipped()
        said(message, *args)

    setattr(dtls, _DTLS_LOG, saying)


def only_possible_round_trips(sender: RTCRtpSender) -> None:
    """Leave out round trips of less than nothing.

    aiortc takes the time since its report left, by the wall clock, less the time that the far side says it kept it
    (RFC 3550 §6.4.1): where that clock was set back meanwhile, or the far side lies, nothing is left. One such value
    would spoil the smoothed one for minutes.

    Raises:
        SeamError: an internal name has moved.
    """
    handle: Callable[..., Awaitable[None]] = attribute(sender, "_handle_rtcp_packet")
    attribute(sender, _SENDER_ROUND_TRIP)

    async def handled(packet: object) -> None:
        before_s: float | None = getattr(sender, _SENDER_ROUND_TRIP)
        await handle(packet)
        after_s: float | None = getattr(sender, _SENDER_ROUND_TRIP)
        if after_s is None or after_s == before_s:
            return
        # The smoothed value falls by no more than to RTT_ALPHA of itself, unless what came in was below nothing.
        least_s = 0.0 if before_s is None else aiortc.rtcrtpsender.RTT_ALPHA * before_s
        if after_s < least_s:
            setattr(sender, _SENDER_ROUND_TRIP, before_s)

    sender._handle_rtcp_packet = handled  # type: ignore[method-assign]  # noqa: SLF001


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


def round_trip_s(sender: RTCRtpSender) -> float | None:
    """Return the round trip that ``sender`` measured by RTCP reports, smoothed; None before the first.

    Raises:
        SeamError: an internal name has moved.
    """
    measured: float | None = attribute(sender, _SENDER_ROUND_TRIP)
    return measured


def ssrcs(sender: RTCRtpSender) -> tuple[int, int]:
    """Return the sources that ``sender`` sends as: its track, and what of it is sent again in RTX (RFC 4588 §4).

    Raises:
        SeamError: an internal name has moved.
    """
    return attribute(sender, "_ssrc"), attribute(sender, "_rtx_ssrc")


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


class _NoJitterBuffer:
    """Takes the place of aiortc's jitter buffer and never yields a frame."""

    def add(self, _packet: RtpPacket) -> tuple[bool, None]:
        return False, None
