"""A situation to measure, understood: frozen records in SI units whose constructors refuse nonsense."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtcprobe.audio.marker import SLOT_S, trains
from rtcprobe.errors import BadInputError
from rtcprobe.ice import IceSettings
from rtcprobe.link import Border, LinkSpec, backbone, border_warnings
from rtcprobe.scenario.distance import regions_apart, there_and_back, too_fast
from rtcprobe.scenario.parties import Devices, MouthPlan, Party, Site, Stream, ways_between, written_time
from rtcprobe.scenario.plans import LEAST_CALL_S, CallPlan, DtlsTimer, SignalingPlan, TargetPlan
from rtcprobe.scenario.script import Cue, check_parties, comes_by_cue
from rtcprobe.scenario.servers import Assign, check_places, homes_of
from rtcprobe.units import format_duration
from rtcprobe.verdict.budgets import Budget
from rtcprobe.verdict.sides import PROSE
from rtcprobe.ways import BOTH_WAYS, Leg, Medium, Way

if TYPE_CHECKING:
    from rtcprobe.conversation import Conversation

__all__ = [
    "CallPlan",
    "Cue",
    "Devices",
    "DtlsTimer",
    "MouthPlan",
    "Party",
    "Scenario",
    "SignalingPlan",
    "Site",
    "Stream",
    "TargetPlan",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A call between parties, and the budgets it should stay within.

    The media path between two is access, backbone between the regions (of ``rtt_s`` where given, in a call of two),
    access; a leg written out replaces it in its direction: who has nothing but such legs needs no region and no access.
    A ``private`` backbone is the vendor's own line; over the public one, ``border`` is how busy it is into mainland
    China. Of forwarding ``servers``, by name, ``assign`` decides who is connected to which (``homes``): legs lead
    there. ``settings`` is the whole scenario as it was written, defaults filled in: what it takes to run it again.

    Raises:
        BadInputError: parties, legs or cues that cannot be meant (``script.check_parties``); a round trip that is
            negative, or that could have no effect.
    """

    name: str
    serves: str
    sources: tuple[str, ...]
    parties: tuple[Party, ...]
    servers: Mapping[str, Site] = field(default_factory=dict)
    assign: Assign = "nearest"
    signaling: SignalingPlan
    rtt_s: float | None
    private: bool = False
    border: Border | None = None
    legs: Mapping[Leg, LinkSpec]
    script: tuple[Cue, ...] = ()
    call: CallPlan
    dtls: DtlsTimer
    budgets: tuple[Budget, ...]
    target: TargetPlan = field(default_factory=TargetPlan)
    ice: IceSettings = field(default_factory=IceSettings)
    conversation: Conversation | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outside = () if self.target.ours else ("target",)
        # Who, then where, then when: each refusal may take for granted what was judged before it.
        check_parties(self.parties, (*self.servers, *outside), self.legs, self.script)
        if self.servers:
            check_places(self.parties, self.servers, self.homes, self.legs)
        self._check_time()
        self._check_messages()
        self._check_conversation()
        if self.rtt_s is None:
            return
        if self.servers:
            raise BadInputError("rtt is not known of which leg to a server", "give legs, such as ana_to_sfu")
        if len(self.parties) != len(BOTH_WAYS):
            raise BadInputError(
                f"rtt {format_duration(self.rtt_s)} is not known of which two of {len(self.parties)} parties",
                "give legs, such as ana_to_ben",
            )
        backbone(self.caller.region, self.callee.region, self.rtt_s)  # refuses what cannot be
        if all(way in self.legs for way in there_and_back(*self.parties)):
            raise BadInputError("rtt has no effect where link replaces both directions", "leave one of them out")
        if self.target.region is not None:
            raise BadInputError("rtt and target.region both say how far it is", "leave one of them out")

    def _check_conversation(self) -> None:
        """Refuse a conversation that nobody could hold."""
        if self.conversation is None:
            return
        if len(self.parties) != len(BOTH_WAYS):
            raise BadInputError(
                f"a conversation is between two, and there are {len(self.parties)} parties", "give caller and callee"
            )
        sound = self.parties[0].sent("audio")
        if sound is None or self.parties[1].sent("audio") is None:
            raise BadInputError("a conversation needs two who speak, and one sends nothing", "let both send audio")
        playout = self.parties[0].playout
        # The user decides by what is heard during the call, and so must play RED then, not afterwards.
        if sound.protection.red_copies and not playout.knows_red:
            raise BadInputError(
                f"a conversation is not heard through playout {playout} with protection.red", "use playout neteq"
            )

    def _check_messages(self) -> None:
        """Refuse messages that nobody would send, or nobody could keep."""
        for name, stream in self.sending("messages").items():
            plan = stream.messages
            if plan is None:
                continue
            plan.check_within(self.call.duration_s)
            if not (plan.rate_hz or plan.listed or any((cue.party, cue.does) == (name, "send") for cue in self.script)):
                raise BadInputError(
                    f"messages of {name} say how they are sent, and none is", "give rate: 5/s, a list, or a cue"
                )
            if self.conversation is not None:
                raise BadInputError("a conversation is spoken, and messages are written", "leave messages out")

    def _check_time(self) -> None:
        """Refuse a call that is over before somebody has joined, or has said a marker."""
        lasts_s, speakers = self.call.duration_s, len(self.sending("audio"))
        comes = {party.name: party.comes_s for party in self.parties}
        # A cue of joining takes the place of comes_s (``script`` rule 2).
        comes |= {
            cue.party: cue.at_s for cue in self.script if cue.at_s is not None and comes_by_cue(cue.party, self.script)
        }
        for name, at_s in comes.items():
            if at_s >= lasts_s:
                at, lasts = written_time(at_s), written_time(lasts_s)
                raise BadInputError(
                    f"{name} comes at {at} and each call lasts {lasts}: it never joins",
                    f"let it come earlier, or give call.duration above {at}",
                )
        # More than two speak in turn, a slot each: the last one's first marker must still fit.
        if speakers > len(BOTH_WAYS) and not trains(speakers)[-1].markers(lasts_s):
            raise BadInputError(
                f"duration {written_time(lasts_s)} is too short for a marker of each of {speakers} who speak in turn",
                f"give {written_time(LEAST_CALL_S + speakers * SLOT_S)} or more",
            )

    def party(self, name: str) -> Party:
        """Return the party of that name."""
        return next(party for party in self.parties if party.name == name)

    def sending(self, medium: Medium) -> dict[str, Stream]:
        """Return who sends ``medium``, in the order written, with what each sends."""
        sent = {party.name: party.sent(medium) for party in self.parties}
        return {name: stream for name, stream in sent.items() if stream is not None}

    @property
    def homes(self) -> dict[str, str]:
        """Which server each party is connected to; {} where there are none."""
        return homes_of(self.parties, self.servers, self.legs, self.assign, private=self.private)

    @property
    def ways(self) -> tuple[Way, ...]:
        """Who hears whom, in the order in which everything is told."""
        return ways_between(self.parties)

    @property
    def caller(self) -> Site:
        """Where the first party is, who calls."""
        return self.parties[0].site

    @property
    def callee(self) -> Site:
        """Where the second party is, who is called."""
        return self.parties[1].site

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know although it can be run: what has no effect, a path faster than light."""
        border = border_warnings(regions_apart(self), self.border, private=self.private)
        if not self.target.ours:
            placed = self.target.between or self.legs or self.target.region is not None or self.rtt_s is not None
            near = ("only the access lines are emulated: target.region adds a distance",) * (not placed)
            return (*near, *border)
        lasts_s = self.call.duration_s
        late = (
            f"cue {cue} is never given, for each call is over before ({format_duration(lasts_s)}): "
            f"give call.duration above {format_duration(cue.at_s)}"
            for cue in self.script
            if cue.at_s is not None and cue.at_s >= lasts_s
        )
        unsent = (
            f"{name}'s message at {format_duration(due.at_s)} is never sent, for each call is over before "
            f"({format_duration(lasts_s)}): give call.duration above {format_duration(due.at_s)}"
            for name, stream in self.sending("messages").items()
            for due in (() if stream.messages is None else stream.messages.listed)
            if due.at_s >= lasts_s
        )
        unasked = self.ice != IceSettings()
        return (
            *((f"ice has no effect on {self.target.scheme}, where both ends are ours",) * unasked),
            *too_fast(self),
            *border,
            *late,
            *unsent,
        )

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ where the measured situation does.

        Prose, name and budgets aside, and who is called in it: two vendors are compared in one situation.
        """
        # With servers of ours the target is the situation: whether they forward or mix, and how.
        return self.digest_without(() if self.servers else ("target",))

    def digest_without(self, aside: Collection[str] = ()) -> str:
        """Return such digits of everything that decides what a run measures, the keys ``aside`` left out."""
        measured = {key: value for key, value in self.settings.items() if key not in PROSE and key not in aside}
        if "parties" in measured:
            measured["parties"] = list(measured["parties"].items())  # seeds are handed out in their order
        # Sorted: the order in which keys are written is no other situation. ASCII, so that no locale moves a digest.
        text = json.dumps(measured, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        # 64 bits: that two of a million situations share them has a chance of 3 in 10⁸.
        return hashlib.sha256(text.encode()).hexdigest()[:16]
