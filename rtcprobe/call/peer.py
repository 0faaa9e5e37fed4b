"""A WebRTC endpoint of ours: one connection, and the sound and pictures that go over it, noted packet by packet.

Rules:
    1. Frames were encoded before the call, so an encoder never disturbs the pace (``track``).
    2. Packets are noted with their arrival and nothing more (``transceiver``). What a listener hears of them is worked
       out afterwards: playout of sound has no influence on the network, so one call can be heard by any number of
       playout policies. Only asking again for what is missing happens during the call.
    3. Protection against loss is what both sides agreed on, not what ours offered. Copies (RED) are made when a frame
       leaves: what was never sent is not repeated.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rtcprobe.audio.protection import Protection
from rtcprobe.call.channel import Channel, ChannelWanted
from rtcprobe.call.ends.connecting import Connecting
from rtcprobe.call.mouth_track import MouthTrack
from rtcprobe.call.sources import Sources
from rtcprobe.call.transceiver import Media, Picture, PictureWanted, Sound, SoundWanted
from rtcprobe.playout.arrivals import Arrival, Arrivals
from rtcprobe.recording import Agreed, Came, CameVideo, Said, SenderReport
from rtcprobe.runtime.network import Host
from rtcprobe.runtime.real import taking
from rtcprobe.timeline import Side

if TYPE_CHECKING:  # of calls to servers, and to agents, alone
    from rtcprobe.call.claims import Claims
    from rtcprobe.runtime.gathering import Gathering

__all__ = ["Media", "Peer"]

UNDER_WAY_S = 1.0
"""How long what was said may be under way to a listener, playout included: more than any link of ours and its jitter
buffer take (``playout.fixed`` 200 ms, NetEQ's target on 4G 150 ms)."""

_FIRST = {"audio": "first_packet", "video": "first_video_packet"}
"""The milestone of the first packet of the first section of each kind."""


class Peer(Connecting):
    """One connection of a party of ours (``ends.base.End``)."""

    sections: list[Sound | Picture]
    channel: Channel | None

    def __init__(
        self,
        host: Host,
        side: Side,
        wanted: Sequence[SoundWanted | PictureWanted],
        *,
        dtls_timeout_s: Callable[[float | None], float],
        protection: Protection,
        milestones: Sequence[str] | None = None,
        gathering: Gathering | None = None,
        transport_cc: bool = False,
        messages: ChannelWanted | None = None,
        claims: Claims | None = None,
    ) -> None:
        """Make an endpoint with the m-sections ``wanted``, sound first; connect it with the others.

        ``transport_cc``: packets are numbered over all sections where the other side knows that, and it is told which
        came (``tap.numbers``).
        ``milestones`` are those of its join where they are not a loopback call's; ``gathering`` asks STUN and TURN
        servers for candidates. ``messages`` are what goes over a data channel beside; ``claims`` take what an
        agent tells over one.
        """
        super().__init__(
            host,
            side,
            dtls_timeout_s=dtls_timeout_s,
            protection=protection,
            milestones=milestones,
            gathering=gathering,
            transport_cc=transport_cc,
        )
        self._alone_s: list[tuple[float, float]] = []
        self._heard_packet = asyncio.Event()
        self.sections = [self._section(each) for each in wanted]
        self.channel = None if messages is None else Channel(side, messages, self._network)
        self.claims = claims
        with taking(self.own_s, "certificate"):
            self._open()

    @property
    def host_name(self) -> str:
        """The machine it is on: parties of one role (two callees) are told apart by it."""
        return self._host.name

    @property
    def speaks(self) -> bool:
        """Whether it has something to say."""
        return self.sound.track is not None

    @property
    def started_s(self) -> float | None:
        """When its first sample was spoken; None before."""
        return None if self.sound.track is None else self.sound.track.started_s

    @property
    def came_s(self) -> tuple[float, float] | None:
        """When the first and the last packet of sound came; None before the first."""
        heard = [each.arrivals for each in self.sections if isinstance(each, Sound) and len(each.arrivals)]
        return (min(each[0][0] for each in heard), max(each[-1][0] for each in heard)) if heard else None

    def begin(self) -> None:
        """Let its join begin now."""
        self.timeline.begin(self._network.now_s())

    @property
    def sound(self) -> Sound:
        """Its first section of sound."""
        return next(each for each in self.sections if isinstance(each, Sound))

    @property
    def pictures(self) -> list[Picture]:
        """Its sections of pictures."""
        return [each for each in self.sections if isinstance(each, Picture)]

    @property
    def track(self) -> MouthTrack:
        """What it says."""
        track = self.sound.track
        assert track is not None
        return track

    @property
    def arrivals(self) -> Arrivals:
        """What it has heard."""
        return self.sound.arrivals

    @property
    def sources(self) -> Sources[Arrival]:
        """Whom it listens to."""
        return self.sound.sources

    @property
    def negotiated(self) -> Agreed | None:
        """What both sides agreed on for sound; None until they have."""
        return self.sound.agreed

    @property
    def heard_packet(self) -> asyncio.Event:
        """Set when the first packet of sound came, of whomever."""
        return self._heard_packet

    async def go_without_pictures(self) -> None:
        """Begin anew with sound alone: the other side's offer has no picture. Nothing may be connected yet."""
        for picture in self.pictures:
            if picture.watcher is not None:
                picture.watcher.nothing_comes()
        self.sections = [each for each in self.sections if isinstance(each, Sound)]
        await self.start_over()

    def left_alone(self) -> None:
        """Note that the other side leaves now: what was still under way then is not asked of it."""
        # From so long before now: what had not been heard yet when the listener left is not lost, it is unasked for.
        self._alone_s.append((self._network.now_s() - UNDER_WAY_S, math.inf))
        if self.channel is not None:
            self.channel.left_alone(UNDER_WAY_S)

    def said(self, section: Sound | Picture | None = None) -> Said:
        """Return what was said so far, or sent in another section."""
        sent = section or self.sound
        track = sent.track
        assert track is not None
        return Said(
            party=self.side,
            frames=track.frames,
            ptime_s=track.frame_s,
            started_s=track.started_s,
            finished=track.finished.is_set(),
            departures=self.tap.departures(*sent.ssrcs),
            medium=track.medium,
            clock_hz=track.clock_hz,
            gaps_s=(*track.gaps_s, *self._alone_s),
            first=track.first,
        )

    def came(self, *, forwarded: bool, there_and_back: bool, section: Sound | None = None) -> Came:
        """Return what came so far of sound, and over what; ``section`` is another than the first."""
        heard = section or self.sound
        return Came(
            listener=self.side,
            arrivals=heard.arrivals,
            agreed=heard.agreed,
            begun_s=self.timeline.begun_s,
            forwarded=forwarded,
            there_and_back=there_and_back,
            reports=_of(heard),
        )

    def came_video(self, picture: Picture, *, forwarded: bool, there_and_back: bool) -> CameVideo:
        """Return what came so far in a section of pictures."""
        return CameVideo(
            listener=self.side,
            arrivals=picture.arrivals,
            agreed=picture.agreed,
            begun_s=self.timeline.begun_s,
            forwarded=forwarded,
            there_and_back=there_and_back,
            reports=_of(picture),
        )

    def _section(self, wanted: SoundWanted | PictureWanted) -> Sound | Picture:
        milestone = _FIRST["audio" if isinstance(wanted, SoundWanted) else "video"]

        def first(at_s: float) -> None:
            # A target whose joins have no such step (a party that only talks) is not told of it.
            if milestone in self.timeline.order:
                self.timeline.mark(milestone, at_s)
            if milestone == _FIRST["audio"]:
                self._heard_packet.set()

        if isinstance(wanted, SoundWanted):
            return Sound(wanted, protection=self._protection, network=self._network, first=first)
        return Picture(wanted, network=self._network, first=first)


def _of(section: Sound | Picture) -> tuple[SenderReport, ...]:
    """Return what the source that was listened to reported."""
    # Reports of other sources map other timestamps: mixed in, they would bend the clock of the one that is heard.
    return tuple(each for each in section.reports if each.ssrc == section.sources.listened)
