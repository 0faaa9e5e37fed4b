"""What every video receiver has in common: packets in, frames out, and what it asks the sender for.

Rules:
    1. Time is an argument, whole µs: packets come with their instants in time order, ``advance`` does all that is due
       by an instant, ``next_us`` says when something will be.
    2. A receiver never raises on what a network can do to a packet: it counts it and goes on.
    3. Nothing is decoded here: how long that takes is a stated constant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from rtcprobe.playout.frames.assembly import Assembler, Frame, VideoPacket
from rtcprobe.playout.frames.figures import Counters
from rtcprobe.playout.frames.micros import MS, to_ms
from rtcprobe.playout.frames.nack import NACK_PERIOD_US, NackRequester

__all__ = ["DECODE_US", "FrameReceiver", "Request", "Shown"]

DECODE_US: Final = 700
"""Decoding a 640x480 picture on a PC: 0.6 (VP8) and 0.45 ms (H.264) by libvpx and FFmpeg, 0.7 in libwebrtc's count."""


class Shown(NamedTuple):
    """A frame handed to the screen at ``at_us``, decoded at ``decoded_us``, released to be decoded at ``released_us``.

    ``damaged``: what it needs was missing, and the receiver showed it all the same.
    """

    frame: Frame
    released_us: int
    decoded_us: int
    at_us: int
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the receiver asks for: packets by their 16-bit numbers (``nack``), or a key frame (``pli``), and why."""

    kind: Literal["nack", "pli"]
    at_us: int
    sequences: tuple[int, ...] = ()
    why: str = ""


class FrameReceiver(ABC):
    """A video receiver of one stream, made at ``start_us``.

    ``requests``, ``decoded`` and ``shown`` grow; take from them at will. Not all that is decoded is shown.
    """

    def __init__(self, *, start_us: int, nack: bool) -> None:
        self.counters = Counters()
        self.shown: list[Shown] = []
        self.decoded: list[Frame] = []
        self.requests: list[Request] = []
        self._nack = NackRequester() if nack else None
        self._nack_due_us = start_us + NACK_PERIOD_US
        self._assembler = Assembler()

    def insert_packet(self, packet: VideoPacket, now_us: int) -> None:
        """Take a packet that arrived at ``now_us``, after whatever was due before it."""
        # What was due before the packet happens without it; so who looks in between changes nothing.
        self.advance(now_us)
        self.counters.packet(packet.size_bytes, now_us)
        nack, assembler, asked = self._nack, self._assembler, 0
        if nack is not None:
            overflown = nack.overflown
            asked, missing = nack.arrived(packet.sequence, now_us)
            self._ask(missing, now_us)
            if nack.overflown > overflown:
                self._ask_key_frame(now_us, "too much was missing")
        cleared = assembler.cleared
        frames = assembler.insert(packet, now_us, resent=asked > 0)
        if assembler.cleared > cleared:
            self._ask_key_frame(now_us, "the packet buffer was full")
        self._arrived(packet, now_us)
        for frame in frames:
            self.counters.complete(frame)
            self._complete(frame, now_us)

    def advance(self, now_us: int) -> None:
        """Do all that is due by ``now_us``."""
        while (due_us := self.next_us()) is not None and due_us <= now_us:
            # Of one instant the NACK goes first: a frame that is released then clears the list.
            if due_us == self._nack_due_us and self._nack is not None and self._nack.waiting:
                self._ask(self._nack.due(due_us), due_us)
                self._nack_due_us += NACK_PERIOD_US
            else:
                self._run(due_us)
        # Ticks at which nothing is missing need no work.
        if now_us >= self._nack_due_us:
            self._nack_due_us += (now_us - self._nack_due_us) // NACK_PERIOD_US * NACK_PERIOD_US + NACK_PERIOD_US

    def next_us(self) -> int | None:
        """Return when something is due next; None while only packets can change anything."""
        due_us = self._due_us()
        if self._nack is None or not self._nack.waiting:
            return due_us
        return self._nack_due_us if due_us is None else min(due_us, self._nack_due_us)

    def asks_us(self) -> int | None:
        """Return when it may ask for something next, at the soonest; None while only packets can make it.

        Whoever is after ``requests`` alone need not ``advance`` before that.
        """
        return self._nack_due_us if self._nack is not None and self._nack.waiting else None

    def round_trip(self, rtt_us: int) -> None:
        """Take a round trip that RTCP measured: in whole ms (``RtcpRttStats::OnRttUpdate``), so no tick is missed."""
        if self._nack is not None:
            self._nack.rtt_us = to_ms(rtt_us) * MS

    def wish(self, least_us: int, most_us: int | None = None) -> None:  # noqa: B027 - some have no delay to set
        """Take a least (and a most) playout delay, of synchronization or of the application."""

    @abstractmethod
    def _complete(self, frame: Frame, now_us: int) -> None:
        """Take a whole frame."""

    @abstractmethod
    def _due_us(self) -> int | None:
        """Return when ``_run`` has something to do."""

    @abstractmethod
    def _run(self, now_us: int) -> None:
        """Do what is due at ``now_us``."""

    def _arrived(self, packet: VideoPacket, now_us: int) -> None:  # noqa: B027 - a hook, not all need it
        """Take note of a packet, before the frames it completes."""

    def _ask(self, sequences: list[int], now_us: int) -> None:
        if sequences:
            self.counters.nacks += 1
            self.requests.append(Request(kind="nack", at_us=now_us, sequences=tuple(sequences)))

    def _ask_key_frame(self, now_us: int, why: str) -> None:
        self.counters.plis += 1
        self.requests.append(Request(kind="pli", at_us=now_us, why=why))

    def _decode(self, frame: Frame, now_us: int, decode_us: int) -> None:
        self.decoded.append(frame)
        self.counters.frame_decoded(frame, now_us, decode_us)

    def _show(self, shown: Shown) -> None:
        self.shown.append(shown)
        self.counters.frame_shown(shown.at_us)
