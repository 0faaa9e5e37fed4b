"""What to do in the next ten milliseconds: play, stretch, shorten, conceal, or wait.

Facts:
    The playout delay D is how late the sample about to be played is beside the fastest packet of two seconds. It is
    left alone anywhere in [T, T + MaxDelay + 20 ms), T being the target delay and MaxDelay the lateness of the
    slowest packet of two seconds: which point of that window a call rests at depends on its history. That
    hysteresis is real; two receivers of the same packets differ by it.

Rules:
    1. Below T the audio is stretched, from the top of the window on it is shortened, once per six ticks at most.
    2. After concealment that has faded to half, or after comfort noise, nothing is decoded before half of T is there.
    3. A packet beyond a hole waits until the concealment has covered the hole, unless more than T + 50 ms queue up.
    4. A late packet is simply played: the time concealed while waiting for it is added to the delay.

Source: ``decision_logic.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from enum import Enum

from rtcprobe.playout.neteq.buffer import HORIZON_SAMPLES, PacketBuffer
from rtcprobe.playout.neteq.delay import DelayConstraints, DelayTarget, LevelFilter
from rtcprobe.playout.neteq.foresight import Foresight
from rtcprobe.playout.neteq.history import SAMPLES_PER_MS, ArrivalHistory

__all__ = ["GRANULARITY_MS", "Decision", "Mode", "Operation"]

STRETCH_INTERVAL_TICKS = 5
"""``kMinTimescaleInterval``: from a stretch to the next, one tick more than this."""

GRANULARITY_MS = 20
"""``kDelayAdjustmentGranularityMs``: a stretch moves up to 15 ms, the clock has 10."""

_WINDOW_MS = 50
"""Half of ``kTargetLevelWindowMs``."""

_NOISE_TIMEOUT_SAMPLES = 1_000 * SAMPLES_PER_MS
"""``kCngTimeoutMs``: how long the codec's own comfort noise may stand in for a silent sender."""

_HALF_MUTED = 0.5
"""Rule 2."""


class Operation(Enum):
    """What a tick is decided to do."""

    NORMAL = "normal"
    MERGE = "merge"
    EXPAND = "expand"
    ACCELERATE = "accelerate"
    FAST_ACCELERATE = "fast accelerate"
    PREEMPTIVE_EXPAND = "preemptive expand"
    COMFORT_NOISE = "comfort noise"
    RESET = "reset"


class Mode(Enum):
    """What the last tick that made sound really did."""

    NORMAL = "normal"
    MERGE = "merge"
    EXPAND = "expand"
    STRETCHED = "stretched"
    STRETCH_FAILED = "stretch failed"
    COMFORT_NOISE = "comfort noise"


class Decision:
    """The controller: fed with arrivals, asked once per tick."""

    __slots__ = (
        "_packet_samples", "_stretch_tried", "_stretched_samples", "_target_asked", "_target_read", "constraints",
        "foresight", "history", "level", "rest_ticks", "target", "was_flushed",
    )  # fmt: skip

    def __init__(self, constraints: DelayConstraints) -> None:
        self.constraints = constraints
        self.history = ArrivalHistory()
        self.foresight: Foresight | None = None
        """What history and target will be, where all packets are known."""
        self.target = DelayTarget()
        self.level = LevelFilter()
        self._packet_samples = 0
        self.was_flushed = False
        """Whether the packet buffer was thrown away since the last tick."""
        self._stretch_tried = False
        self._stretched_samples = 0
        self.rest_ticks = STRETCH_INTERVAL_TICKS + 1
        """The first tick that may stretch or shorten again."""
        self._read_target()

    @property
    def target_ms(self) -> int:
        """The target delay within its constraints."""
        return self._target_read

    def soft_reset(self, tick: int) -> None:
        """Forget the stream: target 80 ms, no history, no stretch for six ticks."""
        self._packet_samples = 0
        self._stretch_tried = False
        self.rest_ticks = tick + STRETCH_INTERVAL_TICKS + 1
        self.target.reset()
        self.level.reset()
        self.history.reset()
        if self.foresight is not None:
            self.foresight.begin()
        self._read_target()

    def flushed(self) -> None:
        """Learn that the packet buffer was thrown away."""
        self.was_flushed = True

    def packet_arrived(self, timestamp: int, samples: int, tick: int) -> None:
        """Take the arrival of a packet."""
        # The roof of the target is a count of packets: it moves with how long each is.
        if samples > 0 and samples != self._packet_samples:
            self._packet_samples = samples
            self.constraints.packet_time_known(samples // SAMPLES_PER_MS)
            self._read_target()
        if self.foresight is not None:
            self.foreseen(self.foresight.latest)
            return
        history, target = self.history, self.target
        in_order = history.follow(timestamp, samples, tick)  # as nearly every packet is
        if not (in_order or history.insert(timestamp, samples, tick)) or len(history) < 2:
            return
        if in_order:
            late_ms, reordered = history.newest_ms, False
        else:
            late_ms, reordered = history.delay_ms(timestamp, tick), not history.is_newest(timestamp)
        target.update(late_ms, tick, reordered=reordered)
        if target.target_ms != self._target_asked:
            self._read_target()

    def foreseen(self, place: int) -> None:
        """Take the arrival of all packets up to the one at ``place``, as it was foreseen."""
        foresight, target = self.foresight, self.target
        assert foresight is not None
        foresight.look(place + 1)
        self.history.foreseen(int(foresight.fast_ms[place]), int(foresight.max_delay_ms[place]))
        target.target_ms = int(foresight.target_ms[place])
        if target.target_ms != self._target_asked:
            self._read_target()

    def wish(self, base_min_delay_ms: int) -> None:
        """Take what the application asks for, from the next packet on."""
        self.constraints.wish(base_min_delay_ms)
        self._target_asked = -1

    def hold(self, min_delay_ms: int) -> None:
        """Take the least delay that audio/video synchronization asks for, from the next packet on."""
        self.constraints.hold(min_delay_ms)
        self._target_asked = -1

    def _read_target(self) -> None:
        self._target_asked = self.target.target_ms
        self._target_read = self.constraints.clamp(self._target_asked)

    def stretch_tried(self, samples_left: int) -> None:
        """Learn that a stretch is attempted in this tick; whether it worked shows in the next one's mode."""
        self._stretch_tried = True
        self._stretched_samples = samples_left

    def decide(
        self, buffer: PacketBuffer, *, tick: int, mode: Mode, end: int, future: int, mute: float, noise_samples: int,
        last_duration: int,
    ) -> Operation:  # fmt: skip
        """Return what to do in ``tick``.

        Args:
            buffer: packets waiting, obsolete ones already dropped.
            tick: tick counter, already counting this tick.
            mode: what the last tick did.
            end: RTP time the next decoded sample should have.
            future: samples decoded and not yet played, the overlap tail included.
            mute: gain the concealment has faded to, 0 to 1.
            noise_samples: concealment or noise made since the last decoded sample, whole ticks; 0 when none runs.
            last_duration: samples of the frame decoded last.
        """
        # A stretch that was tried and found nothing to repeat costs no rest: the next tick may try again.
        tried, self._stretch_tried = self._stretch_tried and mode is Mode.STRETCHED, False
        if tried:
            self.rest_ticks = tick + STRETCH_INTERVAL_TICKS
        # While nothing is taken out the level is no level: what waits would be counted as a queue.
        if mode is not Mode.COMFORT_NOISE and mode is not Mode.EXPAND:
            self.filter_level(buffer.span_samples(tick, last_duration), tried, future)
        packets = buffer.packets
        if not packets:
            return self._without_packet(mode, noise_samples)
        # Rule 2: a gap that has faded is worth waiting a little longer for, so that the next one does not follow at
        # once.
        if (mode is Mode.EXPAND or mode is Mode.COMFORT_NOISE) and self._postpone(buffer, tick, mode, mute):
            return self._without_packet(mode, noise_samples)
        leap = packets[0].timestamp - end
        if not leap:
            return self._expected(tick, mode, end - future)
        # Older than what was played, and not thrown away as such: a stream that begins anew.
        if -HORIZON_SAMPLES < leap < 0:
            return Operation.RESET
        return self._future(buffer, tick, mode, leap & 0xFFFFFFFF, noise_samples)

    def calmly(self, level_q8: int) -> None:
        """Learn that ticks passed in which there was nothing to decide, and what they left of the level."""
        self._stretch_tried = False
        self.level.level_q8 = level_q8

    def filter_level(self, span: int, stretched: bool, future: int) -> None:
        """Take the level of a tick into the filter: what ``span`` waits, less what was ``stretched`` away."""
        if self.was_flushed:
            self.level.set_level(span)
            self.was_flushed = False
            return
        # What was decoded and left when the stretch began, less what is left now and the block it filled.
        moved = self._stretched_samples - future - 450 if stretched else 0
        self.level.update(span, moved, self._target_read)

    @staticmethod
    def _without_packet(mode: Mode, noise_samples: int) -> Operation:
        if mode is Mode.COMFORT_NOISE and noise_samples <= _NOISE_TIMEOUT_SAMPLES:
            return Operation.COMFORT_NOISE
        return Operation.EXPAND

    def _postpone(self, buffer: PacketBuffer, tick: int, mode: Mode, mute: float) -> bool:
        # kPostponeDecodingLevel, 50 per cent of the target.
        enough = self._target_read * SAMPLES_PER_MS * 50 // 100
        if buffer.span_waited_samples(tick) >= enough or buffer.has_dtx:
            return False
        return mode is Mode.COMFORT_NOISE or mute < _HALF_MUTED

    def _expected(self, tick: int, mode: Mode, playing: int) -> Operation:
        if mode is Mode.EXPAND:
            return Operation.NORMAL
        delay_ms = self.history.delay_ms(playing, tick)
        low = self._target_read
        high = low + self.history.max_delay_ms + GRANULARITY_MS
        # So late that no rest is kept between one such and the next.
        if delay_ms >= 4 * high:
            return Operation.FAST_ACCELERATE
        if tick >= self.rest_ticks:
            if delay_ms >= high:
                return Operation.ACCELERATE
            if delay_ms < low:
                return Operation.PREEMPTIVE_EXPAND
        return Operation.NORMAL

    def _future(self, buffer: PacketBuffer, tick: int, mode: Mode, leap: int, noise_samples: int) -> Operation:
        waited = buffer.span_waited_samples(tick)
        # Rule 3: the hole is not covered yet, and there is no hurry.
        if leap > noise_samples and waited // SAMPLES_PER_MS <= self._target_read + _WINDOW_MS:
            return self._without_packet(mode, noise_samples)
        if leap != noise_samples:
            self.level.set_level(waited)  # the delay changes here
        if mode is Mode.EXPAND:
            return Operation.MERGE
        return Operation.NORMAL if mode is Mode.COMFORT_NOISE else Operation.EXPAND
