"""The part of the seam under a sender that adapts: each packet of a transport on its way out, and what comes of it.

Known to hold for aiortc 1.16; ``tests/runtime/test_adapting_seam.py`` says which name moved when a new release breaks
it.

Facts:
    aiortc keeps 128 packets to send again, half a second of 2 Mb/s, sends them again at once, and knows no padding.
    libwebrtc keeps those of the last seconds, lets copies wait in the pacer, and pads with copies of what it sent
    (RTX, RFC 4588 §4).

Rules:
    1. Nothing leaves but through ``leave``, which numbers it: sound and pictures share one counter and one pacer.
    2. Who decides (``call.adaptive``) is told of reports, NACKs and estimates, and asked for nothing else.

Source: libwebrtc ``modules/rtp_rtcp/source/rtp_packet_history.cc`` (9600 packets at most), ``rtp_sender.cc``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import aiortc.clock
from aiortc import RTCRtpSender
from aiortc.rtcrtpsender import RTT_ALPHA
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    unpack_remb_fci,
    wrap_rtx,
)

from rtcprobe.runtime.aiortc_seam import attribute, on_state
from rtcprobe.runtime.extensions import place_of
from rtcprobe.runtime.media_seam import round_trip_s, ssrcs
from rtcprobe.runtime.srtp_seam import sealed
from rtcprobe.runtime.transport_cc_seam import TransportCc
from rtcprobe.runtime.wiretap import is_rtp

__all__ = ["AdaptingPath", "Decides"]

# ``RtpPacketHistory::kMaxCapacity``.
_KEPT: Final = 9600
# Looked through for the padding nearest in size: of one frame or a few, so that what a receiver lost of late
# may come with it.
_RECENT: Final = 8
# RTP's sequence numbers; and the X bit of its first byte (RFC 3550, section 5.1), without which nothing can
# be stamped.
_NUMBERS: Final = 1 << 16
_EXTENDED: Final = 0x10

Send = Callable[[bytes], Awaitable[None]]


class Decides(Protocol):
    """Who decides when what leaves."""

    def begin(self) -> None:
        """Begin: the transport is there."""

    def offer_sound(self, data: bytes) -> None:
        """Take a packet of sound, and of it what is sent again."""

    def offer_picture(self, data: bytes) -> None:
        """Take a packet of the picture, sent for the first time."""

    def asked(self, places: list[int]) -> None:
        """Take in which packets of the picture are asked for again, counted from its first."""

    def reported(self, lost: int, expected: int, rtt_s: float | None) -> None:
        """Take in a receiver report: what it adds, and the round trip that it tells."""

    def estimated(self, rate_bps: float) -> None:
        """Take in the receiver's estimate (REMB)."""

    def end(self) -> None:
        """Send nothing any more."""


class AdaptingPath:
    """The way out of one transport: ``picture`` and the ``sounds`` beside it; ``numbers`` where packets bear any."""

    def __init__(self, picture: RTCRtpSender, decides: Decides) -> None:
        """Take the place of what ``picture`` sends.

        Raises:
            SeamError: an internal name has moved.
        """
        self.numbers: TransportCc | None = None
        self._picture, self._decides = picture, decides
        for name in ("rtp_header_extensions_map", "rtx_payload_type", "rtx_sequence_number"):
            attribute(picture, f"_RTCRtpSender__{name}")
        attribute(picture, "_retransmit")
        self._history: dict[int, bytes] = {}
        self._first: int | None = None  # sequence number of the first packet of the picture
        self._count = 0
        self._told: tuple[int, int] | None = None  # highest number and losses of the latest report
        self._rtt_s: float | None = None
        self._leave: Callable[[bytes], int] | None = None
        self._handle: Callable[[object], Awaitable[None]] = attribute(picture, "_handle_rtcp_packet")
        picture._handle_rtcp_packet = self._handled  # type: ignore[method-assign]  # noqa: SLF001
        self._join(picture, self._offer_picture)

    def beside(self, sound: RTCRtpSender) -> None:
        """Let what ``sound`` sends leave here too."""
        self._join(sound, self._decides.offer_sound)

    def leave(self, data: bytes) -> int | None:
        """Let a packet of RTP leave; return its number on the transport, None where none was agreed on.

        Raises:
            ConnectionError: the path broke.
        """
        assert self._leave is not None
        number = None
        if self.numbers is not None:
            data, number = self.numbers.renumbered(data)
        self._leave(self._timed(data))
        return number

    def left(self, place: int, data: bytes) -> None:
        """Keep packet ``place`` of the picture, to be sent again."""
        self._history[place] = data
        while len(self._history) > _KEPT:
            del self._history[next(iter(self._history))]

    def again(self, place: int) -> bytes | None:
        """Return what packet ``place`` of the picture is sent again as; None where it is kept no longer."""
        data = self._history.get(place)
        return None if data is None else self._wrapped(data) or data

    def padding(self, size_bytes: int) -> bytes | None:
        """Return what fills up: a copy of the packet nearest in size of the last few; None without RTX."""
        recent = [self._history[each] for each in list(self._history)[-_RECENT:]]
        return self._wrapped(min(recent, key=lambda data: abs(len(data) - size_bytes))) if recent else None

    def _join(self, sender: RTCRtpSender, offer: Callable[[bytes], None]) -> None:
        begin: Callable[..., Awaitable[None]] = attribute(sender, "send")

        async def sending(parameters: Any) -> None:
            self._install(sender)  # bundled by now
            sender._rtcprobe_paced = offer  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
            await begin(parameters)

        sender.send = sending  # type: ignore[method-assign]

    def _install(self, sender: RTCRtpSender) -> None:
        if self._leave is not None:
            return
        dtls = sender.transport
        onward: Send = attribute(dtls, "_send_rtp")

        async def send(data: bytes) -> None:
            if is_rtp(data):
                self._decides.offer_sound(data)  # of pictures nothing comes this way
            else:
                await onward(data)

        dtls._send_rtp = send  # type: ignore[method-assign]  # noqa: SLF001
        self._leave = sealed(dtls)
        for state in ("closed", "failed"):
            on_state(dtls, state, self._decides.end)
        if self.numbers is not None:
            self.numbers.at_the_door = True
        self._decides.begin()

    def _offer_picture(self, data: bytes) -> None:
        if self._first is None:
            self._first = int.from_bytes(data[2:4], "big")
        self._count += 1
        self._decides.offer_picture(data)

    async def _handled(self, packet: object) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            self._decides.asked([place for place in map(self._place_of, packet.lost) if place is not None])
            return
        before_s = round_trip_s(self._picture)
        await self._handle(packet)
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            after_s = round_trip_s(self._picture)
            for report in packet.reports:
                if report.ssrc == ssrcs(self._picture)[0]:
                    self._report(report.highest_sequence, report.packets_lost, _latest_s(before_s, after_s))
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            self._estimate(packet)

    def _report(self, highest: int, lost: int, rtt_s: float | None) -> None:
        if self._first is None:
            return
        seen, gone = self._told or (self._first - 1, 0)
        self._told = highest, lost
        more = (highest - seen) % _NUMBERS  # aiortc's receiver does not say how often the number wrapped
        self._decides.reported(max(0, lost - gone), more if more < _NUMBERS // 2 else 0, rtt_s)

    def _estimate(self, packet: RtcpPsfbPacket) -> None:
        try:
            rate_bps, sources = unpack_remb_fci(packet.fci)
        except ValueError:  # another application's
            return
        if ssrcs(self._picture)[0] in sources:
            self._decides.estimated(float(rate_bps))

    def _place_of(self, sequence: int) -> int | None:
        """Return which packet of the picture bears a sequence number: the latest that does."""
        if self._first is None:
            return None
        newest = self._count - 1
        place = newest - ((self._first + newest - sequence) % _NUMBERS)
        return place if place >= 0 else None

    def _wrapped(self, data: bytes) -> bytes | None:
        sender: Any = self._picture
        payload_type = sender._RTCRtpSender__rtx_payload_type  # noqa: SLF001
        if payload_type is None:
            return None
        known = sender._RTCRtpSender__rtp_header_extensions_map  # noqa: SLF001
        number = sender._RTCRtpSender__rtx_sequence_number  # noqa: SLF001
        sender._RTCRtpSender__rtx_sequence_number = (number + 1) % _NUMBERS  # noqa: SLF001
        packet = RtpPacket.parse(data, known)
        again = wrap_rtx(packet, payload_type=payload_type, sequence_number=number, ssrc=sender._rtx_ssrc)  # noqa: SLF001
        return again.serialize(known)

    def _timed(self, data: bytes) -> bytes:
        """Return a packet that says when it left: now."""
        name = attribute(self._picture, "_RTCRtpSender__rtp_header_extensions_map")
        wanted = attribute(name, "_HeaderExtensionsMap__ids").abs_send_time
        if not wanted or not data[0] & _EXTENDED:
            return data
        begin = 12 + 4 * (data[0] & 0x0F)
        until = begin + 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
        place = place_of(data[begin:until], wanted)
        if place is None:
            return data
        at, sent = begin + place, aiortc.clock.current_ntp_time() >> 14 & 0x00FFFFFF
        return data[:at] + sent.to_bytes(3, "big") + data[at + 3 :]


def _latest_s(before_s: float | None, after_s: float | None) -> float | None:
    """Return the round trip that a report told: aiortc keeps it smoothed. None where it told none."""
    if after_s is None or after_s == before_s:
        return None
    return after_s if before_s is None else (after_s - RTT_ALPHA * before_s) / (1 - RTT_ALPHA)
