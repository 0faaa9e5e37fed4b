"""A script performed in a room at a server that is not ours: each who comes enters it, each who leaves is gone there.

Theory of operation:
    One task carries out the cues; whatever a cue begins that takes time is a task beside it. ``run`` waits for news of
    three kinds: the script is over, a connection that is watched has ended (its path, or the server's word), there is
    another to watch. Who hangs up is taken off the watch before: so what still ends there is a fault, and told.

Rules:
    1. Who comes enters, publishes and listens as everybody did at the start; whoever hears it listens to it as soon as
       the server lets them. All who come by cues of one instant come at once.
    2. Who goes on stage (``publishes``) publishes then, over a connection of its own where the server wants one; who
       stops speaking sends silence. Who comes back has new connections, and so has whoever hears it.
    3. Whoever heard one that left hangs up ``AFTER_S`` later: what it said last is still under way.
    4. A path that breaks is told of those that it is of, unless they have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from rtcprobe.call.doing import Doing
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import goes_on_stage, perform, silent
from rtcprobe.call.targets.blame import named
from rtcprobe.call.targets.endings import bounded
from rtcprobe.scenario import Cue

if TYPE_CHECKING:
    from rtcprobe.call.targets.room_course import RoomCourse
    from rtcprobe.call.targets.room_hooks import Attendee

__all__ = ["RoomPerformance"]

AFTER_S: Final = 0.5
"""More than a link of ours and a server take, and less than anybody takes to come back."""


class RoomPerformance:
    """One performance (``script.Stage``) of the cues of a call."""

    def __init__(self, course: RoomCourse) -> None:
        self._course = course
        self._limit_s = course.setup.join_timeout_s
        self.happened: list[tuple[float, Cue]] = []
        """The cues that were carried out, and when, seconds since the epoch."""
        self._left: set[Peer] = set()
        """Connections that were hung up, or will be in a moment: nobody is heard over them any more."""
        self._watched: dict[asyncio.Future[Any], Peer] = {}
        """What says that a connection has ended: its path, or the server."""
        self._watching: list[asyncio.Future[Any]] = []
        self._fresh = asyncio.Event()
        self._doing = Doing(self.warn, ended=self._fresh.set)

    async def run(self) -> str | None:
        """Perform it; return what ended the call before, in a sentence, or None."""
        course = self._course
        begun_s = course.network.now_s()
        for who in course.attendees.values():
            if who.there:
                who.events["joined"].set()
                self._attend(who, course.due(who))
        performing = asyncio.ensure_future(perform(course.setup.cues, self, course.setup.lasts_s))
        try:
            while not performing.done():
                await self._news(performing)
                self._told_of_broken(course.network.now_s() - begun_s)
                # Nobody is left, and nobody will come: the script would go on over an
                # empty room until its last instant.
                if not (self._watched or performing.done() or self._doing or self._to_come()):
                    return course.reason()
        finally:
            for task in (performing, *self._doing):
                task.cancel()
            for watching in self._watching:
                watching.cancel()
        performing.result()
        return None

    def act(self, cue: Cue) -> None:
        """Let a party do what a cue says."""
        course = self._course
        who = course.attendees[cue.party]
        self.happened.append((course.network.now_s(), cue))
        if cue.does == "join":
            self._doing.do(self._bring(who))
        elif cue.does == "leave":
            self._doing.do(self._dismiss(who))
        elif cue.does == "send":
            course.write(who)
        elif cue.does == "stop":
            assert who.mouth is not None
            who.mouth.close()
            who.events["fell silent"].set()
        elif cue.does == "publish" and not who.may_be_heard and goes_on_stage(who.name, course.setup.cues):
            self._doing.do(self._go_on_stage(who))
        else:
            assert who.mouth is not None
            who.mouth.open()

    def event(self, party: str, name: str) -> asyncio.Event:
        """Return what is set when it happens to ``party`` for the first time."""
        return self._course.attendees[party].events[name]

    def warn(self, sentence: str) -> None:
        """Tell what a reader should know of a cue."""
        self._course.warnings.append(sentence)

    async def _news(self, performing: asyncio.Future[None]) -> None:
        """Wait until the script is over, a path has broken, or there is another to watch."""
        fresh = asyncio.ensure_future(self._fresh.wait())
        news: set[asyncio.Future[Any]] = {performing, fresh, *self._watched}
        try:
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        finally:
            fresh.cancel()
        self._fresh.clear()

    def _told_of_broken(self, after_s: float) -> None:
        """Note which paths have broken (rule 4)."""
        for end in [each for each in self._watched if each.done()]:
            # Its connection had two ends watched (path and server), and the other
            # one of them was told already in this round.
            if end not in self._watched:
                continue
            peer, why = self._watched[end], end.result()
            self._watched = {each: other for each, other in self._watched.items() if other is not peer}
            if peer not in self._left:
                what = why if isinstance(why, str) else f"{named(peer.side)}'s media path broke"
                self._course.trouble(peer, f"{what} {after_s:.1f} s into the call")

    def _to_come(self) -> bool:
        """Return whether somebody may still come, or come back."""
        # By count and not by name: whoever came twice has two cues for it.
        joined = sum(cue.does == "join" for _, cue in self.happened)
        return joined < sum(cue.does == "join" for cue in self._course.setup.cues)

    def _attend(self, who: Attendee, peers: list[Peer]) -> None:
        """Watch connections of a party, and note when it first hears those it listens to over them."""
        for peer in peers:
            if peer not in self._course.troubles and peer not in self._watched.values():
                watching = asyncio.ensure_future(peer.ended.wait())
                self._watching.append(watching)
                self._watched |= {watching: peer, self._course.over_of(peer): peer}
                self._fresh.set()
        for talker, peer in who.hearing.items():
            if peer in peers:
                self._doing.do(_note_heard(peer, self._course.attendees[talker]))

    async def _bring(self, who: Attendee) -> None:
        """Let a party come, or come back."""
        course = self._course
        who.there = True
        # Connections that were hung up cannot be opened again: one that comes back has new ones.
        if any(peer in self._left for peer in who.peers):
            course.connect_party(who)
        for peer in who.peers:
            peer.begin()
        if who.mouth is not None and (who.mouth.is_closed or not silent(who.name, course.setup.cues)):
            who.mouth.open()
        due = course.due(who)
        self._attend(who, due)
        if who.publishing in due:
            self._let_hear(who)
        await course.attend(who, due, self._limit_s)
        if all(peer not in course.troubles for peer in (due or who.peers[:1])):
            who.events["joined"].set()

    async def _go_on_stage(self, who: Attendee) -> None:
        """Let a party of the audience publish (rule 2)."""
        assert who.mouth is not None
        assert who.publishing is not None
        who.may_be_heard = True
        who.mouth.open()
        if self._course.apart:
            who.publishing.begin()
            self._attend(who, [who.publishing])
            self._let_hear(who)
        await self._course.go_on_stage(who, self._limit_s)

    def _let_hear(self, talker: Attendee) -> None:
        """Let those who are there listen to one who begins to publish."""
        course = self._course
        for who in course.attendees.values():
            peer = who.hearing.get(talker.name)
            if peer is None or not who.there or not course.apart:
                continue
            if peer in self._left:
                course.connect_to(who, talker.name)
                peer = who.hearing[talker.name]
            if peer not in self._watched.values():
                peer.begin()
                self._attend(who, [peer])
                self._doing.do(course.hear(who, talker.name, self._limit_s))

    async def _dismiss(self, who: Attendee) -> None:
        """Let a party leave: its connections are closed, and then those of who heard it (rule 3)."""
        course = self._course
        who.there = who.may_be_heard = False
        who.events["fell silent"].set()
        peers = who.peers
        others = [each for each in course.attendees.values() if each.there and who.name in each.hearing]
        heard = [(each, each.hearing[who.name]) for each in others if course.apart]
        heard = [(each, peer) for each, peer in heard if peer in self._watched.values()]
        # Before the first of them closes: a server ends a listener's path by
        # itself when its talker goes, and that is no fault.
        self._left.update(peer for _, peer in heard)
        self._hang_up(who, peers)
        course.off_air(who)
        await asyncio.gather(*(self._told(who, peer.close()) for peer in peers))
        await self._told(who, course.depart(who))
        await asyncio.sleep(AFTER_S)
        for each, peer in heard:
            if peer not in each.left_s:
                self._hang_up(each, [peer])
                await self._told(who, peer.close())
                await self._told(who, course.let_go(each, peer))

    async def _told(self, who: Attendee, ending: Awaitable[object]) -> None:
        """Await a step of the leaving of a party; what goes wrong with it is a warning."""
        begun_s = self._course.network.now_s()
        why = await bounded(f"{who.name} left", ending, lambda: self._course.open_since(begun_s))
        if why is not None:
            self.warn(why)

    def _hang_up(self, who: Attendee, peers: list[Peer]) -> None:
        """Note that a party hangs up connections."""
        self._left.update(peers)
        who.left_s.update(dict.fromkeys(peers, self._course.network.now_s()))


async def _note_heard(listener: Peer, talker: Attendee) -> None:
    """Note that somebody has heard ``talker``."""
    await listener.heard_packet.wait()
    talker.events["heard"].set()
