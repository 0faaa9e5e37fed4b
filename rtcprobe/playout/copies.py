"""Every frame that arrived, in whatever packet: its own, a later RED packet, or one sent again on request.

Facts:
    A frame has one RTP timestamp wherever it travels.
    A packet sent again is the same to the bit, and SRTP drops whichever comes second, so arrivals do not say which of
    the two came.

Rules:
    1. A packet that was sent again, and arrived no sooner than that could have (its departure and the fastest way any
       packet had), is taken for the one sent again.
    2. What a malformed RED packet holds is nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.arrivals import Arrival, Arrivals, in_time
from rtcprobe.playout.base import Decoder, Pcm
from rtcprobe.playout.neteq.red import RedBlock, split_red

__all__ = ["SAME_INSTANT_S", "Carried", "Left", "Sent", "WithoutFec", "carried", "unpacked", "unprotected"]

SAME_INSTANT_S = 1e-6
"""Arrivals this near to each other are of one instant: floats of virtual time."""


class Sent(Protocol):
    """An RTP packet leaving the talker; one with a timestamp seen before is one sent again."""

    @property
    def at_s(self) -> float:
        """When it left, seconds."""
        ...

    @property
    def sequence(self) -> int:
        """Its sequence number, 16 bits."""
        ...

    @property
    def timestamp(self) -> int:
        """Its RTP timestamp, 32 bits."""
        ...


class Carried(NamedTuple):
    """One frame in one packet that arrived: ``level`` 0 in its own, n in the n-th after it; ``again``: on request.

    ``place`` is which of the frames that left it is, -1 for none of them (``Left``).
    """

    at_s: float
    place: int
    timestamp: int
    payload: bytes
    level: int
    again: bool


@runtime_checkable
class SentColumns(Protocol):
    """RTP packets leaving the talker, in the order they left, as columns; each of shape (packets,)."""

    def columns(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
        """Return when they left, their timestamps and their sequence numbers."""
        ...


class Left:
    """Every frame that left, once, in the order sent: when (``at_s``), its timestamp and number, each shape (frames,).

    ``again_s`` is when it was sent again the first time; NaN where it was not.
    """

    def __init__(self, sent: Iterable[Sent]) -> None:
        at_s, stamps, numbers = sent.columns() if isinstance(sent, SentColumns) else _columns(sent)
        # The first of each timestamp is the frame's own departure; any other is one sent again.
        known, first = np.unique(stamps, return_index=True)
        self._sorted: npt.NDArray[np.int64] = known
        self._look_up = known.data  # of which one number is read ten times as fast
        # Twice: the first sort says who comes n-th, the second turns that into which n each has.
        self._place: npt.NDArray[np.intp] = np.argsort(np.argsort(first))  # in the order sent, of each of ``known``
        first.sort()
        self.at_s: npt.NDArray[np.float64] = at_s[first]
        self.timestamp: npt.NDArray[np.int64] = stamps[first]
        self.sequence: npt.NDArray[np.uint16] = numbers[first]
        self.again_s: npt.NDArray[np.float64] = np.full(len(first), np.nan)
        self.repeats = len(first) < len(stamps)
        """Whether any was sent again."""
        if not self.repeats:
            return
        repeated = np.setdiff1d(np.arange(len(stamps)), first, assume_unique=True)
        for departure, place in zip(repeated.tolist(), self.places(stamps[repeated]).tolist(), strict=True):
            if np.isnan(self.again_s[place]):
                self.again_s[place] = at_s[departure]

    def places(self, timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Return which frame each of ``timestamps`` (32 bits) is, in the order sent; -1 for one that never left."""
        if not len(self._sorted):
            return np.full(len(timestamps), -1)
        at = np.minimum(np.searchsorted(self._sorted, timestamps), len(self._sorted) - 1)
        return np.where(self._sorted[at] == timestamps, self._place[at], -1)

    def place(self, timestamp: int) -> int:
        """Return ``places`` of one."""
        at = bisect_left(self._look_up, timestamp)
        return int(self._place[at]) if at < len(self._sorted) and self._look_up[at] == timestamp else -1

    def __len__(self) -> int:
        return len(self.at_s)


def _columns(sent: Iterable[Sent]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    at_s, stamp, number = array("d"), array("q"), array("H")
    for packet in sent:
        at_s.append(packet.at_s)
        stamp.append(packet.timestamp)
        number.append(packet.sequence)
    return np.array(at_s), np.array(stamp, dtype=np.int64), np.array(number, dtype=np.uint16)


def carried(left: Left, arrivals: Sequence[Arrival], red_payload_type: int | None) -> Iterator[Carried]:
    """Yield what ``arrivals`` carried of what ``left``, in order of arrival; of one packet, its own frame first.

    Args:
        left: the frames that left.
        arrivals: (instant, packet) on the same clock; strangers to ``left`` are left out.
        red_payload_type: of RED packets, None where RED was not negotiated.
    """
    came = Arrivals(in_time(arrivals)) if not isinstance(arrivals, Arrivals) or not arrivals.ordered else arrivals
    places = left.places(came.timestamps)
    # Of all that came, copies too: one that was sent again took longer by a round trip, and never is the
    # least.
    ways_s = came.at_s[places >= 0] - left.at_s[places[places >= 0]]
    fastest_s = float(ways_s.min()) if len(ways_s) else 0.0
    soonest_s = (left.again_s + fastest_s - SAME_INSTANT_S).data
    for place, (at_s, arrived) in zip(places.data, came, strict=True):
        if place < 0:
            continue
        # NaN compares false. Before that instant it can only have been the original; after it rule 1 decides.
        again = at_s > soonest_s[place]  # never, where it was not sent again
        if arrived.payload_type != red_payload_type:
            yield Carried(at_s, place, arrived.timestamp, arrived.payload, 0, again)
            continue
        for block in _blocks(arrived.payload):
            timestamp = (arrived.timestamp - block.timestamp_offset) & 0xFFFFFFFF
            yield Carried(at_s, left.place(timestamp), timestamp, block.payload, block.level, again)


def unpacked(
    sent: Iterable[Sent], arrivals: Sequence[Arrival], *, payload_type: int, red_payload_type: int | None
) -> Arrivals:
    """Return every frame once, as if in a packet of its own, at the instant its first copy came.

    This is for listeners that know no RED. ``payload_type`` is the codec's.
    """
    left = Left(sent)
    return _packets(left, carried(left, arrivals, red_payload_type), payload_type)


def unprotected(
    sent: Iterable[Sent], arrivals: Sequence[Arrival], *, payload_type: int, red_payload_type: int | None
) -> Arrivals:
    """Return what would have arrived without copies: every frame in its own packet, nothing sent again.

    In-band redundancy stays inside the payloads: decode them ``WithoutFec``.
    """
    left = Left(sent)
    own = (each for each in carried(left, arrivals, red_payload_type) if not each.level and not each.again)
    return _packets(left, own, payload_type)


class WithoutFec:
    """A decoder that takes no notice of in-band redundancy; satisfies ``Decoder``."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def decode(self, payload: bytes) -> Pcm:
        """Return the samples of one packet, as the decoder does."""
        return self._decoder.decode(payload)

    def decode_fec(self, payload: bytes, samples: int) -> Pcm:
        """Return concealment: there is no redundancy here."""
        del payload
        return self._decoder.conceal(samples)

    def conceal(self, samples: int) -> Pcm:
        """Return ``samples`` of the codec's own concealment."""
        return self._decoder.conceal(samples)

    def duration_samples(self, payload: bytes) -> int:
        """Return how many samples ``payload`` decodes to; ``ValueError`` when malformed."""
        return self._decoder.duration_samples(payload)

    def has_fec(self, payload: bytes) -> bool:
        """Return False."""
        del payload
        return False


def _packets(left: Left, frames: Iterable[Carried], payload_type: int) -> Arrivals:
    """Return ``frames`` in packets of their own, each the first time it comes."""
    out = Arrivals()
    came = bytearray(len(left))
    for frame in frames:
        # Frames come in the order of arrival, and of one RED packet the primary first: so the first is the
        # soonest.
        if frame.place >= 0 and not came[frame.place]:
            came[frame.place] = True
            sequence = int(left.sequence[frame.place])
            out.add(frame.at_s, sequence, frame.timestamp, frame.payload, payload_type)
    return out


def _blocks(payload: bytes) -> list[RedBlock]:
    """Return the frames in a RED payload, its own first."""
    try:
        return split_red(payload)
    except ValueError:
        return []
