"""A track whose sound stays encoded: what is put into its queue goes out as it is, timestamps kept."""

from __future__ import annotations

import asyncio
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.rtp import RtpPacket
from av import Packet

TIME_BASE = Fraction(1, 48_000)


class EncodedTrack(MediaStreamTrack):
    """Hands out the packets of its queue."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[RtpPacket] = asyncio.Queue(maxsize=50)

    async def recv(self) -> Packet:
        came = await self.packets.get()
        packet = Packet(came.payload)
        packet.pts = came.timestamp
        packet.time_base = TIME_BASE
        return packet
