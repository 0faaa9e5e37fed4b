"""What calls have in common whose every host is ours: hosts, the paths between them, and parties with their mouths.

Rules:
    1. Seeds are handed out in the order of the routes, then a mouth's phase a party: more of either at the end moves
       nothing that was before it.
    2. A call is over when its last packet has come, and what was asked for again had time to.
    3. Of more than two, what goes wrong with one connection is told of it alone (``troubles``), and the others go on:
       the call fails where nobody is heard by anybody, and is cut where that comes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcprobe.call.member import Member
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import absent, silent
from rtcprobe.call.targets.base import CallSetup, Route, Trouble, Way
from rtcprobe.call.targets.blame import by_timers
from rtcprobe.call.targets.course import Course
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, OVERTIME_S, all_of, bounded
from rtcprobe.call.watching import first_pictures
from rtcprobe.errors import MeasurementError
from rtcprobe.link import Link, Path
from rtcprobe.link.streams import Seed
from rtcprobe.messages import Due
from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.egress import Egress
from rtcprobe.runtime.network import Host, Network
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
    # Two children, lines and parties: a scenario's links draw the same whoever
    # speaks, and mouths the same whatever the links.
    network_seed, phase_seed = seed.spawn(2)
    hosts = {
        name: network.add_host(name, "127.0.0.1" if sockets else f"10.0.{place >> 8}.{place & 255}")
        for place, name in enumerate((*setup.speech, *others), 1)
    }
    for (source, destination), route_seed in zip(routes, Seed.of(network_seed).spawn(len(routes)), strict=True):
        specs = setup.routes[source, destination]
        links = [Link(spec, child) for spec, child in zip(specs, route_seed.spawn(len(specs)), strict=True)]
        direction = network.connect(hosts[source], hosts[destination], Path(links))
        plan = setup.messages.get(source)
        # Messages of a priority share the party's uplink with its media: the first link is where its packets would
        # queue, so the scheduler stands in front of that one (``runtime.egress``).
        if plan is not None and plan.priority is not None and links:
            direction.egress = Egress(links[0], network, plan.priority)
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
        begun_s, away = self.network.now_s(), {each.name for each in self._members.values() if not each.there}
        for member in self._members.values():
            if member.there and (joining or not silent(member.name, self.setup.cues)):
                member.speak()
            if member.there:
                member.may_send(begun_s, away)

    def report(self) -> dict[str, object]:
        """Return nothing: all sides are ours."""
        return {}

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return every retransmission so far on the connection of ``joiner``, on either side."""
        raise NotImplementedError

    def sound_ways(self) -> list[Way]:
        """Return the ways whose two ends are there, and have not broken."""
        return [way for way in self.ways if way.talker not in self.troubles and way.listener not in self.troubles]

    def trouble(self, peer: Peer, why: str) -> None:
        """Note what went wrong with one connection (rule 3), once."""
        if peer not in self.troubles:
            self.troubles[peer] = Trouble(why, self.stop_of(peer))
            if why not in self.warnings:
                self.warnings.append(why)

    async def get_there(self, reached: Sequence[asyncio.Event], limit_s: float) -> None:
        """Connect and wait for ``reached``, ``limit_s`` at most; of more than two, of those who can (rule 3).

        Raises:
            MeasurementError: nobody is heard by anybody.
            TimeoutError: of two, it took longer.
        """
        # Of two there is nobody to go on with: what goes wrong with one side fails the call, in its own words.
        if len(self.parties) == 2:
            await super().get_there(reached, limit_s)
            return
        connecting = asyncio.ensure_future(self.connect())
        try:
            async with asyncio.timeout(limit_s):
                await self._reached(connecting, reached)
        except TimeoutError:
            for peer in self.there:
                asked = (peer.connected, peer.heard_packet, *first_pictures(peer))
                if any(event in reached and not event.is_set() for event in asked) or not peer.connected.is_set():
                    self.trouble(peer, self.too_late(peer, limit_s))
        finally:
            connecting.cancel()
            # Cancelled is not ended: its signalling has connections of its own to close before ours are hung up.
            await asyncio.wait({connecting}, timeout=HANG_UP_TIMEOUT_S)
        if not self.sound_ways():
            raise MeasurementError(next((each.why for each in self.troubles.values()), "nobody is heard by anybody"))

    async def said_by_all(self) -> str | None:
        """Wait until everybody who is heard has said all; return what ended the call before, in a sentence, or None."""
        talkers = dict.fromkeys(way.talker for way in self.sound_ways())
        saying: dict[asyncio.Future[Any], Peer] = {
            asyncio.ensure_future(each.track.finished.wait()): each for each in talkers
        }
        ends: dict[asyncio.Future[Any], Peer] = {
            asyncio.ensure_future(each.ended.wait()): each for each in self.there if each not in self.troubles
        }
        until_s = self.network.now_s() + max(each.track.duration_s for each in talkers) + OVERTIME_S
        begun_s = self.network.now_s()
        try:
            while saying:
                left_s = max(0.0, until_s - self.network.now_s())
                done, _ = await asyncio.wait({*saying, *ends}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                after_s = self.network.now_s() - begun_s
                if not done:
                    return (
                        f"a mouth had not said all it has {after_s:.1f} s into the call: nothing asked for its frames"
                    )
                for end in [each for each in ends if each in done]:
                    self.broke(ends.pop(end), after_s)
                if not self.sound_ways():
                    return next(reversed(self.troubles.values())).why
                saying = {each: peer for each, peer in saying.items() if each not in done and peer not in self.troubles}
        finally:
            for task in (*saying, *ends):
                task.cancel()
        return None

    def broke(self, peer: Peer, after_s: float) -> None:
        """Note that the path of a connection has broken ``after_s`` into the call."""
        self.trouble(peer, f"{peer.side}'s media path broke {after_s:.1f} s into the call")

    async def until_the_last_packet(self, *, patient: bool) -> None:
        """Wait for what is under way; ``patient``: and for what may be asked for again."""
        # Fates are sealed when packets leave, so the network knows when the last of what is under way will come.
        await asyncio.sleep(max(0.0, self.network.last_arrival_s - self.network.now_s()) + LAST_PACKET_S)
        if patient:
            await asyncio.sleep(RETRANSMISSION_S)

    async def close_peers(self) -> list[str | None]:
        """Hang up one after the other, in an order that no clock decides."""
        return [await bounded(f"hanging up {peer.side}", peer.close()) for peer in self.peers]

    def too_late(self, peer: Peer, limit_s: float) -> str:
        """Return what ``peer`` was waiting for after ``limit_s``, and which timer still tried."""
        return by_timers(peer, f"not within {limit_s:g} s", self.waits(peer))

    def gave_up(self, peer: Peer) -> str:
        """Return what ``peer`` was waiting for when its media path gave up, and which timer had tried."""
        return by_timers(peer, "gave up", self.waits(peer))

    def lost_with(self, peer: Peer) -> list[asyncio.Event]:
        """Return what cannot come any more when the connection of ``peer`` has broken."""
        return [peer.connected, peer.heard_packet, *first_pictures(peer)]

    async def _reached(self, connecting: asyncio.Future[None], reached: Sequence[asyncio.Event]) -> None:
        """Wait until ``connecting`` is done and all have ``reached`` it, but for those whose path gave up."""
        ends: dict[asyncio.Future[Any], Peer] = {asyncio.ensure_future(each.ended.wait()): each for each in self.there}
        arrived = asyncio.ensure_future(all_of(reached))
        waiting: set[asyncio.Future[Any]] = {connecting, arrived}
        try:
            while waiting:
                done, _ = await asyncio.wait({*waiting, *ends}, return_when=asyncio.FIRST_COMPLETED)
                waiting -= done
                if connecting in done:
                    connecting.result()
                over = [ends.pop(task) for task in list(ends) if task in done]
                for peer in over:
                    self.trouble(peer, self.gave_up(peer))
                # Waited for anew, without what cannot come any more: else one broken
                # path would hold all others until the timeout.
                if over and arrived in waiting:
                    arrived.cancel()
                    gone = {event for peer in self.troubles for event in self.lost_with(peer)}
                    waiting.discard(arrived)
                    arrived = asyncio.ensure_future(all_of([each for each in reached if each not in gone]))
                    waiting.add(arrived)
        finally:
            for task in (arrived, *ends):
                task.cancel()


def _members(
    setup: CallSetup, network: Network, hosts: Mapping[str, Host], seed: np.random.SeedSequence
) -> dict[str, Member]:
    """Return the parties, each with what chance gives it."""
    chance, count = np.random.Generator(np.random.PCG64(seed)), len(setup.speech)
    # All mouths, then all cameras: a call without cameras draws the same mouths as one with them.
    mouths, cameras = chance.random(count).tolist(), chance.random(count).tolist()
    out: dict[str, Member] = {}
    # Talkers first, then messages: so who writes moves nothing of who speaks.
    spawned = Seed.of(seed).spawn(2 * count)
    children, chances = spawned[:count], spawned[count:]
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


def _by_rate(setup: CallSetup, name: str, seed: Seed) -> Sequence[Due]:
    plan = setup.messages.get(name)
    return () if plan is None else plan.by_rate(setup.lasts_s, np.random.Generator(np.random.PCG64(seed.mixed())))
