"""What calls have in common whose every host is ours: hosts, the paths between them, and parties with their mouths.

Rules:
    1. Seeds are handed out in the order of the routes, then a mouth's phase a party: more of either at the end moves
       nothing that was before it.
    2. A call is over when its last packet has come, and what was asked for again had time to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtcprobe.call.member import Member
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import absent, silent
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.blame import by_timers
from rtcprobe.call.targets.course import Course
from rtcprobe.call.targets.endings import bounded
from rtcprobe.link import Link, Path
from rtcprobe.messages import Due
from rtcprobe.runtime.network import Direction, Host, Network
from rtcprobe.timeline import Wait

__all__ = ["EmulatedCall", "World", "world"]

RETRANSMISSION_S = 1.0
"""How long after the last packet one that was asked for again can still come: the rule of ``playout.nack``."""

LAST_PACKET_S = 0.010
"""How long a call goes on after its last packet was due: who hangs up at that very instant may be ahead of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The hosts of a call and the network they are on, every path laid; ``members`` are the parties among them."""

    network: Network
    hosts: Mapping[str, Host]
    members: Mapping[str, Member]

    def direction(self, source: str, destination: str) -> Direction:
        """Return the way from one host to another."""
        return self.network.direction(self.hosts[source], self.hosts[destination])

    def fastest_s(self, source: str, destination: str) -> float | None:
        """Return the fastest that a packet has gone that way; None before any has."""
        return self.direction(source, destination).tally.fastest_s()


def world(
    setup: CallSetup, seed: np.random.SeedSequence, others: Sequence[str], routes: Sequence[Route], *, sockets: bool
) -> World:
    """Return the network of the parties of ``setup`` and of ``others``, joined by ``routes``."""
    network = Network(asyncio.get_running_loop(), sockets=sockets)
    network_seed, phase_seed = seed.spawn(2)
    hosts = {
        name: network.add_host(name, "127.0.0.1" if sockets else f"10.0.{place >> 8}.{place & 255}")
        for place, name in enumerate((*setup.speech, *others), 1)
    }
    for (source, destination), route_seed in zip(routes, network_seed.spawn(len(routes)), strict=True):
        specs = setup.routes[source, destination]
        links = [Link(spec, child) for spec, child in zip(specs, route_seed.spawn(len(specs)), strict=True)]
        network.connect(hosts[source], hosts[destination], Path(links))
    return World(network=network, hosts=hosts, members=_members(setup, network, hosts, phase_seed))


class EmulatedCall(Course):
    """A call in a world of ours; how its members meet is a subclass's matter."""

    def __init__(self, setup: CallSetup, made: World) -> None:
        super().__init__(setup, made.network)
        self.world = made
        self.parties = tuple(setup.speech)
        self._members = made.members

    def direction(self, source: str, destination: str) -> Direction:
        """Return the way from one host to another."""
        return self.world.direction(source, destination)

    def let_speak(self, *, joining: bool) -> None:
        """Let those speak who are there and wait for no cue; in a join all of them, to be heard at all.

        Their messages go.
        """
        for member in self._members.values():
            if member.there and (joining or not silent(member.name, self.setup.cues)):
                member.speak()
            if member.there:
                member.may_send()

    def report(self) -> dict[str, object]:
        """Return nothing: all sides are ours."""
        return {}

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return every retransmission so far on the connection of ``joiner``, on either side."""
        raise NotImplementedError

    async def until_the_last_packet(self, *, patient: bool) -> None:
        """Wait for what is under way; ``patient``: and for what may be asked for again."""
        await asyncio.sleep(max(0.0, self.network.last_arrival_s - self.network.now_s()) + LAST_PACKET_S)
        if patient:
            await asyncio.sleep(RETRANSMISSION_S)

    async def close_peers(self) -> list[str | None]:
        """Hang up one after the other, in an order that no clock decides."""
        return [await bounded(peer.close()) for peer in self.peers]

    def too_late(self, peer: Peer, limit_s: float) -> str:
        """Return what ``peer`` was waiting for after ``limit_s``, and which timer still tried."""
        return by_timers(peer, f"not within {limit_s:g} s", self.waits(peer))

    def gave_up(self, peer: Peer) -> str:
        """Return what ``peer`` was waiting for when its media path gave up, and which timer had tried."""
        return by_timers(peer, "gave up", self.waits(peer))


def _members(
    setup: CallSetup, network: Network, hosts: Mapping[str, Host], seed: np.random.SeedSequence
) -> dict[str, Member]:
    """Return the parties, each with what chance gives it."""
    chance, count = np.random.Generator(np.random.PCG64(seed)), len(setup.speech)
    mouths, cameras = chance.random(count).tolist(), chance.random(count).tolist()
    out: dict[str, Member] = {}
    children, chances = seed.spawn(count), seed.spawn(count)
    for name, phase, camera, child, writing in zip(setup.speech, mouths, cameras, children, chances, strict=True):
        may = asyncio.Event()
        out[name] = Member(
            name=name,
            host=hosts[name],
            setup=setup,
            mouth=setup.mouth(name, network, phase=phase, may_speak=may, seed=child),
            may_speak=may,
            camera_phase=camera,
            by_rate=_by_rate(setup, name, writing),
            there=not absent(name, setup.cues),
        )
    return out


def _by_rate(setup: CallSetup, name: str, seed: np.random.SeedSequence) -> Sequence[Due]:
    plan = setup.messages.get(name)
    return () if plan is None else plan.by_rate(setup.lasts_s, np.random.Generator(np.random.PCG64(seed)))
