"""How long a frame must wait so that the next ones come in time: libwebrtc's jitter estimator for video.

Facts:
    - A large frame takes longer to come than a small one. A Kalman filter learns by how much (ms a byte, and an offset)
      from each frame's delay variation; what it cannot explain is noise. The estimate is what the largest frame would
      need beyond an average one, and 2.33 deviations of the noise above 30 ms, but never below 1 ms.
    - 10 ms are added for the operating system: on a clean link the answer is 11 ms.
    - Below 5 frames a second nothing is waited for at all.

Source: ``video/timing/jitter_estimator.cc``, ``frame_delay_variation_kalman_filter.cc``,
``inter_frame_delay_variation_calculator.cc`` of libwebrtc, 2025-06 and 2026-08; the field trials that change them are
off by default.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from rtcprobe.playout.frames.micros import MS, SECOND, micros, scaled, ticks_us, to_ms
from rtcprobe.playout.frames.rtt import RoundTrips
from rtcprobe.wrapping import Unwrapper

__all__ = ["DelayVariation", "JitterEstimator", "SizeDelayFilter"]

# kFrameProcessingStartupCount and kFramesUntilSizeFiltering: nothing is filtered, and no average is one,
# before.
_START_FRAMES: Final = 30
_SIZE_SAMPLES: Final = 5
# kPhi and kPsi: an average size over some 33 frames; a largest one that is half forgotten after 6,900, four
# minutes of 30 a second.
_FORGET_SIZE, _FORGET_LARGEST = 0.97, 0.9999
# kAlphaCountMax: the noise filter's memory in frames, once it is full; 13 s at 30 a second.
_MOST_COUNT: Final = 400
# One in a hundred of normal noise is beyond 2.33 deviations; 30 ms of that are not waited for
# (kNoiseStdDevOffset).
_NOISE_DEVIATIONS, _NOISE_OFFSET_MS = 2.33, 30.0
# kNumStdDevDelayOutlier, kNumStdDevSizeOutlier, and what a single frame may say at most
# (kNumStdDevDelayClamp).
_OUTLIER_DEVIATIONS, _BIG_DEVIATIONS, _CLAMP_DEVIATIONS = 15.0, 3.0, 3.5
_CONGESTED: Final = -0.25  # of the largest frame: a frame smaller than the one before by more tells nothing of size
_SYSTEM_US: Final = 10 * MS
# From three frames within a minute on that retransmissions have delayed, 0.9 of a round trip is waited for,
# too, 200 ms at most.
_NACKS: Final = 3
_NACKS_FORGOTTEN_US: Final = 60 * SECOND
_RTT_SHARE, _RTT_MOST_US = 0.9, 200 * MS
# 200 frames a second: two frames released together would else say any rate.
_MOST_RATE_MHZ: Final = 200_000
_LEAST_US, _MOST_US = 1 * MS, 10 * SECOND


class DelayVariation:
    """By how much longer a frame took than the one released before it; frames not newer than that give nothing."""

    __slots__ = ("_arrival_us", "_timestamp", "_unwrap")

    def __init__(self) -> None:
        self._unwrap = Unwrapper(32)
        self._timestamp: int | None = None
        self._arrival_us = 0

    def of(self, timestamp: int, arrival_us: int) -> int | None:
        """Return µs: 0 of the first frame, None of one that is not newer."""
        ticks = self._unwrap.unwrap(timestamp)
        if self._timestamp is None:
            variation: int | None = 0
        elif ticks <= self._timestamp:
            return None
        else:
            variation = arrival_us - self._arrival_us - ticks_us(ticks - self._timestamp)
        self._timestamp, self._arrival_us = ticks, arrival_us
        return variation


class SizeDelayFilter:
    """The Kalman filter: state ms a byte and ms, observation a frame's delay variation against its size variation."""

    __slots__ = ("_offset_ms", "_p", "slope")

    def __init__(self) -> None:
        self.slope = 1.0 / 64_000.0  # ms a byte: 512 kb/s
        self._offset_ms = 0.0
        self._p = [[1e-4, 0.0], [0.0, 1e2]]

    def expected(self, size_change: float) -> float:
        """Return the delay variation, ms, that a change of size explains."""
        return self.slope * size_change + self._offset_ms

    def update(self, variation_ms: float, size_change: float, largest: float, noise_variance: float) -> None:
        """Learn from a frame; sizes in bytes, ``noise_variance`` in ms²."""
        if largest < 1 or noise_variance <= 0.0:
            return
        p = self._p
        p[0][0] += 2.5e-10
        p[1][1] += 1e-10
        innovation = variation_ms - self.expected(size_change)
        h0 = p[0][0] * size_change + p[0][1]
        h1 = p[1][0] * size_change + p[1][1]
        # A deviation where a variance belongs: upstream says so itself and keeps it.
        noise = (300.0 * math.exp(-abs(size_change) / largest) + 1.0) * math.sqrt(noise_variance)
        sum_ = size_change * h0 + h1 + max(1.0, noise)
        k0, k1 = h0 / sum_, h1 / sum_
        self.slope = max(1e-6, self.slope + k0 * innovation)
        self._offset_ms += k1 * innovation
        old00, old01 = p[0]
        p[0][0] = (1.0 - k0 * size_change) * old00 - k0 * p[1][0]
        p[0][1] = (1.0 - k0 * size_change) * old01 - k0 * p[1][1]
        p[1][0] = p[1][0] * (1.0 - k1) - k1 * size_change * old00
        p[1][1] = p[1][1] * (1.0 - k1) - k1 * size_change * old01


class JitterEstimator:
    """The estimate of one stream; ``update`` at each frame released that no retransmission delayed."""

    def __init__(self) -> None:
        self.round_trips = RoundTrips()
        self.reset()

    def reset(self) -> None:
        """Forget everything but the round trips."""
        self._filter = SizeDelayFilter()
        self._average, self._largest, self._size_variance = 500.0, 500.0, 100.0
        self._noise_ms, self._variance = 0.0, 4.0
        self._count, self._frames = 1, 0
        self._first_sizes: list[int] | None = []
        self._previous_size = 0
        self._filtered_us, self._previous_us = 0, 0
        self._intervals_us: deque[int] = deque(maxlen=_START_FRAMES)
        self._interval_sum_us = 0
        self._updated_us: int | None = None
        self._nacked, self._nacked_us = 0, 0

    def frame_nacked(self, now_us: int) -> None:
        """Note a frame that a retransmission delayed."""
        self._nacked = min(_NACKS, self._nacked + 1)
        self._nacked_us = now_us

    def update(self, variation_us: int, size: int, now_us: int) -> None:
        """Learn from a frame of ``size`` bytes whose delay varied by ``variation_us``."""
        if not size:
            return
        change = size - self._previous_size
        self._learn_size(size)
        first = self._previous_size == 0
        self._previous_size = size
        if first:
            return
        most_us = micros(_CLAMP_DEVIATIONS * math.sqrt(self._variance) + 0.5)
        observed = float(to_ms(max(-most_us, min(most_us, variation_us))))
        deviation = observed - self._filter.expected(change)
        limit = _OUTLIER_DEVIATIONS * math.sqrt(self._variance)
        big = size > self._average + _BIG_DEVIATIONS * math.sqrt(self._size_variance)
        if abs(deviation) < limit or big:
            self._learn_noise(deviation, now_us)
            # A frame much smaller than the one before comes early behind a queue that the large one made:
            # that is no law of size.
            if change > _CONGESTED * self._largest:
                self._filter.update(observed, change, self._largest, self._variance)
        else:
            self._learn_noise(math.copysign(limit, deviation), now_us)
        if self._frames >= _START_FRAMES:
            self._filtered_us = self._calculated_us()
        else:
            self._frames += 1

    def estimate_us(self, now_us: int) -> int:
        """Return the jitter delay, µs."""
        answer = max(self._calculated_us() + _SYSTEM_US, self._filtered_us)
        if now_us - self._nacked_us > _NACKS_FORGOTTEN_US:
            self._nacked = 0
        if self._nacked >= _NACKS:
            answer += min(scaled(self.round_trips.value_us, _RTT_SHARE), _RTT_MOST_US)
        rate = self._rate_mhz()
        if not rate:
            return max(0, answer)
        if rate < 5_000:
            return 0
        if rate < 10_000:
            answer = scaled(answer, (rate / 1000.0 - 5.0) / 5.0)
        return max(0, answer)

    def _learn_size(self, size: int) -> None:
        # The first frames, a key frame among them, give the average at once.
        if self._first_sizes is not None:
            # The sixth frame sets the average to that of the first five, as upstream counts.
            if len(self._first_sizes) < _SIZE_SAMPLES:
                self._first_sizes.append(size)
            else:
                self._average = sum(self._first_sizes) / len(self._first_sizes)
                self._first_sizes = None
        average = _FORGET_SIZE * self._average + (1.0 - _FORGET_SIZE) * size
        if size < self._average + 2.0 * math.sqrt(self._size_variance):
            self._average = average
        self._size_variance = max(
            _FORGET_SIZE * self._size_variance + (1.0 - _FORGET_SIZE) * (size - average) ** 2, 1.0
        )
        self._largest = max(_FORGET_LARGEST * self._largest, float(size))

    def _learn_noise(self, deviation_ms: float, now_us: int) -> None:
        if self._updated_us is not None:
            intervals = self._intervals_us
            if len(intervals) == _START_FRAMES:
                self._interval_sum_us -= intervals[0]
            intervals.append(now_us - self._updated_us)
            self._interval_sum_us += intervals[-1]
        self._updated_us = now_us
        alpha = (self._count - 1) / self._count
        self._count = min(self._count + 1, _MOST_COUNT)
        rate = self._rate_mhz() / 1000.0
        if rate > 0.0:
            # At 30 frames a second the filter forgets as it was tuned to; at others as much a second.
            scale = 30.0 / rate
            if self._count < _START_FRAMES:
                scale = (self._count * scale + (_START_FRAMES - self._count)) / _START_FRAMES
            alpha = alpha**scale
        difference = deviation_ms - self._noise_ms
        self._noise_ms = alpha * self._noise_ms + (1.0 - alpha) * deviation_ms
        self._variance = max(1.0, alpha * self._variance + (1.0 - alpha) * difference**2)

    def _rate_mhz(self) -> int:
        if not self._intervals_us:
            return 0
        mean_us = self._interval_sum_us / len(self._intervals_us)
        whole_us = math.floor(mean_us + 0.5)
        return min(1_000_000_000 // whole_us, _MOST_RATE_MHZ) if mean_us > 0.0 and whole_us else 0

    def _calculated_us(self) -> int:
        noise_ms = max(1.0, _NOISE_DEVIATIONS * math.sqrt(self._variance) - _NOISE_OFFSET_MS)
        answer = micros(self._filter.slope * (self._largest - self._average) + noise_ms)
        # Below a millisecond the estimate keeps what it was, rather than fall to nothing in one frame.
        if answer < _LEAST_US:
            answer = max(_LEAST_US, self._previous_us)
        answer = min(answer, _MOST_US)
        self._previous_us = answer
        return answer
