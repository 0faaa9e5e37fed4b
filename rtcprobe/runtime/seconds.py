"""What happened in each second of a relay: offered, delivered, delays and drops of a way, and the relay's lateness.

Rules:
    1. Instants are seconds since the relay began; a second is named by its beginning.
    2. A packet is offered in the second in which it came, delivered in that in which its copy leaves the link.
    3. Memory has its bound: after ``MOST_ROWS`` rows nothing more is taken down.
    4. A second is late when more than one in twenty of its datagrams left later than the limit, which is what its 95th
       percentile above it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rtcprobe.link import Fate

__all__ = ["LATE_SECOND_S", "MOST_ROWS", "Lateness", "Ledger", "Row", "Seconds", "spans"]

# A day of a call both ways, at a row a second.
MOST_ROWS: Final = 200_000
LATE_SECOND_S: Final = 0.001
"""A delay that grows by milliseconds is what congestion control looks for: at 10 ms p95 of a relay's own lateness a
browser's estimate was 40 % low, at 0.1 ms it was that of a quiet machine (measured with Chromium 156)."""
# As at p95: of a second's packets, and of a way's seconds, one in twenty may be late.
_SHARE: Final = 0.05
_MOST_SPANS: Final = 12


@dataclass(slots=True)
class Row:
    """One second of one way."""

    offered_bytes: int = 0
    offered: int = 0
    delivered_bytes: int = 0
    delivered: int = 0
    queue_drops: int = 0
    losses: int = 0
    delays_s: float = 0.0
    longest_s: float = 0.0


@dataclass(slots=True)
class Ledger:
    """How many rows there is room for, all ways together."""

    left: int = MOST_ROWS


class Seconds:
    """The rows of one way."""

    def __init__(self, ledger: Ledger) -> None:
        self.rows: dict[int, Row] = {}
        self._ledger = ledger

    def add(self, size_bytes: int, fate: Fate, now_s: float) -> None:
        """Take down what became of a packet that came at ``now_s``."""
        row = self._row(now_s)
        if row is not None:
            row.offered += 1
            row.offered_bytes += size_bytes
            if fate.dropped in ("queue", "aqm", "policer"):
                row.queue_drops += 1
            elif not fate.arrivals_s:
                row.losses += 1
        for arrival_s in fate.arrivals_s:
            row = self._row(arrival_s)
            if row is not None:
                row.delivered += 1
                row.delivered_bytes += size_bytes
                row.delays_s += arrival_s - now_s
                row.longest_s = max(row.longest_s, arrival_s - now_s)

    def _row(self, at_s: float) -> Row | None:
        second = int(at_s)
        row = self.rows.get(second)
        if row is None and self._ledger.left > 0:
            self._ledger.left -= 1
            row = self.rows[second] = Row()
        return row


@dataclass(slots=True)
class Lateness:
    """How late datagrams were let out, by the second: (how many, how many beyond the limit, the most)."""

    limit_s: float = LATE_SECOND_S
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def add(self, late_s: float, now_s: float) -> None:
        """Take down one datagram."""
        second = int(now_s)
        row = self.seconds.get(second)
        if row is None:
            if len(self.seconds) >= MOST_ROWS:
                return
            row = self.seconds[second] = [0, 0, 0.0]
        row[0] += 1
        row[1] += late_s > self.limit_s
        row[2] = max(row[2], late_s)

    def invalid(self) -> Sequence[int]:
        """Return the seconds that were late (rule 4)."""
        return [second for second, (count, beyond, _) in sorted(self.seconds.items()) if beyond > _SHARE * count]

    def is_invalid(self) -> bool:
        """Whether more than one in twenty of the seconds with datagrams were late."""
        return len(self.invalid()) > _SHARE * len(self.seconds)


def spans(seconds: Sequence[int]) -> str:
    """Return seconds as spans: ``3, 7-9 s``; of many the first few."""
    runs: list[list[int]] = []
    for second in seconds:
        if runs and second == runs[-1][1] + 1:
            runs[-1][1] = second
        else:
            runs.append([second, second])
    said = [f"{begin}" if begin == end else f"{begin}-{end}" for begin, end in runs[:_MOST_SPANS]]
    more = ", ..." if len(runs) > _MOST_SPANS else ""
    return f"{', '.join(said)}{more} s"
