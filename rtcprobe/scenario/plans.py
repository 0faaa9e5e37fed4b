"""What a scenario says of a call beside who is in it: signalling, how many and how long, the DTLS timer, the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from rtcprobe.audio.marker import MarkerTrain
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.scenario.parties import ANYWHERE, written_time
from rtcprobe.scenario.servers import FORWARDING
from rtcprobe.secrets import scrub
from rtcprobe.units import format_duration, parse_duration

__all__ = ["LEAST_CALL_S", "CallPlan", "Connection", "DtlsTimer", "SignalingPlan", "TargetPlan"]

Connection = Literal["cold", "warm"]

LONGEST_CALL_S: Final = 4 * 3600.0
"""Every packet of a call is kept until it is judged: four hours are what an ordinary machine's memory holds."""

LEAST_CALL_S: Final = 0.35
"""The first marker is over by then: it begins after 250 to 270 ms and lasts 80 ms (``rtcprobe.audio.marker``)."""

LONGEST_JOIN_S: Final = 600.0
"""A join of ten minutes is a hang: nobody waits for it, and a run of a hundred would take most of a day."""


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
        # 60 s is what a timer may be doubled to at the least (RFC 6298, 2.5): one that begins later would hide the
        # loss.
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
        # Facts, in their order.
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
        # Schemes are without regard to case (RFC 3986 §3.1); "loopback", which is no URL, is its own.
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
