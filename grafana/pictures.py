"""The dashboard about pictures: what is seen, how late, how still, how like the film."""

from __future__ import annotations

from panels import BAD, FAIR, GOOD, Dashboard, heatmap, lines, number, table
from queries import PROBE, ROUTE, ROUTE_NAME, increase, mean, now, q, quantile

FROZEN_LIMITS = ((0.01, FAIR), (0.05, BAD))
GLASS_LIMITS = ((0.3, FAIR), (0.4, BAD))
"""What ``scenarios/1v1-video`` asks for: the first as advice, the second as a budget."""


def frozen(by: str) -> str:
    """The share of the time watched that pictures stood still."""
    stood = f"sum by ({by}) ({increase('rtcprobe_frozen_seconds_total')})"
    return f"{stood} / sum by ({by}) ({increase('rtcprobe_watched_seconds_total')})"


def unseen(by: str, fate: str = 'fate!="seen"') -> str:
    """The share of the frames filmed that were not seen."""
    missed = increase("rtcprobe_frames_total", fate)
    return f"sum by ({by}) ({missed}) / sum by ({by}) ({increase('rtcprobe_frames_total')})"


def last(metric: str, more: str, by: str = "probe, direction") -> str:
    """A figure of the last runs, the worst where several servers have it."""
    return f"max by ({by}) ({metric}{{{PROBE}, {more}}})"


_HOW_IT_IS = (
    number(
        "First picture, p95",
        "Call started until the other side is seen, of joins in which it was, within the window; to within a bucket.",
        "s",
        now(quantile(0.95, "rtcprobe_join_first_picture_seconds", "job"), "p95"),
        limits=((1.0, FAIR), (2.0, BAD)),
        base=GOOD,
        width=6,
    ),
    number(
        "Glass to glass, p95",
        "Frame filmed until shown, of every frame seen within the window; to within a bucket.",
        "s",
        now(quantile(0.95, "rtcprobe_glass_to_glass_seconds", "job"), "p95"),
        limits=GLASS_LIMITS,
        base=GOOD,
        width=6,
    ),
    number(
        "Time frozen",
        "Seconds that pictures stood still, of the seconds from the first picture of each call to its last.",
        "percentunit",
        now(frozen("job"), "frozen"),
        limits=FROZEN_LIMITS,
        base=GOOD,
        width=6,
        decimals=1,
    ),
    number(
        "Frames not seen",
        "Of the frames filmed within the window: lost, unread, or whole and never shown.",
        "percentunit",
        now(unseen("job"), "not seen"),
        limits=FROZEN_LIMITS,
        base=GOOD,
        width=6,
        decimals=1,
    ),
    table(
        "Each region pair, as it is seen",
        "Over the window; likeness and skew of the last run, in its worse direction. Skew below zero: the picture came "
        "first. From -125 to 45 ms nobody notices (ITU-R BT.1359-1).",
        "s",
        (
            ("first picture p95", now(quantile(0.95, "rtcprobe_join_first_picture_seconds", ROUTE))),
            ("glass to glass p50", now(quantile(0.5, "rtcprobe_glass_to_glass_seconds", ROUTE))),
            ("glass to glass p95", now(quantile(0.95, "rtcprobe_glass_to_glass_seconds", ROUTE))),
            ("frozen", now(frozen(ROUTE))),
            ("SSIM p5", now(f'min by ({ROUTE}) (rtcprobe_last_ssim{{{PROBE}, aggregate="p5"}})')),
            ("skew p50", now(last("rtcprobe_last_av_skew_seconds", 'aggregate="p50"', ROUTE))),
        ),
        keys=("probe", "target", "caller_region", "callee_region"),
        units={"frozen": "percentunit", "SSIM p5": "none"},
        limits={"frozen": FROZEN_LIMITS, "glass to glass p95": GLASS_LIMITS},
        height=9,
    ),
)

_WHEN = (
    heatmap(
        "How late are frames shown?",
        "Every frame seen, all directions. Darker: more frames. Buckets stand on 100, 150, 300 and 400 ms.",
        "rtcprobe_glass_to_glass_seconds",
        PROBE,
    ),
    heatmap(
        "How long until the first picture?",
        "Every join that saw the other side. Darker: more joins. A bucket stands on 1 s.",
        "rtcprobe_join_first_picture_seconds",
        PROBE,
    ),
    lines(
        "Glass to glass p50 and p95, by probe",
        "To within a histogram bucket, all directions. Dashed: 300 and 400 ms.",
        "s",
        q(quantile(0.5, "rtcprobe_glass_to_glass_seconds", "probe"), f"{ROUTE_NAME} p50"),
        q(quantile(0.95, "rtcprobe_glass_to_glass_seconds", "probe"), f"{ROUTE_NAME} p95"),
        limits=GLASS_LIMITS,
    ),
    lines(
        "How long do pictures stand still?",
        "Share of the time watched, by probe and direction. Dashed: 1 % and 5 %.",
        "percentunit",
        q(frozen("probe, direction"), f"{ROUTE_NAME} {{{{direction}}}}"),
        limits=FROZEN_LIMITS,
    ),
    lines(
        "How often do they freeze?",
        "Freezes a minute watched, as W3C counts them: an interval three times the mean, and 150 ms above it.",
        "none",
        q(
            f"60 * sum by (probe, direction) ({increase('rtcprobe_freezes_total')}) / "
            f"sum by (probe, direction) ({increase('rtcprobe_watched_seconds_total')})",
            f"{ROUTE_NAME} {{{{direction}}}}",
        ),
    ),
    lines(
        "What becomes of frames that are not seen?",
        "Share of the frames filmed: lost on the way, or left out (unread, or whole and never shown).",
        "percentunit",
        q(unseen("probe", 'fate="lost"'), f"{ROUTE_NAME} lost"),
        q(unseen("probe", 'fate="rejected"'), f"{ROUTE_NAME} left out"),
    ),
)

_WHY = (
    lines(
        "Which stage takes how long?",
        "Mean of each stage of the glass-to-glass delay; stacked, they are the mean delay of the probes chosen.",
        "s",
        q(mean("rtcprobe_glass_to_glass_stage_seconds", "stage"), "{{stage}}"),
        stacked=True,
    ),
    lines(
        "How like the film is what is shown?",
        "SSIM of the last run against what was filmed, frame by frame: mean, the twentieth least like it, the worst "
        "second.",
        "none",
        q(
            f"min by (probe, aggregate) (rtcprobe_last_ssim{{{PROBE}}})",
            f"{ROUTE_NAME} {{{{aggregate}}}}",
        ),
        top=1.0,
    ),
    lines(
        "Do lips and voice agree?",
        "How much later than its sound the picture came, p50 of the last run; below zero the picture came first. Too "
        "early is noticed from 125 ms, too late from 45 ms on (ITU-R BT.1359-1).",
        "s",
        q(last("rtcprobe_last_av_skew_seconds", 'aggregate="p50"'), f"{ROUTE_NAME} {{{{direction}}}}"),
        least=None,
    ),
    lines(
        "How many frames are shown a second?",
        "Of the last run, by direction; fewer than were filmed where frames are lost or dropped.",
        "none",
        q(f"min by (probe, direction) (rtcprobe_last_frame_rate{{{PROBE}}})", f"{ROUTE_NAME} {{{{direction}}}}"),
    ),
)

WHAT_IS_SEEN = Dashboard(
    uid="rtcprobe-video",
    title="rtcprobe: what is seen?",
    description="How soon is the first picture there, how late is each frame, does it freeze, do lips and voice agree?",
    rows=(
        ("The picture as it is", _HOW_IT_IS),
        ("Since when?", _WHEN),
        ("Where does it go?", _WHY),
    ),
)
