"""The packet buffer: what has arrived and has not been decoded, in the order it was spoken.

Facts:
    At most ``max_packets`` wait. One more, and everything is thrown away at once: nothing is trimmed gently.

Rules:
    1. Sorted by timestamp. Of two packets for one timestamp the better stays: the lower sequence number (the packet
       itself rather than a copy that travelled in a later one), then the lower codec level (primary before in-band
       FEC), then the lower RED level.
    2. A packet counts as waiting from the tick it was inserted at.

Source: ``packet_buffer.cc``, ``packet.h`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from dataclasses import dataclass

from rtcprobe.playout.neteq.history import SAMPLES_PER_MS, TICK_MS

__all__ = ["HORIZON_SAMPLES", "PacketBuffer", "WaitingPacket"]

HORIZON_SAMPLES = 5_000 * SAMPLES_PER_MS
"""A timestamp further back than this is no late packet but another stream. Source: ``GetDecision``."""

_SAMPLES_PER_TICK = TICK_MS * SAMPLES_PER_MS


@dataclass(slots=True, eq=False)
class WaitingPacket:
    """One frame to decode. ``duration`` is 0 where the payload does not tell; ``timestamp`` is unwrapped."""

    timestamp: int
    sequence: int
    payload: bytes
    duration: int
    is_dtx: bool
    codec_level: int
    red_level: int
    tick: int

    def yields_to(self, other: WaitingPacket) -> bool:
        """Return whether ``other``, of the same timestamp, is the one to keep."""
        if self.sequence != other.sequence:
            # Half of the numbers are ahead (RFC 1982): this one is the younger, and so a copy in a later
            # packet.
            return (self.sequence - other.sequence) & 0xFFFF < 0x8000
        return (self.codec_level, self.red_level) >= (other.codec_level, other.red_level)


class PacketBuffer:
    """Packets waiting for their turn, oldest timestamp first in ``packets``."""

    __slots__ = ("_dtx", "discarded", "fec_discarded", "flushes", "max_packets", "packets")

    def __init__(self, max_packets: int) -> None:
        self.max_packets = max_packets
        self.packets: list[WaitingPacket] = []
        self.discarded = 0
        """Frames thrown away, copies of what was there already included; ``fec_discarded`` those of in-band FEC."""
        self.fec_discarded = 0
        self.flushes = 0
        self._dtx = 0

    @property
    def has_dtx(self) -> bool:
        """Whether a DTX packet waits."""
        return self._dtx > 0

    def flush(self) -> None:
        """Throw everything away."""
        self._discard(self.packets)
        self.packets.clear()
        self._dtx = 0
        self.flushes += 1

    def insert(self, packet: WaitingPacket) -> bool:
        """Take a packet in; return whether the buffer was full and had to be flushed first."""
        packets = self.packets
        flushed = len(packets) >= self.max_packets
        if flushed:
            self.flush()
        if not packets or packets[-1].timestamp < packet.timestamp:  # nearly always
            packets.append(packet)
            self._dtx += packet.is_dtx
            return flushed
        # From behind: a late packet belongs near the end.
        at = len(packets)
        while at and packets[at - 1].timestamp > packet.timestamp:
            at -= 1
        if at and packets[at - 1].timestamp == packet.timestamp:
            rival = packets[at - 1]
            yields = packet.yields_to(rival)
            self._discard([packet if yields else rival])
            if not yields:
                self._dtx += packet.is_dtx - rival.is_dtx
                packets[at - 1] = packet
            return flushed
        packets.insert(at, packet)
        self._dtx += packet.is_dtx
        return flushed

    def pop(self) -> WaitingPacket:
        """Take the first packet out."""
        packet = self.packets.pop(0)
        self._dtx -= packet.is_dtx
        return packet

    def discard_older(self, timestamp: int, horizon_samples: int | None = HORIZON_SAMPLES) -> None:
        """Drop what lies before ``timestamp``, but no further back than ``horizon_samples`` (None: all of it)."""
        packets = self.packets
        if not packets or packets[0].timestamp >= timestamp:
            return
        # Further back than the horizon is another stream, which the decision is to see (``RESET``), not this
        # one's past.
        floor = None if horizon_samples is None else timestamp - horizon_samples
        kept = [p for p in packets if p.timestamp >= timestamp or (floor is not None and p.timestamp <= floor)]
        self._discard([packet for packet in packets if packet not in kept])
        self.packets[:] = kept
        self._dtx = sum(packet.is_dtx for packet in kept)

    def span_samples(self, tick: int, last_duration: int) -> int:
        """Return the RTP time from the first packet's start to the last one's end."""
        packets = self.packets
        if not packets:
            return 0
        last = packets[-1]
        duration = last.duration or last_duration
        if last.is_dtx and last.duration:  # a silence lasts as long as nothing else comes
            duration = max(duration, (tick - last.tick) * _SAMPLES_PER_TICK)
        return last.timestamp - packets[0].timestamp + duration

    def span_waited_samples(self, tick: int) -> int:
        """Return the RTP time from the first packet to the last, and how long the last has waited."""
        packets = self.packets
        if not packets:
            return 0
        last = packets[-1]
        return last.timestamp - packets[0].timestamp + (tick - last.tick) * _SAMPLES_PER_TICK

    def _discard(self, packets: list[WaitingPacket]) -> None:
        fec = sum(packet.codec_level > 0 for packet in packets)
        self.fec_discarded += fec
        self.discarded += len(packets) - fec
