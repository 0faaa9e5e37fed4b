"""The part of the seam that paces: what a sender hands to its transport leaves as libwebrtc's pacer lets it.

Facts:
    aiortc sends all packets of a frame in one go, so that a key frame of 12 kB is eleven datagrams in one instant: on a
    link with a short queue, or a policer, it loses what a browser would not. Browsers pace: 2.5 times the rate they aim
    at, in bursts of 40 ms at most (``control.pacer``); a frame within that still leaves in one go.

Rule: sound is not paced. What is sent again comes before what is new. Times in packets (abs-send-time, sender reports)
    stay those of the hand-over.

Source: ``kDefaultPaceMultiplier``, 2.5, in ``modules/congestion_controller/goog_cc`` of libwebrtc.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiortc import RTCRtpSender

from rtcprobe.control.pacer import Pacer
from rtcprobe.runtime.aiortc_seam import attribute
from rtcprobe.runtime.media_seam import ssrcs
from rtcprobe.runtime.srtp_seam import sealed
from rtcprobe.runtime.wiretap import is_rtp

__all__ = ["PACE_FACTOR", "pace"]

# Times the bit rate that the camera is set to, not that of its frames: one that came out larger waits.
PACE_FACTOR: Final = 2.5
_FIELDS = struct.Struct("!HII")  # sequence number, timestamp, SSRC: from the third byte of RTP on

Send = Callable[[bytes], Awaitable[None]]


def pace(sender: RTCRtpSender, pacing_bps: float) -> None:
    """Let what ``sender`` sends leave at ``pacing_bps``, once it begins.

    Raises:
        SeamError: an internal name has moved.
    """
    begin: Callable[..., Awaitable[None]] = attribute(sender, "send")

    async def sending(parameters: Any) -> None:
        transport = sender.transport  # bundled by now
        paced = _Paced(sender, attribute(transport, "_send_rtp"), pacing_bps)
        transport._send_rtp = paced.send  # type: ignore[method-assign]  # noqa: SLF001
        sender._rtcprobe_paced = paced.offer  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
        await begin(parameters)

    sender.send = sending  # type: ignore[method-assign]


class _Paced:
    """Takes the packets of one sender on their way to the transport; all others pass."""

    def __init__(self, sender: RTCRtpSender, onward: Send, pacing_bps: float) -> None:
        self._media_ssrc, self._rtx_ssrc = ssrcs(sender)
        self._onward, self._leave = onward, sealed(sender.transport)
        self._loop = asyncio.get_running_loop()
        self._leaving: list[bytes] = []
        self._pacer = Pacer(lambda data, _size, _cluster: self._leaving.append(data))
        self._pacer.pacing_bps = pacing_bps
        self._newest: int | None = None
        self._due: asyncio.TimerHandle | None = None

    async def send(self, data: bytes) -> None:
        """Send ``data``, or let it wait its turn."""
        sequence, _, ssrc = _FIELDS.unpack_from(data, 2) if is_rtp(data) else (0, 0, None)
        if ssrc not in (self._media_ssrc, self._rtx_ssrc):
            await self._onward(data)
            return
        again = ssrc == self._rtx_ssrc or self._is_old(sequence)
        self._pacer.put("retransmission" if again else "video", data, len(data), self._loop.time())
        self._drain()

    def offer(self, data: bytes) -> None:
        """Send a packet of the track itself for the first time, or let it wait its turn.

        Raises:
            ConnectionError: the path broke.
        """
        self._newest = int.from_bytes(data[2:4], "big")
        self._pacer.put("video", data, len(data), self._loop.time())
        self._drain()

    def _is_old(self, sequence: int) -> bool:
        """Return whether a packet of the track itself is sent again: without RTX it bears its old number."""
        if self._newest is not None and (sequence - self._newest) % 2**16 >= 2**15:
            return True
        again, self._newest = sequence == self._newest, sequence
        return again

    def _drain(self) -> None:
        self._pacer.process(self._loop.time())
        leaving, self._leaving = self._leaving, []
        if self._due is not None:
            self._due.cancel()
            self._due = None
        next_s = self._pacer.next_s
        if self._pacer.queue_bytes:
            self._due = self._loop.call_at(next_s, self._again)
        for data in leaving:
            self._leave(data)

    def _again(self) -> None:
        self._due = None
        try:
            self._drain()
        except ConnectionError:
            self._pacer.flush()  # the path broke: aiortc's own sender ends by the same error
