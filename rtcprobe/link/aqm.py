"""Active queue management: a queue that drops or marks before it is full.

Facts:
    ===========  ==============================================================================================
    codel        drops when packets have waited ``target`` or longer for a whole ``interval``, then ever faster:
                 the next drop comes interval / √count after the last
    pi2          drops with probability p², marks L4S packets with k·p, where every 16 ms
                 p += α (wait - target) + β (wait - wait before), held to 0..1
    ecn-ramp     marks L4S packets with (wait - target) / (max - target), held to 0..1; drops nothing
    ===========  ==============================================================================================

    A packet of a sender that understands ECN (RFC 3168, ``ecn: ect0`` or ``ect1``) is marked instead of dropped;
    ``ect1`` says that it wants the finer marks of L4S (RFC 9331). Nothing in aiortc sees a mark or slows down, so marks
    are counted, not answered: a call that overloads a marking queue runs into its limit. Nor does it answer drops. PI²
    finds the share to drop whatever it is; CoDel, made for senders that do answer, keeps 2 % too much at 5 to 7 ms, but
    of 25 % too much it lets half a second stand before it has caught up.

Rules:
    1. All is known at the door. CoDel and the ramp decide by how long the packet has waited when its turn to be sent
       comes, and everyone before it is sealed. What CoDel drops has stood in the queue but takes no time of the line.
    2. CoDel spares a queue of a single packet, which matters where a packet takes longer to send than the target, and
       which later arrivals would decide. Instead the targets of codel and pi2 are never less than the largest packet
       so far takes to send (RFC 8290 §5.2 asks for such a target); below it a slow line would idle and drop at once.
    3. pi2 is the controller of DualPI2 with one queue shared by all, as De Schepper et al. had it first: a packet of
       L4S cannot be let past others whose fate is sealed. Nor is there the step of libwebrtc's two queues (all dropped
       or marked from twice the target on): the limit bounds the queue. Wait is what a packet coming then would find.

Sources: RFC 8289 §5 (CoDel), RFC 9332 Appendix A (PI², its figures), K. De Schepper et al., "PI²", CoNEXT 2016,
libwebrtc ``dual_pi2_network_queue.cc`` and ``leaky_bucket_network_queue.cc`` (the ramp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple, Protocol

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.link.streams import uniforms
from rtcprobe.units import format_duration

__all__ = ["Aqm", "CoDel", "Controller", "Ecn", "EcnRamp", "Pi2", "Turn", "Verdict"]

Ecn = Literal["none", "ect0", "ect1"]
"""What the IP header of a packet says of ECN. Source: RFC 3168 §5, RFC 9331 §4."""

Verdict = Literal["pass", "mark", "drop"]

# Longer than any queue is deep: a target or interval beyond that would never act.
_LONGEST_S: Final = 60.0


class Turn(NamedTuple):
    """A packet whose turn in the queue is known: offered, and taken out to be sent, at these times (seconds).

    ``free_s`` is when the line is done with everyone before it (and a bucket has its tokens), ``largest_s`` how long it
    sends the largest packet.
    """

    offered_s: float
    taken_s: float
    free_s: float
    largest_s: float
    ecn: Ecn


class Controller(Protocol):
    """The running state of an AQM."""

    waits: ClassVar[bool]
    """Whether what it drops has stood in the queue until its turn; else it never entered."""

    def judge(self, turn: Turn) -> Verdict:
        """Return what becomes of a packet."""
        ...


class Aqm(Protocol):
    """What was asked of an AQM."""

    def controller(self, rng: np.random.Generator) -> Controller:
        """Return it, at rest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CoDel:
    """CoDel; the defaults are those of RFC 8289 §4.

    Raises:
        BadInputError: no target, or one no shorter than the interval.
    """

    target_s: float = 0.005
    interval_s: float = 0.100

    def __post_init__(self) -> None:
        _need_target(self.target_s)
        if not self.target_s < self.interval_s <= _LONGEST_S:
            raise BadInputError(
                f"aqm_interval {format_duration(self.interval_s)} is impossible",
                f"give more than aqm_target {format_duration(self.target_s)}, up to 60s",
            )

    def controller(self, rng: np.random.Generator) -> Controller:
        """Return it, at rest."""
        del rng
        return _CoDel(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pi2:
    """Coupled PI². The target is RFC 9332's for a queue of classic traffic; libwebrtc's own default is 0.5 ms.

    Raises:
        BadInputError: no target.
    """

    target_s: float = 0.015

    def __post_init__(self) -> None:
        _need_target(self.target_s)

    def controller(self, rng: np.random.Generator) -> Controller:
        """Return it, at rest."""
        return _Pi2(self, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcnRamp:
    """Marks that rise with the wait, from ``target_s`` to ``max_s``.

    The defaults are those libwebrtc tests its congestion feedback with (``feedback_generator``); its queue has none.

    Raises:
        BadInputError: no target, or a maximum no longer than it.
    """

    target_s: float = 0.004
    max_s: float = 0.008

    def __post_init__(self) -> None:
        _need_target(self.target_s)
        if not self.target_s < self.max_s <= _LONGEST_S:
            raise BadInputError(
                f"aqm_max {format_duration(self.max_s)} is impossible",
                f"give more than aqm_target {format_duration(self.target_s)}, up to 60s",
            )

    def controller(self, rng: np.random.Generator) -> Controller:
        """Return it, at rest."""
        return _EcnRamp(self, rng)


def _need_target(target_s: float) -> None:
    if not 0 < target_s <= _LONGEST_S:
        raise BadInputError(f"aqm_target {format_duration(target_s)} is impossible", "give more than 0ms, up to 60s")


class _CoDel:
    """RFC 8289 §5, packet by packet.

    ``_above_s`` is when the wait will have been too long for an interval, ``_due_s`` when the next drop is due, and
    ``_owed`` that it is later than that, should the packet after the last drop have waited too long as well.
    """

    waits: ClassVar[bool] = True

    def __init__(self, asked: CoDel) -> None:
        self._target_s = asked.target_s
        self._interval_s = asked.interval_s
        self._above_s: float | None = None
        # State between two drops: dropping or not, when the next is due, how many there were, and how many
        # there had been when this spell began, which says where a next spell goes on.
        self._dropping = False
        self._due_s = -math.inf
        self._owed = False
        self._count = 0
        self._last_count = 0

    def judge(self, turn: Turn) -> Verdict:
        if not self._acts(turn):
            return "pass"
        return "drop" if turn.ecn == "none" else "mark"

    def _acts(self, turn: Turn) -> bool:
        now_s = turn.taken_s
        too_long = self._too_long(turn)
        if self._dropping:
            if not too_long:
                self._dropping = self._owed = False
                return False
            # The drop that is due is reckoned from the last due one, not from now (control_law in RFC 8289, section 5).
            if self._owed:
                self._due_s += self._interval_s / math.sqrt(self._count)
                self._owed = False
            if now_s < self._due_s:
                return False
            self._count += 1
            self._owed = True
            return True
        if not too_long:
            return False
        # Too long again soon after: go on nearly where it stopped (RFC 8289 §5, as Linux does it).
        # "Soon" is 16 intervals in the RFC's pseudocode, as in Linux.
        since = self._count - self._last_count
        self._count = since if since > 1 and now_s - self._due_s < 16 * self._interval_s else 1
        self._last_count = self._count
        self._due_s = now_s + self._interval_s / math.sqrt(self._count)
        self._dropping = True
        return True

    def _too_long(self, turn: Turn) -> bool:
        # Once below the target is enough: CoDel asks whether a standing queue stays, not how long it is at
        # its worst.
        if turn.taken_s - turn.offered_s < max(self._target_s, turn.largest_s):
            self._above_s = None
            return False
        # Too long for the first time: it has an interval to become better.
        if self._above_s is None:
            self._above_s = turn.taken_s + self._interval_s
            return False
        return turn.taken_s >= self._above_s


# Linear in seconds: 15 ms over the target add 0.0024 to p at each update, a queue that grows by 1 ms from one
# update to the next 0.0032; the second is what damps it.
_UPDATE_S: Final = 0.016
_ALPHA: Final = 0.16
_BETA: Final = 3.2
_COUPLING: Final = 2.0
"""PI²'s figures per second of wait. Source: RFC 9332 Appendix A.1; the same in libwebrtc."""


class _Pi2:
    waits: ClassVar[bool] = False

    def __init__(self, asked: Pi2, rng: np.random.Generator) -> None:
        self._target_s = asked.target_s
        self._uniforms = uniforms(rng)
        self._p = 0.0
        self._wait_s = 0.0
        self._updated_s: float | None = None

    def judge(self, turn: Turn) -> Verdict:
        self._update(turn.offered_s, turn.free_s, max(self._target_s, turn.largest_s))
        # Squared for those who halve on a loss, linear for those who count marks: so both get the same rate (RFC 9332,
        # 2.1).
        chance = min(1.0, _COUPLING * self._p) if turn.ecn == "ect1" else self._p**2
        if next(self._uniforms) >= chance:
            return "pass"
        return "drop" if turn.ecn == "none" else "mark"

    def _update(self, now_s: float, free_s: float, target_s: float) -> None:
        """Make every update due by ``now_s``; nobody has come since the last, so the wait only ran out."""
        # Updates are on a grid of 16 ms that begins with the first packet, as a timer that is started with
        # the queue.
        if self._updated_s is None:
            self._updated_s = now_s
        due = int((now_s - self._updated_s) / _UPDATE_S)
        # One by one, for beta takes the difference from update to update: a single one for all would see no trend.
        for done in range(due):
            at_s = self._updated_s + (done + 1) * _UPDATE_S
            wait_s = max(0.0, free_s - at_s)
            change = _ALPHA * (wait_s - target_s) + _BETA * (wait_s - self._wait_s)
            self._p = min(1.0, max(0.0, self._p + change))
            self._wait_s = wait_s
            if self._p == wait_s == 0:
                break  # and so it stays
        if due > 0:
            self._updated_s += due * _UPDATE_S


class _EcnRamp:
    waits: ClassVar[bool] = True

    def __init__(self, asked: EcnRamp, rng: np.random.Generator) -> None:
        self._target_s = asked.target_s
        self._over_s = asked.max_s - asked.target_s
        self._uniforms = uniforms(rng)

    def judge(self, turn: Turn) -> Verdict:
        # Who does not ask for L4S passes unseen: the ramp has no drop to offer instead.
        if turn.ecn != "ect1":
            return "pass"
        # Below the target negative, beyond the maximum above 1: neither needs a bound, for the number lies in
        # 0..1. It is drawn in any case, so that who comes after meets the same numbers.
        share = (turn.taken_s - turn.offered_s - self._target_s) / self._over_s
        return "mark" if next(self._uniforms) < share else "pass"
