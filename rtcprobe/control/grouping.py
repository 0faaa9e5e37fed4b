"""Inter-arrival groups: packets sent together, and how much further apart than sent two groups arrived.

Facts:
    What leaves a sender within 5 ms is one group; so is a burst, packets that come closer together than they were
    sent (at most 5 ms apart, for at most 100 ms): a line that was busy lets them go in a row, and their spacing says
    nothing of congestion.

Source: libwebrtc ``modules/congestion_controller/goog_cc/inter_arrival_delta.cc``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["Deltas", "Grouping"]

# kSendTimeGroupLength, kBurstDeltaThreshold, kMaxBurstDuration, kArrivalTimeOffsetThreshold, kReorderedResetThreshold.
_GROUP_S: Final = 0.005
_BURST_S: Final = 0.005
_LONGEST_BURST_S: Final = 0.100
_CLOCK_JUMP_S: Final = 3.0
_MOST_REORDERED: Final = 3
_ROUNDING_S: Final = 1e-9
"""Times are seconds in floating point: 5 ms apart is not later than 5 ms."""


class Deltas(NamedTuple):
    """How two groups differ: last send, last arrival (s), bytes."""

    send_s: float
    arrival_s: float
    size_bytes: int


class _Group:
    __slots__ = ("arrival_s", "first_arrival_s", "first_sent_s", "sent_s", "size_bytes", "told_s")

    def __init__(self, sent_s: float, arrival_s: float) -> None:
        self.first_sent_s = self.sent_s = sent_s
        self.first_arrival_s = self.arrival_s = arrival_s
        self.size_bytes = 0
        self.told_s = 0.0


class Grouping:
    """Packets in the order of arrival, put into groups."""

    def __init__(self) -> None:
        self._group: _Group | None = None
        self._before: _Group | None = None
        self._reordered = 0

    def add(self, sent_s: float, arrival_s: float, size_bytes: int, told_s: float) -> Deltas | None:
        """Return how the last two finished groups differ, when this packet begins another; ``told_s``: the report."""
        group, deltas = self._group, None
        if group is None:
            group = self._group = _Group(sent_s, arrival_s)
        # Sent before this group began: a reordered one belongs to none.
        elif sent_s < group.first_sent_s:
            return None
        elif not self._belongs(group, sent_s, arrival_s):
            before = self._before
            if before is not None:
                deltas = Deltas(
                    group.sent_s - before.sent_s,
                    group.arrival_s - before.arrival_s,
                    group.size_bytes - before.size_bytes,
                )
                # The receiver's clock ran ahead of the reports: it jumped, and nothing can be compared across that.
                if deltas.arrival_s - (group.told_s - before.told_s) >= _CLOCK_JUMP_S:
                    self._reset()
                    return None
                # Groups out of order say nothing; three in a row say that the order was lost.
                if deltas.arrival_s < 0:
                    self._reordered += 1
                    if self._reordered >= _MOST_REORDERED:
                        self._reset()
                    return None
                self._reordered = 0
            self._before = group
            group = self._group = _Group(sent_s, arrival_s)
        elif sent_s > group.sent_s:
            group.sent_s = sent_s
        group.size_bytes += size_bytes
        group.arrival_s = arrival_s
        group.told_s = told_s
        return deltas

    @staticmethod
    def _belongs(group: _Group, sent_s: float, arrival_s: float) -> bool:
        gap_s, sent_gap_s = arrival_s - group.arrival_s, sent_s - group.sent_s
        # Sent at one instant: one group, however far apart they arrive.
        if sent_gap_s == 0:
            return True
        if (
            gap_s < sent_gap_s - _ROUNDING_S
            and gap_s <= _BURST_S + _ROUNDING_S
            and arrival_s - group.first_arrival_s < _LONGEST_BURST_S - _ROUNDING_S
        ):
            return True
        return sent_s - group.first_sent_s <= _GROUP_S + _ROUNDING_S

    def _reset(self) -> None:
        self._group = self._before = None
        self._reordered = 0
