"""What became of each message, and where its delay went: arithmetic on what a call leaves.

Facts:
    Of a message in several pieces the last one to come decides when it is whole. Where that piece left more than once,
    the copy that came is the latest that could have: SCTP does not say which.

Rules:
    1. Every message sent has one fate: *heard*, delivered as it was sent; *rejected*, delivered otherwise; or *lost*.
    2. A delay is from when a message was due until it was delivered, and is the sum of its stages: ``opening``, waiting
       for the channel; ``queue``, in the sender, for congestion window and scheduler; ``retransmission``, from its
       first leaving to that of the copy that came; the network, its least and what it varied; and ``head_of_line``,
       whole at the receiver, waiting for an earlier one.
    3. In line waits who was whole before the message before was delivered: the time a receiver takes to hand over whose
       turn it is (microseconds, on the real clock) is the network's.
    4. Where somebody forwards, what leaves and what comes have numbers of their own: what lies between them is one
       stage, ``network_and_server``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from rtcprobe.messages.recorded import CameMessages, Chunk, Delivered, Posted, SaidMessages, Why

__all__ = ["Delivery", "Resent", "deliveries"]

# TSNs have 32 bits, and begin anywhere (RFC 9260 §3.3.1).
_CYCLE: Final = 2**32
_NOTHING: Final = 1e-6
"""Instants no further apart are one: virtual time counts nanoseconds."""

Fate = Literal["heard", "rejected", "lost"]


class Resent(NamedTuple):
    """A piece that left again: by which rule, and since when it had been waited for."""

    why: Why
    from_s: float
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message: ``why`` says what was wrong where it is not heard; ``stages`` sum to its delay.

    ``network_s`` is how long the piece took that made it whole, the fastest way included.
    """

    number: int
    due_s: float
    size_bytes: int
    fate: Fate
    why: str = ""
    delivered_s: float | None = None
    opening_s: float = 0.0
    queue_s: float = 0.0
    retransmission_s: float = 0.0
    network_s: float = 0.0
    head_of_line_s: float = 0.0
    resent: Sequence[Resent] = field(default_factory=tuple)

    @property
    def delay_s(self) -> float:
        """From due to delivered; 0 where it never was."""
        return 0.0 if self.delivered_s is None else self.delivered_s - self.due_s


def deliveries(said: SaidMessages, came: CameMessages) -> list[Delivery]:
    """Return what became of every message of ``said`` that was meant for who took them, in the order of numbers."""
    trace = _Trace(said, came)
    found = [trace.of(each) for each in said.messages]  # those not meant for it hold others up all the same
    return [each for each in found if came.meant is None or each.number in came.meant]


class _Trace:
    """The hops that messages took, one where no server of ours was between."""

    def __init__(self, said: SaidMessages, came: CameMessages) -> None:
        self._said = said
        self._delivered = _first_delivered(came.delivered)
        # A hop is from one end's departures to the next end's arrivals: the
        # writer's, then each server's, then the reader's.
        left = [(said.left, said.abandoned), *((each.left, each.abandoned) for each in came.via)]
        ends = [*((each.chunks, each.delivered) for each in came.via), (came.chunks, came.delivered)]
        self._hops = [
            _Hop(*there, *end, ordered=said.ordered, blind=came.forwarded)
            for there, end in zip(left, ends, strict=True)
        ]

    def of(self, posted: Posted) -> Delivery:
        """Return what became of one message; asked in the order of their numbers."""
        number, delivered = posted.number, self._delivered.get(posted.number)
        fate, why = _fate(posted, delivered, self._said, given_up=any(hop.gave_up(number) for hop in self._hops))
        plain = Delivery(
            number=number,
            due_s=posted.due_s,
            size_bytes=posted.size_bytes,
            fate=fate,
            why=why,
            resent=tuple(again for hop in self._hops for again in hop.resent(number)),
        )
        at_s, parts = posted.due_s, list[_Parts]()
        at_s += max(0.0, (self._said.opened_s or 0.0) - posted.due_s)
        opening_s = at_s - posted.due_s
        for hop in self._hops:
            handed_s, each = hop.take(number, at_s, posted=posted.posted_s is not None)
            if handed_s is None:
                return plain
            at_s = handed_s
            parts.append(each)
        if delivered is None:
            return plain
        return replace(
            plain,
            delivered_s=delivered.at_s,
            opening_s=opening_s,
            queue_s=math.fsum(each.queue_s for each in parts),
            retransmission_s=math.fsum(each.retransmission_s for each in parts),
            network_s=math.fsum(each.network_s for each in parts),
            head_of_line_s=math.fsum(each.head_of_line_s for each in parts),
        )


class _Parts(NamedTuple):
    """Where the time on one hop went."""

    queue_s: float = 0.0
    retransmission_s: float = 0.0
    network_s: float = 0.0
    head_of_line_s: float = 0.0


class _Hop:
    """One association: pieces that left at one end, came at the other, and when what was handed over.

    ``blind``: somebody else's server is between both ends, and numbers the pieces anew (rule 4).
    """

    def __init__(
        self,
        left: Sequence[Chunk],
        abandoned: frozenset[int],
        came: Sequence[Chunk],
        delivered: Sequence[Delivered],
        *,
        ordered: bool,
        blind: bool,
    ) -> None:
        self._ordered, self._blind, self._abandoned = ordered, blind, abandoned
        self._left, self._sent = _copies(left), _pieces(left)
        self._begun = {each.number: each.tsn for each in left if each.number is not None}
        self._arrived = _pieces(came) if blind else self._sent
        self._at_s = {chunk.tsn: chunk.at_s for chunk in came}
        self._delivered = _first_delivered(delivered)
        self._earlier_s = -math.inf
        """When the message before was delivered; one that never came holds up the next until that is."""
        direct = () if blind else self._left.items()
        ways_s = (self._at_s[tsn] - copies[0].at_s for tsn, copies in direct if tsn in self._at_s)
        self._least_s = min(ways_s, default=0.0)

    def gave_up(self, number: int) -> bool:
        """Return whether SCTP gave a message up here."""
        return self._begun.get(number) in self._abandoned

    def resent(self, number: int) -> Iterable[Resent]:
        """Yield every time a piece of a message left again."""
        for tsn in self._sent.get(number, ()):
            for before, again in pairwise(self._left[tsn]):
                yield Resent(again.why, before.at_s, again.at_s)

    def take(self, number: int, from_s: float, *, posted: bool) -> tuple[float | None, _Parts]:
        """Return when a message that was there ``from_s`` was handed over (None: never), and where its time went."""
        delivered = self._delivered.get(number)
        if delivered is None:
            # A message that was sent and never came holds up all behind it; one that was never sent holds up nobody.
            self._earlier_s = math.inf if posted else self._earlier_s
            return None, _Parts()
        sent, there = self._sent.get(number, ()), self._arrived.get(number, ())
        # Asked in the order of numbers: so this is the message before, whichever came first.
        earlier_s, self._earlier_s = self._earlier_s, delivered.at_s
        if not sent or not there or any(tsn not in self._at_s for tsn in there):
            # Pieces say nothing of it: all of its delay is the network's.
            return delivered.at_s, _Parts(network_s=delivered.at_s - from_s)
        whole_s, began_s, again_s = self._way(sent, there)
        # Nothing kept it: what lies between whole and delivered is the
        # receiver's own work, and goes to the network (rule 3).
        if not self._ordered or earlier_s <= whole_s + _NOTHING:
            whole_s = delivered.at_s
        parts = _Parts(began_s - from_s, again_s - began_s, whole_s - again_s, delivered.at_s - whole_s)
        return delivered.at_s, parts

    def _way(self, sent: Sequence[int], there: Sequence[int]) -> tuple[float, float, float]:
        """Return when a message was whole, when what made it so left first, and when the copy left that came."""
        last = max(there, key=lambda tsn: self._at_s[tsn])
        whole_s = self._at_s[last]
        # Between numbers of two associations nothing can be matched: only when
        # the last piece left is known, and when it came.
        if self._blind:
            began_s = max(self._left[tsn][0].at_s for tsn in sent)
            return whole_s, began_s, began_s
        copies_s = [chunk.at_s for chunk in self._left[last]]
        # A copy that left later than the fastest way ago cannot be the one that came.
        fit_s = (each for each in reversed(copies_s) if whole_s - each >= self._least_s - _NOTHING)
        return whole_s, copies_s[0], next(fit_s, copies_s[0])


def _fate(posted: Posted, delivered: Delivered | None, said: SaidMessages, *, given_up: bool) -> tuple[Fate, str]:
    """Return what became of a message, and why where it is not heard."""
    if delivered is not None:
        if delivered.size_bytes != posted.size_bytes:
            return "rejected", "longer than sent" if delivered.size_bytes > posted.size_bytes else "cut short"
        return ("rejected", delivered.wrong) if delivered.wrong else ("heard", "")
    if posted.fault:
        return "lost", posted.fault
    if posted.posted_s is None:
        return "lost", "the channel never opened" if said.opened_s is None else "not sent before the end"
    return "lost", "given up" if given_up else "not delivered before the end"


def _copies(left: Iterable[Chunk]) -> dict[int, list[Chunk]]:
    """Return every copy of each piece, by its number, in the order they left."""
    found: dict[int, list[Chunk]] = {}
    for chunk in left:
        found.setdefault(chunk.tsn, []).append(chunk)
    return found


def _pieces(chunks: Iterable[Chunk]) -> dict[int, Sequence[int]]:
    """Return the pieces of each message by its number: those of which all are known, and follow one another."""
    known = {chunk.tsn: chunk for chunk in chunks}
    found: dict[int, Sequence[int]] = {}
    for tsn, chunk in known.items():
        if not chunk.begins or chunk.number is None:
            continue
        pieces = [tsn]
        # Fragments of one message have TSNs in sequence (RFC 9260 §6.9): where
        # one is unknown, nothing is said of the message.
        while not known[pieces[-1]].ends and (pieces[-1] + 1) % _CYCLE in known:
            pieces.append((pieces[-1] + 1) % _CYCLE)
        if known[pieces[-1]].ends:
            found.setdefault(chunk.number, pieces)
    return found


def _first_delivered(delivered: Iterable[Delivered]) -> dict[int, Delivered]:
    """Return what came first under each number."""
    found: dict[int, Delivered] = {}
    for each in delivered:
        if each.number is not None:
            found.setdefault(each.number, each)
    return found
