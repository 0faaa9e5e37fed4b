"""Sound and pictures come by express: from the wire to who listens, in one call; ``sending_seam`` is the other half.

Known to hold for aiortc 1.16, aioice 0.13 and pylibsrtp 1.0; ``tests/runtime/test_express_seam.py`` says which name
moved when a new release breaks it.

Facts:
    aiortc takes a packet through two tasks and a queue on either side, and writes and reads its RTP header field by
    field: nine tenths of what a call costs. Neither changes a bit on the wire, nor, as virtual time goes, an instant.

Rules:
    1. Only what is certain goes by express: whole packets of a source and payload type that aiortc has routed once, to
       where it routed them. All else (the first of a source, RTCP, DTLS, STUN, whatever is odd) takes its way.
    2. The wire is aiortc's: the SRTP session is, and so are its reports and what they count.

Not kept up: aiortc's counters of a transport's packets and bytes, which nothing of ours asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import aiortc.clock
import pylibsrtp
from aiortc import RTCDtlsTransport, RTCRtpReceiver
from aiortc.rtcdtlstransport import State
from aiortc.rtp import RtpPacket

from rtcprobe.runtime.aiortc_seam import attribute, on_state
from rtcprobe.runtime.extensions import Timed, times_in
from rtcprobe.runtime.srtp_seam import HEADER, opening
from rtcprobe.runtime.statistics_seam import Counted

__all__ = ["Came", "Lane", "Note", "Taker", "express", "hand_over", "lane_before"]

_FIELDS: Final = HEADER.unpack_from
_tuple: Final = tuple.__new__
_ODD_BITS: Final = 0x2F  # padding, and how many contributing sources
_EXTENDED: Final = 0x10
_RTCP_TYPES: Final = range(192, 224)  # with the marker bit. Source: RFC 5761 §4

_MOST_KNOWN: Final = 64
"""Extensions of a mouth are the same in each packet; of a browser no two are."""

Take = Callable[["Came"], None]

Note = Callable[[float, int, int, bytes, int], None]
"""Notes a packet: when it came (seconds since the epoch), number, timestamp, payload, type. Nobody wakes of it."""


class Came(NamedTuple):
    """An RTP packet that came, under aiortc's names."""

    sequence_number: int
    timestamp: int
    ssrc: int
    payload_type: int
    payload: bytes
    marker: int = 0
    head: bytes = b""
    """What stands between header and payload: the extensions, with their own header (RFC 8285 §4.2)."""
    abs_send_time: int | None = None
    transport_sequence_number: int | None = None

    @property
    def extensions(self) -> Came:
        """What of the extensions was read: where aiortc has it, too."""
        return self


class Taker(NamedTuple):
    """Who takes the packets of one source and type."""

    receiver: RTCRtpReceiver
    take: Take
    notes: Callable[[], Note | None]
    """Return what notes a packet, if all that comes of one now is that it is noted, and counted; None otherwise."""
    counts: Callable[[Iterable[Counted]], None]
    """Counts packets into aiortc's statistics of the source."""


def express(dtls: RTCDtlsTransport) -> None:
    """Let packets that come over ``dtls`` go by express once it is connected.

    Raises:
        SeamError: an internal name has moved.
    """
    lane = Lane(dtls)
    dtls._rtcprobe_lane = lane  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
    on_state(dtls, "connected", lane.open)


def hand_over(receiver: RTCRtpReceiver, ssrc: int, payload_type: int, taker: Taker) -> None:
    """Give the packets of a source and type, which aiortc routed to ``receiver``, to ``taker`` from now on."""
    lane = getattr(receiver.transport, "_rtcprobe_lane", None)
    if isinstance(lane, Lane):
        lane.takers[ssrc, payload_type] = taker


def lane_before(protocol: object) -> Lane | None:
    """Return the lane that stands before aioice's ``protocol``; None where none does."""
    lane = getattr(protocol, "_rtcprobe_lane", None)
    return lane if isinstance(lane, Lane) else None


class Lane:
    """What comes over one DTLS transport."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        self.takers: dict[tuple[int, int], Taker] = {}
        self._dtls = dtls
        self._routes: dict[int, RTCRtpReceiver] = attribute(attribute(dtls, "_rtp_router"), "ssrc_table")
        self._debug = attribute(dtls, "_RTCDtlsTransport__log_debug")
        self._extensions = attribute(dtls, "_rtp_header_extensions_map")
        self._known: dict[bytes, Timed] = {}  # extensions that aiortc has read, as they are
        self._forms: set[bytes] = set()  # and without what differs from packet to packet
        self._telling: set[asyncio.Future[None]] = set()  # a loop knows its tasks weakly

    def open(self) -> None:
        """Stand before every protocol of the transport's ICE connection."""
        self._unseal = opening(self._dtls)
        for protocol in attribute(attribute(self._dtls.transport, "_connection"), "_protocols"):
            self._stand_before(protocol)
            protocol._rtcprobe_lane = self  # noqa: SLF001 - our own mark

    def taker(self, ssrc: int, payload_type: int) -> Taker | None:
        """Return who takes packets of a source and type; None where aiortc routes them elsewhere, or nowhere yet."""
        taker = self.takers.get((ssrc, payload_type))
        if taker is None or self._routes.get(ssrc) is not taker.receiver:
            return None
        return taker if self._dtls._state is State.CONNECTED else None  # noqa: SLF001

    def opened(self, data: bytes) -> Came | None:
        """Return the packet in a datagram of SRTP; None where it is none, or aiortc cannot read it and is told."""
        try:
            data = self._unseal(data)
        except (pylibsrtp.Error, ValueError) as error:
            self._debug("x SRTP unprotect failed: %s", error)
            return None
        flags, kind, sequence, timestamp, ssrc = _FIELDS(data)
        begin = HEADER.size
        if flags & _EXTENDED:
            begin += 4 + 4 * (data[14] << 8 | data[15])
        head = data[HEADER.size : begin]
        timed = self._known.get(head) or self._reads(data, head)
        if timed is None:
            return None
        # As ``Came(...)``, in half of its time.
        return _tuple(Came, (sequence, timestamp, ssrc, kind & 0x7F, data[begin:], kind >> 7, head, *timed))

    def _stand_before(self, protocol: Any) -> None:
        usual = attribute(protocol, "datagram_received")
        taker_of, opened = self.taker, self.opened

        def received(data: bytes, address: tuple[Any, ...]) -> None:
            if len(data) < HEADER.size or not 127 < data[0] < 192 or data[1] in _RTCP_TYPES or data[0] & _ODD_BITS:
                usual(data, address)
                return
            taker = taker_of(int.from_bytes(data[8:12], "big"), data[1] & 0x7F)
            if taker is None:
                usual(data, address)
                return
            came = opened(data)
            if came is not None:
                taker.take(came)

        protocol.datagram_received = received

    def _reads(self, data: bytes, head: bytes) -> Timed | None:
        """Return what a packet with the extensions ``head`` says of time; None where aiortc cannot read it.

        Then aiortc is told what came.
        """
        ids = attribute(self._extensions, "_HeaderExtensionsMap__ids")
        timed, form = times_in(head, ids.abs_send_time, ids.transport_sequence_number)
        if form in self._forms:
            return timed
        try:
            RtpPacket.parse(data, self._extensions)
        except Exception:  # noqa: BLE001 - whatever it is, who counts such packets will meet it again
            now_ms = aiortc.clock.current_ms()
            told = asyncio.ensure_future(self._dtls._handle_rtp_data(data, arrival_time_ms=now_ms))  # noqa: SLF001
            self._telling.add(told)
            told.add_done_callback(self._telling.discard)
            return None
        if len(self._forms) < _MOST_KNOWN:
            self._forms.add(form)
            if form == head:
                self._known[head] = timed
        return timed
