"""The connection under an end: descriptions and candidates, over what ICE and DTLS make of them (``transport``).

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
from collections.abc import Sequence
from contextlib import AbstractContextManager

from aiortc import RTCSessionDescription

from rtcprobe.call.ends.transport import Transport
from rtcprobe.call.signaling import Sdp
from rtcprobe.ice import IceServer
from rtcprobe.runtime import aiortc_seam, ice_seam, negotiation
from rtcprobe.runtime.network import acting_as
from rtcprobe.runtime.real import taking

__all__ = ["Connecting"]


class Connecting(Transport):
    """One connection of ``side``, on ``host``: a path, agreed on by descriptions and candidates."""

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

    async def close(self) -> None:
        """Hang up."""
        if self.channel is not None:
            self.channel.stop()
        self._handshake.stop()
        if self._gathering is not None:
            await self._gathering.stop()
        await self._connection.close()

    def _offering(self) -> AbstractContextManager[None]:
        return negotiation.offering(self._protection, transport_cc=self._transport_cc)

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

    def _local(self) -> Sdp:
        local = self._connection.localDescription
        return Sdp(kind=local.type, text=local.sdp)
