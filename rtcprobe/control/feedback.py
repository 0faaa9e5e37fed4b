"""Transport-wide feedback on the wire: the RTP header extension and the RTCP message.

Facts:
    The extension carries one 16 bit counter over every packet of a transport, whatever its SSRC. The message tells the
    fate of a stretch of numbers: first *chunks* (2 bits a packet: lost, small delta, large delta), then the delta of
    every received packet, in 250 µs ticks, each to the rounded arrival before it.
    Chunk choice: run length while all are alike, else one bit a packet while none is large, else two bits.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §2 and §3.1; libwebrtc
``modules/rtp_rtcp/source/rtcp_packet/transport_feedback.cc`` for the choice of chunks.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rtcprobe.errors import BadInputError

__all__ = ["EXTENSION_URI", "TICK_S", "Feedback", "parse_extension", "parse_feedback", "write_extension"]

EXTENSION_URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
# Draft §3.1.5: deltas are multiples of 250 µs, the reference time of 64 ms.
TICK_S: Final = 250e-6
REFERENCE_TICKS: Final = 256
"""One step of the reference time, 64 ms."""

# 24 bits of reference time: they wrap after 12.4 days.
_REFERENCES: Final = 1 << 24
_LOST, _SMALL, _LARGE = 0, 1, 2
# The packet status count has 16 bits.
_MOST_STATUSES: Final = 0xFFFF
# 13 bits of run length in a chunk.
_RUN: Final = 0x1FFF
_RTPFB, _TWCC = 205, 15
_HEAD: Final = struct.Struct("!BBHIIHH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One message: ``deltas[i]`` is what packet ``base + i`` (mod 2¹⁶) did: None never came, else ticks since the last.

    The first counts from ``reference`` (24 bit, 64 ms a step). ``count`` (8 bit) is the number of the message.
    """

    sender_ssrc: int
    media_ssrc: int
    base: int
    reference: int
    count: int
    deltas: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.deltas) <= _MOST_STATUSES:
            raise BadInputError(f"feedback of {len(self.deltas)} packets is impossible", "give 1 to 65535")
        if any(delta is not None and not -0x8000 <= delta <= 0x7FFF for delta in self.deltas):
            raise BadInputError("a delta of feedback does not fit 16 bit", "begin another message")

    def to_bytes(self) -> bytes:
        """Return the RTCP packet."""
        statuses = [_LOST if d is None else _SMALL if 0 <= d <= 0xFF else _LARGE for d in self.deltas]
        body = b"".join(struct.pack("!H", chunk) for chunk in _chunks(statuses))
        for delta, status in zip(self.deltas, statuses, strict=True):
            if delta is not None:
                body += struct.pack("!B", delta) if status == _SMALL else struct.pack("!h", delta)
        padding = -len(body) % 4
        # RFC 3550, section 6.4.1: the last octet counts the padding, itself included.
        if padding:
            body += bytes(padding - 1) + bytes([padding])
        length = (_HEAD.size + 4 + len(body)) // 4 - 1
        first = 0x80 | (0x20 if padding else 0) | _TWCC
        head = _HEAD.pack(first, _RTPFB, length, self.sender_ssrc, self.media_ssrc, self.base, len(self.deltas))
        return head + (self.reference % _REFERENCES).to_bytes(3, "big") + bytes([self.count & 0xFF]) + body

    def arrivals(self) -> tuple[int | None, ...]:
        """Return each packet's arrival in ticks since the reference time was zero; None where it never came."""
        at = self.reference * REFERENCE_TICKS
        arrivals: list[int | None] = []
        for delta in self.deltas:
            if delta is not None:
                at += delta
            arrivals.append(None if delta is None else at)
        return tuple(arrivals)


def parse_feedback(packet: bytes) -> Feedback:
    """Return the message in one RTCP packet.

    Raises:
        BadInputError: another packet, or one that is cut short.
    """
    if len(packet) < _HEAD.size + 4:
        raise BadInputError(f"feedback of {len(packet)} bytes is cut short", "give the whole RTCP packet")
    first, kind, length, sender_ssrc, media_ssrc, base, count = _HEAD.unpack_from(packet)
    if first & 0xDF != 0x80 | _TWCC or kind != _RTPFB:
        raise BadInputError(f"RTCP {kind}/{first & 0x1F} is no transport-wide feedback", "give 205/15")
    end = 4 * (length + 1)
    if end > len(packet) or end < _HEAD.size + 4 or not count:
        raise BadInputError("feedback's length does not fit", "give the whole RTCP packet")
    # Padding is not deltas: read as one it would invent a packet that came at once.
    if first & 0x20:
        end -= packet[end - 1]
    # Signed in the draft, though nothing before zero is ever sent; who reads it unwraps it against the last
    # one.
    reference = int.from_bytes(packet[16:19], "big", signed=True)
    place, statuses = 20, list[int]()
    while len(statuses) < count:
        if place + 2 > end:
            raise BadInputError("feedback's chunks are cut short", "give the whole RTCP packet")
        statuses += _statuses(int.from_bytes(packet[place : place + 2], "big"))
        place += 2
    deltas: list[int | None] = []
    # The last chunk may tell of more packets than there are.
    # Two bits make a fourth status, which is reserved: it has no delta, as a lost one.
    for status in statuses[:count]:
        wide = {_SMALL: 1, _LARGE: 2}.get(status, 0)
        if place + wide > end:
            raise BadInputError("feedback's deltas are cut short", "give the whole RTCP packet")
        deltas.append(int.from_bytes(packet[place : place + wide], "big", signed=wide == 2) if wide else None)
        place += wide
    return Feedback(
        sender_ssrc=sender_ssrc,
        media_ssrc=media_ssrc,
        base=base,
        reference=reference,
        count=packet[19],
        deltas=tuple(deltas),
    )


def write_extension(number: int, sequence: int) -> bytes:
    """Return the one-byte-form element (RFC 8285 §4.2) numbered ``number`` that carries ``sequence``."""
    if not 1 <= number <= 14:
        raise BadInputError(f"header extension {number} is impossible", "give 1 to 14")
    return bytes([number << 4 | 1]) + (sequence & 0xFFFF).to_bytes(2, "big")


def parse_extension(element: bytes) -> tuple[int, int]:
    """Return number and sequence of a one-byte-form element.

    Raises:
        BadInputError: it is not two bytes long.
    """
    if len(element) != 3 or element[0] & 0x0F != 1:
        raise BadInputError(f"header extension {element.hex()!r} is no transport-wide number", "give 2 bytes")
    return element[0] >> 4, int.from_bytes(element[1:], "big")


def _chunks(statuses: Sequence[int]) -> list[int]:
    chunks, place = [], 0
    while place < len(statuses):
        first = statuses[place]
        alike = place
        while alike < len(statuses) and statuses[alike] == first and alike - place < _RUN:
            alike += 1
        run = alike - place
        rest = len(statuses) - place
        # A run is worth its chunk if it ends the message, beats a vector of 14, or of 7 where a large delta rules 14
        # out.
        if run == rest or run >= 14 or (run >= 7 and _LARGE in statuses[place : place + 14]):
            chunks.append(first << 13 | run)
            place += run
        elif _LARGE not in statuses[place : place + 14]:
            chunks.append(_vector(0x8000, statuses[place : place + 14], 1, 14))
            place += 14
        else:
            chunks.append(_vector(0xC000, statuses[place : place + 7], 2, 7))
            place += 7
    return chunks


def _vector(kind: int, statuses: Sequence[int], bits: int, places: int) -> int:
    for place, status in enumerate(statuses):
        kind |= status << bits * (places - 1 - place)
    return kind


def _statuses(chunk: int) -> list[int]:
    if not chunk & 0x8000:
        # Bit 15 is 0: a run. Else bit 14 tells vectors of two bits (7 packets) from those of one (14
        # packets), first packet in the highest bits.
        return [chunk >> 13 & 3] * (chunk & _RUN)
    if chunk & 0x4000:
        return [chunk >> 2 * place & 3 for place in range(6, -1, -1)]
    return [chunk >> place & 1 for place in range(13, -1, -1)]
