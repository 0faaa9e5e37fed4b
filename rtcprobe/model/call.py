"""Parties and the links between them: from a plan and a seed to what each said and what came of it.

Facts:
    In a mesh each two who hear each other have a connection of their own, with links of its own: between connections
    nothing is shared but the instant at which all begin to speak, and the microphones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Final, NamedTuple

import numpy as np

from rtcprobe.audio.protection import Protection
from rtcprobe.link import Link, LinkSpec, Path, Requested, Tally
from rtcprobe.model import wire
from rtcprobe.model.agenda import Agenda
from rtcprobe.model.line import Line
from rtcprobe.model.party import Party, Voice
from rtcprobe.recording import Agreed, Came, Said
from rtcprobe.scenario.plans import Connection
from rtcprobe.ways import Leg, Way

__all__ = ["OPUS_PAYLOAD_TYPE", "RED_PAYLOAD_TYPE", "Modelled", "Plan", "Voice", "place"]

Route = tuple[str, str]

OPUS_PAYLOAD_TYPE: Final = 96  # aiortc's first dynamic number
RED_PAYLOAD_TYPE: Final = 63
"""What our own peers agree on."""

_SILENT: Final = Voice(frames=(), ptime_s=0.020)
"""Who only listens."""

_LAST_PACKET_S: Final = 0.010
_RETRANSMISSION_S: Final = 1.0
"""How long a call goes on after its last packet, and where packets may be sent again: the loopback's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a call is made of.

    ``routes`` are the hops between parties and to the signalling ``"server"``; ``voices`` what each party says, in the
    order in which they call (None: it only listens); ``hears`` whom each listens to, everybody where nothing is said of
    it. ``dtls_timeout_s`` turns a round trip (None: not known) into the handshake's first timer, seconds.
    """

    routes: Mapping[Route, Sequence[LinkSpec]]
    voices: Mapping[str, Voice | None]
    hears: Mapping[str, Collection[str]] = field(default_factory=dict)
    protection: Protection
    connection: Connection
    dtls_timeout_s: Callable[[float | None], float]
    join_timeout_s: float

    def heard(self, talker: str, listener: str) -> bool:
        """Return whether ``listener`` hears ``talker``."""
        return self.voices[talker] is not None and talker in self.hears.get(listener, self.voices)


class Heard(NamedTuple):
    """One way of a call: what was said on it, and what reached the listener of it."""

    said: Said
    came: Came


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Modelled:
    """What a call left behind, by talker and then by listener in the order of the parties.

    ``lines`` are the hops and the tally of each leg. ``failed`` says why it did not come about, None where it did.
    """

    ways: Mapping[Way, Heard]
    lines: Mapping[Leg, tuple[tuple[LinkSpec, ...], Tally]]
    failed: str | None = None


def place(plan: Plan, seed: np.random.SeedSequence, chance: np.random.SeedSequence) -> Modelled:
    """Return what a call of ``plan`` leaves behind; equal seeds give equal calls.

    Args:
        plan: what it is made of.
        seed: of links and mouths, spent as the loopback call spends its own.
        chance: of what the stack draws by itself: first numbers, and when reports leave.
    """
    # As ``targets.emulated.world`` spends them (rule 1 of this package): mouths have the same phases, links the same
    # seeds.
    network_seed, phase_seed = seed.spawn(2)
    parties = list(plan.voices)
    order = _routes(parties)
    seeds = dict(zip(order, network_seed.spawn(len(order)), strict=True))
    phases = np.random.Generator(np.random.PCG64(phase_seed)).random(len(parties)).tolist()
    phase_of = dict(zip(parties, phases, strict=True))
    met = [two for two in combinations(parties, 2) if plan.heard(*two) or plan.heard(*two[::-1])]
    # Two for each who meet, by pair: what one connection draws does not depend on how many there are.
    children = iter(chance.spawn(2 * len(met)))
    pairs = [_Pair.of(plan, *two, seeds, phase_of, next(children), next(children)) for two in met]
    # All pairs shake hands before anybody asks whether one failed: their packets are in the links in any case.
    failed = [why for why in [pair.shake() for pair in pairs] if why is not None]
    if not failed:
        _talk(pairs, patient=plan.protection.nack)
    ends = {way: party for pair in pairs for way, party in pair.ends.items()}
    return Modelled(
        ways={
            Way.of(talker, listener): Heard(ends[talker, listener].said(), ends[listener, talker].came())
            for talker, listener in product(parties, parties)
            if (talker, listener) in ends and plan.heard(talker, listener)
        },
        lines={Leg.between(*way): line.told() for pair in pairs for way, line in pair.lines.items()},
        failed=failed[0] if failed else None,
    )


def _routes(parties: Sequence[str]) -> list[Route]:
    """Return every route in the order in which the loopback call hands out seeds."""
    between = [way for one, other in combinations(parties, 2) for way in ((one, other), (other, one))]
    return between + [way for party in parties for way in ((party, "server"), ("server", party))]


def _talk(pairs: Sequence[_Pair], *, patient: bool) -> None:
    """Let all say all they have; then wait for the last packet, and, ``patient``, for what is sent again; hang up."""
    # All begin with the last pair that is connected, as a call's mouths open when everybody has joined.
    begins_s = max((pair.ready_s for pair in pairs), default=0.0)
    for pair in pairs:
        pair.talk(begins_s)
    last_s = max((pair.last_s for pair in pairs), default=0.0)
    end_s = last_s + _LAST_PACKET_S + (_RETRANSMISSION_S if patient else 0.0)
    for pair in pairs:
        pair.hang_up(end_s)


@dataclass(slots=True, kw_only=True)
class _Pair:
    """Two who have a connection, by name: the first calls the second, who checks and begins DTLS.

    The callee is the first to know both descriptions.
    """

    plan: Plan
    caller: Party
    callee: Party
    there: Line
    back: Line
    agenda: Agenda
    ready_s: float = 0.0
    """When both are connected."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        one: str,
        other: str,
        seeds: Mapping[Route, np.random.SeedSequence],
        phases: Mapping[str, float],
        *chance: np.random.SeedSequence,
    ) -> _Pair:
        """Return the connection of two parties; ``phases`` say how far into a packet each mouth begins, 0 to 1."""
        there, back = (_line(plan.routes[way], seeds[way]) for way in ((one, other), (other, one)))
        agenda, agreed = Agenda(), _agreed(plan.protection)
        caller, callee = (
            Party(
                name,
                voice if (voice := plan.voices[name]) is not None and plan.heard(name, to) else _SILENT,
                agreed,
                phase=phases[name],
                agenda=agenda,
                rng=np.random.Generator(np.random.PCG64(child)),
            )
            for (name, to), child in zip(((one, other), (other, one)), chance, strict=True)
        )
        caller.connect(callee, there)
        callee.connect(caller, back)
        return cls(plan=plan, caller=caller, callee=callee, there=there, back=back, agenda=agenda)

    @property
    def lines(self) -> dict[Route, Line]:
        """Both ways between them."""
        there = (self.caller.side, self.callee.side)
        return {there: self.there, there[::-1]: self.back}

    @property
    def ends(self) -> dict[Route, Party]:
        """Each of the two, by its name and the other's."""
        there = (self.caller.side, self.callee.side)
        return {there: self.caller, there[::-1]: self.callee}

    @property
    def last_s(self) -> float:
        """When the last word left, or the last packet sealed by then comes."""
        return max(self._said_s(), self.there.last_arrival_s, self.back.last_arrival_s)

    def talk(self, now_s: float) -> None:
        """Let both speak from ``now_s`` on, until they have said all."""
        self.caller.talk(now_s)
        self.callee.talk(now_s)
        # The end moves: with NACK a mouth's last packet is known only when it has left.
        self.agenda.until(self._said_s)
        for line in (self.there, self.back):
            line.settle(self._said_s())

    def hang_up(self, end_s: float) -> None:
        """Go on until ``end_s``, and say goodbye."""
        self.agenda.until(lambda: end_s)
        for line in (self.there, self.back):
            for size_bytes in wire.GOODBYE_BYTES:
                line.offer(size_bytes, end_s)

    def _said_s(self) -> float:
        both = (self.caller.finished_s, self.callee.finished_s)
        return np.inf if None in both else max(each for each in both if each is not None)

    def shake(self) -> str | None:
        """Send what comes before the sound: offer and answer, checks (RFC 8445), DTLS (RFC 6347).

        Return why the two are not connected, a sentence, None where they are.
        """
        until_s = self.plan.join_timeout_s
        one, other = self.caller.side, self.callee.side
        offered_s = self._signalled_s(one, other) + self._greeting_s(one)
        answered_s = offered_s + self._signalled_s(other, one)
        missing = f"not within {until_s:g} s"

        # The callee has both descriptions first, so its checks are the first to travel; who gets one before the answer
        # keeps it until then (``_early_checks`` of aioice).
        checked_s = self.back.persist(wire.CHECK_BYTES, offered_s, wire.STUN_RTO_S, until_s)
        if checked_s is None:
            return f"{one} ice_connected: {missing}"
        ready_s = max(answered_s, checked_s)
        self.there.offer(wire.RESPONSE_BYTES, ready_s)
        nominated_s = self.there.persist(wire.NOMINATION_BYTES, ready_s, wire.STUN_RTO_S, until_s)
        if nominated_s is None:
            return f"{other} ice_connected: {missing}"
        came_s = self.back.offer(wire.RESPONSE_BYTES, nominated_s)
        # What the caller knows of the way when DTLS begins, if the first answer was
        # not lost: its handshake timer is made of that.
        round_trip_s = came_s[0] - ready_s if came_s else None
        wait_s = self.plan.dtls_timeout_s(round_trip_s)
        instants_s: list[float] = [nominated_s]
        # Flights by turns: the callee is the DTLS client, as aiortc's answerer is ``active``, so the first goes back.
        for flight, size_bytes in enumerate(wire.DTLS_FLIGHTS_BYTES):
            line = self.there if flight % 2 else self.back
            at_s = line.persist(size_bytes, instants_s[-1], wait_s, until_s)
            if at_s is None:
                return f"{other if flight % 2 else one} dtls_connected: {missing}"
            instants_s.append(at_s)
        # Instants at which flights came: the third makes the caller complete, the fourth the callee.
        _, hello_s, _, caller_s, callee_s = instants_s
        for party, checks_s, connected_s in ((self.caller, hello_s, caller_s), (self.callee, nominated_s, callee_s)):
            party.check(checks_s)
            party.report(connected_s)
        self.ready_s = max(caller_s, callee_s)
        return None

    def _greeting_s(self, caller: str) -> float:
        """Return what a cold connection costs before its first request: TCP's and TLS's round trip (RFC 8446 §2)."""
        way_s = self._nominal_s(caller, "server") + self._nominal_s("server", caller)
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


def _agreed(protection: Protection) -> Agreed:
    return Agreed(
        opus_payload_type=OPUS_PAYLOAD_TYPE,
        red_payload_type=RED_PAYLOAD_TYPE if protection.red_copies else None,
        sends_red=bool(protection.red_copies),
        nack=protection.nack,
    )
