"""What ICE and DTLS make under an end: the connection opened, its milestones, its retransmissions, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rtcprobe.audio.protection import Protection
from rtcprobe.call.channel import Carries
from rtcprobe.call.transceiver import Transceiver
from rtcprobe.runtime import aiortc_seam, dtls_seam, express_seam, ice_seam, media_seam
from rtcprobe.runtime.network import Host
from rtcprobe.runtime.transport_cc_seam import TransportCc
from rtcprobe.runtime.wiretap import WireTap
from rtcprobe.timeline import Side, Timeline, Wait, flight_waits

if TYPE_CHECKING:  # of calls to servers, and to agents, alone
    from rtcprobe.call.claims import Claims
    from rtcprobe.runtime.gathering import Gathering

__all__ = ["Transport"]


class Transport:
    """The path of one connection of ``side``, on ``host``: what goes over it, and what is said about it, comes on top.

    A subclass fills ``sections`` and opens it.
    """

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

    def path(self) -> media_seam.MediaPath:
        """Return what ICE and DTLS agreed on so far."""
        return media_seam.media_path(self._sender)

    @property
    def round_trip_s(self) -> float | None:
        """The round trip RTCP reports say, smoothed; None before the first."""
        return media_seam.round_trip_s(self._sender)

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

    def _skip(self) -> None:
        self.unreadable += 1

    def _end(self, connection: object) -> None:
        # One that was given up by ``start_over`` closes later, and that ends nothing.
        if connection is self._connection:
            self.ended.set()

    def _dtls_connected(self) -> None:
        self._mark("dtls_connected")
        self.connected.set()

    def _mark(self, milestone: str) -> None:
        self.timeline.mark(milestone, self._network.now_s())

    def _flights_s(self) -> list[list[float]]:
        """Return when each flight of the handshake left, every copy of it, seconds since the epoch."""
        return [[copy_s - self._network.epoch_s for copy_s in copies_s] for copies_s in self._handshake.sent_s]
