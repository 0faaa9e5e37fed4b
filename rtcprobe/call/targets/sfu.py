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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import cast

import numpy as np

from rtcprobe.call.ends.server import NACK, Nack
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.sfu_call import SfuCall, Topology
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.result import Clock
from rtcprobe.scenario import Scenario, TargetPlan
from rtcprobe.scenario.parties import ANYWHERE
from rtcprobe.ways import Leg, Way

__all__ = ["SIGNALING", "SfuTarget", "make_target", "server_routes"]

SIGNALING = "server"
"""What routes call a signalling server apart from those that forward."""


def server_routes(homes: Mapping[str, str], servers: Sequence[str], *, apart: bool) -> tuple[Route, ...]:
    """Return every way packets take, in the order in which seeds are handed out; ``apart``: signalling is elsewhere."""
    between = tuple(permutations(servers, 2))
    asked = [SIGNALING] if apart else []
    own = tuple(way for server in servers for each in asked for way in ((server, each), (each, server)))
    itself = () if apart else tuple((server, server) for server in servers)
    ends = [(party, end) for party, home in homes.items() for end in (home, *asked)]
    return (*between, *own, *itself, *(way for one, other in ends for way in ((one, other), (other, one))))


@dataclass(frozen=True, slots=True, kw_only=True)
class SfuTarget:
    """Servers of ours between the parties, on either clock."""

    nack: Nack = "answer+ask"
    homes: Mapping[str, str]
    servers: tuple[str, ...]
    directions: tuple[Way, ...]
    written: tuple[Way, ...] = ()
    """The ways of messages."""
    signaling_apart: bool = False

    @property
    def name(self) -> str:
        """What results call it."""
        return "sfu"

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
        target = SfuTarget(
            nack=self.nack,
            homes=homes,
            servers=tuple(scenario.servers),
            directions=ways,
            written=tuple(way for way in scenario.ways if way.medium == "messages"),
            signaling_apart=scenario.signaling.region != ANYWHERE,
        )
        for name in scenario.settings.get("legs", {}):
            leg = Leg(name)
            if leg not in target.legs and not {leg.source, leg.destination} <= set(scenario.servers):
                party = leg.source if leg.source in homes else leg.destination
                raise BadInputError(
                    f"leg {str(leg)!r} carries nothing, for {party} is connected to {homes[party]}",
                    f"write {Leg.between(party, homes[party])}, or parties.{party}.edge",
                )
        return target

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> SfuCall:
        """Return a call, not yet begun, on the running loop."""
        topology = Topology(
            homes=self.homes,
            servers=self.servers,
            between=self.between,
            routes=self.routes,
            legs=self.legs,
            signaling=SIGNALING if self.signaling_apart else None,
            nack=self.nack,
        )
        return SfuCall(setup, seed, topology, sockets=clock == "real")


def make_target(plan: TargetPlan) -> SfuTarget:
    """Return a server that nobody is connected to yet.

    Raises:
        BadInputError: options that cannot be meant.
    """
    if plan.url != "sfu":
        raise BadInputError(f"target {plan.shown!r} is impossible", "sfu stands alone: target.region says where it is")
    plan.only(("nack",))
    nack = plan.options.get("nack", "answer+ask")
    if nack not in NACK:
        raise BadInputError(f"target.nack {nack!r} is not known", did_you_mean(str(nack), list(NACK)))
    return SfuTarget(nack=cast("Nack", nack), homes={}, servers=(), directions=())
