"""The key ``conversation``: its schema, and from what is written to the plan of it.

Rule: a line is one mapping with one of ``say``, ``wav``, ``backchannel``, ``noise``, and at most one cue: ``after``,
    ``barge_in`` (what is a turn), ``during`` (what is none). A turn without a cue waits for 600 ms of silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rtcprobe.audio.detector import DETECTORS
from rtcprobe.conversation import AgentPlan, Conversation, Line, parse_level, parse_when
from rtcprobe.conversation.plan import Kind, parse_interruption, parse_noise
from rtcprobe.errors import BadInputError
from rtcprobe.scenario.keys import quantity, record, text, written
from rtcprobe.units import parse_duration

__all__ = ["conversation_of", "conversation_schema", "parse_range"]

_SAID: Final = ("say", "wav", "backchannel", "noise")
_CUES: Final = ("after", "barge_in", "during")
_USUAL: Final = "silent 600ms"
# For editors; what counts is ``conversation.plan.parse_level``.
_LEVEL: Final = r"^\s*-?[0-9.]+\s*dBFS\s*$"
_VOICES: Final = "anna, ben (English), mei, lei (Mandarin, in pinyin with tone digits), or espeak:NAME"


def conversation_schema() -> dict[str, Any]:
    """Return the schema of ``conversation``: no default, so situations without one stay equal."""
    return record(
        {
            "voice": text(f"Who the user speaks as: {_VOICES}.", "anna", default="anna"),
            "level": written(
                "level", _LEVEL, "The user's active speech level (ITU-T P.56).", "-26dBFS", default="-26dBFS"
            ),
            # -80 dBFS are three steps of a sample of 16 bits: as good as no room, and not digital silence.
            "background": written("level", _LEVEL, "The user's room: noise.", "-50dBFS", default="-80dBFS"),
            "patience": quantity("duration", "How long an answer, or a cue, is waited for.", "8s", default="8s"),
            "intelligibility": {
                "type": "boolean",
                "description": "Whether STOI and ESTOI of turns and of the simulated agent's answers are measured.",
                "examples": [True],
                "default": False,
            },
            "detector": {
                "enum": list(DETECTORS),
                "description": "What tells an agent's voice from its noise: energy, or silero beside it (an extra).",
                "examples": ["silero"],
                "default": "energy",
            },
            "keep_sound": {
                "type": "boolean",
                "description": "Whether the turns of the first call are kept in the result, to be heard on the page.",
                "examples": [True],
                "default": False,
            },
            "lines": {
                "type": "array",
                "items": _line_schema(),
                "minItems": 1,
                "description": "What the user says, in order.",
                "examples": [[{"say": "Hello."}, {"say": "Stop.", "barge_in": "1.5s after onset"}]],
            },
            "agent": _agent_schema(),
        },
        required=("lines",),
        description="A user who talks with an agent (the callee): calls last until all lines are said, "
        "call.duration at the longest.",
    )


def _line_schema() -> dict[str, Any]:
    return record(
        {
            "say": text(
                "What is said: a turn, which wants an answer; [pause 900ms] in it is silence.", "What is the weather?"
            ),
            "wav": text("A WAV file said as a turn (its path, seen from the scenario's folder).", "question.wav"),
            "backchannel": text("What is said and is no turn: it should not stop the agent.", "uh-huh"),
            # ``conversation.plan`` has the grammars of these four; editors need only know that they are not empty.
            "noise": written("noise", r"\S", "White noise, how long and how loud.", "400ms at -26dBFS"),
            "after": written("when", r"\S", "Silence that a turn waits for.", _USUAL),
            "barge_in": written("when", r"\S", "A turn said into the agent's speech: when.", "1.5s after onset"),
            "during": written("when", r"\S", "When a backchannel or a noise comes.", "1.5s after onset"),
        }
    )


def _agent_schema() -> dict[str, Any]:
    plan = AgentPlan()
    return record(
        {
            "threshold": written("level", _LEVEL, "Least level it takes for a voice.", "-50dBFS", default="-50dBFS"),
            "hangover": quantity("duration", "Silence after which a turn is over.", "600ms", default="600ms"),
            "least_speech": quantity("duration", "Least speech that is a turn.", "200ms", default="200ms"),
            "think": quantity("duration", "Median of how long it thinks.", "500ms", default="500ms"),
            "spread": {
                "type": "number",
                "description": "Standard deviation of the logarithm of how long it thinks.",
                "examples": [0.4],
                # Of 0.4 nine in ten lie within a factor of 1.9 of the median, either way (e^(1.645 · 0.4)).
                "default": plan.spread,
            },
            "answer": written("range", r"\S", "How long answers last.", "3s to 5s", default="3s to 5s"),
            "interrupt_after": written(
                "interruption", r"^(never|.*[0-9].*)$", "Speech that silences it, or never.", "200ms", default="200ms"
            ),
            "voice": text(f"Who it speaks as: {_VOICES}.", "ben", default=plan.voice),
            "level": written("level", _LEVEL, "Active speech level (ITU-T P.56).", "-26dBFS", default="-26dBFS"),
        },
        description="The simulated agent that answers on loopback; an agent that is called has its own ways.",
        examples=[{"hangover": "600ms", "interrupt_after": "never"}],
        default={},
    )


def conversation_of(written: Mapping[str, Any], folder: Path) -> Conversation:
    """Return the plan of the complete settings ``written``; WAV files are looked for in ``folder``.

    Raises:
        BadInputError: a line that is none or several, a cue that does not go with it, what cannot be said.
    """
    from rtcprobe.conversation.utterances import check_voice, sound_of_words  # noqa: PLC0415 - most have none

    lines = []
    for number, each in enumerate(written["lines"]):
        try:
            lines.append(_line(each, folder))
        except BadInputError as error:
            raise error.within(f"lines.{number}") from error
    plan = Conversation(
        lines=tuple(lines),
        voice=written["voice"],
        level_dbfs=parse_level(written["level"]),
        background_dbfs=parse_level(written["background"]),
        patience_s=parse_duration(written["patience"]),
        intelligibility=written["intelligibility"],
        keep_sound=written["keep_sound"],
        detector=written["detector"],
        agent=_agent(written["agent"]),
    )
    # Spoken here once, and forgotten: a word that no voice can say is refused when the scenario is read, not in a call.
    check_voice(plan.voice)
    check_voice(plan.agent.voice)
    for number, line in enumerate(plan.lines):
        if line.words:
            try:
                sound_of_words(line.words, plan.voice, plan.level_dbfs)
            except BadInputError as error:
                raise error.within(f"lines.{number}") from error
    return plan


def parse_range(value: object) -> tuple[float, float]:
    """Return seconds from ``"2s to 4s"``.

    Raises:
        BadInputError: not two times.
    """
    shortest, to, longest = value.partition(" to ") if isinstance(value, str) else ("", "", "")
    if not to:
        raise BadInputError(f"{value!r} is no range", "write it like 2s to 4s")
    return parse_duration(shortest), parse_duration(longest)


def _line(written: Mapping[str, Any], folder: Path) -> Line:
    said = [key for key in _SAID if key in written]
    if len(said) != 1:
        fact = f"{' and '.join(said)} are given together" if said else "nothing is said"
        raise BadInputError(fact, f"give one of {', '.join(_SAID)}")
    cues = [key for key in _CUES if key in written]
    if len(cues) > 1:
        raise BadInputError(f"{' and '.join(cues)} are given together", "give one of them")
    what, cue = said[0], cues[0] if cues else "after"
    is_turn = what in ("say", "wav")
    # A turn may wait for silence or barge in; what is no turn needs a place in the agent's speech, and has no usual
    # one.
    if is_turn == (cue == "during") or (not cues and not is_turn):
        cure = "give after, or barge_in" if is_turn else "give during: 1.5s after onset"
        raise BadInputError(f"{what} does not go with {cue if cues else 'no cue'}", cure)
    kind: Kind = ("barge_in" if cue == "barge_in" else "turn") if is_turn else what  # type: ignore[assignment]
    when = parse_when(written.get(cue, _USUAL))
    # A barge-in and a backchannel count from the onset of the agent's speech, of which silence has none.
    if (when.begun == "silence") != (cue == "after"):
        usual = _USUAL if cue == "after" else "1.5s after onset"
        raise BadInputError(f"{cue} '{when}' is impossible", f"write it like {usual}")
    if what == "noise":
        lasts_s, level_dbfs = parse_noise(written["noise"])
        return Line(kind="noise", when=when, lasts_s=lasts_s, level_dbfs=level_dbfs)
    if what == "wav":
        # An absolute path stays what it is: pathlib drops what stands before one.
        return Line(kind=kind, when=when, wav=folder / written["wav"])
    return Line(kind=kind, when=when, words=written[what])


def _agent(written: Mapping[str, Any]) -> AgentPlan:
    return AgentPlan(
        threshold_dbfs=parse_level(written["threshold"]),
        hangover_s=parse_duration(written["hangover"]),
        least_speech_s=parse_duration(written["least_speech"]),
        think_s=parse_duration(written["think"]),
        spread=float(written["spread"]),
        answer_s=parse_range(written["answer"]),
        interrupt_after_s=parse_interruption(written["interrupt_after"]),
        voice=written["voice"],
        level_dbfs=parse_level(written["level"]),
    )
