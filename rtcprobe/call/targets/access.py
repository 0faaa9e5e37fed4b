"""What the emulated lines of calls did, as a link report: of one line, or of the two that a direction passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rtcprobe.link import Achieved, LinkSpec, Requested, Tally, achieved
from rtcprobe.result import LinkReport
from rtcprobe.runtime.direction import Direction
from rtcprobe.ways import Leg as LegName

__all__ = ["Leg", "legs", "report"]

_RANKS = 512
"""Equally likely delays a line is taken apart into, to be added to those of another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What one emulated line was asked for (``specs``, a hop each), and the tally of what it did in one call."""

    specs: tuple[LinkSpec, ...]
    tally: Tally

    @classmethod
    def of(cls, way: Direction) -> Leg:
        """Return the leg of one way between two hosts."""
        return cls(specs=tuple(link.spec for link in way.path.links), tally=way.tally)


class Lines(Protocol):
    """The two lines of a host to the world outside."""

    @property
    def up(self) -> Direction:
        """What it sends on."""
        ...

    @property
    def down(self) -> Direction:
        """What it gets."""
        ...


def legs(caller: Lines, listeners: Mapping[str, Lines]) -> dict[LegName, list[Leg]]:
    """Return the lines of each leg outside: the caller's up and each listener's down, and back from the first.

    Of who only listens what goes back are reports. Where the caller alone is ours, its two lines are there and back.
    """
    there = {
        LegName.between("caller", name): [Leg.of(caller.up), Leg.of(host.down)] for name, host in listeners.items()
    }
    back = [*(Leg.of(host.up) for host in listeners.values())][:1]
    alone = {LegName("caller_to_callee"): [Leg.of(caller.up)]}
    return {**(there or alone), LegName("callee_to_caller"): [*back, Leg.of(caller.down)]}


def report(calls: Sequence[Sequence[Leg]]) -> LinkReport:
    """Return what the one or two lines of a direction did in all ``calls``; two lines as if they were independent."""
    legs = calls[0]
    # A leg without any link did nothing: it would add rows of zeros. Where neither did, the first stands for both.
    emulated = [place for place, leg in enumerate(legs) if leg.specs] or [0]
    tallies = [[call[place].tally for call in calls] for place in emulated]
    found = achieved(tallies[0]) if len(tallies) == 1 else _in_a_row(*tallies)
    return LinkReport.of(Requested.of([spec for leg in legs for spec in leg.specs]), found)


def _in_a_row(speaker: Sequence[Tally], listener: Sequence[Tally]) -> Achieved:
    """Return the figures of two lines passed one after the other: chances multiply, delays add.

    Bursts span both lines, so nothing is said of them.
    """
    first, second = achieved(speaker), achieved(listener)
    of_each = [np.concatenate([tally.delays_s() for tally in line]) for line in (speaker, listener)]

    def passing(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else 1 - (1 - a) * (1 - b)

    delays = np.zeros(0)
    if first.delivered and second.delivered:
        # The middles of 512 equal shares of either line: their 262,144 sums are two megabytes. Extremes are those of
        # the first and the last share, not of single packets.
        ranks = (np.arange(_RANKS) + 0.5) / _RANKS
        delays = np.add.outer(*(np.quantile(each, ranks) for each in of_each)).ravel()

    def quantile(q: float) -> float | None:
        return float(np.quantile(delays, q)) if len(delays) else None

    def known(q: float, *both: float | None) -> float | None:
        return None if None in both else quantile(q)  # too few packets for it on one of the lines

    return replace(
        first,
        # What passed both lines is counted at neither: the smaller count says how far the figures can be trusted.
        delivered=min(first.delivered, second.delivered),
        loss=passing(first.loss, second.loss),
        mean_burst=None,
        longest_burst=None,
        delay_min_s=quantile(0.0),
        delay_p5_s=known(0.05, first.delay_p5_s, second.delay_p5_s),
        delay_p50_s=quantile(0.5),
        delay_p95_s=known(0.95, first.delay_p95_s, second.delay_p95_s),
        delay_p99_s=known(0.99, first.delay_p99_s, second.delay_p99_s),
        delay_max_s=quantile(1.0),
        reordered=passing(first.reordered, second.reordered),
        duplicated=passing(first.duplicated, second.duplicated),
        corrupted=passing(first.corrupted, second.corrupted),
        marked=passing(first.marked, second.marked),
        delivered_bps=second.delivered_bps,
        drops={
            cause: first.drops.get(cause, 0) + second.drops.get(cause, 0)
            for cause in sorted({*first.drops, *second.drops})
        },
    )
