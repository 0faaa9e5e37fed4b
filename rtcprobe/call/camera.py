"""A camera in a call: the film it shows, and how it watches what the other side shows (``watching``)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtcprobe.call.camera_track import CameraTrack
from rtcprobe.call.transceiver import Media, PictureWanted
from rtcprobe.call.watching import Watching
from rtcprobe.picture.film import Film, Reel
from rtcprobe.picture.ladder import Ladder
from rtcprobe.picture.settings import SDP_NAMES
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.pacing_seam import PACE_FACTOR

if TYPE_CHECKING:  # an encoder's model and a whole congestion control, which few calls have
    from rtcprobe.call.adaptive import AdaptiveSender

__all__ = ["Camera"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """What one side shows: ``count`` frames of ``film``; and how it watches what the other shows.

    ``policy`` is one of ``playout.frames``; without ``nack`` no packet is asked for again. ``remb``: the other side is
    told how much the line takes. ``control``: what the rate of a ladder follows (``scenario.video``).
    """

    film: Film | Ladder
    count: int
    policy: str = "libwebrtc"
    nack: bool = True
    remb: bool = False
    control: str = "fixed"

    def wanted(
        self,
        network: Network,
        phase: float,
        may_show: asyncio.Event,
        media: Media = "sendrecv",
        before: CameraTrack | None = None,
    ) -> PictureWanted:
        """Return the section of a camera whose grid begins ``phase`` (0 to 1) of a frame into the call.

        ``before`` is what it sent over a connection before this one: it goes on where it is by then.
        """
        # A reel remembers what every frame sent refers back to: whoever watches
        # over the next connection needs it still.
        reel = before.film if before is not None and isinstance(before.film, Reel) else None
        adapts = None
        if isinstance(self.film, Ladder):
            from rtcprobe.call.adaptive import AdaptiveSender  # noqa: PLC0415 - as above

            adapts = AdaptiveSender(self.control, self.film.settings.bitrate_bps, chance=phase, network=network)
            reel = self._followed(reel, self.film, adapts)
        elif reel is None:
            reel = Reel(self.film, self.count)
        track = CameraTrack(reel, phase_s=phase * reel.frame_s, network=network, may_show=may_show, before=before)
        # Of what the encoder was set to: 2.5 times that is what a sender of libwebrtc's with this target would pace at.
        pacing_bps = PACE_FACTOR * self.film.settings.bitrate_bps
        return replace(self.watched(), track=track, media=media, pacing_bps=pacing_bps, adapts=adapts)

    def _followed(self, before: Reel | None, ladder: Ladder, adapts: AdaptiveSender) -> Reel:
        """Return what is shown of a ladder: over another connection it is another sender's."""
        from rtcprobe.call.adaptive import AdaptiveReel  # noqa: PLC0415 - as above

        if isinstance(before, AdaptiveReel):
            before.sender = adapts
            return before
        return AdaptiveReel(ladder, self.count, adapts)

    def watched(self) -> PictureWanted:
        """Return the section of whoever has no camera, and watches this one."""
        codec = self.film.settings.codec
        return PictureWanted(
            track=None,
            media="recvonly",
            codec=SDP_NAMES[codec],
            remb=self.remb,
            watch=lambda feedback, network: Watching(
                self.policy, codec, nack=self.nack, feedback=feedback, network=network
            ),
        )
