"""How much arrives: the acknowledged rate over the last second, robust against one long gap.

Source: libwebrtc ``modules/congestion_controller/goog_cc/robust_throughput_estimator.cc`` (the default of 2026; the
Bayesian one of 150 ms is off).
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final

from rtcprobe.control.history import Sent

__all__ = ["Throughput"]

# 10 packets for a word; a second's, but 20 at least if they are not older than 5 s; 500 at most.
_LEAST_PACKETS, _FEW_PACKETS, _MOST_PACKETS = 10, 20, 500
_WINDOW_S, _LONGEST_S = 1.0, 5.0
# An arrival a second before the newest: the receiver's clock has jumped.
_REORDERED_S: Final = 1.0
_SHORTEST_S: Final = 1e-3


class Throughput:
    """Packets of the last second by arrival."""

    def __init__(self) -> None:
        self._window: deque[Sent] = deque()
        self._bytes = 0
        self._discarded_s = -1.0  # the latest send time of those that left the window
        self._known: float | None = None

    def add(self, received: list[Sent]) -> None:
        """Take in packets that came, by arrival."""
        window = self._window
        for packet in received:
            if window and packet.arrival_s < window[-1].arrival_s:
                self._insert(packet)
            else:
                window.append(packet)
                self._bytes += packet.size_bytes + packet.unacked_bytes
        while window:
            span_s = window[-1].arrival_s - window[0].arrival_s
            count = len(window)
            if count <= _MOST_PACKETS and span_s <= _LONGEST_S and (count <= _FEW_PACKETS or span_s <= _WINDOW_S):
                break
            packet = window.popleft()
            self._bytes -= packet.size_bytes + packet.unacked_bytes
            self._discarded_s = max(self._discarded_s, packet.sent_s)
        self._known = None

    def bps(self) -> float | None:
        """Return the acknowledged rate; None below 10 packets."""
        if self._known is None and len(self._window) >= _LEAST_PACKETS:
            self._known = self._rate()
        return self._known

    def _rate(self) -> float:
        window = self._window
        arrivals_s = [packet.arrival_s for packet in window]
        gaps_s = [later - earlier for earlier, later in pairwise(arrivals_s)]
        largest_s = max(gaps_s)
        # The longest gap counts as long as the second longest: one outage, or a pause in sending, is not the line's
        # rate.
        gaps_s.remove(largest_s)
        span_s = arrivals_s[-1] - arrivals_s[0] - largest_s + max(gaps_s, default=0.0)
        # Its bytes came before the span began.
        first = window[0]
        received_bps = 8 * (self._bytes - first.size_bytes - first.unacked_bytes) / max(span_s, _SHORTEST_S)
        sent_s = [packet.sent_s for packet in window]
        earliest_s = min(sent_s)
        counted, total = window, self._bytes
        # Late ones sent before what has left the window already: they would make the time of sending too long.
        if earliest_s < self._discarded_s:
            counted = deque(packet for packet in window if packet.sent_s >= self._discarded_s)
            if len(counted) < _LEAST_PACKETS:
                return received_bps
            total = sum(packet.size_bytes + packet.unacked_bytes for packet in counted)
            sent_s = [packet.sent_s for packet in counted]
            earliest_s = min(sent_s)
        latest_s = max(sent_s)
        last = counted[sent_s.index(latest_s)]
        sent_bps = 8 * (total - last.size_bytes - last.unacked_bytes) / max(latest_s - earliest_s, _SHORTEST_S)
        return min(sent_bps, received_bps)

    def _insert(self, packet: Sent) -> None:
        if self._window[-1].arrival_s - packet.arrival_s > _REORDERED_S:
            self._window.clear()
            self._bytes, self._discarded_s = 0, -1.0
        self._window.append(packet)
        self._bytes += packet.size_bytes + packet.unacked_bytes
        place = len(self._window) - 1
        while place and self._window[place].arrival_s < self._window[place - 1].arrival_s:
            self._window[place], self._window[place - 1] = self._window[place - 1], self._window[place]
            place -= 1
