"""The part of the seam that a forwarding server needs: packets of somebody else's sent as an m-section's own.

Known to hold for aiortc 1.16; ``tests/runtime/test_forwarding_seam.py`` says which name moved when a new release breaks
it.

Facts:
    A sender of aiortc's sends what a track hands it; without a track it looks for one every 20 ms. Its reports say what
    it last sent; what it keeps to be sent again (NACK), it takes from a history of 128 packets.

Rules:
    1. What is forwarded has the section's own source and mid (RFC 8843 §9.2), and the level that the publisher said
       (RFC 6464); its number, timestamp and payload type are whoever forwards' matter (``forwarding``).
    2. A sender's report tells the publisher's clock, once that has told it (RFC 3550 §7.3, translators): pictures and
       sound that came by different ways stay in step. Before that it tells when packets were forwarded.
    3. Who has sent nothing sends no sender's report (RFC 3550 §6.4). aiortc would, and date it 1900.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiortc.clock
import aiortc.rtcrtpsender
from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import HeaderExtensions, RtcpSrPacket

from rtcprobe.runtime.aiortc_seam import attribute
from rtcprobe.runtime.extensions import level_in
from rtcprobe.runtime.sending_seam import Left
from rtcprobe.runtime.srtp_seam import sealed

__all__ = ["Outgoing", "level_of"]

_HEADER: Final = struct.Struct("!BBHLL")  # RFC 3550 §5.1: version and flags, marker and type, number, timestamp, SSRC
_LEVEL_ID: Final = 2
"""What aiortc calls the audio level, in every offer of its own (``aiortc.codecs.HEADER_EXTENSIONS``)."""


class Outgoing:
    """The sending side of one m-section of a server.

    Nothing leaves before it is open: ICE and DTLS of its transport have connected.
    """

    def __init__(self, sender: RTCRtpSender) -> None:
        """Take the place of what ``sender`` would send.

        Raises:
            SeamError: an internal name has moved.
        """
        self._sender: Any = sender
        for name in ("rtp_history", "ntp_timestamp", "rtp_timestamp", "octet_count", "packet_count", "mid"):
            attribute(sender, f"_RTCRtpSender__{name}")
        attribute(sender, "_run_rtp")
        sender._run_rtp = self._run  # type: ignore[method-assign]  # noqa: SLF001
        self._report: Callable[[list[Any]], Awaitable[None]] = attribute(sender, "_send_rtcp")
        sender._send_rtcp = self._reports  # type: ignore[method-assign]  # noqa: SLF001
        self._kept: int = attribute(aiortc.rtcrtpsender, "RTP_HISTORY_SIZE")
        self._send = sealed(sender.transport)
        self._heads: dict[tuple[bool, int] | None, bytes] = {}
        self._reported = False
        self._loop = asyncio.get_running_loop()
        self.beside_bytes: int | None = None
        """How much larger than its payload the latest packet was; None before any has left."""
        self.open = False
        self.when_open: Callable[[], None] | None = None
        """Called when it opens."""
        self.opened_s: float | None = None
        """The loop's time from which on packets may leave; None before it."""

    @property
    def ssrc(self) -> int:
        """What it sends as."""
        found: int = attribute(self._sender, "_ssrc")
        return found

    def send(
        self, kind: tuple[int, int], sequence: int, timestamp: int, payload: bytes, level: tuple[bool, int] | None
    ) -> bool:
        """Send a packet; return whether it left.

        ``kind`` is its payload type and marker bit; ``level`` is voice or not, and -dBov (RFC 6464 §3).
        """
        if not self.open:
            return False
        sender = self._sender
        head = self._heads.get(level)
        if head is None:
            head = self._heads[level] = self._head(level)
        flags = 0x90 if head else 0x80
        second = kind[0] | kind[1] << 7
        data = _HEADER.pack(flags, second, sequence, timestamp, sender._ssrc) + head + payload  # noqa: SLF001
        sender._RTCRtpSender__rtp_history[sequence % self._kept] = Left(sequence, data)  # noqa: SLF001
        return self._leave(data, timestamp, len(payload))

    def _leave(self, data: bytes, timestamp: int, size_bytes: int) -> bool:
        """Let a packet with ``size_bytes`` of payload leave; return whether it did."""
        sender = self._sender
        try:
            self.beside_bytes = self._send(data) - size_bytes
        except ConnectionError:
            self.open = False  # the path has ended
            return False
        sender._RTCRtpSender__octet_count += size_bytes  # noqa: SLF001
        sender._RTCRtpSender__packet_count += 1  # noqa: SLF001
        if not self._reported:
            sender._RTCRtpSender__ntp_timestamp = aiortc.clock.current_ntp_time()  # noqa: SLF001
            sender._RTCRtpSender__rtp_timestamp = timestamp  # noqa: SLF001
        return True

    def kept(self, sequence: int) -> tuple[int, int] | None:
        """Return the timestamp and the size in bytes of a packet that could be sent again; None of one that is gone."""
        packet = self._sender._RTCRtpSender__rtp_history.get(sequence % self._kept)  # noqa: SLF001
        if packet is None or packet.sequence_number != sequence:
            return None
        return int.from_bytes(packet.data[4:8], "big"), len(packet.data)

    def report(self, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Let reports say from now on what the publisher's said, its timestamp translated."""
        self._reported = True
        self._sender._RTCRtpSender__ntp_timestamp = ntp_timestamp  # noqa: SLF001
        self._sender._RTCRtpSender__rtp_timestamp = rtp_timestamp  # noqa: SLF001

    async def _reports(self, packets: list[Any]) -> None:
        """Send RTCP, but for a sender's report before anything was sent (rule 3)."""
        if self._sender._RTCRtpSender__packet_count or not isinstance(packets[0], RtcpSrPacket):  # noqa: SLF001
            await self._report(packets)

    async def _run(self, codec: RTCRtpCodecParameters) -> None:
        """Take the place of ``RTCRtpSender._run_rtp``: there is no track to look for."""
        del codec
        sender = self._sender
        attribute(sender, "_RTCRtpSender__rtp_started").set()
        self.open, self.opened_s = True, self._loop.time()
        if self.when_open is not None:
            self.when_open()
        try:
            await self._loop.create_future()
        finally:
            self.open = False
            attribute(sender, "_RTCRtpSender__rtp_exited").set()

    def _head(self, level: tuple[bool, int] | None) -> bytes:
        known = attribute(self._sender, "_RTCRtpSender__rtp_header_extensions_map")
        values = HeaderExtensions(mid=attribute(self._sender, "_RTCRtpSender__mid"), audio_level=level)
        profile, value = known.set(values)
        return struct.pack("!HH", profile, len(value) // 4) + value if value else b""


def level_of(packet: Any) -> tuple[bool, int] | None:
    """Return the audio level that a packet says, voice or not and -dBov; None where it says none.

    ``packet`` is aiortc's own, or one that came by express.
    """
    head: bytes | None = getattr(packet, "head", None)
    if head is None:
        said: tuple[bool, int] | None = packet.extensions.audio_level
        return said
    return level_in(head, _LEVEL_ID)
