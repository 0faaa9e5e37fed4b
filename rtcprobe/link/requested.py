"""What was asked of a path, in the words of what it did: the left-hand column beside ``Achieved``.

Facts:
    Independent hops combine exactly: with s the chance that a packet passes every hop and s2 that two neighbours
    both do, loss is 1 - s and the mean burst (1 - s)/(s - s2), because a run of losses ends where a lost packet is
    followed by one that passes. For one hop s2 = 1 - 2ℓ + P11, and its mean burst ℓ/(ℓ - P11) gives P11.
    Delays of several hops add; the sum's quantiles are those of all pairs of 512 equally likely values a hop.

Rules:
    1. Nominal delay is what the delay models say. Waiting for a line, keeping order and holding by handovers add to
       it, and show in what was achieved; ``notes`` says so where it applies.
    2. A schedule that repeats is averaged over its round; one that does not has no one value: None, and a note.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.link.delay import DelayTrace
from rtcprobe.link.loss import Loss
from rtcprobe.link.spec import LinkSpec

__all__ = ["Requested"]

# Of a hop's delay; a quantile of them is right to 1/1024 of the packets, which a call of some thousand
# packets cannot tell.
_VALUES: Final = 512
_BINS: Final = 1 << 16
"""Of a sum's pairs, 262,144, some four each: enough that few of them are sorted, few enough to be counted at once."""

_DIGITS: Final = 9
"""Rounds off what floating point adds: one hop's 2 % reads 0.02."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """Nominal figures of a path; None where there is no one figure, and ``notes`` says why.

    Ratios 0 to 1, ``mean_burst`` in packets, delays in seconds, ``rate_bps`` that of the slowest hop.
    """

    loss: float | None
    mean_burst: float | None
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
    rate_bps: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, specs: Sequence[LinkSpec]) -> Requested:
        """Return the figures of hops in a row; those of the same hops are worked out once."""
        return _worked_out(tuple(specs))


@lru_cache(maxsize=64)  # the sum of two hops' delays sorts a quarter of a million values
def _worked_out(specs: tuple[LinkSpec, ...]) -> Requested:
    # Rule 2. Delay and loss have an average over a round; a rate, a share held back or damaged is told only
    # where it is one and the same throughout.
    open_ended = {name for spec in specs if spec.repeat_s is None for name in _changing(spec)}
    varying = {name for spec in specs for name in _changing(spec)}
    loss, burst = _losses(specs)
    delays = reduce(_summed, (_values(spec) for spec in specs), np.zeros(1))
    shares = (0.05, 0.5, 0.95, 0.99)
    delay_s: dict[float, float | None] = dict(
        zip(shares, map(float, np.quantile(delays, shares, method="hazen")), strict=True)
    )
    delay_s[0] = sum(min(phase.delay.quantile_s(0) for phase in spec.phases) for spec in specs)
    delay_s[1] = sum(max(phase.delay.quantile_s(1) for phase in spec.phases) for spec in specs)
    if "delay" in open_ended:
        delay_s = dict.fromkeys(delay_s)
    rates = [spec.rate.bps for spec in specs if spec.rate]
    return Requested(
        loss=None if "loss" in open_ended else loss,
        mean_burst=None if "loss" in open_ended else burst,
        delay_min_s=delay_s[0],
        delay_p5_s=delay_s[0.05],
        delay_p50_s=delay_s[0.5],
        delay_p95_s=delay_s[0.95],
        delay_p99_s=delay_s[0.99],
        delay_max_s=delay_s[1],
        reordered=_reordered(specs) if not varying & {"delay", "order", "reorder"} else None,
        duplicated=None if "duplicate" in varying else _any_of([spec.duplicate for spec in specs]),
        corrupted=None if "corrupt" in varying else _any_of([spec.corrupt for spec in specs]),
        marked=None if any(_marks(phase) for spec in specs for phase in spec.phases) else 0.0,
        rate_bps=min(rates) if rates and "rate" not in varying else None,
        notes=tuple(_notes(specs, varying)),
    )


def _changing(spec: LinkSpec) -> set[str]:
    queue = ("rate", "police", "aqm", "ecn", "cross_traffic")
    names = ("delay", "order", "loss", *queue, "slot", "reorder", "duplicate", "corrupt")
    return {name for name in names for change in spec.schedule if getattr(change.spec, name) != getattr(spec, name)}


def _shares(spec: LinkSpec) -> list[float]:
    """Return the share of time each phase of ``spec`` holds; for an open-ended schedule, all to the first."""
    if spec.repeat_s is None:
        return [1.0] + [0.0] * len(spec.schedule)
    begins = [0.0, *(change.at_s for change in spec.schedule), spec.repeat_s]
    return [(end - begin) / spec.repeat_s for begin, end in pairwise(begins)]


def _losses(specs: Sequence[LinkSpec]) -> tuple[float, float | None]:
    """Return the loss ratio and mean burst of all loss models together."""
    passes = pass_together = 1.0
    for spec in specs:
        alone, together = zip(*(_passing(phase) for phase in spec.phases), strict=True)
        passes *= float(np.dot(_shares(spec), alone))
        pass_together *= float(np.dot(_shares(spec), together))
    lost = round(1 - passes, _DIGITS)
    return lost, round(lost / (passes - pass_together), _DIGITS) if lost and passes > pass_together else None


def _passing(phase: LinkSpec) -> tuple[float, float]:
    """Return the chances that a packet passes, and that two neighbours both do."""
    models: list[Loss] = [phase.loss] if phase.loss else []
    if isinstance(phase.delay, DelayTrace):
        models.append(phase.delay.as_loss())
    passes = pass_together = 1.0
    for model in models:
        ratio, burst = model.ratio, model.mean_burst
        passes *= 1 - ratio
        pass_together *= 1 - 2 * ratio + (ratio - ratio / burst if burst else ratio)
    return passes, pass_together


def _values(spec: LinkSpec) -> npt.NDArray[np.float64]:
    """Return equally likely values (seconds) of one hop's delay, over its phases by the time they hold."""
    if not spec.delay.varies and len(spec.phases) == 1:
        return np.array([spec.delay.quantile_s(0.5)])
    ranks = (np.arange(_VALUES) + 0.5) / _VALUES
    values = np.concatenate([phase.delay.quantiles_s(ranks) for phase in spec.phases])
    weights = np.repeat(_shares(spec), _VALUES)
    # Quantiles of a mixture: values of all phases by size, each weighing what its phase lasts, read at even
    # ranks.
    order = np.argsort(values)
    up_to = (np.cumsum(weights[order]) - weights[order] / 2) / _VALUES
    return np.asarray(np.interp(ranks, up_to, values[order]))


def _summed(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sorted sums of all pairs; of more than ``_VALUES`` of them, that many quantiles (Hazen's)."""
    both = np.add.outer(first, second).ravel()
    if len(both) <= _VALUES:
        return np.sort(both)
    # Each quantile lies halfway between two neighbours, for there are as many pairs to each: (i + ½)/512 of 512² is
    # 512i + 256, and Hazen's rank half a place before.
    earlier = len(both) // _VALUES * np.arange(_VALUES) + len(both) // _VALUES // 2 - 1
    low, high = _ranked(both, np.concatenate([earlier, earlier + 1])).reshape(2, _VALUES)
    return high - (high - low) / 2


def _ranked(values: npt.NDArray[np.float64], ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return those of ``values`` that would stand at ``ranks`` were they sorted: a tenth of the cost of sorting all.

    Bins in order are counted, which says what bin each rank falls in; what falls in those bins is sorted.
    """
    least, most = float(values.min()), float(values.max())
    if least == most:
        return np.full(len(ranks), least)
    bins = ((values - least) * ((_BINS - 1) / (most - least))).astype(np.int64)
    held = np.bincount(bins, minlength=_BINS)
    falls = np.searchsorted(np.cumsum(held), ranks, side="right")
    wanted = np.zeros(_BINS, dtype=bool)
    wanted[falls] = True
    passed = np.cumsum(np.where(wanted, 0, held))
    return np.asarray(np.sort(values[wanted[bins]])[ranks - passed[falls]])


def _reordered(specs: Sequence[LinkSpec]) -> float | None:
    """Return the share held back; None where packets overtake, for how many they pass depends on the spacing."""
    if any(_overtakes(spec) for spec in specs):
        return None
    return _any_of([spec.reorder.share if spec.reorder else 0.0 for spec in specs])


def _any_of(shares: Sequence[float]) -> float:
    """Return the chance that at least one of independent hops does a thing."""
    return round(1 - math.prod(1 - share for share in shares), _DIGITS)


def _overtakes(spec: LinkSpec) -> bool:
    jumps = spec.reorder is not None and not spec.reorder.by_s
    return jumps or (spec.order == "free" and spec.delay.varies)


def _marks(phase: LinkSpec) -> bool:
    return phase.aqm is not None and phase.ecn != "none"


def _notes(specs: Sequence[LinkSpec], varying: set[str]) -> list[str]:
    phases = [phase for spec in specs for phase in spec.phases]
    notes = []
    if any(phase.police for phase in phases):
        notes.append("loss is without what the policer drops")
    if any(phase.aqm for phase in phases):
        notes.append("how many packets the AQM drops or marks depends on how full the queue is")
    if any(_marks(phase) for phase in phases):
        notes.append("marks are counted, nobody answers them")
    if any(phase.cross_traffic for phase in phases):
        notes.append("the rate is shared with cross traffic")
    if any(phase.slot for phase in phases):
        notes.append("delays are without the wait for a slot")
    if any(phase.rate for phase in phases):
        notes.append("delays are without the time spent waiting for the line and being sent")
    if any(spec.order == "keep" and spec.delay.varies for spec in specs):
        notes.append("delays are before order is kept: a packet that waits for the one before it takes longer")
    if any(_overtakes(spec) for spec in specs):
        notes.append("how many packets are overtaken depends on their spacing")
    if any(spec.outages for spec in specs):
        notes.append("loss is without outages")
    if any(spec.handovers for spec in specs):
        notes.append("delays are without handovers")
    if varying:
        notes.append(f"the schedule changes {', '.join(sorted(varying))}")
    return notes
