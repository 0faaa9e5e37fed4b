"""Two parties and the links between them: from a plan and a seed to what each said and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from rtcprobe.audio.protection import Protection
from rtcprobe.link import Link, LinkSpec, Path, Requested, Tally
from rtcprobe.model import wire
from rtcprobe.model.agenda import Agenda
from rtcprobe.model.line import Line
from rtcprobe.model.party import Party, Voice
from rtcprobe.recording import Agreed, Came, Said

__all__ = ["OPUS_PAYLOAD_TYPE", "RED_PAYLOAD_TYPE", "Modelled", "Plan", "place"]

Route = tuple[str, str]

_ROUTES: Final[tuple[Route, ...]] = (
    ("caller", "callee"),
    ("callee", "caller"),
    ("caller", "server"),
    ("server", "caller"),
    ("callee", "server"),
    ("server", "callee"),
)
"""In the order in which the loopback call hands out seeds."""

OPUS_PAYLOAD_TYPE: Final = 96
RED_PAYLOAD_TYPE: Final = 63
"""What our own peers agree on."""

_LAST_PACKET_S: Final = 0.010
_RETRANSMISSION_S: Final = 1.0
"""How long a call goes on after its last packet, and where packets may be sent again: the loopback's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a call is made of: the hops of every route, what each side says, protection, and how long joining may take.

    ``dtls_timeout_s`` turns a round trip (None: not known) into the handshake's first timer, seconds.
    """

    routes: Mapping[Route, Sequence[LinkSpec]]
    frames: Mapping[str, Sequence[bytes | None]]
    ptime_s: float
    protection: Protection
    connection: Literal["cold", "warm"]
    dtls_timeout_s: Callable[[float | None], float]
    join_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Modelled:
    """What a call left behind, caller and callee in this order: what each said, and what reached each.

    ``lines`` are the hops and the tally of the caller's way to the callee, and of the way back. ``failed`` says why it
    did not come about, None where it did.
    """

    said: tuple[Said, Said]
    came: tuple[Came, Came]
    lines: tuple[tuple[tuple[LinkSpec, ...], Tally], tuple[tuple[LinkSpec, ...], Tally]]
    failed: str | None = None


def place(plan: Plan, seed: np.random.SeedSequence, chance: np.random.SeedSequence) -> Modelled:
    """Return what a call of ``plan`` leaves behind; equal seeds give equal calls.

    Args:
        plan: what it is made of.
        seed: of links and mouths, spent as the loopback call spends its own.
        chance: of what the stack draws by itself: first numbers, and when reports leave.
    """
    network_seed, phase_seed = seed.spawn(2)
    routes = dict(zip(_ROUTES, network_seed.spawn(len(_ROUTES)), strict=True))
    there, back = (_line(plan.routes[route], routes[route]) for route in _ROUTES[:2])
    phases = np.random.Generator(np.random.PCG64(phase_seed)).random(2).tolist()
    agenda, agreed = Agenda(), _agreed(plan.protection)
    caller, callee = (
        Party(
            side,
            Voice(frames=plan.frames[side], ptime_s=plan.ptime_s, red_copies=plan.protection.red_copies),
            agreed,
            phase_s=phase * plan.ptime_s,
            agenda=agenda,
            rng=np.random.Generator(np.random.PCG64(child)),
        )
        for side, phase, child in zip(("caller", "callee"), phases, chance.spawn(2), strict=True)
    )
    caller.connect(callee, there)
    callee.connect(caller, back)
    failed = _Handshake(plan, there, back).shake(caller, callee)
    if failed is None:
        _talk(agenda, caller, callee, there, back, patient=agreed.nack)
    return Modelled(
        said=(caller.said(), callee.said()),
        came=(caller.came(), callee.came()),
        lines=(_told(there), _told(back)),
        failed=failed,
    )


def _talk(agenda: Agenda, caller: Party, callee: Party, there: Line, back: Line, *, patient: bool) -> None:
    """Let both say all they have; then wait for the last packet, and, ``patient``, for what is sent again; hang up."""

    def said_s() -> float:
        both = (caller.finished_s, callee.finished_s)
        return np.inf if None in both else max(each for each in both if each is not None)

    agenda.until(said_s)
    last_s = max(said_s(), there.last_arrival_s, back.last_arrival_s)
    end_s = last_s + _LAST_PACKET_S + (_RETRANSMISSION_S if patient else 0.0)
    agenda.until(lambda: end_s)
    for line in (there, back):
        for size_bytes in wire.GOODBYE_BYTES:
            line.offer(size_bytes, end_s)


@dataclass(slots=True)
class _Handshake:
    """What comes before the sound: the way to the callee and back, checks (RFC 8445), DTLS (RFC 6347).

    The callee checks and begins DTLS: it is the first to know both descriptions.
    """

    plan: Plan
    there: Line
    back: Line

    def shake(self, caller: Party, callee: Party) -> str | None:
        """Let both talk once they are connected; return why they are not, a sentence, None where they are."""
        until_s = self.plan.join_timeout_s
        offered_s = self._signalled_s("caller", "callee") + self._greeting_s()
        answered_s = offered_s + self._signalled_s("callee", "caller")
        missing = f"not within {until_s:g} s"

        checked_s = self.back.persist(wire.CHECK_BYTES, offered_s, wire.STUN_RTO_S, until_s)
        if checked_s is None:
            return f"caller ice_connected: {missing}"
        ready_s = max(answered_s, checked_s)
        self.there.offer(wire.RESPONSE_BYTES, ready_s)
        nominated_s = self.there.persist(wire.NOMINATION_BYTES, ready_s, wire.STUN_RTO_S, until_s)
        if nominated_s is None:
            return f"callee ice_connected: {missing}"
        came_s = self.back.offer(wire.RESPONSE_BYTES, nominated_s)
        round_trip_s = came_s[0] - ready_s if came_s else None
        wait_s = self.plan.dtls_timeout_s(round_trip_s)
        instants_s: list[float] = [nominated_s]
        for flight, size_bytes in enumerate(wire.DTLS_FLIGHTS_BYTES):
            line = self.there if flight % 2 else self.back
            at_s = line.persist(size_bytes, instants_s[-1], wait_s, until_s)
            if at_s is None:
                return f"{'callee' if flight % 2 else 'caller'} dtls_connected: {missing}"
            instants_s.append(at_s)
        _, hello_s, _, caller_s, callee_s = instants_s
        for party, checks_s, connected_s in ((caller, hello_s, caller_s), (callee, nominated_s, callee_s)):
            party.check(checks_s)
            party.report(connected_s)
            party.talk(max(caller_s, callee_s))
        return None

    def _greeting_s(self) -> float:
        """Return what a cold connection costs before its first request: TCP's and TLS's round trip (RFC 8446 §2)."""
        way_s = self._nominal_s("caller", "server") + self._nominal_s("server", "caller")
        return 2 * way_s if self.plan.connection == "cold" else 0.0

    def _signalled_s(self, source: str, destination: str) -> float:
        return self._nominal_s(source, "server") + self._nominal_s("server", destination)

    def _nominal_s(self, source: str, destination: str) -> float:
        """Return the delay a route is asked to have: the median, or its fastest where the median is not known."""
        hops = self.plan.routes[source, destination]
        if not hops:
            return 0.0
        asked = Requested.of(hops)
        return asked.delay_p50_s if asked.delay_p50_s is not None else asked.delay_min_s or 0.0


def _line(hops: Sequence[LinkSpec], seed: np.random.SeedSequence) -> Line:
    return Line(Path([Link(spec, child) for spec, child in zip(hops, seed.spawn(len(hops)), strict=True)]))


def _told(line: Line) -> tuple[tuple[LinkSpec, ...], Tally]:
    return tuple(link.spec for link in line.path.links), line.tally


def _agreed(protection: Protection) -> Agreed:
    return Agreed(
        opus_payload_type=OPUS_PAYLOAD_TYPE,
        red_payload_type=RED_PAYLOAD_TYPE if protection.red_copies else None,
        sends_red=bool(protection.red_copies),
        nack=protection.nack,
    )
