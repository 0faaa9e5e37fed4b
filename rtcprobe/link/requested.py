"""What was asked of a path, in the words of what it did: the left-hand column beside ``Achieved``.

Facts:
    Independent hops combine exactly: with s the chance that a packet passes every hop and s2 that two neighbours
    both do, loss is 1 - s and the mean burst (1 - s)/(s - s2), because a run of losses ends where a lost packet is
    followed by one that passes. For one hop s2 = 1 - 2ℓ + P11, and its mean burst ℓ/(ℓ - P11) gives P11.
    Delays of several hops add; the sum's quantiles are those of all pairs of 512 equally likely values a hop.

Rules:
    1. Nominal delay is what the delay models say. Waiting for a line, keeping order and holding by handovers add to
       it, and show in what was achieved; ``notes`` says so where it applies.
    2. A figure the schedule changes has no one value: None, and a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.link.delay import Delay, DelayTrace
from rtcprobe.link.loss import Loss
from rtcprobe.link.spec import LinkSpec

__all__ = ["Requested"]

_VALUES: Final = 512


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
    rate_bps: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, specs: Sequence[LinkSpec]) -> Requested:
        """Return the figures of hops in a row, each as its schedule would leave it unchanged."""
        varying = {name for spec in specs for name in _changing(spec)}
        loss, burst = _losses(specs)
        delays = _delays(specs)
        quantiles = [None if "delay" in varying else float(np.quantile(delays, q)) for q in (0.05, 0.5, 0.95, 0.99)]
        rates = [spec.rate.bps for spec in specs if spec.rate]
        return cls(
            loss=None if "loss" in varying else loss,
            mean_burst=None if "loss" in varying else burst,
            delay_min_s=None if "delay" in varying else sum(spec.delay.quantile_s(0) for spec in specs),
            delay_p5_s=quantiles[0],
            delay_p50_s=quantiles[1],
            delay_p95_s=quantiles[2],
            delay_p99_s=quantiles[3],
            delay_max_s=None if "delay" in varying else sum(spec.delay.quantile_s(1) for spec in specs),
            reordered=_reordered(specs) if not varying & {"delay", "order", "reorder"} else None,
            duplicated=None if "duplicate" in varying else sum(spec.duplicate for spec in specs),
            corrupted=None if "corrupt" in varying else 1 - float(np.prod([1 - spec.corrupt for spec in specs])),
            rate_bps=min(rates) if rates and "rate" not in varying else None,
            notes=tuple(_notes(specs, varying)),
        )


def _changing(spec: LinkSpec) -> set[str]:
    names = ("delay", "order", "loss", "rate", "reorder", "duplicate", "corrupt")
    return {name for name in names for change in spec.schedule if getattr(change.spec, name) != getattr(spec, name)}


def _losses(specs: Sequence[LinkSpec]) -> tuple[float, float | None]:
    """Return the loss ratio and mean burst of all loss models together."""
    models: list[Loss] = [spec.loss for spec in specs if spec.loss]
    models += [spec.delay.as_loss() for spec in specs if isinstance(spec.delay, DelayTrace)]
    if len(models) == 1:
        return models[0].ratio, models[0].mean_burst
    passes = pass_together = 1.0
    for model in models:
        ratio, burst = model.ratio, model.mean_burst
        both = ratio - ratio / burst if burst else ratio
        passes *= 1 - ratio
        pass_together *= 1 - 2 * ratio + both
    lost = 1 - passes
    return lost, lost / (passes - pass_together) if lost > 0 and passes > pass_together else None


def _delays(specs: Sequence[LinkSpec]) -> npt.NDArray[np.float64]:
    """Return equally likely values (seconds) of the summed delay."""
    return reduce(_summed, (_values(spec.delay) for spec in specs), np.zeros(1))


def _values(delay: Delay | DelayTrace) -> npt.NDArray[np.float64]:
    if not delay.varies:
        return np.array([delay.quantile_s(0.5)])
    return delay.quantiles_s((np.arange(_VALUES) + 0.5) / _VALUES)


def _summed(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    both = np.sort(np.add.outer(first, second).ravel())
    if len(both) <= _VALUES:
        return both
    return np.asarray(np.quantile(both, (np.arange(_VALUES) + 0.5) / _VALUES))


def _reordered(specs: Sequence[LinkSpec]) -> float | None:
    """Return the share held back; None where packets overtake, for how many they pass depends on the spacing."""
    if any(_overtakes(spec) for spec in specs):
        return None
    return 1 - float(np.prod([1 - spec.reorder.share if spec.reorder else 1.0 for spec in specs]))


def _overtakes(spec: LinkSpec) -> bool:
    jumps = spec.reorder is not None and not spec.reorder.by_s
    return jumps or (spec.order == "free" and spec.delay.varies)


def _notes(specs: Sequence[LinkSpec], varying: set[str]) -> list[str]:
    notes = []
    if any(spec.rate for spec in specs):
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
