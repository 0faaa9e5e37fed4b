"""A room at a server that is not ours: any number of parties, each publishing its sound and listening to the others'.

A target's room is a subclass that says how a party enters, publishes, and listens to one other::

    class AcmeRoom(RoomCall):
        async def enter(self, who: Attendee) -> None: ...              # its signalling
        async def publish(self, who: Attendee, peer: Peer) -> None: ...
        async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
            await self.on_air(talker)                                  # or what the server itself says of it
            ...

How it runs, and what is told when it does not, is in ``room_course``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rtcprobe.call.peer import Peer
from rtcprobe.call.script import absent
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import CallSetup, Route, Way
from rtcprobe.call.targets.room_course import RoomCourse
from rtcprobe.call.targets.room_hooks import Attendee
from rtcprobe.call.targets.room_passed import came_of, said_to
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.recording import Came, Said
from rtcprobe.result import Clock
from rtcprobe.runtime.streams import Line
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["Attendee", "RoomCall", "Venue", "routes_of"]

TARGET = "target"


def routes_of(parties: Sequence[str]) -> tuple[Route, ...]:
    """Return every way packets take between ``parties`` and the server: up and down of each access line."""
    return tuple(way for party in parties for way in ((party, TARGET), (TARGET, party)))


def _legs_of(parties: Sequence[str], ways: Sequence[WayName]) -> tuple[LegName, ...]:
    """Return the legs that a room of these ways has: up of who speaks, down of who listens."""
    up = {way.talker for way in ways}
    down = {way.listener for way in ways}
    legs = [LegName.between(*route) for route in routes_of(parties)]
    return tuple(leg for leg in legs if leg.source in up or leg.destination in down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """What targets share that are a server of somebody else's where ``parties`` may meet, heard on ``ways``."""

    parties: tuple[str, ...] = ()
    ways: tuple[WayName, ...] = ()

    @property
    def performs(self) -> bool:
        """Whether parties come, go and speak by cues: in a room of parties."""
        return bool(self.parties)

    @property
    def legs(self) -> Sequence[LegName]:
        """The legs of a room."""
        return _legs_of(self.parties, self.ways)

    @property
    def clocks(self) -> Sequence[Clock]:
        """A server of somebody else's lives in real time."""
        return ("real",)


class RoomCall(RoomCourse):
    """One call of a room; the two kinds of connection have milestones of their own."""

    speaker_order: ClassVar[Sequence[str]]
    listener_order: ClassVar[Sequence[str]]

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, *, server: str) -> None:
        """Make a call of all parties of ``setup`` to ``server``, a host name or address; nothing is opened yet."""
        super().__init__(setup, server=server)
        self.attendees = {}
        count = len(setup.speech)
        route_seeds, phase_seed = seed.spawn(2)
        phases = np.random.Generator(np.random.PCG64(phase_seed)).random(count).tolist()
        for name, phase, own_seed in zip(setup.speech, phases, route_seeds.spawn(count), strict=True):
            self.attendees[name] = self._attendee(name, phase, own_seed)

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, by talker in the order written, then by listener."""
        return [
            Way(WayName.of(talker.name, who.name), talker.published[0], who.heard[talker.name][0])
            for talker in self.attendees.values()
            for who in self.attendees.values()
            # By the first connections there were: ways are told in one order from
            # beginning to end, whoever comes and goes.
            if talker.published and talker.name in who.heard
        ]

    def said_on(self, way: Way) -> Said:
        """Return what was said on a way so far, over whatever connections."""
        # Without a script every way has one connection from beginning to end: nothing has to be put together.
        return super().said_on(way) if not self.setup.cues else said_to(*self._ends(way), self.over_s)

    def came_on(self, way: Way, *, forwarded: bool) -> Came:
        """Return what came on a way so far, over whatever connections."""
        first = super().came_on(way, forwarded=forwarded)
        return first if not self.setup.cues else came_of(first, *self._ends(way))

    def _ends(self, way: Way) -> tuple[Attendee, Attendee]:
        return self.attendees[way.direction.talker], self.attendees[way.direction.listener]

    @property
    def joiners(self) -> list[Peer]:
        """Every party that hears somebody, by the connection that was last."""
        return [self.last_of(who) for who in self.attendees.values() if who.hearing]

    @property
    def awaited(self) -> list[asyncio.Event]:
        """A packet on every connection that somebody is heard over."""
        return [way.listener.heard_packet for way in self.ways]

    @property
    def peers(self) -> list[Peer]:
        """Every connection, by party."""
        return [peer for who in self.attendees.values() for peer in who.all_peers]

    def legs(self) -> dict[LegName, list[Leg]]:
        """Return each party's access line: up where it speaks, down where it listens."""
        hosts = {name: who.host for name, who in self.attendees.items()}
        return {
            leg: [Leg.of(hosts[leg.source].up if leg.source in hosts else hosts[leg.destination].down)]
            for leg in _legs_of([*hosts], [way.direction for way in self.ways])
        }

    def report(self) -> dict[str, Any]:
        """Return, by party, what its first connection agreed on with the server, and how many it has had."""
        return {
            who.name: {**self.report_of(who.all_peers[0]), "connections": len(who.all_peers)}
            for who in self.attendees.values()
            if who.peers
        }

    def connect_party(self, who: Attendee) -> None:
        """Make the connections of a party: one for what it publishes, one for each that it hears."""
        if who.mouth is not None:
            wanted = SoundWanted(track=who.mouth.track(), media="sendonly")
            # A second connection of the same machine: its own socket and tap, the same access line.
            host = who.host.beside() if who.all_peers else who.host
            who.publishing = self.add_peer(host, who.line, [wanted], self.speaker_order)
        for talker in who.hears:
            self.connect_to(who, talker)
        who.seated()

    def connect_to(self, who: Attendee, talker: str) -> None:
        """Make a party's connection to one that it hears."""
        wanted = SoundWanted(track=None, media="recvonly", expected=self.setup.expected(talker))
        host = who.host.beside() if who.all_peers else who.host
        who.hearing[talker] = self.add_peer(host, who.line, [wanted], self.listener_order)
        who.seated()

    def _attendee(self, name: str, phase: float, seed: np.random.SeedSequence) -> Attendee:
        setup = self.setup
        up, down, mouth_seed = seed.spawn(3)
        host = self.add_host(name, name, up, down)
        line = Line(self.network, host.stream_up, host.stream_down, name)
        heard = setup.hears.get(name, setup.speech)
        talkers = [each for each, speech in setup.speech.items() if speech is not None and each in heard]
        who = Attendee(
            name=name,
            host=host,
            line=line,
            mouth=setup.mouth(name, self.network, phase=phase, may_speak=asyncio.Event(), seed=mouth_seed),
            hears=[each for each in talkers if each != name],
            on_air=asyncio.get_running_loop().create_future(),
            there=not absent(name, setup.cues),
        )
        self.connect_party(who)
        return who
