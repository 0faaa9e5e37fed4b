"""A script performed by the parties of a call: who comes meets those who are there, who leaves hangs up on them.

Rules:
    1. Who comes has a connection to everybody who is there by then, and has joined when all of them are made; one that
       is not within the join timeout is a warning, and the call goes on.
    2. A path that breaks ends the call, unless one of its two sides has left, or others go on without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from rtcprobe.call.doing import Doing
from rtcprobe.call.member import Member
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import perform, silent
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.blame import by_timers
from rtcprobe.call.targets.endings import bounded
from rtcprobe.scenario import Cue

__all__ = ["Performance"]


class Performance:
    """One performance (``script.Stage``). ``meet`` gets two members connected; ``warnings`` grows.

    ``happened`` are the cues that were carried out, and when, seconds since the epoch.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        meet: Callable[[Member, Member], Coroutine[Any, Any, None]],
        setup: CallSetup,
        warnings: list[str],
        goes_on: Callable[[Peer, float], bool],
    ) -> None:
        """``goes_on`` is told whose path broke, how far into the call, and returns whether that goes on without it."""
        self._members = members
        self._meet = meet
        self._setup = setup
        self._warnings = warnings
        self._goes_on = goes_on
        self._begun_s = self._talk_s = 0.0
        self.happened: list[tuple[float, Cue]] = []
        self._left: set[Peer] = set()
        self._doing = Doing(warnings.append)
        self._coming: dict[str, asyncio.Task[None]] = {}
        """What lets a party in: given up where it leaves before that is done."""

    async def run(self) -> str | None:
        """Perform it; return what ended the call before, in a sentence, or None."""
        begun_s = self._begun_s = asyncio.get_running_loop().time()
        for member in self._members.values():
            self._talk_s = member.host.network.now_s()
            if member.there:
                member.events["joined"].set()
            for name, peer in member.peers.items():
                self._doing.do(_note_heard(peer, self._members[name]))
        performing = asyncio.ensure_future(perform(self._setup.cues, self, self._setup.lasts_s))
        broken = asyncio.ensure_future(self._broken())
        try:
            done, _ = await asyncio.wait({performing, broken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (performing, broken, *self._doing):
                task.cancel()
        if broken not in done:
            performing.result()
            return None
        lasted_s = asyncio.get_running_loop().time() - begun_s
        return f"the {broken.result().side}'s media path broke {lasted_s:.1f} s into the call"

    def act(self, cue: Cue) -> None:
        """Let a party do what a cue says."""
        member = self._members[cue.party]
        self.happened.append((member.host.network.now_s(), cue))
        if cue.does == "stop":
            member.stop()
        elif cue.does == "join":
            self._coming[member.name] = self._doing.do(self._bring(member))
        elif cue.does == "leave":
            self._doing.do(self._dismiss(member))
        elif cue.does == "send":
            member.send()
        else:
            member.speak()

    def event(self, party: str, name: str) -> asyncio.Event:
        """Return what is set when it happens to ``party`` for the first time."""
        return self._members[party].events[name]

    def warn(self, sentence: str) -> None:
        """Tell what a reader should know of a cue."""
        self._warnings.append(sentence)

    async def _bring(self, member: Member) -> None:
        """Let a party join those who are there."""
        member.there = True
        others = [other for other in self._members.values() if other.there and other.name in member.peers]
        own = [member.peers[other.name] for other in others]
        # Both ends of each new connection begin now: who was there before joins this newcomer as much as it joins them.
        for peer in (*own, *(other.peers[member.name] for other in others)):
            peer.begin()
        if not silent(member.name, self._setup.cues):
            member.speak()
        absent = {each.name for each in self._members.values() if not each.there}
        for each in (member, *others):
            each.may_send(self._talk_s, absent)
        limit_s = self._setup.join_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(self._meet(member, other) for other in others))
                await asyncio.gather(*(peer.connected.wait() for peer in own))
        except TimeoutError:
            late = next(peer for peer in own if not peer.connected.is_set())
            self._warnings.append(by_timers(late, f"not within {limit_s:g} s", late.waits((), None)))
        else:
            member.events["joined"].set()

    async def _dismiss(self, member: Member) -> None:
        """Let a party leave: whoever it was connected to sees the path end."""
        # A join that is still under way would go on connecting to a party that has gone.
        if member.name in self._coming:
            self._coming.pop(member.name).cancel()
        member.there = False
        member.events["fell silent"].set()
        others = [self._members[name].peers[member.name] for name in member.peers]
        # Before anything closes: the ends of these paths must not be taken for broken ones by ``_broken``.
        self._left |= {*member.peers.values(), *others}
        for peer in others:
            peer.left_alone()
        for peer in member.peers.values():
            why = await bounded(f"{member.name} left", peer.close())
            self._warnings += [] if why is None else [why]

    async def _broken(self) -> Peer:
        """Return the first peer whose path ends although neither of its sides has left, and that the call ends with."""
        # All that there will be: in a mesh connections are made before the call, also those of who comes later.
        peers = [peer for member in self._members.values() for peer in member.peers.values()]
        ended: dict[asyncio.Future[bool], Peer] = {asyncio.ensure_future(each.ended.wait()): each for each in peers}
        try:
            while ended:
                done, _ = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
                for peer in [ended.pop(task) for task in done]:
                    lasted_s = asyncio.get_running_loop().time() - self._begun_s
                    if peer not in self._left and not self._goes_on(peer, lasted_s):
                        return peer
            never: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
            return await never  # all have left: nothing is there to break
        finally:
            for task in ended:
                task.cancel()


async def _note_heard(listener: Peer, talker: Member) -> None:
    """Note that somebody has heard ``talker``."""
    await listener.heard_packet.wait()
    talker.events["heard"].set()
