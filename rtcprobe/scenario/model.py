"""A situation to measure, understood: frozen records in SI units whose constructors refuse nonsense."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rtcprobe.audio.marker import MarkerTrain
from rtcprobe.audio.mouth import LEAST_MARKER_DB, MARKER_TO_SPEECH_DB, MOST_MARKER_DB
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.audio.protection import Protection
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.ice import IceSettings
from rtcprobe.link import ACCESS, LinkSpec, backbone, light_bound_s
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.result import WAYS, Direction
from rtcprobe.secrets import scrub
from rtcprobe.units import format_duration, parse_duration
from rtcprobe.verdict.budgets import Budget
from rtcprobe.verdict.sides import PROSE

__all__ = [
    "CallPlan",
    "Connection",
    "Devices",
    "DtlsTimer",
    "MouthPlan",
    "Scenario",
    "SignalingPlan",
    "Site",
    "TargetPlan",
]

Connection = Literal["cold", "warm"]

LONGEST_CALL_S = 4 * 3600.0
"""Every packet of a call is kept until it is judged: four hours are what an ordinary machine's memory holds."""

LEAST_CALL_S = 0.35
"""The first marker is over by then: it begins after 250 to 270 ms and lasts 80 ms (``rtcprobe.audio.marker``)."""

LONGEST_JOIN_S = 600.0
LONGEST_DEVICE_S = 10.0

MOST_DRIFT = 1e-3
"""1,000 ppm: ten times what the crystals of sound devices are off by."""


def _time(seconds: float) -> str:
    """Return a time as people write it, whole hours as such."""
    hours = seconds / 3600.0
    return f"{hours:.0f}h" if 1.0 <= hours < 1e5 and hours.is_integer() else format_duration(seconds)


ANYWHERE = "anywhere"
"""The region and the access of whoever was given none: a link replaces the path both ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a side of the call is, and what it is connected by (names of the link catalogue)."""

    region: str = ANYWHERE
    access: str = ANYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalingPlan:
    """Where the signalling server is; ``"cold"`` pays TCP and TLS first, ``"warm"`` only the request."""

    region: str = ANYWHERE
    connection: Connection


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
                raise BadInputError(f"{name} {_time(value)} is impossible", f"give above 0ms to {_time(most)}")
        for name, count in (("calls", self.calls), ("joins", self.joins)):
            if count < 1:
                raise BadInputError(f"{name} {count} is impossible", "give 1 or more")
        if not MarkerTrain().markers(self.duration_s):
            least = format_duration(LEAST_CALL_S)
            raise BadInputError(f"duration {_time(self.duration_s)} is too short for a marker", f"give {least} or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthPlan:
    """What is spoken between the markers: ``"silence"``, ``"noise"``, or speech from a WAV file.

    ``marker_to_speech_db`` is how loud the markers are beside the speech.
    """

    programme: Literal["silence", "noise"] | Path
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
                raise BadInputError(f"{name} {_time(value)} is impossible", f"give 0ms to {_time(LONGEST_DEVICE_S)}")


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
            raise BadInputError(f"timer {_time(self.initial_s)} is impossible", "give above 0ms to 60s")

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
    """A call between two people, and the budgets it should stay within.

    The media path is access, backbone between the regions (of ``rtt_s`` where given), access; ``link`` replaces it in
    the directions it names: where it names both, nobody needs a region or an access. ``settings`` is the whole scenario
    as it was written, defaults filled in: what a reader needs to run it again.

    Raises:
        BadInputError: a round trip that is negative, or that could have no effect.
    """

    name: str
    serves: str
    sources: tuple[str, ...]
    caller: Site
    callee: Site
    signaling: SignalingPlan
    rtt_s: float | None
    link: Mapping[Direction, LinkSpec]
    call: CallPlan
    codec: OpusSettings
    mouth: MouthPlan
    protection: Protection
    devices: Devices
    playout: PlayoutChoice
    dtls: DtlsTimer
    budgets: tuple[Budget, ...]
    target: TargetPlan = field(default_factory=TargetPlan)
    ice: IceSettings = field(default_factory=IceSettings)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rtt_s is not None:
            backbone(self.caller.region, self.callee.region, self.rtt_s)  # refuses what cannot be
        if self.rtt_s is not None and len(self.link) == len(WAYS):
            raise BadInputError("rtt has no effect where link replaces both directions", "leave one of them out")
        if self.rtt_s is not None and self.target.region is not None:
            raise BadInputError("rtt and target.region both say how far it is", "leave one of them out")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know although it can be run: what has no effect, a path faster than light."""
        if self.target.scheme != "loopback":
            placed = self.link or self.target.region is not None or self.rtt_s is not None
            return () if placed else ("only the access lines are emulated: target.region adds a distance",)
        unasked = self.ice != IceSettings()
        return (*(("ice has no effect on loopback, where both ends are ours",) * unasked), *self._too_fast())

    def _too_fast(self) -> tuple[str, ...]:
        a, b = self.caller.region, self.callee.region
        if ANYWHERE in (a, b):
            return ()
        if self.rtt_s is not None:
            warning = backbone(a, b, self.rtt_s).warning
            return () if warning is None else (warning,)
        bound_s = light_bound_s(a, b)
        fastest_s = sum(self._fastest_s(direction) for direction in WAYS)
        if not self.link or fastest_s >= bound_s:
            return ()
        fact = (
            f"link: a round trip of {format_duration(fastest_s, 1)} between {a} and {b} is faster than light in fibre"
        )
        return (f"{fact}, which takes {format_duration(bound_s, 1)}",)

    def _fastest_s(self, direction: Direction) -> float:
        """Return the shortest one-way delay of the media path, by its delay models."""
        if direction in self.link:
            return self.link[direction].delay.quantile_s(0)
        from_caller = direction == "caller_to_callee"
        sender, receiver = (self.caller, self.callee) if from_caller else (self.callee, self.caller)
        hops = (ACCESS[sender.access].up, backbone(sender.region, receiver.region).spec, ACCESS[receiver.access].down)
        return sum(hop.delay.quantile_s(0) for hop in hops)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ where the measured situation does.

        Prose, name and budgets aside, and who is called in it: two vendors are compared in one situation.
        """
        measured = {key: value for key, value in self.settings.items() if key not in PROSE | {"target"}}
        text = json.dumps(measured, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
