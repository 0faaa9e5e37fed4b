"""What a call asks of an end, whoever made it: that it connects, hangs up, and leaves what was said and what came.

``call.peer.Peer`` is ours. Another (a browser, a native SDK) need not be made of aiortc, nor play nothing by itself:
hearing asks for its recording alone.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from rtcprobe.call.signaling import Sdp
from rtcprobe.recording import Came, Said
from rtcprobe.timeline import Side, Timeline

__all__ = ["End"]


class End(Protocol):
    """One end of one connection."""

    side: Side
    """Whose it is."""
    timeline: Timeline
    """When its join came how far, ``first_packet`` among it."""
    connected: asyncio.Event
    failed: asyncio.Event
    """Set when it gave up."""
    ended: asyncio.Event
    """Set when the path broke, or the other side hung up."""

    @property
    def heard_packet(self) -> asyncio.Event:
        """Set when the first packet of sound came."""
        ...

    def begin(self) -> None:
        """Let its join begin now."""
        ...

    async def offer(self) -> Sdp:
        """Return its offer, candidates and all."""
        ...

    async def answer(self, offer: Sdp) -> Sdp:
        """Take the other side's offer and return its answer; connecting begins."""
        ...

    async def accept(self, answer: Sdp) -> None:
        """Take the other side's answer; connecting begins."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...

    def said(self) -> Said:
        """Return what was said so far."""
        ...

    def came(self, *, forwarded: bool, there_and_back: bool) -> Came:
        """Return what came so far of sound."""
        ...
