"""Audio and video of one call made to agree: which of the two is delayed, and by how much, second by second.

Facts:
    - Only streams of one MediaStream (msid) are synchronized, once both have two sender reports. Every second the gap
      is judged from delays, not from the signal: an offset in the sender's own reports goes straight into it.
    - A quarter of each second's gap enters the average. Below 30 ms nothing is done; else half of it, 80 ms at most,
      and the average starts from nothing again. A gap of 250 ms thus takes some 20 s, and 30 ms stay, and a few more
      by rounding.

Source: ``video/stream_synchronization.cc``, ``video/rtp_streams_synchronizer2.cc``,
``rtc_base/rtp_to_ntp_estimator.cc`` of libwebrtc (2025-06, 2026-08).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from rtcprobe.wrapping import Unwrapper

__all__ = ["PERIOD_S", "CaptureClock", "Minimums", "Synchronization", "relative_delay_ms"]

# kSyncInterval of ``rtp_streams_synchronizer2.cc``.
PERIOD_S: Final = 1.0
# stream_synchronization.cc: a quarter of each gap, 30 ms are let be, 80 ms a step, 10 s at most of either.
_WEIGHT: Final = 4
_DEAD_ZONE_MS, _MOST_STEP_MS = 30, 80
_MOST_GAP_MS: Final = 10_000
_MOST_DELAY_MS: Final = 10_000
# rtp_to_ntp_estimator.cc: 20 reports; an hour, or 2^25 ticks, between two is no clock; three misfits are another one.
_REPORTS, _INVALID = 20, 3
_MOST_NTP_STEP_S: Final = 3600.0
_MOST_TICKS: Final = 1 << 25


class CaptureClock:
    """When a sender captured what bears an RTP time: a line through its last 20 sender reports."""

    def __init__(self) -> None:
        self._unwrap = Unwrapper(32)
        self._reports: deque[tuple[float, int]] = deque(maxlen=_REPORTS)
        self._invalid = 0

    def report(self, ntp_s: float, timestamp: int) -> bool:
        """Take a sender report; return whether it fits those before."""
        # Looked at before it is believed: a report that does not fit must not move the unwrapping on.
        ticks = self._unwrap.peek(timestamp)
        if any(ntp_s == old_s or ticks == old for old_s, old in self._reports):
            return True  # sent twice
        if self._reports:
            last_s, last = self._reports[-1]
            fits = 0.0 < ntp_s - last_s <= _MOST_NTP_STEP_S and 0 < ticks - last <= _MOST_TICKS
            if not fits:
                self._invalid += 1
                if self._invalid < _INVALID:
                    return False
                self._reports.clear()
                self._unwrap = Unwrapper(32)
                ticks = timestamp
        self._invalid = 0
        self._unwrap.unwrap(timestamp)
        self._reports.append((ntp_s, ticks))
        return True

    def captured_s(self, timestamp: int) -> float | None:
        """Return the sender's NTP time of ``timestamp``, s; None before two reports."""
        if len(self._reports) < 2:
            return None
        first_s, first = self._reports[0]
        count = len(self._reports)
        mean_s = sum(ntp_s - first_s for ntp_s, _ in self._reports) / count
        mean = sum(ticks - first for _, ticks in self._reports) / count
        spread = sum((ticks - first - mean) ** 2 for _, ticks in self._reports)
        # Least squares about the means, from the first report on: NTP seconds since 1900 would eat the digits
        # otherwise. ``spread`` is above nought, for no two reports bear one RTP time.
        slope = sum((t - first - mean) * (s - first_s - mean_s) for s, t in self._reports) / spread
        return first_s + mean_s + slope * (self._unwrap.peek(timestamp) - first - mean)


def relative_delay_ms(
    *, video_arrived_ms: int, audio_arrived_ms: int, video_captured_ms: int, audio_captured_ms: int
) -> int | None:
    """Return by how much longer video is under way than audio; None beyond 10 s, which is not believed."""
    gap_ms = video_arrived_ms - audio_arrived_ms - (video_captured_ms - audio_captured_ms)
    return gap_ms if abs(gap_ms) <= _MOST_GAP_MS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimums:
    """The least playout delays to set, ms: of the audio's jitter buffer and of the video's."""

    audio_ms: int
    video_ms: int


class Synchronization:
    """The state between two seconds."""

    def __init__(self) -> None:
        self._average_ms = 0
        self._audio_extra_ms = self._video_extra_ms = 0
        self._audio_last_ms = self._video_last_ms = 0

    def step(self, *, relative_ms: int, audio_ms: int, video_ms: int) -> Minimums | None:
        """Return the new least delays; None where nothing changes.

        ``relative_ms`` as ``relative_delay_ms`` says, ``audio_ms`` the delay that the audio has now (jitter buffer and
        output), ``video_ms`` the video's target with decoding and showing.
        """
        gap_ms = video_ms - audio_ms + relative_ms
        # Whole numbers that are cut towards zero, as upstream divides: some ms of the gap stay for ever (Facts).
        self._average_ms = _quotient((_WEIGHT - 1) * self._average_ms + gap_ms, _WEIGHT)
        if abs(self._average_ms) < _DEAD_ZONE_MS:
            return None
        change_ms = max(-_MOST_STEP_MS, min(_MOST_STEP_MS, _quotient(self._average_ms, 2)))
        self._average_ms = 0
        if change_ms > 0:
            self._delay_audio(change_ms)
        else:
            self._delay_video(-change_ms)
        self._video_extra_ms = max(0, self._video_extra_ms)
        # One of the two is changed at a time; what has no extra keeps what it had.
        if self._video_extra_ms > 0:
            video_ms, audio_ms = self._video_extra_ms, self._audio_last_ms
        else:
            video_ms = self._video_last_ms
            audio_ms = self._audio_extra_ms if self._audio_extra_ms > 0 else self._audio_last_ms
        video_ms = min(max(video_ms, self._video_extra_ms), _MOST_DELAY_MS)
        audio_ms = min(max(audio_ms, self._audio_extra_ms), _MOST_DELAY_MS)
        self._audio_last_ms, self._video_last_ms = audio_ms, video_ms
        return Minimums(audio_ms=audio_ms, video_ms=video_ms)

    def _delay_audio(self, change_ms: int) -> None:
        """Video is later: take from the video's extra delay first, else add to the audio's."""
        if self._video_extra_ms > 0:
            self._video_extra_ms -= change_ms
            self._audio_extra_ms = 0
        else:
            self._audio_extra_ms += change_ms
            self._video_extra_ms = 0

    def _delay_video(self, change_ms: int) -> None:
        if self._audio_extra_ms > 0:
            self._audio_extra_ms -= change_ms
            self._video_extra_ms = 0
        else:
            self._video_extra_ms += change_ms
            self._audio_extra_ms = 0


def _quotient(value: int, divisor: int) -> int:
    """Divide as C does, the rest cut off towards zero."""
    return value // divisor if value >= 0 else -(-value // divisor)
