"""Target ``sfu``: every party has one connection to a forwarding server of ours, in the region where that stands.

Facts:
    A selective forwarding server (RFC 7667 §3.7) decodes nothing: what a party says leaves once, and comes to everybody
    who hears it over the server's own connections to them. Several servers are connected to each other, and each sends
    a talker's sound once to every other where somebody hears it.

Rules:
    1. A party calls its server, which answers at once; the server is its own signalling server, unless that is in a
       region of its own. Servers are connected to each other before anybody joins.
    2. Seeds are handed out in the order of ``server_routes``: between servers first, so that one more party moves
       nothing of the others.
    3. A party has joined when it hears anybody.
    4. Nobody's CPU is in any figure. What a join costs a server is an assumption of the scenario's: a queue in front of
       so many workers, each busy for so long, before the offer is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import ClassVar, cast

import numpy as np

from rtcprobe.call.ends.server import NACK, Nack
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.sfu_call import SfuCall
from rtcprobe.call.targets.sfu_room import Topology
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.result import Clock
from rtcprobe.runtime.picture_forwarding import PICTURE_THROTTLE_S
from rtcprobe.scenario import Scenario, TargetPlan
from rtcprobe.scenario.parties import ANYWHERE
from rtcprobe.units import format_duration, parse_duration
from rtcprobe.ways import Leg, Way

__all__ = ["SIGNALING", "SfuTarget", "make_target", "server_routes"]

OPTIONS = ("nack", "last_n", "stage", "service", "workers", "pli_throttle")
_STAGES = ("same connection", "new connection")

SIGNALING = "server"
"""What routes call a signalling server apart from those that forward."""


def server_routes(homes: Mapping[str, str], servers: Sequence[str], *, apart: bool) -> tuple[Route, ...]:
    """Return every way packets take, in the order in which seeds are handed out; ``apart``: signalling is elsewhere."""
    between = tuple(permutations(servers, 2))
    asked = [SIGNALING] if apart else []
    own = tuple(way for server in servers for each in asked for way in ((server, each), (each, server)))
    # A server that signals by itself is a member there, too: ``EmulatedSignaling`` asks for a way from it to itself.
    itself = () if apart else tuple((server, server) for server in servers)
    ends = [(party, end) for party, home in homes.items() for end in (home, *asked)]
    return (*between, *own, *itself, *(way for one, other in ends for way in ((one, other), (other, one))))


@dataclass(frozen=True, slots=True, kw_only=True)
class SfuTarget:
    """Servers of ours between the parties, on either clock."""

    pictures: ClassVar[bool] = True
    nack: Nack = "answer+ask"
    new_connection: bool = False
    service_s: float = 0.0
    workers: int = 1
    last_n: int | None = None
    pli_throttle_s: float = PICTURE_THROTTLE_S
    rides: bool = True
    """Whether media may take the fast path in virtual time (``runtime.riding``): it changes no figure."""
    homes: Mapping[str, str] = field(default_factory=dict)
    servers: tuple[str, ...] = ()
    directions: tuple[Way, ...] = ()
    written: tuple[Way, ...] = ()
    """The ways of messages."""
    signaling_apart: bool = False

    @property
    def name(self) -> str:
        """What results call it."""
        return "sfu"

    @property
    def assumed(self) -> str | None:
        """What is assumed of the servers that no network decides, in a sentence; None where nothing is."""
        if not self.service_s:
            return None
        each = "one at a time" if self.workers == 1 else f"{self.workers} at a time"
        return f"assumed: a join takes a server {format_duration(self.service_s)} of work, {each} (target.service)"

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """Both."""
        return ("virtual", "real")

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every way packets take."""
        return server_routes(self.homes, self.servers, apart=self.signaling_apart)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """What links are told of: between each party and its server, then between servers."""
        there = [Leg.between(party, home) for party, home in self.homes.items()]
        return (*(each for leg in there for each in (leg, leg.back)), *(Leg.between(*pair) for pair in self.between))

    @property
    def between(self) -> tuple[Route, ...]:
        """The routes between servers that somebody's sound takes, or somebody's messages."""
        taken = {(self.homes[way.talker], self.homes[way.listener]) for way in (*self.directions, *self.written)}
        return tuple(pair for pair in permutations(self.servers, 2) if pair in taken)

    def placed(self, scenario: Scenario) -> SfuTarget:
        """Return the servers of ``scenario``, between its parties.

        Raises:
            BadInputError: a leg written out that carries nothing.
        """
        homes = scenario.homes
        ways = tuple(way for way in scenario.ways if way.medium == "audio")
        target = replace(
            self,
            homes=homes,
            servers=tuple(scenario.servers),
            directions=ways,
            written=tuple(way for way in scenario.ways if way.medium == "messages"),
            signaling_apart=scenario.signaling.region != ANYWHERE,
        )
        for name in scenario.settings.get("legs", {}):
            leg = Leg(name)
            # Between servers any leg may be written: which of them carry sound depends on who hears whom.
            if leg not in target.legs and not {leg.source, leg.destination} <= set(scenario.servers):
                party = leg.source if leg.source in homes else leg.destination
                raise BadInputError(
                    f"leg {str(leg)!r} carries nothing, for {party} is connected to {homes[party]}",
                    f"write {Leg.between(party, homes[party])}, or parties.{party}.edge",
                )
        return target

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> SfuCall:
        """Return a call, not yet begun, on the running loop."""
        return SfuCall(setup, seed, self.topology, sockets=clock == "real")

    @property
    def topology(self) -> Topology:
        """What is where."""
        return Topology(
            homes=self.homes,
            servers=self.servers,
            between=self.between,
            routes=self.routes,
            legs=self.legs,
            signaling=SIGNALING if self.signaling_apart else None,
            nack=self.nack,
            new_connection=self.new_connection,
            service_s=self.service_s,
            workers=self.workers,
            last_n=self.last_n,
            pli_throttle_s=self.pli_throttle_s,
            rides=self.rides,
            assumed=self.assumed,
        )


def make_target(plan: TargetPlan) -> SfuTarget:
    """Return a server that nobody is connected to yet.

    Raises:
        BadInputError: options that cannot be meant.
    """
    if plan.url != "sfu":
        raise BadInputError(f"target {plan.shown!r} is impossible", "sfu stands alone: target.region says where it is")
    plan.only(OPTIONS)
    nack, stage = (str(plan.options.get(key, usual)) for key, usual in (("nack", NACK[1]), ("stage", _STAGES[0])))
    for key, value, known in (("nack", nack, NACK), ("stage", stage, _STAGES)):
        if value not in known:
            raise BadInputError(f"target.{key} {value!r} is not known", did_you_mean(value, list(known)))
    service_s, throttle_s = _duration(plan, "service", 0.0), _duration(plan, "pli_throttle", PICTURE_THROTTLE_S)
    # Where they are not written, 1 passes the check below; of ``last_n`` it is then left out again.
    workers, last_n = plan.options.get("workers", 1), plan.options.get("last_n", 1)
    for key, count in (("workers", workers), ("last_n", last_n)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadInputError(f"target.{key} {count!r} is impossible", "give 1 or more")
    if "workers" in plan.options and not service_s:
        raise BadInputError("target.workers has no effect where a join takes a server no time", "give target.service")
    return SfuTarget(
        nack=cast("Nack", nack),
        new_connection=stage == _STAGES[1],
        service_s=service_s,
        workers=workers,
        last_n=last_n if "last_n" in plan.options else None,
        pli_throttle_s=throttle_s,
    )


def _duration(plan: TargetPlan, key: str, usual_s: float) -> float:
    """Return an option that is a duration.

    Raises:
        BadInputError: it is none.
    """
    try:
        found_s = parse_duration(plan.options.get(key, format_duration(usual_s)))
    except BadInputError as error:
        raise error.within(f"target.{key}") from error
    if found_s < 0:
        raise BadInputError(f"target.{key} {format_duration(found_s)} is impossible", "give 0ms or more")
    return found_s
