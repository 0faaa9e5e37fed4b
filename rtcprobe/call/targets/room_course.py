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
    4. With a script (``room_script``) those come at once who are there at the start, and listen to those of them who
       speak then; whoever comes later, or goes on stage, is listened to from then on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from rtcprobe.call.peer import UNDER_WAY_S, Peer
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.blame import came, named
from rtcprobe.call.targets.endings import OVERTIME_S, arriving
from rtcprobe.call.targets.last_words import gone, last_packets
from rtcprobe.call.targets.room_hooks import Attendee, NobodyThereError
from rtcprobe.call.targets.room_script import RoomPerformance
from rtcprobe.call.targets.room_troubles import RoomTroubles
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen

__all__ = ["RoomCourse"]


class RoomCourse(RoomTroubles):
    """What runs a room; who is in it, and how they enter, publish and listen, is a subclass's matter."""

    def __init__(self, setup: CallSetup, *, server: str) -> None:
        super().__init__(setup, server=server)
        self.over_s = math.inf
        """When the script was over, seconds since the epoch."""

    def begin(self, peer: Peer) -> None:
        """Let a join begin now where its signalling was there before; else it began with the call (rule 3)."""
        if self.setup.connection == "warm":
            super().begin(peer)

    async def get_there(self, reached: Sequence[asyncio.Event], limit_s: float) -> None:
        """Let all parties in at once; wait until every connection has ``reached`` what it is asked, or cannot (rule 1).

        Raises:
            MeasurementError: nobody is heard by anybody.
        """
        there = [who for who in self.attendees.values() if who.there]
        await asyncio.gather(*(self.attend(who, self.due(who), limit_s, set(reached)) for who in there))
        self.blame_talkers()
        if not (self.heard_ways() and any(peer not in self.troubles for peer in self.there)):
            raise MeasurementError(self.reason())
        self.warnings += self.told_since({})

    async def say_all(self) -> None:
        """Wait until those who are there have said all, or the script is over, and the last of it has come.

        It ends early when all is lost.
        """
        begun_s, before = self.network.now_s(), dict(self.troubles)
        self.cut = await (self._performed() if self.setup.cues else self._said_all(begun_s))
        if self.cut is not None:
            return
        self.warnings += self.told_since(before)
        silent_s, ways = self.network.now_s(), self.heard_ways()
        if self.setup.cues:  # who began late has not said all it has
            ways, self.over_s = [each for each in ways if self._lasts(each)], silent_s
            await asyncio.sleep(UNDER_WAY_S)
        # A listener that lost the server while the others heard it is told of;
        # only where none heard it was the call cut.
        lost = [(way, why) for way in ways if (why := gone([way], self.network, begun_s)) is not None]
        if lost and len(lost) == len(ways):
            self.cut = lost[0][1]
        else:
            self.warnings += [f"of {way.talker.side}, {why}" for way, why in lost]
        # With cues the script's own end is the end, and ``over_s`` says what is not waited for.
        if not self.setup.cues:
            await last_packets(ways, self.network, silent_s)

    async def attend(
        self, who: Attendee, due: Sequence[Peer], limit_s: float, reached: Collection[asyncio.Event] = ()
    ) -> None:
        """Let a party in, and get those of its connections there that are ``due``."""
        if not who.peers:
            return  # it neither speaks nor listens
        # Once for all connections of a party: each waits for it, and none that is given up takes it along (``shield``).
        entering = asyncio.ensure_future(self._enter(who))

        async def publish(peer: Peer) -> None:
            await asyncio.shield(entering)
            await self._publish(who, peer)

        async def listen(talker: str, peer: Peer) -> None:
            await asyncio.shield(entering)
            await self.listen(who, talker, peer)

        works: dict[Peer, Coroutine[Any, Any, None]] = {}
        if who.publishing is not None and who.publishing in due:
            works[who.publishing] = publish(who.publishing)
        for talker, peer in who.hearing.items():
            if peer in due and peer not in works:
                works[peer] = listen(talker, peer)
        try:
            # A party may be in the room before anybody it hears is: then its signalling is all there is to wait for.
            if not works:
                await self._entered(who, entering, limit_s)
            await asyncio.gather(*(self._bring(peer, work, reached, limit_s) for peer, work in works.items()))
        finally:
            entering.cancel()

    async def go_on_stage(self, who: Attendee, limit_s: float) -> None:
        """Let a party publish that is there and has not until now."""
        assert who.publishing is not None
        await self._bring(who.publishing, self._publish(who, who.publishing), (), limit_s)

    async def hear(self, who: Attendee, talker: str, limit_s: float) -> None:
        """Let a party that is there listen to one who begins to talk."""
        peer = who.hearing[talker]
        await self._bring(peer, self.listen(who, talker, peer), (), limit_s)

    async def _publish(self, who: Attendee, peer: Peer) -> None:
        await self.publish(who, peer)
        await self.connected(peer)
        if not who.on_air.done():
            who.on_air.set_result(None)

    async def _entered(self, who: Attendee, entering: asyncio.Future[None], limit_s: float) -> None:
        """Wait until a party was let in that has nothing to connect yet; what prevents that is told of its first."""
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.shield(entering)
        except TimeoutError:
            self.trouble(who.peers[0], self.too_late(who.peers[0], limit_s))
        except RtcprobeError as error:
            self.trouble(who.peers[0], str(error))

    async def _performed(self) -> str | None:
        """Perform the script; return what ended the call before, in a sentence, or None."""
        performance = RoomPerformance(self)
        self.happened = performance.happened
        return await performance.run()

    def _lasts(self, way: Way) -> bool:
        """Return whether both ends of a way still have the connections they had, and it may still be heard."""
        talker, listener = (self.owner_of(peer) for peer in (way.talker, way.listener))
        return (
            talker.publishing is way.talker
            and listener.hearing.get(talker.name) is way.listener
            and way.talker.connected.is_set()
            and way.listener.connected.is_set()
            and not {way.talker, way.listener} & {*talker.left_s, *listener.left_s}
        )

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
        self, peer: Peer, work: Coroutine[Any, Any, None], reached: Collection[asyncio.Event], limit_s: float
    ) -> None:
        """Get one connection there; what prevents that is its trouble."""
        awaited = peer.heard_packet if peer.heard_packet in reached else peer.connected
        why: str | None = None

        def lost(said: str) -> str:
            return f"{said}; {came(peer)}"

        try:
            async with asyncio.timeout(limit_s):
                await arriving(work, [awaited], [peer], self.over_of(peer), lost=lost, broken=self.gave_up)
        except TimeoutError:
            why = self.too_late(peer, limit_s)
            # Timed out, but so has its talker: the fault is told there, not here (``blame_talkers``).
            if not self.has_talker(peer):
                self.in_vain.add(peer)
        except RtcprobeError as error:
            why = str(error)
            if isinstance(error, NobodyThereError):
                self.in_vain.add(peer)
        except Exception as error:  # noqa: BLE001 - a fault of ours fails this connection, and not the others
            why = unforeseen(error)
        if why is not None:
            self.trouble(peer, why)

    async def _said_all(self, begun_s: float) -> str | None:
        """Wait until all is said by those who are still there; return what ended the call before, in a sentence."""
        talkers = dict.fromkeys(way.talker for way in self.heard_ways())
        saying = {asyncio.ensure_future(peer.track.finished.wait()): peer for peer in talkers}
        there = [peer for peer in self.peers if peer not in self.troubles]
        watching: dict[asyncio.Future[Any], Peer] = {asyncio.ensure_future(peer.ended.wait()): peer for peer in there}
        ends = {**watching, **{self.over_of(peer): peer for peer in there}}
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
                    # A future of the server's words holds a sentence, an event's holds
                    # True: so the two ends are told apart.
                    what = why if isinstance(why, str) else f"{named(peer.side)}'s media path broke"
                    self.trouble(peer, f"{what} {after_s:.1f} s into the call")
                if not self.heard_ways():
                    return self.reason()
                saying = {each: peer for each, peer in saying.items() if each not in done and peer not in self.troubles}
        finally:
            for task in (*saying, *watching):
                task.cancel()
        return None
