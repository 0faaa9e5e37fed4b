"""Freezes, pauses and the other figures of a video stream, as libwebrtc counts them and W3C names them.

Facts:
    - A freeze is an interval between frames of at least three times the mean of the last thirty, and of 150 ms above
      it; the mean includes that interval itself, in whole ms, from five frames on. All of the interval counts as
      frozen. W3C's text has the same rule without the whole ms and the five.
    - An interval of more than 5 s in which no packet came is a pause, not a freeze.
    - libwebrtc's own ``framesReceived`` counts steps of continuity, not frames: after a repaired loss several frames
      count once. Here it is what W3C says, whole frames.

Source: ``video/video_quality_observer2.cc``, ``video/receive_statistics_proxy.cc`` of libwebrtc (2026-08); W3C
webrtc-stats, RTCInboundRtpStreamStats.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from rtcprobe.playout.frames.assembly import Frame
from rtcprobe.playout.frames.micros import MS, SECOND, to_ms

__all__ = ["Counters", "Freezes", "is_freeze"]

# kAvgInterframeDelaysWindowSizeFrames, kMinFrameSamplesToDetectFreeze; three times the mean and
# kMinIncreaseForFreezeMs of ``video_quality_observer2.cc``; W3C's 5 s of a pause.
_FRAMES: Final = 30
_LEAST_FRAMES: Final = 5
_TIMES, _ABOVE_MS = 3, 150
_PAUSE_US: Final = 5 * SECOND


def is_freeze(interval_ms: int, beside_ms: int, beside: int) -> bool:
    """Return whether an interval is a freeze among ``beside`` others, at most 29, that last ``beside_ms`` together."""
    mean_ms = (beside_ms + interval_ms) // (beside + 1)
    return beside + 1 >= _LEAST_FRAMES and interval_ms >= max(_TIMES * mean_ms, mean_ms + _ABOVE_MS)


@dataclass(slots=True)
class Freezes:
    """Intervals between frames shown, as they come. Times in ms; ``spans_us`` are the freezes, from frame to frame.

    ``beside_ms`` are, freeze by freeze, the sum of the intervals that it was judged among, without it, and their count.
    """

    count: int = 0
    total_ms: int = 0
    pauses: int = 0
    paused_ms: int = 0
    squared_s2: float = 0.0
    spans_us: list[tuple[int, int]] = field(default_factory=list)
    beside_ms: list[tuple[int, int]] = field(default_factory=list)
    _first_ms: int | None = None
    _last_us: int | None = None
    _packet_us: int | None = None
    _silent: bool = False
    _sum_ms: int = 0
    _intervals_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_FRAMES))

    def packet(self, now_us: int) -> None:
        """Note a packet: a pause is an interval without any for 5 s."""
        # Noted when packets come again, judged when the next frame is shown: nobody knows sooner whether it
        # was a pause.
        if self._packet_us is not None and now_us - self._packet_us > _PAUSE_US:
            self._silent = True
        self._packet_us = now_us

    def shown(self, now_us: int) -> None:
        """Take a frame that was shown."""
        now_ms = to_ms(now_us)
        if self._last_us is None or self._first_ms is None:
            self._first_ms, self._last_us = now_ms, now_us
            return
        # Instants are rounded, not intervals: so the sum of all is the last less the first, to the
        # millisecond.
        interval_ms = now_ms - to_ms(self._last_us)
        self.squared_s2 += (interval_ms / 1000.0) ** 2
        if self._silent:
            self.pauses += 1
            self.paused_ms += interval_ms
        else:
            self._judge(interval_ms, now_us)
        self._silent, self._last_us = False, now_us

    def _judge(self, interval_ms: int, now_us: int) -> None:
        intervals = self._intervals_ms
        # The deque drops the oldest by itself; the running sum has to be told.
        if len(intervals) == _FRAMES:
            self._sum_ms -= intervals[0]
        intervals.append(interval_ms)
        self._sum_ms += interval_ms
        # Kept with each freeze, so that hearing can judge a part of it by the same rule (pauses of the
        # camera).
        beside_ms = self._sum_ms - interval_ms, len(intervals) - 1
        if is_freeze(interval_ms, *beside_ms):
            self.count += 1
            self.total_ms += interval_ms
            assert self._last_us is not None
            self.spans_us.append((self._last_us, now_us))
            self.beside_ms.append(beside_ms)

    @property
    def between_ms(self) -> int:
        """From the first frame shown to the last (totalInterFrameDelay)."""
        if self._last_us is None or self._first_ms is None:
            return 0
        return to_ms(self._last_us) - self._first_ms


@dataclass(slots=True)
class Counters:
    """All that a receiver counts."""

    freezes: Freezes = field(default_factory=Freezes)
    packets: int = 0
    size_bytes: int = 0
    complete_frames: int = 0
    key_frames: int = 0
    released: int = 0
    decoded: int = 0
    rendered: int = 0
    dropped: int = 0
    nacks: int = 0
    plis: int = 0
    waited_us: int = 0
    target_us: int = 0
    minimum_us: int = 0
    decode_us: int = 0
    processed_us: int = 0
    assembled_us: int = 0
    multiple: int = 0

    def packet(self, size_bytes: int, now_us: int) -> None:
        """Count a packet."""
        self.packets += 1
        self.size_bytes += size_bytes
        self.freezes.packet(now_us)

    def complete(self, frame: Frame) -> None:
        """Count a whole frame."""
        self.complete_frames += 1
        if frame.packets > 1:
            self.multiple += 1
            self.assembled_us += frame.last_us - frame.first_us

    def frame_released(self, frame: Frame, now_us: int, *, target_us: int, minimum_us: int) -> None:
        """Count a frame that left the buffer."""
        self.released += 1
        self.waited_us += max(0, now_us - frame.first_us)
        self.target_us += target_us
        self.minimum_us += minimum_us

    def frame_decoded(self, frame: Frame, now_us: int, decode_us: int) -> None:
        """Count a frame that was decoded."""
        self.decoded += 1
        self.key_frames += frame.key
        self.decode_us += decode_us
        self.processed_us += max(0, now_us - frame.first_us)

    def frame_shown(self, now_us: int) -> None:
        """Count a frame that was shown."""
        self.rendered += 1
        self.freezes.shown(now_us)

    def w3c(self) -> dict[str, float]:
        """Return figures under W3C's names and in its units: counts, and sums of seconds."""
        freezes = self.freezes
        return {
            "packetsReceived": self.packets,
            "bytesReceived": self.size_bytes,
            "framesReceived": self.complete_frames,
            "framesDecoded": self.decoded,
            "keyFramesDecoded": self.key_frames,
            "framesRendered": self.rendered,
            "framesDropped": self.dropped,
            "framesAssembledFromMultiplePackets": self.multiple,
            "totalAssemblyTime": self.assembled_us / SECOND,
            "nackCount": self.nacks,
            "pliCount": self.plis,
            "jitterBufferDelay": self.waited_us / SECOND,
            "jitterBufferTargetDelay": self.target_us / SECOND,
            "jitterBufferMinimumDelay": self.minimum_us / SECOND,
            "jitterBufferEmittedCount": self.released,
            "totalDecodeTime": self.decode_us / SECOND,
            "totalProcessingDelay": self.processed_us / SECOND,
            "totalInterFrameDelay": freezes.between_ms / MS,
            "totalSquaredInterFrameDelay": freezes.squared_s2,
            "freezeCount": freezes.count,
            "totalFreezesDuration": freezes.total_ms / MS,
            "pauseCount": freezes.pauses,
            "totalPausesDuration": freezes.paused_ms / MS,
        }
