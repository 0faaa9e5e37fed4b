"""Every frame that arrived, in whatever packet: its own, a later RED packet, or one sent again on request.

Facts:
    A frame has one RTP timestamp wherever it travels.
    A packet sent again is the same to the bit, and SRTP drops whichever comes second, so arrivals do not say which of
    the two came.

Rules:
    1. A packet that was sent again, and arrived no sooner than that could have (its departure and the fastest way any
       packet had), is taken for the one sent again.
    2. What a malformed RED packet holds is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from rtcprobe.playout.base import Decoder, Pcm, RtpPacket
from rtcprobe.playout.neteq.red import RedBlock, split_red

__all__ = ["SAME_INSTANT_S", "Carried", "Sent", "WithoutFec", "carried", "first_departures", "unpacked", "unprotected"]

SAME_INSTANT_S = 1e-6
"""Arrivals this near to each other are of one instant: floats of virtual time."""

Arrivals = Iterable[tuple[float, RtpPacket]]


class Sent(Protocol):
    """An RTP packet leaving the talker; one with a timestamp seen before is one sent again."""

    @property
    def at_s(self) -> float:
        """When it left, seconds."""
        ...

    @property
    def sequence(self) -> int:
        """Its sequence number, 16 bits."""
        ...

    @property
    def timestamp(self) -> int:
        """Its RTP timestamp, 32 bits."""
        ...


class Carried(NamedTuple):
    """One frame in one packet that arrived: ``level`` 0 in its own, n in the n-th after it; ``again``: on request."""

    at_s: float
    timestamp: int
    payload: bytes
    level: int
    again: bool


def carried(sent: Iterable[Sent], arrivals: Arrivals, red_payload_type: int | None) -> list[Carried]:
    """Return what ``arrivals`` carried of ``sent``, in order of arrival; of one packet, its own frame first.

    Args:
        sent: packets in the order they left, those sent again too.
        arrivals: (instant, packet) on the same clock; strangers to ``sent`` are left out.
        red_payload_type: of RED packets, None where RED was not negotiated.
    """
    left: dict[int, Sent] = {}
    again_s: dict[int, float] = {}
    for packet in sent:
        if left.setdefault(packet.timestamp, packet) is not packet:
            again_s.setdefault(packet.timestamp, packet.at_s)
    came = sorted((each for each in arrivals if each[1].timestamp in left), key=lambda arrival: arrival[0])
    fastest_s = min((at_s - left[arrived.timestamp].at_s for at_s, arrived in came), default=0.0)
    out: list[Carried] = []
    for at_s, arrived in came:
        resent_s = again_s.get(arrived.timestamp)
        again = resent_s is not None and at_s > resent_s + fastest_s - SAME_INSTANT_S
        for block in _blocks(arrived, red_payload_type):
            timestamp = (arrived.timestamp - block.timestamp_offset) & 0xFFFFFFFF
            out.append(Carried(at_s, timestamp, block.payload, block.level, again))
    return out


def first_departures(sent: Iterable[Sent]) -> dict[int, Sent]:
    """Return the packet in which each frame left first, by timestamp."""
    left: dict[int, Sent] = {}
    for packet in sent:
        left.setdefault(packet.timestamp, packet)
    return left


def unpacked(
    sent: Iterable[Sent], arrivals: Arrivals, *, payload_type: int, red_payload_type: int | None
) -> list[tuple[float, RtpPacket]]:
    """Return every frame once, as if in a packet of its own, at the instant its first copy came.

    This is for listeners that know no RED. ``payload_type`` is the codec's.
    """
    sent = list(sent)
    return _packets(sent, carried(sent, arrivals, red_payload_type), payload_type)


def unprotected(
    sent: Iterable[Sent], arrivals: Arrivals, *, payload_type: int, red_payload_type: int | None
) -> list[tuple[float, RtpPacket]]:
    """Return what would have arrived without copies: every frame in its own packet, nothing sent again.

    In-band redundancy stays inside the payloads: decode them ``WithoutFec``.
    """
    sent = list(sent)
    own = [each for each in carried(sent, arrivals, red_payload_type) if not each.level and not each.again]
    return _packets(sent, own, payload_type)


class WithoutFec:
    """A decoder that takes no notice of in-band redundancy; satisfies ``Decoder``."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def decode(self, payload: bytes) -> Pcm:
        """Return the samples of one packet, as the decoder does."""
        return self._decoder.decode(payload)

    def decode_fec(self, payload: bytes, samples: int) -> Pcm:
        """Return concealment: there is no redundancy here."""
        del payload
        return self._decoder.conceal(samples)

    def conceal(self, samples: int) -> Pcm:
        """Return ``samples`` of the codec's own concealment."""
        return self._decoder.conceal(samples)

    def duration_samples(self, payload: bytes) -> int:
        """Return how many samples ``payload`` decodes to; ``ValueError`` when malformed."""
        return self._decoder.duration_samples(payload)

    def has_fec(self, payload: bytes) -> bool:
        """Return False."""
        del payload
        return False


def _packets(sent: Iterable[Sent], frames: Iterable[Carried], payload_type: int) -> list[tuple[float, RtpPacket]]:
    """Return ``frames`` in packets of their own, each the first time it comes."""
    left = first_departures(sent)
    out: dict[int, tuple[float, RtpPacket]] = {}
    for frame in frames:
        own = left.get(frame.timestamp)
        if own is not None and frame.timestamp not in out:
            packet = RtpPacket(
                sequence=own.sequence,
                timestamp=frame.timestamp,
                payload=frame.payload,
                payload_type=payload_type,
            )
            out[frame.timestamp] = frame.at_s, packet
    return list(out.values())


def _blocks(packet: RtpPacket, red_payload_type: int | None) -> list[RedBlock]:
    """Return the frames in a packet, its own first."""
    if packet.payload_type != red_payload_type:
        return [RedBlock(packet.payload_type, 0, packet.payload, 0)]
    try:
        return split_red(packet.payload)
    except ValueError:
        return []
