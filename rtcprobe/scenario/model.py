"""A situation to measure, understood: frozen records in SI units whose constructors refuse nonsense."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from rtcprobe.audio.marker import SLOT_S, MarkerTrain, trains
from rtcprobe.conversation import Conversation
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.ice import IceSettings
from rtcprobe.link import Border, LinkSpec, backbone, border_warnings, light_bound_s
from rtcprobe.scenario.parties import (
    ANYWHERE,
    Devices,
    MouthPlan,
    Party,
    Site,
    Stream,
    ways_between,
    written_time,
)
from rtcprobe.scenario.script import Cue, check_parties, comes_by_cue
from rtcprobe.scenario.servers import FORWARDING, Assign, apart, check_places, homes_of
from rtcprobe.secrets import scrub
from rtcprobe.units import format_duration, parse_duration
from rtcprobe.verdict.budgets import Budget
from rtcprobe.verdict.sides import PROSE
from rtcprobe.ways import BOTH_WAYS, Leg, Medium, Way

__all__ = [
    "CallPlan",
    "Connection",
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

Connection = Literal["cold", "warm"]

LONGEST_CALL_S = 4 * 3600.0
"""Every packet of a call is kept until it is judged: four hours are what an ordinary machine's memory holds."""

LEAST_CALL_S = 0.35
"""The first marker is over by then: it begins after 250 to 270 ms and lasts 80 ms (``rtcprobe.audio.marker``)."""

LONGEST_JOIN_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalingPlan:
    """Where the signalling server is; ``"cold"`` pays TCP and TLS first, ``"warm"`` only the request.

    ``beside`` names the party at whose end of written legs it stands; None: it is in ``region``, whatever is written.
    """

    region: str = ANYWHERE
    connection: Connection
    beside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """How many calls are measured and how long each lasts, how many joins come before, and when a join gives up."""

    duration_s: float
    joins: int
    join_timeout_s: float
    calls: int = 1

    def __post_init__(self) -> None:
        for name, value, most in (
            ("duration", self.duration_s, LONGEST_CALL_S),
            ("join_timeout", self.join_timeout_s, LONGEST_JOIN_S),
        ):
            if not 0.0 < value <= most:
                raise BadInputError(
                    f"{name} {written_time(value)} is impossible", f"give above 0ms to {written_time(most)}"
                )
        for name, count in (("calls", self.calls), ("joins", self.joins)):
            if count < 1:
                raise BadInputError(f"{name} {count} is impossible", "give 1 or more")
        if not MarkerTrain().markers(self.duration_s):
            least = format_duration(LEAST_CALL_S)
            raise BadInputError(
                f"duration {written_time(self.duration_s)} is too short for a marker", f"give {least} or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DtlsTimer:
    """When a DTLS flight is first sent again.

    Facts:
        ``openssl``: 1 s (RFC 6347 §4.2.4.1, and what aiortc does). ``libwebrtc``: twice the ICE round trip, at least
        50 ms and at most 3 s (``p2p/dtls/dtls_transport.cc``), and 400 ms where ICE has no estimate (BoringSSL's
        default, ``include/openssl/ssl.h``). Otherwise a duration of one's own.
    """

    name: str
    initial_s: float | None = None

    def __post_init__(self) -> None:
        if self.initial_s is not None and not 0.0 < self.initial_s <= 60.0:
            raise BadInputError(f"timer {written_time(self.initial_s)} is impossible", "give above 0ms to 60s")

    @classmethod
    def parse(cls, text: object) -> DtlsTimer:
        """Return the timer ``text`` names or writes out.

        Raises:
            BadInputError: neither a known name nor a duration.
        """
        if text == "openssl":
            return cls(name="openssl", initial_s=1.0)
        if text == "libwebrtc":
            return cls(name="libwebrtc")
        try:
            initial_s = parse_duration(text)
        except BadInputError as error:
            raise BadInputError(
                f"timer {text!r} is not known", "use openssl, libwebrtc, or a time like 200ms"
            ) from error
        return cls(name="explicit", initial_s=initial_s)

    def timeout_s(self, round_trip_s: float | None) -> float:
        """Return the first timeout in seconds, given the round trip ICE measured (None: it has none)."""
        if self.initial_s is not None:
            return self.initial_s
        return 0.4 if round_trip_s is None else min(3.0, max(0.05, 2.0 * round_trip_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """Who is called: ``url`` (its scheme says what kind of target), and what that kind wants to know (``options``).

    ``region`` is where an outside target should seem to be, seen from the emulated sides; None: where it really is.
    ``folder`` is where files that the options name are looked for.
    """

    url: str = "loopback"
    region: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)

    @property
    def scheme(self) -> str:
        """The kind of target, in small letters."""
        return self.url.partition("://")[0].lower()

    @property
    def ours(self) -> bool:
        """Whether everything about it is emulated here, on either clock."""
        return self.scheme in ("loopback", *FORWARDING)

    @property
    def between(self) -> bool:
        """Whether all that lies between the two is emulated here: of everything of ours, and of our own page."""
        return self.ours or self.scheme == "page"

    @property
    def shown(self) -> str:
        """The URL as results and sentences may show it: without secrets."""
        return scrub(self.url)

    def only(self, known: Iterable[str]) -> None:
        """Refuse options that are not among ``known``.

        Raises:
            BadInputError: one that is not.
        """
        known = list(known)
        for key in self.options:
            if key not in known:
                cure = did_you_mean(key, [*known, "region"]) if known else "it takes no options"
                raise BadInputError(f"target.{key} is not known to {self.scheme}", cure)


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
        if all(way in self.legs for way in _both(*self.parties)):
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
        border = border_warnings(self._apart(), self.border, private=self.private)
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
            *self._too_fast(),
            *border,
            *late,
            *unsent,
        )

    def _apart(self) -> list[tuple[str, str]]:
        """Return the pairs of regions that a backbone of this call lies between."""
        if self.servers:
            return apart(self.parties, self.servers, self.homes, self.legs)
        pairs = list(combinations(self.parties, 2))
        between = [(a.site.region, b.site.region) for a, b in pairs if any(leg not in self.legs for leg in _both(a, b))]
        if self.target.scheme in ("loopback", "page"):
            if not between and self.signaling.beside is not None:
                return []
            return [*between, *((party.site.region, self.signaling.region) for party in self.parties)]
        if not between:
            return []
        if self.target.region is not None:
            near = [party.site.region for party in self.parties if party.site.region != ANYWHERE]
            return [(region, self.target.region) for region in near]
        return between if self.rtt_s is not None else []

    def _too_fast(self) -> tuple[str, ...]:
        if self.servers:
            return ()  # legs to a server are judged each by its own, where it is written
        found = (self._too_fast_between(a, b) for a, b in combinations(self.parties, 2))
        return tuple(dict.fromkeys(warning for warning in found if warning is not None))

    def _too_fast_between(self, one: Party, other: Party) -> str | None:
        a, b = one.site.region, other.site.region
        if ANYWHERE in (a, b):
            return None
        if self.rtt_s is not None:
            return backbone(a, b, self.rtt_s).warning
        bound_s = light_bound_s(a, b)
        there, back = _both(one, other)
        fastest_s = self._fastest_s(there, one.site, other.site) + self._fastest_s(back, other.site, one.site)
        if not {there, back} & set(self.legs) or fastest_s >= bound_s:
            return None
        fact = (
            f"link: a round trip of {format_duration(fastest_s, 1)} between {a} and {b} is faster than light in fibre"
        )
        return f"{fact}, which takes {format_duration(bound_s, 1)}"

    def _fastest_s(self, leg: Leg, sender: Site, receiver: Site) -> float:
        """Return the shortest one-way delay of the media path, by its delay models."""
        if leg in self.legs:
            return self.legs[leg].delay.quantile_s(0)
        between = backbone(sender.region, receiver.region, private=self.private)
        hops = (sender.up, between.spec, receiver.down)
        return sum(hop.delay.quantile_s(0) for hop in hops)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ where the measured situation does.

        Prose, name and budgets aside, and who is called in it: two vendors are compared in one situation.
        """
        return self.digest_without(() if self.servers else ("target",))

    def digest_without(self, aside: Collection[str] = ()) -> str:
        """Return such digits of everything that decides what a run measures, the keys ``aside`` left out."""
        measured = {key: value for key, value in self.settings.items() if key not in PROSE and key not in aside}
        if "parties" in measured:
            measured["parties"] = list(measured["parties"].items())  # seeds are handed out in their order
        text = json.dumps(measured, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _both(one: Party, other: Party) -> tuple[Leg, Leg]:
    """Return the legs from one party to another, and back."""
    leg = Leg.between(one.name, other.name)
    return leg, leg.back
