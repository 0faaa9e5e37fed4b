"""Probes: short trains above the estimate, when to send them and what they say of the line.

Facts:
    A start at 300 kb/s is probed at 3 and 6 times that, and as long as more than 0.7 of a probe arrived, at twice the
    estimate. Outside an application-limited region a grown line is not probed: 20 s to 2 Mb/s are normal then.

Source: libwebrtc ``modules/congestion_controller/goog_cc/probe_controller.cc``, ``probe_bitrate_estimator.cc``;
``modules/pacing/bitrate_prober.cc``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from rtcprobe.control.history import Sent

__all__ = ["Growth", "Probe", "ProbeResults", "Probing"]

Growth = Literal["free", "slow", "none"]
"""How far a probe may go: as it likes, 1.5 times the estimate (loss-limited, growing), or not at all."""

# A cluster: five packets and 15 ms of its rate at the least, in sends of 2 ms of it.
_PACKETS: Final = 5
_LENGTH_S: Final = 0.015
_SEND_S: Final = 0.002
# Where the application sets no maximum (kDefaultMaxProbingBitrate).
_USUAL_MAX_BPS: Final = 5e6
# 3 and 6 times the start; then twice the estimate, as long as it came above 0.7 of the last probe within a second.
_FIRST: Final = (3.0, 6.0)
_FURTHER: Final = 2.0
_FURTHER_IF: Final = 0.7
_WAIT_S: Final = 1.0
# While loss limits and the rate grows: 1.5 times the estimate at most.
_SLOW: Final = 1.5
# Application-limited: every 5 s. After a drop to less than 0.66, within 5 s, one at 0.85 of what was before, if that is
# 5 % above the estimate still; 3 s after the limitation's end count as within it.
_ALR_EVERY_S: Final = 5.0
_ALR_ENDED_S: Final = 3.0
_DROP: Final = 0.66
_DROP_AGO_S: Final = 5.0
_DROP_SHARE, _DROP_MARGIN = 0.85, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One cluster: at least five sends and ``least_bytes`` at ``rate_bps``, each of ``send_bytes`` or more."""

    number: int
    rate_bps: float
    at_s: float
    packets: int = _PACKETS

    @property
    def least_bytes(self) -> float:
        """What the cluster sends at least: 15 ms of its rate."""
        return self.rate_bps * _LENGTH_S / 8

    @property
    def send_bytes(self) -> float:
        """What goes at once: 2 ms of its rate."""
        return self.rate_bps * _SEND_S / 8


class Probing:
    """Decides when to probe; what it wants sent is in ``wanted`` until taken.

    ``in_alr_every_5s`` is whether an application-limited sender is probed at twice its estimate now and then.
    """

    def __init__(self, start_bps: float, max_bps: float | None, *, in_alr_every_5s: bool = False) -> None:
        self.wanted: list[Probe] = []
        self._start_bps = start_bps
        self._max_bps = max_bps
        self._alr_probes = in_alr_every_5s
        self._estimate_bps = start_bps
        self._total_bps: float | None = None
        self._number = 0
        self._begun = False
        self._further_bps = math.inf
        self._last_s = -math.inf
        self._growth: Growth = "free"
        self._dropped_s, self._before_drop_bps = -math.inf, 0.0
        self._last_drop_probe_s = -math.inf

    def network_up(self, now_s: float) -> None:
        """Send the first two probes."""
        if not self._begun:
            self._begun = True
            self._probe(now_s, [factor * self._start_bps for factor in _FIRST], further=True)

    def set_total(self, total_bps: float, now_s: float) -> None:
        """Adopt the sum of what the streams may use: it caps probes at twice that, and growth of it is probed."""
        before, self._total_bps = self._total_bps, total_bps
        # No cluster is out whose result would bring the next one.
        done = self._begun and self._further_bps == math.inf
        limit_bps = min(total_bps, self._max_bps or math.inf)
        if before is not None and total_bps > before and done and self._estimate_bps < limit_bps:
            most_bps = _FURTHER * self._estimate_bps
            self._probe(now_s, sorted({min(total_bps, most_bps), min(2 * total_bps, most_bps)}), further=True)

    def set_estimate(self, estimate_bps: float, growth: Growth, now_s: float) -> None:
        """Take in the estimate, and how far probes may go."""
        self._growth = growth
        if estimate_bps < _DROP * self._estimate_bps:
            self._dropped_s, self._before_drop_bps = now_s, self._estimate_bps
        self._estimate_bps = estimate_bps
        # The last probe came through nearly whole: the line may carry more still.
        if estimate_bps > self._further_bps:
            self._probe(now_s, [_FURTHER * estimate_bps], further=True)

    def process(self, now_s: float, alr_since_s: float | None) -> None:
        """Do what time alone brings: stop waiting for a result; probe an application-limited sender."""
        if now_s - self._last_s > _WAIT_S:
            self._further_bps = math.inf
        if (
            self._alr_probes
            and self._begun
            and alr_since_s is not None
            and now_s >= max(alr_since_s, self._last_s) + _ALR_EVERY_S
        ):
            self._probe(now_s, [_FURTHER * self._estimate_bps], further=True)

    def recovered(self, now_s: float, alr_since_s: float | None, alr_ended_s: float | None) -> None:
        """Ask again after a large drop: the queue has drained, and the drop may have been a mistake."""
        rate_bps = _DROP_SHARE * self._before_drop_bps
        in_alr = alr_since_s is not None or (alr_ended_s is not None and now_s - alr_ended_s < _ALR_ENDED_S)
        if (
            in_alr
            and now_s - self._dropped_s < _DROP_AGO_S
            and now_s - self._last_drop_probe_s > _DROP_AGO_S
            and (1 - _DROP_MARGIN) * rate_bps > self._estimate_bps
        ):
            self._last_drop_probe_s = now_s
            self._probe(now_s, [rate_bps], further=False)

    def take(self) -> list[Probe]:
        """Return what is wanted, and forget it."""
        wanted, self.wanted = self.wanted, []
        return wanted

    def _probe(self, now_s: float, rates_bps: list[float], *, further: bool) -> None:
        if self._growth == "none":
            return
        most_bps = self._max_bps or _USUAL_MAX_BPS
        if self._total_bps is not None:
            most_bps = min(most_bps, 2 * self._total_bps)
        if self._growth == "slow":
            most_bps = min(most_bps, _SLOW * self._estimate_bps)
        # Once a probe reaches the cap the ones after it would be the same: it is the last, and none follows
        # from its result.
        for rate_bps in rates_bps:
            if rate_bps >= most_bps:
                further = False
            self._number += 1
            self.wanted.append(Probe(number=self._number, rate_bps=min(rate_bps, most_bps), at_s=now_s))
            if rate_bps >= most_bps:
                break
        self._last_s = now_s
        self._further_bps = _FURTHER_IF * self.wanted[-1].rate_bps if further else math.inf


@dataclass(slots=True)
class _Cluster:
    packets: int = 0
    size_bytes: int = 0
    first_sent_s: float = math.inf
    last_sent_s: float = -math.inf
    last_sent_bytes: int = 0
    first_arrival_s: float = math.inf
    last_arrival_s: float = -math.inf
    first_arrival_bytes: int = 0


class ProbeResults:
    """What came of the clusters."""

    # 80 % of the packets and bytes are enough: one lost packet does not cost the probe.
    _SHARE: Final = 0.80
    _REMEMBERED_S: Final = 1.0
    _LONGEST_S: Final = 1.0
    _MOST_RATIO: Final = 2.0
    # Arrived at less than 0.9 of the rate sent, the line was full: 0.95 of what arrived is the capacity.
    _SATURATED, _BELOW = 0.90, 0.95

    def __init__(self) -> None:
        self._clusters: dict[int, _Cluster] = {}

    def add(self, packet: Sent, probe: Probe) -> float | None:
        """Return the rate that a cluster measured, once 80 % of it came and it means something."""
        for number in [
            n for n, c in self._clusters.items() if packet.arrival_s - c.last_arrival_s > self._REMEMBERED_S
        ]:
            del self._clusters[number]
        cluster = self._clusters.setdefault(probe.number, _Cluster())
        cluster.first_sent_s = min(cluster.first_sent_s, packet.sent_s)
        if packet.sent_s > cluster.last_sent_s:
            cluster.last_sent_s, cluster.last_sent_bytes = packet.sent_s, packet.size_bytes
        if packet.arrival_s < cluster.first_arrival_s:
            cluster.first_arrival_s, cluster.first_arrival_bytes = packet.arrival_s, packet.size_bytes
        cluster.last_arrival_s = max(cluster.last_arrival_s, packet.arrival_s)
        cluster.size_bytes += packet.size_bytes
        cluster.packets += 1
        if cluster.packets < self._SHARE * probe.packets or cluster.size_bytes < self._SHARE * probe.least_bytes:
            return None
        return self._rate(cluster)

    def _rate(self, cluster: _Cluster) -> float | None:
        sent_s = cluster.last_sent_s - cluster.first_sent_s
        arrived_s = cluster.last_arrival_s - cluster.first_arrival_s
        # All at one instant, or spread over more than a second: no rate can be read off either.
        if not (0 < sent_s <= self._LONGEST_S and 0 < arrived_s <= self._LONGEST_S):
            return None
        # The last packet's bytes leave after the span, the first one's arrive before it: neither belongs to its rate.
        sent_bps = 8 * (cluster.size_bytes - cluster.last_sent_bytes) / sent_s
        arrived_bps = 8 * (cluster.size_bytes - cluster.first_arrival_bytes) / arrived_s
        # Packets that waited together and came in one go: the spacing is not the line's.
        if arrived_bps > self._MOST_RATIO * sent_bps:
            return None
        if arrived_bps < self._SATURATED * sent_bps:
            return self._BELOW * arrived_bps
        return min(sent_bps, arrived_bps)
