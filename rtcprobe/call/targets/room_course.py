"""How a room at a server that is not ours runs: all parties come at once, and what befalls one is told of that one.

Theory of operation:
    A party is one machine behind one access line, with one signalling connection, a media connection on which it
    publishes, and one for each party that it hears (a mixer's parties do all of it over one). Each connection is
    brought up by a task of its own; a talker's waits for nobody, a listener's until its talker is on the air.

Rules:
    1. What goes wrong with one connection is told of it alone (``troubles``), and the others go on: the call fails
       where nobody is heard by anybody. Who waits for a talker that never came is told why that did not.
    2. A signalling connection that ends takes its party's connections with it; a media path that breaks, its own.
    3. Milestones of all connections count from the beginning of the call, those of the signalling too: what a party
       did once is a phase of each connection it was done for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Trouble, Way
from rtcprobe.call.targets.blame import came, named
from rtcprobe.call.targets.endings import OVERTIME_S, arriving
from rtcprobe.call.targets.last_words import gone, last_packets
from rtcprobe.call.targets.outside_ends import OutsideEnds
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen
from rtcprobe.runtime.outside import OutsideHost
from rtcprobe.runtime.streams import Line

__all__ = ["Attendee", "RoomCourse"]


class _NobodyThereError(MeasurementError):
    """A listener's talker never came: why, was told of the talker."""


@dataclass(slots=True, kw_only=True, eq=False)
class Attendee:
    """A party in the room: its machine, its connections by what they are for, and whether it is there.

    ``on_air`` is done once its sound is published, or says what prevented that.
    """

    name: str
    host: OutsideHost
    line: Line
    publishing: Peer | None = None
    hearing: dict[str, Peer] = field(default_factory=dict)
    on_air: asyncio.Future[None]

    @property
    def peers(self) -> list[Peer]:
        """All its connections; the first stands for its signalling."""
        both = ([] if self.publishing is None else [self.publishing], self.hearing.values())
        return list(dict.fromkeys(peer for each in both for peer in each))


class RoomCourse(OutsideEnds):
    """What runs a room; who is in it, and how they enter, publish and listen, is a subclass's matter."""

    attendees: dict[str, Attendee]

    def __init__(self, setup: CallSetup, *, server: str) -> None:
        super().__init__(setup, server=server)
        self._in_vain: set[Peer] = set()
        """Connections that waited for somebody who never came."""
        self._over: dict[Peer, asyncio.Future[str]] = {}
        """Say why, when the server ends a connection."""

    async def enter(self, who: Attendee) -> None:
        """Let a party in: its signalling; marks of its first connection are those of all.

        Raises:
            MeasurementError: it was not let in.
        """

    async def publish(self, who: Attendee, peer: Peer) -> None:
        """Publish the sound of a party over ``peer``.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
        """Let a party hear ``talker`` over ``peer``, once that is on the air.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    def begin(self, peer: Peer) -> None:
        """Let a join begin now where its signalling was there before; else it began with the call (rule 3)."""
        if self.setup.connection == "warm":
            super().begin(peer)

    async def on_air(self, talker: str) -> None:
        """Wait until the sound of ``talker`` is published.

        Raises:
            MeasurementError: it will not be.
        """
        await asyncio.shield(self.attendees[talker].on_air)

    def lose_party(self, who: Attendee, why: str) -> None:
        """Say that the server has ended the session of a party: ``why``, in a sentence."""
        for peer in who.peers:
            self.lose_connection(peer, why)

    def lose_connection(self, peer: Peer, why: str) -> None:
        """Say that the server has ended one connection: ``why``, in a sentence."""
        over = self._over_of(peer)
        if not over.done():
            over.set_result(why)

    async def get_there(self, reached: Sequence[asyncio.Event], limit_s: float) -> None:
        """Let all parties in at once; wait until every connection has ``reached`` what it is asked, or cannot (rule 1).

        Raises:
            MeasurementError: nobody is heard by anybody.
        """
        await asyncio.gather(*(self._attend(who, set(reached), limit_s) for who in self.attendees.values()))
        self._blame_talkers()
        if not self.heard_ways():
            raise MeasurementError(self._reason())
        self.warnings += self._told({})

    async def say_all(self) -> None:
        """Wait until those who are there have said all, and the last of it has come; ends early when all is lost."""
        begun_s, before = self.network.now_s(), dict(self.troubles)
        self.cut = await self._said_all(begun_s)
        if self.cut is not None:
            return
        self.warnings += self._told(before)
        silent_s, ways = self.network.now_s(), self.heard_ways()
        lost = [(way, why) for way in ways if (why := gone([way], self.network, begun_s)) is not None]
        if len(lost) == len(ways):
            self.cut = lost[0][1]
        else:
            self.warnings += [f"of {way.talker.side}, {why}" for way, why in lost]
        await last_packets(ways, self.network, silent_s)

    def heard_ways(self) -> list[Way]:
        """Return the ways whose two connections have come about, and not broken."""
        return [way for way in self.ways if way.talker not in self.troubles and way.listener not in self.troubles]

    def last_of(self, who: Attendee) -> Peer:
        """Return which of a party's listening connections was the last, of those whose talker came."""
        came_by = [peer for peer in who.hearing.values() if peer not in self._in_vain] or list(who.hearing.values())
        return max(came_by, key=lambda peer: peer.timeline.marks.get("first_packet", float("inf")))

    async def _attend(self, who: Attendee, reached: set[asyncio.Event], limit_s: float) -> None:
        """Get every connection of a party there."""
        if not who.peers:
            return  # it neither speaks nor listens
        entering = asyncio.ensure_future(self._enter(who))

        async def publish(peer: Peer) -> None:
            await asyncio.shield(entering)
            await self.publish(who, peer)
            await self.connected(peer)
            if not who.on_air.done():
                who.on_air.set_result(None)

        async def listen(talker: str, peer: Peer) -> None:
            await asyncio.shield(entering)
            await self.listen(who, talker, peer)

        works = {} if who.publishing is None else {who.publishing: publish(who.publishing)}
        for talker, peer in who.hearing.items():
            if peer not in works:
                works[peer] = listen(talker, peer)
        try:
            await asyncio.gather(*(self._bring(peer, work, reached, limit_s) for peer, work in works.items()))
        finally:
            entering.cancel()

    async def _enter(self, who: Attendee) -> None:
        """Let a party in; what its first connection reached by that, all of them have (rule 3)."""
        first, *others = who.peers
        try:
            await self.enter(who)
        finally:
            for peer in others:
                peer.timeline.begin(first.timeline.begun_s)
                peer.timeline.marks.update(first.timeline.marks)

    async def _bring(
        self, peer: Peer, work: Coroutine[Any, Any, None], reached: set[asyncio.Event], limit_s: float
    ) -> None:
        """Get one connection there; what prevents that is its trouble."""
        awaited = peer.heard_packet if peer.heard_packet in reached else peer.connected
        why: str | None = None

        def lost(said: str) -> str:
            return f"{said}; {came(peer)}"

        try:
            async with asyncio.timeout(limit_s):
                await arriving(work, [awaited], [peer], self._over_of(peer), lost=lost, broken=self.gave_up)
        except TimeoutError:
            why = self.too_late(peer, limit_s)
            if not self._has_talker(peer):
                self._in_vain.add(peer)
        except RtcprobeError as error:
            why = str(error)
            if isinstance(error, _NobodyThereError):
                self._in_vain.add(peer)
        except Exception as error:  # noqa: BLE001 - a fault of ours fails this connection, and not the others
            why = unforeseen(error)
        if why is not None:
            self._trouble(peer, why)

    def _trouble(self, peer: Peer, why: str) -> None:
        """Note what went wrong with a connection, and tell those who wait for what it publishes."""
        self.troubles.setdefault(peer, Trouble(why, self.stop_of(peer)))
        who = self._owner(peer)
        if peer is who.publishing and not who.on_air.done():
            who.on_air.set_exception(_NobodyThereError(f"{who.name} was not there to be heard: {why}"))
            who.on_air.exception()  # where nobody waits for it, it was told all the same

    async def _said_all(self, begun_s: float) -> str | None:
        """Wait until all is said by those who are still there; return what ended the call before, in a sentence."""
        talkers = dict.fromkeys(way.talker for way in self.heard_ways())
        saying = {asyncio.ensure_future(peer.track.finished.wait()): peer for peer in talkers}
        there = [peer for peer in self.peers if peer not in self.troubles]
        watching: dict[asyncio.Future[Any], Peer] = {asyncio.ensure_future(peer.ended.wait()): peer for peer in there}
        ends = {**watching, **{self._over_of(peer): peer for peer in there}}
        longest_s = max(peer.track.duration_s for peer in talkers) + OVERTIME_S
        try:
            while saying:
                left_s = max(0.0, begun_s + longest_s - self.network.now_s())
                done, _ = await asyncio.wait({*saying, *ends}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                after_s = self.network.now_s() - begun_s
                if not done:
                    return (
                        f"a mouth had not said all it has {after_s:.1f} s into the call: nothing asked for its frames"
                    )
                for end in [each for each in ends if each in done]:
                    peer, why = ends.pop(end), end.result()
                    what = why if isinstance(why, str) else f"{named(peer.side)}'s media path broke"
                    self._trouble(peer, f"{what} {after_s:.1f} s into the call")
                if not self.heard_ways():
                    return self._reason()
                saying = {each: peer for each, peer in saying.items() if each not in done and peer not in self.troubles}
        finally:
            for task in (*saying, *watching):
                task.cancel()
        return None

    def _has_talker(self, peer: Peer) -> bool:
        """Return whether somebody whom ``peer`` hears is on the air."""
        who = self._owner(peer)
        talkers = [talker for talker, each in who.hearing.items() if each is peer]
        on_air = [self.attendees[talker].on_air for talker in talkers if talker in self.attendees]
        return not talkers or any(each.done() and each.exception() is None for each in on_air)

    def _over_of(self, peer: Peer) -> asyncio.Future[str]:
        if peer not in self._over:
            self._over[peer] = asyncio.get_running_loop().create_future()
        return self._over[peer]

    def _owner(self, peer: Peer) -> Attendee:
        return next(who for who in self.attendees.values() if peer in who.peers)

    def _blame_talkers(self) -> None:
        """Let whoever waited in vain say what prevented the talker."""
        for who in self.attendees.values():
            for talker, peer in who.hearing.items():
                sent = self.attendees[talker].publishing
                if peer in self._in_vain and sent in self.troubles:
                    why = f"{talker} was not there to be heard: {self.troubles[sent].why}"
                    self.troubles[peer] = self.troubles[peer]._replace(why=why)

    def _reason(self) -> str:
        """Return why nobody is heard by anybody: what went wrong first of what did not follow from something else."""
        own = [each.why for peer, each in self.troubles.items() if peer not in self._in_vain]
        return own[0] if own else "nobody is heard by anybody"

    def _told(self, before: Mapping[Peer, Trouble]) -> list[str]:
        """Return a sentence for each trouble that is not among those ``before``, nor followed from another's."""
        fresh = {peer: each.why for peer, each in self.troubles.items() if peer not in {*before, *self._in_vain}}
        out: list[str] = []
        for who in self.attendees.values():
            whys = dict.fromkeys(fresh[peer] for peer in who.peers if peer in fresh)
            out += [f"{who.name} {_missed(who, [p for p in who.peers if fresh.get(p) == why])}: {why}" for why in whys]
        return out


def _missed(who: Attendee, peers: Iterable[Peer]) -> str:
    """Return what a party missed whose connections these are."""
    hit = set(peers)
    if hit == set(who.peers):
        return "was not in the room, or not to its end"
    names = [talker for talker, peer in who.hearing.items() if peer in hit]
    unheard = f"did not hear {' and '.join(names)}" if names else ""
    return " and ".join(each for each in ("was not heard" if who.publishing in hit else "", unheard) if each)
