"""What a conversation is to be: the user's lines and their cues, and the simulated agent that answers them.

Rules:
    1. A line is a turn (``say`` or ``wav``: it wants an answer), a ``backchannel`` ("uh-huh": it wants none), or a
       ``noise`` (nobody said anything). The latter two belong into the agent's speech.
    2. ``after: silent 600ms`` waits until nobody has spoken for so long; ``barge_in: 1.5s after onset`` (a turn) and
       ``during: 1.5s after onset`` (what is no turn) until the agent has spoken for so long.
    3. No cue is waited for without a limit: after ``patience`` a line is given up (``during``, ``barge_in``), or is
       said anyway (``after``), and the turn before it stays without an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from rtcprobe.errors import BadInputError
from rtcprobe.units import format_duration, parse_duration

__all__ = [
    "LONGEST_WAIT_S",
    "MOST_DBFS",
    "ROOM_DBFS",
    "AgentPlan",
    "Conversation",
    "Kind",
    "Line",
    "When",
    "parse_interruption",
    "parse_level",
    "parse_noise",
    "parse_when",
]

Kind = Literal["turn", "barge_in", "backchannel", "noise"]

KINDS: tuple[Kind, ...] = get_args(Kind)

# Of any cue: an agent that has not answered in a minute will not, and a call would last by it.
LONGEST_WAIT_S = 60.0
# Below −60 a voice is as faint as a room; above −10 an active level (P.56) clips, as speech peaks far above it.
LEAST_DBFS, MOST_DBFS = -60.0, -10.0
ROOM_DBFS = -80.0
"""A quiet microphone's own noise: what silence is everywhere here (``audio.mouth``)."""
# A room louder than that drowns a voice of -26 dBFS.
_LOUDEST_ROOM_DBFS = -20.0

# level = number "dBFS"
_LEVEL = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*dBFS\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A cue: ``wait_s`` after what has ``begun``: silence, or the agent's speech."""

    begun: Literal["silence", "onset"]
    wait_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.wait_s <= LONGEST_WAIT_S:
            raise BadInputError(
                f"a wait of {format_duration(self.wait_s)} is impossible", f"give 0ms to {LONGEST_WAIT_S:g}s"
            )

    def __str__(self) -> str:
        wait = format_duration(self.wait_s)
        return f"silent {wait}" if self.begun == "silence" else f"{wait} after onset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that is heard of the user: words, a file, or noise of ``lasts_s`` at ``level_dbfs``."""

    kind: Kind
    when: When
    words: str = ""
    wav: Path | None = None
    lasts_s: float | None = None
    level_dbfs: float | None = None

    def __post_init__(self) -> None:
        # Rule 2: a turn follows silence; everything else is said into the agent's speech.
        if (self.kind == "turn") != (self.when.begun == "silence"):
            cure = "a turn takes after: silent 600ms, what goes into the agent's speech 1.5s after onset"
            raise BadInputError(f"a {self.kind.replace('_', '-')} cannot wait for '{self.when}'", cure)

    @property
    def called(self) -> str:
        """What a reader knows it by."""
        if self.kind == "noise":
            return "noise"
        return self.words if self.wav is None else self.wav.name


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPlan:
    """The simulated agent: when it takes a turn for over, how long it thinks, what it says, what interrupts it.

    It listens by energy: speech is what is louder than ``threshold_dbfs`` (and than its room), ``least_speech_s`` of it
    make a turn, which ``hangover_s`` of silence end. It then thinks: log-normal, of median ``think_s`` and ``spread``
    (the standard deviation of the logarithm). ``answer_s`` is how long an answer lasts at the least and the most;
    ``interrupt_after_s`` how much of the user's speech silences it, None: nothing does.
    """

    threshold_dbfs: float = -50.0
    hangover_s: float = 0.6
    least_speech_s: float = 0.2
    think_s: float = 0.5
    spread: float = 0.4
    answer_s: tuple[float, float] = (3.0, 5.0)
    interrupt_after_s: float | None = 0.2
    voice: str = "ben"
    level_dbfs: float = -26.0

    def __post_init__(self) -> None:
        _within("agent.threshold", self.threshold_dbfs, -90.0, MOST_DBFS)
        _within("agent.level", self.level_dbfs, LEAST_DBFS, MOST_DBFS)
        times = {
            "hangover": (self.hangover_s, 10.0),
            "least_speech": (self.least_speech_s, 5.0),
            "think": (self.think_s, 30.0),
            "answer": (self.answer_s[1], 60.0),
            "interrupt_after": (self.interrupt_after_s or 0.0, 10.0),
        }
        for name, (value_s, most_s) in times.items():
            if not 0.0 <= value_s <= most_s:
                raise BadInputError(
                    f"agent.{name} {format_duration(value_s)} is impossible", f"give 0ms to {most_s:g}s"
                )
        # A shorter answer would be no turn by the agent's own measure (``least_speech_s``, where nothing is written).
        if not 0.2 <= self.answer_s[0] <= self.answer_s[1]:
            shortest, longest = (format_duration(each) for each in self.answer_s)
            raise BadInputError(f"agent.answer {shortest} to {longest} is impossible", "write it like 2s to 4s")
        if not 0.0 <= self.spread <= 2.0:
            raise BadInputError(f"agent.spread {self.spread:g} is impossible", "give 0 to 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The user's lines, in their voice, at their active level (dBFS, ITU-T P.56), in a room of steady noise.

    ``intelligibility``: how well turns and the simulated agent's answers are understood is measured too.
    ``detector`` says whether what is heard of an agent is a voice: its energy, or an extra beside it (``silero``).
    ``keep_sound``: the turns of the first call are kept in the result, to be listened to.
    """

    lines: tuple[Line, ...]
    voice: str = "anna"
    level_dbfs: float = -26.0
    background_dbfs: float = ROOM_DBFS
    patience_s: float = 8.0
    intelligibility: bool = False
    keep_sound: bool = False
    detector: str = "energy"
    agent: AgentPlan = field(default_factory=AgentPlan)

    def __post_init__(self) -> None:
        if not self.lines:
            raise BadInputError("the conversation has no lines", "give turns, such as - say: hello")
        _within("level", self.level_dbfs, LEAST_DBFS, MOST_DBFS)
        _within("background", self.background_dbfs, -90.0, _LOUDEST_ROOM_DBFS)
        if not 1.0 <= self.patience_s <= LONGEST_WAIT_S:
            raise BadInputError(
                f"patience {format_duration(self.patience_s)} is impossible", f"give 1s to {LONGEST_WAIT_S:g}s"
            )
        if self.lines[0].kind != "turn":
            raise BadInputError(
                f"the conversation begins with a {self.lines[0].kind.replace('_', '-')}: nobody speaks yet",
                "begin with a turn, such as say: hello",
            )


def parse_level(text: object) -> float:
    """Return a level in dBFS from ``"-26dBFS"``.

    Raises:
        BadInputError: not a number with its unit.
    """
    found = _LEVEL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInputError(f"{text!r} is no level", "write it like -26dBFS")
    return float(found[1])


def parse_when(text: object) -> When:
    """Return the cue that ``"silent 600ms"`` or ``"1.5s after onset"`` says.

    Raises:
        BadInputError: neither of them.
    """
    # when  = "silent" SP time / time SP "after onset"
    words = text.split() if isinstance(text, str) else []
    if len(words) == 2 and words[0] == "silent":
        return When(begun="silence", wait_s=parse_duration(words[1]))
    if words[1:] == ["after", "onset"]:
        return When(begun="onset", wait_s=parse_duration(words[0]))
    raise BadInputError(f"cue {text!r} cannot be read", "write it like silent 600ms, or 1.5s after onset")


def parse_noise(text: object) -> tuple[float, float]:
    """Return how long a noise lasts (seconds) and its level from ``"400ms at -26dBFS"``.

    Raises:
        BadInputError: no time, no level, or one that cannot be.
    """
    # noise = time SP "at" SP level
    words = text.split() if isinstance(text, str) else []
    if len(words) != 3 or words[1] != "at":
        raise BadInputError(f"noise {text!r} cannot be read", "write it like 400ms at -26dBFS")
    lasts_s, level_dbfs = parse_duration(words[0]), parse_level(words[2])
    if not 0.02 <= lasts_s <= LONGEST_WAIT_S:
        raise BadInputError(f"noise of {format_duration(lasts_s)} is impossible", f"give 20ms to {LONGEST_WAIT_S:g}s")
    _within("noise", level_dbfs, LEAST_DBFS, MOST_DBFS)
    return lasts_s, level_dbfs


def parse_interruption(text: object) -> float | None:
    """Return after how much speech an agent falls silent: seconds from ``"200ms"``, None from ``"never"``.

    Raises:
        BadInputError: neither a time nor never.
    """
    if text == "never":
        return None
    try:
        return parse_duration(text)
    except BadInputError as error:
        raise BadInputError(f"interrupt_after {text!r} cannot be read", "write it like 200ms, or never") from error


def _within(name: str, level_dbfs: float, least: float, most: float) -> None:
    if not least <= level_dbfs <= most:
        raise BadInputError(f"{name} {level_dbfs:g}dBFS is impossible", f"give {least:g}dBFS to {most:g}dBFS")
