"""What a hop is asked to be: frozen records whose constructors refuse nonsense.

Rules:
    1. Every figure is in SI units (seconds, bits per second, bytes); written units live in ``parse.py``.
    2. A hop is one direction. An access line is two of them, and they may differ.
    3. A setting that could have no effect is refused, not ignored.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal

from rtcprobe.errors import BadInputError
from rtcprobe.link.aqm import Aqm, Ecn, EcnRamp
from rtcprobe.link.cross import MOST_FLOWS, MOST_PACKETS_PER_S, REMEMBERED_S, CrossTraffic
from rtcprobe.link.delay import Delay, DelayTrace
from rtcprobe.link.flows import TCP_BYTES
from rtcprobe.link.loss import Loss
from rtcprobe.link.slot import Slot
from rtcprobe.units import format_duration, format_rate, format_ratio

__all__ = [
    "DEFAULT_LIMIT",
    "CapacityTrace",
    "Change",
    "Interval",
    "Limit",
    "LinkSpec",
    "Order",
    "Police",
    "Rate",
    "Reorder",
]

Order = Literal["keep", "free"]
"""Whether jitter may reorder packets. Real paths keep order nearly always, so "keep" is the default; netem, which
puts packets in a time-sorted queue, is "free"."""

OPPORTUNITY_BYTES: Final = 1500
"""What one line of a mahimahi capacity trace delivers. Source: mahimahi(1), ``mm-link``."""

# Below it a full packet would take longer than any timer of a call.
LEAST_BPS: Final = 1e3
MOST_BPS: Final = 1e12
"""Between them lies every line a call was ever made over; a lone packet takes 8 s on the slowest."""


SHORTEST_ROUND_S: Final = 1e-3
"""Shorter than any packet spacing of a call; every change of every round is made, also those nobody sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast the hop sends: ``bps``, and what the layer below adds to every packet.

    ``overhead_bytes`` (may be negative) is added first; then, with ``cell_bytes``, the packet is cut into whole
    cells of that size, each carrying ``cell_overhead_bytes`` more. ATM is cell 48, cell overhead 5.
    With ``bucket_bytes`` it is a shaper: that much may go at once after a silence, see ``bucket.py``.
    Source: tc-netem(8) ``rate``, tc-tbf(8).
    """

    bps: float
    overhead_bytes: int = 0
    cell_bytes: int = 0
    cell_overhead_bytes: int = 0
    bucket_bytes: int = 0

    def __post_init__(self) -> None:
        if not LEAST_BPS <= self.bps <= MOST_BPS:
            raise BadInputError(
                f"rate {format_rate(self.bps)} is impossible", "give 1kbit to 1000gbit; for a dead link use outages"
            )
        if self.cell_bytes < 0:
            raise BadInputError(f"cell {self.cell_bytes}B is impossible", "give zero or more")
        if self.cell_overhead_bytes and not self.cell_bytes:
            raise BadInputError("celloverhead is given without cell", "give the cell size too")
        # Overheads may be negative, as tc's may: they must leave something to send.
        if self.cell_bytes + self.cell_overhead_bytes <= 0 < self.cell_bytes:
            raise BadInputError(f"celloverhead {self.cell_overhead_bytes}B leaves nothing of the cell", "give less")
        if self.bucket_bytes:
            _need_bucket(self.bucket_bytes, self.length_bytes(OPPORTUNITY_BYTES))

    def length_bytes(self, size_bytes: int) -> int:
        """Return what a packet of ``size_bytes`` measures on the line."""
        length = max(0, size_bytes + self.overhead_bytes)
        if self.cell_bytes:
            # Whole cells, the last one filled up: ceil by the negative floor, exact for integers of any size.
            length = -(-length // self.cell_bytes) * (self.cell_bytes + self.cell_overhead_bytes)
        return length

    def seconds(self, size_bytes: int) -> float:
        """Return how long a packet of ``size_bytes`` occupies the line."""
        return 8 * self.length_bytes(size_bytes) / self.bps


@dataclass(frozen=True, slots=True, kw_only=True)
class Police:
    """A policer at the door: what comes faster than ``bps`` with ``bucket_bytes`` in hand is dropped, not queued."""

    bps: float
    bucket_bytes: int

    def __post_init__(self) -> None:
        if not LEAST_BPS <= self.bps <= MOST_BPS:
            raise BadInputError(f"police rate {format_rate(self.bps)} is impossible", "give 1kbit to 1000gbit")
        _need_bucket(self.bucket_bytes, OPPORTUNITY_BYTES)


def _need_bucket(bucket_bytes: int, packet_bytes: int) -> None:
    if bucket_bytes < packet_bytes:
        raise BadInputError(
            f"bucket {bucket_bytes}B holds less than a packet", f"give {packet_bytes}B or more, a full packet"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityTrace:
    """Recorded capacity: instants at which 1,500 bytes may leave. Starts over after its last instant.

    ``opportunities_s`` rises, counted from the start of the link; equal instants are that many packets' worth.
    Source: the trace format of mahimahi's ``mm-link``.

    Raises:
        BadInputError: empty, falling, or all at zero.
    """

    opportunities_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.opportunities_s or self.opportunities_s[-1] <= 0:
            raise BadInputError("the capacity trace lasts no time", "give at least one instant above zero")
        if any(later < earlier for earlier, later in pairwise((0.0, *self.opportunities_s))):
            raise BadInputError("the capacity trace goes back in time", "sort its instants")

    @property
    def bps(self) -> float:
        """Mean capacity, bits per second."""
        return 8 * OPPORTUNITY_BYTES * len(self.opportunities_s) / self.opportunities_s[-1]

    def seconds(self, size_bytes: int) -> float:
        """Return how long a packet of ``size_bytes`` occupies the line, on average."""
        return 8 * size_bytes / self.bps


def _fillable_bps(rate: Rate | CapacityTrace) -> float:
    """Return what TCP could fill, in bits of its own packets: overhead may shorten them, a bucket lets them all go."""
    # Nought where a negative overhead leaves nothing of a packet: then nothing bounds what TCP could send.
    seconds = rate.seconds(TCP_BYTES)
    line_bps = 8 * TCP_BYTES / seconds if seconds else math.inf
    if isinstance(rate, Rate) and rate.bucket_bytes:
        # A full bucket goes at once: over what is remembered, so much more than the rate alone.
        line_bps *= 1 + 8 * rate.bucket_bytes / rate.bps / REMEMBERED_S
    return line_bps


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much may wait for the line, the packet being sent included; exactly one of the three is given.

    Unlike netem's, it counts what waits, not what flies: a link drops nothing merely for being long.
    """

    packets: int | None = None
    size_bytes: int | None = None
    wait_s: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.packets, self.size_bytes, self.wait_s) if value is not None]
        if len(given) != 1:
            raise BadInputError(f"limit is given {len(given)} times", "give packets, bytes or time")
        if not 0 < given[0] < math.inf:
            raise BadInputError(f"limit {given[0]:g} is impossible", "give more than zero")


DEFAULT_LIMIT: Final = Limit(packets=1000)
"""tc's own default (``sch_netem``); deep, as most modems are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
    """Explicit reordering: after ``gap`` - 1 packets in order, each packet steps out with probability ``ratio``.

    A packet that steps out skips this hop's delay (tc's way), or, with ``by_s``, is held back that much longer and
    overtaken by those behind it, which no law of physics forbids. Share of packets: 1/((gap - 1) + 1/ratio).
    """

    ratio: float
    gap: int = 1
    by_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise BadInputError(f"reorder {format_ratio(self.ratio)} is impossible", "give above 0% to 100%")
        if self.gap < 1:
            raise BadInputError(f"gap {self.gap} is impossible", "give 1 or more packets")
        if not 0 <= self.by_s < math.inf:
            raise BadInputError(f"reorder_by {format_duration(self.by_s)} is impossible", "give zero or more")

    @property
    def share(self) -> float:
        """Expected share of packets that step out."""
        return 1 / (self.gap - 1 + 1 / self.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of time counted from the start of the link, perhaps coming back every ``every_s``."""

    at_s: float
    for_s: float
    every_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.at_s < math.inf:
            raise BadInputError(f"at {format_duration(self.at_s)} is before the link starts", "give zero or more")
        if not 0 < self.for_s < math.inf:
            raise BadInputError(f"for {format_duration(self.for_s)} is no stretch of time", "give more than zero")
        if self.every_s is not None and not self.for_s < self.every_s < math.inf:
            raise BadInputError(
                f"every {format_duration(self.every_s)} is no longer than for {format_duration(self.for_s)}",
                "leave time between two of them",
            )

    def end_after(self, since_start_s: float) -> float | None:
        """Return when the stretch around ``since_start_s`` ends; None when that instant lies outside."""
        into = since_start_s - self.at_s
        if into < 0:
            return None
        begun = self.at_s
        if self.every_s is not None:
            # Stretches do not overlap their own next one (``every_s`` exceeds ``for_s``), so the last begun
            # is the only candidate.
            begun += into // self.every_s * self.every_s
        end = begun + self.for_s
        return end if since_start_s < end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From ``at_s`` after the start of the link (or of the repeated round), the hop is ``spec``."""

    at_s: float
    spec: LinkSpec

    def __post_init__(self) -> None:
        if not 0 <= self.at_s < math.inf:
            raise BadInputError(f"at {format_duration(self.at_s)} is before the link starts", "give zero or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """One hop in one direction. A bare ``LinkSpec()`` delivers everything at once.

    ``outages`` drop what enters during them; ``handovers`` hold it until they end (then the queue ``limit`` counts).
    ``schedule`` changes everything but outages, handovers and the schedule itself; with ``repeat_s`` it starts over.
    ``loss_before_rate`` is netem's order: lost packets never used capacity. The default is libwebrtc's, and a
    bottleneck's: they did. ``into_s`` is how long the clock of all these has been running when a call begins; None:
    anywhere in the round that repeats, for each call anew (``met``). ``ecn`` is what the call's packets say of
    themselves to ``aqm``; cross traffic says none.

    Raises:
        BadInputError: settings that contradict each other, or that could have no effect.
    """

    delay: Delay | DelayTrace = field(default_factory=Delay)
    order: Order = "keep"
    loss: Loss | None = None
    loss_before_rate: bool = False
    rate: Rate | CapacityTrace | None = None
    limit: Limit | None = None
    police: Police | None = None
    aqm: Aqm | None = None
    ecn: Ecn = "none"
    cross_traffic: tuple[CrossTraffic, ...] = ()
    slot: Slot | None = None
    reorder: Reorder | None = None
    duplicate: float = 0.0
    corrupt: float = 0.0
    outages: tuple[Interval, ...] = ()
    handovers: tuple[Interval, ...] = ()
    schedule: tuple[Change, ...] = ()
    repeat_s: float | None = None
    into_s: float | None = 0.0

    def __post_init__(self) -> None:
        if self.order not in ("keep", "free"):
            raise BadInputError(f"order {self.order!r} is not known", "use keep or free")
        for name, value in (("duplicate", self.duplicate), ("corrupt", self.corrupt)):
            if not 0 <= value <= 1:
                raise BadInputError(f"{name} {format_ratio(value)} is impossible", "give 0% to 100%")
        # tc's reordering lets a packet skip the delay: where there is none, it skips nothing.
        if self.reorder and not self.reorder.by_s and self.delay.quantile_s(1) == 0:
            raise BadInputError("reorder without delay moves nothing", "give a delay to skip, or reorder_by")
        waits = bool(self.handovers) or any(phase.rate for phase in self.phases)
        # What cannot have an effect is refused, or a slip of the pen would pass as a measurement of the link
        # that was meant.
        if self.limit and not waits:
            raise BadInputError("limit without rate limits nothing", "give rate or capacity_trace, or leave limit out")
        for name, intervals in (("outages", self.outages), ("handovers", self.handovers)):
            # Shares of time: where they fill it nothing is ever delivered, and what is held back waits for an
            # end that does not come.
            if sum(i.for_s / i.every_s for i in intervals if i.every_s) >= 1:
                raise BadInputError(f"{name} leave no time between them", "make them shorter or rarer")
        if self.slot and self.order == "free":
            raise BadInputError("order free beside slot changes nothing: slots keep order", "leave order out")
        self._check_queue()
        self._check_schedule()

    @property
    def phases(self) -> tuple[LinkSpec, ...]:
        """The hop as it starts, then as each scheduled change leaves it."""
        return (self, *(change.spec for change in self.schedule))

    def rate_bps_at(self, at_s: float) -> float | None:
        """Return the rate in force ``at_s`` after the start of the link; None where none limits it."""
        # On the link's own clock, which ran for so long before the call.
        at_s += self.into_s or 0.0
        if self.repeat_s:
            at_s %= self.repeat_s
        # A change holds from its instant on: at that very instant it is in force.
        place = bisect_right([change.at_s for change in self.schedule], at_s)
        rate = self.phases[place].rate
        return rate.bps if rate else None

    def met(self, share: float) -> LinkSpec:
        """Return the hop as a call finds it that comes ``share`` (0 to 1) into a round which may be met anywhere."""
        return self if self.into_s is not None else replace(self, into_s=share * (self.repeat_s or 0.0))

    def _check_queue(self) -> None:
        for name, asked in (("aqm", self.aqm), ("cross_traffic", self.cross_traffic)):
            if asked and not self.rate:
                raise BadInputError(f"{name} without rate has no queue", "give rate or capacity_trace")
        if self.ecn not in ("none", "ect0", "ect1"):
            raise BadInputError(f"ecn {self.ecn!r} is not known", "use none, ect0 or ect1")
        if self.ecn != "none" and not any(phase.aqm for phase in self.phases):
            raise BadInputError(f"ecn {self.ecn} without aqm is never marked", "give aqm, or leave ecn out")
        if isinstance(self.aqm, EcnRamp) and self.ecn != "ect1":
            raise BadInputError("aqm ecn-ramp marks L4S packets alone", "give ecn ect1")
        if len(self.cross_traffic) > MOST_FLOWS:
            raise BadInputError(
                f"cross_traffic has {len(self.cross_traffic)} flows, more than {MOST_FLOWS}",
                "give fewer, with higher peaks",
            )
        # Every packet of theirs is simulated: the bound is on CPU, by the most that each flow could send into
        # this line.
        if self.rate and self.cross_traffic:
            packets = sum(flow.packets_per_s(_fillable_bps(self.rate)) for flow in self.cross_traffic)
            if packets > MOST_PACKETS_PER_S:
                raise BadInputError(
                    f"cross_traffic could send {packets:,.0f} packets a second, more than {MOST_PACKETS_PER_S:,.0f}",
                    "give a slower line, lower peaks, or tcp a smaller window",
                )

    def _check_schedule(self) -> None:
        times = [change.at_s for change in self.schedule]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise BadInputError("the schedule goes back in time", "sort its entries by at")
        if any(c.spec.schedule or c.spec.outages or c.spec.handovers for c in self.schedule):
            raise BadInputError("a schedule entry holds outages, handovers or a schedule", "give them beside it")
        if self.repeat_s is None:
            return
        if not times:
            raise BadInputError("repeat is given without schedule", "give the schedule too")
        if self.repeat_s < SHORTEST_ROUND_S:
            raise BadInputError(f"repeat {format_duration(self.repeat_s)} is impossible", "give 1ms or more")
        if not times[-1] < self.repeat_s < math.inf:
            raise BadInputError(
                f"repeat {format_duration(self.repeat_s)} cuts off the entry at {format_duration(times[-1])}",
                "give a longer one",
            )
