"""Our end of a call with a page: nothing stands between, and what it shows and sees is told as a page tells its own.

Facts:
    A browser encodes what it films during the call, so what comes of it is known by nothing but the number in the
    picture and its RTP time. Our camera's pictures were encoded before; what a browser shows of them it tells alike.

Rule: both ways are accounted for as between two browsers (``hearing.glimpses``): each frame is known twice.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np

from rtcprobe.call.camera import Camera
from rtcprobe.call.peer import Peer
from rtcprobe.call.transceiver import PictureWanted, Sound
from rtcprobe.call.watching import came_video
from rtcprobe.hearing.looking import look
from rtcprobe.picture.film import Reel
from rtcprobe.picture.settings import VideoCodec
from rtcprobe.recording import Came, Filmed, Looked

__all__ = ["PagePeer", "PeerPictures", "picture_wanted"]


def picture_wanted(ours: Camera | None, theirs: Camera | None, **grid: Any) -> PictureWanted | None:
    """Return the section of pictures of a peer by its own camera and the page's; None where neither has one.

    ``grid`` is what ``Camera.wanted`` asks for. A page adapts to the line: it is told how much that takes.
    """
    if ours is not None:
        return replace(ours, remb=True).wanted(media="sendonly" if theirs is None else "sendrecv", **grid)
    return None if theirs is None else replace(theirs, remb=True).watched()


class PagePeer(Peer):
    """One connection to a page. ``watches`` is by which receiver, and whether it asks for packets again."""

    watches: tuple[str, bool] = ("libwebrtc", True)

    def came(self, *, forwarded: bool, there_and_back: bool, section: Sound | None = None) -> Came:
        """Return what came so far of sound: from the page itself."""
        del forwarded, there_and_back
        return super().came(forwarded=False, there_and_back=False, section=section)

    @property
    def sights(self) -> PeerPictures:
        """What it showed and saw."""
        return PeerPictures(self)


class PeerPictures:
    """What a peer of ours showed and saw, as ``ends.browser.filming`` tells it of a page."""

    def __init__(self, peer: PagePeer) -> None:
        self._peer = peer
        self.policy, self._nack = peer.watches

    def filmed(self) -> Filmed | None:
        """Return what it showed; None where it has no camera, or has not begun."""
        picture = next(iter(self._peer.pictures), None)
        track = None if picture is None else picture.track
        if picture is None or track is None or track.started_s is None or not isinstance(track.film, Reel):
            return None
        settings, sound = track.film.film.settings, self._peer.sound.track
        numbers = np.array(sorted(track.film.places), dtype=np.int64)
        return Filmed(
            numbers=numbers,
            # On the camera's grid, as captured: when a frame left is told by its departures.
            at_s=track.started_s + numbers.astype(np.float64) * track.frame_s,
            departures=self._peer.tap.departures(*picture.ssrcs),
            fps=settings.fps,
            size=settings.size,
            # What is shown while nobody speaks is not asked for, as of a page (``ends.browser.filming``).
            since_s=-math.inf if sound is None or sound.started_s is None else sound.started_s,
            until_s=math.inf,
            encodes=False,
        )

    def looked(self) -> Looked:
        """Return what it saw of the page's picture."""
        came = came_video(self._peer, forwarded=False)
        if came is None or came.agreed is None:
            return Looked(glimpses=(), arrivals=())
        codec = cast("VideoCodec", came.agreed.codec.lower())
        return look(came, self.policy, codec, nack=self._nack and came.agreed.nack)

    def meets(self, other: object) -> bool:
        """Return that nothing stands between."""
        del other
        return True
