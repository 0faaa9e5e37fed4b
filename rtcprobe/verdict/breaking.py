"""A run broken on purpose: one stage or phase that takes longer, so that a gate can be seen red before it is trusted.

Rules:
    1. Only what was measured is changed, as a slower stack would have measured it: a stage delays every marker of the
       ways that have it, a phase every milestone from its end on.
    2. A stage or phase that the runs do not have is refused: it could not turn anything red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.quality import conversation, mos
from rtcprobe.result import Account, Join, Quality, Result
from rtcprobe.units import format_duration, parse_duration

__all__ = ["Break", "parse_break"]

_CURE = "write it like 'device +30ms'"
# A milestone is a sum of phases, in floating point: the phase's own end must count as after it.
_ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A stage or phase by name, and how much longer it takes, seconds."""

    name: str
    added_s: float

    def __str__(self) -> str:
        """Return it as it is written: ``"device +30ms"``."""
        return f"{self.name} +{format_duration(self.added_s)}"

    def refuse(self, runs: Sequence[Result]) -> None:
        """Refuse a stage or phase that ``runs`` do not have.

        Raises:
            BadInputError: none has it.
        """
        stages = dict.fromkeys(name for run in runs for ear in run.accounts for name in ear.stages)
        phases = dict.fromkeys(name for run in runs for each in run.join.attempts for name in each.phases)
        # The residual is what no stage explains: it cannot be made longer, only be left over.
        known = [name for name in (*stages, *phases) if name != "residual"]
        if self.name not in known:
            cure = did_you_mean(self.name, known)
            raise BadInputError(f"--break {str(self)!r}: these runs have no stage or phase {self.name!r}", cure)

    def applied(self, result: Result) -> Result:
        """Return ``result`` as it would have been; its summaries and verdict are to be judged anew."""
        attempts = tuple(self._join(each) for each in result.join.attempts)
        accounts = tuple(map(self._account, result.accounts))
        return replace(result, join=replace(result.join, attempts=attempts), accounts=accounts)

    def _join(self, attempt: Join) -> Join:
        if self.name not in attempt.phases:
            return attempt
        names = list(attempt.phases)
        # All that comes after the phase is as much later; what came before is as it was.
        end_s = sum(attempt.phases[name] for name in names[: names.index(self.name) + 1])
        marks = {
            name: at_s + self.added_s if at_s >= end_s - _ROUNDING_S else at_s for name, at_s in attempt.marks.items()
        }
        phases = {**attempt.phases, self.name: attempt.phases[self.name] + self.added_s}
        return replace(attempt, marks=marks, phases=phases)

    def _account(self, ear: Account) -> Account:
        if self.name not in ear.stages:
            return ear
        lost = self._loss_of_r(ear)
        return replace(
            ear,
            samples=tuple(
                replace(each, heard_s=each.heard_s + self.added_s, delay_s=each.delay_s + self.added_s)
                for each in ear.samples
            ),
            stages=self._longer(ear.stages),
            quality=self._rated(ear),
            calls=tuple(
                replace(each, stages=self._longer(each.stages), r=None if each.r is None else each.r + lost)
                for each in ear.calls
            ),
        )

    def _longer(self, stages: Mapping[str, float]) -> Mapping[str, float]:
        return {name: took_s + (self.added_s if name == self.name else 0.0) for name, took_s in stages.items()}

    def _rated(self, ear: Account) -> Quality | None:
        if ear.quality is None:
            return None
        r = ear.quality.r + self._loss_of_r(ear)
        return replace(ear.quality, r=r, mos=mos(r))

    def _loss_of_r(self, ear: Account) -> float:
        """Return what the longer delay takes from R (negative), with the losses as they were."""
        loss, burst = (ear.quality.loss_ratio, ear.quality.burst_ratio) if ear.quality is not None else (0.0, None)

        def rated(delay_s: float) -> float:
            return conversation(one_way_delay_s=max(delay_s, 0.0), loss_ratio=loss, burst_ratio=burst).r

        return rated(ear.total_s + self.added_s) - rated(ear.total_s)


def parse_break(text: str) -> Break:
    """Return the stage or phase and its delay that ``"device +30ms"`` names.

    Raises:
        BadInputError: not of that shape, or not longer.
    """
    # break = name *( ( SP / "-" ) name ) SP "+" duration     "jitter-buffer +30ms"; without the blank it may be a name
    words, plus, added = text.partition("+")
    name = "_".join(words.replace("-", " ").split())
    if not name or not plus or not words.endswith(" "):
        raise BadInputError(f"--break {text!r} cannot be read", _CURE)
    try:
        added_s = parse_duration(added.strip())
    except BadInputError as error:
        raise BadInputError(f"--break {text!r} cannot be read: {error.message}", _CURE) from error
    if added_s <= 0.0:
        raise BadInputError(f"--break {text!r} breaks nothing", "give a delay above 0ms")
    return Break(name=name, added_s=added_s)
