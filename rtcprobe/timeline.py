"""Where the time of a join went: milestones, the phases between them, and the timers that fired while it waited.

Facts:
    Under loss a join is not a smooth distribution but a sum of timer steps: a lost STUN check costs 0.5 s (RFC 8489
    §6.2.1, initial RTO), a lost DTLS flight the handshake timer (RFC 6347 §4.2.4.1: 1 s), a lost TCP segment its RTO
    (RFC 6298). Naming the step that was paid is worth more than the total.

Rules:
    1. Phases are contiguous: each begins where the latest milestone before it ended, so they sum to the total.
    2. A wait is the span from a transmission to its retransmission. It cost the join that span, unless an earlier
       copy had arrived after all (then the retransmission was spurious, and cost nothing).
    3. Costs never overlap: where two timers ran at once, the earlier takes the common part. So the costs of a join
       never sum to more than the join.
    4. A timer costs nothing while something before it is still awaited: a connectivity check until the answer has come,
       a handshake flight until both sides have a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Literal, NamedTuple

__all__ = [
    "CALLEE_ORDER",
    "CALLER_ORDER",
    "OUTSIDE_ORDER",
    "PHASE_OF",
    "VIDEO_ORDER",
    "Cost",
    "Side",
    "Stop",
    "Timeline",
    "Timer",
    "Wait",
    "answers",
    "flight_waits",
    "phases",
    "price",
]

Timer = Literal["stun", "dtls", "signaling"]
Side = str
"""Whose it is: a party's name. Of a call of two that nobody named, ``"caller"`` and ``"callee"``."""

# In the order of a join as it usually goes. Gathering and the offer may come in either order (trickle ICE,
# RFC 8838), which ``phases`` allows for: a milestone before the latest one takes no time of its own.
CALLER_ORDER = (
    "signaling_connected",
    "ice_gathered",
    "offer_sent",
    "answer_received",
    "ice_connected",
    "dtls_connected",
    "first_packet",
    "first_audio",
)
CALLEE_ORDER = (
    "signaling_connected",
    "offer_received",
    "ice_gathered",
    "answer_sent",
    "ice_connected",
    "dtls_connected",
    "first_packet",
    "first_audio",
)
VIDEO_ORDER = ("first_video_packet", "first_key_frame", "first_picture")
"""Beside those of sound, where somebody shows himself: a packet, a key frame that is whole, a picture on the screen."""
OUTSIDE_ORDER = ("dns_resolved", "tcp_connected", "tls_connected", *CALLER_ORDER)
"""A join to a real server; a target whose signalling takes more exchanges puts a milestone of each where it belongs."""

PHASE_OF: Mapping[str, str] = {
    "dns_resolved": "dns",
    "tcp_connected": "tcp",
    "tls_connected": "tls",
    "signaling_connected": "signaling",
    "ice_gathered": "gathering",
    "offer_sent": "offer",
    "answer_received": "answer",
    "ice_connected": "ice",
    "dtls_connected": "dtls",
    "first_packet": "media",
    "first_audio": "playout",
}
"""The joiner's milestone that ends each phase; a milestone that is not here ends a phase of its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A timer that fired: sent at ``from_s``, again at ``at_s``, seconds since the call started.

    ``needed`` is False when the copy sent at ``at_s`` was not the one that moved the join on: an earlier one had
    arrived after all.
    """

    timer: Timer
    side: Side
    what: str
    from_s: float
    at_s: float
    needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one retransmission cost the join, in seconds; 0 when it was spurious or something else was awaited."""

    wait: Wait
    cost_s: float


class Stop(NamedTuple):
    """Where a join ended that failed: the last milestone of the side that held it up, and the one that never came."""

    reached: str | None
    awaited: str


class Timeline:
    """Milestones of one side, in seconds since it began; the first mark of a name stands.

    ``order`` is the milestones in the order of a join, that of a loopback call unless told; ``begun_s`` is when this
    side began, seconds since the call started.
    """

    def __init__(self, side: Side, order: Sequence[str] | None = None) -> None:
        self.side = side
        self.order = order or (CALLER_ORDER if side == "caller" else CALLEE_ORDER)
        self.begun_s = 0.0
        self.marks: dict[str, float] = {}

    def begin(self, at_s: float) -> None:
        """Let this side begin ``at_s`` seconds after the call started."""
        self.begun_s = at_s

    def mark(self, milestone: str, at_s: float) -> None:
        """Note that ``milestone`` was reached ``at_s`` seconds after the call started."""
        if milestone not in self.order:
            raise ValueError(f"{milestone!r} is not a milestone of the {self.side}")
        # The first mark stands: a reconnect reaches the same milestones again, and was no part of the join.
        self.marks.setdefault(milestone, at_s - self.begun_s)

    def reached(self) -> str | None:
        """Return the furthest milestone reached, in the order of a join; None before the first."""
        return next((name for name in reversed(self.order) if name in self.marks), None)

    def awaited(self, optional: Iterable[str] = ()) -> str:
        """Return the first milestone not reached that is not ``optional``; the last of all where none is missing."""
        passed = {*optional, *self.marks}
        if "offer_sent" in passed:
            passed.add("ice_gathered")  # an offer that left waited for no candidates
        return next((name for name in self.order if name not in passed), self.order[-1])


def phases(marks: Mapping[str, float], order: Sequence[str] = CALLER_ORDER) -> dict[str, float]:
    """Return the joiner's phases in seconds, contiguous from 0 (rule 1); phases not reached are absent.

    A milestone that came after the last of ``order`` was no part of the join: who hears others may give his own
    microphone a second later.
    """
    out: dict[str, float] = {}
    latest_s, end_s = 0.0, marks.get(order[-1], inf)
    for milestone in order:
        if milestone not in marks or marks[milestone] > end_s:
            continue
        # Rule 1: what came out of order is nought long, and the next phase still begins at the latest instant
        # so far.
        out[PHASE_OF.get(milestone, milestone)] = max(0.0, marks[milestone] - latest_s)
        latest_s = max(latest_s, marks[milestone])
    return out


def price(waits: Iterable[Wait], *, total_s: float, not_before_s: Mapping[Timer, float] | None = None) -> list[Cost]:
    """Return each wait with what it cost a join of ``total_s`` seconds (rules 2 to 4), in order of retransmission.

    ``not_before_s`` says from when on each kind of timer can hold the join up (rule 4); at once where it says nothing.
    """
    begins_s = not_before_s or {}
    spans: list[tuple[float, float, Wait]] = []
    for wait in waits:
        start_s = max(wait.from_s, begins_s.get(wait.timer, 0.0))
        # Nothing costs beyond the end of the join, and a spurious one is a span of no length: it stays in the
        # list, at 0 s.
        spans.append((start_s, min(wait.at_s, total_s) if wait.needed else start_s, wait))
    out: list[Cost] = []
    # Rule 3 in one pass: sorted by beginning, each pays for what lies behind all that was paid for before.
    covered_s = 0.0
    for start_s, end_s, wait in sorted(spans, key=lambda span: span[:2]):
        cost_s = max(0.0, end_s - max(start_s, covered_s))
        covered_s = max(covered_s, end_s) if cost_s else covered_s
        out.append(Cost(wait=wait, cost_s=cost_s))
    return sorted(out, key=lambda each: each.wait.at_s)


def flight_waits(
    side: Side, flights_s: Iterable[Sequence[float]], progress_s: Sequence[float], least_s: float | None
) -> list[Wait]:
    """Return a handshake's retransmissions, each as the wait that ended with it.

    ``flights_s`` is when every copy of each flight left; ``progress_s`` when the other side's handshake moved on: a
    flight is answered by the first of these after it left, ``least_s`` later at the soonest (None: not known).
    """
    waits: list[Wait] = []
    for copies_s in flights_s:
        # After the first copy: that one may have brought the answer, and the later ones may have been in
        # vain.
        answered_s = next((each for each in progress_s if each > copies_s[0]), None)
        waits += [
            Wait(
                timer="dtls",
                side=side,
                what="handshake flight",
                from_s=from_s,
                at_s=at_s,
                needed=answers(at_s, answered_s, least_s),
            )
            for from_s, at_s in pairwise(copies_s)
        ]
    return waits


def answers(copy_s: float, answered_s: float | None, least_s: float | None) -> bool:
    """Return whether what was sent at ``copy_s`` can have brought the answer of ``answered_s``.

    It cannot when less than ``least_s`` lies between them, the fastest way there (and back) that was seen; a tenth
    less is allowed for, because the fastest may not have been seen. Unanswered, or nothing seen: it is taken to.
    """
    return answered_s is None or least_s is None or answered_s - copy_s >= 0.9 * least_s
