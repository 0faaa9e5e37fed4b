"""The page's part about pictures: every frame on the sound's time axis, freezes, stages, figures under W3C's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rtcprobe.report.html.charts import Heard, on_axis, spans_on_axis
from rtcprobe.report.html.tables import MOST_COLUMNS, Table, turned
from rtcprobe.report.html.waterfall import Waterfall, falling
from rtcprobe.report.sentences import arrow, milliseconds
from rtcprobe.report.sights import sight_rows, spoken_way
from rtcprobe.report.words import say
from rtcprobe.result import Account, Result
from rtcprobe.ways import Way

__all__ = ["Worst", "frames", "sight_table", "sight_waterfalls", "told", "worst"]


_STILLS = 6
"""Pictures on a page: each is some kilobytes, and nobody compares more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The picture of one way at its worst: a JPEG in base64, and what it is."""

    jpeg: str
    title: str
    told: str


def frames(way: Way, account: Account, moved_s: Mapping[int, float], begins_s: tuple[float, ...]) -> Heard:
    """Return what is drawn of one way, the time of each call ``moved_s`` later: a frame where it was filmed."""
    stood_s = tuple(spans_on_axis(account, moved_s, "freeze"))
    return on_axis(arrow(way), account, moved_s, begins_s=begins_s, stood_s=stood_s)


def told(each: Heard) -> str:
    """Return what the plot of one way shows, for who cannot see it."""
    stood_s = sum(until - begin for begin, until in each.stood_s)
    missed = f"{len(each.lost_s)} frames lost, {len(each.rejected_s)} left out, {len(each.stood_s)} freezes"
    if not len(each.delay_ms):
        return f"{each.title}: no frame was seen, {missed}."
    low, middle, high = np.min(each.delay_ms), np.median(each.delay_ms), np.max(each.delay_ms)
    return (
        f"{each.title}: {len(each.delay_ms)} frames seen {low:.1f} to {high:.1f} ms late, median {middle:.1f} ms; "
        f"{missed} ({stood_s:.1f} s)."
    )


def worst(result: Result) -> tuple[Worst, ...]:
    """Return a picture of every way: the frame least like its original, in the worst second of all calls.

    Of many ways, of those that came out worst.
    """
    found = []
    kept = [(way, each, each.worst) for way, each in result.of_kind("glass_to_glass").items() if each.worst is not None]
    # Of many ways those whose worst second was the worst; equal ones may be more than so many.
    ranked = sorted((still.second_ssim for _, _, still in kept if still.jpeg))[:_STILLS]
    for way, account, still in kept:
        if not still.jpeg or still.second_ssim > ranked[-1]:
            continue
        of = f" of call {still.call + 1}" if len(account.calls) > 1 else ""
        found.append(
            Worst(
                jpeg=still.jpeg,
                title=spoken_way(way),
                told=f"frame {still.marker}{of}, filmed after {still.spoken_s:.1f} s: SSIM {still.ssim:.3f}, PSNR "
                f"{still.psnr_db:.1f} dB; its second has SSIM {still.second_ssim:.3f}",
            )
        )
    return tuple(found)


def sight_table(result: Result) -> Table | None:
    """Return the figures of every way on which somebody watched."""
    rows = sight_rows(result)
    if not rows:
        return None
    ways = [spoken_way(way) for way in result.of_kind("glass_to_glass")]
    table = Table(caption=say("Glass-to-glass delay, by direction"), columns=("", *ways), rows=tuple(rows))
    return table if len(ways) <= MOST_COLUMNS else turned(replace(table, caption=say("Glass-to-glass delay, by way")))


def sight_waterfalls(result: Result) -> tuple[Waterfall, ...]:
    """Return where each way's mean delay went, on one scale."""
    shown = [(way, each) for way, each in result.of_kind("glass_to_glass").items() if each.stages][:2]
    scale_s = max([each.total_s for _, each in shown], default=0.0)
    return tuple(
        falling(
            each.stages,
            caption=say("{what}, mean {ms} ms", what=spoken_way(way), ms=milliseconds(each.total_s)),
            head="stage",
            scale_s=max(scale_s, 1e-9),
        )
        for way, each in shown
    )
