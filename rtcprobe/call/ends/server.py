"""One leg of a forwarding server of ours: its connection to a party, or to another server.

Rules:
    1. It answers with a section for each that it was offered: what a party sends comes in, what others say goes out.
    2. ``nack`` says who sends again: ``answer``, the server from what it has; ``answer+ask``, and it asks whoever
       publishes for what did not come to it; ``none``, nobody: a party's wish for NACK is not agreed to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, get_args

from aiortc import RTCPeerConnection, RTCRtpTransceiver

from rtcprobe.audio.protection import Protection
from rtcprobe.call.courier import Courier
from rtcprobe.call.ends.connecting import Connecting
from rtcprobe.call.ends.showing import PictureInlet, PictureOutlet
from rtcprobe.call.transceiver import Transceiver
from rtcprobe.playout.nack import NackTracker, ResendLimit
from rtcprobe.recording import Agreed
from rtcprobe.runtime import media_seam, negotiation
from rtcprobe.runtime.forwarding import Forwarded, Forwarding
from rtcprobe.runtime.forwarding_seam import Outgoing
from rtcprobe.runtime.network import Host, Network

__all__ = ["NACK", "Inlet", "Nack", "Outlet", "ServerLeg"]

Nack = Literal["answer", "answer+ask", "none"]

NACK: Final[tuple[Nack, ...]] = get_args(Nack)


class Inlet(Transceiver):
    """A section in which a talker's sound comes to the server."""

    kind = "audio"

    def __init__(self, talker: str, plane: Forwarding, *, asks: bool, network: Network) -> None:
        super().__init__("recvonly", None, network, _nothing)
        self.talker, self.asks = talker, asks
        self.agreed: Agreed | None = None
        self.apart_s: Callable[[], float | None] = _unknown
        """The round trip of its leg, as far as it is known."""
        self._plane = plane
        self._nack: NackTracker | None = None

    def agree(self) -> None:
        """Do as was agreed on."""
        self.agreed = negotiation.agree(self.section)
        # A leg that agreed on no NACK asks for nothing, whatever the server does on others (rule 2).
        self._nack = NackTracker() if self.agreed.nack and self.asks else None

    def _listen(self, section: RTCRtpTransceiver) -> None:
        media_seam.take_rtp(section.receiver, self._take)

    def _reported(self, ssrc: int, ntp: int, timestamp: int) -> None:
        super()._reported(ssrc, ntp, timestamp)
        # A sender report maps RTP time to the talker's wall clock: listeners get it
        # with each leg's timestamps (RFC 3550 §6.4.1).
        self._plane.reported(self.talker, ntp, timestamp)

    def _take(self, packet: Any) -> Sequence[int]:
        """Forward a packet; return the sequence numbers to ask for again."""
        assert self.agreed is not None
        self._plane.came(self.talker, packet, self.agreed)
        if self._nack is None:
            return ()
        return self._nack.packet_arrived(packet.sequence_number, packet.timestamp, self.network.now_s(), self.apart_s())


class Outlet(Transceiver):
    """A section in which a talker's sound leaves the server."""

    kind = "audio"

    def __init__(self, talker: str, plane: Forwarding, network: Network, *, always: bool = False) -> None:
        """``always``: whoever else is louder (``Forwarded.always``)."""
        super().__init__("sendonly", None, network, _nothing)
        self.talker, self._always = talker, always
        self.again: list[tuple[float, int, int, int]] = []
        """What was sent again: when (seconds since the epoch), its number, timestamp and size in bytes."""
        self._plane = plane

    def open(self, connection: RTCPeerConnection) -> None:
        """Make the section on ``connection``."""
        super().open(connection)
        self._outgoing = Outgoing(self.sender)
        self.forwarded = Forwarded(out=self._outgoing, always=self._always)
        """What left."""

    @property
    def opened_s(self) -> float | None:
        """When packets could leave first, seconds since the epoch; None before that."""
        opened_s = self._outgoing.opened_s
        return None if opened_s is None else opened_s - self.network.epoch_s

    def agree(self) -> None:
        """Do as was agreed on."""
        agreed = self.forwarded.agreed = negotiation.agree(self.section)
        self._plane.send_on(self.talker, self.forwarded)
        if agreed.nack:
            self._limit = ResendLimit()
            media_seam.limit_resends(self.sender, self._may_resend)

    def close(self) -> None:
        """Send nothing any more."""
        if self.forwarded.agreed is not None:
            self._plane.leave_out(self.talker, self.forwarded)
            self.forwarded.agreed = None

    def _may_resend(self, sequence: int) -> bool:
        """Return whether to send a packet again, and note it if so."""
        now_s, kept = self.network.now_s(), self._outgoing.kept(sequence)
        may = self._limit.may_resend(sequence, now_s, self.round_trip_s)
        # What was asked for too late is no longer in the history, and nothing leaves for it.
        if may and kept is not None:
            self.again.append((now_s, sequence, *kept))
        return may

    def _listen(self, section: RTCRtpTransceiver) -> None:
        """Take nothing: nobody sends there."""


class ServerLeg(Connecting):
    """The server's end of one connection; ``sections`` mirror the other side's."""

    sections: list[Transceiver]
    channel: Courier | None

    def __init__(
        self,
        host: Host,
        name: str,
        sections: Sequence[Transceiver],
        *,
        dtls_timeout_s: Callable[[float | None], float],
        protection: Protection,
        nack: Nack,
        milestones: Sequence[str],
        courier: Courier | None = None,
    ) -> None:
        """Make it; what is written passes by ``courier``, where anything is."""
        super().__init__(
            host,
            name,
            dtls_timeout_s=dtls_timeout_s,
            protection=replace(protection, nack=protection.nack and nack != "none"),
            milestones=milestones,
            gathering=None,
            transport_cc=False,
        )
        self.sections, self.channel = list(sections), courier
        for each in sections:
            if isinstance(each, (Inlet, PictureInlet)):
                each.apart_s = lambda: self.tap.round_trip_s  # by STUN: it need not send anything there
        self._open()

    async def leave(self) -> None:
        """Hang up because the party has: nothing is sent there any more."""
        for each in self.sections:
            if isinstance(each, (Outlet, PictureOutlet)):
                each.close()
        await self.close()


def _unknown() -> None:
    """Return None."""


def _nothing(_at_s: float) -> None:
    """Note nothing."""
