"""Regression against a stored baseline: refused, passed, failed with the part that moved, or honestly undecided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rtcprobe.result import Clock, Direction, Result
from rtcprobe.verdict.comparison import Comparison
from rtcprobe.verdict.difference import Difference
from rtcprobe.verdict.statistics import CONFIDENCE

__all__ = ["STATISTICAL", "Culprit", "Gate", "RegressionCheck", "Tolerance", "check", "parse_tolerance", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How much worse is still fine: nothing that can be shown (``"statistical"``), seconds, or a ratio of the baseline.

    It is about delays; shares (failed, lost, unplayed) are always judged statistically.
    """

    kind: Literal["statistical", "absolute", "relative"] = "statistical"
    value: float = 0.0

    def __str__(self) -> str:
        """Return it as it is written on the command line: ``"+15ms"``."""
        raise NotImplementedError


STATISTICAL = Tolerance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One headline figure judged: ``limit`` is what it may be worse by (seconds or a share; 0 when statistical)."""

    difference: Difference
    limit: float
    verdict: Literal["pass", "fail", "inconclusive"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A part that made it worse: ``moved`` seconds of the mean (positive is slower) and ``share`` of the whole change.

    ``kind``: ``"phase"`` of the join, ``"stage"`` of the mouth-to-ear delay (then ``direction``), ``"timer"`` whose
    retransmissions cost that much more. ``difference`` holds both sides and the interval.
    """

    kind: Literal["phase", "stage", "timer"]
    name: str
    moved: float
    share: float
    difference: Difference
    direction: Direction | None = None

    @property
    def sentence(self) -> str:
        """Return it said to a person: ``"stage device, caller to callee: +15 ms (20 → 35 ms)"``."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionCheck:
    """The verdict of a check: *fail* where a headline figure is really worse than the tolerance allows.

    *inconclusive* where a headline figure was not measured, or lies too near the tolerance to say; ``reasons`` say why
    it is not a pass, ``culprits`` (largest first) which part moved.
    """

    verdict: Literal["pass", "fail", "inconclusive"]
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    culprits: tuple[Culprit, ...]
    tolerance: Tolerance
    comparison: Comparison
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        raise NotImplementedError


def parse_tolerance(text: object) -> Tolerance:
    """Return the tolerance ``"statistical"``, ``"+15ms"`` or ``"+5%"``.

    Raises:
        BadInputError: none of these.
    """
    raise NotImplementedError


def refuse(
    baseline: Sequence[Result],
    *,
    scenario: str,
    scenario_digest: str,
    seeds: Sequence[int],
    clock: Clock,
    target: str = "loopback",
    settings: object = None,
) -> None:
    """Refuse, before anything is measured, a baseline that such a run could not be checked against.

    ``settings`` of the scenario (``Result.settings``) let the refusal say what differs, and let budgets differ.

    Raises:
        BadInputError: another scenario, clock or target, other seeds (virtual clock), or nothing usable in it.
    """
    raise NotImplementedError


def check(
    baseline: Sequence[Result],
    current: Sequence[Result],
    tolerance: Tolerance = STATISTICAL,
    *,
    confidence: float = CONFIDENCE,
    fresh_seeds: bool = False,
) -> RegressionCheck:
    """Return whether ``current`` got worse than ``baseline``.

    On the virtual clock both must hold the same seeds, and are compared pair by pair; ``fresh_seeds`` is the other
    policy: each side has seeds of its own, and runs are compared as independent.

    Raises:
        BadInputError: the two do not compare; see ``refuse``.
    """
    raise NotImplementedError
