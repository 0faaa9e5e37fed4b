"""Pictures on their way through a forwarding server: as sound (``forwarding``), each stream from a key frame on.

Facts:
    Nothing of a picture can be decoded before a key frame. Who begins to watch asks for one (PLI, RFC 4585 §6.3.1; FIR,
    RFC 5104 §4.3.1), and what a camera makes for one viewer comes to all: servers bound how often they ask.
    LiveKit asks a camera of one layer once in 500 ms (``pli_throttle.low_quality`` in ``pkg/config/config.go``); what
    comes sooner it drops. mediasoup and LiveKit send a viewer nothing before a key frame, and ask for one themselves.

Rules:
    1. Nothing leaves for a viewer before a key frame: not when it comes, not after it was left out (last N), not when
       the talker comes back over another connection. The server asks for one when the viewer's section opens, and again
       with every packet that it leaves out, so that an asking that was lost is made good.
    2. A talker is asked once in ``throttle_s`` at most, by whomever; what comes sooner is dropped: who still waits asks
       again. Between servers each bounds its own.
    3. A packet that is older than the key frame with which a viewer began does not leave for it.
    4. Numbers and timestamps follow on what left last, as those of sound do. Packets leave at the instant they came:
       the publisher has paced them.
    5. Pictures of talkers who are not among the loudest are left out with their sound (last N).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.recording import AgreedVideo
from rtcprobe.runtime.forwarding import Onward

__all__ = ["PICTURE_THROTTLE_S", "ForwardedPicture", "PicturePlane", "Showing"]

PICTURE_THROTTLE_S: Final = 0.500
"""Source: LiveKit, see above."""

_HALF, _CYCLE = 1 << 15, 1 << 32
_REACH: Final = 1000
"""Packets after a key frame, from which on what is older than it is not looked for: ten minutes later numbers wrap."""


@dataclass(slots=True, kw_only=True, eq=False)
class Showing:
    """From which frame of ``source`` on, by its timestamp as it came, a viewer was sent everything, and until which.

    ``until`` is the last frame that was sent whole before it was left out; None: it never was. What is added to numbers
    and timestamps stays as long.
    """

    source: int
    first: int
    sequence_shift: int
    timestamp_shift: int
    until: int | None = None

    def shown_as(self, source: int, sequence: int, timestamp: int) -> tuple[int, int] | None:
        """Return number and timestamp of a packet as the viewer was to have it; None of one not meant for it."""
        # The half of the clock's cycle behind the first frame is what came before it: 6.6 hours of 90 kHz.
        if source != self.source or (timestamp - self.first) % _CYCLE >= _CYCLE >> 1:
            return None
        if self.until is not None and (self.until - timestamp) % _CYCLE >= _CYCLE >> 1:
            return None
        return (sequence + self.sequence_shift) & 0xFFFF, (timestamp + self.timestamp_shift) % _CYCLE


@dataclass(slots=True, kw_only=True, eq=False)
class ForwardedPicture(Onward[AgreedVideo]):
    """One talker's picture on its way to one viewer, or to another server."""

    clock_hz: int = VIDEO_HZ
    waits: bool = True
    """Whether it is sent nothing before a key frame (rule 1)."""
    showings: list[Showing] = field(default_factory=list)
    """What it was sent, in order."""
    _began: tuple[int, int] | None = None
    """The number of the key frame's first packet, as it came, and how many were sent before it."""
    _whole: int | None = None
    """The timestamp, as it came, of the newest frame that was sent to its end."""

    @property
    def awaits_key_frame(self) -> bool:
        """Whether there is somebody to send pictures to, and none was sent yet, for want of a key frame."""
        return self.waits and self.agreed is not None and not self.paused and self.out.open

    def pause(self) -> None:
        """Leave out what comes from now on."""
        if not self.paused and not self.always:
            # What follows a gap refers to what was left out, so the next it is sent is a key frame (rule 1).
            self.paused = self._resumes = self.waits = True
            self._end()

    def forward(self, packet: Any, now_s: float, *, opens_key_frame: bool) -> None:
        """Let a packet leave that came at ``now_s``; ``opens_key_frame``: a key frame begins with it."""
        if self.agreed is None or self.paused or not self.out.open:
            return
        # Another connection of the talker's has frames of its own: what was under way of the old one ends
        # here.
        if packet.ssrc != self.source and not self.waits:
            self.waits = True
            self._end()
        if self.waits:
            if not opens_key_frame:
                return
            self._begin(packet, now_s)
        elif self._is_before(packet.sequence_number):
            return
        sequence, timestamp = self._numbered(packet)
        if self.out.send((self.agreed.payload_type, packet.marker), sequence, timestamp, packet.payload, None):
            self._count(sequence, timestamp, now_s)
            # The marker stands on the last packet of a frame (RFC 7741, section 4.1; RFC 6184, section 5.1).
            if packet.marker:
                self._whole = packet.timestamp

    def shown_as(self, source: int, sequence: int, timestamp: int) -> tuple[int, int] | None:
        """Return number and timestamp of a packet as the viewer was to have it; None of one not meant for it."""
        found = (each.shown_as(source, sequence, timestamp) for each in reversed(self.showings))
        return next((each for each in found if each is not None), None)

    def _begin(self, packet: Any, now_s: float) -> None:
        self.waits, self._whole = False, None
        self._began = packet.sequence_number, self.count
        self._follow(packet, now_s)
        self.showings.append(
            Showing(
                source=packet.ssrc,
                first=packet.timestamp,
                sequence_shift=self._sequence_shift,
                timestamp_shift=self._timestamp_shift,
            )
        )

    def _end(self) -> None:
        if not self.showings or self.showings[-1].until is not None:
            return
        if self._whole is None:
            self.showings.pop()  # of its key frame no more than a part was sent
        else:
            self.showings[-1].until = self._whole

    def _is_before(self, sequence: int) -> bool:
        """Return whether a packet came before the key frame with which the viewer began (rule 3)."""
        if self._began is None:
            return False
        # From here on a number half the circle away is a new one that has wrapped.
        if self.count - self._began[1] > _REACH:
            self._began = None
            return False
        return (sequence - self._began[0]) & 0xFFFF >= _HALF


@dataclass(slots=True, kw_only=True, eq=False)
class PicturePlane:
    """Who is shown whom, at one server; ``now_s`` is its clock, ``throttle_s`` how often a talker is asked."""

    now_s: Callable[[], float]
    throttle_s: float = PICTURE_THROTTLE_S
    to: dict[str, list[ForwardedPicture]] = field(default_factory=dict)
    """By talker, everybody who is sent what it shows."""
    asks: dict[str, Callable[[], None]] = field(default_factory=dict)
    """How each talker is asked for a key frame, once something of it has come."""
    asked_s: dict[str, list[float]] = field(default_factory=dict)
    """When each was."""

    def show(self, talker: str, forwarded: ForwardedPicture) -> None:
        """Let what comes of ``talker`` leave there too from now on."""
        self.to.setdefault(talker, []).append(forwarded)

    def leave_out(self, talker: str, forwarded: ForwardedPicture) -> None:
        """Let nothing of ``talker`` leave there any more."""
        if forwarded in self.to.get(talker, ()):
            self.to[talker].remove(forwarded)

    def came(self, talker: str, packet: Any, *, opens_key_frame: bool) -> None:
        """Take a packet of ``talker``'s, under the names aiortc has for what it says."""
        now_s, waiting = self.now_s(), False
        for each in self.to.get(talker, ()):
            each.forward(packet, now_s, opens_key_frame=opens_key_frame)
            # Looked at behind the packet: who was waiting for it waits no more.
            waiting = waiting or each.awaits_key_frame
        if waiting:
            self.ask(talker)

    def ask(self, talker: str) -> None:
        """Ask ``talker`` for a key frame, unless it was asked a moment ago (rule 2), or has shown nothing yet."""
        ask, asked_s, now_s = self.asks.get(talker), self.asked_s.setdefault(talker, []), self.now_s()
        if ask is None or now_s - (asked_s[-1] if asked_s else -math.inf) < self.throttle_s:
            return
        asked_s.append(now_s)
        ask()

    def choose(self, loudest: Collection[str]) -> None:
        """Leave out whoever is not among the loudest (rule 5)."""
        for talker, forwarded in self.to.items():
            for each in forwarded:
                if talker in loudest:
                    each.resume()
                else:
                    each.pause()
            # At once; its next packet would ask as well (``came``), but later.
            if any(each.awaits_key_frame for each in forwarded):
                self.ask(talker)

    def reported(self, talker: str, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Take a report of ``talker``'s about itself."""
        for each in self.to.get(talker, ()):
            each.report(ntp_timestamp, rtp_timestamp)
