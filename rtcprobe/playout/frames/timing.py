"""When a frame is to be shown, how long it may wait to be decoded, and how the delay follows its target.

Facts:
    - The delay applied rises only by lateness: by as much as a frame was released later than it should have been. So
      the precision of the timer that releases frames is part of the algorithm. It falls to a lower target at once.
    - Decoding is allowed for by the 95th percentile of the last 10 s, in whole ms, and showing by 10 ms.

Source: ``modules/video_coding/timing/timing.cc``, ``decode_time_percentile_filter.cc``,
``video/frame_decode_timing.cc`` of libwebrtc (2026-08).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from rtcprobe.playout.frames.extrapolator import Extrapolator
from rtcprobe.playout.frames.micros import MS, SECOND, to_ms

__all__ = ["RENDER_US", "DecodeTimes", "Timing"]

# kDefaultRenderDelay of ``timing.cc``.
RENDER_US: Final = 10 * MS
# decode_time_percentile_filter.cc: the first decodes warm the codec up and say nothing.
_IGNORED: Final = 5
_WINDOW_MS: Final = 10_000
_PERCENTILE: Final = 0.95
# timing.cc: 10 s of playout delay at most; half a second at most of it is low latency, whose decoding is paced by 8 ms.
_MOST_PLAYOUT_US: Final = 10 * SECOND
_LOW_LATENCY_US: Final = 500 * MS
_PACE_US: Final = 8 * MS


class DecodeTimes:
    """The 95th percentile of the decode times of the last 10 s, in whole ms; the first five do not count."""

    def __init__(self) -> None:
        self._ignored = 0
        self._samples: deque[tuple[int, int]] = deque()
        self._sorted: list[int] = []

    def add(self, decode_ms: int, now_ms: int) -> None:
        """Take a decode time."""
        if self._ignored < _IGNORED:
            self._ignored += 1
            return
        self._samples.append((now_ms, decode_ms))
        insort(self._sorted, decode_ms)
        while now_ms - self._samples[0][0] > _WINDOW_MS:
            _, old = self._samples.popleft()
            del self._sorted[bisect_left(self._sorted, old)]

    @property
    def percentile_ms(self) -> int:
        """The percentile; 0 while there is none."""
        return self._sorted[int(_PERCENTILE * (len(self._sorted) - 1))] if self._sorted else 0


class Timing:
    """Delays of one stream, µs. ``playout_us`` is (min, max), of the header extension, synchronization or the page."""

    def __init__(self, start_us: int, *, rejecting: bool = True) -> None:
        self.extrapolator = Extrapolator(start_us, rejecting=rejecting)
        self.playout_us = (0, _MOST_PLAYOUT_US)
        self._decode_times = DecodeTimes()
        self.jitter_us, self.decode_us, self.current_us = 0, 0, 0

    def reset(self, now_us: int) -> None:
        """Begin anew."""
        self.extrapolator.reset(now_us)
        self._decode_times = DecodeTimes()
        self.jitter_us, self.decode_us, self.current_us = 0, 0, 0
        self.playout_us = (0, self.playout_us[1])

    @property
    def low_latency(self) -> bool:
        """Whether frames are wanted as soon as possible: no least delay, and half a second at most."""
        return self.playout_us[0] == 0 and self.playout_us[1] <= _LOW_LATENCY_US

    @property
    def target_us(self) -> int:
        """The delay aimed at, decoding and showing included."""
        return max(self.playout_us[0], self.jitter_us + self.decode_us + RENDER_US)

    @property
    def stats_target_us(self) -> int:
        """The target that getStats tells: without decoding and showing."""
        return max(0, self.target_us - self.decode_us - RENDER_US)

    def set_jitter(self, jitter_us: int) -> None:
        """Take a new jitter delay; the first is applied at once."""
        if jitter_us != self.jitter_us:
            self.jitter_us = jitter_us
            # Only at first: from then on the delay moves in ``released``, up by lateness, down to the target.
            self.current_us = self.current_us or jitter_us

    def released(self, render_us: int, now_us: int) -> None:
        """Let the delay follow: a frame to be shown at ``render_us`` was released at ``now_us``."""
        late_us = now_us - render_us + self.decode_us + RENDER_US
        # By whole milliseconds, rounded to the nearest: half a millisecond early still counts as late.
        if to_ms(late_us) >= 0:
            self.current_us = min(self.current_us + late_us, self.target_us)

    def decoded(self, decode_us: int, now_us: int) -> None:
        """Take a decode time."""
        self._decode_times.add(to_ms(decode_us), to_ms(now_us))
        self.decode_us = self._decode_times.percentile_ms * MS

    def render_us(self, timestamp: int, now_us: int) -> int:
        """Return when to show a frame; 0 as soon as possible."""
        if self.low_latency:
            return 0
        local_us = self.extrapolator.local_us(timestamp)
        if local_us is None:
            return now_us
        least_us, most_us = self.playout_us
        return local_us + max(least_us, min(self.current_us, most_us))

    def wait_us(self, render_us: int, now_us: int, *, last_us: int = 0, crowded: bool = False) -> int:
        """Return how long decoding may wait, below zero when late.

        ``last_us``: the last release, ``crowded``: more than 8 frames wait; both only for low latency, which is paced.
        """
        # As soon as possible, but 8 ms apart: a burst must not overrun the decoder.
        if render_us == 0 and self.playout_us[0] == 0 and self.playout_us[1] > 0:
            return 0 if crowded else max(0, last_us + _PACE_US - now_us)
        return render_us - now_us - self.decode_us - RENDER_US
