"""A call to a server that is not ours: our peers, each behind its own access line, and whatever signalling it takes.

A target's call is a subclass that says which peers there are and how they get connected::

    class EchoCall(OutsideCall):
        sides = (("caller", "sendrecv"),)

        async def connect(self) -> None:
            offer = await self.caller.offer()
            answer = ...                                  # ask the server
            await self.accept(self.caller, answer)

        async def leave(self) -> None: ...                # tell the server

Rules:
    1. The joiner is who listens: the callee where it alone does (*one way*), else the caller. A callee that listens
       begins when the caller is connected.
    2. What passes an access line, and what is known of it, is told in ``outside_ends``; the steps of signalling in
       ``outside_steps``; how it runs, fails and ends in ``course``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rtcprobe.call.live import LiveTrack
from rtcprobe.call.peer import Media, Peer
from rtcprobe.call.targets import access
from rtcprobe.call.targets.base import CallSetup, Way, listeners_named
from rtcprobe.call.targets.endings import said_all
from rtcprobe.call.targets.last_words import gone, last_packets
from rtcprobe.call.targets.outside_ends import OutsideEnds
from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.call.watching import first_pictures
from rtcprobe.runtime.edge import Edge
from rtcprobe.runtime.streams import Line
from rtcprobe.timeline import OUTSIDE_ORDER, Side
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["OutsideCall"]


class OutsideCall(OutsideEnds):
    """One call on the running real loop. What it measured stays readable at any moment, finished or not."""

    sides: Sequence[tuple[Side, Media]] = (("caller", "sendrecv"),)
    milestones: Sequence[str] = OUTSIDE_ORDER

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, *, server: str) -> None:
        """Make a call to ``server``, a host name or address; nothing is opened yet."""
        super().__init__(setup, server=server)
        self._peers = self._make_peers(seed)

    # What ``connect`` and ``leave`` are made of.

    @property
    def caller(self) -> Peer:
        """The caller."""
        return self._peers[0]

    @property
    def callees(self) -> list[Peer]:
        """The callees: none in an echo, several in a room."""
        return self._peers[1:]

    # What the probe asks (``base.Call``).

    @property
    def ways(self) -> list[Way]:
        """There and back in an echo; else to every callee that listens, and to the caller if it does."""
        if not self.callees:
            return [Way(WayName("round_trip"), self.caller, self.caller)]
        media = [each for _, each in self.sides]
        ways = [
            Way(WayName.of("caller", name), self.caller, callee)
            for name, callee, theirs in zip(listeners_named(len(self.callees)), self.callees, media[1:], strict=True)
            if theirs != "sendonly"
        ]
        if media[0] == "sendrecv":
            ways += [Way(WayName("callee_to_caller"), self.callees[0], self.caller)]
        return ways

    @property
    def joiners(self) -> list[Peer]:
        """Whose join is timed (rule 1)."""
        listening = [way.listener for way in self.ways]
        return [self.caller] if self.caller in listening else listening

    @property
    def peers(self) -> list[Peer]:
        """The caller, then the callees."""
        return self._peers

    def legs(self) -> dict[LegName, list[access.Leg]]:
        """Return the access lines: the speaker's up and each listener's down, and those of the first one's answers."""
        names = listeners_named(len(self.callees))
        listeners = dict(zip(names, (self._hosts[callee] for callee in self.callees), strict=False))
        return access.legs(self._hosts[self.caller], listeners)

    def report(self) -> dict[str, Any]:
        """Return, by peer, what was agreed on with the server, and what each side says of the path."""
        names = [self.caller.side, *listeners_named(len(self.callees))[: len(self.callees)]]
        return {name: self.report_of(peer) for name, peer in zip(names, self.peers, strict=True)}

    def _make_peers(self, seed: np.random.SeedSequence) -> list[Peer]:
        route_seeds, phase_seed = seed.spawn(2)
        chance = np.random.Generator(np.random.PCG64(phase_seed))
        phases, cameras = (chance.random(len(self.sides)).tolist() for _ in range(2))
        peers = []
        for place, ((side, media), phase, camera, own_seed) in enumerate(
            zip(self.sides, phases, cameras, route_seeds.spawn(len(self.sides)), strict=True)
        ):
            up_seed, down_seed, mouth_seed = own_seed.spawn(3)
            # Of several callees the first keeps the role's name; the others are told apart by a number.
            host = self.add_host(side if place < 2 else f"{side}{place}", side, up_seed, down_seed)
            line = Line(self.network, host.stream_up, host.stream_down, side)
            wanted: list[SoundWanted | PictureWanted] = [self._sound(side, media, phase, mouth_seed)]
            picture = self._picture(side, media, camera)
            peer = self.add_peer(host, line, wanted + ([] if picture is None else [picture]), self.milestones)
            track = peer.sound.track
            if isinstance(track, LiveTrack):
                track.mouth.listen(peer.sound)
                track.mouth.edge = host.edge = Edge()
            peers.append(peer)
        return peers

    def _picture(self, side: Side, media: Media, phase: float) -> PictureWanted | None:
        """Return the section of a picture of one side: what it shows, or watches of the other; None without either."""
        caller, callee = list(self.setup.speech)[:2]
        ours, other = (caller, callee) if side == "caller" else (callee, caller)
        shown, watched = self.setup.cameras.get(ours), self.setup.cameras.get(other)
        if media == "recvonly" or shown is None:
            return None if watched is None or media == "sendonly" else replace(watched.watched(), remb=True)
        wanted = shown.wanted(self.network, phase, self.may_speak, media)
        # Who watches nothing sends no REMB; who does tells it, for a stranger's sender may know nothing better.
        return replace(wanted, watch=None) if media == "sendonly" else replace(wanted, remb=True)

    @property
    def awaited(self) -> list[asyncio.Event]:
        """A packet of sound to each whose join is timed, and a picture where one is shown."""
        joiners = self.joiners
        heard = [peer.heard_packet for peer in joiners]
        return heard + [event for peer in joiners for event in first_pictures(peer)]

    def _sound(self, side: Side, media: Media, phase: float, seed: np.random.SeedSequence) -> SoundWanted:
        """Return the section of sound of one side: of two parties the first calls, the second is called."""
        caller, callee = list(self.setup.speech)[:2]
        ours, other = (caller, callee) if side == "caller" else (callee, caller)
        mouth = self.setup.mouth(ours, self.network, phase=phase, may_speak=self.may_speak, seed=seed)
        track = None if mouth is None else mouth.track()
        return SoundWanted(track=track, media=media, expected=self.setup.expected(other))

    async def say_all(self) -> None:
        """Wait until the talkers have said all, and the last of it has come; ends early when the call does."""
        begun_s = self.network.now_s()
        self.cut = await said_all(dict.fromkeys(way.talker for way in self.ways), self.peers, self.network, self.lost)
        if self.cut is None:
            silent_s = self.network.now_s()
            self.cut = gone(self.ways, self.network, begun_s)
            await last_packets(self.ways, self.network, silent_s)
