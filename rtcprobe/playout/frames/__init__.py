"""A video receiver, pure: packets and their instants in, frames and the instants they are shown out.

Read in this order: ``micros`` (how libwebrtc rounds), ``assembly`` (packets to frames), ``nack`` and ``buffer``,
``jitter`` with ``rtt``, ``extrapolator``, ``timing``; ``timers`` and ``smoothing`` (what differs between native
applications and Chromium), ``libwebrtc`` (all of it at work), ``simple`` (as soon as possible; stock aiortc),
``figures`` (freezes, W3C names), ``policies`` (receivers by name), ``sync`` (lips and voice).

Against recorded receivers: ``benchmarks/video_truth.py``.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported

if TYPE_CHECKING:
    from rtcprobe.playout.frames.assembly import Frame, VideoPacket
    from rtcprobe.playout.frames.base import FrameReceiver, Request, Shown
    from rtcprobe.playout.frames.figures import Counters, Freezes
    from rtcprobe.playout.frames.libwebrtc import LibwebrtcReceiver
    from rtcprobe.playout.frames.names import POLICIES
    from rtcprobe.playout.frames.policies import make_receiver
    from rtcprobe.playout.frames.sync import CaptureClock, Minimums, Synchronization, relative_delay_ms

__all__ = [
    "POLICIES",
    "CaptureClock",
    "Counters",
    "Frame",
    "FrameReceiver",
    "Freezes",
    "LibwebrtcReceiver",
    "Minimums",
    "Request",
    "Shown",
    "Synchronization",
    "VideoPacket",
    "make_receiver",
    "relative_delay_ms",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "assembly": ("Frame", "VideoPacket"),
            "base": ("FrameReceiver", "Request", "Shown"),
            "figures": ("Counters", "Freezes"),
            "libwebrtc": ("LibwebrtcReceiver",),
            "names": ("POLICIES",),
            "policies": ("make_receiver",),
            "sync": ("CaptureClock", "Minimums", "Synchronization", "relative_delay_ms"),
        },
    )
