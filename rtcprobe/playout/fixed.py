"""A fixed delay, kept by time: every sample is played a stated delay after the fastest first packet says it should be.

Facts:
    The fastest packet of those that arrive before playing begins ties the sender's clock to the receiver's: its
    first sample is played ``delay_s`` after it arrived, and RTP time does the rest. A delay of three packets thus
    looks at three before it commits itself, and one slow first packet does not lengthen the whole call. Nothing that
    happens later, loss, jitter or reordering, moves a sample; it can only come too late to be played.

Rules:
    1. The mapping is one integer: which RTP sample leaves first at the first tick. It is rounded once (to
       1/48,000 s: at most 10.4 µs) and never again, so that 100 ms more are exactly 4,800 samples more. A delay so
       short that the first sample should have left before the next tick begins at that tick.
    2. Packets are decoded in order, each at the tick that needs its first sample. What is missing then is made up
       at once: from the next packet's in-band redundancy where it is there, else by the codec's concealment, which
       fades by itself.
    3. A packet that comes after its first sample was made up is late, and not played.
    4. A sender that starts over is believed when a second packet agrees with the first (RFC 3550 A.1 does the same
       with sequence numbers): the sound begins again with a new mapping. A single stray is discarded.
    5. Where the sender is known to be silent (DTX: nothing after a payload of two bytes or less) the codec's
       comfort noise is what should be heard; it is not counted as concealed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.playout.base import BLOCK_SAMPLES, SAMPLE_RATE_HZ, Block, Decoder, Pcm, RtpPacket
from rtcprobe.units import format_duration
from rtcprobe.wrapping import unwrapped

__all__ = ["FixedDelay", "FixedFigures"]

# As W3C's jitterBufferTarget and libwebrtc bound theirs.
_MAX_DELAY_S = 10.0
_RESTART_S = 10.0  # a timestamp this far from where the sender's clock should stand is another stream's
_AGREE_S = 1.0  # two packets this near to each other by their own clock belong together
_FRAME_SAMPLES = 960  # what is assumed missing before any packet told its length: Opus' default packet, 20 ms
_GRAIN_SAMPLES = 120  # concealment comes in multiples of 2.5 ms. Source: ``opus_decode`` in ``opus.h``
_DTX_BYTES = 2  # "nothing to hear". Source: libwebrtc ``modules/audio_coding/codecs/opus``
_REMEMBERED = 2048  # sequence numbers kept to know a duplicate: 40 s of 20 ms packets
_TIE = 1e-6  # samples: keeps rule 1's rounding the same on either side of a float's last bit

_SENDER, _INVENTED, _QUIET, _BEFORE = range(4)  # where a sample of the output came from


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFigures:
    """What a fixed delay did so far.

    Packets: received = played + late + duplicate + corrupt + unknown_type + discarded + waiting; ``lost`` are the
    sequence numbers that never came (expected less received, RFC 3550 §6.4.1, late ones counted as received).
    ``recovered`` frames came from in-band redundancy. Samples are of 48 kHz; ``quiet_samples`` are comfort noise.
    """

    received: int = 0
    played: int = 0
    late: int = 0
    duplicate: int = 0
    corrupt: int = 0
    unknown_type: int = 0
    discarded: int = 0
    waiting: int = 0
    lost: int = 0
    restarts: int = 0
    recovered: int = 0
    concealed_samples: int = 0
    concealment_events: int = 0
    quiet_samples: int = 0


@dataclass(slots=True, kw_only=True)
class _Line:
    """Where playing one stream stands."""

    waiting: dict[int, bytes] = field(default_factory=dict)
    anchor: tuple[int, float] | None = None  # RTP sample, instant it is played
    due: int | None = None  # RTP sample the next block begins with
    begun: bool = False
    end: int = 0  # RTP sample that sound reaches to, once begun
    sound: deque[tuple[int, Pcm]] = field(default_factory=deque)  # from due to end
    silent: bool = False
    concealing: bool = False


class FixedDelay:
    """The playout policy ``fixed:60ms``; see the module for its rules. Fills the ``Playout`` protocol.

    Args:
        delay_s: from the arrival of the fastest first packet to its first sample's play, 0 to 10 s.
        decoder: a fresh decoder, this stream's own.
        payload_type: packets of any other type are counted and dropped.
    """

    def __init__(self, delay_s: float, decoder: Decoder, payload_type: int = 111) -> None:
        if not 0.0 <= delay_s <= _MAX_DELAY_S:
            raise BadInputError(f"a playout delay of {format_duration(delay_s)} is impossible", "give 0ms to 10s")
        self.delay_s = delay_s
        self._decoder = decoder
        self._payload_type = payload_type
        self._clock = _SenderClock()
        self._count = dict.fromkeys(FixedFigures.__dataclass_fields__, 0)
        self._suspect: tuple[RtpPacket, float] | None = None
        self._frame_samples = _FRAME_SAMPLES
        self._line = _Line()

    @property
    def figures(self) -> FixedFigures:
        """Return the counters as they stand."""
        self._count["waiting"] = len(self._line.waiting) + (self._suspect is not None)
        self._count["lost"] = self._clock.lost
        return FixedFigures(**self._count)

    def insert_packet(self, packet: RtpPacket, now_s: float) -> None:
        """Take a packet that arrived at ``now_s``."""
        self._count["received"] += 1
        if packet.payload_type != self._payload_type:
            self._count["unknown_type"] += 1
            return
        try:
            self._decoder.duration_samples(packet.payload)
        except ValueError:
            self._count["corrupt"] += 1
            self._clock.is_new(packet.sequence)
            return
        if self._clock.plausible(packet.timestamp, now_s):
            self._drop_suspect()
            self._accept(packet, now_s)
        elif self._suspect is not None and self._clock.agree(*self._suspect, packet, now_s):
            self._restart(*self._suspect)
            self._accept(packet, now_s)
        else:
            self._drop_suspect()
            self._suspect = packet, now_s

    def get_audio(self, now_s: float) -> Block:
        """Return the 10 ms (480 samples) that leave the loudspeaker from ``now_s`` on."""
        if self._line.due is None:
            if self._line.anchor is None:
                return _silence()
            timestamp, play_s = self._line.anchor
            wait_samples = math.floor(max(0.0, play_s - now_s) * SAMPLE_RATE_HZ + 0.5 + _TIE)
            self._line.due = timestamp - wait_samples
            self._drop_before(self._line.due)
        begin, end = self._line.due, self._line.due + BLOCK_SAMPLES
        self._fill(begin, end)
        self._line.due = end
        if not self._line.begun:
            return _silence()
        return self._block(begin)

    def _accept(self, packet: RtpPacket, now_s: float) -> None:
        """Queue a packet of the running stream, unless it is a duplicate or late."""
        timestamp = self._clock.unwrap(packet.timestamp)
        if not self._clock.is_new(packet.sequence) or timestamp in self._line.waiting:
            self._count["duplicate"] += 1
            return
        if self._line.anchor is None:
            self._clock.set(timestamp, now_s)
        if not self._line.begun:
            self._tie(timestamp, now_s + self.delay_s)
        # Up to there sound has been made already, or it is not due any more.
        first_useful = self._line.end if self._line.begun else self._line.due
        if first_useful is not None and timestamp < first_useful:
            self._count["late"] += 1
            return
        self._line.waiting[timestamp] = packet.payload

    def _tie(self, timestamp: int, play_s: float) -> None:
        """Tie the clocks by this packet when it is the fastest so far."""
        if self._line.anchor is not None:
            tied, tied_s = self._line.anchor
            # The faster packet is the one that would be played sooner by its own arrival; until sound begins
            # the anchor moves to it, and what is due is worked out anew.
            if play_s >= tied_s + (timestamp - tied) / SAMPLE_RATE_HZ:
                return
        self._line.anchor = timestamp, play_s
        self._line.due = None

    def _fill(self, begin: int, end: int) -> None:
        """Decode or make up sound until it reaches ``end``."""
        if not self._line.begun:
            self._drop_before(begin)
            first = min(self._line.waiting, default=end)
            if first >= end:
                return
            self._line.begun, self._line.end = True, first
            self._append(np.zeros(first - begin, dtype=np.float32), _BEFORE)
        # Each turn moves ``end`` on, by a packet or by what is made up for one, 2.5 ms at the least: this
        # ends.
        while self._line.end < end:
            payload = self._line.waiting.pop(self._line.end, None)
            if payload is None or not self._decode(payload):
                self._make_up()
            self._drop_before(self._line.end)  # what overlaps with that

    def _drop_before(self, timestamp: int) -> None:
        """Count as late what waits with a first sample that is already past."""
        for waiting in [waiting for waiting in self._line.waiting if waiting < timestamp]:
            del self._line.waiting[waiting]
            self._count["late"] += 1

    def _decode(self, payload: bytes) -> bool:
        """Append one packet's sound; False where it cannot be decoded."""
        try:
            sound = self._decoder.decode(payload)
        except ValueError:
            self._count["corrupt"] += 1
            return False
        self._count["played"] += 1
        self._frame_samples = len(sound)
        # Rule 5: what follows a packet of silence, and does not come, was never sent.
        self._line.silent = len(payload) <= _DTX_BYTES
        self._line.concealing = False
        self._line.end += len(sound)
        self._append(sound, _SENDER)
        return True

    def _make_up(self) -> None:
        """Append what stands for the missing frame at ``_end`` (rules 2 and 5), never past the next packet."""
        following = min(self._line.waiting, default=None)
        # A frame as long as the last one, but never over the packet that waits: what overlaps it would make
        # that late.
        missing = self._frame_samples if following is None else min(self._frame_samples, following - self._line.end)
        # The codec conceals in whole grains; what is too much is cut off, and its state is a trifle ahead.
        whole = -(-missing // _GRAIN_SAMPLES) * _GRAIN_SAMPLES
        kind = _QUIET if self._line.silent else _INVENTED
        sound: Pcm | None = None
        # In-band redundancy is of the frame right before its packet: of a longer gap the last frame alone has
        # one.
        if following == self._line.end + missing and self._decoder.has_fec(self._line.waiting[following]):
            try:
                sound = self._decoder.decode_fec(self._line.waiting[following], whole)
            except ValueError:
                sound = None  # the packet itself will be counted as corrupt when its turn comes
        if sound is not None:
            kind = _SENDER
            self._count["recovered"] += 1
        else:
            sound = self._decoder.conceal(whole)
            self._count["concealment_events"] += kind == _INVENTED and not self._line.concealing
            self._line.concealing = kind == _INVENTED
        self._line.end += missing
        self._append(sound[:missing], kind)

    def _append(self, sound: Pcm, kind: int) -> None:
        if len(sound):
            self._line.sound.append((kind, sound))

    def _block(self, begin: int) -> Block:
        """Take the next 480 samples, counting where they came from."""
        parts: list[Pcm] = []
        of_kind = [0, 0, 0, 0]
        missing = BLOCK_SAMPLES
        queue = self._line.sound
        while missing:
            kind, sound = queue.popleft()
            if len(sound) > missing:
                queue.appendleft((kind, sound[missing:]))
                sound = sound[:missing]
            parts.append(sound)
            of_kind[kind] += len(sound)
            missing -= len(sound)
        concealed, quiet = of_kind[_INVENTED], of_kind[_QUIET]
        self._count["concealed_samples"] += concealed
        self._count["quiet_samples"] += quiet
        return Block(
            samples=parts[0] if len(parts) == 1 else np.concatenate(parts),
            rtp_timestamp=begin if of_kind[_SENDER] else None,
            concealed_samples=concealed,
            operation="conceal" if concealed else "comfort noise" if quiet else "normal",
        )

    def _restart(self, packet: RtpPacket, now_s: float) -> None:
        """Begin anew with the sender's new clock, told by two packets of which ``packet`` was the first."""
        self._count["restarts"] += 1
        self._count["discarded"] += len(self._line.waiting)
        self._suspect = None
        self._clock = self._clock.successor()
        self._line = _Line()
        self._accept(packet, now_s)

    def _drop_suspect(self) -> None:
        self._count["discarded"] += self._suspect is not None
        self._suspect = None


class _SenderClock:
    """RTP timestamps and sequence numbers without their wraps, and whether they make sense together."""

    def __init__(self, timestamp: int | None = None, lost_before: int = 0) -> None:
        self._timestamp = timestamp  # the last one, unwrapped
        self._lost_before = lost_before
        self._reference: tuple[int, float] | None = None
        self._seen: dict[int, None] = {}
        self._lowest = self._highest = self._unique = 0

    @property
    def lost(self) -> int:
        """Sequence numbers between the first and the highest that never came."""
        if not self._seen:
            return self._lost_before
        return self._lost_before + max(0, self._highest - self._lowest + 1 - self._unique)

    def successor(self) -> _SenderClock:
        """Return the clock of the sender's next stream: timestamps run on, and what was lost stays counted."""
        return _SenderClock(self._timestamp, self.lost)

    def set(self, timestamp: int, now_s: float) -> None:
        """Take the sender's clock to stand at ``timestamp`` (unwrapped) at ``now_s``, network delay and all."""
        self._reference = timestamp, now_s

    def plausible(self, timestamp: int, now_s: float) -> bool:
        """Return whether a timestamp is near where the sender's clock should stand."""
        if self._reference is None:
            return True
        reference, then_s = self._reference
        ahead_s = (self._nearest(timestamp) - reference) / SAMPLE_RATE_HZ - (now_s - then_s)
        return abs(ahead_s) <= _RESTART_S

    @staticmethod
    def agree(first: RtpPacket, first_s: float, second: RtpPacket, second_s: float) -> bool:
        """Return whether two packets can come from one sender's clock."""
        apart_s = (unwrapped(second.timestamp, first.timestamp, 32) - first.timestamp) / SAMPLE_RATE_HZ
        return abs(apart_s - (second_s - first_s)) <= _AGREE_S

    def unwrap(self, timestamp: int) -> int:
        """Return the timestamp without its wraps, nearest to the one before."""
        self._timestamp = self._nearest(timestamp)
        return self._timestamp

    def is_new(self, sequence: int) -> bool:
        """Note a sequence number; False when it was there before."""
        if not self._seen:
            self._lowest = self._highest = sequence
        number = unwrapped(sequence, self._highest, 16)
        if number in self._seen:
            return False
        self._seen[number] = None
        # Insertion order: the number met longest ago goes, whichever it is.
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._unique += 1
        self._lowest, self._highest = min(self._lowest, number), max(self._highest, number)
        return True

    def _nearest(self, timestamp: int) -> int:
        return timestamp if self._timestamp is None else unwrapped(timestamp, self._timestamp, 32)


def _silence() -> Block:
    return Block(
        samples=np.zeros(BLOCK_SAMPLES, dtype=np.float32), rtp_timestamp=None, concealed_samples=0, operation="silence"
    )
