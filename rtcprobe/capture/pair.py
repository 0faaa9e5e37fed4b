"""One stream captured at two places: what happened between them, packet by packet.

Facts:
    - A forwarding server rewrites SSRC, sequence and time by constants; payloads cannot help, they are encrypted anew,
      but their sizes stay what they were, give or take a constant.
    - The difference of two clocks cannot be told from one way's delay. Where both ways were captured at both places,
      half the sum of their minima is the offset if the ways are alike, and wrong by half their difference if not.

Rule: below four matches in five nothing is said: it is another stream, or one that a server repacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rtcprobe.capture.network import Drift, clock_drift
from rtcprobe.capture.stream import Capture, Packets, Stream
from rtcprobe.errors import BadInputError

__all__ = ["Between", "between", "clock_offset"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Real pairs through a forwarding server matched whole (992 of 992); one that filters DTX or repacks does not.
LEAST_MATCHING: Final = 0.8
# Of the best offset's matches: a neighbouring offset lacks a packet at either end of the capture, and no more.
_NEARLY: Final = 0.97
_MOST_APART: Final = 64
"""Packets that one of the captures may have begun, or lost, before the other's first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """One stream from ``first`` to ``second`` place: ``matched`` packets of ``sent``, and their one-way delay.

    ``delay_*`` are differences of two clocks: true where one clock stamped both, else off by a constant, which only
    ``above_fastest_*`` is free of. ``drift`` is that of the second place's clock against the first's.
    """

    first: Stream
    second: Stream
    sent: int
    matched: int
    delay_min_s: float
    delay_p50_s: float
    delay_p95_s: float
    delay_p99_s: float
    delay_max_s: float
    drift: Drift
    backwards: bool = False
    """Whether it went from the place of the second file to that of the first."""

    @property
    def lost(self) -> float:
        """Share of what passed the first place that never passed the second."""
        return 1.0 - self.matched / self.sent

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        delays = {
            f"delay_{name}_ms": round(getattr(self, f"delay_{name}_s") * 1e3, 6)
            for name in ("min", "p50", "p95", "p99", "max")
        }
        return {
            "from_ssrc": self.first.ssrc,
            "to_ssrc": self.second.ssrc,
            "backwards": self.backwards,
            "sent": self.sent,
            "matched": self.matched,
            "lost": round(self.lost, 9),
            **delays,
            "drift_ppm": None if self.drift.ppm is None else round(self.drift.ppm, 3),
            "drift_unknown": self.drift.reason or None,
        }


def between(first: Capture, second: Capture) -> tuple[Between, ...]:
    """Return every stream of sound that two captures share, in the direction it went; instants in UTC.

    Raises:
        BadInputError: a recording without UTC instants, or no stream in common.
    """
    if first.begun_unix_s is None or second.begun_unix_s is None:
        raise BadInputError("one of the recordings does not say when it was made", "give two packet captures")
    shift_s = second.begun_unix_s - first.begun_unix_s
    found: list[Between] = []
    for here in first.streams:
        for there in second.streams:
            if shift_s == 0.0 and _name(here) == _name(there):
                continue  # both files hold it at one place: two legs were captured in one file
            pair = _pair(here, there, shift_s)
            if pair is not None:
                found.append(pair)
    if not found:
        raise BadInputError(
            "the captures have no stream in common", "capture the same call at both places, at the same time"
        )
    best: dict[tuple[int, str, str], Between] = {}
    for each in found:
        known = best.get(_name(each.first))
        if known is None or each.matched > known.matched:
            best[_name(each.first)] = each
    return tuple(sorted(best.values(), key=lambda each: -each.matched))


def clock_offset(there: Between, back: Between) -> tuple[float, float]:
    """Return by how much the second place's clock is ahead, were both ways alike, and how wrong that may be at most."""
    up_s, down_s = there.delay_min_s, back.delay_min_s
    round_trip_s = max(0.0, up_s + down_s)
    return (up_s - down_s) / 2.0, round_trip_s / 2.0


def _name(stream: Stream) -> tuple[int, str, str]:
    return stream.ssrc, stream.source, stream.destination


def _pair(here: Stream, there: Stream, shift_s: float) -> Between | None:
    """Return what became of ``here`` on its way to ``there``, or the other way round; None for different streams."""
    # Cheap refusals first: a pair is tried for every two streams of both files.
    if here.clock_hz != there.clock_hz or min(here.count, there.count) < LEAST_MATCHING * max(here.count, there.count):
        return None
    a, b = here.packets, there.packets
    b_at_s = b.at_s + shift_s
    rows_a, rows_b = _matched(a, b, b_at_s)
    if len(rows_a) < LEAST_MATCHING * min(here.count, there.count):
        return None
    delay_s = b_at_s[rows_b] - a.at_s[rows_a]
    # By the clocks as they are: between places whose clocks differ by more than the way takes this is a guess, and the
    # direction that it gives is told.
    backwards = float(np.median(delay_s)) < 0.0
    first, second, began_s = (there, here, b_at_s[rows_b]) if backwards else (here, there, a.at_s[rows_a])
    delay_s = -delay_s if backwards else delay_s
    p50_s, p95_s, p99_s = (float(value) for value in np.percentile(delay_s, (50, 95, 99)))
    return Between(
        first=first,
        second=second,
        sent=len(first.packets),
        matched=len(rows_a),
        delay_min_s=float(delay_s.min()),
        delay_p50_s=p50_s,
        delay_p95_s=p95_s,
        delay_p99_s=p99_s,
        delay_max_s=float(delay_s.max()),
        drift=clock_drift(began_s, delay_s),
        backwards=backwards,
    )


def _matched(a: Packets, b: Packets, b_at_s: Floats) -> tuple[Ints, Ints]:
    """Return the places of the same packets in both.

    Under every offset of sequence numbers that lets nearly as many meet as the best does (both count up by ones, so
    several do), sizes tell: they vary, and a server keeps them but for a constant. Where they do not vary, the offset
    under which a packet comes soonest after it left is taken.
    """
    order_a, order_b = np.argsort(a.sequence, kind="stable"), np.argsort(b.sequence, kind="stable")
    base = int(b.sequence.min() - a.sequence.min())
    found: list[tuple[Ints, Ints]] = []
    for extra in range(-_MOST_APART, _MOST_APART + 1):
        _, places_a, places_b = np.intersect1d(
            a.sequence[order_a] + base + extra, b.sequence[order_b], return_indices=True
        )
        rows_a, rows_b = order_a[places_a], order_b[places_b]
        same = _most_often(b.timestamp[rows_b] - a.timestamp[rows_a])
        found.append((rows_a[same], rows_b[same]))
    most = max(len(rows) for rows, _ in found)

    def merit(rows: tuple[Ints, Ints]) -> tuple[float, bool, float]:
        rows_a, rows_b = rows
        delay_s = float(np.median(b_at_s[rows_b] - a.at_s[rows_a]))
        same_size = float(np.mean(_most_often(b.size[rows_b] - a.size[rows_a])))
        # Rounded, so that one packet in a hundred whose size changed does not outvote the delay.
        return round(same_size, 2), delay_s >= 0.0, -abs(delay_s)

    near = [rows for rows in found if len(rows[0]) and len(rows[0]) >= _NEARLY * most]
    return max(near, key=merit) if near else found[0]


def _most_often(values: Ints) -> npt.NDArray[np.bool_]:
    """Return where ``values`` are what they are most often."""
    kinds, counts = np.unique(values, return_counts=True)
    return np.asarray(values == kinds[counts.argmax()]) if len(kinds) else np.zeros(0, dtype=np.bool_)
