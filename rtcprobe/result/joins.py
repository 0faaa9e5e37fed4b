"""How every join of a run went: a record a party and round, and what many of them say.

Facts:
    A run joins several times, a *round* each. Of two people over the loopback one join a round is timed, the caller's;
    in a room every party's that hears somebody is. Of the other parties of a round the milestones are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtcprobe.errors import BadInputError
from rtcprobe.result.plain import SECONDS, SPARSE, read_as, to_plain
from rtcprobe.result.summary import Summary
from rtcprobe.secrets import NAME
from rtcprobe.timeline import Timer

__all__ = ["Join", "Joins", "Retransmission"]

# Phases are differences of milestones, each rounded to a nanosecond in JSON: a millisecond is a fault, not rounding.
_SUM_TOLERANCE_S = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Retransmission:
    """A timer that fired while joining: when (since the call started), what was sent again, what it cost the join."""

    timer: Timer
    party: str = field(metadata=NAME)
    at_s: float
    cost_s: float
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """One party's join in one round, counted from 0: its milestones in seconds since it began, and what delayed it.

    ``phases`` are contiguous and sum to its ``"first_audio"``; of a join that is not timed there are none. ``rtts`` is
    the join in round trips of the media path; ``failed`` names the timer or step that gave up, None for a join that
    was heard. Of a failed one ``reached`` is the last milestone of the party that held it up (which may be another),
    ``awaited`` the milestone that never came: it ends the phase in which the join failed (``timeline.PHASE_OF``).
    ``asked`` is what its first pictures took, where anything: packets that it asked for again (``"packets"``), those
    that came again before they were shown (``"resent"``), key frames that it asked for (``"key_frames"``).
    ``last`` is, of more than two, whom the party was connected to last: milestones and phases are of that connection.

    Raises:
        BadInputError: a milestone before the call, or phases that do not sum to the total within 1 ms.
    """

    party: str = field(metadata=NAME)
    round: int
    marks: Mapping[str, float] = field(metadata=SECONDS)
    phases: Mapping[str, float] = field(default_factory=dict, metadata=SECONDS)
    retransmissions: tuple[Retransmission, ...] = ()
    rtts: float | None = None
    failed: str | None = None
    reached: str | None = field(default=None, metadata=SPARSE)
    awaited: str | None = field(default=None, metadata=SPARSE)
    last: str | None = field(default=None, metadata={**SPARSE, **NAME})
    asked: Mapping[str, int] = field(default_factory=dict, metadata=SPARSE)

    def __post_init__(self) -> None:
        for name, at_s in self.marks.items():
            # Infinity is no less than 0 either, and would make a join of no end.
            if not (math.isfinite(at_s) and at_s >= 0.0):
                raise BadInputError(
                    f"{self.party} milestone {name} at {at_s} s is impossible", "time starts at the call"
                )
        total_s = self.first_audio_s
        # A failed join's phases end where it gave up, and sum to nothing that is known.
        if self.phases and total_s is not None:
            summed_s = math.fsum(self.phases.values())
            if abs(summed_s - total_s) > _SUM_TOLERANCE_S:
                raise BadInputError(
                    f"join phases sum to {summed_s * 1e3:.3f} ms of {total_s * 1e3:.3f} ms", "phases are contiguous"
                )

    @property
    def first_audio_s(self) -> float | None:
        """The party began → first sample of another heard by it; None where it never was."""
        return self.marks.get("first_audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """Every join of the run: ``attempts`` are those that are timed, in the order made; ``others`` the other parties'.

    ``summary`` is what the attempts say, by metric name (``"first_audio"``, a phase, ...; seconds).
    """

    attempts: tuple[Join, ...] = ()
    others: tuple[Join, ...] = ()
    summary: Mapping[str, Summary] = field(default_factory=dict)

    def of(self, party: str) -> tuple[Join, ...]:
        """Return the joins of one party, timed or not."""
        return tuple(each for each in (*self.attempts, *self.others) if each.party == party)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; summary keys gain ``_ms``."""
        return {
            "attempts": [to_plain(each) for each in self.attempts],
            # Left out where nobody else joined: results of two people stay as they were, to the byte.
            **({"others": [to_plain(each) for each in self.others]} if self.others else {}),
            "summary": {f"{name}_ms": summary.to_dict() for name, summary in self.summary.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Joins:
        """Read back what ``to_dict`` wrote."""
        return cls(
            attempts=read_as(tuple[Join, ...], data, "attempts"),
            others=read_as(tuple[Join, ...], data, "others") if "others" in data else (),
            summary={
                # Only the key says milliseconds here: ``Summary`` has scaled its values by then.
                name.removesuffix("_ms"): each
                for name, each in read_as(Mapping[str, Summary], data, "summary").items()
            },
        )
