"""When RTP packets passed the outer end of an access line: where what is emulated ends, and the real network begins.

Fact: SRTP leaves the RTP header in clear (RFC 3711 §3.1), so a packet is known by its timestamp on either side.
"""

from __future__ import annotations

import struct

from rtcprobe.runtime.wiretap import is_rtp

__all__ = ["Edge"]

_TIMESTAMP = struct.Struct("!I")  # RFC 3550 §5.1: from the fifth byte on


class Edge:
    """By RTP timestamp, seconds since the epoch: when the first packet of it really left, and really came."""

    def __init__(self) -> None:
        self.left_s: dict[int, float] = {}
        self.came_s: dict[int, float] = {}

    def leaves(self, data: bytes, now_s: float) -> None:
        """Note a datagram that leaves the emulated line for the real network."""
        if is_rtp(data):
            self.left_s.setdefault(_TIMESTAMP.unpack_from(data, 4)[0], now_s)

    def comes(self, data: bytes, now_s: float) -> None:
        """Note a datagram that comes from the real network, before the emulated line."""
        if is_rtp(data):
            self.came_s.setdefault(_TIMESTAMP.unpack_from(data, 4)[0], now_s)
