"""Who takes part in a call: where each is, what it sends and hears, when it comes and goes.

Facts:
    A call of two (``caller``, ``callee``) is two parties that send one sound each and hear all; ``lower.py`` makes
    them of it. Nothing that reads these records knows how many there are.

Rules:
    1. Parties are kept in the order they are written: seeds are handed out in it, and of two the first calls.
    2. What cannot be meant is refused, each by one sentence; whether a target can do it is the target's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rtcprobe.audio.mouth import LEAST_MARKER_DB, MARKER_TO_SPEECH_DB, MOST_MARKER_DB
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.audio.protection import Protection
from rtcprobe.errors import BadInputError
from rtcprobe.link import ACCESS, LinkSpec
from rtcprobe.messages import MessagePlan
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.scenario.video import VideoPlan
from rtcprobe.units import format_duration
from rtcprobe.ways import MEDIA, Medium, Way, party_named

__all__ = [
    "ANYWHERE",
    "OWN_LINES",
    "Devices",
    "MouthPlan",
    "Party",
    "Site",
    "Stream",
    "role_named",
    "ways_between",
    "written_time",
]

ANYWHERE = "anywhere"
"""The region and the access of whoever was given none: a link replaces the path both ways."""

OWN_LINES = "own"
"""The access of whoever has lines of its own."""

# Seconds: far beyond any headset; more is a slip of the unit.
LONGEST_DEVICE_S = 10.0

MOST_DRIFT = 1e-3
"""1,000 ppm: ten times what the crystals of sound devices are off by."""


def written_time(seconds: float) -> str:
    """Return a time as people write it, whole hours as such."""
    # format_duration stops at minutes: a limit of four hours would be 240min.
    hours = seconds / 3600.0
    return f"{hours:.0f}h" if 1.0 <= hours < 1e5 and hours.is_integer() else format_duration(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where somebody is, and what it is connected by: names of the link catalogue, or ``lines`` of its own (up, down).

    Who has lines of its own has ``OWN_LINES`` as its access.
    """

    region: str = ANYWHERE
    access: str = ANYWHERE
    lines: tuple[LinkSpec, LinkSpec] | None = None

    @property
    def up(self) -> LinkSpec:
        """What its packets pass on their way out."""
        return ACCESS[self.access].up if self.lines is None else self.lines[0]

    @property
    def down(self) -> LinkSpec:
        """What packets to it pass at last."""
        return ACCESS[self.access].down if self.lines is None else self.lines[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPlan:
    """What is spoken between the markers: ``"silence"``, ``"noise"``, or speech from a WAV file.

    ``marker_to_speech_db`` is how loud the markers are beside the speech.
    """

    programme: Literal["silence", "noise"] | Path = "silence"
    marker_to_speech_db: float = MARKER_TO_SPEECH_DB

    def __post_init__(self) -> None:
        if not LEAST_MARKER_DB <= self.marker_to_speech_db <= MOST_MARKER_DB:
            raise BadInputError(
                f"marker_level {self.marker_to_speech_db:g}dB is impossible",
                f"give {LEAST_MARKER_DB:g}dB to {MOST_MARKER_DB:g}dB",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What microphone and loudspeaker add: assumed, constant, reported as stages of their own.

    ``drift`` is how much faster than true the loudspeakers' clocks run, as a ratio (100 ppm: 1e-4).
    """

    capture_s: float
    playback_s: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        if not abs(self.drift) <= MOST_DRIFT:
            raise BadInputError(f"drift {self.drift * 1e6:g}ppm is impossible", "give -1000ppm to 1000ppm")
        for name, value in (("capture", self.capture_s), ("playback", self.playback_s)):
            if not 0.0 <= value <= LONGEST_DEVICE_S:
                raise BadInputError(
                    f"{name} {written_time(value)} is impossible", f"give 0ms to {written_time(LONGEST_DEVICE_S)}"
                )

    def to(self, listener: Devices) -> Devices:
        """Return what lies between this microphone and the loudspeaker of ``listener``."""
        # Capture is the talker's; playback and drift are the listener's.
        return replace(listener, capture_s=self.capture_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One medium that a party sends: how it is encoded, what it says, what is done against its loss.

    ``control`` names what sets its rate: ``"fixed"``, the codec's own setting. Of a picture all is in ``video``, of
    messages in ``messages``.
    """

    medium: Medium = "audio"
    codec: OpusSettings = field(default_factory=OpusSettings)
    programme: MouthPlan = field(default_factory=MouthPlan)
    protection: Protection = field(default_factory=Protection)
    control: str = "fixed"
    video: VideoPlan | None = None
    messages: MessagePlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody who takes part.

    ``role`` is what it is in the room, a word of the scenario's own ("": none): ``"host"`` and ``"co-host"`` hold it.
    ``end`` is whose software it runs, ``"ours"``. It sends ``sends`` (nothing: it only listens), hears ``hears`` (every
    other party, or those named), through devices and a playout of its own, and is there from ``comes_s`` to
    ``leaves_s`` (None: to the end), seconds since the call began. ``edge`` is the server it wants to be connected to.

    Raises:
        BadInputError: a name that no way could carry; a party that hears itself; one that leaves before it comes; a
            medium sent twice.
    """

    name: str
    role: str = ""
    site: Site = field(default_factory=Site)
    end: str = "ours"
    sends: tuple[Stream, ...] = ()
    hears: Literal["all"] | tuple[str, ...] = "all"
    devices: Devices
    playout: PlayoutChoice
    comes_s: float = 0.0
    leaves_s: float | None = None
    edge: str | None = None

    def __post_init__(self) -> None:
        party_named(self.name)
        if self.role:
            role_named(self.role)
        # "all" is a text, and "al" in "all" is true: a party may be called so.
        if self.name in self.hears and self.hears != "all":
            raise BadInputError(f"{self.name} cannot hear {self.name}, itself", f"take {self.name} out of its hears")
        if self.comes_s < 0.0:
            raise BadInputError(f"{self.name} comes at {written_time(self.comes_s)}", "give 0ms or more")
        if self.leaves_s is not None and self.leaves_s <= self.comes_s:
            raise BadInputError(
                f"{self.name} leaves at {written_time(self.leaves_s)} and comes at {written_time(self.comes_s)}",
                f"let it leave after {written_time(self.comes_s)}",
            )
        media = [stream.medium for stream in self.sends]
        # A way is named by talker, listener and medium: two streams of one medium would share their account.
        twice = next((each for each in MEDIA if media.count(each) > 1), None)
        if twice is not None:
            raise BadInputError(f"{self.name} sends {twice} {media.count(twice)} times", "one stream of each medium")

    def sent(self, medium: Medium) -> Stream | None:
        """Return the stream of ``medium`` that it sends, None where it sends none."""
        return next((stream for stream in self.sends if stream.medium == medium), None)

    @property
    def speaks(self) -> bool:
        """Whether it sends what can be heard or seen."""
        return any(stream.medium != "messages" for stream in self.sends)

    def listens_to(self, other: str) -> bool:
        """Return whether it hears the party of that name."""
        return other != self.name and (self.hears == "all" or other in self.hears)


def role_named(text: str) -> str:
    """Return ``text`` where a role may be called so, and a metric can name it (``room.audience.spread``).

    Raises:
        BadInputError: it is no word.
    """
    try:
        return party_named(text)
    except BadInputError as error:
        cure = "give one word of small letters, digits and -: host, co-host, guest, audience"
        raise BadInputError(f"a role cannot be called {text!r}", cure) from error


def ways_between(parties: Sequence[Party]) -> tuple[Way, ...]:
    """Return every way of the call, by talker in the order written, then by listener."""
    return tuple(
        Way.of(talker.name, listener.name, stream.medium)
        for talker in parties
        for stream in talker.sends
        for listener in parties
        if listener.listens_to(talker.name)
    )
