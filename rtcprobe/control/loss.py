"""How much loss lets through: which bandwidth and which inherent loss explain best what was lost lately.

Facts:
    Loss that comes whatever is sent is inherent to the line; loss that grows with the rate is congestion. 2 % at random
    cost the estimate nothing. A likelihood decides, not a threshold: the bandwidth that makes what was seen likeliest,
    with a bias to larger ones that ends where 20 % are lost.

Source: libwebrtc ``modules/congestion_controller/goog_cc/loss_based_bwe_v2.cc`` at its defaults of 2026.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from rtcprobe.control.aimd import LEAST_BPS
from rtcprobe.control.history import Sent

__all__ = ["LossBased", "LossState", "Observation"]

LossState = Literal["delay", "decreasing", "increasing"]

# Observations: no shorter than a quarter of a second, 15 of them weighted 0.9 a step into the past, no word before 3.
_OBSERVATION_S: Final = 0.250
_KEPT: Final = 15
_READY: Final = 3
_WEIGHTS: Final = tuple(0.9**age for age in range(_KEPT))
# Candidates are 1.02, 1 and 0.95 times the estimate; one Newton step of 0.75 for each finds its inherent loss.
_FACTORS: Final = (1.02, 1.0, 0.95)
_NEWTON: Final = 0.75
# Inherent loss may be as high as 0.05 + 100 kb/s over the bandwidth: a slow line is allowed to be a bad one.
_FIRST_INHERENT, _LEAST_INHERENT, _INHERENT_OFFSET = 0.01, 1e-3, 0.05
_BALANCE_BPS: Final = 100e3
# Among bandwidths that explain what was seen alike the larger is preferred; the preference turns at 20 % of loss.
_BIAS, _LOG_BIAS = 0.0002, 0.02
_BIAS_ENDS, _BIAS_SLOPE = 0.20, 0.002
# The estimate is also below 100 kb/s over (average loss - 0.05), at once: 10 % of loss leave 2 Mb/s, 25 % leave 500
# kb/s.
_INSTANT_OFFSET: Final = 0.05
# While loss limits: at most 1.3 times more every 300 ms, 1.5 times what is acknowledged, 1.2 times while held.
_WINDOW_S, _WINDOW_GROWTH = 0.300, 1.3
_RAMP, _RAMP_IN_HOLD, _HOLD_MARGIN = 1.5, 1.2, 1.3
# A rate that loss has lowered is held for 300 ms, then twice as long each time, up to a minute.
_FIRST_HOLD_S, _LONGEST_HOLD_S = 0.300, 60.0
# How long padding tries whether the rate in sight can be had; and an observation sent at twice the median rate is no
# outlier to be left out: that loss is the burst's own.
_PADDING_S: Final = 2.0
_OUTLIER: Final = 2.0


@dataclass(frozen=True, slots=True)
class Observation:
    """A quarter of a second or more: rate sent (b/s), kB sent and lost."""

    rate_bps: float
    size_kb: float
    lost_kb: float


class LossBased:
    """The loss-based estimate: ``target_bps`` after each ``update``, ``state``, ``inherent`` and ``average`` loss."""

    def __init__(self, start_bps: float, max_bps: float = math.inf) -> None:
        self.state: LossState = "delay"
        self.target_bps = start_bps
        self.inherent = _FIRST_INHERENT
        self.average = 0.0
        self._bps = start_bps
        self._max_bps = max_bps
        self._delay_bps = math.inf
        self._acked_bps: float | None = None
        self._count = 0
        self._seen: deque[Observation] = deque(maxlen=_KEPT)  # newest first
        self._partial_bytes = 0
        self._partial_lost: dict[int, int] = {}
        self._last_s: float | None = None  # the last send time of the last observation
        self._window_s, self._window_bps = -math.inf, math.inf
        self._hold_until_s, self._hold_s, self._hold_bps = -math.inf, _FIRST_HOLD_S, math.inf
        self._padding_s, self._padding_bps = -math.inf, -math.inf

    @property
    def ready(self) -> bool:
        """Whether enough was observed to decide."""
        return self._count >= _READY

    def set_start(self, rate_bps: float) -> None:
        """Adopt a rate from which to begin, before the first observation."""
        self._bps = self.target_bps = rate_bps

    def update(self, packets: list[Sent], delay_bps: float, acked_bps: float | None, *, in_alr: bool = False) -> float:
        """Return the target after one report: what was told, the delay-based estimate, the acknowledged rate."""
        self._delay_bps, self._acked_bps = delay_bps, acked_bps
        if not packets or not self._observe(packets):
            return self.target_bps
        self.average = self._average()
        # A bound that needs no likelihood: it bites in the very report that tells of a heavy loss.
        instant_bps = _BALANCE_BPS / (self.average - _INSTANT_OFFSET) if self.average > _INSTANT_OFFSET else math.inf
        best_bps, inherent = self._best(in_alr=in_alr)
        # More is lost than this bandwidth would lose by itself: no time to grow.
        if best_bps > self._bps and self.average > inherent:
            best_bps = self._bps
        if self.state != "delay":
            best_bps = self._paced(best_bps)
        # What is acknowledged got through, whatever the likelihood says: the estimate does not fall below it.
        bounded_bps = max(self._least_bps(), min(best_bps, instant_bps, self._max_bps, delay_bps))
        # The bandwidth is not the one that the inherent loss was found for.
        if bounded_bps < best_bps:
            best_bps, inherent = bounded_bps, 0.0
        else:
            best_bps = max(best_bps, self._least_bps())
        self._bps, self.inherent = best_bps, inherent
        self._conclude(bounded_bps)
        return self.target_bps

    def _observe(self, packets: list[Sent]) -> bool:
        """Add what a report tells; return whether an observation is whole."""
        first_s, last_s = math.inf, -math.inf
        for packet in packets:
            sent_s = packet.sent_s
            first_s, last_s = min(first_s, sent_s), max(last_s, sent_s)
            if packet.arrival_s == packet.arrival_s:
                # Reported lost before, received now: its bytes were counted then.
                if self._partial_lost.pop(packet.sequence, None) is None:
                    self._partial_bytes += packet.size_bytes
            elif packet.sequence not in self._partial_lost:
                self._partial_lost[packet.sequence] = packet.size_bytes
                self._partial_bytes += packet.size_bytes
        if self._last_s is None:
            self._last_s = first_s
        passed_s = last_s - self._last_s
        if passed_s < _OBSERVATION_S:
            return False
        self._last_s = last_s
        lost_kb = sum(self._partial_lost.values()) / 1e3
        size_kb = self._partial_bytes / 1e3
        self._seen.appendleft(Observation(8e3 * size_kb / passed_s, size_kb, lost_kb))
        self._count += 1
        self._partial_bytes, self._partial_lost = 0, {}
        return True

    def _average(self) -> float:
        """Return the mean loss of bytes, without the most and the least lossy observation."""
        total = lost = 0.0
        low, high = (math.inf, 0.0, 0.0, 0.0), (-math.inf, 0.0, 0.0, 0.0)
        for weight, each in zip(_WEIGHTS, self._seen, strict=False):
            total += weight * each.size_kb
            lost += weight * each.lost_kb
            share = each.lost_kb / each.size_kb if each.size_kb else 0.0
            facts = (share, weight * each.size_kb, weight * each.lost_kb, each.rate_bps)
            low = facts if share <= low[0] else low
            high = facts if share >= high[0] else high
        # With three observations there is nothing to spare; and see _OUTLIER.
        if self._count <= _READY or high[3] >= _OUTLIER * median(each.rate_bps for each in self._seen):
            return lost / total if total else 0.0
        rest = total - low[1] - high[1]
        return max(0.0, lost - low[2] - high[2]) / rest if rest > 0 else lost / total

    def _best(self, *, in_alr: bool) -> tuple[float, float]:
        """Return the likeliest bandwidth and its inherent loss."""
        limit_bps = self._window_bps if self.state != "delay" else self._max_bps
        limit_bps = max(self._bps, limit_bps)
        tried = [factor * self._bps for factor in _FACTORS]
        assert self._last_s is not None
        pads = self._padding_s + _PADDING_S >= self._last_s
        # An application-limited sender's acknowledged rate tells what it sent, not what the line carries, unless
        # padding fills it.
        if self._acked_bps is not None and (not in_alr or pads):
            tried.append(self._acked_bps)
        # What the delay allows is worth trying too: so a loss that is over is left in one step.
        if self._bps < self._delay_bps < math.inf:
            tried.append(self._delay_bps)
        best = (-math.inf, 0.0, 0.0)
        # max() on the tuple: of equal likelihoods the larger rate.
        for rate_bps in {min(each, limit_bps) for each in tried}:
            inherent = self._newton(rate_bps)
            best = max(best, (self._objective(rate_bps, inherent), rate_bps, inherent))
        return best[1], best[2]

    def _newton(self, bps: float) -> float:
        inherent = _feasible(self.inherent, bps)
        # First and second derivative of the log likelihood by the inherent loss.
        slope = bend = 0.0
        for weight, each in zip(_WEIGHTS, self._seen, strict=False):
            p = _loss_probability(inherent, bps, each.rate_bps)
            got_kb = each.size_kb - each.lost_kb
            slope += weight * (each.lost_kb / p - got_kb / (1 - p))
            bend -= weight * (each.lost_kb / (p * p) + got_kb / ((1 - p) * (1 - p)))
        return _feasible(inherent - _NEWTON * slope / (bend or -1e-6), bps)

    def _objective(self, bps: float, inherent: float) -> float:
        kbps = bps / 1e3
        spare = _BIAS_ENDS - self.average
        bias = (_BIAS * kbps + _LOG_BIAS * math.log(1 + kbps)) * spare / (_BIAS_SLOPE + abs(spare))
        total = 0.0
        for weight, each in zip(_WEIGHTS, self._seen, strict=False):
            p = _loss_probability(inherent, bps, each.rate_bps)
            likely = each.lost_kb * math.log(p) + (each.size_kb - each.lost_kb) * math.log(1 - p)
            total += weight * (likely + bias * each.size_kb)
        return total

    def _paced(self, best_bps: float) -> float:
        """Return how much of a growth is allowed while loss limits."""
        assert self._last_s is not None
        if self._window_s + _WINDOW_S > self._last_s:
            best_bps = min(best_bps, self._window_bps)
        if self._acked_bps is not None and self._grows(self._bps, best_bps):
            in_hold = self._acked_bps < _HOLD_MARGIN * self._hold_bps < math.inf
            ramp = _RAMP_IN_HOLD if in_hold else _RAMP
            best_bps = max(self._bps, min(best_bps, ramp * self._acked_bps))
            # Equal would read as "no growth": one bit a second more lets the state change below.
            if self.state == "decreasing" and best_bps == self._bps:
                best_bps += 1.0
        return best_bps

    def _conclude(self, bounded_bps: float) -> None:
        assert self._last_s is not None
        below = bounded_bps < min(self._delay_bps, self._max_bps)
        # Held: the state stays, whatever the likelihood says in the meantime.
        if self.state == "decreasing" and self._hold_until_s > self._last_s and bounded_bps < self._delay_bps:
            self._hold_bps = max(self._least_bps(), self._hold_bps)
            self.target_bps = min(self._hold_bps, bounded_bps)
            return
        if below and self._grows(self.target_bps, bounded_bps) and self._may_go_on(bounded_bps):
            if bounded_bps > self._padding_bps:
                self._padding_s, self._padding_bps = self._last_s, bounded_bps
            self.state = "increasing"
        elif below:
            self._padding_s, self._padding_bps = -math.inf, -math.inf
            if self.state != "decreasing":
                self._hold_until_s, self._hold_bps = self._last_s + self._hold_s, bounded_bps
                self._hold_s = min(2 * self._hold_s, _LONGEST_HOLD_S)
            self.state = "decreasing"
        else:
            self._padding_s, self._padding_bps = -math.inf, -math.inf
            self._hold_until_s, self._hold_s, self._hold_bps = -math.inf, _FIRST_HOLD_S, math.inf
            self.state = "delay"
        self.target_bps = bounded_bps
        if self.state != "delay" and self._window_s + _WINDOW_S < self._last_s:
            self._window_bps = max(LEAST_BPS, self._bps * _WINDOW_GROWTH)
            self._window_s = self._last_s

    def _least_bps(self) -> float:
        return max(self._acked_bps or 0.0, LEAST_BPS)

    def _grows(self, before_bps: float, now_bps: float) -> bool:
        if self.state == "delay":
            return False
        return now_bps > before_bps or (now_bps == before_bps and self.state == "increasing")

    def _may_go_on(self, bounded_bps: float) -> bool:
        if self.state != "increasing":
            return True
        assert self._last_s is not None
        return self._padding_s + _PADDING_S >= self._last_s or self._padding_bps < bounded_bps


def _feasible(inherent: float, bps: float) -> float:
    return min(max(inherent, _LEAST_INHERENT), 1.0, _INHERENT_OFFSET + _BALANCE_BPS / bps)


def _loss_probability(inherent: float, bps: float, sent_bps: float) -> float:
    # Of what is sent beyond the bandwidth all is lost that the inherent loss has left.
    p = inherent
    if sent_bps > bps:
        p += (1 - inherent) * (sent_bps - bps) / sent_bps
    # Both logarithms of the likelihood stay finite.
    return min(max(p, 1e-6), 1 - 1e-6)
