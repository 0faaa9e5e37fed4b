"""Two numbers that every report answers to: 600 ms to connect, and 100 ms from mouth to ear.

Facts:
    100 ms is where delay begins to count against a conversation: the E-model's delay impairment is zero up to it
    (ITU-T G.107 §7.4, Idd). 600 ms to connect is this project's own goal: what a call has that seems to be there at
    once. Both are asked of nineteen in twenty: of joins, of markers heard.

Rules:
    1. Goals are said beside every result and never decide its verdict; who wants them to writes them as budgets.
    2. A goal that a scenario's fixed parts alone exceed is *out of reach*: it is said so, with what they take.
    3. There and back is no way between two people: the ear's goal says nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rtcprobe.result import Account, BudgetOutcome, HeardCall, Joins, Result, Sample
from rtcprobe.units import format_duration
from rtcprobe.verdict.budgets import evaluate, parse_budget
from rtcprobe.ways import Way

__all__ = ["BEYOND", "CONNECT_S", "EAR_S", "Goal", "goals", "pooled"]

# This project's own goal (Facts): seconds from the start of a call to its first sound.
CONNECT_S = 0.600
# ITU-T G.107 §7.4: Idd is 0 up to Ta = 100 ms.
EAR_S = 0.100
BEYOND = 0.05
"""The share that may lie beyond a goal: one in twenty."""

_FIXED = ("capture", "packetisation", "look_ahead", "network_min", "device")
"""Stages that no luck and no jitter buffer shortens; of the others the least is not known, or zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One goal, and what became of it: ``outcome`` has the share beyond ``limit_s`` and its interval.

    ``of`` is how many joins or markers there were; ``least_s`` what the fixed ``parts`` alone take.
    """

    limit_s: float
    direction: Way | None
    of: int
    outcome: BudgetOutcome
    least_s: float
    parts: str

    @property
    def out_of_reach(self) -> bool:
        """Whether no luck could have kept it."""
        return self.least_s > self.limit_s

    @property
    def name(self) -> str:
        """What people call it: ``"600 ms to connect"``."""
        said = f"{self.limit_s * 1e3:g} ms"
        return f"{said} to connect" if self.direction is None else f"{said} to the ear"


def goals(result: Result) -> tuple[Goal, ...]:
    """Return the goals of ``result``: the join's, and the ear's for each way that was measured."""
    found = [_join(result)] if result.join.attempts else []
    for way, ear in result.mouth_to_ear.items():
        if not way.there_and_back:
            found.append(_ear(result, way, ear))
    return tuple(found)


def pooled(results: Sequence[Result]) -> Result:
    """Return the runs of one scenario as one run of so many more joins and calls, for what is said of all of them.

    Seed, verdict and the rest are the first's: only joins and markers are pooled.
    """
    first = results[0]
    attempts = tuple(each for result in results for each in result.join.attempts)
    # Ways of the first run: all are runs of one scenario, and a way that one of them could not measure is one run
    # fewer.
    ears = {way: [ear for each in results if (ear := each.mouth_to_ear.get(way)) is not None] for way in first.ways}
    accounts = tuple(_pooled_ear(found) for found in ears.values() if found)
    return replace(first, join=Joins(attempts=attempts), accounts=accounts)


def _pooled_ear(ears: Sequence[Account]) -> Account:
    calls: list[HeardCall] = []
    samples: list[Sample] = []
    for ear in ears:
        begin = len(calls)
        # Calls are numbered from 0 in each run, and 200 runs of 8 are 1,600 calls: numbered on, so that no two are
        # taken as one. A result of one call lists none.
        own = ear.calls or (HeardCall(call=0, scheduled=ear.scheduled, heard=ear.heard, stages=ear.stages),)
        place = {each.call: begin + index for index, each in enumerate(own)}
        calls += [replace(each, call=place[each.call]) for each in own]
        samples += [replace(each, call=place[each.call]) for each in ear.samples]
    heard = sum(each.heard for each in ears)
    names = dict.fromkeys(name for each in ears for name in each.stages)
    weight = max(heard, 1)
    return Account(
        kind=ears[0].kind,
        way=ears[0].way,
        scheduled=sum(each.scheduled for each in ears),
        heard=heard,
        rejected=sum(each.rejected for each in ears),
        lost=sum(each.lost for each in ears),
        samples=tuple(samples),
        stages={name: math.fsum(each.stages.get(name, 0.0) * each.heard for each in ears) / weight for name in names},
        calls=tuple(calls),
    )


def _join(result: Result) -> Goal:
    heard = [each.phases for each in result.join.attempts if each.first_audio_s is not None and each.phases]
    names = dict.fromkeys(name for phases in heard for name in phases)
    return Goal(
        limit_s=CONNECT_S,
        direction=None,
        of=len(result.join.attempts),
        outcome=_outcome("join.first_audio", CONNECT_S, result),
        # The quickest of each step need not be of one join: what is out of reach even so is out of reach.
        least_s=math.fsum(min(phases.get(name, 0.0) for phases in heard) for name in names),
        parts="its steps, each at its quickest,",
    )


def _ear(result: Result, direction: Way, ear: Account) -> Goal:
    fixed = {name: ear.stages[name] for name in _FIXED if name in ear.stages}
    return Goal(
        limit_s=EAR_S,
        direction=direction,
        of=ear.heard,
        outcome=_outcome(f"mouth_to_ear.{direction}", EAR_S, result),
        least_s=math.fsum(fixed.values()),
        parts=" + ".join(name.replace("_", " ") for name in fixed),
    )


def _outcome(metric: str, limit_s: float, result: Result) -> BudgetOutcome:
    line = f"{metric} share_above({format_duration(limit_s)}) <= {BEYOND:.0%} (advisory)"
    return evaluate(parse_budget(line), result)
