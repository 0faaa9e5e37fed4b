"""What a run says of each way: an account of everything that was to come over it, whatever it was.

Facts:
    A marker in speech, a frame of a picture, a turn of a conversation and a message are accounted for alike: each was
    begun on one side (spoken, captured, ended, sent), and came to the ear or eye of the other, or did not. An account
    is of one ``kind`` and of one way; the same way may have several, one of each kind.

Rules:
    1. One law for all: scheduled = heard + rejected + lost, and everything heard has a delay.
    2. What every kind has, has a field. What one kind alone has is a figure under its own name in ``figures``, of the
       whole account and of each call, or a ``Span``; a new kind needs no other record.
    3. Calls are the units that forget each other: what has an interval has a figure in each call.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from rtcprobe.errors import BadInputError
from rtcprobe.result.figures import Beside, Playout, Protection, Quality
from rtcprobe.result.plain import MEASURED, SECONDS, SPARSE
from rtcprobe.result.summary import Summary
from rtcprobe.secrets import NAME
from rtcprobe.ways import Way

__all__ = [
    "KINDS",
    "MESSAGE_STAGES",
    "STAGES",
    "TURN_STAGES",
    "VIDEO_STAGES",
    "Account",
    "Clip",
    "HeardCall",
    "Kind",
    "Missed",
    "Sample",
    "Span",
    "Still",
    "WayMap",
]

Kind = Literal["mouth_to_ear", "glass_to_glass", "response", "barge_in", "lip_sync", "messages"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""What can be accounted for, and what one of it is:

    mouth_to_ear     a marker: spoken → heard
    glass_to_glass   a frame: captured → shown
    response         a turn: the last sound of the user's → the first of the answer, both at the user's own place
    barge_in         an interruption: spoken into the other's speech → that speech has stopped, at the same place
    lip_sync         a moment: its sound came out → its picture was shown; negative where the picture came first
    messages         a message of a data channel: sent → delivered
"""

STAGES = (
    "capture",
    "packetisation",
    "look_ahead",
    "sender_pacing",
    "network_min",
    "network_variable",
    "network_and_target",
    "network",
    "mixer",
    "network_and_page",
    "page",
    "jitter_buffer",
    "decode_block",
    "device",
    "residual",
)
"""Stages of the mouth-to-ear delay in the order sound passes them; those a run did not have are left out."""

VIDEO_STAGES = (
    "capture",
    "encode",
    "sender_pacing",
    "network_min",
    "network_variable",
    "repair",
    "jitter_buffer",
    "decode",
    "render",
    "display",
)
"""Stages of the glass-to-glass delay in the order a frame passes them (``rtcprobe.hearing.eyes``)."""

TURN_STAGES = (
    "capture",
    "packing",
    "way_up",
    "agent",
    "way_down",
    "network_and_agent",
    "playout",
    "device",
)
"""Stages of a response and of a stop, in the order they pass: ways and agent are one where the agent is not ours."""


MESSAGE_STAGES = (
    "opening",
    "queue",
    "retransmission",
    "network_min",
    "network_variable",
    "network_and_server",
    "head_of_line",
)
"""Stages of a message's delay (``rtcprobe.messages``): until its channel was open, until it left, until the copy left
that came; the way, which includes the server where somebody else's forwards; and waiting for an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One thing that came: begun and ended in seconds since its call started, and how surely (0..1, None: exactly).

    ``marker`` is its number, a marker's, a frame's, a turn's, by ``KINDS``; ``call`` which call of the run it was in,
    counted from 0. ``stages`` is where its own delay went, where that is known of each; they sum to it. ``note`` is
    what a reader needs to tell it from the others: the sentence that was said. ``figures`` are of this one alone.
    """

    marker: int
    spoken_s: float
    heard_s: float
    delay_s: float
    correlation: float | None = None
    call: int = field(default=0, metadata=SPARSE)
    stages: Mapping[str, float] | None = field(default=None, metadata={**SECONDS, **SPARSE})
    note: str = field(default="", metadata=SPARSE)
    figures: Mapping[str, float] = field(default_factory=dict, metadata={**MEASURED, **SPARSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """One thing that does not count as heard: ``"rejected"`` (it came, and not as it should), or ``"lost"``.

    ``why`` says it in a word or two where a kind has several reasons: ``"unread"``, ``"dropped"``, ``"no answer"``.
    """

    marker: int
    spoken_s: float
    fate: Literal["rejected", "lost"]
    correlation: float | None = None
    call: int = field(default=0, metadata=SPARSE)
    why: str = field(default="", metadata=SPARSE)
    note: str = field(default="", metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that lasted, seconds since its call started: ``"freeze"``, ``"speech"``, ``"talk-over"``.

    ``delay_s`` is how much delay it was all the while: of a ``"plateau"``, on which a mixer stood.
    """

    what: str
    from_s: float
    until_s: float
    delay_s: float | None = field(default=None, metadata=SPARSE)
    call: int = field(default=0, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """The frame least like its original in the worst second of a way: in which ``call``, which frame, when filmed.

    ``ssim`` and ``psnr_db`` are that frame's, ``second_ssim`` the mean of its second. ``jpeg`` (base64) shows it: left
    what was filmed, right what was shown; "" where it was not kept.

    Raises:
        BadInputError: what is no picture.
    """

    call: int
    marker: int
    spoken_s: float
    ssim: float
    psnr_db: float
    second_ssim: float
    jpeg: str = field(default="", metadata=NAME)

    def __post_init__(self) -> None:
        # Pages show it by a data: URL, as they do a clip's sound: what is no base64 could end the attribute.
        if len(self.jpeg) > _MOST_JPEG or _BASE64.fullmatch(self.jpeg) is None:
            raise BadInputError(f"{self.jpeg!r:.30} is no picture in base64", "the file is damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What a turn sounded like, from ``from_s`` to ``until_s`` since its call started: ``marker`` of ``call``.

    ``note`` is what was said; ``webm`` (base64, Opus): left what was said, right what was heard.

    Raises:
        BadInputError: what is no sound.
    """

    call: int
    marker: int
    from_s: float
    until_s: float
    note: str
    webm: str = field(metadata=NAME)

    def __post_init__(self) -> None:
        if len(self.webm) > _MOST_WEBM or _BASE64.fullmatch(self.webm) is None:
            raise BadInputError(f"{self.webm!r:.30} is no sound in base64", "the file is damaged")


# Eight seconds of Opus and one picture; what a file may hold more than its figures, so that it can be mailed still.
_MOST_WEBM = 400_000
_MOST_JPEG = 400_000
# RFC 4648, section 4, padded: whole groups of four, the last with one or two "=".
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardCall:
    """What one call of a run says of one account: counts, mean stages (they sum to its mean delay), shares, R.

    ``figures`` are those of the account's, where each call has one of its own.

    Raises:
        BadInputError: fewer than none heard, or more than were scheduled.
    """

    call: int
    scheduled: int
    heard: int
    stages: Mapping[str, float] = field(default_factory=dict, metadata=SECONDS)
    unplayed: float | None = None
    concealed: float | None = None
    r: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict, metadata={**MEASURED, **SPARSE})

    def __post_init__(self) -> None:
        if not 0 <= self.heard <= self.scheduled:
            raise BadInputError(
                f"{self.heard} of {self.scheduled} were heard in call {self.call}: impossible", "the file is damaged"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One way in one respect: everything scheduled, and what became of it.

    ``stages`` maps stage names to mean seconds in the order it passes them; they sum to the mean delay. ``playout`` is
    what the receiver did, ``protection`` what was lost and what each kind of copy brought back, ``quality`` R and MOS
    with their assumptions (of sound, one way): None where there is none, or it cannot be known. ``beside`` is what
    another receiver would have given. ``figures`` are those of this kind alone; names that end in ``_s`` are seconds,
    all others shares or counts. ``worst`` is of pictures,
    ``clips`` of turns, where sound is kept. ``calls`` has what each call of the run says;
    an account without them is of one call.

    Raises:
        BadInputError: numbers that do not add up.
    """

    kind: Kind
    way: Way = field(metadata=NAME)
    scheduled: int
    heard: int
    rejected: int
    lost: int
    samples: tuple[Sample, ...] = ()
    missed: tuple[Missed, ...] = ()
    stages: Mapping[str, float] = field(default_factory=dict, metadata=SECONDS)
    playout: Playout | None = None
    protection: Protection | None = None
    quality: Quality | None = None
    beside: Mapping[str, Beside] = field(default_factory=dict)
    summary: Summary | None = None
    calls: tuple[HeardCall, ...] = field(default=(), metadata=SPARSE)
    figures: Mapping[str, float] = field(default_factory=dict, metadata={**MEASURED, **SPARSE})
    spans: tuple[Span, ...] = field(default=(), metadata=SPARSE)
    worst: Still | None = field(default=None, metadata=SPARSE)
    clips: tuple[Clip, ...] = field(default=(), metadata=SPARSE)

    def __post_init__(self) -> None:
        # Rule 1, of files too: an account that does not add up was edited, or made by a version that counted otherwise.
        if self.scheduled != self.heard + self.rejected + self.lost or len(self.samples) != self.heard:
            raise BadInputError(
                f"{self.scheduled} {self.things} scheduled but {self.heard} heard ({len(self.samples)} with a delay), "
                f"{self.rejected} rejected and {self.lost} lost",
                f"every one of the {self.things} has exactly one fate",
            )
        # Of one call, as all results were, none is listed: it is call 0.
        known = {each.call for each in self.calls} or {0}
        strays = ({each.call for each in self.samples} | {each.call for each in self.missed}) - known
        if strays:
            raise BadInputError(
                f"some {self.things} are of call {min(strays)}, which is not among the calls of the run",
                "every one of them was sent in a call that has figures",
            )

    @property
    def things(self) -> str:
        """What is counted: ``"markers"``, ``"frames"``."""
        return _THINGS[self.kind]

    @property
    def unplayed(self) -> float | None:
        """The share of what was sent that was never heard."""
        return None if self.protection is None else self.protection.unplayed

    @property
    def concealed(self) -> float | None:
        """The share of what was played that was made up."""
        return None if self.playout is None else self.playout.concealed_ratio

    @property
    def r(self) -> float | None:
        """R of the E-model."""
        return None if self.quality is None else self.quality.r

    @property
    def total_s(self) -> float:
        """Sum of the stages."""
        return math.fsum(self.stages.values())


_THINGS: Mapping[Kind, str] = {
    "mouth_to_ear": "markers",
    "glass_to_glass": "frames",
    "response": "turns",
    "barge_in": "interruptions",
    "lip_sync": "moments",
    "messages": "messages",
}


class WayMap(Mapping[Way, Account]):
    """The accounts of one kind by their ways, in the order of the result; asked for by a way or by its text."""

    __slots__ = ("_by_way",)

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_way = {each.way: each for each in accounts}

    def __getitem__(self, way: str) -> Account:
        return self._by_way[way]  # type: ignore[index]  # a way is its text

    def __iter__(self) -> Iterator[Way]:
        return iter(self._by_way)

    def __len__(self) -> int:
        return len(self._by_way)
