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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise

from aiortc import RTCSessionDescription

from rtcprobe.audio.protection import Protection
from rtcprobe.call.mouth_track import MouthTrack
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.sources import Sources
from rtcprobe.call.transceiver import Media, Picture, PictureWanted, Sound, SoundWanted
from rtcprobe.ice import IceServer
from rtcprobe.playout.arrivals import Arrival, Arrivals
from rtcprobe.recording import Agreed, Came, CameVideo, Said
from rtcprobe.runtime import aiortc_seam, dtls_seam, express_seam, ice_seam, media_seam, negotiation
from rtcprobe.runtime.gathering import Gathering
from rtcprobe.runtime.network import Host, acting_as
from rtcprobe.runtime.real import work_s
from rtcprobe.runtime.transport_cc_seam import TransportCc
from rtcprobe.runtime.wiretap import WireTap
from rtcprobe.timeline import Side, Timeline, Wait, answers

__all__ = ["Media", "Peer"]

UNDER_WAY_S = 1.0
"""How long what was said may be under way to a listener, playout included: more than any link of ours and its jitter
buffer take (``playout.fixed`` 200 ms, NetEQ's target on 4G 150 ms)."""

_FIRST = {"audio": "first_packet", "video": "first_video_packet"}
"""The milestone of the first packet of the first section of each kind."""


class Peer:
    """One connection of a party; whatever it opens, it opens on ``host``."""

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
    ) -> None:
        """Make an endpoint with the m-sections ``wanted``, sound first; connect it with the others.

        ``transport_cc``: packets are numbered over all sections where the other side knows that, and it is told which
        came (``tap.numbers``).
        ``milestones`` are those of its join where they are not a loopback call's; ``gathering`` asks STUN and TURN
        servers for candidates.
        """
        aiortc_seam.install()
        self.side = side
        self.timeline = Timeline(side, milestones)
        self.connected = asyncio.Event()
        self.failed = asyncio.Event()
        self.ended = asyncio.Event()
        """Set when the path broke or the other side hung up."""
        self.tap = host.tap = WireTap(side)
        self._host = host
        self._network = host.network
        self._protection = protection
        self.sections: list[Sound | Picture] = []
        """Its m-sections, in the order they stand in its offer."""
        for each in wanted:
            self.sections.append(self._section(each))
        self._transport_cc = transport_cc
        self._gathering = gathering
        if gathering is not None:
            gathering.tap = self.tap
        self._dtls_timeout_s = dtls_timeout_s
        self._alone_s: list[tuple[float, float]] = []
        self.unreadable = 0
        """Packets that came through SRTP and could not be read: dropped."""
        self.own_s: dict[str, float] = {}
        """CPU seconds that our own side of it took: the certificate (before the call begins), offer and answer."""
        with self._taking("certificate"):
            self._open()

    @property
    def host_name(self) -> str:
        """The machine it is on: parties of one role (two callees) are told apart by it."""
        return self._host.name

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
        """Set when the first packet of sound came."""
        return self.sound.heard_packet

    def begin(self) -> None:
        """Let its join begin now."""
        self.timeline.begin(self._network.now_s())

    def left_alone(self) -> None:
        """Note that the other side leaves now: what was still under way then is not asked of it."""
        self._alone_s.append((self._network.now_s() - UNDER_WAY_S, math.inf))

    async def offer(self) -> Sdp:
        """Gather candidates and return our offer.

        Raises:
            MeasurementError: relayed candidates alone are wanted, and no TURN server gave one.
        """
        with acting_as(self._host), self._offering(), self._taking("offer"):
            await self._connection.setLocalDescription(await self._connection.createOffer())
        self._gathered()
        return self._local()

    async def offer_at_once(self) -> tuple[Sdp, asyncio.Future[list[str]]]:
        """Return our offer without candidates, and what gathers them: attributes such as ``"candidate:..."``."""
        with acting_as(self._host), self._offering(), self._taking("offer"):
            offer = await self._connection.createOffer()
            gathered = asyncio.ensure_future(self._gather(offer))
        return Sdp(kind=offer.type, text=offer.sdp), gathered

    async def gather_from(self, servers: Sequence[IceServer]) -> list[str]:
        """Gather from servers that the target named; return the candidates won, like ``offer_at_once``.

        Raises:
            MeasurementError: relayed candidates alone are wanted, and no TURN server gave one.
        """
        gathering = self._gathering
        if gathering is None:
            return []
        with acting_as(self._host):
            found = await ice_seam.gather_more(
                self._sender.transport, lambda agent: gathering.gather_from(servers, agent)
            )
        gathering.check()
        return found

    async def answer(self, offer: Sdp) -> Sdp:
        """Take the other side's offer and return our answer; connecting begins."""
        with acting_as(self._host), self._offering():
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.text, offer.kind))
            self._agree()
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        self._gathered()
        return self._local()

    async def accept(self, answer: Sdp) -> None:
        """Take the other side's answer; connecting begins."""
        with acting_as(self._host), self._offering(), self._taking("answer"):
            await self._connection.setRemoteDescription(RTCSessionDescription(answer.text, answer.kind))
        self._agree()

    async def add_candidate(self, attribute: str) -> None:
        """Take a candidate that came after the other side's description; an empty one says there are no more."""
        with acting_as(self._host):
            await aiortc_seam.add_candidate(self._sender, attribute)

    async def start_over(self) -> None:
        """Forget our offer: the other side makes one of its own. Nothing may be connected yet."""
        forgotten, handshake = self._connection, self._handshake
        if self._gathering is not None:
            await self._gathering.start_over()
        self._open()
        handshake.stop()
        await forgotten.close()

    def path(self) -> media_seam.MediaPath:
        """Return what ICE and DTLS agreed on so far."""
        return media_seam.media_path(self._sender)

    @property
    def round_trip_s(self) -> float | None:
        """The round trip RTCP reports say, smoothed; None before the first."""
        return media_seam.round_trip_s(self._sender)

    async def close(self) -> None:
        """Hang up."""
        self._handshake.stop()
        if self._gathering is not None:
            await self._gathering.stop()
        await self._connection.close()

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

    def came(self, *, forwarded: bool, there_and_back: bool) -> Came:
        """Return what came so far of sound, and over what."""
        return Came(
            listener=self.side,
            arrivals=self.arrivals,
            agreed=self.negotiated,
            begun_s=self.timeline.begun_s,
            forwarded=forwarded,
            there_and_back=there_and_back,
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
        )

    def progress_s(self) -> list[float]:
        """Return when this side's handshake moved on: each new flight, and the end."""
        flights_s = [self._since(copies_s[0]) for copies_s in self._handshake.sent_s]
        connected_s = self.timeline.marks.get("dtls_connected")
        return sorted(flights_s if connected_s is None else [*flights_s, self.timeline.begun_s + connected_s])

    def waits(self, progress_s: Sequence[float], least_s: float | None) -> list[Wait]:
        """Return this side's STUN and DTLS retransmissions, each as the wait that ended with it.

        ``progress_s`` are the instants at which the other side's handshake moved on: a flight is answered by the first
        of them after it left, ``least_s`` later at the soonest (the fastest way there; None: not known).
        """
        waits = self.tap.waits()
        for flight in self._handshake.sent_s:
            copies_s = [self._since(copy_s) for copy_s in flight]
            answered_s = next((each for each in progress_s if each > copies_s[0]), None)
            waits += [
                Wait(
                    timer="dtls",
                    side=self.side,
                    what="handshake flight",
                    from_s=from_s,
                    at_s=at_s,
                    needed=answers(at_s, answered_s, least_s),
                )
                for from_s, at_s in pairwise(copies_s)
            ]
        return waits

    def _open(self) -> None:
        """Make the connection."""
        gathering = self._gathering
        relay_only = gathering is not None and gathering.settings.policy == "relay"
        connection = self._connection = aiortc_seam.new_peer_connection(relay_only=relay_only)
        for section in self.sections:
            section.open(connection)
        self._sender = self.sections[0].sender
        dtls = self._sender.transport
        if gathering is not None:
            ice_seam.gather_with(dtls, gathering.gather)
        dtls_seam.prepare_handshake(dtls)
        media_seam.skip_unreadable(dtls, self._skip)
        if self._transport_cc:
            self.tap.numbers = TransportCc(dtls, self._network)
            for section in self.sections:
                self.tap.numbers.number(section.sender)
        express_seam.express(dtls)
        if len(self.sections) > 1:
            media_seam.route_by_mid(dtls)
        aiortc_seam.on_state(dtls.transport, "completed", lambda: self._mark("ice_connected"))
        aiortc_seam.on_state(dtls, "connected", self._dtls_connected)
        for emitter in (dtls, dtls.transport):
            aiortc_seam.on_state(emitter, "failed", self.failed.set)
            for state in ("failed", "closed"):
                aiortc_seam.on_state(emitter, state, lambda: self._end(connection))
        self._handshake = dtls_seam.HandshakeFlights(dtls, lambda: self._dtls_timeout_s(self.tap.round_trip_s))

    def _offering(self) -> AbstractContextManager[None]:
        return negotiation.offering(self._protection, transport_cc=self._transport_cc)

    @contextmanager
    def _taking(self, step: str) -> Iterator[None]:
        """Count the CPU of this block; what others do while it waits is counted with it."""
        begun_s = work_s()
        try:
            yield
        finally:
            self.own_s[step] = self.own_s.get(step, 0.0) + work_s() - begun_s

    def _skip(self) -> None:
        self.unreadable += 1

    def _end(self, connection: object) -> None:
        if connection is self._connection:
            self.ended.set()

    async def _gather(self, offer: RTCSessionDescription) -> list[str]:
        await self._connection.setLocalDescription(offer)
        self._mark("ice_gathered")
        lines = self._local().text.splitlines()
        return [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]

    def _gathered(self) -> None:
        if self._gathering is not None:
            self._gathering.check()
        self._mark("ice_gathered")

    def _section(self, wanted: SoundWanted | PictureWanted) -> Sound | Picture:
        milestone = _FIRST["audio" if isinstance(wanted, SoundWanted) else "video"]

        def first(at_s: float) -> None:
            if milestone in self.timeline.order:
                self.timeline.mark(milestone, at_s)

        if isinstance(wanted, SoundWanted):
            return Sound(wanted, protection=self._protection, network=self._network, first=first)
        return Picture(wanted, network=self._network, first=first)

    def _agree(self) -> None:
        """Do as was agreed on."""
        for section in self.sections:
            section.agree()

    def _dtls_connected(self) -> None:
        self._mark("dtls_connected")
        self.connected.set()

    def _local(self) -> Sdp:
        local = self._connection.localDescription
        return Sdp(kind=local.type, text=local.sdp)

    def _mark(self, milestone: str) -> None:
        self.timeline.mark(milestone, self._network.now_s())

    def _since(self, loop_time_s: float) -> float:
        return loop_time_s - self._network.epoch_s
