"""What was heard of a recording, on a terminal: a sentence first, then the figures with their ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.text import Text

from rtcprobe.capture import Beside, Between, Heard, HeardStream, Kept, SeenStream, Stream
from rtcprobe.report.lines import STYLES, rule, wrapped
from rtcprobe.report.sentences import bounds, figure, milliseconds
from rtcprobe.result import Unit
from rtcprobe.units import format_ratio

__all__ = [
    "beside_caption",
    "beside_rows",
    "between_lines",
    "found",
    "heard_lines",
    "rows_of",
    "seen_rows",
    "seen_sentence",
]


def heard_lines(heard: Heard) -> Iterator[Text]:
    """Return the lines of one file: each stream heard, what else it holds, budgets, warnings."""
    for each in heard.streams:
        yield rule(f"{heard.name}: {_named(each.stream)}")
        yield from _said(found(each, heard.capture.kind), rows_of(each))
        for beside in each.beside:
            yield rule(beside_caption(beside))
            yield Text(f" {'':<34} {'the browser':>14} {'ours':>14}")
            for title, theirs, ours in beside_rows(beside):
                yield Text(f" {title:<34} {theirs:>14} {ours:>14}")
        yield from _warned(each.warnings)
    for video in heard.videos:
        yield rule(f"{heard.name}: {_named(video.stream)}, video")
        yield from _said(seen_sentence(video, heard.capture.kind), seen_rows(video))
        yield from _warned(video.warnings)
    if heard.others:
        yield rule("Other streams in it, not heard (choose with --ssrc)")
        # A conference's capture may hold hundreds.
        for stream in heard.others[:12]:
            clock = "no clock" if stream.clock_hz is None else f"{stream.clock_hz / 1000:g} kHz"
            yield Text(f" {_named(stream)}: {stream.count:,} packets, {stream.duration_s:.1f} s, {clock}")
        if len(heard.others) > 12:
            yield Text(f" and {len(heard.others) - 12} more: --json has them all")
    if heard.kept:
        yield rule("Budgets")
        for kept in heard.kept:
            yield Text(
                f" {kept.verdict:<12} {kept.expression} is {budget_value(kept)}",
                style=STYLES.get(kept.verdict, "yellow"),
            )
    for warning in heard.warnings:
        yield from wrapped(warning, indent=0, style="yellow", most=None)


def _said(sentence: str, rows: Iterable[tuple[str, str]]) -> Iterator[Text]:
    yield from wrapped(sentence, indent=0, style="bold", most=None)
    for title, value in rows:
        yield from wrapped(f"{title:<34} {value}", indent=1, most=None)


def _warned(warnings: Iterable[str]) -> Iterator[Text]:
    for warning in warnings:
        yield from wrapped(warning, indent=1, style="yellow", most=None)


def found(each: HeardStream, kind: str) -> str:
    """Return what was found, in a sentence or two that say as whom it was heard."""
    middle, network = each.replayed.middle, each.network
    concealed = middle.concealed
    # Nothing emitted: both are quotients through the samples that came out.
    if concealed is None or middle.jitter_buffer_s is None:
        return "Nothing of it could be played."
    made_up = (
        "none of its sound was made up" if not concealed else f"{format_ratio(concealed)} of its sound was made up"
    )
    lost = "no packet was lost" if not network.lost else f"{format_ratio(network.loss)} of its packets were lost"
    said = f"Its jitter buffer held {milliseconds(middle.jitter_buffer_s, 0)} ms; {lost}, {made_up}."
    if each.mouth_to_ear_s is not None:
        said += (
            f" If the fastest packet took {milliseconds(each.one_way_s, 0)} ms from the mouth, as you say, words were "
            f"heard after {milliseconds(each.mouth_to_ear_s, 0)} ms, devices left out."
        )
    # A log has the instants at which its own receiver asked for sound; a capture has not, and a receiver on time is
    # assumed.
    if kind == "rtc event log":
        return f"{said} Heard when the receiver asked for sound."
    return f"{said} From a capture: as a receiver that is on time would hear it."


def seen_sentence(each: SeenStream, kind: str) -> str:
    """Return what was seen, in a sentence or two that say as whom."""
    middle = each.middle
    if middle.frame_rate is None or middle.freeze_share is None:
        return "None of its pictures could be shown, or only one."
    count, frozen_s = middle.w3c["freezeCount"], middle.w3c["totalFreezesDuration"]
    froze = (
        "it never froze"
        if not count
        else f"it froze {count:g} {'time' if count == 1 else 'times'}, {frozen_s:.1f} s or "
        f"{format_ratio(middle.freeze_share)} of the time"
    )
    # A packet that came when it was sent again is no loss to a viewer.
    lost = each.network.lost - each.repaired
    missing = "every packet came" if not lost else f"{lost:,} packets never came"
    said = f"It showed {middle.frame_rate:.1f} pictures a second; {missing}, {froze}."
    if kind == "rtc event log":
        return f"{said} As libwebrtc plays what its writer got."
    return f"{said} From a capture: as a viewer that is on time would see it, through libwebrtc's receiver."


def seen_rows(each: SeenStream) -> Iterator[tuple[str, str]]:
    """Return the figures of video as (title, value with its range)."""
    network, middle = each.network, each.middle
    yield "packets, seconds", f"{each.stream.count:,}, {each.stream.duration_s:.1f}"
    yield "lost; of them came when sent again", f"{network.lost:,} of {network.expected:,}; {each.repaired:,}"
    yield "reordered, captured twice", f"{network.reordered:,}, {network.duplicates:,}"
    variable = (network.variable_p50_s, network.variable_p95_s, network.variable_max_s)
    yield "later than the fastest p50/p95/max", f"{' / '.join(milliseconds(each) for each in variable)} ms"
    frames = [f"{middle.w3c[name]:,.0f}" for name in ("framesReceived", "framesDecoded", "framesDropped")]
    yield "frames received, decoded, dropped", ", ".join(frames)
    yield "jitter buffer, mean", _ranged(middle.jitter_buffer_s, each.range_of("jitter_buffer_s"), "s")
    low, high = each.range_of("freezeCount") or (0.0, 0.0)
    yield "freezes", f"{middle.w3c['freezeCount']:g}" + (f" [{low:g}–{high:g}]" if low < high else "")
    yield "frozen, share of the time", _ranged(middle.freeze_share, each.range_of("freeze_share"), "share")
    yield "pauses", f"{middle.w3c['pauseCount']:g}, {middle.w3c['totalPausesDuration']:.1f} s"


def rows_of(each: HeardStream) -> Iterator[tuple[str, str]]:
    """Return the figures as (title, value with its range)."""
    network, middle, ranges = each.network, each.replayed.middle, each.replayed.ranges
    yield "packets, seconds", f"{each.stream.count:,}, {each.stream.duration_s:.1f}"
    bursts = (
        ""
        if network.mean_burst is None
        else f", bursts of {network.mean_burst:.1f}, the longest {network.longest_burst}"
    )
    yield "lost", f"{network.lost:,} of {network.expected:,}{bursts}"
    yield "reordered, captured twice", f"{network.reordered:,}, {network.duplicates:,}"
    variable = (network.variable_p50_s, network.variable_p95_s, network.variable_max_s)
    yield "later than the fastest p50/p95/max", f"{' / '.join(milliseconds(each) for each in variable)} ms"
    for title, name, unit in (
        ("jitter buffer, mean", "jitter_buffer_s", "s"),
        ("its target, mean", "target_s", "s"),
        ("sound made up", "concealed", "share"),
        ("heard behind the fastest, mean", "behind_mean_s", "s"),
    ):
        yield title, _ranged(getattr(middle, name), ranges.get(name), "s" if unit == "s" else "share")
    # W3C: concealments of 150 ms and longer are interruptions.
    low, high = ranges["interruptionCount"]
    yield (
        "interruptions of 150 ms and more",
        f"{middle.w3c['interruptionCount']:g}" + (f" [{low:g}–{high:g}]" if low < high else ""),
    )
    yield "gaps by loss, by lateness", f"{middle.lost_gaps}, {middle.late_gaps}"
    # Samples of 48 kHz: 48 a millisecond.
    moved = (middle.w3c["insertedSamplesForDeceleration"], middle.w3c["removedSamplesForAcceleration"])
    yield "stretched, shortened", ", ".join(f"{samples / 48:,.0f} ms" for samples in moved)
    what = "listening" if each.one_way_s is None else "conversation, on your one-way delay"
    yield f"R, MOS ({what})", f"{each.rating.r:.1f}, {each.rating.mos:.2f}"
    drift = network.drift
    yield (
        "clock drift",
        f"unknown: {drift.reason}" if drift.ppm is None else f"{drift.ppm:+.1f} ppm [{drift.low:.1f}–{drift.high:.1f}]",
    )
    yield "ranges are over", f"{each.replayed.replays} replays ({each.replayed.pulls}) of {each.replayed.sound}"


def beside_caption(each: Beside) -> str:
    """Return what the table of both counts is about."""
    return f"{each.dump}: its own count beside ours, {each.since_s:.1f} to {each.until_s:.1f} s"


def beside_rows(each: Beside) -> Iterator[tuple[str, str, str]]:
    """Return both counts as (title, the browser's, ours with its range)."""
    for name, title in _BESIDE.items():
        counted = each.figures[name]
        if counted.theirs is None:
            continue
        ranged = None if counted.low is None or counted.high is None else (counted.low, counted.high)
        unit: Unit = "s" if name.endswith("_s") else "share" if name == "concealed" else "number"
        ours = _ranged(counted.ours, ranged, unit) if counted.low != counted.high else figure(counted.ours, unit)
        yield title, figure(counted.theirs, unit), ours


_BESIDE: Final = {
    "jitter_buffer_s": "jitter buffer, mean",
    "target_s": "its target, mean",
    "concealed": "sound made up",
    "concealment_events": "times it was made up",
    "inserted_samples": "samples stretched in",
    "removed_samples": "samples left out",
}


def between_lines(each: Between) -> Iterator[Text]:
    """Return the lines of one stream between two captures."""
    yield rule(f"{_named(each.first)} → {_named(each.second)}")
    yield from wrapped(
        f"{each.matched:,} of {each.sent:,} packets passed both places: "
        f"{format_ratio(each.lost)} were lost between them.",
        indent=0, style="bold", most=None,
    )  # fmt: skip
    p50_s, p95_s, p99_s, most_s = (
        # What the two clocks are apart goes out of a difference of delays, and only of that.
        milliseconds(value - each.delay_min_s, 2)
        for value in (each.delay_p50_s, each.delay_p95_s, each.delay_p99_s, each.delay_max_s)
    )
    yield Text(f" above the fastest, p50/p95/p99/max    {p50_s} / {p95_s} / {p99_s} / {most_s} ms")
    yield Text(f" fastest, by the two clocks            {milliseconds(each.delay_min_s, 2)} ms")
    drift = each.drift
    said = (
        f"unknown: {drift.reason}" if drift.ppm is None else f"{drift.ppm:+.1f} ppm [{drift.low:.1f}–{drift.high:.1f}]"
    )
    yield Text(f" drift of the second clock             {said}")


def budget_value(kept: Kept) -> str:
    """Return a budget's figure with its range."""
    unit: Unit = "s" if kept.unit == "s" else "share" if kept.unit == "share" else "number"
    low, high = kept.low, kept.high
    ranged = "" if low is None or high is None or low == high else f" {bounds(low, high, unit)}"
    return figure(kept.value, unit) + ranged


def _ranged(value: float | None, ranged: tuple[float, float] | None, unit: Unit) -> str:
    return figure(value, unit) + ("" if ranged is None or value is None else f" {bounds(*ranged, unit)}")


def _named(stream: Stream) -> str:
    ends = f"{stream.source} → {stream.destination}" if stream.destination else stream.source
    return f"SSRC {stream.ssrc}" + (f", {ends}" if ends else "")
