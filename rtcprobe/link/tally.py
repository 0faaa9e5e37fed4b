"""What a path really did: fed each packet's fate, it states loss, bursts, delays, reordering and drops by cause.

Facts:
    Loss and bursts go by the order packets were offered in; reordering by the order they arrived in. A packet is
    *reordered* when one offered after it arrived before it (RFC 4737 §3, Type-P-Reordered); of several copies the
    first to arrive counts (RFC 4737 §3.4 and RFC 5560 for duplicates).

Rules:
    1. Nothing offered, nothing said: figures are None, never a zero that was not measured.
    2. A quantile needs a packet beyond it: p95 takes 20 arrivals, p99 takes 100.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtcprobe.link.hop import Fate

__all__ = ["Achieved", "Counted", "Tally", "achieved"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Achieved:
    """Figures of the packets offered so far; None where there is nothing to base them on.

    ``loss`` is of offered packets; ``reordered``, ``duplicated``, ``corrupted`` and ``marked`` of delivered ones (those
    a receiver drops for their damage, cause ``corrupt``, among the corrupted). Delays (first
    copy) in seconds, bursts in packets, rates of IP bytes. ``drops`` counts lost packets by cause.
    """

    offered: int
    delivered: int
    loss: float | None
    mean_burst: float | None
    longest_burst: int | None
    delay_min_s: float | None
    delay_p5_s: float | None
    delay_p50_s: float | None
    delay_p95_s: float | None
    delay_p99_s: float | None
    delay_max_s: float | None
    reordered: float | None
    duplicated: float | None
    corrupted: float | None
    marked: float | None
    offered_bps: float | None
    delivered_bps: float | None
    drops: Mapping[str, int]


class Tally:
    """End-to-end statistics of one direction."""

    def __init__(self) -> None:
        # Flat arrays: an hour's call is 180,000 packets a way, and objects for each would take several times
        # as much.
        self._offered_s = array("d")
        self._arrival_s = array("d")  # of the first copy; NaN when dropped
        self._bytes = array("I")
        self._duplicated = 0
        self._corrupted = 0
        self._marked = 0
        self._drops: Counter[str] = Counter()

    def add(self, offer_s: float, size_bytes: int, fate: Fate) -> None:
        """Count one packet; call in the order of offering."""
        arrivals_s = fate.arrivals_s
        self._offered_s.append(offer_s)
        self._bytes.append(size_bytes)
        self._arrival_s.append(arrivals_s[0] if arrivals_s else math.nan)
        # The usual case, with nothing more to count: it is asked for every packet.
        if len(arrivals_s) == 1 and not fate.corrupt and not fate.marked:
            return
        if fate.dropped is not None:
            self._drops[fate.dropped] += 1
        self._duplicated += len(arrivals_s) > 1
        self._marked += fate.marked
        self._corrupted += fate.dropped == "corrupt" or any(bit is not None for bit in fate.corrupt)

    def add_many(self, offer_s: Floats, sizes: Ints, arrival_s: Floats, drops: Counter[str]) -> None:
        """Count packets of which at most one whole copy came, NaN where none did; ``drops`` says why."""
        self._offered_s.frombytes(offer_s.tobytes())
        self._arrival_s.frombytes(arrival_s.tobytes())
        self._bytes.frombytes(sizes.astype(np.uint32).tobytes())
        self._drops += drops

    def delays_s(self) -> npt.NDArray[np.float64]:
        """Return the delay of every packet delivered so far (first copy), shape (delivered,)."""
        delays: npt.NDArray[np.float64] = np.array(self._arrival_s) - np.array(self._offered_s)
        return np.asarray(delays[~np.isnan(delays)])

    def fastest_s(self) -> float | None:
        """Return the least delay so far; None before the first arrival."""
        delays_s = self.delays_s()
        return float(delays_s.min()) if len(delays_s) else None

    def achieved(self) -> Achieved:
        """Return the figures so far."""
        return achieved([self])

    def counted(self) -> Counted:
        """Return what was counted so far."""
        return Counted(
            offered_s=np.array(self._offered_s),
            arrival_s=np.array(self._arrival_s),
            sizes=np.array(self._bytes, dtype=np.float64),
            duplicated=self._duplicated,
            corrupted=self._corrupted,
            marked=self._marked,
            drops=self._drops,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """What a tally counted, a value a packet in the order offered; ``arrival_s`` is NaN where it was dropped."""

    offered_s: Floats
    arrival_s: Floats
    sizes: Floats
    duplicated: int
    corrupted: int
    marked: int
    drops: Counter[str]

    @property
    def arrived(self) -> npt.NDArray[np.bool_]:
        """Whether each packet came."""
        return ~np.isnan(self.arrival_s)

    @property
    def came_s(self) -> Floats:
        """When those came that did."""
        return self.arrival_s[self.arrived]


def achieved(tallies: Sequence[Tally]) -> Achieved:
    """Return the figures of several calls' packets together: no burst and no overtaking from one to the next."""
    calls = [tally.counted() for tally in tallies]
    delays = np.concatenate([np.zeros(0), *(each.came_s - each.offered_s[each.arrived] for each in calls)])
    runs = np.concatenate([np.zeros(0, dtype=np.int64), *(_runs(~each.arrived) for each in calls)])
    offered, delivered = sum(len(each.offered_s) for each in calls), len(delays)
    drops = sum((each.drops for each in calls), Counter[str]())
    # What the kernel dropped for its checksum did come, damaged: it counts among those that came and not as
    # delivered.
    came = delivered + drops["corrupt"]
    return Achieved(
        offered=offered,
        delivered=delivered,
        loss=(offered - delivered) / offered if offered else None,
        mean_burst=float(runs.mean()) if len(runs) else None,
        longest_burst=int(runs.max()) if len(runs) else None,
        delay_min_s=float(delays.min()) if delivered else None,
        delay_p5_s=_quantile(delays, 0.05),
        delay_p50_s=_quantile(delays, 0.5),
        delay_p95_s=_quantile(delays, 0.95),
        delay_p99_s=_quantile(delays, 0.99),
        delay_max_s=float(delays.max()) if delivered else None,
        reordered=sum(_reordered(each.came_s) for each in calls) / delivered if delivered else None,
        duplicated=sum(each.duplicated for each in calls) / delivered if delivered else None,
        corrupted=sum(each.corrupted for each in calls) / came if came else None,
        marked=sum(each.marked for each in calls) / delivered if delivered else None,
        offered_bps=_rate((each.offered_s, each.sizes) for each in calls),
        delivered_bps=_rate((each.came_s, each.sizes[each.arrived]) for each in calls),
        drops={cause: drops[cause] for cause in sorted(drops) if drops[cause]},
    )


def _runs(lost: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the lengths of the runs of True."""
    # False on both sides, so that a run at either end has two edges.
    edges = np.diff(np.concatenate(([False], lost, [False])).astype(np.int8))
    return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)


def _quantile(delays: npt.NDArray[np.float64], q: float) -> float | None:
    # Rule 2; the median is told of any number.
    beyond = len(delays) * min(q, 1 - q)
    return float(np.quantile(delays, q)) if beyond >= 1 - 1e-9 or (q == 0.5 and len(delays)) else None


def _reordered(arrivals_s: npt.NDArray[np.float64]) -> int:
    """Count packets (in offered order) that arrive after one offered later."""
    # Places in offered order, by arrival: one that is below an earlier one's maximum came after a packet
    # offered later. Stable, for packets that arrive at one instant are not reordered.
    by_arrival = np.argsort(arrivals_s, kind="stable")
    return int((by_arrival < np.maximum.accumulate(by_arrival)).sum())


def _rate(calls: Iterable[tuple[Floats, Floats]]) -> float | None:
    """Return bits per second over the time from each call's first packet to its last, the last not counted.

    A call is the instants of its packets and their sizes in bytes.
    """
    lasted_s = carried = 0.0
    for times_s, sizes in calls:
        if len(times_s):
            lasted_s += float(np.ptp(times_s))
            carried += float(sizes.sum() - sizes[np.argmax(times_s)])
    return 8 * carried / lasted_s if lasted_s else None
