"""A call through a mixing server of ours (``targets.mix``): one section a party, ticks that send every one a mix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rtcprobe.audio.mixer import Mixer
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.call.ends.booth import Booth, MixingRoom
from rtcprobe.call.peer import UNDER_WAY_S
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.emulated import World
from rtcprobe.call.targets.sfu_call import SfuCall
from rtcprobe.call.targets.sfu_passed import Passed
from rtcprobe.call.targets.sfu_room import Room, Seat, Topology
from rtcprobe.call.transceiver import Media, Sound
from rtcprobe.recording import Came, Departure
from rtcprobe.runtime.direction import Direction
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER
from rtcprobe.ways import Way as WayName

__all__ = ["MixCall"]

# Direction is seen from who writes it (RFC 3264 §6.1): the server's end mirrors the party's.
_ANSWERED: Final[Mapping[Media, Media]] = {"recvonly": "sendonly", "sendonly": "recvonly", "sendrecv": "sendrecv"}


@dataclass(slots=True, kw_only=True, eq=False)
class _MixSeat(Seat):
    """A seat with one section."""

    def section(self, talker: str) -> Sound:
        """Return where it hears ``talker``, and everybody else."""
        del talker
        return self.peer.sound


class _MixRoom(Room):
    """Every seat has one section: what its party says goes in, a mix comes out.

    Who comes back hears the mix over a new seat, of which nothing is told; who is heard again is.
    """

    def __init__(self, setup: CallSetup, made: World, plan: Topology, mixing: MixingRoom) -> None:
        super().__init__(setup, made, plan)
        self._mixing = mixing

    def take_seat(self, name: str, *, publishes: bool, listens: bool = True) -> Seat | None:
        """Make a party's connection and the server's end of it; None where it would have nothing to do there."""
        member, home = self.world.members[name], self.plan.homes[name]
        talkers = self.hears[name] if listens else []
        publishes = publishes and member.mouth is not None and self.heard(name)
        written = self.post.wanted(name)
        if not publishes and not talkers and written is None:
            return None
        media: Media = "recvonly" if not publishes else "sendrecv" if talkers else "sendonly"
        peer = member.join_mix(home, media, milestones=CALLER_ORDER, messages=written)
        booth = Booth(name, self._mixing, _ANSWERED[media], frozenset(talkers), self.world.network)
        courier = self.post.at_home(name, peer)
        leg = self._leg(home, [booth], CALLEE_ORDER, courier)
        seat = _MixSeat(peer=peer, leg=leg, listens_to=talkers, publishes=publishes)
        self.seats[name].append(seat)
        return seat


class _MixPassed(Passed):
    """What a mixer passed on."""

    def _windows(self, talker: str, listener: str, begun_s: float) -> Iterator[tuple[float, float]]:
        """Yield from when until when what left ``talker`` could reach ``listener``: while it was there."""
        for seat in self.room.seats[listener][:1]:
            marks = seat.peer.timeline.marks
            if talker not in seat.listens_to or "dtls_connected" not in marks:
                continue
            opened_s = seat.peer.timeline.begun_s + marks["dtls_connected"]
            # What was under way when the listener's section opened reached it: who
            # heard the first word is asked for all of them.
            from_s = -math.inf if opened_s <= begun_s + self._up_s(talker, listener) else opened_s
            until_s = min(seat.left_s - UNDER_WAY_S, self.room.over_s)
            if from_s < until_s:
                yield from_s, until_s

    def _sent_again(self, talker: str, listener: str) -> Iterator[Departure]:
        """Yield nothing: what a mixer sends again is its own."""
        del talker, listener
        return iter(())


class MixCall(SfuCall):
    """One call on the running loop. ``prebuffer`` is in packets, ``encoding`` how mixes are."""

    def __init__(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        plan: Topology,
        *,
        prebuffer: int,
        encoding: OpusSettings,
        sockets: bool,
    ) -> None:
        self._prebuffer, self._encoding = prebuffer, encoding
        super().__init__(setup, seed, plan, sockets=sockets)
        # A child beyond those of the world: the grid of the ticks moves nothing that was drawn before.
        grid = np.random.Generator(np.random.PCG64(seed.spawn(1)[0]))
        self._mixing.phase_s = float(grid.random()) * encoding.ptime_s

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, and how long the way to the mixer and from it takes: all else between is the mixer's."""
        return [each._replace(mixed=self._between(WayName(each.direction))) for each in super().ways]

    def came_on(self, way: Way, *, forwarded: bool) -> Came:
        """Return what came on a way so far: the mix that the listener got."""
        del forwarded
        came = way.listener.came(forwarded=True, there_and_back=False)
        return replace(came, mixed=way.mixed)

    async def close_peers(self) -> list[str | None]:
        """Mix no more, and hang up."""
        self._mixing.stop()
        return await super().close_peers()

    def _rooms(self, plan: Topology) -> Room:
        mixer = Mixer(prebuffer=self._prebuffer, encoding=self._encoding)
        self._mixing = MixingRoom(mixer, self.network, tick_s=self._encoding.ptime_s)
        return _MixRoom(self.setup, self.world, plan, self._mixing)

    def _heard_of(self, room: Room) -> Passed:
        return _MixPassed(room)

    def _between(self, way: WayName) -> Mapping[str, float]:
        """Return what the network took between two, up and down, on average."""
        homes = self.plan.homes
        up, down = self.direction(way.talker, homes[way.talker]), self.direction(homes[way.listener], way.listener)
        return {"network": _mean_s(up) + _mean_s(down)}


def _mean_s(way: Direction) -> float:
    """Return what the packets of a path took, on average."""
    delays_s = way.tally.delays_s()
    return float(np.mean(delays_s)) if len(delays_s) else 0.0
