"""What the access lines of a call did, as a link report: of one line, or of the two that a direction passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rtcprobe.link import Achieved, Requested, Tally
from rtcprobe.result import LinkReport
from rtcprobe.runtime.network import Direction

__all__ = ["report"]

_RANKS = 512
"""Equally likely delays a line is taken apart into, to be added to those of another."""


def report(legs: Sequence[Direction]) -> LinkReport:
    """Return what one or two access lines in a row did; of two, as if they were independent."""
    requested = Requested.of([link.spec for leg in legs for link in leg.path.links])
    emulated = [leg for leg in legs if leg.path.links] or list(legs[:1])
    achieved = emulated[0].tally.achieved() if len(emulated) == 1 else _in_a_row(emulated[0].tally, emulated[1].tally)
    return LinkReport.of(requested, achieved)


def _in_a_row(speaker: Tally, listener: Tally) -> Achieved:
    """Return the figures of two lines passed one after the other: chances multiply, delays add.

    Bursts span both lines, so nothing is said of them.
    """
    first, second = speaker.achieved(), listener.achieved()

    def passing(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else 1 - (1 - a) * (1 - b)

    delays = np.zeros(0)
    if first.delivered and second.delivered:
        ranks = (np.arange(_RANKS) + 0.5) / _RANKS
        delays = np.add.outer(*(np.quantile(each.delays_s(), ranks) for each in (speaker, listener))).ravel()

    def quantile(q: float) -> float | None:
        return float(np.quantile(delays, q)) if len(delays) else None

    def known(q: float, *both: float | None) -> float | None:
        return None if None in both else quantile(q)  # too few packets for it on one of the lines

    return replace(
        first,
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
