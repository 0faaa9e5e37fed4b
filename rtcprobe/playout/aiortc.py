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

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.arrivals import Arrival, Arrivals
from rtcprobe.playout.base import BLOCK_SAMPLES, Block, Decoder, Pcm, RtpPacket
from rtcprobe.wrapping import unwrapped

__all__ = [
    "Delivery",
    "StockFigures",
    "StockPlayout",
    "StockPlayoutFigures",
    "StockQueue",
    "StockTrace",
    "stock_aiortc",
]

_CAPACITY = 16  # packets. Source: aiortc 1.16, ``rtcrtpreceiver.py``
_PREFETCH = 4  # whole frames that must stand ready before the first leaves. Source: the same
_MAX_MISORDER = 100  # further back than this is a new stream. Source: ``jitterbuffer.py``


class Delivery(NamedTuple):
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
        # Which way round is shorter, in 16 bits that wrap: aiortc compares so, and does not unwrap.
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

    def in_a_row(self, sequence: int) -> int:
        """Return how many packets wait, where they are as many as lie from the start to ``sequence``; 0 if not."""
        waiting = len(self._held)
        return waiting if self._origin is not None and (sequence - self._origin) % 65536 == waiting < _CAPACITY else 0

    def hold(self, sequences: Sequence[int], timestamps: Sequence[int], at_s: Sequence[float]) -> None:
        """Wait with these packets, in a row, instead of what waited."""
        self._origin = sequences[0]
        self._held = dict(zip(sequences, zip(timestamps, at_s, strict=True), strict=True))

    def _make_room(self, count: int, sequence: int) -> None:
        """Move the start on by ``count`` places and past any hole and frame cut by that; at most once around."""
        last: int | None = None
        for step in range(_CAPACITY):
            # A frame may have lost its beginning to the room that was made: the rest of it goes, too, up to
            # the next timestamp.
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
        # Five packets at the least: four whole frames, and the beginning of the one that proves the fourth
        # whole.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPlayoutFigures:
    """What a loudspeaker behind stock aiortc got; ``silent_samples`` is what it had to fill with nothing."""

    received: int = 0
    delivered: int = 0
    corrupt: int = 0
    unknown_type: int = 0
    silent_samples: int = 0
    concealed_samples: int = 0


class StockPlayout:
    """The policy ``aiortc``: frames as stock aiortc hands them over, played one after the other; fills ``Playout``.

    An application that plays ``track.recv()`` keeps a queue of its own: sound waits in it, and what is not there when
    the loudspeaker asks is silence. Nothing is concealed, and a gap makes everything after it later.
    """

    def __init__(self, decoder: Decoder, *, payload_type: int = 111) -> None:
        self._decoder = decoder
        self._payload_type = payload_type
        self._queue = StockQueue()
        self._payloads: dict[int, tuple[int, bytes]] = {}
        self._sound: deque[tuple[int, Pcm]] = deque()  # RTP sample of the first, samples
        self._newest: int | None = None
        self._count = dict.fromkeys(StockPlayoutFigures.__dataclass_fields__, 0)

    @property
    def figures(self) -> StockPlayoutFigures:
        """Return the counters as they stand."""
        return StockPlayoutFigures(**self._count)

    def insert_packet(self, packet: RtpPacket, now_s: float) -> None:
        """Take a packet that arrived at ``now_s``."""
        self._count["received"] += 1
        if packet.payload_type != self._payload_type:
            self._count["unknown_type"] += 1
            return
        self._payloads[packet.timestamp] = self._unwrap(packet.timestamp), packet.payload
        delivery = self._queue.add(packet.sequence, packet.timestamp, now_s)
        if delivery is None:
            return
        begin, payload = self._payloads.pop(delivery.timestamp)
        # What the queue has dropped without a word must not stay here for ever.
        for timestamp in [each for each, (start, _) in self._payloads.items() if start < begin]:
            del self._payloads[timestamp]
        try:
            self._sound.append((begin, self._decoder.decode(payload)))
            self._count["delivered"] += 1
        except ValueError:
            self._count["corrupt"] += 1

    def get_audio(self, now_s: float) -> Block:  # noqa: ARG002 - the queue knows no time
        """Return the next 480 samples of the queue; silence where it is empty."""
        begin = self._sound[0][0] if self._sound else None
        pieces: list[Pcm] = []
        lacking = BLOCK_SAMPLES
        while lacking and self._sound:
            first, sound = self._sound.popleft()
            pieces.append(sound[:lacking])
            if len(sound) > lacking:
                self._sound.appendleft((first + lacking, sound[lacking:]))
            lacking -= len(pieces[-1])
        # Silence before the first sound is the join's, not the queue's.
        if self._count["delivered"]:
            self._count["silent_samples"] += lacking
        samples = np.concatenate([*pieces, np.zeros(lacking, dtype=np.float32)])
        return Block(samples=samples, rtp_timestamp=begin, concealed_samples=0, operation="queue")

    def _unwrap(self, timestamp: int) -> int:
        if self._newest is None:
            self._newest = timestamp
        counted = unwrapped(timestamp, self._newest, 32)
        self._newest = max(self._newest, counted)
        return counted


@dataclass(frozen=True, slots=True, kw_only=True)
class StockTrace:
    """What stock aiortc would have delivered in one call or in several: counts, and how long each frame was held."""

    packets: int
    missing: int
    held_s: array[float]

    @classmethod
    def together(cls, calls: Sequence[StockTrace]) -> StockTrace:
        """Return what it would have delivered in all ``calls``."""
        return cls(
            packets=sum(each.packets for each in calls),
            missing=sum(each.missing for each in calls),
            held_s=array("d", (held_s for each in calls for held_s in each.held_s)),
        )

    def figures(self) -> StockFigures:
        """Return the figures."""
        held_s = self.held_s
        return StockFigures(
            packets=self.packets,
            delivered=len(held_s),
            missing_ratio=self.missing / (self.missing + len(held_s)) if held_s else float(bool(self.packets)),
            holding_p50_s=float(np.percentile(held_s, 50)) if held_s else None,
            holding_p95_s=float(np.percentile(held_s, 95)) if held_s else None,
        )


def stock_aiortc(arrivals: Sequence[Arrival]) -> StockTrace:
    """Return what stock aiortc would have delivered of ``arrivals`` ((instant, packet) in any order)."""
    at_s, sequences, timestamps = _headers(arrivals)
    # Rows of packets that came one after the other; most of a call is a few of them.
    # Where the rule in the large does not hold: a number that does not follow, or a frame in two packets.
    apart = (np.diff(sequences) & 0xFFFF != 1) | (np.diff(timestamps) == 0)
    begins = [0, *(np.flatnonzero(apart) + 1).tolist(), len(at_s)]
    queue = StockQueue()
    held_s = array("d")
    missing = 0
    before: int | None = None  # number of the frame delivered last
    for begin, end in pairwise(begins):
        place = begin
        while place < end:
            waiting = queue.in_a_row(int(sequences[place]))
            # All that waits is of this same row, without a hole: from here on each arrival frees the packet
            # that came ``waiting`` before it, so the whole rest of the row is one subtraction.
            if _PREFETCH <= waiting <= place - begin:
                # What waits came last: every packet that follows sets free the first of what waits by then.
                first, last = place - waiting, end - waiting
                held_s.extend((at_s[place:end] - at_s[first:last]).tolist())
                missing += _skipped(before, int(sequences[first]))
                before = int(sequences[last - 1])
                queue.hold(sequences[last:end].tolist(), timestamps[last:end].tolist(), at_s[last:end].tolist())
                break
            delivery = queue.add(int(sequences[place]), int(timestamps[place]), float(at_s[place]))
            place += 1
            if delivery is not None:
                held_s.append(delivery.left_s - delivery.arrived_s)
                missing += _skipped(before, delivery.sequence)
                before = delivery.sequence
    return StockTrace(packets=len(arrivals), missing=missing, held_s=held_s)


def _headers(
    arrivals: Sequence[Arrival],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the instants, numbers and timestamps of ``arrivals``, by instant; each of shape (packets,)."""
    came = arrivals if isinstance(arrivals, Arrivals) else Arrivals(arrivals)
    order = np.argsort(came.at_s, kind="stable")
    return came.at_s[order], came.sequences[order].astype(np.int64), came.timestamps[order]


def _skipped(before: int | None, after: int) -> int:
    """Return the frames that should have come between two; none where the sender started over."""
    step = 0 if before is None else (after - before) % 65536
    return step - 1 if 0 < step < 32768 else 0
