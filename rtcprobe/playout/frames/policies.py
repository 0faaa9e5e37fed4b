"""Video receivers by name.

``libwebrtc`` is a native application (its threads, its smoothing), ``chromium`` a browser's track (its metronome, no
smoothing; a ``<video>`` shows it 17 to 47 ms after the last packet on a clean link, by compositor and display),
``aiortc`` what stock aiortc does, ``asap`` what no receiver could do sooner.
"""

from __future__ import annotations

from typing import Final

from rtcprobe.errors import BadInputError
from rtcprobe.playout.frames.base import DECODE_US, FrameReceiver
from rtcprobe.playout.frames.libwebrtc import LibwebrtcReceiver
from rtcprobe.playout.frames.micros import SECOND
from rtcprobe.playout.frames.names import POLICIES
from rtcprobe.playout.frames.simple import AsSoonAsPossible, StockAiortc
from rtcprobe.playout.frames.timers import Metronome, MillisecondTimer

__all__ = ["make_receiver"]

_CHROMIUM_NETWORK_US: Final = 500
"""From the socket, which another process reads, to the thread of WebRTC: 0.36, 0.47, 0.74 ms (p1, p50, p99) of 156."""


def make_receiver(
    policy: str = "libwebrtc",
    *,
    start_us: int = 0,
    decode_us: int = DECODE_US,
    phase_us: int = 0,
    playout_us: tuple[int, int] = (0, 10 * SECOND),
    nack: bool = True,
) -> FrameReceiver:
    """Return a fresh receiver of one stream, made at ``start_us``.

    ``phase_us``: of Chromium's metronome. ``playout_us``: least and most delay asked for. ``nack``: whether it was
    negotiated. aiortc has none of the three but its own NACK.

    Raises:
        BadInputError: a policy that does not exist.
    """
    if policy == "libwebrtc":
        return LibwebrtcReceiver(
            MillisecondTimer(), smooth=True, start_us=start_us, decode_us=decode_us, playout_us=playout_us, nack=nack
        )
    if policy == "chromium":
        return LibwebrtcReceiver(
            Metronome(phase_us),
            smooth=False,
            network_us=_CHROMIUM_NETWORK_US,
            start_us=start_us,
            decode_us=decode_us,
            playout_us=playout_us,
            nack=nack,
        )
    if policy == "aiortc":
        return StockAiortc(start_us=start_us, decode_us=decode_us)
    if policy == "asap":
        return AsSoonAsPossible(start_us=start_us, decode_us=decode_us, nack=nack)
    raise BadInputError(f"video playout {policy!r} is not known", f"use {', '.join(POLICIES)}")
