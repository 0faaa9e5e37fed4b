"""A call through forwarding servers of ours (``targets.sfu``): who is connected to which, and what passes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rtcprobe.call.channel import drained
from rtcprobe.call.courier import Courier
from rtcprobe.call.ends.server import Inlet, Nack, Outlet, ServerLeg
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import absent
from rtcprobe.call.signaling import EmulatedSignaling
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import CallSetup, Route, Way
from rtcprobe.call.targets.emulated import EmulatedCall, world
from rtcprobe.call.targets.endings import bounded, said_all
from rtcprobe.call.targets.sfu_post import Post
from rtcprobe.call.transceiver import Sound
from rtcprobe.errors import MeasurementError
from rtcprobe.messages import CameMessages, SaidMessages
from rtcprobe.runtime.forwarding import Forwarding
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER, Timer, Wait
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["SfuCall", "Topology"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What is where: ``homes`` is each party's server, ``between`` the pairs of servers that sound passes.

    ``routes`` are all that packets take, ``legs`` those that links are told of. ``signaling`` is the host of a
    signalling server, None where each server is its own.
    """

    homes: Mapping[str, str]
    servers: Sequence[str]
    between: Sequence[Route]
    routes: Sequence[Route]
    legs: Sequence[LegName]
    signaling: str | None
    nack: Nack


class SfuCall(EmulatedCall):
    """One call on the running loop. What it measured stays readable at any moment, finished or not."""

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, plan: Topology, *, sockets: bool) -> None:
        others = (*plan.servers, *([] if plan.signaling is None else [plan.signaling]))
        super().__init__(setup, world(setup, seed, others, plan.routes, sockets=sockets))
        self._plan = plan
        self._planes = {name: Forwarding(now_s=self.network.now_s) for name in plan.servers}
        self._post = Post(self._members, plan.homes, setup.messages, self.network)
        self._heard = {name: self._heard_by(name) for name in self.parties}
        self._peers: dict[str, Peer] = {}
        self._legs: dict[str, ServerLeg] = {}
        for name in self.parties:
            self._admit(name)
        met = {frozenset(pair) for pair in plan.between}
        self._relays = [self._relay(*pair) for pair in combinations(plan.servers, 2) if frozenset(pair) in met]
        self._signaling = {name: self._signaling_of(name) for name in plan.servers}

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, by talker in the order written, then by listener."""
        return [
            Way(WayName.of(one, other), self._peers[one], self._peers[other], self._section(other, one))
            for one in self.parties
            for other in self.parties
            if one in self._heard[other]
        ]

    def messages(self) -> list[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way, and what of it came."""
        return list(self._post.exchanged())

    @property
    def joiners(self) -> list[Peer]:
        """Every party that is there and hears somebody."""
        return [peer for name, peer in self._peers.items() if self._heard[name] and self._members[name].there]

    @property
    def peers(self) -> list[Peer]:
        """Every party's connection."""
        return list(self._peers.values())

    @property
    def there(self) -> list[Peer]:
        """Those of who is there from the start."""
        return [peer for name, peer in self._peers.items() if not absent(name, self.setup.cues)]

    def server_of(self, joiner: Peer) -> str:
        """Return the server that ``joiner`` is connected to."""
        return self._plan.homes[joiner.side]

    def legs(self) -> dict[LegName, list[Leg]]:
        """Return the paths of every party to its server and back, and between servers."""
        return {leg: [Leg.of(self.direction(leg.source, leg.destination))] for leg in self._plan.legs}

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return every retransmission so far on the connection of ``joiner``, on either side."""
        one, other = joiner.side, self.server_of(joiner)
        leg = self._legs[one]
        return [
            *joiner.waits(leg.progress_s(), self.world.fastest_s(one, other)),
            *leg.waits(joiner.progress_s(), self.world.fastest_s(other, one)),
            *self._signaling[other].waits(one),
        ]

    def awaited_s(self, joiner: Peer, never_s: float) -> dict[Timer, float]:
        """Return from when on each kind of timer can have held the join up; ``never_s`` for what was never reached."""
        one, other = joiner.side, self.server_of(joiner)
        way_s = min(self.world.fastest_s(*route) or 0.0 for route in ((one, other), (other, one)))
        both = (joiner.timeline.marks, self._legs[one].timeline.marks)
        ready_s = max(marks.get("ice_connected", never_s) for marks in both)
        return {"stun": joiner.timeline.marks.get("answer_received", never_s) - way_s, "dtls": ready_s - way_s}

    async def prepare(self) -> None:
        """Connect the servers to each other.

        Raises:
            MeasurementError: two of them do not reach each other.
        """
        for one, other in self._relays:
            await one.accept(await other.answer(await one.offer()))
        for one, other in self._relays:
            for leg in (one, other):
                ready = [asyncio.ensure_future(each.wait()) for each in (leg.connected, leg.failed)]
                await asyncio.wait(ready, return_when=asyncio.FIRST_COMPLETED)
                for each in ready:
                    each.cancel()
                if not leg.connected.is_set():
                    raise MeasurementError(f"servers {one.side} and {other.side} do not reach each other")

    async def connect(self) -> None:
        """Let everybody who is there join."""
        await asyncio.gather(*(self._join(name) for name, peer in self._peers.items() if peer in self.there))

    async def say_all(self) -> None:
        """Wait until all is said, and the last packet has come. A path that breaks ends it early: ``cut`` says when."""
        self.cut = await said_all(dict.fromkeys(way.talker for way in self.ways), self.peers, self.network)
        if self.setup.messages and self.cut is None:
            channels = [peer.channel for peer in self.there if peer.channel is not None]
            await drained(channels, [peer.ended for peer in self.there], self._post.couriers)
        asked = (peer.negotiated is not None and peer.negotiated.nack for peer in self.peers)
        await self.until_the_last_packet(patient=any(asked))

    async def leave(self) -> None:
        """Let the signalling connections be."""
        for each in self._signaling.values():
            each.close()

    async def close_peers(self) -> list[str | None]:
        """Hang up one after the other, in an order that no clock decides: parties, then servers."""
        legs = [*self._legs.values(), *(leg for pair in self._relays for leg in pair)]
        return [await bounded(each.close()) for each in (*self.peers, *legs)]

    async def _join(self, name: str) -> None:
        """Get a party connected to its server."""
        peer, leg = self._peers[name], self._legs[name]
        signaling = self._signaling[leg.side]
        leg.timeline.begin(self.network.now_s())
        connecting = signaling.connect(peer.timeline, leg.timeline)
        _, offer = await asyncio.gather(connecting, peer.offer())  # made while the first packet is under way
        await peer.accept(await signaling.exchange(offer, leg.answer, peer.timeline, leg.timeline))

    def _heard_by(self, listener: str) -> list[str]:
        """Return whom a party hears."""
        member = self._members[listener]
        return [name for name, each in self._members.items() if each.mouth is not None and member.hears(each)]

    def _section(self, listener: str, talker: str) -> Sound:
        """Return where ``listener`` hears ``talker``: its own section is the first, where it has one."""
        heard = [each for each in self._peers[listener].sections if isinstance(each, Sound)]
        return heard[len(heard) - len(self._heard[listener]) + self._heard[listener].index(talker)]

    def _admit(self, name: str) -> None:
        """Make a party's connection and the server's end of it, a section for each."""
        member, plane = self._members[name], self._planes[self._plan.homes[name]]
        heard = any(name in talkers for talkers in self._heard.values())
        talkers = [self._members[each] for each in self._heard[name]]
        own = member.mouth is not None and heard
        written = self._post.wanted(name)
        if not own and not talkers and written is None:
            return  # neither hears nor is heard: it has nothing to do there
        home = self._plan.homes[name]
        self._peers[name] = member.join(home, talkers, heard=heard, milestones=CALLER_ORDER, messages=written)
        inlet = [Inlet(name, plane, asks=self._asks, network=self.network)] if own else []
        outlets = [Outlet(each.name, plane, self.network) for each in talkers]
        silent = [] if inlet or outlets else [Outlet(name, plane, self.network)]  # who only writes and reads
        self._legs[name] = self._leg(home, [*inlet, *outlets, *silent], CALLEE_ORDER, self._post.at_home(name))

    def _relay(self, one: str, other: str) -> tuple[ServerLeg, ServerLeg]:
        """Make the connection of two servers: each sends the other whom somebody hears there."""
        there, back = self._passing(one, other), self._passing(other, one)
        made = [
            [
                Outlet(name, plane, self.network)
                if name in sends
                else Inlet(name, plane, asks=self._asks, network=self.network)
                for name in (*there, *back)
            ]
            for plane, sends in ((self._planes[one], there), (self._planes[other], back))
        ]
        # Servers that exchange messages alone have a silent section, too.
        near = made[0] or [Outlet(one, self._planes[one], self.network)]
        far = made[1] or [Inlet(one, self._planes[other], asks=False, network=self.network)]
        return (
            self._leg(one, near, CALLER_ORDER, self._post.between(one, other)),
            self._leg(other, far, CALLEE_ORDER, self._post.between(other, one)),
        )

    def _passing(self, one: str, other: str) -> list[str]:
        """Return who at server ``one`` is heard by anybody at ``other``."""
        homes = self._plan.homes
        return [
            name
            for name in self.parties
            if homes[name] == one and any(name in self._heard[each] for each in self.parties if homes[each] == other)
        ]

    @property
    def _asks(self) -> bool:
        return self._plan.nack == "answer+ask"

    def _leg(
        self,
        server: str,
        sections: Sequence[Inlet | Outlet],
        milestones: Sequence[str],
        courier: Courier | None,
    ) -> ServerLeg:
        return ServerLeg(
            self.world.hosts[server].beside(),
            server,
            sections,
            dtls_timeout_s=self.setup.dtls_timeout_s,
            protection=self.setup.protection,
            nack=self._plan.nack,
            milestones=milestones,
            courier=courier,
        )

    def _signaling_of(self, server: str) -> EmulatedSignaling:
        """Return how those at ``server`` reach it."""
        hosts = self.world.hosts
        made = EmulatedSignaling(
            self.network, server=hosts[self._plan.signaling or server], connection=self.setup.connection
        )
        made.admit(hosts[server], calls=False)
        for name in self._peers:
            if self._plan.homes[name] == server:
                made.admit(hosts[name], calls=True)
        return made
