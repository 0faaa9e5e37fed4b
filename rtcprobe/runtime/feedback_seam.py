"""The part of the seam that touches RTCP: asking the far side for packets and key frames, being asked, its reports.

Known to hold for aiortc 1.16; ``tests/runtime/test_feedback_seam.py`` says which name moved when a new release breaks
it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import RTCP_PSFB_FIR, RtcpPsfbPacket, RtcpSrPacket

from rtcprobe.runtime.aiortc_seam import attribute
from rtcprobe.wrapping import without_wraps

__all__ = ["Feedback", "when_key_frame_asked", "when_reported"]

_FIR_ENTRY = struct.Struct("!II")  # RFC 5104 §4.3.1.1: SSRC; command number in the uppermost byte


class Feedback:
    """What a receiver may ask a sender for, at any time: packets (RFC 4585 §6.2.1), a key frame (§6.3.1)."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        """Ask on behalf of ``receiver``.

        Raises:
            SeamError: an internal name has moved.
        """
        self._nack: Callable[[int, list[int]], Coroutine[Any, Any, None]] = attribute(receiver, "_send_rtcp_nack")
        self._pli: Callable[[int], Coroutine[Any, Any, None]] = attribute(receiver, "_send_rtcp_pli")
        self._asking: set[asyncio.Task[None]] = set()

    def ask_again(self, ssrc: int, sequences: Sequence[int]) -> None:
        """Ask the source ``ssrc`` for packets again, by their numbers, in ascending order."""
        for ascending in without_wraps(sequences) if sequences else ():
            self._send(self._nack(ssrc, ascending))

    def ask_key_frame(self, ssrc: int) -> None:
        """Ask the source ``ssrc`` for a key frame (PLI)."""
        self._send(self._pli(ssrc))

    def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(sending)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


def when_key_frame_asked(sender: RTCRtpSender, call: Callable[[], None]) -> None:
    """Call ``call`` whenever the far side asks ``sender`` for a key frame.

    It asks by PLI (RFC 4585 §6.3.1) or FIR (RFC 5104 §4.3.1). aiortc itself only sets a flag that it looks at when it
    encodes. A FIR names the source in its entries and leaves the header's field 0, by which aiortc looks for the
    sender: none is found. A FIR that was repeated (its command number is the latest one's) is obeyed once.

    Raises:
        SeamError: an internal name has moved.
    """
    attribute(sender, "_send_keyframe")
    sender._send_keyframe = call  # type: ignore[method-assign]  # noqa: SLF001
    router = attribute(sender.transport, "_rtp_router")
    route: Callable[[Any], set[Any]] = attribute(router, "route_rtcp")
    latest: int | None = None

    def routed(packet: object) -> set[Any]:
        nonlocal latest
        found = route(packet)
        if not isinstance(packet, RtcpPsfbPacket) or packet.fmt != RTCP_PSFB_FIR:
            return found
        for ssrc, command in _FIR_ENTRY.iter_unpack(packet.fci[: len(packet.fci) // 8 * 8]):
            if ssrc == sender._ssrc and command >> 24 != latest:  # noqa: SLF001
                latest = command >> 24
                call()
        return found - {sender}

    router.route_rtcp = routed


def when_reported(receiver: RTCRtpReceiver, call: Callable[[int, int, int], None]) -> None:
    """Call ``call`` with every sender report (RFC 3550 §6.4.1) that came to ``receiver``.

    It is told the source, the wall clock of that source as an NTP timestamp (units of 2^-32 s), and the RTP time
    captured then.

    Raises:
        SeamError: an internal name has moved.
    """
    handle: Callable[[object], Awaitable[None]] = attribute(receiver, "_handle_rtcp_packet")

    async def handled(packet: object) -> None:
        if isinstance(packet, RtcpSrPacket):
            said = packet.sender_info
            call(packet.ssrc, said.ntp_timestamp, said.rtp_timestamp)
        await handle(packet)

    receiver._handle_rtcp_packet = handled  # type: ignore[method-assign]  # noqa: SLF001
