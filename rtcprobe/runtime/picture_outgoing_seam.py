"""The part of the seam by which a forwarding server sends pictures: timed packets, and what is asked for again.

Known to hold for aiortc 1.16; ``tests/runtime/test_picture_outgoing_seam.py`` says which name moved when a new release
breaks it.

Facts:
    aiortc keeps 128 packets of a sender to send again: half a second of a picture of 2 Mbit/s, less than the round trip
    of a far viewer and a second try take. mediasoup keeps two seconds of a picture
    (``MaxRetransmissionDelayForVideoMs`` in ``worker/src/RTC/RtpStreamSend.cpp``, 2019 to 2025).

Rules:
    1. What was sent in the last two seconds can be sent again: in RTX where that was agreed on (RFC 4588 §4), else as
       it was. It leaves at once.
    2. Each packet says when it left (abs-send-time), a copy too: the publisher's own time tells of another path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import aiortc.clock
from aiortc import RTCRtpSender
from aiortc.rtp import RtpPacket, wrap_rtx

from rtcprobe.runtime.aiortc_seam import attribute
from rtcprobe.runtime.forwarding_seam import Outgoing

__all__ = ["KEPT_S", "OutgoingPicture"]

# Facts. At 16 bits of number nothing is mistaken for another so soon: that would take 33,000 packets a
# second.
KEPT_S: Final = 2.0
_NUMBERS: Final = 1 << 16


class _Kept(NamedTuple):
    at_s: float
    kind: tuple[int, int]
    timestamp: int
    payload: bytes


class OutgoingPicture(Outgoing):
    """The sending side of one m-section of pictures; nothing is sent again without ``may_resend``."""

    def __init__(self, sender: RTCRtpSender) -> None:
        """Take the place of what ``sender`` would send.

        Raises:
            SeamError: an internal name has moved.
        """
        super().__init__(sender)
        for name in ("rtp_header_extensions_map", "rtx_payload_type", "rtx_sequence_number"):
            attribute(sender, f"_RTCRtpSender__{name}")
        attribute(sender, "_retransmit")
        sender._retransmit = self._send_again  # type: ignore[method-assign]  # noqa: SLF001
        self.may_resend: Callable[[int], bool] = _never
        """Told the number of what was asked for."""
        self._history: dict[int, _Kept] = {}

    def send(
        self, kind: tuple[int, int], sequence: int, timestamp: int, payload: bytes, level: tuple[bool, int] | None
    ) -> bool:
        """Send a packet; return whether it left. ``kind`` is its payload type and marker bit."""
        del level  # pictures have none
        if not self.open:
            return False
        packet = self._packet(kind, sequence, timestamp, payload)
        now_s = self._loop.time()
        self._keep(sequence, _Kept(now_s, kind, timestamp, payload))
        return self._leave(packet.serialize(self._extensions), timestamp, len(payload))

    @property
    def _extensions(self) -> Any:
        return self._sender._RTCRtpSender__rtp_header_extensions_map  # noqa: SLF001

    def _packet(self, kind: tuple[int, int], sequence: int, timestamp: int, payload: bytes) -> RtpPacket:
        sender = self._sender
        packet = RtpPacket(
            payload_type=kind[0], marker=kind[1], sequence_number=sequence, timestamp=timestamp,
            ssrc=sender._ssrc, payload=payload,  # noqa: SLF001
        )  # fmt: skip
        packet.extensions.mid = sender._RTCRtpSender__mid  # noqa: SLF001
        packet.extensions.abs_send_time = aiortc.clock.current_ntp_time() >> 14 & 0x00FFFFFF
        return packet

    def _keep(self, sequence: int, kept: _Kept) -> None:
        history = self._history
        history.pop(sequence, None)
        history[sequence] = kept
        while history and kept.at_s - history[oldest := next(iter(history))].at_s > KEPT_S:
            del history[oldest]

    async def _send_again(self, sequence_number: int) -> None:
        """Take the place of ``RTCRtpSender._retransmit`` (rule 1)."""
        sequence, sender = sequence_number, self._sender
        kept = self._history.get(sequence)
        if kept is None or not self.open or self._loop.time() - kept.at_s > KEPT_S or not self.may_resend(sequence):
            return
        packet = self._packet(kept.kind, sequence, kept.timestamp, kept.payload)
        payload_type = sender._RTCRtpSender__rtx_payload_type  # noqa: SLF001
        if payload_type is not None:
            number = sender._RTCRtpSender__rtx_sequence_number  # noqa: SLF001
            packet = wrap_rtx(packet, payload_type=payload_type, sequence_number=number, ssrc=sender._rtx_ssrc)  # noqa: SLF001
            sender._RTCRtpSender__rtx_sequence_number = (number + 1) % _NUMBERS  # noqa: SLF001
        try:
            self._send(packet.serialize(self._extensions))
        except ConnectionError:
            self.open = False


def _never(_sequence: int) -> bool:
    """Send nothing again."""
    return False
