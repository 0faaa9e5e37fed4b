"""Which attempts the machine itself spoilt, and what is said of them.

Rules:
    1. A call is void whole when this process stood still (``runtime.lag``) while there was sound on its way: from the
       first word to the last packet. What came before the stall is void too: kept, it would count the first seconds of
       a call, in which NetEQ settles, more often than the scenario asks for. Before the first word a stall harms
       nothing that is heard.
    2. A join is void when that happened before it had heard the other side. One that failed is void only where the
       stalls took a tenth of its time or more: less is not what it failed of.
    3. A call with a browser is void when that was late: its jitter buffer is behind for seconds (``hearing.played``).
    4. A void attempt is made again with the seed it had, ``TRIES`` times in all, and is in no figure. Where more than
       a quarter of the joins or of the calls came to nothing but void attempts, the run is invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rtcprobe.probe.placing import Attempt
from rtcprobe.runtime.lag import Stall

__all__ = ["TRIES", "Voided", "void_call", "void_join"]

# An attempt is worth two more: a machine that spoils three in a row is too busy to measure on (rule 4).
TRIES = 3
# Beyond, what is left was chosen by the machine's quiet moments, not by chance (rule 4).
_MOST_MISSING = 0.25
# Of the time a join had: a step that gives up after 30 s was not held up by 50 ms.
_OF_A_FAILURE = 0.1
# The longest three say what happened; a sentence with twenty says nothing.
_TOLD = 3


def void_call(attempt: Attempt) -> str | None:
    """Return why a call is void, a sentence; None where it is not."""
    call = attempt.call
    began_s = [at_s for way in call.ways if (at_s := way.talker.started_s) is not None]
    came_s = [came_s[1] for way in call.ways if (came_s := way.listener.came_s) is not None]
    # Nobody spoke: there was no sound that a stall could have harmed (rule 1).
    if not began_s:
        return None
    # What a page did before it was lost is its own doing, and is kept.
    ends = dict.fromkeys(end for way in call.ways for end in (way.talker, way.listener))
    for end in ends:
        # A browser that was late, of which our loop knows nothing; targets of other packages have none.
        disturbed = getattr(end, "disturbed", None)
        why = None if disturbed is None or call.cut is not None else disturbed()
        if why is not None:
            return str(why)
    return _told(_within(attempt.stalls, min(began_s), max(came_s, default=min(began_s))))


def void_join(attempt: Attempt) -> str | None:
    """Return why a join is void, a sentence; None where it is not."""
    call = attempt.call
    if call.failed is not None:
        lasted_s = sum(stall.lasted_s for stall in attempt.stalls)
        return _told(attempt.stalls) if lasted_s >= _OF_A_FAILURE * call.setup.join_timeout_s else None
    heard_s = [came_s[0] for peer in call.joiners if (came_s := peer.came_s) is not None]
    return _told(_within(attempt.stalls, 0.0, max(heard_s, default=0.0) + call.setup.linger_s))


@dataclass(slots=True)
class Voided:
    """The void attempts of a run at one thing (``"join"``, ``"call"``), by its number from 0."""

    kind: str
    count: int
    """How many are wanted."""
    why: dict[int, list[str]] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)

    def add(self, number: int, why: str) -> None:
        """Count a void attempt at ``number``."""
        self.why.setdefault(number, []).append(why)

    def warnings(self) -> Iterable[str]:
        """Yield what was made again or is missing, and why."""
        for number, whys in self.why.items():
            became = f"is missing, void {len(whys)} times" if number in self.missing else "was made again"
            name = f"the {self.kind}" if self.count == 1 else f"{self.kind} {number + 1} of {self.count}"
            yield f"{name} {became}: {whys[-1]}"

    def complaint(self, priority: str) -> str | None:
        """Return why there are too few; ``priority`` is what this process had."""
        if len(self.missing) <= _MOST_MISSING * self.count:
            return None
        cure = "give the probe a core of its own"
        cure += " and real-time priority (ulimit -r 1)" if not priority.startswith("real-time") else ""
        worst = self.why[min(self.missing)][-1]
        return f"{len(self.missing)} of {self.count} {self.kind}s void in {TRIES} tries each: {worst}; {cure}"


def _within(stalls: Sequence[Stall], from_s: float, until_s: float) -> list[Stall]:
    # Any overlap: the first packets after a stall come in a bunch.
    return [stall for stall in stalls if stall.at_s < until_s and stall.at_s + stall.lasted_s > from_s]


def _told(stalls: Sequence[Stall]) -> str | None:
    if not stalls:
        return None
    # The longest, told in the order they came.
    longest = sorted(sorted(stalls, key=lambda stall: -stall.lasted_s)[:_TOLD], key=lambda stall: stall.at_s)
    when = [f"for {stall.lasted_s:.2f} s at {stall.at_s:.2f} s" for stall in longest]
    more = f" and {len(stalls) - _TOLD} times more" if len(stalls) > _TOLD else ""
    return f"this machine stopped {', '.join(when)}{more}"
