"""A call through forwarding servers of ours (``targets.sfu``): everybody joins, all is said, cues are carried out."""

from __future__ import annotations

import asyncio
from itertools import product

import numpy as np

from rtcprobe.call.channel import drained
from rtcprobe.call.ends.server import ServerLeg
from rtcprobe.call.live import introduce
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import absent, goes_on_stage
from rtcprobe.call.signaling import EmulatedSignaling, Sdp
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.emulated import EmulatedCall, world
from rtcprobe.call.targets.endings import bounded
from rtcprobe.call.targets.sfu_passed import Passed
from rtcprobe.call.targets.sfu_room import Room, Seat, Topology
from rtcprobe.call.targets.sfu_script import SfuPerformance
from rtcprobe.call.targets.sfu_shown import Shown, shown
from rtcprobe.messages import CameMessages, SaidMessages
from rtcprobe.recording import Came, Said
from rtcprobe.timeline import Timer, Wait
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["SfuCall"]


class SfuCall(EmulatedCall):
    """One call on the running loop. What it measured stays readable at any moment, finished or not."""

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, plan: Topology, *, sockets: bool) -> None:
        others = (*plan.servers, *([] if plan.signaling is None else [plan.signaling]))
        super().__init__(setup, world(setup, seed, others, plan.routes, sockets=sockets))
        self.plan = plan
        self.warnings += [] if plan.assumed is None else [plan.assumed]
        self.room = self._rooms(plan)
        self._passed = self._heard_of(self.room)
        for name in self.parties:
            on_stage = not (plan.new_connection and goes_on_stage(name, setup.cues))
            self.room.take_seat(name, publishes=on_stage)
        self.room.lay_relays()
        heard = {
            (name, other): seats[0].section(other)
            for name, seats in self.room.seats.items()
            if seats
            for other in seats[0].listens_to
        }
        introduce({name: each.mouth for name, each in self._members.items()}, heard)
        self._serving = {name: asyncio.Semaphore(plan.workers) for name in plan.servers}
        self._signaling = {name: self._signaling_of(name) for name in plan.servers}

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, by talker in the order written, then by listener; each by its first connection."""
        first = {name: seats[0].peer for name, seats in self.room.seats.items() if seats}
        return [
            Way(WayName.of(one, other), first[one], first[other])
            for one in self.parties
            for other in self.parties
            if one in self.room.hears[other] and one in first
        ]

    def messages(self) -> list[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way, and what of it came."""
        return list(self.room.post.exchanged())

    @property
    def joiners(self) -> list[Peer]:
        """Every party that is there and hears somebody."""
        return [seats[0].peer for seats in self._first_seats() if seats[0].listens_to]

    @property
    def awaited(self) -> list[asyncio.Event]:
        """A packet of sound to each joiner, and the first picture of everybody there whom it sees.

        Of the last N alone are pictures sent on: where that may leave somebody out, no picture is waited for.
        """
        last_n, sound = self.plan.last_n, [peer.heard_packet for peer in self.joiners]
        if last_n is not None and last_n < sum(self.room.heard(name) for name in self.parties):
            return sound
        return sound + [
            event for talker in self._first_seats() for event in self._first_pictures_of(talker[0].peer.side)
        ]

    @property
    def peers(self) -> list[Peer]:
        """Every party's connections."""
        return self.room.peers

    @property
    def there(self) -> list[Peer]:
        """Those of who is there from the start."""
        return [seats[0].peer for seats in self._first_seats()]

    def said_on(self, way: Way) -> Said:
        """Return what was said on a way so far, over whatever connections."""
        name = WayName(way.direction)
        said = self._passed.said(name.talker, name.listener)
        return self._nothing(name.talker) if said is None else said

    def came_on(self, way: Way, *, forwarded: bool) -> Came:
        """Return what came on a way so far, over whatever connections."""
        del forwarded
        name = WayName(way.direction)
        came = self._passed.came(name.talker, name.listener)
        assert came is not None  # who hears somebody has had a seat
        return came

    def shown_on(self, way: Way) -> list[Shown]:
        """Return what was shown on a way so far, over each of the viewer's connections."""
        name = WayName(way.direction)
        return list(shown(self.room, name.talker, name.listener))

    def talked_s(self) -> float:
        """Return how long there has been talk."""
        members = self._members.values()
        began_s = [each.mouth.began_s for each in members if each.mouth is not None and each.mouth.began_s is not None]
        return self.network.now_s() - min(began_s) if began_s else 0.0

    def server_of(self, joiner: Peer) -> str:
        """Return the server that ``joiner`` is connected to."""
        return self.plan.homes[joiner.side]

    def legs(self) -> dict[LegName, list[Leg]]:
        """Return the paths of every party to its server and back, and between servers."""
        return {leg: [Leg.of(self.direction(leg.source, leg.destination))] for leg in self.plan.legs}

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return every retransmission so far on the connection of ``joiner``, on either side."""
        one, other = joiner.side, self.server_of(joiner)
        leg = self.room.seat_of(joiner).leg
        return [
            *joiner.waits(leg.progress_s(), self.world.fastest_s(one, other)),
            *leg.waits(joiner.progress_s(), self.world.fastest_s(other, one)),
            *self._signaling[other].waits(one),
        ]

    def awaited_s(self, joiner: Peer, never_s: float) -> dict[Timer, float]:
        """Return from when on each kind of timer can have held the join up; ``never_s`` for what was never reached."""
        one, other = joiner.side, self.server_of(joiner)
        way_s = min(self.world.fastest_s(*route) or 0.0 for route in ((one, other), (other, one)))
        both = (joiner.timeline.marks, self.room.seat_of(joiner).leg.timeline.marks)
        ready_s = max(marks.get("ice_connected", never_s) for marks in both)
        return {"stun": joiner.timeline.marks.get("answer_received", never_s) - way_s, "dtls": ready_s - way_s}

    async def prepare(self) -> None:
        """Connect the servers to each other: who hears nobody because two of them do not reach each other is told."""
        for one, other in self.room.relays:
            await one.accept(await other.answer(await one.offer()))
        until_s = self.network.now_s() + self.setup.join_timeout_s / 2  # the joins have a timeout of their own
        for pair in self.room.relays:
            for leg in pair:
                ready = [asyncio.ensure_future(each.wait()) for each in (leg.connected, leg.failed)]
                left_s = max(0.0, until_s - self.network.now_s())
                try:
                    await asyncio.wait(ready, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for each in ready:
                        each.cancel()
            if not all(leg.connected.is_set() for leg in pair):
                apart = f"servers {pair[0].side} and {pair[1].side} do not reach each other"
                self.warnings.append(f"{apart}: what is said at one is not heard at the other")
                self._see_nothing_between({leg.side for leg in pair})

    async def connect(self) -> None:
        """Let everybody who is there join."""
        await asyncio.gather(*(self.sit_down(seats[0]) for seats in self._first_seats()))

    async def sit_down(self, seat: Seat) -> None:
        """Get a party connected to its server."""
        peer, leg = seat.peer, seat.leg
        signaling = self._signaling[leg.side]
        leg.timeline.begin(self.network.now_s())

        async def served(offer: Sdp) -> Sdp:
            if self.plan.service_s:
                async with self._serving[leg.side]:
                    await asyncio.sleep(self.plan.service_s)
            return await leg.answer(offer)

        connecting = signaling.connect(peer.timeline, leg.timeline)
        _, offer = await asyncio.gather(connecting, peer.offer())  # made while the first packet is under way
        await peer.accept(await signaling.exchange(offer, served, peer.timeline, leg.timeline))

    async def say_all(self) -> None:
        """Wait until all is said, or the script is over, and the last packet has come.

        Paths that break meanwhile are told of those that they are of; the last one's end ends it: ``cut`` says when.
        """
        if self.setup.cues:
            performance = SfuPerformance(self)
            self.happened = performance.happened
            self.cut = await performance.run()
            self.room.over_s = self.network.now_s()
        else:
            self.cut = await self.said_by_all()
        if self.setup.messages and self.cut is None:
            channels = [peer.channel for peer in self.there if peer.channel is not None]
            await drained(channels, [peer.ended for peer in self.there], self.room.post.couriers)
        asked = (each.agreed is not None and each.agreed.nack for peer in self.peers for each in peer.sections)
        for _ in range(len(self.plan.servers[:2]) + 1):  # a server sends on what comes to it meanwhile
            self.room.settle()
            await self.until_the_last_packet(patient=False)
        await self.until_the_last_packet(patient=any(asked))

    def kill(self, server: str) -> None:
        """Let a server die: nothing leaves it any more, and nothing that comes is taken."""
        self.room.settle()
        self.network.silence(self.world.hosts[server])
        self.warnings.append(f"server {server} died {self.talked_s():.1f} s into the call")

    async def leave(self) -> None:
        """Let the signalling connections be."""
        for each in self._signaling.values():
            each.close()

    async def close_peers(self) -> list[str | None]:
        """Hang up one after the other, in an order that no clock decides: parties, then servers."""
        self.room.stop()
        self.warnings += self.room.faults
        legs = (*self.peers, *self._server_legs())
        return [await bounded(f"hanging up {each.side}", each.close()) for each in legs]

    def _rooms(self, plan: Topology) -> Room:
        """Return where parties take their seats."""
        return Room(self.setup, self.world, plan)

    def _heard_of(self, room: Room) -> Passed:
        """Return what tells what passed there."""
        return Passed(room)

    def _server_legs(self) -> list[ServerLeg]:
        seats = [seat.leg for seats in self.room.seats.values() for seat in seats]
        return [*seats, *(leg for pair in self.room.relays for leg in pair)]

    def _first_seats(self) -> list[list[Seat]]:
        """Return the seats of those who are there from the start, and have any."""
        there = [name for name in self.parties if not absent(name, self.setup.cues)]
        return [self.room.seats[name] for name in there if self.room.seats[name]]

    def lost_with(self, peer: Peer) -> list[asyncio.Event]:
        """Return what cannot come when the connection of ``peer`` has broken: what it would see, and what is of it."""
        return [*super().lost_with(peer), *self._first_pictures_of(peer.side)]

    def _first_pictures_of(self, talker: str) -> list[asyncio.Event]:
        """Return what is set when somebody who is there has seen the first picture of ``talker``."""
        watching = [seats[0].watching(talker) for seats in self._first_seats()]
        return [each.first_picture for each in watching if each is not None]

    def _see_nothing_between(self, apart: set[str]) -> None:
        """Let nobody at one of two servers that are ``apart`` wait for a picture from the other."""
        for (seat, *_), talker in product(self._first_seats(), self.parties):
            watching = seat.watching(talker)
            if watching is not None and {self.plan.homes[talker], seat.leg.side} == apart:
                watching.nothing_comes()

    def _nothing(self, talker: str) -> Said:
        """Return what somebody said who never had a connection to say it over."""
        speech = self.setup.speech[talker]
        assert speech is not None
        return Said(
            party=talker, frames=speech.frames, ptime_s=speech.ptime_s, started_s=None, finished=False, departures=()
        )

    def _signaling_of(self, server: str) -> EmulatedSignaling:
        """Return how those at ``server`` reach it."""
        hosts = self.world.hosts
        made = EmulatedSignaling(
            self.network, server=hosts[self.plan.signaling or server], connection=self.setup.connection
        )
        made.admit(hosts[server], calls=False)
        for name, seats in self.room.seats.items():
            if seats and self.plan.homes[name] == server:
                made.admit(hosts[name], calls=True)
        return made
