"""Where the time of a join and of a mouth-to-ear delay went: parts one after the other, on a scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rtcprobe.report.html.tables import MOST_COLUMNS
from rtcprobe.report.html.words import arrow, spaced, upper
from rtcprobe.report.sentences import milliseconds, slowest, typical
from rtcprobe.report.words import say
from rtcprobe.result import Join, Result
from rtcprobe.ways import BOTH_WAYS, Way

__all__ = ["Bar", "Waterfall", "falling", "join_waterfalls", "stage_waterfalls"]

_LOST_ROWS = {"stun": "lost STUN check", "dtls": "lost DTLS flight", "signaling": "lost segment"}

_GIVEN = frozenset({"capture", "packetisation", "look_ahead", "device"})
"""Stages the scenario sets; they are no finding."""

_SHOWN_S = 5e-5  # less would read 0.0 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a waterfall: spans of (begin, length) in seconds."""

    name: str
    spans: tuple[tuple[float, float], ...]
    value: str
    kind: Literal["plain", "most", "given", "lost"] = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Rows one after the other that add up to ``total_s`` (``total`` says it), drawn on a scale of ``scale_s``."""

    caption: str
    head: str
    bars: tuple[Bar, ...]
    total_s: float
    scale_s: float
    note: str = ""
    total: str = ""


def join_waterfalls(attempts: Sequence[Join]) -> tuple[Waterfall, ...]:
    """Return the phases of the typical and of the slowest join, on one scale; the slowest with its lost time."""
    middle, last = typical(attempts), slowest(attempts)
    if middle is None or last is None or not (middle.phases or last.phases):
        return ()
    scale_s = max(last.first_audio_s or 0.0, 1e-9)
    shown = [_join_waterfall("Typical join", middle, scale_s)]
    # One join alone is both.
    if last is not middle:
        shown.append(_join_waterfall("Slowest join", last, scale_s))
    return tuple(shown)


def stage_waterfalls(result: Result) -> tuple[Waterfall, ...]:
    """Return where each way's mean delay went, on one scale; of more than two, of the soonest and the latest."""
    shown = [(way, ear) for way, ear in result.mouth_to_ear.items() if ear.stages]
    if len(shown) > MOST_COLUMNS:
        soonest, *_, latest = sorted(shown, key=lambda each: each[1].total_s)
        shown = [soonest, latest]
    scale_s = max([sum(max(s, 0.0) for s in ear.stages.values()) for _, ear in shown] or [0.0])
    return tuple(
        Waterfall(
            caption=say("{what}, mean {ms} ms", what=_titled(way), ms=milliseconds(ear.total_s)),
            head=say("stage"),
            bars=_bars(ear.stages),
            total_s=ear.total_s,
            scale_s=max(scale_s, 1e-9),
            note=say(
                "playout {policy}; grey: set by the scenario",
                policy=say("unknown") if ear.playout is None else ear.playout.policy,
            ),
        )
        for way, ear in shown
    )


def _titled(way: Way) -> str:
    """Return a way at the beginning of a line: a name that somebody gave stays as it is."""
    return upper(arrow(way)) if way in BOTH_WAYS or way.there_and_back else arrow(way)


def falling(
    parts: Mapping[str, float], *, caption: str, head: str, scale_s: float, side_by_side: bool = False
) -> Waterfall:
    """Return ``parts`` one after the other; ``side_by_side``: each from zero, where they are no sequence."""
    bars = _bars(parts)
    if side_by_side:
        bars = tuple(replace(bar, spans=((0.0, bar.spans[0][1]),)) for bar in bars)
    return Waterfall(caption=caption, head=head, bars=bars, total_s=sum(parts.values()), scale_s=scale_s)


def _join_waterfall(title: str, attempt: Join, scale_s: float) -> Waterfall:
    bars = list(_bars(attempt.phases))
    for timer in dict.fromkeys(each.timer for each in attempt.retransmissions):
        fired = [each for each in attempt.retransmissions if each.timer == timer and each.cost_s > 0.0]
        if fired:
            sides = say(" and ").join(say(each) for each in dict.fromkeys(each.party for each in fired))
            bars.append(
                Bar(
                    name=f"{say(_LOST_ROWS.get(timer, f'lost {timer}'))}, {sides}",
                    # Where the wait began and how long it lasted: it lies over the phases that paid for it.
                    spans=tuple((each.at_s - each.cost_s, each.cost_s) for each in fired),
                    value=milliseconds(sum(each.cost_s for each in fired)),
                    kind="lost",
                )
            )
    # A timer that fired though the answer was on its way cost nothing, and is no finding; but it was on the line.
    spurious = sum(each.cost_s <= 0.0 for each in attempt.retransmissions)
    notes = [] if attempt.rtts is None else [say("{rtts:.1f} round trips of the media path", rtts=attempt.rtts)]
    if spurious:
        more = (
            "{count} more retransmissions cost it nothing"
            if spurious > 1
            else "{count} more retransmission cost it nothing"
        )
        notes.append(say(more, count=spurious))
    return Waterfall(
        caption=say("{what}, {ms} ms", what=say(title), ms=milliseconds(attempt.first_audio_s)),
        head=say("phase"),
        bars=tuple(bars),
        total_s=attempt.first_audio_s or 0.0,
        scale_s=scale_s,
        note="; ".join(notes),
    )


def _bars(parts: Mapping[str, float]) -> tuple[Bar, ...]:
    """Return the parts one after the other; what would read 0.0 ms moves the next along and is left out."""
    most = max(parts.values(), default=0.0)
    bars: list[Bar] = []
    begin_s = 0.0
    for name, length_s in parts.items():
        if abs(length_s) >= _SHOWN_S:
            kind: Literal["plain", "most", "given"] = "given" if name in _GIVEN else "plain"
            bars.append(
                Bar(
                    name=spaced(name),
                    # A negative part (a residual) is drawn back from where it begins.
                    spans=((begin_s + min(length_s, 0.0), abs(length_s)),),
                    value=milliseconds(length_s),
                    kind="most" if length_s == most else kind,
                )
            )
        # Also where it is not shown: rows begin where all before them ended, and the last ends at the total.
        begin_s += length_s
    return tuple(bars)
