"""What the network did to a stream, as far as one place can see it; and how two clocks part.

Facts:
    - Of one place only differences of delay are known: how much later than the fastest packet nearby each one came,
      measured on the sender's RTP clock. That clock drifts from the capturing one by tens of ppm, 3 ms a minute: the
      fastest is therefore sought nearby, and a drift is only stated where it is plain.
    - Drift: the line below all points that lies highest at their mean time (Moon, Skelly & Towsley, INFOCOM 1999) is
      right to 0.3 ppm in a minute where delay has a sharp floor, and 76 ppm wrong where it has none (normal delay);
      least squares is right to 12 there. Neither may be trusted alone, nor across a change of route.

Rule: a drift is said where a minute and more was seen, both lines agree within their intervals, zero lies outside,
    and no step explains it better; else it is unknown, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.capture.stream import Stream

__all__ = ["Drift", "Network", "clock_drift", "floor_of", "network_of"]

Floats = npt.NDArray[np.float64]

FLOOR_S: Final = 10.0
"""Within this and its neighbours the fastest packet is sought: 20 ppm make 0.4 ms of it."""
# Over less than a minute a drift of 50 ppm is less than 3 ms, which any network makes.
LEAST_DRIFT_S: Final = 60.0
# Points of a second each: 25 in a row keep what neighbours have in common. Of 200 draws five lie beyond either end of a
# 95 % interval.
_BOOTSTRAPS, _BLOCK = 200, 25
# A packet that lies so near to the line below all transit times was hardly delayed: some of them have to.
_TOUCHING_S: Final = 0.000_2
# A route that changed looks like a drift: steps of more than 3 ms that explain more than a slope does are one.
_STEP_S: Final = 0.003
# A stream with DTX may be a minute long and have packets in a few of its seconds only.
_LEAST_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """By how much the sender's clock is slow against the capturing one, ppm, with its 95 % interval.

    None where it cannot be said: then ``reason`` says why.
    """

    ppm: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Of one stream: packets expected, lost and reordered, bursts of losses, and delay above the fastest packet's.

    ``jitter_s`` is RFC 3550's smoothed figure at the end; ``longest_silence_s`` the longest time without a packet.
    """

    expected: int
    lost: int
    reordered: int
    duplicates: int
    mean_burst: float | None
    longest_burst: int
    variable_p50_s: float
    variable_p95_s: float
    variable_p99_s: float
    variable_max_s: float
    jitter_s: float
    longest_silence_s: float
    drift: Drift

    @property
    def loss(self) -> float:
        """Share of the packets expected that never came."""
        return self.lost / self.expected if self.expected else 0.0


def network_of(stream: Stream) -> Network:
    """Return what the network did to ``stream``, which has an RTP clock."""
    packets, clock_hz = stream.packets, stream.clock_hz
    assert clock_hz is not None
    transit_s = packets.at_s - (packets.timestamp - packets.timestamp[0]) / clock_hz
    variable_s = transit_s - floor_of(packets.at_s, transit_s)
    p50_s, p95_s, p99_s = (float(value) for value in np.percentile(variable_s, (50, 95, 99)))
    came = np.unique(packets.sequence)
    bursts = np.diff(came)[np.diff(came) > 1] - 1
    newest = np.maximum.accumulate(packets.sequence)
    return Network(
        expected=int(came[-1] - came[0]) + 1,
        lost=int(bursts.sum()),
        reordered=int(np.count_nonzero(packets.sequence[1:] < newest[:-1])),
        duplicates=stream.duplicates + len(packets) - len(came),
        mean_burst=float(bursts.mean()) if len(bursts) else None,
        longest_burst=int(bursts.max(initial=0)),
        variable_p50_s=p50_s,
        variable_p95_s=p95_s,
        variable_p99_s=p99_s,
        variable_max_s=float(variable_s.max()),
        jitter_s=_interarrival_jitter_s(transit_s),
        longest_silence_s=float(np.diff(packets.at_s).max(initial=0.0)),
        drift=clock_drift(packets.at_s, transit_s),
    )


def floor_of(at_s: Floats, transit_s: Floats) -> Floats:
    """Return, for each packet, the least transit time of those within ``FLOOR_S`` of it, shape (n,)."""
    places = np.floor((at_s - at_s.min()) / FLOOR_S).astype(np.int64)
    floors = np.full(int(places.max()) + 1, np.inf)
    np.minimum.at(floors, places, transit_s)
    # Its own ten seconds, those before and those after: a floor must not jump where a block ends.
    nearby = np.minimum(np.minimum(np.append(floors[1:], np.inf), np.append(np.inf, floors[:-1])), floors)
    return np.asarray(nearby[places])


def clock_drift(at_s: Floats, transit_s: Floats) -> Drift:
    """Return how the sender's clock drifts from the capturing one; unknown where the rule of this module says so."""
    if float(np.ptp(at_s)) < LEAST_DRIFT_S:
        return Drift(reason=f"less than {LEAST_DRIFT_S:.0f} s were captured")
    order = np.argsort(at_s, kind="stable")
    # The fastest of each second is all that a floor needs; an hour is 3,600 points then.
    at_s, transit_s = _fastest_each_second(at_s[order], transit_s[order])
    if len(at_s) < _LEAST_SECONDS:
        return Drift(reason=f"in fewer than {_LEAST_SECONDS} seconds anything came")
    if _stepped(at_s, transit_s):
        return Drift(reason="the route changed: a step of delay is no drift")
    hull, touching = _hull_slope(at_s, transit_s)
    least_squares = float(np.polyfit(at_s, transit_s, 1)[0])
    rng = np.random.default_rng(1)
    slopes = np.array([_both(*_resampled(at_s, transit_s, rng)) for _ in range(_BOOTSTRAPS)])
    low, high = np.percentile(slopes, (2.5, 97.5), axis=0)
    # Columns are the hull's slope and least squares': either may be fooled, so each must lie in the other's interval.
    if not (low[0] <= least_squares <= high[0] or low[1] <= hull <= high[1]):
        return Drift(reason="its floor and its mean drift apart")
    if touching < 3 or (low[0] <= 0.0 <= high[0]) or (low[1] <= 0.0 <= high[1]):
        return Drift(reason="none that could be told from the variation of delay")
    return Drift(ppm=hull * 1e6, low=float(low[0]) * 1e6, high=float(high[0]) * 1e6)


def _both(at_s: Floats, transit_s: Floats) -> tuple[float, float]:
    return _hull_slope(at_s, transit_s)[0], float(np.polyfit(at_s, transit_s, 1)[0])


def _fastest_each_second(at_s: Floats, transit_s: Floats) -> tuple[Floats, Floats]:
    second = np.floor(at_s).astype(np.int64)
    order = np.lexsort((transit_s, second))
    first = np.flatnonzero(np.diff(second[order], prepend=second.min() - 1))
    chosen = order[first]
    return at_s[chosen], transit_s[chosen]


def _resampled(at_s: Floats, transit_s: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw blocks of neighbours with replacement, in the order of time."""
    block = min(_BLOCK, max(1, len(at_s) // 6))
    starts = np.sort(rng.integers(0, len(at_s) - block + 1, size=-(-len(at_s) // block)))
    places = (starts[:, None] + np.arange(block)[None, :]).reshape(-1)
    places.sort()
    return at_s[places], transit_s[places]


def _hull_slope(at_s: Floats, transit_s: Floats) -> tuple[float, int]:
    """Return the slope of the lower hull's edge above the mean time, and how many points touch it."""
    hull: list[tuple[float, float]] = []
    for point in zip(at_s.tolist(), transit_s.tolist(), strict=True):
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        if not hull or point[0] > hull[-1][0]:
            hull.append(point)
        elif point[1] < hull[-1][1]:
            hull[-1] = point
    middle = float(np.mean(at_s))
    left, right = next(((a, b) for a, b in pairwise(hull) if a[0] <= middle <= b[0]), (hull[0], hull[-1]))
    if right[0] == left[0]:
        return 0.0, len(hull)
    slope = (right[1] - left[1]) / (right[0] - left[0])
    below = left[1] + slope * (at_s - left[0])
    return slope, int(np.count_nonzero(transit_s - below <= _TOUCHING_S))


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0.0


def _stepped(at_s: Floats, transit_s: Floats) -> bool:
    """Return whether two levels explain the fastest packets plainly better than a line does."""
    count = len(at_s)
    line = np.polyval(np.polyfit(at_s, transit_s, 1), at_s)
    of_line = float(np.sum((transit_s - line) ** 2))
    total, squares = np.cumsum(transit_s), np.cumsum(transit_s**2)
    # Five points at either end: of fewer a level is no level.
    cut = np.arange(5, count - 5)
    if not len(cut):
        return False
    # Sums of squares about the mean on either side of every cut at once, from running sums.
    left = squares[cut - 1] - total[cut - 1] ** 2 / cut
    right = (squares[-1] - squares[cut - 1]) - (total[-1] - total[cut - 1]) ** 2 / (count - cut)
    best = int(np.argmin(left + right))
    at = int(cut[best])
    size = abs(float(np.median(transit_s[at:]) - np.median(transit_s[:at])))
    # A drift is explained by a line much better than by two levels, a step
    # the other way round: between them lies the half.
    return float((left + right)[best]) < 0.5 * of_line and size > _STEP_S


def _interarrival_jitter_s(transit_s: Floats) -> float:
    """Return the smoothed mean deviation of transit times, gain 1/16. Source: RFC 3550 §6.4.1, A.8."""
    jitter = 0.0
    for change in np.abs(np.diff(transit_s)).tolist():
        jitter += (change - jitter) / 16.0
    return jitter
