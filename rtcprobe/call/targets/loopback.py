"""Target ``loopback``: every party is ours, each joined to each other by the emulated network (a full mesh).

Facts:
    In a mesh each party has a connection to every other (RFC 7478 §2.3 has no server between): its mouth is heard
    over all of them, each packet sent once a connection.

Rules:
    1. Of two parties the one that stands first calls the other, through a signalling server of the same network.
    2. Seeds are handed out in the order of ``mesh_routes``, then a mouth's phase a party: in a call of two, nothing
       moves when there could be more.
    3. A party has joined when it hears everybody who came: the last of its connections tells how that was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations, permutations

import numpy as np

from rtcprobe.call.channel import Channel, ChannelEnd, drained
from rtcprobe.call.live import introduce
from rtcprobe.call.member import Member
from rtcprobe.call.peer import Peer
from rtcprobe.call.performance import Performance
from rtcprobe.call.script import absent
from rtcprobe.call.signaling import EmulatedSignaling
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import CallSetup, Route, Way
from rtcprobe.call.targets.emulated import EmulatedCall, world
from rtcprobe.call.targets.endings import said_all
from rtcprobe.call.watching import first_pictures
from rtcprobe.errors import BadInputError
from rtcprobe.messages import CameMessages, SaidMessages
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER, Timer, Wait
from rtcprobe.ways import BOTH_WAYS
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["ROUTES", "CallSetup", "LoopbackCall", "LoopbackTarget", "make_target", "mesh_routes"]

SERVER = "server"


def mesh_routes(parties: Sequence[str]) -> tuple[Route, ...]:
    """Return every way packets take between ``parties`` and the server, in the order in which seeds are handed out."""
    there = [way for one, other in combinations(parties, 2) for way in ((one, other), (other, one))]
    return (*there, *(way for party in parties for way in ((party, SERVER), (SERVER, party))))


ROUTES = mesh_routes(("caller", "callee"))
"""Those of a call of two."""


class LoopbackTarget:
    """All ends are ours, on either clock: parties in the order in which they call, heard on the ways named."""

    name = "loopback"
    clocks: tuple[Clock, ...] = ("virtual", "real")
    pictures = True
    parties: tuple[str, ...] = ("caller", "callee")
    directions: tuple[WayName, ...] = BOTH_WAYS

    def joining(self, parties: Sequence[str], ways: Sequence[WayName]) -> LoopbackTarget:
        """Return the loopback of these parties."""
        target = LoopbackTarget()
        target.parties, target.directions = tuple(parties), tuple(ways)
        return target

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every way packets take."""
        return mesh_routes(self.parties)

    @property
    def legs(self) -> tuple[LegName, ...]:
        """The legs between those who hear each other."""
        return tuple(LegName.between(way.talker, way.listener) for way in self.directions)

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> LoopbackCall:
        """Return a call, not yet begun, on the running loop."""
        return LoopbackCall(setup, seed, sockets=clock == "real")


def make_target(plan: TargetPlan) -> LoopbackTarget:
    """Return the loopback.

    Raises:
        BadInputError: options, for it has none.
    """
    if plan.url != "loopback" or plan.region is not None:
        raise BadInputError(f"target {plan.shown!r} is impossible", "loopback stands alone: both ends are emulated")
    plan.only(())
    return LoopbackTarget()


class LoopbackCall(EmulatedCall):
    """One call on the running loop. What it measured stays readable at any moment, finished or not."""

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, *, sockets: bool) -> None:
        routes = mesh_routes(tuple(setup.speech))
        super().__init__(setup, world(setup, seed, (SERVER,), routes, sockets=sockets))
        hosts = self.world.hosts
        self._pairs = [self._in_order(*pair) for pair in combinations(self._members.values(), 2)]
        # Who neither hears nor is heard by another has no connection to it: a mesh is of ways, not of parties.
        self._pairs = [(one, other) for one, other in self._pairs if one.hears(other) or other.hears(one)]
        self._peers: dict[Route, Peer] = {}
        # Who calls is made first: what the stack draws by chance for a connection is drawn in this order, whatever
        # comes of it.
        for one, other in self._pairs:
            self._peers[one.name, other.name] = one.meet(other, CALLER_ORDER)
            self._peers[other.name, one.name] = other.meet(one, CALLEE_ORDER)
        mouths = {name: each.mouth for name, each in self._members.items()}
        introduce(mouths, {pair: peer.sound for pair, peer in self._peers.items()})
        self.signaling = EmulatedSignaling(self.network, server=hosts[SERVER], connection=setup.connection)
        # Who calls anybody reaches the server itself; who is only called has a connection open (``signaling``).
        callers = {one for one, _ in self._pairs}
        for member in self._members.values():
            self.signaling.admit(member.host, calls=member in callers)

    @property
    def caller(self) -> Peer:
        """Who calls first."""
        return self.peers[0]

    @property
    def callee(self) -> Peer:
        """Who is called first."""
        return self.peers[1]

    @cached_property
    def ways(self) -> list[Way]:
        """Who hears whom, by talker in the order written, then by listener.

        Asked a dozen times in a join, and made once: who has a mouth and who hears whom stands from the beginning.
        """
        return [
            Way(
                WayName.of(talker, listener),
                self._peers[talker, listener],
                self._peers[listener, talker],
            )
            for talker in self.parties
            for listener in self.parties
            if self._members[listener].hears(self._members[talker]) and self._members[talker].mouth is not None
        ]

    def messages(self) -> list[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way, by who sends in the order written, then by who listens."""
        found = []
        for way in (WayName.of(one, other, "messages") for one, other in permutations(self.parties, 2)):
            sender, taker = (
                self._channel(*route) for route in ((way.talker, way.listener), (way.listener, way.talker))
            )
            if sender is None or taker is None or sender.wanted.plan is None or not sender.may_send.is_set():
                continue
            found.append((way, sender.said(), taker.received(way.talker)))
        return found

    @property
    def joiners(self) -> list[Peer]:
        """Of two the caller; of more every party that hears somebody, by the connection that was last (rule 3)."""
        if len(self.parties) == 2:
            return self.peers[:1]
        listening: dict[str, list[Peer]] = {}
        for way in self.ways:
            if way.listener in self.there:
                listening.setdefault(way.listener.side, []).append(way.listener)
        # The connection that was last tells how a party's join was, unless it
        # broke: a join is not told by what never came.
        came = {name: [peer for peer in each if peer not in self.troubles] for name, each in listening.items()}
        return [max(came[name] or each, key=_heard_s) for name, each in listening.items()]

    @property
    def awaited(self) -> list[asyncio.Event]:
        """Everybody's first packets of whom they hear, and first pictures of whom they see."""
        listening = dict.fromkeys(way.listener for way in self.ways)
        heard = [peer.heard_packet for peer in listening if peer in self.there]
        return heard + [event for peer in self.there for event in first_pictures(peer)]

    @property
    def peers(self) -> list[Peer]:
        """Both ends of every connection, who calls first."""
        return list(self._peers.values())

    @property
    def there(self) -> list[Peer]:
        """Both ends of every connection between those who are there from the start."""
        late = {name for name in self.parties if absent(name, self.setup.cues)}
        return [peer for route, peer in self._peers.items() if late.isdisjoint(route)]

    def legs(self) -> dict[LegName, list[Leg]]:
        """Return the media path of every way."""
        return {
            LegName.between(way.talker.side, way.listener.side): [
                Leg.of(self.direction(way.talker.side, way.listener.side))
            ]
            for way in self.ways
        }

    def waits(self, joiner: Peer | None = None) -> list[Wait]:
        """Return every retransmission so far on the connection of ``joiner`` (the first one's), on either side."""
        one, other = self._pair_of(joiner or self.caller)
        return [
            *self._peers[one, other].waits(self._peers[other, one].progress_s(), self.world.fastest_s(one, other)),
            *self._peers[other, one].waits(self._peers[one, other].progress_s(), self.world.fastest_s(other, one)),
            *self.signaling.waits(one, other),
        ]

    def awaited_s(self, joiner: Peer, never_s: float) -> dict[Timer, float]:
        """Return from when on each kind of timer can have held the join up; ``never_s`` for what was never reached.

        What is sent one way before the other side can take it in is not early.
        """
        one, other = self._pair_of(joiner)
        way_s = min(self.world.fastest_s(*route) or 0.0 for route in ((one, other), (other, one)))
        caller, callee = (self._peers[route].timeline.marks for route in ((one, other), (other, one)))
        ready_s = max(marks.get("ice_connected", never_s) for marks in (caller, callee))
        # A check that leaves while the answer is under way is in time if it
        # arrives after it: hence less the fastest way.
        return {"stun": caller.get("answer_received", never_s) - way_s, "dtls": ready_s - way_s}

    async def connect(self) -> None:
        """Let whoever stands first call the others."""
        await asyncio.gather(*(self._meet(one, other) for one, other in self._pairs if one.there and other.there))

    async def say_all(self) -> None:
        """Wait until all is said, or the script is over, and the last packet has come.

        A path that breaks meanwhile ends it early: ``cut`` says when.
        """
        if self.setup.cues:
            performance = Performance(self._members, self._meet, self.setup, self.warnings, self._goes_on)
            self.happened = performance.happened
            self.cut = await performance.run()
        elif len(self.parties) > 2:
            self.cut = await self.said_by_all()
        else:
            self.cut = await said_all({way.talker: None for way in self.ways}, self.peers, self.network)
        if self.setup.messages and self.cut is None:
            await drained(self._channels())
        # Pictures are always asked for again, sound where that was agreed on.
        asked = (peer.pictures or (peer.negotiated is not None and peer.negotiated.nack) for peer in self.peers)
        await self.until_the_last_packet(patient=any(asked))

    async def leave(self) -> None:
        """Let the signalling connections be."""
        self.signaling.close()

    def _goes_on(self, peer: Peer, after_s: float) -> bool:
        """Note whose path broke; return whether there are others who hear each other."""
        if len(self.parties) == 2:
            return False
        self.broke(peer, after_s)
        return bool(self.sound_ways())

    def _channels(self) -> list[ChannelEnd]:
        """Return every end of a channel between those who are there."""
        there = {name for name, member in self._members.items() if member.there}
        found = [peer for route, peer in self._peers.items() if there.issuperset(route)]
        return [ChannelEnd(peer.channel, peer.ended) for peer in found if peer.channel is not None]

    def _channel(self, one: str, other: str) -> Channel | None:
        """Return the end of ``one`` of its channel to another."""
        peer = self._peers.get((one, other))
        return None if peer is None else peer.channel

    def _in_order(self, one: Member, other: Member) -> tuple[Member, Member]:
        """Return who calls and who is called: who comes later calls those who are there; else the first the second."""
        return (one, other) if other.there else (other, one)

    def _pair_of(self, peer: Peer) -> Route:
        """Return who calls and who is called on the connection of ``peer``."""
        return self._ordered(*next(route for route, each in self._peers.items() if each is peer))[0]

    def _ordered(self, one: str, other: str) -> tuple[Route, Route]:
        """Return the connection of two by its ends: of who calls, of who is called."""
        calls = (self._members[one], self._members[other]) in self._pairs
        return ((one, other), (other, one)) if calls else ((other, one), (one, other))

    async def _meet(self, one: Member, other: Member) -> None:
        """Get two connected: the one that calls to the one that is called."""
        caller, callee = (self._peers[route] for route in self._ordered(one.name, other.name))
        connecting = self.signaling.connect(caller.timeline, callee.timeline)
        _, offer = await asyncio.gather(connecting, caller.offer())  # made while the first packet is under way
        await caller.accept(await self.signaling.exchange(offer, callee.answer, caller.timeline, callee.timeline))


def _heard_s(peer: Peer) -> float:
    return peer.timeline.marks.get("first_packet", float("inf"))
