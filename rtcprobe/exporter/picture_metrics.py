"""The rows of the table about pictures: how late, how still, how like the film, and how lips and voice agree.

Rules:
    1. ``direction`` is who shows himself to whom, as with sound.
    2. The share of the time that a picture stood still divides two counters of seconds: freezes by what was watched,
       from the first picture of a call to its last.
    3. Skew may be below zero (the picture came first), where no histogram counts: it is told of the last run alone.
"""

from __future__ import annotations

from rtcprobe.exporter.metric import counter, gauge, histogram
from rtcprobe.result import VIDEO_STAGES

__all__ = ["PROBE_ROWS", "RUN_ROWS"]

# Join to first picture: as sound's (``metrics``), less closely, for no goal is of it.
PICTURE_BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
# Glass to glass: as sound's where talk is disturbed (G.114), and on to what a freeze puts off.
GLASS_BUCKETS_S = (0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0, 2.0, 4.0)
# As sound's, and a second: encoders and decoders of pictures wait for frames.
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0)

_WAYS = "direction: caller_to_callee, callee_to_caller, ana_to_ben (parties by name)"
_FATES = "fate: seen, rejected (unread, or whole and never shown), lost"
_STAGES = (
    f"stage: {', '.join(VIDEO_STAGES)}, network_and_target (through a server of others), "
    "network_and_page (between pages, where packets cannot be told apart)"
)
_AGGREGATES = "aggregate: min, mean, p50, p95, max (a percentile of too few samples is absent)"
_LIKENESS = "aggregate: mean, p5, worst_second"

PROBE_ROWS = (
    histogram(
        "probe",
        "join_first_picture_seconds",
        "Call started until the other side is seen, of the joins in which it was.",
        buckets=PICTURE_BUCKETS_S,
    ),
    histogram(
        "probe",
        "glass_to_glass_seconds",
        "Frame filmed until shown, an observation a frame.",
        "direction",
        _WAYS,
        buckets=GLASS_BUCKETS_S,
    ),
    histogram(
        "probe",
        "glass_to_glass_stage_seconds",
        "Each stage of that delay, an observation a run: its mean.",
        "direction stage",
        f"{_WAYS}; {_STAGES}",
        buckets=STAGE_BUCKETS_S,
    ),
    counter("probe", "frames_total", "Frames filmed, by what became of them.", "direction fate", f"{_WAYS}; {_FATES}"),
    counter("probe", "freezes_total", "Freezes, as W3C counts them.", "direction", _WAYS),
    counter("probe", "frozen_seconds_total", "What they lasted.", "direction", _WAYS),
    counter("probe", "watched_seconds_total", "From the first picture of each call to its last.", "direction", _WAYS),
)

RUN_ROWS = (
    gauge("run", "last_join_first_picture_seconds", "Its joins that saw the other side.", "aggregate", _AGGREGATES),
    gauge(
        "run",
        "last_glass_to_glass_seconds",
        "Its glass-to-glass delay.",
        "direction aggregate",
        f"{_WAYS}; {_AGGREGATES}",
    ),
    gauge(
        "run",
        "last_glass_to_glass_stage_seconds",
        "The stages of that delay, which sum to its mean.",
        "direction stage",
        f"{_WAYS}; {_STAGES}",
    ),
    gauge("run", "last_frames", "Its frames.", "direction fate", f"{_WAYS}; {_FATES}"),
    gauge("run", "last_freezes", "Its freezes.", "direction", _WAYS),
    gauge("run", "last_frozen_ratio", "Share of the time that its picture stood still.", "direction", _WAYS),
    gauge("run", "last_frame_rate", "Frames shown a second.", "direction", _WAYS),
    gauge(
        "run",
        "last_ssim",
        "How like the film what it showed was: SSIM, at most 1.",
        "direction aggregate",
        f"{_WAYS}; {_LIKENESS}",
    ),
    gauge("run", "last_psnr_decibels", "Likewise, PSNR.", "direction aggregate", f"{_WAYS}; {_LIKENESS}"),
    gauge(
        "run",
        "last_av_skew_seconds",
        "How much later than its sound its picture came; below zero the picture came first.",
        "direction aggregate",
        f"{_WAYS}; {_AGGREGATES}",
    ),
)
