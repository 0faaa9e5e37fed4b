"""Several calls into one account of a direction: what each call says stays beside what they say together.

Rules:
    1. Counts add up; quantiles and bursts are those of everything that was counted; shares are weighed by what they are
       shares of. No burst spans two calls.
    2. Stages are weighed by markers heard, so they sum to the mean delay of all markers. ``network_min`` is the fastest
       packet of any call; what the others took more is variable.
    3. R, MOS, Id and Ie-eff are means over calls: the E-model is about a call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.aiortc import StockTrace
from rtcprobe.playout.recovery import Traced
from rtcprobe.quality import burst_ratio, conversation
from rtcprobe.result import STAGES, HeardCall, MouthToEar

__all__ = ["Account", "pooled"]

_SUMS = ("delay_raised_by_lateness_s",)
"""Figures of a playout that add up although they are no counts; those of a mapping all do."""
_MEANS = ("r", "mos", "listening_mos", "id", "ie_eff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one call says of one direction, and what it takes to say it of several: nothing of the call stays alive.

    ``blocks`` were played from the first sound to the last; ``unplayed`` has a flag a frame sent, shape (frames,).
    """

    ear: MouthToEar
    blocks: int = 0
    unplayed: npt.NDArray[np.bool_] | None = None
    traced: Traced | None = None
    stock: StockTrace | None = None
    echo_path_s: float | None = None


def pooled(accounts: Mapping[int, Account]) -> MouthToEar:
    """Return one direction's account of several calls, by their numbers; at least one."""
    every = [account.ear for account in accounts.values()]
    spoken = {number: account for number, account in accounts.items() if account.ear.scheduled}
    calls = list(spoken.values())
    if not calls:
        return every[0]
    ears = [account.ear for account in calls]
    return MouthToEar(
        scheduled=sum(ear.scheduled for ear in ears),
        heard=sum(ear.heard for ear in ears),
        rejected=sum(ear.rejected for ear in ears),
        lost=sum(ear.lost for ear in ears),
        samples=tuple(replace(each, call=number) for number, call in spoken.items() for each in call.ear.samples),
        missed=tuple(replace(each, call=number) for number, call in spoken.items() for each in call.ear.missed),
        stages=_stages(ears),
        playout=_playout(spoken),
        protection=_protection(calls),
        quality=_quality(calls),
        side_figures=_side_figures(calls),
        calls=tuple(_row(number, call.ear) for number, call in spoken.items()),
    )


def _row(number: int, ear: MouthToEar) -> HeardCall:
    return HeardCall(
        call=number,
        scheduled=ear.scheduled,
        heard=ear.heard,
        stages=ear.stages,
        unplayed=ear.protection.get("unplayed"),
        concealed=ear.playout.get("concealed_ratio"),
        r=ear.quality.get("r"),
    )


def _stages(ears: Sequence[MouthToEar]) -> Mapping[str, float]:
    """Return the weighed stages of the calls that know theirs; the last takes what is left of the mean delay."""
    known = [ear for ear in ears if ear.stages]
    if len(ears) == 1 or not known:
        return ears[0].stages if len(ears) == 1 else {}
    heard = [ear.heard for ear in known]
    stages = {
        name: float(np.average([ear.stages.get(name, 0.0) for ear in known], weights=heard))
        for name in STAGES
        if any(name in ear.stages for ear in known)
    }
    if "network_min" in stages:
        fastest_s = min(ear.stages["network_min"] for ear in known if "network_min" in ear.stages)
        stages["network_variable"] += stages["network_min"] - fastest_s
        stages["network_min"] = fastest_s
    rest = "residual" if "residual" in stages else "network_and_target"
    delays_s = [sample.delay_s for ear in ears for sample in ear.samples]
    stages[rest] += math.fsum(delays_s) / len(delays_s) - math.fsum(stages.values())
    return stages


def _playout(calls: Mapping[int, Account]) -> Mapping[str, Any]:
    figures = [account.ear.playout for account in calls.values()]
    if len(figures) == 1:
        return figures[0]
    blocks = [account.blocks for account in calls.values()]
    steps = {number: account.ear.playout.get("target_steps") for number, account in calls.items()}
    out = {
        name: _together(name, [each.get(name) for each in figures], blocks)
        for name in dict.fromkeys(chain.from_iterable(figures))
        if name != "target_steps"
    }
    counts = out.get("w3c") or {}
    emitted, received = counts.get("jitterBufferEmittedCount"), counts.get("totalSamplesReceived")
    if emitted:
        out["mean_target_delay_s"] = counts["jitterBufferTargetDelay"] / emitted
        out["mean_jitter_buffer_delay_s"] = counts["jitterBufferDelay"] / emitted
    if received:
        out["concealed"] = counts["concealedSamples"] / received
    if any(steps.values()):
        out["target_steps"] = {
            "call": [number for number, each in steps.items() for _ in (each or {}).get("since_s", ())],
            **{
                name: [value for each in steps.values() for value in (each or {}).get(name, ())]
                for name in ("since_s", "target_delay_s")
            },
        }
    return out


def _together(name: str, values: Sequence[Any], weights: Sequence[int]) -> Any:
    """Return one figure of several calls: words of the first, sums of counts, means of the rest over their blocks."""
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    first = known[0][0] if known else None
    if isinstance(first, Mapping):
        return {key: sum(value[key] for value, _ in known) for key in first}
    if name in _SUMS or isinstance(first, int):
        return sum(value for value, _ in known)
    if not isinstance(first, float):
        return first
    return float(np.average([value for value, _ in known], weights=[max(weight, 1) for _, weight in known]))


def _protection(calls: Sequence[Account]) -> Mapping[str, Any]:
    if len(calls) == 1:
        return calls[0].ear.protection
    related = [call for call in calls if call.traced is not None]
    if not related:
        return {}
    found = Traced.together([call.traced for call in related if call.traced is not None]).recovery()
    return {**asdict(found), "loss": found.loss_ratios(), "unplayed": _unplayed(related), **_cost(related)}


def _unplayed(calls: Sequence[Account]) -> float:
    flags = np.concatenate([call.unplayed for call in calls if call.unplayed is not None])
    return float(np.mean(flags)) if len(flags) else 0.0


def _cost(calls: Sequence[Account]) -> Mapping[str, Any]:
    """Return what the calls would have been without any copy, weighed by markers spoken and by blocks played."""
    known = [call for call in calls if "without" in call.ear.protection]
    if not known:
        return {}
    without = [call.ear.protection["without"] for call in known]
    delay_s = _weighed([each["delay_s"] for each in without], [call.ear.scheduled for call in known])
    concealed = _weighed([each["concealed_ratio"] for each in without], [call.blocks for call in known])
    cost_s = _weighed([call.ear.protection["cost_s"] for call in known], [call.ear.scheduled for call in known])
    return {"without": {"delay_s": delay_s, "concealed_ratio": concealed}, "cost_s": cost_s}


def _weighed(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None and weight]
    return math.fsum(v * w for v, w in known) / sum(w for _, w in known) if known else None


def _quality(calls: Sequence[Account]) -> Mapping[str, Any]:
    if len(calls) == 1:
        return calls[0].ear.quality
    rated = [call for call in calls if call.ear.quality]
    if not rated:
        return {}
    loss_ratio = _unplayed(rated)
    burst = burst_ratio(*(call.unplayed.tolist() for call in rated if call.unplayed is not None))
    delays_s = [sample.delay_s for call in rated for sample in call.ear.samples]
    echoes_s = [call.echo_path_s for call in rated if call.echo_path_s is not None]
    whole = conversation(
        one_way_delay_s=math.fsum(delays_s) / len(delays_s),
        loss_ratio=loss_ratio,
        burst_ratio=burst,
        echo_path_s=math.fsum(echoes_s) / len(echoes_s) if echoes_s else None,
    )
    return {
        **{name: math.fsum(call.ear.quality[name] for call in rated) / len(rated) for name in _MEANS},
        "loss_ratio": loss_ratio,
        "burst_ratio": burst,
        "assumptions": (f"R, MOS, Id and Ie-eff are means over {len(rated)} calls.", *whole.assumptions),
    }


def _side_figures(calls: Sequence[Account]) -> Mapping[str, Any]:
    traces = [call.stock for call in calls if call.stock is not None]
    return {"stock aiortc": asdict(StockTrace.together(traces).figures())} if traces else {}
