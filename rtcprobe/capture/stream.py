"""What every reader leaves: the media streams that came, packet by packet, and how well their instants are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.wrapping import counted_on

__all__ = ["CLOCKS_HZ", "Capture", "Packets", "Stream", "Wish", "clock_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CLOCKS_HZ: Final = (8_000, 16_000, 32_000, 44_100, 48_000, VIDEO_HZ)
"""RTP clocks in use. Source: RFC 3551 tables 4 and 5, RFC 7587 §4.1."""
# Clocks of codecs lie 8 % apart at the least (44.1 and 48 kHz), a sender's own is off by a thousandth at most; over a
# second of packets.
_CLOCK_TOLERANCE: Final = 0.05
# In less, jitter of 50 ms is as much as clocks lie apart.
_LEAST_CLOCK_S: Final = 1.0
# Half a cycle of the fastest clock.
_UNWRAPPED_S: Final = 2**31 / max(CLOCKS_HZ)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packets:
    """The packets of a stream in the order they came; all of shape (n,).

    ``at_s`` is seconds since the capture's first instant; ``sequence`` and ``timestamp`` count on beyond their wraps;
    ``size`` is the payload's bytes on the wire, padding and header taken off; ``payloads`` where they are in clear.
    """

    at_s: Floats
    sequence: Ints
    timestamp: Ints
    size: Ints
    payload_type: npt.NDArray[np.uint8]
    marker: npt.NDArray[np.bool_]
    payloads: tuple[bytes, ...] | None = None

    def __len__(self) -> int:
        return len(self.at_s)

    def only(self, chosen: npt.NDArray[np.bool_] | Ints) -> Packets:
        """Return those of ``chosen`` (a mask, or places in the order wanted)."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return replace(
            self,
            at_s=self.at_s[places],
            sequence=self.sequence[places],
            timestamp=self.timestamp[places],
            size=self.size[places],
            payload_type=self.payload_type[places],
            marker=self.marker[places],
            payloads=None if self.payloads is None else tuple(self.payloads[place] for place in places.tolist()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """From ``since_s`` on the application asked for at least ``delay_s`` of jitter buffer (W3C jitterBufferTarget)."""

    since_s: float
    delay_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """One stream: who sent it to whom (``""`` where not known), how much of it there is, its clock in Hz or None.

    ``load`` builds the packets, which are only wanted of the stream that is heard. ``encrypted``: the payloads are not
    Opus in clear. ``pulls_s`` is when the receiver asked for sound, where the source says so (shape (m,)), and
    ``wishes`` what its application asked of the jitter buffer. ``at_the_server``: it came only as far as a server.
    ``rtx_ssrc``: of its retransmissions, where the source says so.
    """

    ssrc: int
    source: str = ""
    destination: str = ""
    count: int
    duration_s: float
    clock_hz: int | None
    payload_type: int
    load: Callable[[], tuple[Packets, int]]
    encrypted: bool = True
    pulls_s: Floats | None = None
    wishes: tuple[Wish, ...] = ()
    at_the_server: bool = False
    rtx_ssrc: int | None = None

    @cached_property
    def _loaded(self) -> tuple[Packets, int]:
        return self.load()

    @property
    def packets(self) -> Packets:
        """The packets in the order they came, each once."""
        return self._loaded[0]

    @property
    def duplicates(self) -> int:
        """Copies of a packet that the capture made, and that were taken out."""
        return self._loaded[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Capture:
    """A file that was read. ``kind``: ``pcap``, ``pcapng``, ``rtc event log``, ``mjr``; ``warnings`` for its reader."""

    kind: str
    clock_resolution_s: float
    streams: tuple[Stream, ...] = ()
    begun_unix_s: float | None = None
    warnings: tuple[str, ...] = field(default=())


def clock_of(at_s: Floats, timestamp: npt.NDArray[np.uint32]) -> int | None:
    """Return the RTP clock that ``timestamp`` runs on, Hz; None where a second has not passed, or none of them fits."""
    if len(at_s) < 2:
        return None
    # In a few hours nothing wraps, and no gap of years lies, for any number of wraps fits into those.
    soon = at_s - at_s[0] < _UNWRAPPED_S
    if np.ptp(at_s[soon]) >= _LEAST_CLOCK_S:
        at_s, timestamp = at_s[soon], timestamp[soon]
    # Ends alone, for a million packets are no better than two; but of the ends the middle ones, for any may be late.
    edge = max(1, min(len(at_s) // 8, 200))
    span_s = float(np.median(at_s[-edge:]) - np.median(at_s[:edge]))
    if span_s < _LEAST_CLOCK_S:
        return None
    ends = counted_on(np.concatenate([timestamp[:edge], timestamp[-edge:]]), 32)
    ticks = float(np.median(ends[edge:]) - np.median(ends[:edge]))
    # 32 bits wrap after 13 hours at 90 kHz, and how often between the ends nobody says: each clock has a number of
    # wraps with which it comes nearest, and the true one comes nearest of all.
    wraps = {clock: round((span_s * clock - ticks) / 2**32) for clock in CLOCKS_HZ}
    off = {clock: abs((ticks + wraps[clock] * 2.0**32) / span_s - clock) / clock for clock in CLOCKS_HZ}
    nearest = min(CLOCKS_HZ, key=lambda clock: off[clock])
    return nearest if off[nearest] < _CLOCK_TOLERANCE else None
