"""A party of ours in a call of any number: its machine, its mouth and camera, its connections, and what befalls it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rtcprobe.call.camera_track import CameraTrack
from rtcprobe.call.channel import Channel, ChannelWanted
from rtcprobe.call.mouth_track import Mouth
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.transceiver import Media, PictureWanted, SoundWanted
from rtcprobe.messages import Due
from rtcprobe.runtime.network import Host

__all__ = ["EVENTS", "Member"]

EVENTS: Final = ("joined", "heard", "fell silent")
"""What can happen to it (``scenario.script.Event``)."""


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """One party; ``there``: it takes part now. ``camera_phase``: how far into a frame its camera's grid begins, 0-1.

    ``by_rate`` are the messages that it sends over each of its channels, counted from when that has opened.
    """

    name: str
    host: Host
    setup: CallSetup
    mouth: Mouth | None
    may_speak: asyncio.Event
    camera_phase: float
    by_rate: Sequence[Due] = ()
    there: bool = True
    shown: CameraTrack | None = None
    """What its camera sent last over a connection to a server."""
    peers: dict[str, Peer] = field(default_factory=dict)
    """Its connection to each of those it has anything to do with; to a server, the latest."""
    channels: list[tuple[str, Channel]] = field(default_factory=list)
    """What its messages go over, and to whom, all that it had."""
    events: dict[str, asyncio.Event] = field(default_factory=lambda: {name: asyncio.Event() for name in EVENTS})

    def hears(self, other: Member) -> bool:
        """Return whether it wants to hear another, who has something to send."""
        sends = other.mouth is not None or other.name in self.setup.cameras or other.name in self.setup.messages
        # Who is not named under ``hears`` hears everybody who has speech, which
        # is the order in which the parties are written.
        return sends and other is not self and other.name in self.setup.hears.get(self.name, self.setup.speech)

    def meet(self, other: Member, milestones: Sequence[str]) -> Peer:
        """Make its connection to another, and return it; nothing is opened."""
        wanted = [each for each in (self._sound(other), self._picture(other)) if each is not None]
        if not wanted:  # a connection for messages alone has a silent section: it is what ICE and DTLS are asked of
            wanted = [SoundWanted(track=None, media="recvonly")]
        peer = self.peers[other.name] = self.setup.peer(
            self.host.beside(), self.name, wanted, milestones=milestones, messages=self.messages([other])
        )
        self._writes_over(peer, other.name)
        return peer

    def join(
        self,
        server: str,
        talkers: Sequence[Member],
        *,
        heard: bool,
        milestones: Sequence[str],
        messages: ChannelWanted | None = None,
    ) -> Peer:
        """Make its one connection to a server: a section of its own where it is ``heard``, one for each talker.

        Where there are cameras, a section of pictures stands behind that of the sound. With ``messages`` alone it has a
        silent section.
        """
        sections: list[SoundWanted | PictureWanted] = []
        if self.mouth is not None and heard:
            sections.append(SoundWanted(track=self.mouth.track(), media="sendonly"))
            # Sound before its picture, talker by talker: the server answers in the order of the offer (RFC 3264 §6).
            sections += self._shown()
        for talker in talkers:
            sections.append(SoundWanted(track=None, media="recvonly", expected=self.setup.expected(talker.name)))
            sections += [self.setup.cameras[talker.name].watched()] if talker.name in self.setup.cameras else []
        sections = sections or [SoundWanted(track=None, media="recvonly")]
        peer = self.setup.peer(self.host.beside(), self.name, sections, milestones=milestones, messages=messages)
        self.peers[server] = peer
        self._writes_over(peer, server)
        return peer

    def join_mix(self, server: str, media: Media, *, milestones: Sequence[str], messages: ChannelWanted | None) -> Peer:
        """Make its one connection to a mixing server: one section, for what it says and for the mix it hears."""
        track = None if self.mouth is None or media == "recvonly" else self.mouth.track()
        wanted = [SoundWanted(track=track, media=media)]
        peer = self.setup.peer(self.host.beside(), self.name, wanted, milestones=milestones, messages=messages)
        self.peers[server] = peer
        self._writes_over(peer, server)
        return peer

    def may_send(self, begun_s: float, absent: Collection[str] = ()) -> None:
        """Let its messages go, but to those ``absent``; the talk began ``begun_s``, seconds since the epoch."""
        for other, channel in self.channels:
            if other not in absent:
                channel.let_send(begun_s)

    def send(self) -> None:
        """Send a message to everybody who wants to hear it, and is there."""
        for _, channel in self.channels:
            if channel.may_send.is_set():
                channel.post()

    def speak(self) -> None:
        """Open its mouth."""
        self.may_speak.set()
        if self.mouth is not None:
            self.mouth.open()

    def stop(self) -> None:
        """Close its mouth."""
        if self.mouth is not None:
            self.mouth.close()
            # The first time alone is an event: who waits for it a second time has been told.
            self.events["fell silent"].set()

    def _writes_over(self, peer: Peer, other: str) -> None:
        if peer.channel is not None:
            self.channels.append((other, peer.channel))

    def _shown(self) -> Iterator[PictureWanted]:
        """Yield what its camera shows over one connection after the other, where it has one."""
        if self.name in self.setup.cameras:
            camera = self.setup.cameras[self.name]
            wanted = camera.wanted(self.host.network, self.camera_phase, self.may_speak, "sendonly", before=self.shown)
            self.shown = wanted.track
            yield wanted

    def _sound(self, other: Member) -> SoundWanted | None:
        sends, takes = self.mouth is not None, other.mouth is not None
        media = _media(sends=sends and other.hears(self), takes=takes and self.hears(other))
        if media is None:
            return None
        track = None if self.mouth is None else self.mouth.track()
        return SoundWanted(track=track, media=media, expected=self.setup.expected(other.name))

    def _picture(self, other: Member) -> PictureWanted | None:
        cameras = self.setup.cameras
        media = _media(
            sends=self.name in cameras and other.hears(self), takes=other.name in cameras and self.hears(other)
        )
        if media is None:
            return None
        if media == "recvonly":
            return cameras[other.name].watched()
        return cameras[self.name].wanted(self.host.network, self.camera_phase, self.may_speak, media)

    def messages(self, others: Collection[Member]) -> ChannelWanted | None:
        """Return what goes over its channel of messages to ``others``, and from them; None where nothing does."""
        readers = [other for other in others if self.writes_to(other)]
        reads = tuple(other.name for other in others if other.writes_to(self))
        if not (readers or reads):
            return None
        return ChannelWanted(
            plan=self.setup.messages[self.name] if readers else None,
            by_rate=self.by_rate if readers else (),
            lasts_s=self.setup.lasts_s,
            reads=reads,
        )

    def writes_to(self, other: Member) -> bool:
        """Return whether it sends messages that another wants to read."""
        return self.name in self.setup.messages and other.hears(self)


def _media(*, sends: bool, takes: bool) -> Media | None:
    if not takes:
        return "sendonly" if sends else None
    return "sendrecv" if sends else "recvonly"
