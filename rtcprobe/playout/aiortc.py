"""What stock aiortc would have delivered: a side figure beside every ear of ours, so labelled.

Facts:
    aiortc 1.16 orders audio with a buffer that counts packets, not time (``rtcrtpreceiver.py``: capacity 16,
    prefetch 4; ``jitterbuffer.py``). A frame leaves it at the arrival of the packet that makes it, and four frames
    with other timestamps behind it, stand in a row without a hole: 80 ms after its own arrival on a clean path.
    A hole stops everything until the buffer is full, 16 packets from its start; only then is the start moved past
    the hole. Nothing refills what was skipped, so after one lost packet of 20 ms the buffer holds 280 ms for the
    rest of the call. There is no concealment: what is missing is simply not there.
    A decoder thread turns frames into sound as they leave; its time is not part of this model.

Rules:
    This is a model in our own words of what those two files do to single-frame packets, in the order of arrival,
    time playing no part but in the figures. A test runs it beside the real class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rtcprobe.playout.base import RtpPacket

__all__ = ["Delivery", "StockFigures", "StockQueue", "stock_aiortc"]

_CAPACITY = 16  # packets. Source: aiortc 1.16, ``rtcrtpreceiver.py``
_PREFETCH = 4  # whole frames that must stand ready before the first leaves. Source: the same
_MAX_MISORDER = 100  # further back than this is a new stream. Source: ``jitterbuffer.py``


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One frame handed to the application: its first packet's number, when that arrived, when the frame left."""

    sequence: int
    timestamp: int
    arrived_s: float
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StockFigures:
    """What an application on stock aiortc would have got of the same arrivals.

    ``missing_ratio`` is the share of the frames sent between the first and last delivered one that never came out
    (all of them when none did);
    ``holding_p50_s`` and ``holding_p95_s`` say how long frames were held, None when none was delivered.
    """

    packets: int
    delivered: int
    missing_ratio: float
    holding_p50_s: float | None
    holding_p95_s: float | None


class StockQueue:
    """aiortc's audio buffer, packet by packet."""

    def __init__(self) -> None:
        self._origin: int | None = None
        self._held: dict[int, tuple[int, float]] = {}  # sequence number: timestamp, arrival

    def add(self, sequence: int, timestamp: int, now_s: float) -> Delivery | None:
        """Take a packet; return the frame that its arrival sets free, if any."""
        if self._origin is None:
            self._origin = sequence
        ahead, behind = (sequence - self._origin) % 65536, (self._origin - sequence) % 65536
        if behind < ahead:
            if behind < _MAX_MISORDER:
                return None  # its turn is past
            self._held.clear()
            self._origin, ahead = sequence, 0
        if ahead >= _CAPACITY:
            self._make_room(ahead - _CAPACITY + 1, sequence)
        self._held[sequence] = timestamp, now_s
        return self._release(now_s)

    def _make_room(self, count: int, sequence: int) -> None:
        """Move the start on by ``count`` places and past any hole and frame cut by that; at most once around."""
        last: int | None = None
        for step in range(_CAPACITY):
            packet = self._held.get(self._start)
            if packet is not None:
                if step >= count and packet[0] != last:
                    return
                last = packet[0]
            self._held.pop(self._start, None)
            self._origin = (self._start + 1) % 65536
        self._origin = sequence

    def _release(self, now_s: float) -> Delivery | None:
        """Let the first frame go when four whole ones stand in a row; a frame is whole when the next has begun."""
        held, start = self._held, self._start
        if len(held) <= _PREFETCH:
            return None
        frames = whole = 0
        timestamp: int | None = None
        for step in range(_CAPACITY):
            packet = held.get((start + step) % 65536)
            if packet is None:
                return None
            if packet[0] != timestamp:
                timestamp = packet[0]
                frames += 1
                if frames == 2:
                    whole = step  # where the first frame ends
                elif frames > _PREFETCH:
                    first = held[start]
                    for place in range(whole):
                        del held[(start + place) % 65536]
                    self._origin = (start + whole) % 65536
                    return Delivery(sequence=start, timestamp=first[0], arrived_s=first[1], left_s=now_s)
        return None

    @property
    def _start(self) -> int:
        assert self._origin is not None
        return self._origin


def stock_aiortc(arrivals: Sequence[tuple[float, RtpPacket]]) -> StockFigures:
    """Return what stock aiortc would have delivered of ``arrivals`` ((instant, packet) in any order)."""
    queue = StockQueue()
    deliveries = [
        delivery
        for now_s, packet in sorted(arrivals, key=lambda arrival: arrival[0])
        if (delivery := queue.add(packet.sequence, packet.timestamp, now_s)) is not None
    ]
    missing = sum(_skipped(before, after) for before, after in pairwise(deliveries))
    held_s = [delivery.left_s - delivery.arrived_s for delivery in deliveries]
    return StockFigures(
        packets=len(arrivals),
        delivered=len(deliveries),
        missing_ratio=missing / (missing + len(deliveries)) if deliveries else float(bool(arrivals)),
        holding_p50_s=float(np.percentile(held_s, 50)) if held_s else None,
        holding_p95_s=float(np.percentile(held_s, 95)) if held_s else None,
    )


def _skipped(before: Delivery, after: Delivery) -> int:
    """Return the frames that should have come between two; none where the sender started over."""
    step = (after.sequence - before.sequence) % 65536
    return step - 1 if 0 < step < 32768 else 0
