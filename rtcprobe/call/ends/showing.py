"""Sections of pictures at a forwarding server of ours (``ends.server``): a talker's comes in, leaves for each viewer.

Rules:
    1. ``nack`` is that of sound: ``answer``, the server sends again what it has; ``answer+ask``, and it asks whoever
       publishes for what did not come to it; ``none``, nobody: NACK is not agreed to.
    2. What a server asks for, it asks for at once, and again a round trip later, ten times at most (what libwebrtc did
       until it went to a hundred): it looks when a packet comes, 20 ms apart at least.
    3. A key frame that a viewer asks for is asked of the talker (``runtime.picture_forwarding``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiortc import RTCPeerConnection, RTCRtpTransceiver

from rtcprobe.call.transceiver import Transceiver
from rtcprobe.picture.payload import payload_format
from rtcprobe.picture.settings import SDP_NAMES, VideoCodec
from rtcprobe.playout.frames.nack import NACK_PERIOD_US, NackRequester
from rtcprobe.playout.nack import ResendLimit
from rtcprobe.recording import AgreedVideo
from rtcprobe.runtime import media_seam, negotiation
from rtcprobe.runtime.feedback_seam import Feedback, when_key_frame_asked
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.picture_forwarding import ForwardedPicture, PicturePlane
from rtcprobe.runtime.picture_outgoing_seam import OutgoingPicture

__all__ = ["PictureInlet", "PictureOutlet"]

_US: Final = 1_000_000  # of a second: what the receiver counts in (``playout.frames``)
# ``kMaxNackRetries`` of libwebrtc's ``modules/video_coding/nack_requester.cc`` before it was raised to 100.
_MOST_TRIES: Final = 10


class _AtServer(Transceiver):
    """A section of one talker's pictures, in one codec; ``nack``: whether any is agreed to."""

    kind = "video"

    def __init__(self, talker: str, plane: PicturePlane, network: Network, codec: VideoCodec, *, nack: bool) -> None:
        super().__init__("sendonly" if isinstance(self, PictureOutlet) else "recvonly", None, network, _nothing)
        self.talker, self._plane, self._codec, self._nacks = talker, plane, codec, nack

    def open(self, connection: RTCPeerConnection) -> None:
        """Make the section on ``connection``."""
        super().open(connection)
        negotiation.prefer(self.section, SDP_NAMES[self._codec])

    def _agreed(self) -> AgreedVideo | None:
        if not self._nacks:
            negotiation.refuse_nack(self.section)
        return negotiation.agree_video(self.section)


class PictureInlet(_AtServer):
    """A section in which a talker's picture comes to the server; ``asks``: whether it asks for what is missing."""

    def __init__(
        self, talker: str, plane: PicturePlane, network: Network, codec: VideoCodec, *, nack: bool, asks: bool
    ) -> None:
        super().__init__(talker, plane, network, codec, nack=nack)
        self.asks = asks
        self.apart_s: Callable[[], float | None] = _unknown
        """The round trip of its leg, as far as it is known."""
        self._format = payload_format(codec)
        self._missing: NackRequester | None = None
        self._looked_us = -math.inf
        self._source: int | None = None

    def agree(self) -> None:
        """Do as was agreed on."""
        agreed = self._agreed()
        if agreed is not None and agreed.nack and self.asks:
            self._missing = NackRequester(most_tries=_MOST_TRIES)

    def _listen(self, section: RTCRtpTransceiver) -> None:
        media_seam.take_rtp(section.receiver, self._take, resent=self._take_again)
        self._feedback = Feedback(section.receiver)

    def _reported(self, ssrc: int, ntp: int, timestamp: int) -> None:
        super()._reported(ssrc, ntp, timestamp)
        self._plane.reported(self.talker, ntp, timestamp)

    def _take(self, packet: Any) -> Sequence[int]:
        """Forward a packet; return the sequence numbers to ask for again."""
        # Asking for a key frame takes the talker's SSRC (RFC 4585 §6.3: media
        # source), so it can be asked only once one came.
        if self._source is None:
            self._source = packet.ssrc
            self._plane.asks[self.talker] = lambda: self._feedback.ask_key_frame(packet.ssrc)
        self._pass_on(packet)
        if self._missing is None:
            return ()
        return self._wanted(packet.sequence_number)

    def _take_again(self, packet: Any) -> Sequence[int]:
        if self._missing is not None:
            # Under its first number, which RTX carries (RFC 4588 §4): it is missing
            # no longer, and is asked for no more.
            self._missing.arrived(packet.sequence_number, self._now_us())
        self._pass_on(packet)
        return ()

    def _pass_on(self, packet: Any) -> None:
        opens = self._format.opens_key_frame(packet.payload)
        self._plane.came(self.talker, packet, opens_key_frame=opens)

    def _wanted(self, sequence: int) -> list[int]:
        """Return what is missing, now that a packet came (rule 2)."""
        assert self._missing is not None
        now_us, apart_s = self._now_us(), self.apart_s()
        if apart_s is not None:
            self._missing.rtt_us = round(apart_s * _US)
        _, fresh = self._missing.arrived(sequence, now_us)
        if now_us - self._looked_us < NACK_PERIOD_US:
            # What is newly missing is asked for at once; what was asked for before is
            # looked at each 20 ms, as libwebrtc's timer does.
            return fresh
        self._looked_us = now_us
        late = [each for each in self._missing.due(now_us) if each not in fresh] if self._missing.waiting else []
        return [*late, *fresh]

    def _now_us(self) -> int:
        return round(self.network.now_s() * _US)


class PictureOutlet(_AtServer):
    """A section in which a talker's picture leaves the server."""

    def __init__(
        self,
        talker: str,
        plane: PicturePlane,
        network: Network,
        codec: VideoCodec,
        *,
        nack: bool,
        always: bool = False,
    ) -> None:
        """``always``: whoever else is louder (``Onward.always``)."""
        super().__init__(talker, plane, network, codec, nack=nack)
        self._always = always

    def open(self, connection: RTCPeerConnection) -> None:
        """Make the section on ``connection``."""
        super().open(connection)
        outgoing = self._outgoing = OutgoingPicture(self.sender)
        outgoing.when_open = lambda: self._plane.ask(self.talker)
        when_key_frame_asked(self.sender, lambda: self._plane.ask(self.talker))
        self.forwarded = ForwardedPicture(out=outgoing, always=self._always)
        """What left."""

    def agree(self) -> None:
        """Do as was agreed on."""
        agreed = self.forwarded.agreed = self._agreed()
        if agreed is None:
            return
        self._plane.show(self.talker, self.forwarded)
        if agreed.nack:
            limit = ResendLimit()
            self._outgoing.may_resend = lambda sequence: limit.may_resend(
                sequence, self.network.now_s(), self.round_trip_s
            )

    def close(self) -> None:
        """Send nothing any more."""
        if self.forwarded.agreed is not None:
            self._plane.leave_out(self.talker, self.forwarded)
            self.forwarded.agreed = None

    def _listen(self, section: RTCRtpTransceiver) -> None:
        """Take nothing: nobody sends there."""


def _unknown() -> None:
    """Return None."""


def _nothing(_at_s: float) -> None:
    """Note nothing."""
