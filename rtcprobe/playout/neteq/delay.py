"""The target delay: how long a packet should wait so that nineteen of twenty half-seconds pass without a gap.

Facts:
    Two histograms of 100 buckets of 20 ms watch how late packets are. The *underrun* one takes the worst lateness of
    every half second and answers with its 95 % quantile; the *reorder* one takes every packet and waits for the
    reordered ones where that costs less than 20 ms per percent of packets saved. The larger answer wins.
    Probabilities are Q30 and forget factors Q15 integers, so the same packets give the same target, bit for bit.

Rules:
    1. Until the first half second is over the target is 80 ms.
    2. A reordered packet never enters the underrun histogram.
    3. Constraints act whenever the target is read: the minimum first, then the maximum, then three quarters of what
       the packet buffer can hold.

Source: ``delay_manager.cc``, ``histogram.cc``, ``underrun_optimizer.cc``, ``reorder_optimizer.cc``,
``delay_constraints.cc``, ``buffer_level_filter.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError
from rtcprobe.playout.neteq.history import TICK_MS
from rtcprobe.units import format_duration

__all__ = [
    "DelayConstraints",
    "DelayTarget",
    "Histogram",
    "LevelFilter",
    "ReorderOptimizer",
    "UnderrunOptimizer",
    "level_factor",
    "level_factors",
]

# kDelayBuckets and kBucketSizeMs of both optimizers: up to 2 s; kStartDelayMs of ``delay_manager.cc``.
BUCKETS = 100
BUCKET_MS = 20
START_TARGET_MS = 80
_ONE_Q30 = 1 << 30
# Buckets of 20 ms up to 2 s; the 95th percentile of half-seconds, forgotten by 1.7 % each; for reordering by 0.07 % a
# packet, where 20 ms of delay are worth 1 % of loss.
_QUANTILE_REST_Q30 = _ONE_Q30 - int(_ONE_Q30 * 0.95)
_UNDERRUN_FORGET = 0.983
_REORDER_FORGET = 0.9993
_START_FORGET_WEIGHT = 2
_RESAMPLE_MS = 500
_MS_PER_LOSS_PERCENT = 20
_LONGEST_DELAY_MS = 10_000
"""All of ``DelayManager::Config`` and ``kMaxBaseMinimumDelayMs``."""


class Histogram:
    """Probabilities of 100 buckets that forget: the first values replace all before, later ones weigh little."""

    __slots__ = ("_adds", "_base_q15", "_used", "_weight", "buckets")

    def __init__(self, forget_factor: float, start_weight: float = _START_FORGET_WEIGHT) -> None:
        self._base_q15 = int((1 << 15) * forget_factor)
        self._weight = start_weight
        self.buckets: list[int] = []
        self.reset()

    def reset(self) -> None:
        """Start from p = 1/2, 1/4, 1/8, ..., to be replaced by the first value added."""
        # Halving 0x4002 in 16 bits sums to exactly one in Q30.
        self.buckets = [((0x4002 >> (index + 1)) & 0xFFFF) << 16 for index in range(BUCKETS)]
        self._used = 16  # no bucket from here on holds anything
        self._adds = 0

    def add(self, index: int) -> None:
        """Let a value in bucket ``index`` be a little more likely; values beyond 2 s are not registered."""
        if index >= BUCKETS:
            return
        buckets, forget = self.buckets, self._forget_q15()
        if not (index == 0 and buckets[0] == _ONE_Q30):  # all in the first bucket stays so
            self._used = max(self._used, index + 1)
            self._move_weight(buckets, index, forget)
        self.stay()

    def stay(self, times: int = 1) -> None:
        """Take so many values that leave the probabilities as they are: the first bucket's, where that holds all."""
        self._adds += times

    def _forget_q15(self) -> int:
        """Return the forget factor: nothing is kept at the first value, then ever more, up to the one set."""
        # The first value replaces the made-up start (p = 1/2, 1/4, ...) whole.
        if not self._adds:
            return 0
        return min(self._base_q15, max(0, int((1 << 15) * (1 - self._weight / (self._adds + 1)))))

    def _move_weight(self, buckets: list[int], index: int, forget: int) -> None:
        used = self._used
        new = (32768 - forget) << 15
        total = new - _ONE_Q30
        for place in range(used):
            buckets[place] = kept = (buckets[place] * forget) >> 15
            total += kept
        buckets[index] += new
        # Flooring lost a little; early buckets give or take up to a sixteenth of themselves until the sum is one.
        for place in range(used):
            if not total:
                break
            # Order matters to the bit: upstream corrects from the first bucket on, and so does this.
            step = min(abs(total), buckets[place] >> 4)
            if total > 0:
                step = -step
            buckets[place] += step
            total += step
        while used > 1 and not buckets[used - 1]:
            used -= 1
        self._used = used

    def quantile(self, rest_q30: int) -> int:
        """Return the first bucket with at most ``rest_q30`` of probability beyond it."""
        beyond = _ONE_Q30
        for index, weight in enumerate(self.buckets):
            beyond -= weight
            if beyond <= rest_q30:
                return index
        return BUCKETS - 1


class UnderrunOptimizer:
    """The wait that covers the worst lateness of 95 % of half-seconds; ``None`` before the first is over."""

    __slots__ = ("_since_tick", "_worst_ms", "histogram", "optimal_ms")

    def __init__(self) -> None:
        self.histogram = Histogram(_UNDERRUN_FORGET)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.histogram.reset()
        self._since_tick: int | None = None
        self._worst_ms = 0
        self.optimal_ms: int | None = None

    def note(self, late_ms: int, tick: int) -> bool:
        """Take the lateness of a packet where that ends no half second; return whether it was taken."""
        since = self._since_tick
        if since is None or (tick - since) * TICK_MS > _RESAMPLE_MS:
            return False
        self._worst_ms = max(self._worst_ms, late_ms)
        return True

    def note_many(self, late_ms: npt.NDArray[np.int64], ticks: npt.NDArray[np.int64]) -> int:
        """Take the lateness of packets up to the one that ends a half second; return how many were taken."""
        since = self._since_tick
        if since is None:
            return 0
        count = int(ticks.searchsorted(since + _RESAMPLE_MS // TICK_MS, side="right"))
        if count:
            self._worst_ms = max(self._worst_ms, int(late_ms[:count].max()))
        return count

    def update(self, late_ms: int, tick: int) -> None:
        """Take the lateness of one in-order packet that arrived at ``tick``."""
        if self._since_tick is None:
            self._since_tick = tick
        if (tick - self._since_tick) * TICK_MS > _RESAMPLE_MS:
            # The packet that ends a half second belongs to the next one.
            self.histogram.add(self._worst_ms // BUCKET_MS)
            self.optimal_ms = BUCKET_MS * (1 + self.histogram.quantile(_QUANTILE_REST_Q30))
            self._since_tick = tick
            self._worst_ms = 0
        self._worst_ms = max(self._worst_ms, late_ms)


class ReorderOptimizer:
    """The wait at which one more millisecond costs as much as the reordered packets it would still save."""

    __slots__ = ("histogram", "optimal_ms")

    def __init__(self, forget_factor: float = _REORDER_FORGET, start_weight: float = _START_FORGET_WEIGHT) -> None:
        self.histogram = Histogram(forget_factor, start_weight)
        self.optimal_ms = 0

    def reset(self) -> None:
        """Forget everything."""
        self.histogram.reset()
        self.optimal_ms = 0

    def update(self, late_ms: int, base_ms: int, *, reordered: bool) -> None:
        """Take one packet; ``base_ms`` is waited anyway, so waiting up to it costs nothing."""
        if not reordered and self.histogram.buckets[0] == _ONE_Q30:
            self.histogram.stay()  # nothing was ever reordered, or it is long forgotten
            self.optimal_ms = BUCKET_MS
            return
        self.histogram.add(late_ms // BUCKET_MS if reordered else 0)
        lost = _ONE_Q30
        best = 0
        lowest: int | None = None
        for index, weight in enumerate(self.histogram.buckets):
            lost -= weight
            waited_ms = max(0, index * BUCKET_MS - base_ms)
            cost = waited_ms * _ONE_Q30 + 100 * _MS_PER_LOSS_PERCENT * lost
            if lowest is None or cost < lowest:
                lowest, best = cost, index
            if not lost:
                break
        self.optimal_ms = BUCKET_MS * (1 + best)


class DelayTarget:
    """The unconstrained target, fed with the lateness of every packet."""

    __slots__ = ("_reorder", "_underrun", "target_ms")

    def __init__(self) -> None:
        self._underrun = UnderrunOptimizer()
        self._reorder = ReorderOptimizer()
        self.target_ms = START_TARGET_MS

    def reset(self) -> None:
        """Start anew from 80 ms."""
        self._underrun.reset()
        self._reorder.reset()
        self.target_ms = START_TARGET_MS

    def update(self, late_ms: int, tick: int, *, reordered: bool) -> None:
        """Take the lateness of one packet that arrived at ``tick``."""
        histogram = self._reorder.histogram
        if not reordered and histogram.buckets[0] == _ONE_Q30 and self._underrun.note(late_ms, tick):
            histogram.stay()  # what nearly every packet does: it moves neither answer, so the target stays
            return
        if not reordered:
            self._underrun.update(late_ms, tick)
        base_ms = self._underrun.optimal_ms
        if base_ms is None:
            base_ms = START_TARGET_MS
        self._reorder.update(late_ms, base_ms, reordered=reordered)
        self.target_ms = max(base_ms, self._reorder.optimal_ms)

    def follow(
        self, late_ms: npt.NDArray[np.int64], ticks: npt.NDArray[np.int64], targets_ms: npt.NDArray[np.int64]
    ) -> None:
        """Take packets in order, as ``update`` does one by one; ``targets_ms`` becomes the target after each."""
        histogram, at, count = self._reorder.histogram, 0, len(ticks)
        while at < count:
            if histogram.buckets[0] == _ONE_Q30:
                calm = self._underrun.note_many(late_ms[at:], ticks[at:])
                histogram.stay(calm)
                targets_ms[at : at + calm] = self.target_ms
                at += calm
            if at < count:
                self.update(int(late_ms[at]), int(ticks[at]), reordered=False)
                targets_ms[at] = self.target_ms
                at += 1


class DelayConstraints:
    """What the application, video and the packet buffer allow the target to be.

    ``min_delay_ms`` is what audio/video synchronisation asks for; ``base_min_delay_ms`` what the application set
    (``jitterBufferTarget`` of W3C webrtc-extensions, 0 to 10 s).
    """

    __slots__ = ("_base_min_delay_ms", "_effective_min_ms", "_max_packets", "_roof_ms", "max_delay_ms", "min_delay_ms")

    def __init__(
        self, *, max_packets: int, min_delay_ms: int = 0, base_min_delay_ms: int = 0, max_delay_ms: int | None = None
    ) -> None:
        for what, value in (("minimum delay", min_delay_ms), ("jitter buffer target", base_min_delay_ms)):
            if not 0 <= value <= _LONGEST_DELAY_MS:
                raise BadInputError(f"{what} {format_duration(value / 1e3)} is impossible", "give 0ms to 10s")
        if max_delay_ms is not None and not 0 < max_delay_ms <= _LONGEST_DELAY_MS:
            raise BadInputError(f"maximum delay {format_duration(max_delay_ms / 1e3)} is impossible", "give 1ms to 10s")
        if max_delay_ms is not None and max_delay_ms < min_delay_ms:
            raise BadInputError(
                f"maximum delay {format_duration(max_delay_ms / 1e3)} is below the minimum delay "
                f"{format_duration(min_delay_ms / 1e3)}",
                "swap them or drop one",
            )
        self._max_packets = max_packets
        self._base_min_delay_ms = base_min_delay_ms
        self._roof_ms: int | None = None
        self.min_delay_ms = min_delay_ms
        self.max_delay_ms = max_delay_ms
        self._effective_min_ms = 0
        self._settle()

    def wish(self, base_min_delay_ms: int) -> None:
        """Take what the application asks for from now on."""
        self._base_min_delay_ms = base_min_delay_ms
        self._settle()

    def hold(self, min_delay_ms: int) -> None:
        """Take the least delay that synchronization asks for; more than the most allowed is refused."""
        if self.max_delay_ms is None or min_delay_ms <= self.max_delay_ms:
            self.min_delay_ms = min_delay_ms
        self._settle()

    def packet_time_known(self, ptime_ms: int) -> None:
        """Learn the packet time: three quarters of what the buffer holds becomes the roof."""
        self._roof_ms = 3 * self._max_packets * ptime_ms // 4 if ptime_ms else None
        self._settle()

    def clamp(self, target_ms: int) -> int:
        """Return what ``target_ms`` becomes."""
        target_ms = max(target_ms, self._effective_min_ms)
        if self.max_delay_ms is not None and target_ms > self.max_delay_ms:
            target_ms = self.max_delay_ms
        if self._roof_ms is not None and target_ms > self._roof_ms:
            target_ms = self._roof_ms
        return target_ms

    def _settle(self) -> None:
        roofs = [bound for bound in (self.max_delay_ms, self._roof_ms) if bound is not None]
        bounded = min(self._base_min_delay_ms, *roofs, _LONGEST_DELAY_MS)
        self._effective_min_ms = max(self.min_delay_ms, bounded)


def level_factor(target_ms: int) -> int:
    """Return how much of the level is kept from one tick to the next, in 1/256."""
    return 251 if target_ms <= 20 else 252 if target_ms <= 60 else 253 if target_ms <= 140 else 254


# The bounds of ``level_factor``; ``searchsorted`` from the left keeps each bound on its lower side, as <=
# does.
_FACTOR_STEPS_MS = np.array([20, 60, 140])


def level_factors(targets_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return ``level_factor`` of many, same shape."""
    factors: npt.NDArray[np.int64] = 251 + np.searchsorted(_FACTOR_STEPS_MS, targets_ms)
    return factors


class LevelFilter:
    """A slow average of what the packet buffer spans; reported as part of the current delay, steering nothing."""

    __slots__ = ("level_q8",)

    def __init__(self) -> None:
        self.level_q8 = 0

    @property
    def level_samples(self) -> int:
        """The filtered level, to the nearest sample."""
        return (self.level_q8 + 128) >> 8

    def reset(self) -> None:
        """Forget everything."""
        self.level_q8 = 0

    def set_level(self, samples: int) -> None:
        """Start anew from ``samples``."""
        self.level_q8 = samples << 8

    def update(self, samples: int, stretched_samples: int, target_ms: int) -> None:
        """Take one tick's level; ``stretched_samples`` were taken out by time-stretching (negative: put in)."""
        factor = level_factor(target_ms)
        level = (factor * self.level_q8 >> 8) + (256 - factor) * samples
        level -= stretched_samples << 8
        self.level_q8 = max(0, level)
