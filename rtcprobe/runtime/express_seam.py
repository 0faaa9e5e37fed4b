"""Sound goes by express: from a frame to SRTP on the wire, and from the wire to who listens, in one call each.

Known to hold for aiortc 1.16, aioice 0.13 and pylibsrtp 1.0; ``tests/runtime/test_express_seam.py`` says which name
moved when a new release breaks it.

Facts:
    aiortc takes a packet through two tasks and a queue on either side, and writes and reads its RTP header field by
    field: nine tenths of what a call costs. Neither changes a bit on the wire, nor, as virtual time goes, an instant.

Rules:
    1. Only what is certain goes by express: whole packets of a source and payload type that aiortc has routed once, to
       where it routed them. All else (the first of a source, RTCP, DTLS, STUN, whatever is odd) takes its way.
    2. The wire is aiortc's: the header, the extensions and the SRTP session are, and so are its reports and what it
       keeps to be sent again.
    3. Where a sender has to look at each packet (RTX, send times in the header), aiortc's own packets are made.

Not kept up: aiortc's counters of a transport's packets and bytes, which nothing of ours asks for.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, cast, runtime_checkable

import aiortc.clock
import aiortc.rtcrtpsender
import pylibsrtp
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import HeaderExtensions, RtpPacket

from rtcprobe.runtime.aiortc_seam import attribute, ntp_time, on_state
from rtcprobe.runtime.extensions import Timed, place_of, times_in
from rtcprobe.runtime.virtual import VirtualEventLoop

__all__ = ["Came", "EncodedFrame", "Left", "Paced", "express", "hand_over", "sealed", "send_paced"]

_HEADER: Final = struct.Struct("!BBHLL")  # RFC 3550 §5.1: version and flags, marker and type, number, timestamp, SSRC
_ODD_BITS: Final = 0x2F  # padding, and how many contributing sources
_EXTENDED: Final = 0x10
_RTCP_TYPES: Final = range(192, 224)  # with the marker bit. Source: RFC 5761 §4
_MOST_BYTES: Final = 1500 - 144  # pylibsrtp's buffer, less the longest trailer of SRTP

_MOST_KNOWN: Final = 64
"""Extensions of a mouth are the same in each packet; of a browser no two are."""

_PACED: Final[dict[type, bool]] = {}
"""Kinds of tracks, and whether they are ``Paced``."""

Take = Callable[["Came"], None]


class EncodedFrame(NamedTuple):
    """A frame in one RTP payload or several, and its place in time, in ticks of its RTP clock since the first frame.

    Each payload is a packet, the last with the marker bit; they leave one behind the other, at once. ``level`` is how
    loud it is, voice or not and -dBov (RFC 6464 §3); None: that is not said.
    """

    payloads: Sequence[bytes]
    timestamp: int
    level: tuple[bool, int] | None = None


@runtime_checkable
class Paced(Protocol):
    """A track whose frames are ready, each with its instant.

    ``lag_s``: a frame leaves so long after its first sample was captured. Sender reports are dated by capture.
    """

    lag_s: float

    async def ready(self) -> None:
        """Return when it may be sent."""
        ...

    def upcoming_s(self) -> float | None:
        """Return the loop's time at which the next frame is due; None after the last."""
        ...

    def take(self) -> EncodedFrame:
        """Return that frame, and turn to the one after it."""
        ...


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


class Left(NamedTuple):
    """A packet that left, as aiortc keeps it to be sent again."""

    sequence_number: int
    data: bytes

    def serialize(self, _extensions: object) -> bytes:
        """Return it as it left."""
        return self.data


class _Sent(NamedTuple):
    """A packet that left with what differs from packet to packet in its extensions, as aiortc keeps it for RTX."""

    sequence_number: int
    marker: int
    timestamp: int
    payload: bytes
    mid: str
    abs_send_time: int

    @property
    def csrc(self) -> list[int]:
        """Nobody's: it is no mix."""
        return []

    @property
    def extensions(self) -> HeaderExtensions:
        """What it was sent with."""
        return HeaderExtensions(mid=self.mid, abs_send_time=self.abs_send_time)


def send_paced(sender: RTCRtpSender) -> None:
    """Let ``sender`` send what its track has at its instants, where that is ``Paced``.

    Raises:
        SeamError: an internal name has moved.
    """
    usual = attribute(sender, "_run_rtp")
    attribute(sender, "_RTCRtpSender__rtp_history")

    async def run(codec: RTCRtpCodecParameters) -> None:
        track = attribute(sender, "_RTCRtpSender__track")
        if _paces(track):
            await _Sending(sender, track, codec).run()
        else:
            await usual(codec)

    sender._run_rtp = run  # type: ignore[method-assign]  # noqa: SLF001


def _paces(track: object) -> bool:
    """Return whether it is ``Paced``: Python takes a tenth of a millisecond to see, so each kind is looked at once."""
    kind = type(track)
    if kind not in _PACED:
        _PACED[kind] = isinstance(track, Paced)
    return _PACED[kind]


class _Sending:
    """What ``RTCRtpSender._run_rtp`` does, from timers instead of a task."""

    def __init__(self, sender: Any, track: Paced, codec: RTCRtpCodecParameters) -> None:
        self._sender, self._track = sender, track
        assert codec.payloadType is not None
        self._type = codec.payloadType
        self._kept: int = attribute(aiortc.rtcrtpsender, "RTP_HISTORY_SIZE")
        self._loop = asyncio.get_running_loop()
        paced: Callable[[bytes], None] | None = getattr(sender, "_rtcprobe_paced", None)
        self._send = paced or sealed(sender.transport)
        self._again = attribute(sender, "_RTCRtpSender__rtx_payload_type") is not None
        self._mid: str = attribute(sender, "_RTCRtpSender__mid")
        self._stamp: int | None = None
        """Where the time of sending stands in the extensions."""
        self._lag = round(track.lag_s * 2**32)
        self._extensions: dict[tuple[bool, int] | None, bytes] = {}
        """What stands between header and payload, by level, where nothing else in it changes."""
        self._over = self._loop.create_future()
        self._ntp_time: Callable[[], int] = aiortc.clock.current_ntp_time
        if isinstance(self._loop, VirtualEventLoop):  # as it would, without asking which loop this is
            now_s = self._loop.time
            self._ntp_time = lambda: ntp_time(now_s())

    async def run(self) -> None:
        sender = self._sender
        attribute(sender, "_RTCRtpSender__rtp_started").set()
        self._sequence = aiortc.rtcrtpsender.random_sequence_number()
        self._origin = attribute(aiortc.rtcrtpsender, "random32")()
        try:
            await self._track.ready()
            self._schedule()
            await self._over
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass
        finally:
            self._over.cancel()
            attribute(sender, "_RTCRtpSender__track").stop()
            sender._RTCRtpSender__track = sender._RTCRtpSender__encoder = None  # noqa: SLF001
            attribute(sender, "_RTCRtpSender__rtp_exited").set()

    def _schedule(self) -> None:
        due_s = self._track.upcoming_s()
        if due_s is None:
            return
        if isinstance(self._loop, VirtualEventLoop):
            self._loop.at(due_s, self._leave)
        else:
            self._loop.call_at(due_s, self._leave)

    def _leave(self) -> None:
        if self._over.done():
            return
        try:
            frame = self._track.take()
            if self._sender._enabled:  # noqa: SLF001
                for place, payload in enumerate(frame.payloads, 1 - len(frame.payloads)):
                    self._send_packet(payload, frame, marker=not place)
            self._schedule()
        except Exception as error:  # noqa: BLE001 - whoever waits for the end is told
            self._over.set_exception(error)

    def _send_packet(self, payload: bytes, frame: EncodedFrame, *, marker: bool) -> None:
        sender, sequence = self._sender, self._sequence
        timestamp = (self._origin + frame.timestamp) & 0xFFFFFFFF
        kind = self._type | marker << 7
        packet: RtpPacket | Left | _Sent
        head = self._extensions.get(frame.level)
        if head is None:
            packet, data = self._first(payload, sequence, timestamp, frame.level, marker=marker)
        else:
            flags, sent, stamp = 0x90 if head else 0x80, self._ntp_time() >> 14 & 0x00FFFFFF, self._stamp
            if stamp is not None:
                head = head[:stamp] + sent.to_bytes(3, "big") + head[stamp + 3 :]
            data = _HEADER.pack(flags, kind, sequence, timestamp, sender._ssrc) + head + payload  # noqa: SLF001
            again = self._again
            packet = _Sent(sequence, marker, timestamp, payload, self._mid, sent) if again else Left(sequence, data)
        sender._RTCRtpSender__rtp_history[sequence % self._kept] = packet  # noqa: SLF001
        self._send(data)
        # Receivers make sound and picture agree by these: aiortc's own, of when it left, hides a packet's length of it.
        sender._RTCRtpSender__ntp_timestamp = self._ntp_time() - self._lag  # noqa: SLF001
        sender._RTCRtpSender__rtp_timestamp = timestamp  # noqa: SLF001
        sender._RTCRtpSender__octet_count += len(payload)  # noqa: SLF001
        sender._RTCRtpSender__packet_count += 1  # noqa: SLF001
        self._sequence = (sequence + 1) & 0xFFFF

    def _first(
        self, payload: bytes, sequence: int, timestamp: int, level: tuple[bool, int] | None, *, marker: bool
    ) -> tuple[RtpPacket, bytes]:
        """Return a packet made by aiortc; note its extensions where those of the next are the same."""
        sender = self._sender
        packet = RtpPacket(
            payload_type=self._type, marker=int(marker), sequence_number=sequence, timestamp=timestamp,
            ssrc=sender._ssrc, payload=payload,  # noqa: SLF001
        )  # fmt: skip
        packet.extensions.abs_send_time = aiortc.clock.current_ntp_time() >> 14 & 0x00FFFFFF
        packet.extensions.mid = attribute(sender, "_RTCRtpSender__mid")
        packet.extensions.audio_level = level
        known = attribute(sender, "_RTCRtpSender__rtp_header_extensions_map")
        data = packet.serialize(known)
        names = attribute(known, "_HeaderExtensionsMap__ids")
        # Only a picture's are timed, and only a picture is sent again in RTX: neither has a level.
        if not names.transport_sequence_number and not (level is not None and (names.abs_send_time or self._again)):
            head = data[_HEADER.size : len(data) - len(payload)]
            self._stamp = place_of(head, names.abs_send_time)
            if not names.abs_send_time or self._stamp is not None:
                self._extensions[level] = head
        return packet, data


def sealed(dtls: RTCDtlsTransport) -> Callable[[bytes], int]:
    """Return what sends an RTP packet through SRTP and the pair of candidates that was nominated.

    It returns how many bytes left, and raises ``ConnectionError`` where ``dtls`` is not connected.
    """
    connection = attribute(dtls.transport, "_connection")
    nominated: dict[int, Any] = attribute(connection, "_nominated")
    seal: Callable[[bytes], bytes] | None = None

    def send(data: bytes) -> int:
        nonlocal seal
        if dtls._state is not State.CONNECTED:  # noqa: SLF001
            raise ConnectionError("Cannot send encrypted RTP, not connected")
        if seal is None:
            seal = _processed(attribute(dtls, "_tx_srtp"), "srtp_protect")
        pair = nominated.get(1)
        if pair is None:
            raise ConnectionError("Cannot send data, not connected")
        whole = seal(data)
        pair.protocol.transport.sendto(whole, pair.remote_addr)
        return len(whole)

    return send


def _processed(session: pylibsrtp.Session, name: str) -> Callable[[bytes], bytes]:
    """Return one of libsrtp's functions on ``session``, as pylibsrtp calls it but without making what it can keep."""
    function = attribute(attribute(pylibsrtp, "lib"), name)
    state, memory, buffer = (attribute(session, each) for each in ("_srtp", "_cdata", "_buffer"))
    size = attribute(pylibsrtp, "ffi").new("int *")
    context = state[0]

    def process(data: bytes) -> bytes:
        length = len(data)
        if length > _MOST_BYTES:
            raise ValueError(f"an RTP packet of {length} bytes is too long")
        size[0] = length
        buffer[0:length] = data
        code = function(context, memory, size)
        if code:
            raise pylibsrtp.Error(pylibsrtp.ERRORS[code])
        return cast("bytes", buffer[0 : size[0]])

    return process


def express(dtls: RTCDtlsTransport) -> None:
    """Let packets that come over ``dtls`` go by express once it is connected.

    Raises:
        SeamError: an internal name has moved.
    """
    lane = _Lane(dtls)
    dtls._rtcprobe_lane = lane  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
    on_state(dtls, "connected", lane.open)


def hand_over(receiver: RTCRtpReceiver, ssrc: int, payload_type: int, take: Take) -> None:
    """Give the packets of a source and type, which aiortc routed to ``receiver``, to ``take`` from now on."""
    lane = getattr(receiver.transport, "_rtcprobe_lane", None)
    if isinstance(lane, _Lane):
        lane.takers[ssrc, payload_type] = (receiver, take)


class _Lane:
    """What comes over one DTLS transport."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        self.takers: dict[tuple[int, int], tuple[RTCRtpReceiver, Take]] = {}
        self._dtls = dtls
        self._routes: dict[int, RTCRtpReceiver] = attribute(attribute(dtls, "_rtp_router"), "ssrc_table")
        self._debug = attribute(dtls, "_RTCDtlsTransport__log_debug")
        self._extensions = attribute(dtls, "_rtp_header_extensions_map")
        self._known: dict[bytes, Timed] = {}  # extensions that aiortc has read, as they are
        self._forms: set[bytes] = set()  # and without what differs from packet to packet
        self._telling: set[asyncio.Future[None]] = set()  # a loop knows its tasks weakly

    def open(self) -> None:
        """Stand before every protocol of the transport's ICE connection."""
        self._unseal = _processed(attribute(self._dtls, "_rx_srtp"), "srtp_unprotect")
        for protocol in attribute(attribute(self._dtls.transport, "_connection"), "_protocols"):
            self._stand_before(protocol)

    def _stand_before(self, protocol: Any) -> None:
        usual = attribute(protocol, "datagram_received")
        takers, routes, known, dtls = self.takers, self._routes, self._known, self._dtls

        def received(data: bytes, address: tuple[Any, ...]) -> None:
            if len(data) < _HEADER.size or not 127 < data[0] < 192 or data[1] in _RTCP_TYPES:
                usual(data, address)
                return
            flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            receiver, take = takers.get((ssrc, kind & 0x7F), (None, None))
            routed = routes.get(ssrc) is receiver and dtls._state is State.CONNECTED  # noqa: SLF001
            if take is None or not routed or flags & _ODD_BITS:
                usual(data, address)
                return
            try:
                data = self._unseal(data)
            except (pylibsrtp.Error, ValueError) as error:
                self._debug("x SRTP unprotect failed: %s", error)
                return
            begin = _HEADER.size
            if flags & _EXTENDED:
                begin += 4 + 4 * int.from_bytes(data[14:16], "big")
            head = data[_HEADER.size : begin]
            timed = known.get(head) or self._reads(data, head)
            if timed is not None:
                take(Came(sequence, timestamp, ssrc, kind & 0x7F, data[begin:], kind >> 7, head, *timed))

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
