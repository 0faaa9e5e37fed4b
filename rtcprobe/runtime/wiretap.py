"""What a host's own traffic tells, read from the datagrams: STUN transactions and the departures of RTP packets.

Nothing here needs the stack's internals: STUN is in the clear, and so is the RTP header under SRTP (RFC 3711 §3.1).
Kinds of datagram are told apart by their first byte (RFC 7983 §7).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rtcprobe.recording import Departure, Departures
from rtcprobe.runtime.transport_cc_seam import TransportCc
from rtcprobe.timeline import Side, Wait, answers

__all__ = ["WireTap", "is_rtp"]

_RTP_FIELDS = struct.Struct("!HII")  # RFC 3550 §5.1: sequence number, timestamp, SSRC
_STUN_HEADER_BYTES = 20
_STUN_CLASS_MASK = 0x0110  # RFC 8489 §5: the two class bits of the message type
_STUN_REQUEST = 0x0000
_BINDING_REQUEST = b"\x00\x01"  # RFC 8489 §18.2; other methods are TURN's


@dataclass(slots=True)
class _Transaction:
    sent_s: list[float] = field(default_factory=list)
    answered_s: float | None = None


class WireTap:
    """The tap of one host (``network.Tap``)."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._departures: dict[int, Departures] = {}
        self.round_trip_s: float | None = None
        """The fastest STUN round trip answered at its first transmission (Karn's rule, RFC 6298 §3)."""
        self.numbers: TransportCc | None = None
        """Told of every packet of RTP, where packets of the transport are numbered."""
        self._transactions: dict[bytes, _Transaction] = {}

    def sent(self, data: bytes, now_s: float) -> None:
        """Note a datagram leaving at ``now_s``."""
        if is_rtp(data):
            self.left(data, now_s)
            if self.numbers is not None:
                self.numbers.sent(data, now_s)
        elif _is_check(data):
            self._transactions.setdefault(data[8:20], _Transaction()).sent_s.append(now_s)

    def left(self, data: bytes, now_s: float) -> None:
        """Note a packet of RTP, known to be one, leaving at ``now_s``."""
        sequence, timestamp, ssrc = _RTP_FIELDS.unpack_from(data, 2)
        left = self._departures.get(ssrc)
        if left is None:
            left = self._departures[ssrc] = Departures()
        left.add(now_s, sequence, timestamp, len(data), ssrc)

    def received(self, data: bytes, now_s: float) -> None:
        """Note a datagram arriving at ``now_s``."""
        if self.numbers is not None and is_rtp(data):
            self.numbers.received(data, now_s)
        if data[0] > 3 or not _is_stun(data) or _stun_class(data) == _STUN_REQUEST:
            return
        transaction = self._transactions.get(data[8:20])
        if transaction is None or transaction.answered_s is not None:
            return
        transaction.answered_s = now_s
        if len(transaction.sent_s) == 1:
            round_trip_s = now_s - transaction.sent_s[0]
            self.round_trip_s = min(round_trip_s, self.round_trip_s or round_trip_s)
            del self._transactions[data[8:20]]  # answered at once, it has nothing more to tell

    def departures(self, *ssrcs: int) -> Sequence[Departure]:
        """Return the RTP packets of these sources, in the order they left; of one source, they go on to grow."""
        sources = [self._departures[ssrc] for ssrc in ssrcs if ssrc in self._departures]
        if len(sources) == 1:
            return sources[0]
        return sorted((each for left in sources for each in left), key=lambda left: left.at_s)

    def waits(self) -> list[Wait]:
        """Return every STUN retransmission as the wait that ended with it."""
        return [
            Wait(
                timer="stun",
                side=self.side,
                what="connectivity check",
                from_s=before_s,
                at_s=again_s,
                needed=answers(again_s, transaction.answered_s, self.round_trip_s),
            )
            for transaction in self._transactions.values()
            for before_s, again_s in pairwise(transaction.sent_s)
        ]


def is_rtp(data: bytes) -> bool:
    """Return whether a datagram is RTP and not RTCP. Source: RFC 7983 §7, RFC 5761 §4 (types 64..95 are RTCP)."""
    return len(data) >= 12 and 127 < data[0] < 192 and not 64 <= data[1] & 0x7F < 96


def _is_check(data: bytes) -> bool:
    """Return whether a datagram is a check: a Binding request with attributes, which servers are asked without."""
    return _is_stun(data) and data[:2] == _BINDING_REQUEST and len(data) > _STUN_HEADER_BYTES


def _is_stun(data: bytes) -> bool:
    return len(data) >= _STUN_HEADER_BYTES and data[0] < 4


def _stun_class(data: bytes) -> int:
    return int.from_bytes(data[:2], "big") & _STUN_CLASS_MASK
