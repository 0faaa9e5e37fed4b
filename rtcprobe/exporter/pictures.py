"""What the pictures of a run do to the metrics; a run without any leaves all of theirs absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtcprobe.exporter.instruments import Draft, Instruments
from rtcprobe.result import Account, Result, Summary
from rtcprobe.verdict.room.grouping import by_role

__all__ = ["add_pictures", "set_pictures"]

_PERCENTILES = ("p50", "p95")
_LIKENESS = {"last_ssim": "ssim", "last_psnr_decibels": "psnr_db"}
_LIKENESSES = {"mean": "", "p5": "_p5", "worst_second": "_in_worst_second"}


def add_pictures(into: Instruments | Draft, result: Result) -> None:
    """Add what was seen in a run to the counters and histograms of its probe."""
    for attempt in result.join.attempts:
        seen_s = attempt.marks.get("first_picture")
        if attempt.failed is None and seen_s is not None:
            into.observe("rtcprobe_join_first_picture_seconds", seen_s)
    for direction, account in _seen(result):
        for sample in account.samples:
            into.observe("rtcprobe_glass_to_glass_seconds", sample.delay_s, direction=direction)
        for stage, seconds in account.stages.items():
            labels = {"direction": direction, "stage": stage}
            into.observe("rtcprobe_glass_to_glass_stage_seconds", max(0.0, seconds), **labels)
        for fate, number in _fates(account):
            into.count("rtcprobe_frames_total", number, direction=direction, fate=fate)
        # By W3C's names, totals of the call: their sums over runs stay what they are named for.
        counted = _counted(account)
        for name, key in (("freezes", "freezeCount"), ("frozen_seconds", "totalFreezesDuration")):
            into.count(f"rtcprobe_{name}_total", counted.get(key, 0.0), direction=direction)
        into.count("rtcprobe_watched_seconds_total", counted.get("totalInterFrameDelay", 0.0), direction=direction)


def set_pictures(into: Instruments | Draft, result: Result) -> None:
    """Set the gauges of the last run to what was seen in it."""
    first = result.join.summary.get("first_picture")
    if first is not None:
        _set_all(into, "rtcprobe_last_join_first_picture_seconds", _figures(first))
    for direction, account in _seen(result):
        for fate, number in _fates(account):
            into.set("rtcprobe_last_frames", number, direction=direction, fate=fate)
        for stage, seconds in account.stages.items():
            into.set("rtcprobe_last_glass_to_glass_stage_seconds", seconds, direction=direction, stage=stage)
        if account.summary is not None and account.samples:
            _set_all(into, "rtcprobe_last_glass_to_glass_seconds", _figures(account.summary), direction=direction)
        counted, said = _counted(account), account.figures
        found = {"freezes": counted.get("freezeCount"), "frozen_ratio": said.get("freeze_share")}
        for name, value in {**found, "frame_rate": said.get("frame_rate")}.items():
            if value is not None:
                into.set(f"rtcprobe_last_{name}", value, direction=direction)
        for name, key in _LIKENESS.items():
            likeness = {each: said.get(key + suffix) for each, suffix in _LIKENESSES.items()}
            _set_all(into, f"rtcprobe_{name}", likeness, direction=direction)
    for direction, account in by_role(result, "lip_sync").items():
        if account.summary is not None and account.samples:
            _set_all(into, "rtcprobe_last_av_skew_seconds", _figures(account.summary), direction=direction)


def _seen(result: Result) -> Iterable[tuple[str, Account]]:
    return by_role(result, "glass_to_glass").items()


def _fates(account: Account) -> Iterable[tuple[str, int]]:
    return (("seen", account.heard), ("rejected", account.rejected), ("lost", account.lost))


def _counted(account: Account) -> Mapping[str, float]:
    counted = {} if account.playout is None else account.playout.w3c
    return {name: value for name, value in counted.items() if value is not None}


def _figures(summary: Summary) -> dict[str, float | None]:
    figures = {"min": summary.minimum, "mean": summary.mean, "max": summary.maximum}
    return figures | {name: found.value for name in _PERCENTILES if (found := summary.quantile(name)) is not None}


def _set_all(into: Instruments | Draft, name: str, figures: Mapping[str, float | None], **labels: str) -> None:
    for aggregate, value in figures.items():
        if value is not None:
            into.set(name, value, aggregate=aggregate, **labels)
