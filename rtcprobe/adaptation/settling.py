"""How a sender settles after each change of a line, and how much it swings: what RFC 8868 asks of rates over time.

Facts:
    *Settled* is a rate from the second on from which it stays within 20 % of what it was at the end of the phase: its
    last 10 s, or its last half where the phase is shorter. A phase is the time between two changes of capacity, or from
    the start to the first; of less than 5 s nothing can be said. A rate that settles in the last fifth of its phase did
    not settle. The RFC names the figure and leaves the band to who measures.
    A *swing* is a rate that becomes four times as high or as low within half a second, the RFC's example of watermarks
    and window; a call that begins or ends is none.

Source: RFC 8868 §3: convergence time, instability, bandwidth utilisation; rates at intervals of 200 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from statistics import fmean
from typing import Final, NamedTuple

from rtcprobe.adaptation.course import ROW_S, Course

__all__ = ["Settled", "settled", "swings", "utilisation"]

# The band and what counts as the end are ours (RFC 8868 leaves them open): one reduction by libwebrtc, 15 %,
# is no other rate, two in a row are.
_BAND: Final = 0.20
_SHORTEST_S, _END_S = 5, 10
# A rate always agrees with the mean of its own last seconds: in the last fifth it would "settle" whatever it
# does.
_LATE: Final = 0.8
# The RFC's example: up or down by four within 500 ms, here of rates over 200 ms.
_SWING: Final = 4.0
_WITHIN: Final = int(0.5 / ROW_S)


class Settled(NamedTuple):
    """One change of capacity (the first is the start), and how long after it the rate was stable; ``inf``: never."""

    at_s: float
    bps: float
    after_s: float


def settled(course: Course, capacity: Sequence[tuple[float, float]]) -> list[Settled]:
    """Return each change that lasts; ``capacity`` is (second, b/s) of every change, as ``capacity_of`` gives it."""
    ends = [*(at_s for at_s, _ in capacity[1:]), course.length_s]
    out = []
    for (at_s, bps), end_s in zip(capacity, ends, strict=True):
        rates = course.offered_bps[int(at_s) : int(end_s)]
        if len(rates) >= _SHORTEST_S:
            out.append(Settled(at_s, bps, _after(rates)))
    return out


def _after(rates: Sequence[float]) -> float:
    """Return after how many seconds the rate stays within the band around what it is in the end."""
    usual = fmean(rates[-min(_END_S, len(rates) // 2) :])
    # Backwards from the end: one second outside the band makes all before it unsettled.
    stable = len(rates)
    while stable and abs(rates[stable - 1] - usual) <= _BAND * usual:
        stable -= 1
    return float(stable) if stable <= _LATE * len(rates) else inf


def swings(course: Course) -> float | None:
    """Return how many swings there were in a minute; None where no rate was taken down so finely."""
    rates = course.sent_bps
    if not rates:
        return None
    count, barred = 0, 0
    # A swing bars what lies before it, so that one edge is not counted with each of its neighbours.
    for place, rate in enumerate(rates):
        before = rates[max(place - _WITHIN, barred) : place]
        if rate and any(other and max(rate, other) >= _SWING * min(rate, other) for other in before):
            count, barred = count + 1, place
        elif not rate:
            barred = place + 1  # who says nothing does not swing
    return 60 * count / (len(rates) * ROW_S)


def utilisation(course: Course, capacity: Sequence[tuple[float, float]]) -> float | None:
    """Return the mean over seconds of what was sent by what the line carried then; None where nothing limits it."""
    shares = []
    for (at_s, bps), (end_s, _) in pairwise([*capacity, (course.length_s, 0.0)]):
        if 0 < bps < inf:
            shares += [rate / bps for rate in course.offered_bps[int(at_s) : int(end_s)]]
    return fmean(shares) if shares else None
