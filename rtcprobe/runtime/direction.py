"""One way between two hosts: how large a datagram is on it, its fate, and what it did with all of them.

Rules:
    1. Sizes are those of IPv4 packets: payload + 8 (UDP, RFC 768) + 20 (IPv4, RFC 791).
    2. A corrupted datagram is not delivered: the receiving kernel would drop it for its UDP checksum
       (RFC 1122 §4.1.3.4). The path's tally counts it as dropped, cause ``corrupt``.
    3. A DTLS datagram is offered to the path at a rounded size (``wire_size``), because signatures differ in length
       from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rtcprobe.link import Fate, LinkSpec, Path, Requested, Tally

if TYPE_CHECKING:
    from rtcprobe.runtime.egress import Egress

__all__ = ["IPV4_UDP_HEADER_BYTES", "MOST_UNDER_WAY_BYTES", "Direction", "Room", "nominal_s", "wire_size"]

IPV4_UDP_HEADER_BYTES: Final = 28
"""Rule 1; a host's IPv6 would be 20 more."""

DTLS_GRID_BYTES: Final = 64
"""A signature's length differs by a byte or two from run to run: rounded up, equal seeds stay equal on a line with a
rate."""

MOST_UNDER_WAY_BYTES: Final = 64 << 20
"""What may be on its way through emulated links at once: four seconds of 128 Mbit/s."""

_BESIDE_BYTES: Final = 1024
"""What a timer, its arguments and the payload's own header take, measured and rounded up."""

_SAME_INSTANT_S: Final = 1e-9
"""Floating point: what was planned for one instant may lie a hair apart."""


class Direction:
    """One way between two hosts: the path, and the tally of what it did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tally = Tally()
        self.before: Callable[[float], None] | None = None
        """Told when something is about to enter: what left before it has to be sealed first (``riding``)."""
        self.noted: Callable[[int, Fate, float], None] | None = None
        """Told of each packet's size, its fate, and when it entered."""
        self.egress: Egress | None = None
        """What decides who enters next, where somebody does."""
        self.coast: object | None = None
        """What lets packets enter many in a row (``coasting_seam``), where something does: one alone may."""
        self._last_due_s = -math.inf

    @property
    def watched(self) -> bool:
        """Whether somebody has to know of each packet, before it enters or once it has."""
        return self.before is not None or self.noted is not None or self.egress is not None

    def in_order(self, due_s: float) -> float:
        """Return ``due_s``, a hair later where it equals the last one: asyncio's heap swaps timers of equal times."""
        if self._last_due_s - _SAME_INSTANT_S < due_s <= self._last_due_s:
            due_s = math.nextafter(self._last_due_s, math.inf)
        self._last_due_s = due_s
        return due_s

    def offer(self, size_bytes: int, now_s: float) -> Fate:
        """Seal the fate of one packet and count it."""
        if self.before is not None:
            self.before(now_s)
        return self.enter(size_bytes, now_s)

    def enter(self, size_bytes: int, now_s: float) -> Fate:
        """Do as ``offer`` does, for whoever keeps the order itself."""
        fate = self.path.offer(size_bytes, now_s)
        if fate.corrupt:
            fate = fate.whole()
        self.tally.add(now_s, size_bytes, fate)
        if self.noted is not None:
            self.noted(size_bytes, fate, now_s)
        return fate


class Room:
    """Room for datagrams under way: what comes while it is full is turned away, and counted."""

    def __init__(self, most_bytes: int = MOST_UNDER_WAY_BYTES) -> None:
        self.turned_away = 0
        self._left_bytes = most_bytes

    def turns_away(self) -> bool:
        """Return whether a datagram that comes now finds no room; count it then."""
        full = self._left_bytes <= 0
        self.turned_away += full
        return full

    def enter(self, size_bytes: int) -> None:
        """Let one copy of a datagram be under way."""
        self._left_bytes -= size_bytes + _BESIDE_BYTES

    def leave(self, size_bytes: int) -> None:
        """Let it have arrived."""
        self._left_bytes += size_bytes + _BESIDE_BYTES


def nominal_s(path: Path) -> float:
    """Return the delay a path is asked to have: the median, or its fastest where the median is not known."""
    return _nominal_s(tuple(link.spec for link in path.links))


@lru_cache(maxsize=64)  # paths of a room come again in every call; a link may hold a trace, and a server runs for weeks
def _nominal_s(specs: tuple[LinkSpec, ...]) -> float:
    requested = Requested.of(specs)
    return requested.delay_p50_s if requested.delay_p50_s is not None else requested.delay_min_s or 0.0


def wire_size(data: bytes) -> int:
    """Return the size in bytes at which a path sees a datagram: IPv4 and UDP headers included (rules 1 and 3).

    A DTLS record (first byte 20..63, RFC 7983 §7) is rounded up to the grid: ECDSA signatures vary by a few bytes
    from run to run, which would move every later packet on a rate-limited link.
    """
    size = len(data)
    if size and 19 < data[0] < 64:
        size = -(-size // DTLS_GRID_BYTES) * DTLS_GRID_BYTES
    return size + IPV4_UDP_HEADER_BYTES
