"""The page's part about messages: every one on the sound's time axis, its stages, and which were slowest, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rtcprobe.report.html.charts import Heard, Width, on_axis, over_time, spans_on_axis
from rtcprobe.report.html.tables import Table
from rtcprobe.report.html.waterfall import Waterfall, falling
from rtcprobe.report.html.words import NOTHING
from rtcprobe.report.messages import message_rows, message_way
from rtcprobe.report.sentences import milliseconds
from rtcprobe.report.words import say
from rtcprobe.result import MESSAGE_STAGES, Account, Result
from rtcprobe.ways import Way

__all__ = ["Shown", "deliveries", "shown"]

# Rows; whoever wants all has the JSON.
_SLOWEST = 10
# Waterfalls, as of sound: one each way of two.
_DRAWN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that is shown of messages."""

    plots: tuple[Markup, ...]
    figures: Table
    stages: tuple[Waterfall, ...]
    slowest: Table | None


def shown(result: Result, delivered: Sequence[Heard], heard: Sequence[Heard], anchor: str) -> Shown | None:
    """Return what is shown of messages, those ``delivered`` on the time axis of what was ``heard``; None without any.

    ``anchor`` is what the plots' names begin with.
    """
    rows = message_rows(result)
    if not rows:
        return None
    columns = ("", *map(message_way, result.of_kind("messages")))
    widths: tuple[Width, ...] = ("wide", "narrow") if delivered else ()
    label = " ".join(_told(each) for each in delivered)
    return Shown(
        plots=tuple(
            over_time(delivered, name=f"{anchor}-messages-{width}", width=width, label=label, beside=heard)
            for width in widths
        ),
        figures=Table(caption=say("Messages, by direction"), columns=columns, rows=tuple(rows)),
        stages=_waterfalls(result),
        slowest=_slowest_table(result),
    )


def deliveries(way: Way, account: Account, moved_s: Mapping[int, float], begins_s: tuple[float, ...]) -> Heard:
    """Return what is drawn of one way, the time of each call ``moved_s`` later: a message where it was due."""
    return on_axis(message_way(way), account, moved_s, begins_s=begins_s, stood_s=tuple(_held_up(account, moved_s)))


def _told(each: Heard) -> str:
    """Return what the plot of one way shows, for who cannot see it."""
    held_s = sum(until - begin for begin, until in each.stood_s)
    missed = f"{len(each.lost_s)} messages lost, {len(each.rejected_s)} wrong"
    if not len(each.delay_ms):
        return f"{each.title}: no message was delivered, {missed}."
    low, middle, high = np.min(each.delay_ms), np.median(each.delay_ms), np.max(each.delay_ms)
    return (
        f"{each.title}: {len(each.delay_ms)} messages delivered {low:.1f} to {high:.1f} ms late, median {middle:.1f} "
        f"ms; {missed}; for {held_s:.1f} s something that had come waited for an earlier one."
    )


def _waterfalls(result: Result) -> tuple[Waterfall, ...]:
    """Return where each way's mean delay went, on one scale."""
    found = [(way, each) for way, each in result.of_kind("messages").items() if each.stages][:_DRAWN]
    scale_s = max([each.total_s for _, each in found], default=0.0)
    return tuple(
        falling(
            each.stages,
            caption=f"{message_way(way)}, mean {milliseconds(each.total_s)} ms of {each.heard:,} messages",
            head="stage",
            scale_s=max(scale_s, 1e-9),
        )
        for way, each in found
    )


def _slowest_table(result: Result) -> Table | None:
    """Return the slowest messages that something held up, with where their time went; None where none was."""
    held = [(way, each) for way, account in result.of_kind("messages").items() for each in account.samples if each.note]
    if not held:
        return None
    held.sort(key=lambda each: -each[1].delay_s)
    # Columns of zeros would push the reason off a phone.
    stages = [name for name in MESSAGE_STAGES if any((each.stages or {}).get(name) for _, each in held[:_SLOWEST])]
    rows = []
    for way, each in held[:_SLOWEST]:
        went = each.stages or {}
        cells = (milliseconds(went[name]) if name in went else NOTHING for name in stages)
        name = f"{message_way(way)} {each.call + 1}.{each.marker}"
        rows.append((name, f"{each.spoken_s:.1f}", milliseconds(each.delay_s), *cells, each.note))
    left = f" of {len(held)} that something held up" if len(held) > _SLOWEST else ""
    heads = (name.replace("_", " ") for name in stages)
    return Table(
        caption=f"The slowest{left}, ms",
        columns=("call.message", "due, s", "delay", *heads, "what held it up"),
        rows=tuple(rows),
    )


def _held_up(account: Account, moved_s: Mapping[int, float]) -> list[tuple[float, float]]:
    """Return when something that had come waited for an earlier one, one after the other."""
    spans = sorted(spans_on_axis(account, moved_s, "head of line"))
    joined: list[tuple[float, float]] = []
    for from_s, until_s in spans:
        # Waits overlap, as messages queue behind one; drawn on each other their shades would add up.
        if joined and from_s <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], until_s)
        else:
            joined.append((from_s, until_s))
    return joined
