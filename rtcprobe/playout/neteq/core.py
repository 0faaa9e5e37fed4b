"""NetEQ itself: packets in, ten milliseconds of sound out.

Facts:
    All time is the tick counter, which grows by one at each ``get_audio``: ``now_s`` is accepted for the interface's
    sake and never read. A playout clock that drifts is the caller's matter: pull every 10 ms times (1 + drift), and
    NetEQ stretches or shortens by itself.

Rules:
    1. Whatever a packet says, it is counted and survived.
    2. The first packet plays at once, there is no prefetch; so it is after the packet buffer overflowed.
    3. Comfort noise is the codec's own (Opus DTX). RFC 3389 packets do not occur beside Opus: libwebrtc offers them
       at 8 kHz only.

Source: ``neteq_impl.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError
from rtcprobe.playout.arrivals import Coming
from rtcprobe.playout.base import BLOCK_SAMPLES, Block, Decoder, Pcm, RtpPacket, Run
from rtcprobe.playout.neteq.buffer import PacketBuffer, WaitingPacket
from rtcprobe.playout.neteq.decision import Decision, Mode, Operation
from rtcprobe.playout.neteq.delay import DelayConstraints
from rtcprobe.playout.neteq.glide import Glider
from rtcprobe.playout.neteq.history import SAMPLES_PER_MS, TICK_MS
from rtcprobe.playout.neteq.intake import Intake
from rtcprobe.playout.neteq.leap import Trace
from rtcprobe.playout.neteq.sound import Sound
from rtcprobe.playout.neteq.stats import Counters, NetEqStats
from rtcprobe.playout.neteq.stretch import NEEDED_SAMPLES

__all__ = ["NetEq", "NetEqTrace"]

# Defaults for who plays a capture without its session description; calls say what was negotiated.
OPUS_PAYLOAD_TYPE: Final = 111
RED_PAYLOAD_TYPE: Final = 63
"""What Chrome offers for ``opus/48000/2`` and ``red/48000/2``."""

_LEAST_PACKETS: Final = 20  # audio_jitter_buffer_max_packets is raised to it, ``webrtc_voice_engine.cc``
_STRETCHES: Final = frozenset({Operation.ACCELERATE, Operation.FAST_ACCELERATE, Operation.PREEMPTIVE_EXPAND})
_INSISTENT: Final = _STRETCHES | {Operation.MERGE}  # done even where there is enough to play
_SILENCE: Final = np.zeros(BLOCK_SAMPLES, dtype=np.float32)
_SILENCE.setflags(write=False)

WORDS: Final = ("normal", "expand", "merge", "accelerate", "preemptive expand", "comfort noise", "muted")
"""What a tick can have done, as ``Block.operation`` says it; a trace holds indexes into this."""

_NORMAL, _EXPAND, _MERGE, _ACCELERATE, _PREEMPTIVE, _NOISE, _MUTED = range(7)
_DONE: Final = {
    Operation.NORMAL: _NORMAL,
    Operation.MERGE: _MERGE,
    Operation.ACCELERATE: _ACCELERATE,
    Operation.FAST_ACCELERATE: _ACCELERATE,
    Operation.PREEMPTIVE_EXPAND: _PREEMPTIVE,
}
# A tick that decodes nothing plays what the ones before left over.
_GOES_ON: Final = dict.fromkeys(Mode, _NORMAL) | {Mode.EXPAND: _EXPAND, Mode.COMFORT_NOISE: _NOISE}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetEqTrace:
    """One entry per tick, all of shape (ticks,).

    ``target_ms`` is the target delay; ``delay_ms`` how late the block just played is beside the fastest packet of two
    seconds (the playout delay D, which concealment lets grow); ``operations`` are indexes into ``words``.
    """

    target_ms: npt.NDArray[np.int32]
    delay_ms: npt.NDArray[np.int32]
    operations: npt.NDArray[np.uint8]
    words: tuple[str, ...] = WORDS


# Three short ways out of a tick: faded to nothing with nothing to wait for (upstream's muted state, which
# costs no concealment); enough decoded already, so that whatever was decided waits unless it changes the
# time; and a new stream, which is played from its first packet on with the target back at 80 ms.
class NetEq:
    """A receiver's playout with the rules of libwebrtc's NetEQ; satisfies ``Playout``.

    Args:
        decoder: decodes this one stream.
        min_delay_s: what audio/video synchronisation asks for, 0 to 10 s.
        max_delay_s: the most the target may be; None for no bound.
        jitter_buffer_target_s: what the application asks for (W3C ``jitterBufferTarget``), 0 to 10 s.
        max_packets: how many packets may wait; one more empties the buffer.
        fast_accelerate: from four times the upper delay limit on, take out all that fits 15 ms at once, also from
            speech that repeats itself but half (off in Chrome unless a page asks for it).
        payload_type: of the Opus packets.
        red_payload_type: of RED packets; None where RED was not negotiated.

    Raises:
        BadInputError: a delay or a number that cannot be meant.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        min_delay_s: float = 0.0,
        max_delay_s: float | None = None,
        jitter_buffer_target_s: float = 0.0,
        max_packets: int = 200,
        fast_accelerate: bool = False,
        payload_type: int = OPUS_PAYLOAD_TYPE,
        red_payload_type: int | None = RED_PAYLOAD_TYPE,
    ) -> None:
        if max_packets < _LEAST_PACKETS:
            fact = f"a packet buffer of {max_packets} packets is too small"
            raise BadInputError(fact, f"give {_LEAST_PACKETS} or more")
        self._decision = Decision(
            DelayConstraints(
                max_packets=max_packets,
                min_delay_ms=round(min_delay_s * 1e3),
                base_min_delay_ms=round(jitter_buffer_target_s * 1e3),
                max_delay_ms=None if max_delay_s is None else round(max_delay_s * 1e3),
            )
        )
        self._buffer = PacketBuffer(max_packets)
        self._counters = Counters()
        self._sound = Sound(decoder, self._counters, fast_accelerate=fast_accelerate)
        self._tick = 0
        parts = self._decision, self._buffer, self._sound, self._counters
        self._intake = Intake(decoder, parts, payload_type, red_payload_type)
        self._trace = Trace(array("i"), array("i"), bytearray())
        self._glider = Glider(decoder, (*parts, self._trace), self._intake)

    def insert_packet(self, packet: RtpPacket, now_s: float) -> None:  # noqa: ARG002 - time is the tick counter
        """Take a packet in; whatever is wrong with it is counted."""
        self._intake.insert(packet, self._tick)

    def get_audio(self, now_s: float) -> Block:  # noqa: ARG002 - time is the tick counter
        """Return the next 10 ms."""
        self._tick += 1
        sound, counters = self._sound, self._counters
        if counters.playing:
            counters.total += BLOCK_SAMPLES
        if not self._buffer.packets and sound.expand.muted:
            counters.conceal(BLOCK_SAMPLES, silent=True)
            return self._block(_SILENCE, BLOCK_SAMPLES, _MUTED)
        word = self._act(self._decide())
        samples = sound.sync.read(BLOCK_SAMPLES)
        sound.listen()
        return self._block(samples, sound.sync.invented_in_last(BLOCK_SAMPLES), word)

    def glide(self, coming: Coming, clock: tuple[float, float, int], most: int) -> Run | None:
        """Play up to ``most`` blocks in one, taking in what is ``coming``; None: the next is to be played alone.

        See ``Gliding``; what it comes to is what ``get_audio`` does block by block.
        """
        self._intake.foresee(coming, clock, self._tick)
        if self._intake.new_stream or not self._glider.ready():
            return None
        sync = self._sound.sync
        playing = sync.end_timestamp - sync.future
        done, samples = self._glider.go_on(self._tick, coming, clock, most)
        self._tick += done
        return Run(samples, playing, done, WORDS[_NORMAL]) if done else None

    def wish(self, jitter_buffer_target_s: float) -> None:
        """Take what the application asks of the jitter buffer from now on (W3C ``jitterBufferTarget``, 0 to 10 s)."""
        self._decision.wish(round(jitter_buffer_target_s * 1e3))

    def hold(self, min_delay_s: float) -> None:
        """Take the least delay that audio/video synchronization asks for from now on, 0 to 10 s."""
        self._decision.hold(round(min_delay_s * 1e3))

    @property
    def current_delay_ms(self) -> int:
        """What sound waits here now: the filtered level of the packet buffer, and what is decoded."""
        return (self._decision.level.level_samples + self._sound.sync.future) // SAMPLES_PER_MS

    def stats(self) -> NetEqStats:
        """Return all counters as they are now."""
        return self._counters.snapshot(
            discarded=self._buffer.discarded,
            fec_discarded=self._buffer.fec_discarded,
            flushes=self._buffer.flushes,
            target_ms=self._decision.target_ms,
            current_samples=self._decision.level.level_samples + self._sound.sync.future,
        )

    def trace(self) -> NetEqTrace:
        """Return what every tick so far did."""
        return NetEqTrace(
            target_ms=np.array(self._trace.target_ms, dtype=np.int32),
            delay_ms=np.array(self._trace.delay_ms, dtype=np.int32),
            operations=np.frombuffer(bytes(self._trace.operations), dtype=np.uint8),
        )

    def _decide(self) -> Operation:
        sound, buffer = self._sound, self._buffer
        sync, since = sound.sync, sound.noise_since
        if not self._intake.new_stream:
            buffer.discard_older(sync.end_timestamp)
        operation = self._decision.decide(
            buffer,
            tick=self._tick,
            mode=sound.mode,
            end=sync.end_timestamp,
            future=sync.future,
            mute=sound.expand.mute,
            noise_samples=0 if since is None else (self._tick - since) * BLOCK_SAMPLES,
            last_duration=sound.last_duration,
        )
        # How long a silence really is, is not known yet: nothing is stretched or aligned to its first frame.
        if operation is not Operation.NORMAL and operation in _INSISTENT and buffer.packets[0].is_dtx:
            return Operation.NORMAL
        return operation

    def _act(self, operation: Operation) -> int:
        """Carry ``operation`` out; return which of ``WORDS`` it came to."""
        sound = self._sound
        left = sound.left
        ordinary = operation is Operation.NORMAL
        if left >= BLOCK_SAMPLES and (ordinary or operation not in _INSISTENT):
            return _NORMAL if sound.mode is Mode.NORMAL else _GOES_ON[sound.mode]
        packets = self._buffer.packets
        if packets and (self._intake.new_stream or operation is Operation.RESET):
            operation, ordinary = Operation.NORMAL, True
            sound.sync.end_timestamp = packets[0].timestamp
            self._intake.new_stream = False
            self._decision.soft_reset(self._tick)
        if operation is Operation.COMFORT_NOISE:
            sound.comfort_noise()
            return _NOISE
        if operation is Operation.EXPAND or operation is Operation.RESET:
            sound.conceal(self._tick)
            return _EXPAND
        operation, need = (operation, BLOCK_SAMPLES) if ordinary else _needed(operation, left, sound.last_duration)
        frames: list[WaitingPacket] = []
        if need:
            left += self._extract(need, frames)
        if not ordinary and operation in _STRETCHES:
            self._decision.stretch_tried(left)
            if operation is not Operation.PREEMPTIVE_EXPAND and left < NEEDED_SAMPLES:
                operation = Operation.NORMAL
        decoded = sound.decode(frames, self._tick)
        if decoded is None:
            sound.conceal(self._tick)
            return _EXPAND
        operation = sound.play(operation, decoded)
        if sound.mode is Mode.NORMAL:
            return _NORMAL
        return _NOISE if sound.mode is Mode.COMFORT_NOISE else _DONE[operation]

    def _extract(self, need: int, frames: list[WaitingPacket]) -> int:
        """Move consecutive packets into ``frames`` until ``need`` samples are there; return how many there are."""
        buffer, sound, decision = self._buffer, self._sound, self._decision
        packets = buffer.packets
        first = sound.sync.end_timestamp = packets[0].timestamp
        while True:
            packet = buffer.pop()
            frames.append(packet)
            duration = packet.duration or sound.last_duration
            waited_ms = (self._tick - packet.tick) * TICK_MS
            self._counters.emit(duration, waited_ms, decision.target_ms, decision.target.target_ms)
            got = packet.timestamp - first + duration
            if got >= need or not packets or packets[0].timestamp != packet.timestamp + duration:
                break
        buffer.discard_older(packet.timestamp, None)
        return got

    def _block(self, samples: Pcm, invented: int, word: int) -> Block:
        """Return the block of this tick and note it in the trace."""
        sync, decision = self._sound.sync, self._decision
        playing = sync.end_timestamp - sync.future - BLOCK_SAMPLES
        self._trace.target_ms.append(decision.target_ms)
        self._trace.delay_ms.append(decision.history.delay_ms(playing, self._tick))
        self._trace.operations.append(word)
        known = self._counters.playing and invented < BLOCK_SAMPLES and word != _NOISE
        return Block(
            samples=samples,
            rtp_timestamp=playing + sync.trailing_invented if known else None,
            concealed_samples=invented,
            operation=WORDS[word],
        )


def _needed(operation: Operation, left: int, last_duration: int) -> tuple[Operation, int]:
    """Return how many samples to take from the buffer, and what the operation becomes for want of them."""
    if operation not in _STRETCHES:
        return operation, BLOCK_SAMPLES
    long_frames = last_duration >= NEEDED_SAMPLES
    if left >= NEEDED_SAMPLES:
        return operation, 0
    preemptive = operation is Operation.PREEMPTIVE_EXPAND
    if left >= BLOCK_SAMPLES and long_frames:  # another long frame might not fit
        return (operation if preemptive else Operation.NORMAL), 0
    if left < 2 * BLOCK_SAMPLES and not long_frames:
        # Two blocks now, so that next time one frame is enough; an accelerate waits for that.
        return (operation if preemptive else Operation.NORMAL), 2 * BLOCK_SAMPLES
    return operation, BLOCK_SAMPLES
