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
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcprobe.hearing import figures
from rtcprobe.playout.aiortc import StockTrace
from rtcprobe.playout.recovery import Traced
from rtcprobe.quality import burst_ratio, conversation
from rtcprobe.result import STAGES, Account, Beside, HeardCall, Playout, Protection, Quality, TargetSteps, Unprotected

__all__ = ["CallAccount", "pooled"]

_MEANS = ("r", "mos", "listening_mos", "id", "ie_eff")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAccount:
    """What one call says of one way, and what it takes to say it of several: nothing of the call stays alive.

    ``blocks`` were played from the first sound to the last; ``unplayed`` has a flag a frame sent, shape (frames,).
    """

    account: Account
    blocks: int = 0
    unplayed: npt.NDArray[np.bool_] | None = None
    traced: Traced | None = None
    stock: StockTrace | None = None
    echo_path_s: float | None = None


def pooled(accounts: Mapping[int, CallAccount]) -> Account:
    """Return one way's account of several calls, by their numbers; at least one."""
    every = [each.account for each in accounts.values()]
    # A call in which nothing was scheduled (it never joined, or nobody spoke) has no figure to give a weight
    # to.
    spoken = {number: each for number, each in accounts.items() if each.account.scheduled}
    calls = list(spoken.values())
    if not calls:
        return every[0]
    ears = [each.account for each in calls]
    return Account(
        kind=ears[0].kind,
        way=ears[0].way,
        scheduled=sum(ear.scheduled for ear in ears),
        heard=sum(ear.heard for ear in ears),
        rejected=sum(ear.rejected for ear in ears),
        lost=sum(ear.lost for ear in ears),
        samples=tuple(replace(each, call=number) for number, call in spoken.items() for each in call.account.samples),
        missed=tuple(replace(each, call=number) for number, call in spoken.items() for each in call.account.missed),
        stages=_stages(ears),
        playout=_playout(spoken),
        protection=_protection(calls),
        quality=_quality(calls),
        beside=_beside(calls),
        calls=tuple(_row(number, call.account) for number, call in spoken.items()),
        figures=_durations([ear.figures for ear in ears]),
        spans=tuple(replace(each, call=number) for number, call in spoken.items() for each in call.account.spans),
    )


def _row(number: int, ear: Account) -> HeardCall:
    return HeardCall(
        call=number,
        scheduled=ear.scheduled,
        heard=ear.heard,
        stages=ear.stages,
        unplayed=ear.unplayed,
        concealed=ear.concealed,
        r=ear.r,
        figures=ear.figures,
    )


_RESTS = ("residual", "network_and_target", "network_and_page", "page", "mixer")
"""The stage that takes what the others leave, whichever there is."""


def _stages(ears: Sequence[Account]) -> Mapping[str, float]:
    """Return the weighed stages of the calls that know theirs; the last takes what is left of the mean delay."""
    known = [ear for ear in ears if ear.stages]
    # One call is its own account to the last digit: weights of one would round it.
    if len(ears) == 1 or not known:
        return ears[0].stages if len(ears) == 1 else {}
    heard = [ear.heard for ear in known]
    stages = {
        name: float(np.average([ear.stages.get(name, 0.0) for ear in known], weights=heard))
        for name in STAGES
        if any(name in ear.stages for ear in known)
    }
    # The fastest packet of all the calls is the least delay of the line; what the others had more is variation.
    if "network_min" in stages:
        fastest_s = min(ear.stages["network_min"] for ear in known if "network_min" in ear.stages)
        stages["network_variable"] += stages["network_min"] - fastest_s
        stages["network_min"] = fastest_s
    rest = next(name for name in _RESTS if name in stages)
    # So that the stages add up to the mean delay that is shown, whatever the weights have rounded.
    delays_s = [sample.delay_s for ear in ears for sample in ear.samples]
    stages[rest] += math.fsum(delays_s) / len(delays_s) - math.fsum(stages.values())
    return stages


def _playout(calls: Mapping[int, CallAccount]) -> Playout | None:
    known = {number: call for number, call in calls.items() if call.account.playout is not None}
    said = [call.account.playout for call in known.values() if call.account.playout is not None]
    if len(said) < 2:
        return said[0] if said else None
    # Shares of time are weighed by the blocks played; one at the least, so that a call of which that is not
    # known counts.
    blocks = [max(call.blocks, 1) for call in known.values()]

    def mean(values: Sequence[float | None]) -> float | None:
        return _weighed(values, blocks)

    w3c = _sums([each.w3c for each in said])
    emitted, received = w3c.get("jitterBufferEmittedCount"), w3c.get("totalSamplesReceived")
    target_s = mean([each.mean_target_delay_s for each in said])
    held_s = mean([each.mean_jitter_buffer_delay_s for each in said])
    # W3C's sums over all calls weigh each by what it played, which a mean of means would not.
    if emitted:
        target_s, held_s = w3c["jitterBufferTargetDelay"] / emitted, w3c["jitterBufferDelay"] / emitted
    raised_s = [each.delay_raised_by_lateness_s for each in said if each.delay_raised_by_lateness_s is not None]
    return Playout(
        policy=said[0].policy,
        concealed_ratio=mean([each.concealed_ratio for each in said]),
        concealed=w3c["concealedSamples"] / received if received else mean([each.concealed for each in said]),
        target_delay_s=mean([each.target_delay_s for each in said]),
        mean_target_delay_s=target_s,
        mean_jitter_buffer_delay_s=held_s,
        delay_raised_by_lateness_s=sum(raised_s) if raised_s else None,
        counts=_sums([each.counts for each in said]),
        ticks=_sums([each.ticks for each in said]),
        w3c=w3c,
        target_steps=_steps(dict(zip(known, said, strict=True))),
    )


def _sums(counts: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Return counts that add up, by name."""
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: sum(each.get(name) or 0 for each in counts) for name in names}


def _durations(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return figures of several calls added up: a share or a mean would have to be weighed."""
    summed = _sums(figures)
    assert all(name.endswith("_s") for name in summed), f"{[*summed]} do not all add up over calls: pool them here"
    return summed


def _steps(said: Mapping[int, Playout]) -> TargetSteps | None:
    known = {number: each.target_steps for number, each in said.items() if each.target_steps is not None}
    if not known:
        return None
    return TargetSteps(
        since_s=tuple(at_s for each in known.values() for at_s in each.since_s),
        target_delay_s=tuple(delay_s for each in known.values() for delay_s in each.target_delay_s),
        call=tuple(number for number, each in known.items() for _ in each.since_s),
    )


def _protection(calls: Sequence[CallAccount]) -> Protection | None:
    if len(calls) == 1:
        return calls[0].account.protection
    related = [call for call in calls if call.traced is not None]
    if not related:
        return None
    found = Traced.together([call.traced for call in related if call.traced is not None]).recovery()
    return figures.protection(found, _unplayed(related), *_cost(related))


def _unplayed(calls: Sequence[CallAccount]) -> float:
    # Frames of all calls in one row: a mean of shares would weigh a call of ten frames as one of ten
    # thousand.
    flags = np.concatenate([call.unplayed for call in calls if call.unplayed is not None])
    return float(np.mean(flags)) if len(flags) else 0.0


def _cost(calls: Sequence[CallAccount]) -> tuple[Unprotected | None, float | None]:
    """Return what the calls would have been without any copy, weighed by markers spoken and by blocks played."""
    known = [
        (protection.without, protection.cost_s, call)
        for call in calls
        if (protection := call.account.protection) is not None and protection.without is not None
    ]
    if not known:
        return None, None
    spoken = [call.account.scheduled for _, _, call in known]
    delay_s = _weighed([without.delay_s for without, _, _ in known], spoken)
    concealed = _weighed([without.concealed_ratio for without, _, _ in known], [call.blocks for _, _, call in known])
    without = Unprotected(delay_s=delay_s, concealed_ratio=concealed)
    return without, _weighed([cost_s for _, cost_s, _ in known], spoken)


def _weighed(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None and weight]
    return math.fsum(v * w for v, w in known) / sum(w for _, w in known) if known else None


def _quality(calls: Sequence[CallAccount]) -> Quality | None:
    if len(calls) == 1:
        return calls[0].account.quality
    rated = [call for call in calls if call.account.quality is not None]
    said = [call.account.quality for call in rated if call.account.quality is not None]
    if not rated:
        return None
    loss_ratio = _unplayed(rated)
    # Call by call, for no burst reaches from one into the next (rule 1).
    burst = burst_ratio(*(call.unplayed.tolist() for call in rated if call.unplayed is not None))
    delays_s = [sample.delay_s for call in rated for sample in call.account.samples]
    echoes_s = [call.echo_path_s for call in rated if call.echo_path_s is not None]
    # For its sentences alone: R and MOS are means over calls, because the model bends, and R of the mean
    # delay is not the mean of R.
    whole = conversation(
        one_way_delay_s=math.fsum(delays_s) / len(delays_s),
        loss_ratio=loss_ratio,
        burst_ratio=burst,
        echo_path_s=math.fsum(echoes_s) / len(echoes_s) if echoes_s else None,
    )
    means: dict[str, Any] = {name: math.fsum(getattr(each, name) for each in said) / len(said) for name in _MEANS}
    return Quality(
        **means,
        loss_ratio=loss_ratio,
        burst_ratio=burst,
        assumptions=(f"R, MOS, Id and Ie-eff are means over {len(rated)} calls.", *whole.assumptions),
    )


def _beside(calls: Sequence[CallAccount]) -> Mapping[str, Beside]:
    traces = [call.stock for call in calls if call.stock is not None]
    return figures.beside(StockTrace.together(traces)) if traces else {}
