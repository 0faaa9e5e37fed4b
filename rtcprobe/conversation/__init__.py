"""A conversation as a script: what a user says and when, and whom the user says it to.

Pure: sound in, sound out, and time as an argument. ``plan`` is what was asked for, ``utterances`` makes it sound,
``user`` says it when its cue comes, ``agent`` is a simulated agent that answers.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported

if TYPE_CHECKING:
    from rtcprobe.conversation.agent import SimulatedAgent
    from rtcprobe.conversation.claims import Claim
    from rtcprobe.conversation.plan import AgentPlan, Conversation, Kind, Line, When, parse_level, parse_when
    from rtcprobe.conversation.talker import Spoken, Talker
    from rtcprobe.conversation.user import ScriptedUser
    from rtcprobe.conversation.utterances import Utterance, spoken_lines

__all__ = [
    "AgentPlan",
    "Claim",
    "Conversation",
    "Kind",
    "Line",
    "ScriptedUser",
    "SimulatedAgent",
    "Spoken",
    "Talker",
    "Utterance",
    "When",
    "parse_level",
    "parse_when",
    "spoken_lines",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "agent": ("SimulatedAgent",),
            "claims": ("Claim",),
            "talker": ("Spoken", "Talker"),
            "user": ("ScriptedUser",),
            "utterances": ("Utterance", "spoken_lines"),
            "plan": ("AgentPlan", "Conversation", "Kind", "Line", "When", "parse_level", "parse_when"),
        },
    )
