"""What comes in: packets, RED or not, taken apart into frames that wait, their lateness told to the decision.

Rules:
    1. Whatever a packet says, it is counted and survived.
    2. The first packet of a stream, and the first after the packet buffer overflowed, tells no lateness: there is
       nothing yet to be late beside.
    3. A packet is one of the stream however its 32 bits of timestamp wrapped: as near to the one before as possible.

Source: ``InsertPacket`` in ``neteq_impl.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from rtcprobe.playout.arrivals import Coming
from rtcprobe.playout.base import Decoder, RtpPacket
from rtcprobe.playout.neteq.buffer import PacketBuffer, WaitingPacket
from rtcprobe.playout.neteq.decision import Decision
from rtcprobe.playout.neteq.foresight import DTX_BYTES, Foresight
from rtcprobe.playout.neteq.red import RedBlock, split_red
from rtcprobe.playout.neteq.sound import Sound
from rtcprobe.playout.neteq.stats import Counters
from rtcprobe.wrapping import unwrapped

__all__ = ["Intake"]


class Intake:
    """Puts packets of one stream into the packet buffer."""

    __slots__ = (
        "_buffer", "_counters", "_decision", "_decoder", "_looked", "_newest_timestamp", "_payload_type",
        "_red_payload_type", "_sound", "_started", "new_stream",
    )  # fmt: skip

    def __init__(
        self,
        decoder: Decoder,
        parts: tuple[Decision, PacketBuffer, Sound, Counters],
        payload_type: int,
        red_payload_type: int | None,
    ) -> None:
        self._decoder = decoder
        self._decision, self._buffer, self._sound, self._counters = parts
        self._payload_type, self._red_payload_type = payload_type, red_payload_type
        self._started = self._looked = False
        self._newest_timestamp = 0
        self.new_stream = False
        """Whether what waits begins a stream that nothing was played of; ``NetEq`` says when something was."""

    def insert(self, packet: RtpPacket, tick: int) -> bool:
        """Take a packet in at ``tick``; return whether the stream just goes on."""
        sequence, timestamp, payload, payload_type = packet
        self._counters.received += 1
        # The usual packet: one frame, no copies. All else goes the long way below.
        if payload and payload_type == self._payload_type and self._started and not self.new_stream:
            duration = self._duration(payload)
            if not (duration and self._decoder.has_fec(payload)):
                return self._insert_next(self._unwrap(timestamp), packet, duration, tick)
        if not payload:
            self._counters.empty_packets += 1
            return True
        try:
            red = payload_type == self._red_payload_type
            blocks = split_red(payload) if red else [RedBlock(payload_type, 0, payload, 0)]
        except ValueError:
            self._counters.malformed_red += 1
            return True
        if not blocks or blocks[0].payload_type != self._payload_type:
            self._counters.unknown_types += 1
            return True
        timestamp = self._unwrap(timestamp)
        if not self._started:
            self._sound.sync.end_timestamp = timestamp
        flushed = False
        for block in blocks:
            for frame in self._frames(block, timestamp - block.timestamp_offset, sequence, tick):
                # Of one RED packet all blocks after the one that overflowed the buffer are of the new
                # beginning.
                flushed |= self._buffer.insert(frame)
                # Its lateness says nothing: the packets that it would be late beside are gone (rule 2).
                if flushed:
                    self._decision.flushed()
                elif not self.new_stream:
                    self._decision.packet_arrived(frame.timestamp, frame.duration, tick)
        if flushed or not self._started:
            self._started = True
            self.new_stream = True
        return not self.new_stream

    def foresee(self, coming: Coming, clock: tuple[float, float, int], tick: int) -> None:
        """Find out, before anything came, whether all that is ``coming`` is known; ``clock`` is ``Gliding``'s."""
        if not self._looked and not self._counters.received and not tick and coming.all_known:
            foresight = Foresight.of(coming, self._decoder, self._payload_type, clock, self._counters)
            self._decision.foresight = foresight
        self._looked = True

    def skip(self, count: int) -> None:
        """Learn that ``count`` packets that were foreseen were taken in."""
        self._counters.received += count
        foresight = self._decision.foresight
        assert foresight is not None
        self._newest_timestamp = int(foresight.stamps[foresight.latest])

    def _insert_next(self, timestamp: int, packet: RtpPacket, duration: int, tick: int) -> bool:
        """Take in a packet that holds one frame and nothing else, as ``_insert`` does."""
        payload = packet.payload
        dtx = len(payload) <= DTX_BYTES
        if self._buffer.insert(WaitingPacket(timestamp, packet.sequence, payload, duration, dtx, 0, 0, tick)):
            self._decision.flushed()
            self.new_stream = True
            return False
        self._decision.packet_arrived(timestamp, duration, tick)
        return True

    def _unwrap(self, timestamp: int) -> int:
        """Return ``timestamp`` counted on beyond 32 bits, as near to the packet before as possible."""
        if not self._started:
            self._newest_timestamp = timestamp & 0xFFFFFFFF
        else:
            self._newest_timestamp = unwrapped(timestamp, self._newest_timestamp, 32)  # rule 3
        return self._newest_timestamp

    def _frames(self, block: RedBlock, timestamp: int, sequence: int, tick: int) -> list[WaitingPacket]:
        """Return the frames of one block in the order they are inserted: what in-band FEC tells comes first."""
        payload = block.payload
        duration = self._duration(payload)
        frame = WaitingPacket(timestamp, sequence, payload, duration, len(payload) <= DTX_BYTES, 0, block.level, tick)
        if duration and self._decoder.has_fec(payload):
            self._counters.fec_received += 1
            before = WaitingPacket(timestamp - duration, sequence, payload, duration, False, 1, block.level, tick)
            return [before, frame]
        return [frame]

    def _duration(self, payload: bytes) -> int:
        """Return how many samples a payload decodes to; 0 where it does not tell: decoding it fails, is concealed."""
        try:
            return self._decoder.duration_samples(payload)
        except ValueError:
            return 0
