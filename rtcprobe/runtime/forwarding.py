"""The media plane of a forwarding server: what comes of a talker leaves to everybody who hears it, under other names.

Facts:
    What must be rewritten for each leg (RFC 7667 §3.7, a selective forwarding middlebox): the source is the section's
    own, the payload type what that leg agreed on, inside RED as well (RFC 2198 §3: block headers carry types). Number
    and timestamp may stay while the source does. On a change of source the receiver must see one stream go on: the next
    number, and the time that passed.

Rules:
    1. A server spends no time: a packet leaves at the instant it came.
    2. What came again for what was asked for is forwarded as what it is, late.
    3. A pause of the same source leaves no gap in the numbers, else whoever listens would ask for what nobody sent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from rtcprobe.playout.neteq.red import split_red
from rtcprobe.recording import Agreed
from rtcprobe.runtime.forwarding_seam import level_of
from rtcprobe.runtime.loudest import Loudest
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["Forwarded", "Forwarding", "Onward", "Sends", "Turn", "retyped"]

# Half of the sequence numbers: what is ahead by less is newer (RFC 1982).
_HALF: Final = 1 << 15
_Agreed = TypeVar("_Agreed")
_RED_BLOCK: Final = struct.Struct("!I")  # RFC 2198 §3: F, block type, timestamp offset (14 bits), length (10 bits)


class Sends(Protocol):
    """Where packets leave: the sending side of one m-section (``forwarding_seam.Outgoing``).

    Nothing leaves before it is ``open``.
    """

    open: bool

    @property
    def ssrc(self) -> int:
        """What they leave as."""
        ...

    @property
    def beside_bytes(self) -> int | None:
        """How much larger than its payload the latest packet was on the wire; None before any has left."""
        ...

    def send(
        self, kind: tuple[int, int], sequence: int, timestamp: int, payload: bytes, level: tuple[bool, int] | None
    ) -> bool:
        """Send a packet of a payload type with a marker bit; return whether it left."""
        ...

    def report(self, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Let reports say what the publisher's said."""
        ...


class Turn(NamedTuple):
    """From which timestamp on, as it leaves, packets are of ``source``, and how much was added to theirs."""

    first: int
    source: int
    shift: int


@dataclass(slots=True, kw_only=True, eq=False)
class Onward(Generic[_Agreed]):
    """What one talker sends in one medium on its way to one listener, or to another server: one stream, numbered anew.

    ``agreed`` is what the listener's leg agreed on; None before it has. ``source`` is whose packets it carries now,
    ``clock_hz`` that of their timestamps.
    """

    out: Sends
    clock_hz: int
    agreed: _Agreed | None = None
    source: int | None = None
    count: int = 0
    """Packets that left."""
    turns: list[Turn] = field(default_factory=list)
    """Its sources, in order."""
    always: bool = False
    """Whether it is sent everything, however many are louder: another server, which decides for its own."""
    paused: bool = False
    _sequence_shift: int = 0
    _timestamp_shift: int = 0
    _latest: tuple[int, int, float] = (0, 0, 0.0)
    """Number and timestamp of the newest packet that left, and when."""
    _resumes: bool = False

    def resume(self) -> None:
        """Let what comes leave again: it follows on what left last (rule 3)."""
        self.paused = False

    def report(self, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Translate what the publisher's report says."""
        self.out.report(ntp_timestamp, (rtp_timestamp + self._timestamp_shift) & 0xFFFFFFFF)

    def _follow(self, packet: Any, now_s: float) -> None:
        """Let ``packet`` follow on what left last, where it is of another source, or the first after a pause."""
        if packet.ssrc != self.source:
            self._turn_to(packet, now_s)
        elif self._resumes:
            self._sequence_shift = (self._latest[0] + 1 - packet.sequence_number) & 0xFFFF
            self._resumes = False

    def _turn_to(self, packet: Any, now_s: float) -> None:
        """Go on with another source where one went before (rule 3); the first keeps its numbers."""
        if self.source is not None and self.count:
            sequence, timestamp, at_s = self._latest
            # Two sources' clocks have nothing in common: what passed here is what a listener has waited.
            passed = round((now_s - at_s) * self.clock_hz)
            self._sequence_shift = (sequence + 1 - packet.sequence_number) & 0xFFFF
            self._timestamp_shift = (timestamp + passed - packet.timestamp) & 0xFFFFFFFF
        self.source = packet.ssrc
        self.turns.append(
            Turn((packet.timestamp + self._timestamp_shift) & 0xFFFFFFFF, packet.ssrc, self._timestamp_shift)
        )
        self._resumes = False

    def _numbered(self, packet: Any) -> tuple[int, int]:
        """Return number and timestamp of a packet as it leaves."""
        sequence = (packet.sequence_number + self._sequence_shift) & 0xFFFF
        return sequence, (packet.timestamp + self._timestamp_shift) & 0xFFFFFFFF

    def _count(self, sequence: int, timestamp: int, now_s: float) -> None:
        """Take note of a packet that left."""
        self.count += 1
        # What was overtaken or sent again is older than the newest: nothing follows on it.
        if self.count == 1 or 0 < (sequence - self._latest[0]) & 0xFFFF < _HALF:
            self._latest = sequence, timestamp, now_s


@dataclass(slots=True, kw_only=True, eq=False)
class Forwarded(Onward[Agreed]):
    """One talker's sound on its way to one listener, or to another server."""

    clock_hz: int = RTP_CLOCK_HZ
    pauses: list[tuple[int | None, int | None]] = field(default_factory=list)
    """What was left out: the timestamps, as they left, of the last packet before and of the first after; None where
    there is none yet."""
    get_off: Callable[[], None] | None = None
    """Ends its ride (``riding``); None where it is on none."""
    _alike: Agreed | None = None
    """What packets came as that need not be called anything else."""

    def pause(self) -> None:
        """Leave out what comes from now on."""
        if self.get_off is not None:
            self.get_off()
        if not self.paused:
            self.paused = True
            # A pause within a pause is one.
            if not self.pauses or self.pauses[-1][1] is not None:
                self.pauses.append((self._latest[1] if self.count else None, None))
            self._resumes = self.source is not None

    def forward(self, packet: Any, came_as: Agreed, level: tuple[bool, int] | None, now_s: float) -> None:
        """Let a packet leave that came as ``came_as`` says at ``now_s``."""
        if self.agreed is None or self.paused:
            return
        self._follow(packet, now_s)
        payload_type, sequence, timestamp, payload = self._named(packet, came_as)
        if self.out.send((payload_type, packet.marker), sequence, timestamp, payload, level):
            self._left(sequence, timestamp, now_s)

    def renamed(self, packet: Any, came_as: Agreed, now_s: float) -> tuple[int, int, int, bytes]:
        """Return a packet as it leaves at ``now_s``: its type, number, timestamp and payload."""
        if packet.ssrc != self.source:
            self._turn_to(packet, now_s)
        named = self._named(packet, came_as)
        self._left(named[1], named[2], now_s)
        return named

    def _named(self, packet: Any, came_as: Agreed) -> tuple[int, int, int, bytes]:
        payload_type, payload = packet.payload_type, packet.payload
        if came_as is not self._alike:
            assert self.agreed is not None
            # The usual case, found once: the two legs agreed on the same types, and nothing is rewritten.
            if came_as == self.agreed:
                self._alike = came_as
            else:
                payload_type, payload = retyped(payload_type, payload, came_as, self.agreed)
        return payload_type, *self._numbered(packet), payload

    def _left(self, sequence: int, timestamp: int, now_s: float) -> None:
        if self.pauses and self.pauses[-1][1] is None:
            self.pauses[-1] = self.pauses[-1][0], timestamp
        self._count(sequence, timestamp, now_s)


def retyped(payload_type: int, payload: bytes, came_as: Agreed, leaves_as: Agreed) -> tuple[int, bytes]:
    """Return a packet's type and payload as another leg agreed on them.

    RED goes on as RED with its blocks' types rewritten where the other leg has it, else as the frame alone; what cannot
    be read as RED goes on as it is, for whoever listens to drop.
    """
    if payload_type != came_as.red_payload_type or payload_type is None:
        return leaves_as.opus_payload_type if payload_type == came_as.opus_payload_type else payload_type, payload
    try:
        blocks = split_red(payload)
    except ValueError:
        return payload_type, payload
    # The frame itself: without RED no header could tell a copy from it.
    if leaves_as.red_payload_type is None:
        return leaves_as.opus_payload_type, next((each.payload for each in blocks if each.level == 0), b"")
    return leaves_as.red_payload_type, _with_types(payload, came_as.opus_payload_type, leaves_as.opus_payload_type)


def _with_types(payload: bytes, before: int, after: int) -> bytes:
    """Return RED with blocks of type ``before`` called ``after``: headers of 4 octets, one of 1 (RFC 2198 §3)."""
    if before == after:
        return payload
    out, place = bytearray(payload), 0
    while place < len(out):
        follows, kind = out[place] & 0x80, out[place] & 0x7F
        if kind == before:
            out[place] = follows | after
        if not follows:
            break
        place += _RED_BLOCK.size
    return bytes(out)


@dataclass(slots=True, kw_only=True, eq=False)
class Forwarding:
    """Who gets what of whom, at one server; ``now_s`` is its clock."""

    now_s: Callable[[], float]
    loudest: Loudest | None = None
    """Who is forwarded, where not everybody is."""
    to: dict[str, list[Forwarded]] = field(default_factory=dict)
    """By talker, everybody who is sent what it says."""
    beside: Callable[[Collection[str]], None] | None = None
    """Is told who is forwarded, wherever that changes: pictures go with the sound beside them."""
    noting: bool = False
    """Whether somebody goes by ``notes`` in place of it (``riding``)."""
    _chosen: Collection[str] = frozenset()
    notes: list[tuple[float, str, Any, Agreed]] = field(default_factory=list)
    """What came since then: when, of whom, and as what."""

    def send_on(self, talker: str, forwarded: Forwarded) -> None:
        """Let what comes of ``talker`` leave there too from now on."""
        self.to.setdefault(talker, []).append(forwarded)

    def leave_out(self, talker: str, forwarded: Forwarded) -> None:
        """Let nothing of ``talker`` leave there any more."""
        if forwarded in self.to.get(talker, ()):
            self.to[talker].remove(forwarded)

    def came(self, talker: str, packet: Any, came_as: Agreed) -> None:
        """Take a packet of ``talker``'s (aiortc's own, or by express) off a leg that agreed on ``came_as``."""
        now_s, level = self.now_s(), level_of(packet)
        if self.noting:
            self.notes.append((now_s, talker, packet, came_as))
        if self.loudest is not None and level is not None:
            self._choose(self.loudest.heard(talker, level[1], now_s))
        for each in self.to.get(talker, ()):
            # Who rides has each packet from the notes, later, and must not get it twice.
            if each.get_off is None:
                each.forward(packet, came_as, level, now_s)

    def _choose(self, loudest: Collection[str]) -> None:
        """Leave out whoever is not among the loudest (last N)."""
        # Asked with each packet of each talker, and nearly always the same.
        if loudest == self._chosen:
            return
        self._chosen = loudest
        if self.beside is not None:
            self.beside(loudest)
        for talker, forwarded in self.to.items():
            for each in forwarded:
                if talker in loudest:
                    each.resume()
                elif not each.always:
                    each.pause()

    def reported(self, talker: str, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Take a report of ``talker``'s about itself."""
        for each in self.to.get(talker, ()):
            each.report(ntp_timestamp, rtp_timestamp)
