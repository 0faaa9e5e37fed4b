"""What a receiver counts, under the names W3C webrtc-stats gives it.

Facts:
    ``jitterBufferDelay`` counts the wait in the packet buffer only: the 10 to 30 ms that lie decoded in the sync
    buffer are not in it, so it is no ear delay. A merge books what it adds as concealment, and what it saves against
    concealment yet to come. Nothing is counted before the first decoded block was played.

Source: W3C webrtc-stats §8.2 (inbound-rtp); ``statistics_calculator.cc`` (``modules/audio_coding/neteq`` of
libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rtcprobe.playout.base import SAMPLE_RATE_HZ

__all__ = ["Counters", "NetEqStats"]

_INTERRUPTION_SAMPLES: Final = 150 * SAMPLE_RATE_HZ // 1000
"""``kInterruptionLenMs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetEqStats:
    """Totals since the start; the first block are W3C names in snake case, sums of seconds end in ``_s``.

    ``packets_discarded`` counts every RED copy of a frame that was there already, as libwebrtc does.

    ``jitter_buffer_delay_s``, ``_target_delay_s`` and ``_minimum_delay_s`` are sums over samples: divided by
    ``jitter_buffer_emitted_count`` they are means.
    """

    packets_received: int
    packets_discarded: int
    fec_packets_received: int
    fec_packets_discarded: int
    total_samples_received: int
    concealed_samples: int
    silent_concealed_samples: int
    concealment_events: int
    inserted_samples_for_deceleration: int
    removed_samples_for_acceleration: int
    jitter_buffer_delay_s: float
    jitter_buffer_target_delay_s: float
    jitter_buffer_minimum_delay_s: float
    jitter_buffer_emitted_count: int
    interruption_count: int
    total_interruption_duration_s: float

    # Beyond W3C: what was survived, and what each kind of copy bought.
    generated_noise_samples: int
    buffer_flushes: int
    empty_packets: int
    unknown_payload_types: int
    malformed_red_packets: int
    decode_errors: int
    primary_frames_decoded: int
    red_frames_decoded: int
    fec_frames_decoded: int
    target_delay_s: float
    current_delay_s: float

    @property
    def mean_jitter_buffer_delay_s(self) -> float | None:
        """Mean wait of a sample in the packet buffer; None before the first."""
        return (
            self.jitter_buffer_delay_s / self.jitter_buffer_emitted_count if self.jitter_buffer_emitted_count else None
        )

    @property
    def concealed_ratio(self) -> float | None:
        """Share of all samples that was made up; None before the first."""
        return self.concealed_samples / self.total_samples_received if self.total_samples_received else None


class Counters:
    """The totals while they grow."""

    __slots__ = (
        "_concealed_at_event_end", "_correction", "_silent_correction", "concealed", "concealment_events",
        "decode_errors", "emitted", "empty_packets", "fec_decoded", "fec_received", "generated_noise", "inserted",
        "interrupted_ms", "interruptions", "malformed_red", "minimum_ms", "playing", "primary_decoded", "received",
        "red_decoded", "removed", "silent", "target_ms", "total", "unknown_types", "waited_ms",
    )  # fmt: skip

    def __init__(self) -> None:
        self.playing = False
        """Whether decoded sound was played yet."""
        self.received = self.empty_packets = self.unknown_types = self.malformed_red = self.decode_errors = 0
        self.fec_received = self.primary_decoded = self.red_decoded = self.fec_decoded = 0
        self.total = self.concealed = self.silent = self.concealment_events = self.generated_noise = 0
        self.inserted = self.removed = 0
        self.emitted = self.waited_ms = self.target_ms = self.minimum_ms = 0
        self.interruptions = self.interrupted_ms = 0
        self._correction = self._silent_correction = self._concealed_at_event_end = 0

    def conceal(self, samples: int, *, silent: bool, new_event: bool = False) -> None:
        """Book concealment; negative ``samples`` are taken off what is booked next."""
        if not self.playing:
            return
        self.concealment_events += new_event
        # A merge that plays less than was concealed has saved some: taken off what is booked next, never off
        # the total, which only grows (W3C counters must).
        if samples < 0:
            self._correction -= samples
            if silent:
                self._silent_correction -= samples
            return
        cancelled = min(samples, self._correction)
        self._correction -= cancelled
        self.concealed += samples - cancelled
        if silent:
            cancelled = min(samples, self._silent_correction)
            self._silent_correction -= cancelled
            self.silent += samples - cancelled

    def stretch(self, samples: int) -> None:
        """Book samples put in (positive) or taken out (negative) by time-stretching."""
        if not self.playing:
            return
        if samples > 0:
            self.inserted += samples
        else:
            self.removed -= samples

    def emit(self, samples: int, waited_ms: int, target_ms: int, minimum_ms: int) -> None:
        """Book a frame leaving the packet buffer."""
        self.waited_ms += waited_ms * samples
        self.target_ms += target_ms * samples
        self.minimum_ms += minimum_ms * samples
        self.emitted += samples

    def glide(self, samples: int, frames: int, duration: int, sums_ms: tuple[int, int, int]) -> None:
        """Book ``samples`` played and ``frames`` of ``duration`` decoded; the sums are those of what ``emit`` takes."""
        self.total += samples
        self.primary_decoded += frames
        waited_ms, target_ms, minimum_ms = sums_ms
        # Sums of milliseconds over frames, times the samples of one: what as many calls of ``emit`` add up
        # to.
        self.emit(duration, waited_ms, target_ms, minimum_ms)
        self.emitted += (frames - 1) * duration

    def end_concealment(self) -> None:
        """Book the end of a gap: from 150 ms of concealment on it was an interruption."""
        if not self.playing:
            return
        # Since the last gap ended: what a merge added belongs to the gap it closed.
        samples = self.concealed - self._concealed_at_event_end
        if samples >= _INTERRUPTION_SAMPLES:
            self.interruptions += 1
            self.interrupted_ms += 1000 * samples // SAMPLE_RATE_HZ
        self._concealed_at_event_end = self.concealed

    def snapshot(
        self, *, discarded: int, fec_discarded: int, flushes: int, target_ms: int, current_samples: int
    ) -> NetEqStats:
        """Return the totals as they are now."""
        return NetEqStats(
            packets_received=self.received,
            packets_discarded=discarded,
            fec_packets_received=self.fec_received,
            fec_packets_discarded=fec_discarded,
            total_samples_received=self.total,
            concealed_samples=self.concealed,
            silent_concealed_samples=self.silent,
            concealment_events=self.concealment_events,
            inserted_samples_for_deceleration=self.inserted,
            removed_samples_for_acceleration=self.removed,
            jitter_buffer_delay_s=self.waited_ms / 1000,
            jitter_buffer_target_delay_s=self.target_ms / 1000,
            jitter_buffer_minimum_delay_s=self.minimum_ms / 1000,
            jitter_buffer_emitted_count=self.emitted,
            interruption_count=self.interruptions,
            total_interruption_duration_s=self.interrupted_ms / 1000,
            generated_noise_samples=self.generated_noise,
            buffer_flushes=flushes,
            empty_packets=self.empty_packets,
            unknown_payload_types=self.unknown_types,
            malformed_red_packets=self.malformed_red,
            decode_errors=self.decode_errors,
            primary_frames_decoded=self.primary_decoded,
            red_frames_decoded=self.red_decoded,
            fec_frames_decoded=self.fec_decoded,
            target_delay_s=target_ms / 1000,
            current_delay_s=current_samples / SAMPLE_RATE_HZ,
        )
