"""What a call through forwarding servers of ours tells of itself: its ways, its joins, and what passed on each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import product

from rtcprobe.call.peer import Peer
from rtcprobe.call.script import absent
from rtcprobe.call.signaling import EmulatedSignaling
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import Way
from rtcprobe.call.targets.emulated import EmulatedCall
from rtcprobe.call.targets.sfu_passed import Passed
from rtcprobe.call.targets.sfu_room import Room, Seat, Topology
from rtcprobe.call.targets.sfu_shown import Shown, shown
from rtcprobe.messages import CameMessages, SaidMessages
from rtcprobe.recording import Came, Said
from rtcprobe.timeline import Timer, Wait
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["SfuAccount"]


class SfuAccount(EmulatedCall):
    """What is told of it stays readable at any moment, finished or not; how it runs is a subclass's matter."""

    plan: Topology
    room: Room
    _passed: Passed
    _signaling: Mapping[str, EmulatedSignaling]

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, by talker in the order written, then by listener; each by its first connection."""
        # Of who comes back the first connection stands for the way; what passed
        # over the others is put together (``said_on``).
        first = {name: seats[0].peer for name, seats in self.room.seats.items() if seats}
        return [
            Way(WayName.of(one, other), first[one], first[other])
            for one in self.parties
            for other in self.parties
            if one in self.room.hears[other] and one in first
        ]

    @property
    def joiners(self) -> list[Peer]:
        """Every party that is there and hears somebody."""
        return [seats[0].peer for seats in self.first_seats() if seats[0].listens_to]

    @property
    def awaited(self) -> list[asyncio.Event]:
        """A packet of sound to each joiner, and the first picture of everybody there whom it sees.

        Of the last N alone are pictures sent on: where that may leave somebody out, no picture is waited for.
        """
        last_n, sound = self.plan.last_n, [peer.heard_packet for peer in self.joiners]
        if last_n is not None and last_n < sum(self.room.heard(name) for name in self.parties):
            return sound
        return sound + [
            event for talker in self.first_seats() for event in self._first_pictures_of(talker[0].peer.side)
        ]

    @property
    def peers(self) -> list[Peer]:
        """Every party's connections."""
        return self.room.peers

    @property
    def there(self) -> list[Peer]:
        """Those of who is there from the start."""
        return [seats[0].peer for seats in self.first_seats()]

    def messages(self) -> list[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way, and what of it came."""
        return list(self.room.post.exchanged())

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
        # A flight that leaves when one side is ready may reach the other before
        # that is: not the timer holds the join up then.
        ready_s = max(marks.get("ice_connected", never_s) for marks in both)
        return {"stun": joiner.timeline.marks.get("answer_received", never_s) - way_s, "dtls": ready_s - way_s}

    def lost_with(self, peer: Peer) -> list[asyncio.Event]:
        """Return what cannot come when the connection of ``peer`` has broken: what it would see, and what is of it."""
        return [*super().lost_with(peer), *self._first_pictures_of(peer.side)]

    def see_nothing_between(self, apart: set[str]) -> None:
        """Let nobody at one of two servers that are ``apart`` wait for a picture from the other."""
        for (seat, *_), talker in product(self.first_seats(), self.parties):
            watching = seat.watching(talker)
            if watching is not None and {self.plan.homes[talker], seat.leg.side} == apart:
                watching.nothing_comes()

    def first_seats(self) -> list[list[Seat]]:
        """Return the seats of those who are there from the start, and have any."""
        there = [name for name in self.parties if not absent(name, self.setup.cues)]
        return [self.room.seats[name] for name in there if self.room.seats[name]]

    def _first_pictures_of(self, talker: str) -> list[asyncio.Event]:
        """Return what is set when somebody who is there has seen the first picture of ``talker``."""
        watching = [seats[0].watching(talker) for seats in self.first_seats()]
        return [each.first_picture for each in watching if each is not None]

    def _nothing(self, talker: str) -> Said:
        """Return what somebody said who never had a connection to say it over."""
        speech = self.setup.speech[talker]
        assert speech is not None
        return Said(
            party=talker, frames=speech.frames, ptime_s=speech.ptime_s, started_s=None, finished=False, departures=()
        )
