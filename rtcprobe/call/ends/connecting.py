"""The connection under an end: descriptions and candidates, ICE and DTLS, and the milestones that they are.

What goes over it is its m-sections' matter (``call.transceiver``), what becomes of that whoever made it.

Theory of operation:
    It is opened once, with all its sections on one transport; then either ``offer`` and ``accept`` are asked, or
    ``answer``. Sections agree when the other side's description was taken. ICE begins with the second description, DTLS
    when ICE is done, media when DTLS is: each a milestone, told by the transports' own states. Candidates may follow
    (``add_candidate``), and until anything is connected all of it may ``start_over`` with an offer of the other side's.
    ``failed`` is set where ICE or DTLS gives up before that; ``ended`` by whatever ends it, then or later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from aiortc import RTCSessionDescription

from rtcprobe.audio.protection import Protection
from rtcprobe.call.channel import Carries
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.transceiver import Transceiver
from rtcprobe.ice import IceServer
from rtcprobe.runtime import aiortc_seam, dtls_seam, express_seam, ice_seam, media_seam, negotiation
from rtcprobe.runtime.network import Host, acting_as
from rtcprobe.runtime.real import taking
from rtcprobe.runtime.transport_cc_seam import TransportCc
from rtcprobe.runtime.wiretap import WireTap
from rtcprobe.timeline import Side, Timeline, Wait, flight_waits

if TYPE_CHECKING:  # of calls to servers, and to agents, alone
    from rtcprobe.call.claims import Claims
    from rtcprobe.runtime.gathering import Gathering

__all__ = ["Connecting"]


class Connecting:
    """One connection of ``side``, on ``host``; a subclass fills ``sections`` and opens it."""

    sections: Sequence[Transceiver]
    """Its m-sections, in the order they stand in its offer."""
    channel: Carries | None = None
    """Its messages, where there are any: the section after those."""
    claims: Claims | None = None
    """What an agent tells of itself, where it is asked to."""

    def __init__(
        self,
        host: Host,
        side: Side,
        *,
        dtls_timeout_s: Callable[[float | None], float],
        protection: Protection,
        milestones: Sequence[str] | None,
        gathering: Gathering | None,
        transport_cc: bool,
    ) -> None:
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
        self._transport_cc = transport_cc
        self._gathering = gathering
        if gathering is not None:
            gathering.tap = self.tap
        self._dtls_timeout_s = dtls_timeout_s
        self.unreadable = 0
        """Packets that came through SRTP and could not be read: dropped."""
        self.own_s: dict[str, float] = {}
        """CPU seconds that our own side of it took: the certificate (before the call begins), offer and answer."""

    async def offer(self) -> Sdp:
        """Gather candidates and return our offer.

        Raises:
            MeasurementError: relayed candidates alone are wanted, and no TURN server gave one.
        """
        with acting_as(self._host), self._offering(), taking(self.own_s, "offer"):
            await self._connection.setLocalDescription(await self._connection.createOffer())
        self._gathered()
        return self._local()

    async def offer_at_once(self) -> tuple[Sdp, asyncio.Future[list[str]]]:
        """Return our offer without candidates, and what gathers them: attributes such as ``"candidate:..."``."""
        with acting_as(self._host), self._offering(), taking(self.own_s, "offer"):
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
            # The agent has sent its candidates by now; those of servers named in the
            # answer (Link headers, RFC 9725 §4.6) are new.
            found = await ice_seam.gather_more(
                self._sender.transport, lambda agent: gathering.gather_from(servers, agent)
            )
        gathering.check()
        return found

    async def answer(self, offer: Sdp) -> Sdp:
        """Take the other side's offer and return our answer; connecting begins."""
        with acting_as(self._host), self._offering():
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.text, offer.kind))
            # Between the two descriptions: what a section may send and take is
            # decided before our answer lets ICE begin.
            self._agree()
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        self._gathered()
        return self._local()

    async def accept(self, answer: Sdp) -> None:
        """Take the other side's answer; connecting begins."""
        with acting_as(self._host), self._offering(), taking(self.own_s, "answer"):
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
        # The new connection is open before the old one closes: the milestones, the tap and the tracks belong to both.
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
        if self.channel is not None:
            self.channel.stop()
        self._handshake.stop()
        if self._gathering is not None:
            await self._gathering.stop()
        await self._connection.close()

    def progress_s(self) -> list[float]:
        """Return when this side's handshake moved on: each new flight, and the end."""
        flights_s = [copies_s[0] for copies_s in self._flights_s()]
        connected_s = self.timeline.marks.get("dtls_connected")
        return sorted(flights_s if connected_s is None else [*flights_s, self.timeline.begun_s + connected_s])

    def waits(self, progress_s: Sequence[float], least_s: float | None) -> list[Wait]:
        """Return this side's STUN and DTLS retransmissions, each as the wait that ended with it.

        ``progress_s`` are the instants at which the other side's handshake moved on: a flight is answered by the first
        of them after it left, ``least_s`` later at the soonest (the fastest way there; None: not known).
        """
        return [*self.tap.waits(), *flight_waits(self.side, self._flights_s(), progress_s, least_s)]

    def _open(self) -> None:
        """Make the connection."""
        gathering = self._gathering
        relay_only = gathering is not None and gathering.settings.policy == "relay"
        connection = self._connection = aiortc_seam.new_peer_connection(relay_only=relay_only)
        for section in self.sections:
            section.open(connection)
        if self.channel is not None:
            self.channel.open(connection)
        if self.claims is not None:
            self.claims.open(connection)
        # All sections share one transport (BUNDLE, RFC 9143), so whatever is
        # asked of the path is asked of the first one's.
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
        self._adapt()
        express_seam.express(dtls)
        # One section gets whatever comes; the mid extension has to be read only where there is a choice.
        if len(self.sections) > 1:
            media_seam.route_by_mid(dtls)
        # aiortc knows no "connected" of ICE before "completed": aioice ends its checks with the pair it nominates.
        aiortc_seam.on_state(dtls.transport, "completed", lambda: self._mark("ice_connected"))
        aiortc_seam.on_state(dtls, "connected", self._dtls_connected)
        for emitter in (dtls, dtls.transport):
            aiortc_seam.on_state(emitter, "failed", self.failed.set)
            # "Closed" while nobody here hung up is the other side's goodbye: DTLS'
            # close_notify, or ICE consent that ran out.
            for state in ("failed", "closed"):
                aiortc_seam.on_state(emitter, state, lambda: self._end(connection))
        self._handshake = dtls_seam.HandshakeFlights(dtls, lambda: self._dtls_timeout_s(self.tap.round_trip_s))

    def _adapt(self) -> None:
        """Let all that is sent leave by the path of the picture that adapts, where one does."""
        path = next((section.path for section in self.sections if section.path is not None), None)
        if path is None:
            return
        path.numbers = self.tap.numbers
        for section in self.sections:
            if section.kind == "audio":
                path.beside(section.sender)

    def _offering(self) -> AbstractContextManager[None]:
        return negotiation.offering(self._protection, transport_cc=self._transport_cc)

    def _skip(self) -> None:
        self.unreadable += 1

    def _end(self, connection: object) -> None:
        # One that was given up by ``start_over`` closes later, and that ends nothing.
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

    def _flights_s(self) -> list[list[float]]:
        """Return when each flight of the handshake left, every copy of it, seconds since the epoch."""
        return [[copy_s - self._network.epoch_s for copy_s in copies_s] for copies_s in self._handshake.sent_s]
