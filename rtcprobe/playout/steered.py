"""NetEQ whose least delay is changed while it plays, at instants that somebody else sets."""

from __future__ import annotations

import math
from typing import Protocol

from rtcprobe.playout.arrivals import Coming
from rtcprobe.playout.base import Block, RtpPacket, Run
from rtcprobe.playout.neteq import NetEq

__all__ = ["Steered", "Steering"]

# Floating point: what is due with a block comes with it, not a block later.
_ROUNDING = 1e-9


class Steering(Protocol):
    """Who steers: asked to ``act`` before the first block that is due at ``due_s`` or later."""

    @property
    def due_s(self) -> float:
        """When it acts next, seconds; infinity: never again."""
        ...

    def act(self, playout: NetEq) -> None:
        """Do what was due, and set ``due_s`` anew."""
        ...


class Steered:
    """A ``Gliding`` playout: NetEQ, and who steers it."""

    def __init__(self, playout: NetEq, steering: Steering) -> None:
        self._playout, self._steering = playout, steering

    def insert_packet(self, packet: RtpPacket, now_s: float) -> None:
        """Take a packet that arrived at ``now_s``."""
        self._playout.insert_packet(packet, now_s)

    def get_audio(self, now_s: float) -> Block:
        """Return the 10 ms that leave the loudspeaker from ``now_s`` on."""
        self._act(now_s)
        return self._playout.get_audio(now_s)

    def glide(self, coming: Coming, clock: tuple[float, float, int], most: int) -> Run | None:
        """Play up to ``most`` blocks, none of them due when somebody acts, or later."""
        start_s, period_s, index = clock
        self._act(start_s + index * period_s)
        due_s = self._steering.due_s
        if math.isfinite(due_s):
            # Up to the block before the first that is due when somebody acts, so that a glide meets what
            # single ticks would.
            most = min(most, math.ceil((due_s - start_s) / period_s - index - _ROUNDING))
        return self._playout.glide(coming, clock, most)

    def _act(self, now_s: float) -> None:
        while self._steering.due_s <= now_s:
            self._steering.act(self._playout)
