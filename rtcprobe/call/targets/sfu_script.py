"""A script performed in a room through servers of ours: who comes takes a seat, who leaves frees it, a server may die.

Rules:
    1. Who comes has joined when its connection is made; who comes back takes a new seat. One that is not connected
       within the join timeout is a warning, and the call goes on.
    2. Who goes on stage (``publishes``) speaks at once over the connection it has, or takes a seat of its own for that,
       as the scenario says.
    3. A path that breaks is told of those that it is of, unless they have left. A server that dies falls silent, and
       says nothing: paths end when consent to send runs out (RFC 7675 §5.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtcprobe.call.doing import Doing
from rtcprobe.call.member import Member
from rtcprobe.call.script import goes_on_stage, perform, silent
from rtcprobe.call.targets.blame import by_timers
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, bounded
from rtcprobe.scenario import Cue

if TYPE_CHECKING:
    from rtcprobe.call.targets.sfu_call import SfuCall
    from rtcprobe.call.targets.sfu_room import Seat

__all__ = ["SfuPerformance"]


class SfuPerformance:
    """One performance (``script.Stage``) of the cues of a call."""

    def __init__(self, call: SfuCall) -> None:
        self._call = call
        self._members = call.world.members
        self.happened: list[tuple[float, Cue]] = []
        """The cues that were carried out, and when, seconds since the epoch."""
        self._talk_s = 0.0
        """When it began, seconds since the epoch."""
        self._left: set[Seat] = set()
        self._watched: dict[asyncio.Future[Any], Seat] = {}
        self._doing = Doing(call.warnings.append)
        self._coming: dict[str, list[asyncio.Task[None]]] = {}
        """What gets a party seated: given up where it leaves before that is done."""
        self._fresh = asyncio.Event()

    async def run(self) -> str | None:
        """Perform it; return what ended the call before, in a sentence, or None."""
        call = self._call
        begun_s, self._talk_s = asyncio.get_running_loop().time(), call.network.now_s()
        for name, member in self._members.items():
            if member.there:
                member.events["joined"].set()
            for seat in call.room.seats[name]:
                self._attend(seat)
        performing = asyncio.ensure_future(perform(call.setup.cues, self, call.setup.lasts_s))
        try:
            while not performing.done():
                fresh = asyncio.ensure_future(self._fresh.wait())
                try:
                    waiting = {performing, fresh, *self._watched}
                    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    fresh.cancel()
                self._fresh.clear()
                after_s = asyncio.get_running_loop().time() - begun_s
                for seat in [self._watched.pop(each) for each in list(self._watched) if each in done]:
                    if seat not in self._left:
                        call.broke(seat.peer, after_s)
                if self._watched or performing.done() or self._doing or self._to_come():
                    continue
                # The last one: what broke first may have been one path of many; what broke last left nobody.
                return next((each.why for each in reversed(call.troubles.values())), None)
        finally:
            for task in (performing, *self._watched, *self._doing):
                task.cancel()
        performing.result()
        return None

    def act(self, cue: Cue) -> None:
        """Let a party do what a cue says."""
        call = self._call
        self.happened.append((call.network.now_s(), cue))
        if cue.does == "die":
            call.kill(cue.party)
            return
        member = self._members[cue.party]
        if cue.does == "stop":
            member.stop()
        elif cue.does == "send":
            member.send()
        elif cue.does == "join":
            self._comes(member, self._bring(member))
        elif cue.does == "leave":
            self._doing.do(self._dismiss(member))
        elif cue.does == "publish" and not any(seat.publishes for seat in self._seated(member)):
            self._comes(member, self._go_on_stage(member))
        else:
            member.speak()

    def event(self, party: str, name: str) -> asyncio.Event:
        """Return what is set when it happens to ``party`` for the first time."""
        return self._members[party].events[name]

    def warn(self, sentence: str) -> None:
        """Tell what a reader should know of a cue."""
        self._call.warnings.append(sentence)

    def _seated(self, member: Member) -> list[Seat]:
        """Return the seats that a party has now."""
        return [seat for seat in self._call.room.seats[member.name] if seat not in self._left]

    def _to_come(self) -> bool:
        """Return whether somebody may still come, or come back."""
        joined = sum(cue.does == "join" for _, cue in self.happened)
        return joined < sum(cue.does == "join" for cue in self._call.setup.cues)

    def _attend(self, seat: Seat) -> None:
        """Watch a seat, and note when it first hears those it listens to."""
        self._watched[asyncio.ensure_future(seat.peer.ended.wait())] = seat
        self._fresh.set()
        for talker in seat.listens_to:
            self._doing.do(self._note_heard(seat, self._members[talker]))

    async def _note_heard(self, seat: Seat, talker: Member) -> None:
        await seat.section(talker.name).heard_packet.wait()
        talker.events["heard"].set()

    async def _bring(self, member: Member) -> None:
        """Let a party join, over a new connection where it had one before."""
        call = self._call
        member.there = True
        seats = self._seated(member)
        if not seats:
            # One of the audience listens over this seat; going on stage takes another, where the scenario wants it so.
            later = call.plan.new_connection and goes_on_stage(member.name, call.setup.cues)
            again = call.room.take_seat(member.name, publishes=not later)
            seats = [] if again is None else [again]
            for seat in seats:
                self._attend(seat)
        if member.mouth is not None and (member.mouth.is_closed or not silent(member.name, call.setup.cues)):
            member.speak()
        member.may_send(self._talk_s)
        # Of a party that has two (one to listen, one on stage) the first is what its coming is told by.
        for seat in seats[:1]:
            if await self._sits_down(seat):
                member.events["joined"].set()

    async def _go_on_stage(self, member: Member) -> None:
        """Let a party of the audience speak over a connection of its own (rule 2)."""
        seat = self._call.room.take_seat(member.name, publishes=True, listens=False)
        if seat is not None:
            self._attend(seat)
            member.speak()
            await self._sits_down(seat)

    async def _sits_down(self, seat: Seat) -> bool:
        """Get a seat connected; return whether it was within the join timeout (rule 1)."""
        call, limit_s = self._call, self._call.setup.join_timeout_s
        seat.peer.begin()
        try:
            async with asyncio.timeout(limit_s):
                await call.sit_down(seat)
                await seat.peer.connected.wait()
        except TimeoutError:
            call.trouble(seat.peer, by_timers(seat.peer, f"not within {limit_s:g} s", call.waits(seat.peer)))
            return False
        return True

    async def _dismiss(self, member: Member) -> None:
        """Let a party leave: its connections are closed, and what is said from now on is not said to it."""
        for coming in self._coming.pop(member.name, ()):
            coming.cancel()
        member.there = False
        member.events["fell silent"].set()
        for seat in self._seated(member):
            # Before it closes, so that its end is not taken for a broken path.
            self._left.add(seat)
            self._call.room.free(seat)
            await self._told(member, seat.peer.close())
            # What it said last is still under way, and its goodbye; where that is lost the server gives it up now.
            with suppress(TimeoutError):
                async with asyncio.timeout(HANG_UP_TIMEOUT_S):
                    await seat.leg.ended.wait()
            await self._told(member, seat.leg.leave())

    async def _told(self, member: Member, ending: Awaitable[object]) -> None:
        """Await a step of a party's leaving; what goes wrong with it is a warning."""
        why = await bounded(f"{member.name} left", ending)
        self._call.warnings += [] if why is None else [why]

    def _comes(self, member: Member, work: Coroutine[Any, Any, None]) -> None:
        self._coming.setdefault(member.name, []).append(self._doing.do(work))
