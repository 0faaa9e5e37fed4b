"""What messages a party sends: how often, how large, over what kind of channel; and their timetable in a call.

Facts:
    A channel is ordered or not, and reliable, or gives a message up after so many retransmissions or so long (RFC 8831
    §6.1, RFC 8832 §5.1; one limit, not both: W3C webrtc-pc §6.2).

    Priority has four levels, each with twice the share of the one below (RFC 8835 §4.1); an application that says
    nothing gets ``low`` (W3C webrtc-priority §4), as its sound does.

Rules:
    1. Messages sent by rate begin when their channel has opened, as an application's do. Those with an instant of their
       own (a list, cues) are due then, and one due before waits for the channel.
    2. ``even``: the first one a drawn part of an interval after that, then one an interval. ``random``: a Poisson
       process of that rate, as many people's messages are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.messages.text import HEADER_BYTES
from rtcprobe.units import format_duration, parse_bytes, parse_duration

__all__ = [
    "LARGEST_BYTES",
    "PRIORITIES",
    "SMALLEST_BYTES",
    "WEIGHTS",
    "Due",
    "MessagePlan",
    "Priority",
    "parse_due",
    "parse_frequency",
]

Priority = Literal["very-low", "low", "medium", "high"]
"""W3C's ``RTCPriorityType``."""

WEIGHTS: Final[Mapping[Priority, float]] = {"very-low": 0.5, "low": 1.0, "medium": 2.0, "high": 4.0}
"""The share of a stream to those of the others (RFC 8835 §4.1)."""

PRIORITIES: Final[Mapping[Priority, int]] = {"very-low": 128, "low": 256, "medium": 512, "high": 1024}
"""What a channel is announced with (RFC 8831 §6.4)."""

SMALLEST_BYTES: Final = HEADER_BYTES
LARGEST_BYTES: Final = 262_144
"""What aiortc says that it takes (``a=max-message-size``, RFC 8841 §6); Chromium says the same."""

# A message each millisecond: every one of them is kept, with each of its pieces.
MOST_HZ: Final = 1_000.0
MOST_IN_A_CALL: Final = 100_000  # of one party: a rate of 1,000 a second for 100 s
MOST_BYTES_IN_A_CALL: Final = 20_000_000
"""More than one party says in a call of ours; what a channel cannot send at once waits in it whole."""
_MOST_RETRANSMITS: Final = 65_535
_LONGEST_LIFE_S: Final = 65.535
"""Limits of W3C's ``RTCDataChannelInit``: ``maxRetransmits`` and ``maxPacketLifeTime`` are unsigned short."""

# frequency = number "/" ( "s" / "min" / "h" )
_FREQUENCY: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?/ ?(s|min|h)")
_PER_S: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Due(NamedTuple):
    """A message that is due ``at_s``, and its size."""

    at_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePlan:
    """A party's messages and their channel.

    ``rate_hz`` a second (0: none by rate) of ``size_bytes`` each, and ``listed`` ones beside them. Without a limit
    (``max_retransmits``, ``max_lifetime_s``) the channel is reliable. Without a ``priority`` nobody schedules: what is
    sent leaves in the order it was sent in, beside sound and picture, as browsers have it.

    Raises:
        BadInputError: what no channel could carry.
    """

    rate_hz: float = 0.0
    size_bytes: int = 200
    spread: Literal["even", "random"] = "even"
    listed: tuple[Due, ...] = ()
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime_s: float | None = None
    priority: Priority | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate_hz <= MOST_HZ:
            raise BadInputError(f"rate {self.rate_hz:g}/s is impossible", f"give up to {MOST_HZ:g}/s")
        for size_bytes in (self.size_bytes, *(each.size_bytes for each in self.listed)):
            if not SMALLEST_BYTES <= size_bytes <= LARGEST_BYTES:
                raise BadInputError(
                    f"size {size_bytes}B is impossible", f"give {SMALLEST_BYTES}B to {LARGEST_BYTES // 1024}KiB"
                )
        # An OPEN has one word for either, and its type says which it is (RFC 8832 §5.1).
        if self.max_retransmits is not None and self.max_lifetime_s is not None:
            raise BadInputError(
                f"max_retransmits {self.max_retransmits} and max_lifetime {format_duration(self.max_lifetime_s)} "
                "are both given",
                "a channel has one limit: leave one out",
            )
        if self.max_retransmits is not None and not 0 <= self.max_retransmits <= _MOST_RETRANSMITS:
            raise BadInputError(
                f"max_retransmits {self.max_retransmits} is impossible", f"give 0 to {_MOST_RETRANSMITS}"
            )
        if self.max_lifetime_s is not None and not 0.001 <= self.max_lifetime_s <= _LONGEST_LIFE_S:
            raise BadInputError(
                f"max_lifetime {format_duration(self.max_lifetime_s)} is impossible", "give 1ms to 65.535s"
            )

    def __str__(self) -> str:
        """As one reads it: ``"5/s of 200B, ordered, reliable"``."""
        often = f"{self.rate_hz:g}/s of {self.size_bytes}B" if self.rate_hz else f"{self.size_bytes}B each"
        return f"{often}, {self.kind}"

    @property
    def kind(self) -> str:
        """The kind of channel: ``"ordered, reliable"``."""
        order = "ordered" if self.ordered else "unordered"
        if self.priority is not None:
            order = f"priority {self.priority}, {order}"
        if self.max_retransmits is not None:
            return f"{order}, at most {self.max_retransmits} retransmissions"
        if self.max_lifetime_s is not None:
            return f"{order}, {format_duration(self.max_lifetime_s)} at most"
        return f"{order}, reliable"

    def by_rate(self, lasts_s: float, chance: np.random.Generator) -> tuple[Due, ...]:
        """Return the messages sent by rate within ``lasts_s``, counted from the opening of the channel."""
        if not self.rate_hz:
            return ()
        expected = lasts_s * self.rate_hz
        if self.spread == "even":
            first = float(chance.random())
            # One more than are expected, for the first may be due at once; what lies beyond the end is cut below.
            instants = (first + np.arange(int(expected) + 1)) / self.rate_hz
        else:
            # Ten standard deviations more than are expected: all that a Poisson process can have in that time.
            count = int(expected + 10.0 * expected**0.5) + 10
            instants = np.cumsum(chance.exponential(1.0 / self.rate_hz, size=count))
        return tuple(Due(at_s, self.size_bytes) for at_s in instants[instants < lasts_s].tolist())

    def check_within(self, lasts_s: float) -> None:
        """Refuse this plan for calls of ``lasts_s``.

        Raises:
            BadInputError: more messages than a call's record holds.
        """
        count = self.rate_hz * lasts_s
        if count > MOST_IN_A_CALL:
            raise BadInputError(
                f"rate {self.rate_hz:g}/s is {count:,.0f} messages in a call of {format_duration(lasts_s)}",
                f"every one of them is kept: give {MOST_IN_A_CALL:,} or fewer",
            )
        whole = count * self.size_bytes + sum(each.size_bytes for each in self.listed)
        if whole > MOST_BYTES_IN_A_CALL:
            raise BadInputError(
                f"messages of {whole / 1e6:,.0f} MB in a call of {format_duration(lasts_s)} are too many",
                f"give {MOST_BYTES_IN_A_CALL / 1e6:.0f} MB or less: fewer, or smaller ones",
            )


def parse_frequency(text: object) -> float:
    """Return how often a second, from ``"5/s"`` or ``"12/min"``.

    Raises:
        BadInputError: it cannot be read.
    """
    found = _FREQUENCY.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise BadInputError(f"rate {text!r} cannot be read", "write it like 5/s, or 12/min")
    return float(found[1]) / _PER_S[found[2]]


def parse_due(text: object) -> Due:
    """Return the message that ``"2kB at 1.5s"`` says.

    Raises:
        BadInputError: it cannot be read, or is before the call.
    """
    words = text.split() if isinstance(text, str) else []
    # A size before it and an instant behind: both may be of two words ("200 B at 1.5 s").
    if "at" not in words[1:-1]:
        raise BadInputError(f"message {text!r} cannot be read", "write it like 200B at 1.5s")
    try:
        place = words.index("at")
        due = Due(at_s=parse_duration(" ".join(words[place + 1 :])), size_bytes=parse_bytes(" ".join(words[:place])))
    except BadInputError as error:
        raise error.within(f"message {text!r}") from error
    if due.at_s < 0.0:
        raise BadInputError(f"message {text!r} is before the call", "give 0ms or more")
    return due


def listed_of(lines: Sequence[str]) -> tuple[Due, ...]:
    """Return the messages that ``lines`` say, by instant."""
    return tuple(sorted((parse_due(line) for line in lines), key=lambda each: each.at_s))
