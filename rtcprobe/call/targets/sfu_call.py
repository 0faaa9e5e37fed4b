"""A call through forwarding servers of ours (``targets.sfu``): everybody joins, all is said, cues are carried out."""

from __future__ import annotations

import asyncio

import numpy as np

from rtcprobe.call.channel import drained
from rtcprobe.call.ends.server import ServerLeg
from rtcprobe.call.live import introduce
from rtcprobe.call.script import goes_on_stage
from rtcprobe.call.signaling import EmulatedSignaling, Sdp
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.emulated import world
from rtcprobe.call.targets.endings import bounded
from rtcprobe.call.targets.sfu_account import SfuAccount
from rtcprobe.call.targets.sfu_passed import Passed
from rtcprobe.call.targets.sfu_room import Room, Seat, Topology
from rtcprobe.call.targets.sfu_script import SfuPerformance

__all__ = ["SfuCall"]


class SfuCall(SfuAccount):
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
        # After all seats: servers are connected where somebody at the one hears somebody at the other.
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

    async def prepare(self) -> None:
        """Connect the servers to each other: who hears nobody because two of them do not reach each other is told."""
        for one, other in self.room.relays:
            # Descriptions between servers of ours pass no network; ICE and DTLS
            # pass their links, and have half a join's timeout.
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
                self.see_nothing_between({leg.side for leg in pair})

    async def connect(self) -> None:
        """Let everybody who is there join."""
        await asyncio.gather(*(self.sit_down(seats[0]) for seats in self.first_seats()))

    async def sit_down(self, seat: Seat) -> None:
        """Get a party connected to its server."""
        peer, leg = seat.peer, seat.leg
        signaling = self._signaling[leg.side]
        leg.timeline.begin(self.network.now_s())

        async def served(offer: Sdp) -> Sdp:
            if self.plan.service_s:
                # Before the answer and not after it: the queue is what an offer waits in,
                # so the party sees it as its server's silence.
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
            await drained(self.room.post.ends, self.room.post.relays)
        asked = (each.agreed is not None and each.agreed.nack for peer in self.peers for each in peer.sections)
        # Up, between two servers, down: at most three legs, each of which knows its
        # last arrival only once the one before is done.
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
