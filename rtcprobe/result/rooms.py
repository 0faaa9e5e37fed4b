"""What a run says of a room: what happened in it, and the figures that no single way has.

Facts:
    A pair of a room is a way, and has an account. What is here is about several ways at once: how far apart the
    listeners of one talker hear the same word, how long a newcomer to the stage waits to be heard, who falls into whose
    words.

Rule: delays are seconds; a figure of several calls has the 95 % interval that rests on how they differ, of one call
    that which rests on how its own values do, None where neither says anything (``verdict.intervals``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtcprobe.result.plain import SPARSE
from rtcprobe.result.summary import Summary
from rtcprobe.secrets import NAME
from rtcprobe.ways import Way

__all__ = [
    "Entrance",
    "Exit",
    "GapShare",
    "GroupDelay",
    "GroupJoins",
    "Happening",
    "Newcomer",
    "Room",
    "Spread",
    "TalkOver",
    "Waited",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something a party did by a cue, ``at_s`` seconds since its call's epoch: the clock of spans and samples.

    ``does`` is a word of ``scenario.script.Does``.
    """

    party: str = field(metadata=NAME)
    does: str = field(metadata=NAME)
    at_s: float
    call: int = field(default=0, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far apart the listeners of one talker hear it, by their mean delays: who ``first``, who ``last``.

    ``apart`` is the same of every word that two or more of them heard: the latest delay less the soonest.
    """

    talker: str = field(metadata=NAME)
    first: str = field(metadata=NAME)
    last: str = field(metadata=NAME)
    first_s: float
    last_s: float
    low_s: float | None = None
    high_s: float | None = None
    # None where no word was heard by two, and in results from before it was counted.
    apart: Summary | None = None

    @property
    def spread_s(self) -> float:
        """What lies between the first and the last."""
        # By means, each over all that its listener heard; ``apart`` is word by word, and in the mean no smaller where
        # all heard the same words.
        return self.last_s - self.first_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """One listener's wait for a sound, seconds; None where it never came."""

    listener: str = field(metadata=NAME)
    wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A party that went on stage by a cue, and how long each listener waited, from the cue on, to hear it.

    ``pictures``: to see it, of a party that shows itself.
    """

    party: str = field(metadata=NAME)
    does: str = field(metadata=NAME)
    at_s: float
    call: int = field(default=0, metadata=SPARSE)
    waits: tuple[Waited, ...] = ()
    pictures: tuple[Waited, ...] = field(default=(), metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A host who left or fell silent by a cue: ``fading``, from the cue to its last sound at each listener.

    ``silences`` are how long each then heard no host at all, until the first sound of ``next``, the one most of them
    heard first (the same, where it came back; None: nobody).
    """

    party: str = field(metadata=NAME)
    does: str = field(metadata=NAME)
    at_s: float
    call: int = field(default=0, metadata=SPARSE)
    fading: tuple[Waited, ...] = ()
    silences: tuple[Waited, ...] = ()
    next: str | None = field(default=None, metadata=NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A party that joined while all went on, and its wait from the cue to the first sound it heard; None: never.

    ``picture_s`` is that to the first picture it saw; None where it saw none.
    """

    party: str = field(metadata=NAME)
    at_s: float
    wait_s: float | None
    call: int = field(default=0, metadata=SPARSE)
    picture_s: float | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapShare:
    """The share of all sound listened to that was made up in gaps of ``least_s`` or longer, and how many those were."""

    least_s: float
    share: float
    gaps: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkOver:
    """The window of two in which each may begin to speak not knowing that the other has: the sum of both delays.

    ``collision`` is a model: the chance that both begin within it, when each begins after a pause as a Poisson process
    of ``rate_hz``, 1 − exp(−rate · window).
    """

    one: str = field(metadata=NAME)
    other: str = field(metadata=NAME)
    window_s: float
    low_s: float | None = None
    high_s: float | None = None
    rate_hz: float
    # A model's figure beside a measured one: rate_hz is its assumption, and kept with it.
    collision: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupJoins:
    """The joins of everybody of one role (``"everybody"``: of all): to the first sound heard, and the share in time."""

    group: str = field(metadata=NAME)
    parties: int
    first_audio: Summary
    within_1s: float
    within_5s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDelay:
    """The mouth-to-ear delay from everybody of one role to everybody of another: all markers of those ``ways``."""

    talkers: str = field(metadata=NAME)
    listeners: str = field(metadata=NAME)
    ways: int
    worst: Way = field(metadata=NAME)
    delay: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is said of a room. ``entrances`` are those who went on stage, ``exits`` hosts who left it."""

    spreads: tuple[Spread, ...] = ()
    gaps: tuple[GapShare, ...] = ()
    joins: tuple[GroupJoins, ...] = ()
    delays: tuple[GroupDelay, ...] = field(default=(), metadata=SPARSE)
    entrances: tuple[Entrance, ...] = field(default=(), metadata=SPARSE)
    exits: tuple[Exit, ...] = field(default=(), metadata=SPARSE)
    newcomers: tuple[Newcomer, ...] = field(default=(), metadata=SPARSE)
    talk_over: tuple[TalkOver, ...] = ()
