"""What a browser's own datagrams tell on their way through our link: when ICE, DTLS and the first sound were there.

Facts:
    - ICE is connected for a browser when the answer to a check of its own has come back (RFC 8445 §7.2.5.3).
    - DTLS 1.2 is when the other side's Finished has come: the first handshake record of a later epoch than 0 that
      arrives (RFC 6347 §4.1). The page's own event agrees with it to 2 ms. Of DTLS 1.3 (RFC 9147 §4: records whose
      first byte is 001xxxxx) nothing can be told from outside: the page's event is taken.
    - Who describes a section names the payload types that it takes (RFC 3264 §5.1): a page sends by those of the other
      side, and takes those of its own. Each of its connections numbers codecs apart: mediasoup gives out numbers from
      100 on (its ``ortc``), where a browser sends pictures by 96 to 101.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtcprobe.call.ends.browser.echoed import there_and_back_s
from rtcprobe.call.section import direction_of
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.recording import Departure, Departures
from rtcprobe.runtime.wiretap import WireTap, is_rtp
from rtcprobe.timeline import Side

__all__ = ["BrowserTap"]

_HANDSHAKE = 22
"""Content type. Source: RFC 5246 §6.2.1."""
_SUCCESS = b"\x01\x01"
"""A Binding answered. Source: RFC 8489 §5, §18.2."""


@dataclass(slots=True)
class Kinds:
    """The payload types of one way, as described: where none of sound is known, whatever passes is taken for it."""

    audio: set[int] = field(default_factory=set)
    video: set[int] = field(default_factory=set)

    def sound(self, kind: int) -> bool:
        """Return whether ``kind`` is of sound; one that two connections use differently is."""
        # Descriptions are told by the page, later than its first packets may pass
        # here: until then none must be lost to the record.
        return kind in self.audio if self.audio else kind not in self.video

    def picture(self, kind: int) -> bool:
        """Return whether ``kind`` is of pictures."""
        return kind in self.video and kind not in self.audio


class BrowserTap(WireTap):
    """The tap of one browser. ``reached`` is told of a milestone and its instant."""

    def __init__(self, side: Side, reached: Callable[[str, float], None]) -> None:
        super().__init__(side)
        self.sends, self.takes = Kinds(), Kinds()
        self.arrivals = Arrivals()
        """RTP of sound that came, by headers alone."""
        self._reached = reached
        self._sources: dict[int, int] = {}
        self._came: dict[int, Departures] = {}
        self._pictures_came: dict[int, Departures] = {}

    def described(self, sdp: str, own: bool) -> None:
        """Learn the payload types of a description that the page set: of its own, what it takes; else what it sends."""
        known = self.takes if own else self.sends
        # A payload type belongs to the medium whose section lists it; the session has none.
        session, *sections = (each.splitlines() for each in sdp.split("\nm="))
        for section in filter(None, sections):
            words = section[0].split()
            if words and direction_of(section, session) in ("sendrecv", "recvonly"):
                of_medium = {"audio": known.audio, "video": known.video}.get(words[0], set())
                of_medium |= {int(each) for each in words[3:] if each.isdecimal()}

    def received(self, data: bytes, now_s: float) -> None:
        """Note a datagram that reaches the browser."""
        super().received(data, now_s)
        if is_rtp(data):
            kind = data[1] & 0x7F
            if self.takes.picture(kind):
                source, left = int.from_bytes(data[8:12], "big"), self._pictures_came
                sequence, stamp = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:8], "big")
                left.setdefault(source, Departures()).add(now_s, sequence, stamp, len(data), source)
            elif self.takes.sound(kind):
                self._reached("first_packet", now_s)
                sequence, stamp = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:8], "big")
                self.arrivals.add(now_s, sequence, stamp, b"", kind)
                source = int.from_bytes(data[8:12], "big")
                self._came.setdefault(source, Departures()).add(now_s, sequence, stamp, len(data), source)
        elif data[:2] == _SUCCESS:
            self._reached("ice_connected", now_s)
        # DTLS by its first byte (RFC 7983 §7); only the flight that ends the handshake is of a later epoch.
        elif 19 < data[0] < 64 and _later_epoch(data):
            self._reached("dtls_connected", now_s)

    def sent(self, data: bytes, now_s: float) -> None:
        """Note a datagram that leaves the browser."""
        super().sent(data, now_s)
        if is_rtp(data):
            self._sources[int.from_bytes(data[8:12], "big")] = data[1] & 0x7F

    def films(self) -> tuple[int, ...]:
        """Return the source of pictures that sent most, if there is one: what is sent again has another of its own."""
        found = [ssrc for ssrc, kind in self._sources.items() if self.sends.picture(kind)]
        return tuple(sorted(found, key=lambda ssrc: len(self.departures(ssrc)), reverse=True)[:1])

    def pictures_came(self) -> Departures:
        """Return the packets of the picture of which most came."""
        return max(self._pictures_came.values(), key=len, default=Departures())

    def spoken(self) -> list[Departure]:
        """Return the packets of sound that left, of the source that sent most."""
        found = [ssrc for ssrc, kind in self._sources.items() if self.sends.sound(kind)]
        of_each = [list(self.departures(ssrc)) for ssrc in found]
        return max(of_each, key=len, default=[])

    def echoed_s(self) -> npt.NDArray[np.float64]:
        """Return how long each packet of sound was away that came back of a server; empty where none can be told."""
        return there_and_back_s(self.spoken(), max(self._came.values(), key=len, default=Departures()))


def _later_epoch(data: bytes) -> bool:
    """Return whether a datagram of several DTLS records has a handshake record of a later epoch than 0.

    Source: RFC 6347 §4.1: type (1), version (2), epoch (2), sequence number (6), length (2).
    """
    at = 0
    # Finished comes behind ChangeCipherSpec, often in one datagram with it: each record is looked at.
    while at + 13 <= len(data):
        if data[at] == _HANDSHAKE and int.from_bytes(data[at + 3 : at + 5], "big") > 0:
            return True
        at += 13 + int.from_bytes(data[at + 11 : at + 13], "big")
    return False
