"""What a voice agent itself knows of a call: when packets came, when it began to speak, when it fell silent.

Facts:
    Every process of a machine has the same monotonic clock (Linux: CLOCK_MONOTONIC), so an agent's instants and
    those of whoever measures it need no synchronising.

Rules:
    1. ``came`` has an instant for each RTP timestamp of the caller's: when aiortc was handed the packet, before its
       jitter buffer. ``spoke`` has, for each stretch of voice, when the packets left that hold its first and its last
       audible sample; which those are is told by what was handed to the sender, not by what it sounds like.
    2. A gap shorter than ``GAP_S`` is a pause of the same stretch.
    3. This is written beside the agent and shares no line with rtcprobe: it is what rtcprobe is compared with.
"""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
from aiortc import RTCDtlsTransport, RTCRtpReceiver

__all__ = ["Truth", "watch_packets"]

GAP_S = 0.45
RATE, PACKET = 48_000, 960
LOOK_AHEAD = 312
"""Samples by which Opus decodes late (RFC 7845 §4.2: 6.5 ms in libopus): sample ``n`` comes out as ``n + 312``."""
_AUDIBLE = 60  # of 32,768: -55 dBFS


class Truth:
    """The log of one session."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self.left: dict[int, float] = {}
        self.events: list[tuple[float, str]] = []
        self._spoke: list[list[int]] = []

    def hands_over(self, samples: np.ndarray, position: int, rate: int) -> None:
        """Note a chunk of 16-bit samples that the sender is handed now: ``position`` is its first, at ``rate``."""
        loud = np.flatnonzero(np.abs(samples.reshape(-1).astype(np.int32)) >= _AUDIBLE)
        if not len(loud):
            return
        first, last = ((position + int(each)) * RATE // rate for each in (loud[0], loud[-1]))
        if self._spoke and first - self._spoke[-1][1] < GAP_S * RATE:
            self._spoke[-1][1] = last
        else:
            self._spoke.append([first, last])

    def happened(self, what: str) -> None:
        """Note what the agent says of itself."""
        self.events.append((time.monotonic(), what))

    def told(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        spoke = [[self._left_s(first), self._left_s(last)] for first, last in self._spoke]
        return {"came": self.came, "spoke": spoke, "events": self.events}

    def _left_s(self, position: int) -> float | None:
        """Return when the packet left that delivers the sample at ``position`` (48 kHz since the track began)."""
        packets = (position + LOOK_AHEAD) // PACKET
        stamp = (next(iter(self.left)) + packets * PACKET) % (1 << 32)
        return self.left.get(stamp)


def watch_packets(latest: list[Truth]) -> None:
    """Let every packet of sound that comes to this process, and that leaves it, be noted in the last of ``latest``."""
    handle, send = RTCRtpReceiver._handle_rtp_packet, RTCDtlsTransport._send_rtp

    async def handled(self: RTCRtpReceiver, packet: Any, *args: Any, **named: Any) -> None:
        if latest and self.track.kind == "audio":
            latest[-1].came.setdefault(packet.timestamp, time.monotonic())
        await handle(self, packet, *args, **named)

    async def sent(self: RTCDtlsTransport, data: bytes) -> None:
        if latest and not 192 <= data[1] <= 223:  # RTCP (RFC 5761 §4)
            latest[-1].left.setdefault(struct.unpack_from("!I", data, 4)[0], time.monotonic())
        await send(self, data)

    RTCRtpReceiver._handle_rtp_packet, RTCDtlsTransport._send_rtp = handled, sent
