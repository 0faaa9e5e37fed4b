"""What a call leaves of one party's messages to another: what was sent, what SCTP did with it, what was delivered.

Facts:
    SCTP numbers the pieces of messages (TSN, RFC 9260 §3.3.1) and acknowledges those; a piece that was not is sent
    again when the sender's timer expires (T3-rtx, §6.3.3), or when three acknowledgements miss it (fast retransmit,
    §7.2.4). A piece that came is delivered when its message is whole and, in order, when those before it were.

Rule: plain data; instants are seconds since the call's epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["CameMessages", "Chunk", "Delivered", "Passed", "Posted", "SaidMessages", "Timeout", "Why"]

Why = Literal["", "T3-rtx", "fast retransmit"]
"""Why a piece left: for the first time, or again, by what rule (RFC 9260 §6.3.3, §7.2.4)."""


class Posted(NamedTuple):
    """A message that was ``due_s``, and given to its channel ``posted_s`` (None: never). ``fault`` says why not."""

    number: int
    due_s: float
    size_bytes: int
    posted_s: float | None
    fault: str = ""


class Chunk(NamedTuple):
    """A piece of a message that left, or came for the first time, on a ``stream``: ``begins`` and ``ends`` one.

    ``number`` is that of the message that begins with it (None: it begins none of ours).
    """

    at_s: float
    tsn: int
    begins: bool
    ends: bool
    number: int | None
    why: Why = ""
    # Of the association, not a number of ours: even or odd by who opened it (RFC 8832 §6).
    stream: int = 0


class Timeout(NamedTuple):
    """A timer that expired before the channel was open: ``what`` was sent again, ``from_s`` to ``at_s`` after that."""

    what: Literal["T1-init", "T1-cookie", "T3-rtx", "fast retransmit"]
    from_s: float
    at_s: float


class Delivered(NamedTuple):
    """Something that a channel delivered: whose number it bears (None: nobody's), its size, what is wrong with it."""

    at_s: float
    number: int | None
    size_bytes: int
    wrong: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SaidMessages:
    """What one party sent another: every message, by number, and every piece that left.

    The channel was ``opened_s`` (None: never; ``state`` is how far SCTP had come). ``opening`` are the timers that
    expired before. ``abandoned`` are the TSNs that SCTP gave up (RFC 3758). ``ordered``: delivered in the order sent.
    """

    party: str
    messages: Sequence[Posted]
    left: Sequence[Chunk]
    begun_s: float
    opened_s: float | None
    state: str = ""
    opening: Sequence[Timeout] = ()
    abandoned: frozenset[int] = frozenset()
    ordered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passed:
    """What went through a server of ours: pieces that came, what it took of them and sent on at once, pieces that left.

    ``abandoned`` are the TSNs that it gave up.
    """

    chunks: Sequence[Chunk]
    delivered: Sequence[Delivered]
    left: Sequence[Chunk]
    abandoned: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameMessages:
    """What came of them: every piece when it came first, and all that was delivered, in that order.

    ``via`` are the servers of ours that they passed, in that order; ``forwarded``: somebody else's stood between.
    ``meant`` are the numbers of those that were for whoever took them (None: all of them).
    """

    listener: str
    chunks: Sequence[Chunk]
    delivered: Sequence[Delivered]
    via: Sequence[Passed] = ()
    meant: frozenset[int] | None = None
    forwarded: bool = False
