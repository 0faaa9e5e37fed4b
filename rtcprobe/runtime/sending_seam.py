"""Sound and pictures leave by express: from a frame to SRTP on the wire in one call; ``express_seam`` has them come.

Known to hold for aiortc 1.16; ``tests/runtime/test_express_seam.py`` says which name moved when a new release breaks
it.

Rules:
    1. The wire is aiortc's: the header, the extensions and the SRTP session are, and so are its reports and what it
       keeps to be sent again.
    2. Where a header differs from packet to packet by more than a time of sending (transport-wide numbers; a level
       beside such a time, or beside RTX), aiortc's own packets are made.
    3. Where nothing but its packets happens for a while, they coast (``coasting_seam``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import aiortc.clock
import aiortc.rtcrtpsender
from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import HeaderExtensions, RtpPacket

from rtcprobe.runtime.aiortc_seam import attribute, ntp_time
from rtcprobe.runtime.coasting_seam import Coast
from rtcprobe.runtime.extensions import place_of
from rtcprobe.runtime.srtp_seam import HEADER, sealed
from rtcprobe.runtime.virtual import VirtualEventLoop

__all__ = ["EncodedFrame", "Left", "Paced", "send_paced"]

_PACED: Final[dict[type, bool]] = {}
"""Kinds of tracks, and whether they are ``Paced``."""


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

    def ahead_s(self) -> float | None:
        """Return when a frame is due that surely comes, some frames on; None: it cannot be told."""
        ...

    def upcoming_s(self) -> float | None:
        """Return the loop's time at which the next frame is due; None after the last."""
        ...

    def take(self) -> EncodedFrame:
        """Return that frame, and turn to the one after it."""
        ...


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
        self.payload_type = codec.payloadType
        self._ssrc: int = attribute(sender, "_ssrc")
        self._history: dict[int, object] = attribute(sender, "_RTCRtpSender__rtp_history")
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
        self._turn = 0
        self._ntp_time: Callable[[], int] = aiortc.clock.current_ntp_time
        self._coast: Coast | None = None
        if isinstance(self._loop, VirtualEventLoop):
            now_s = self._loop.time
            self._ntp_time = lambda: ntp_time(now_s())  # as it would, without asking which loop this is
            if paced is None:
                self._coast = Coast(self, sender, track, self._loop)

    async def run(self) -> None:
        sender = self._sender
        attribute(sender, "_RTCRtpSender__rtp_started").set()
        self._sequence = aiortc.rtcrtpsender.random_sequence_number()
        self._origin = attribute(aiortc.rtcrtpsender, "random32")()
        try:
            await self._track.ready()
            self.go_on()
            await self._over
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass
        finally:
            self._over.cancel()
            attribute(sender, "_RTCRtpSender__track").stop()
            sender._RTCRtpSender__track = sender._RTCRtpSender__encoder = None  # noqa: SLF001
            attribute(sender, "_RTCRtpSender__rtp_exited").set()

    @property
    def over(self) -> bool:
        """Whether it has ended: nothing leaves any more."""
        return self._over.done()

    def go_on(self) -> None:
        """Set the timer of the next frame; the one set before it, if any, is void."""
        due_s = self._track.upcoming_s()
        self._turn += 1
        if due_s is None:
            return
        if isinstance(self._loop, VirtualEventLoop):
            # Frames that coast need no timer: the next one is that of the first that does not.
            coasts_until_s = None if self._coast is None else self._coast.board(due_s)
            self._loop.at(coasts_until_s or due_s, self._leave, self._turn)
        else:
            self._loop.call_at(due_s, self._leave, self._turn)

    def fail(self, error: Exception) -> None:
        """End, and tell whoever waits for the end."""
        self._over.set_exception(error)

    def packet(self, payload: bytes, frame: EncodedFrame, *, marker: bool) -> bytes:
        """Return the next packet of RTP, with ``payload``; it is kept to be sent again."""
        sequence, timestamp = self._sequence, (self._origin + frame.timestamp) & 0xFFFFFFFF
        packet: RtpPacket | Left | _Sent
        head = self._extensions.get(frame.level)
        if head is None:
            packet, data = self._first(payload, sequence, timestamp, frame.level, marker=marker)
        else:
            again, stamp, sent = self._again, self._stamp, 0
            if again or stamp is not None:
                sent = self._ntp_time() >> 14 & 0x00FFFFFF
            if stamp is not None:
                head = head[:stamp] + sent.to_bytes(3, "big") + head[stamp + 3 :]
            kind = self.payload_type | 0x80 if marker else self.payload_type
            data = HEADER.pack(0x90 if head else 0x80, kind, sequence, timestamp, self._ssrc) + head + payload
            packet = _Sent(sequence, marker, timestamp, payload, self._mid, sent) if again else Left(sequence, data)
        self._history[sequence % self._kept] = packet
        self._sequence = (sequence + 1) & 0xFFFF
        return data

    def sent(self, frame: EncodedFrame, packets: int, octets: int, ntp: int) -> None:
        """Note what has left for the next sender report: so much, ``frame`` being the last, at ``ntp``."""
        sender = self._sender
        # Receivers make sound and picture agree by these: aiortc's own, of when it left, hides a packet's length of it.
        sender._RTCRtpSender__ntp_timestamp = ntp - self._lag  # noqa: SLF001
        sender._RTCRtpSender__rtp_timestamp = (self._origin + frame.timestamp) & 0xFFFFFFFF  # noqa: SLF001
        sender._RTCRtpSender__octet_count += octets  # noqa: SLF001
        sender._RTCRtpSender__packet_count += packets  # noqa: SLF001

    def _leave(self, turn: int) -> None:
        # A timer cannot be taken back (``VirtualEventLoop.at``), so the one of a turn that is past does nothing.
        if turn != self._turn or self._over.done():
            return
        try:
            frame = self._track.take()
            payloads = frame.payloads
            if payloads and self._sender._enabled:  # noqa: SLF001
                for place, payload in enumerate(payloads, 1 - len(payloads)):
                    self._send(self.packet(payload, frame, marker=not place))
                self.sent(frame, len(payloads), sum(map(len, payloads)), self._ntp_time())
            self.go_on()
        except Exception as error:  # noqa: BLE001 - whoever waits for the end is told
            self.fail(error)

    def _first(
        self, payload: bytes, sequence: int, timestamp: int, level: tuple[bool, int] | None, *, marker: bool
    ) -> tuple[RtpPacket, bytes]:
        """Return a packet made by aiortc; note its extensions where those of the next are the same."""
        sender = self._sender
        packet = RtpPacket(
            payload_type=self.payload_type, marker=int(marker), sequence_number=sequence, timestamp=timestamp,
            ssrc=self._ssrc, payload=payload,
        )  # fmt: skip
        packet.extensions.abs_send_time = aiortc.clock.current_ntp_time() >> 14 & 0x00FFFFFF
        packet.extensions.mid = attribute(sender, "_RTCRtpSender__mid")
        packet.extensions.audio_level = level
        known = attribute(sender, "_RTCRtpSender__rtp_header_extensions_map")
        data = packet.serialize(known)
        names = attribute(known, "_HeaderExtensionsMap__ids")
        # Only a picture's are timed, and only a picture is sent again in RTX: neither has a level.
        if not names.transport_sequence_number and not (level is not None and (names.abs_send_time or self._again)):
            head = data[HEADER.size : len(data) - len(payload)]
            self._stamp = place_of(head, names.abs_send_time)
            if not names.abs_send_time or self._stamp is not None:
                self._extensions[level] = head
        return packet, data
