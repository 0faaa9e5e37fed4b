"""One m-section of a connection: what one track sends, and what comes of the other side's.

Facts:
    A connection has as many as there are tracks: sound and picture of one party, or a section for each party of a room
    (RFC 8829 §5.2.1). All of them share a transport (BUNDLE, RFC 9143); packets belong to a section by their source.

Rules:
    1. Packets are noted with their arrival and nothing more; of several sources one is listened to (``sources``).
       Others never get into the same ear.
    2. During the call nothing is played. What asks the sender for something looks at packets alone: NACK for sound,
       where that was agreed on (``playout.nack``); for pictures whoever watches (``Watcher``).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtp import RtpPacket as StackRtpPacket

from rtcprobe.audio.protection import Protection
from rtcprobe.audio.red import RedEncoder
from rtcprobe.call.camera_track import CameraTrack
from rtcprobe.call.mouth_track import MouthTrack
from rtcprobe.call.sources import Sources
from rtcprobe.call.track import EncodedTrack
from rtcprobe.playout.arrivals import Arrival, Arrivals
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.nack import NackTracker, ResendLimit
from rtcprobe.recording import Agreed, AgreedVideo, SenderReport, VideoArrival
from rtcprobe.runtime import media_seam, negotiation
from rtcprobe.runtime.adapting_seam import AdaptingPath
from rtcprobe.runtime.aiortc_seam import without_decoder
from rtcprobe.runtime.express_seam import Note
from rtcprobe.runtime.feedback_seam import Feedback, when_key_frame_asked, when_reported
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.pacing_seam import pace

if TYPE_CHECKING:
    from rtcprobe.call.adaptive import AdaptiveSender

__all__ = ["Media", "Picture", "PictureWanted", "Sound", "SoundWanted", "Transceiver", "Watch", "Watcher"]

Media = Literal["sendrecv", "sendonly", "recvonly"]


class Watcher(Protocol):
    """Who watches a picture while it comes, to ask for what is missing."""

    def packet_arrived(self, packet: VideoArrival) -> None:
        """Take a packet, in order of arrival."""
        ...

    def nothing_comes(self) -> None:
        """Take note that no picture was agreed on."""
        ...

    def without_nack(self) -> None:
        """Take note that no packet may be asked for again."""
        ...


Watch = Callable[[Feedback, Network], Watcher]
"""Makes a watcher, who asks by the feedback, on the network's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundWanted:
    """A section of sound: what is said there (None: nothing).

    ``expected`` are the frames that will likely come: those that do are not kept twice.
    """

    track: MouthTrack | None
    media: Media = "sendrecv"
    expected: Sequence[bytes | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureWanted:
    """A section of pictures: what is shown there (None: nothing), in what codec, and who watches what comes.

    ``pacing_bps`` is how fast its packets leave (``runtime.pacing_seam``); None: those of a picture at once. ``remb``:
    whoever shows something is told how much the line takes, where it cannot find that out itself by transport-wide
    feedback. ``adapts`` decides how fast what is shown leaves, and sound beside it; None: as ``pacing_bps`` says.
    """

    track: CameraTrack | None
    media: Media = "sendrecv"
    codec: str = "VP8"
    watch: Watch | None = None
    pacing_bps: float | None = None
    remb: bool = False
    adapts: AdaptiveSender | None = None


class Transceiver(ABC):
    """What sound and picture have in common. ``first_s`` is when the first packet came that was taken."""

    kind: Literal["audio", "video"]
    path: AdaptingPath | None = None
    """By which all leaves, where what is shown adapts to the line."""

    def __init__(
        self, media: Media, track: EncodedTrack | None, network: Network, first: Callable[[float], None]
    ) -> None:
        self.media = media
        self.track = track
        self.reports: list[SenderReport] = []
        """What the other side's senders reported."""
        self.heard_packet = asyncio.Event()
        self.network = network
        self._first = first

    def open(self, connection: RTCPeerConnection) -> None:
        """Make the section on ``connection``."""
        wanted = self.track if self.track is not None and self.media != "recvonly" else self.kind
        with without_decoder():  # nor with what one would be fed through
            self.section = connection.addTransceiver(wanted, direction=self.media)
        sender = self.sender = self.section.sender
        # Three seams under every section, whichever end it is of: frames leave as they were
        # encoded, a round trip of less than nothing is left out, and what the other side's sender
        # reports is kept (it maps RTP time to its clock).
        media_seam.send_encoded(sender)
        media_seam.only_possible_round_trips(sender)
        when_reported(self.section.receiver, self._reported)
        self._listen(self.section)

    @property
    def ssrcs(self) -> tuple[int, int]:
        """What its own track is sent as, and what of it is sent again in RTX."""
        return media_seam.ssrcs(self.sender)

    @property
    def mid(self) -> str | None:
        """The section's name in descriptions; None before there was one."""
        name: str | None = self.section.mid
        return name

    @property
    def round_trip_s(self) -> float | None:
        """The round trip that RTCP reports say, smoothed; None before the first."""
        return media_seam.round_trip_s(self.sender)

    @abstractmethod
    def agree(self) -> None:
        """Do as was agreed on, once the other side's description was taken."""

    @abstractmethod
    def _listen(self, section: RTCRtpTransceiver) -> None:
        """Take what comes."""

    def _reported(self, ssrc: int, ntp: int, timestamp: int) -> None:
        self.reports.append(SenderReport(self.network.now_s(), ntp / 2**32, timestamp, ssrc))

    def _heard(self, at_s: float) -> None:
        if not self.heard_packet.is_set():
            self._first(at_s)
            self.heard_packet.set()


class Sound(Transceiver):
    """A section of sound."""

    kind = "audio"
    track: MouthTrack | None

    def __init__(
        self, wanted: SoundWanted, *, protection: Protection, network: Network, first: Callable[[float], None]
    ) -> None:
        super().__init__(wanted.media, wanted.track, network, first)
        self.arrivals = Arrivals(likely=wanted.expected)
        self.sources = Sources[Arrival]()
        self.agreed: Agreed | None = None
        """What both sides agreed on; None until they have."""
        self._protection = protection
        self._nack: NackTracker | None = None

    def agree(self) -> None:
        """Do as was agreed on."""
        self.agreed = negotiation.agree(self.section)
        # Both sides have to know it and ours has to prefer it: what comes in RED is opened in any case.
        if self.agreed.sends_red and self.track is not None:
            self.track.red = RedEncoder(self._protection.red_copies, self.agreed.opus_payload_type)
        if self.agreed.nack:
            self._nack = NackTracker()
            # aiortc sends again whatever is asked for; two requests within a round trip,
            # for a packet that is under way, cost the line.
            limit = ResendLimit()
            media_seam.limit_resends(
                self.sender,
                lambda sequence: limit.may_resend(sequence, self.network.now_s(), self.round_trip_s),
            )

    def _listen(self, section: RTCRtpTransceiver) -> None:
        media_seam.take_rtp(section.receiver, self._take, notes=self._notes)

    def _notes(self, ssrc: int) -> Note | None:
        """Return what notes the packets of a source, where ``_take`` does nothing more; None where it does."""
        return self.arrivals.add if self._nack is None and ssrc == self.sources.listened else None

    def _take(self, packet: StackRtpPacket) -> Sequence[int]:
        """Note an arrival; return the sequence numbers to ask for again."""
        arrived_s = self.network.now_s()
        # The way of nearly every packet: nothing is made for it that is not kept.
        if packet.ssrc == self.sources.listened:
            self.arrivals.add(arrived_s, packet.sequence_number, packet.timestamp, packet.payload, packet.payload_type)
        elif not self._turn_to(packet, arrived_s):
            return ()
        if self._nack is None:
            return ()
        return self._nack.packet_arrived(packet.sequence_number, packet.timestamp, arrived_s, self.round_trip_s)

    def _turn_to(self, packet: StackRtpPacket, arrived_s: float) -> bool:
        """Ask whether the source of ``packet`` is to be listened to; return whether it is, from now on."""
        came = RtpPacket(
            sequence=packet.sequence_number,
            timestamp=packet.timestamp,
            payload=packet.payload,
            payload_type=packet.payload_type,
        )
        heard = self.sources.take(packet.ssrc, (arrived_s, came))
        self.arrivals.extend(heard)
        if heard:
            self._heard(heard[0][0])
        return bool(heard)


class Picture(Transceiver):
    """A section of pictures."""

    kind = "video"
    track: CameraTrack | None

    def __init__(self, wanted: PictureWanted, *, network: Network, first: Callable[[float], None]) -> None:
        super().__init__(wanted.media, wanted.track, network, first)
        self.arrivals: list[VideoArrival] = []
        self.agreed: AgreedVideo | None = None
        """What both sides agreed on; None until they have, and where they agreed on no picture."""
        self.sources = Sources[VideoArrival]()
        self._wanted = wanted
        self.watcher: Watcher | None = None
        """Who watches it; None before it is opened, and where nobody does."""

    def agree(self) -> None:
        """Do as was agreed on."""
        self.agreed = negotiation.agree_video(self.section)
        if self.agreed is None and self.watcher is not None:
            self.watcher.nothing_comes()
        # A receiver that may not ask goes by key frames alone: asking in vain would hold pictures back.
        elif self.agreed is not None and not self.agreed.nack and self.watcher is not None:
            self.watcher.without_nack()

    @property
    def adapts(self) -> AdaptiveSender | None:
        """Who decides how fast it is sent; None: nobody."""
        return self._wanted.adapts

    @property
    def codec(self) -> str:
        """Its codec, as descriptions name it."""
        return self._wanted.codec

    def open(self, connection: RTCPeerConnection) -> None:
        """Make the section on ``connection``."""
        super().open(connection)
        # Before an offer is made, and for answers too: aiortc lists VP8, H.264
        # and their RTX, and sends the first agreed on.
        negotiation.prefer(self.section, self._wanted.codec)
        if self.track is not None:
            when_key_frame_asked(self.sender, self.track.key_frame_asked)
            if self._wanted.adapts is not None:
                self.path = AdaptingPath(self.sender, self._wanted.adapts)
                self._wanted.adapts.over(self.path)
            elif self._wanted.pacing_bps is not None:
                pace(self.sender, self._wanted.pacing_bps)

    def _listen(self, section: RTCRtpTransceiver) -> None:
        media_seam.take_rtp(section.receiver, self._take, resent=self._take_again, estimates=self._estimates)
        # A party that only shows has nothing to look at.
        if self._wanted.watch is not None and self.media != "sendonly":
            self.watcher = self._wanted.watch(Feedback(section.receiver), self.network)

    def _estimates(self) -> bool:
        """Whether the sender is told by REMB: where it asked for that, and knows nothing better (``tap.numbers``)."""
        return self._wanted.remb and self.agreed is not None and self.agreed.tells == "goog-remb"

    def _take(self, packet: StackRtpPacket, *, resent: bool = False) -> Sequence[int]:
        """Note an arrival; whoever watches asks for what is missing, so return nothing."""
        extensions = packet.extensions
        came = VideoArrival(
            at_s=self.network.now_s(),
            ssrc=packet.ssrc,
            sequence=packet.sequence_number,
            timestamp=packet.timestamp,
            marker=bool(packet.marker),
            payload=packet.payload,
            payload_type=packet.payload_type,
            resent=resent,
            abs_send_time=extensions.abs_send_time,
            transport_sequence=extensions.transport_sequence_number,
        )
        seen = self.sources.take(packet.ssrc, came)
        self.arrivals.extend(seen)
        if seen:
            self._heard(seen[0].at_s)
        if self.watcher is not None:
            for each in seen:
                self.watcher.packet_arrived(each)
        return ()

    def _take_again(self, packet: StackRtpPacket) -> Sequence[int]:
        return self._take(packet, resent=True)
