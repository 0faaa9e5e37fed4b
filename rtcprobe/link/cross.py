"""Cross traffic: other people's packets in the same queue, which is what makes a real queue wait.

Facts:
    ===========  ==============================================================================================
    random-walk  a rate of ``peak`` times an intensity, which every 200 ms steps by a normal number of mean -0.1
                 and standard deviation 0.6 times the root of the seconds passed, held to 0..1
    pulses       ``peak`` for a while, then nothing, and again
    tcp          a download without end: slow start, then one packet more a round trip, half the window on a loss
    web          files of 30 to 50 kB, each over a TCP connection that begins in slow start, and a while between them
    ===========  ==============================================================================================

    libwebrtc calls the 0.6 a variance and uses it as a standard deviation; so do we, or the figures would mean
    something else. Its first step has no time to be measured from and jumps to 0 or 1; ours does not.

Rules:
    1. What has to share a line was there before: flows of the link as it starts have been running for
       ``REMEMBERED_S``, the walk at a level drawn from where it usually is, pulses anywhere in their cycle, TCP
       anywhere in its sawtooth: each join and call of a run meets them at another phase. A flow that the schedule
       brings begins then; one that stays the same, at its place in the list, goes on.
    2. After a longer silence of the call, flows stand still until ``REMEMBERED_S`` before it ends: a relay that idles
       for an hour must not run an hour of downloads at the next packet.
    3. Flows and call pass the queue in the order of time; at the same instant flows are first.

How each flow works, and where it departs from libwebrtc: ``flows.py``.

Source: libwebrtc ``test/network/cross_traffic.cc``; for the web RFC 8868 §5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.link.flows import (
    LEAST_WINDOW,
    TCP_BYTES,
    TICK_S,
    Crossed,
    Download,
    Flow,
    Pulser,
    Queue,
    Visitor,
    Wanderer,
    packets_per_s,
)
from rtcprobe.units import format_duration, format_rate

__all__ = [
    "MOST_FLOWS",
    "MOST_PACKETS_PER_S",
    "REMEMBERED_S",
    "CrossTraffic",
    "Crossing",
    "Pulses",
    "RandomWalk",
    "Tcp",
    "Web",
]

REMEMBERED_S: Final = 10.0
"""What flows did longer ago is forgotten: TCP fills the deepest usual queue, and the walk finds its level, in less."""

MOST_PACKETS_PER_S: Final = 1e4
"""More would cost more than the call: some 5 µs of CPU each, and ``REMEMBERED_S`` of them when a link is made."""

MOST_FLOWS: Final = 20
"""Whoever is next is looked for among all of them, at every packet and every look of each."""

# Of a round trip, a pulse, a mean while: longer ones would fall into few calls, and say nothing of any.
_LONGEST_S: Final = 60.0

_FETCHING: Final = 0.2
"""RFC 8867 §5.7: of ten short flows two begin with a file, the others with a while of nothing."""


class CrossTraffic(Protocol):
    """What was asked of one flow."""

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        ...

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomWalk:
    """A rate that wanders between nothing and ``peak_bps``.

    Raises:
        BadInputError: a peak of nothing.
    """

    peak_bps: float = 100e3

    def __post_init__(self) -> None:
        _need_peak(self.peak_bps)

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        del line_bps
        return packets_per_s(self.peak_bps)

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        return Wanderer(self.peak_bps, rng, begin_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulses:
    """``peak_bps`` for ``for_s``, and again ``every_s``. In YAML, on and off would be true and false.

    Raises:
        BadInputError: a peak of nothing, no pulse, no pause.
    """

    peak_bps: float = 100e3
    for_s: float = 0.100
    every_s: float = 2.1

    def __post_init__(self) -> None:
        _need_peak(self.peak_bps)
        if not TICK_S <= self.for_s <= _LONGEST_S:
            raise BadInputError(f"for {format_duration(self.for_s)} is impossible", "give 1ms to 60s")
        # A pause of a tick at least, or the pulses would be one.
        if not self.for_s + TICK_S <= self.every_s <= 2 * _LONGEST_S:
            raise BadInputError(
                f"every {format_duration(self.every_s)} is no longer than for {format_duration(self.for_s)}",
                "leave time between two of them, up to 2min in all",
            )

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        del line_bps
        return packets_per_s(self.peak_bps)

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        return Pulser(self.peak_bps, self.for_s, self.every_s, rng, begin_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """A download without end. ``rtt_s`` is its round trip without this queue, ``window_bytes`` what its receiver takes.

    Raises:
        BadInputError: no round trip, a window of less than a packet.
    """

    rtt_s: float
    window_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        if not TICK_S <= self.rtt_s <= _LONGEST_S:
            raise BadInputError(f"rtt {format_duration(self.rtt_s)} is impossible", "give 1ms to 60s")
        if self.window_bytes < LEAST_WINDOW * TCP_BYTES:
            raise BadInputError(
                f"window {self.window_bytes}B is impossible", f"give {LEAST_WINDOW * TCP_BYTES}B or more"
            )

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        # The line or the window, whichever ends first: a bound, for slow start and losses keep it below.
        return min(line_bps / 8, self.window_bytes / self.rtt_s) / TCP_BYTES

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        return Download(self.rtt_s, self.window_bytes, rng, begin_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """One who fetches small files now and then. ``rtt_s`` as a download's, ``idle_s`` the mean while between two.

    The share of them who are fetching when the link begins is a fifth, drawn for each.

    Raises:
        BadInputError: no round trip, no while.
    """

    rtt_s: float
    idle_s: float = 10.0

    def __post_init__(self) -> None:
        if not TICK_S <= self.rtt_s <= _LONGEST_S:
            raise BadInputError(f"rtt {format_duration(self.rtt_s)} is impossible", "give 1ms to 60s")
        if not 0.1 <= self.idle_s <= _LONGEST_S:
            raise BadInputError(f"idle {format_duration(self.idle_s)} is impossible", "give 100ms to 60s")

    def packets_per_s(self, line_bps: float) -> float:
        """Return how many packets a second it sends over a long time, into a line of that speed."""
        return min(line_bps / 8 / TCP_BYTES, Visitor.MOST_PACKETS / self.idle_s)

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        # Drawn from the flow's own generator first: whether it fetches moves no other flow.
        fetches = rng.random() < _FETCHING
        return Visitor(self.rtt_s, self.idle_s, rng, begin_s, fetches=fetches)


def _need_peak(peak_bps: float) -> None:
    if not peak_bps >= 1e3:
        raise BadInputError(f"peak {format_rate(peak_bps)} is impossible", "give 1kbit or more")


class Crossing:
    """The flows that share the queue of a hop."""

    def __init__(self, queue: Queue, flows: Sequence[Flow], begin_s: float) -> None:
        self._queue = queue
        self.flows = tuple(flows)
        self._now_s = begin_s

    def crossed(self) -> tuple[Crossed, ...]:
        """Return what each flow did so far."""
        return tuple(flow.crossed for flow in self.flows)

    def stand_still(self, until_s: float) -> None:
        """Let the flows do nothing up to ``until_s``."""
        idle_s = until_s - self._now_s
        if idle_s > 0:
            for flow in self.flows:
                flow.stand_still(idle_s)
            self._now_s = until_s

    def advance(self, now_s: float) -> None:
        """Let the flows send everything up to ``now_s``."""
        # Rule 2; without a silence ``until_s`` lies before now, and nobody moves.
        self.stand_still(now_s - REMEMBERED_S)
        queue = self._queue
        while True:
            # Of equal instants the first in the list: ``min`` keeps the earliest, so that order is the
            # scenario's, not chance.
            flow = min(self.flows, key=_next_s)
            if flow.next_s > now_s:
                break
            flow.step(queue)
        self._now_s = max(self._now_s, now_s)


def _next_s(flow: Flow) -> float:
    return flow.next_s
