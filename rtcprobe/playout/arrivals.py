"""What arrived at a listener, packet by packet, in a tenth of the memory that as many objects would take.

Facts:
    An hour of 20 ms packets is 180,000 a direction. As tuples of packets they are 60 MB, as columns of numbers 3, and
    their payloads are for the most part those the talker was given to say.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.base import RtpPacket

__all__ = ["Arrival", "Arrivals", "Columns", "Coming", "in_time"]

Arrival = tuple[float, RtpPacket]
"""When a packet came, seconds, and the packet."""

_STEPS = (*range(16), *range(-1, -17, -1), *range(16, 64))
"""Where in ``likely`` a payload is looked for, from the place behind the last: a gap of 1.3 s of 20 ms frames, and back
by what reordering may have let pass."""

_PATIENCE = 64
"""After so many in a row that were not found, the sender says something else, and is believed to go on with it."""


class Columns(NamedTuple):
    """Arrivals as columns of shape (packets,); ``payload_type`` is that of all, None where they are of several."""

    at_s: npt.NDArray[np.float64]
    sequences: Sequence[int]
    timestamps: npt.NDArray[np.int64]
    payloads: Sequence[bytes]
    payload_type: int | None

    def in_time(self) -> Columns:
        """Return them by instant; equal instants keep their order."""
        order = np.argsort(self.at_s, kind="stable")
        places: list[int] = order.tolist()
        return Columns(
            self.at_s[order],
            [self.sequences[place] for place in places],
            self.timestamps[order],
            [self.payloads[place] for place in places],
            self.payload_type,
        )

    def packet(self, place: int) -> RtpPacket:
        """Return the packet at ``place``, all being of one type."""
        assert self.payload_type is not None
        return RtpPacket(self.sequences[place], int(self.timestamps[place]), self.payloads[place], self.payload_type)


class Arrivals(Sequence[Arrival]):
    """Packets in the order they were noted; a sequence of ``Arrival``.

    ``likely`` are payloads that may come, in this order: those that do are not kept twice.
    """

    def __init__(self, arrivals: Iterable[Arrival] = (), *, likely: Sequence[bytes | None] = ()) -> None:
        self._at_s = array("d")
        self._sequence = array("H")
        self._timestamp = array("I")
        self._type = array("B")
        # One number says both where and which: ~n is -1 - n, so even the first payload kept here is below
        # zero.
        self._place = array("i")  # in likely; below zero: ~place in the payloads kept here
        self._bytes = bytearray()
        # 64 bits, for 32 would end at 4 GB of payloads.
        self._ends = array("Q", [0])
        self._likely = likely
        self._next = 0
        self._misses = 0
        self.extend(arrivals)

    @classmethod
    def of(
        cls,
        at_s: npt.NDArray[np.float64],
        sequences: npt.NDArray[np.int64],
        timestamps: npt.NDArray[np.int64],
        payloads: npt.NDArray[np.int64] | Sequence[bytes],
        payload_type: int,
        *,
        likely: Sequence[bytes | None],
    ) -> Arrivals:
        """Return packets given as columns, in their order; payloads that are all in ``likely`` may be places there."""
        out = cls(likely=likely)
        out._at_s.frombytes(at_s.tobytes())
        out._sequence.frombytes(sequences.astype(np.uint16).tobytes())
        out._timestamp.frombytes(timestamps.astype(np.uint32).tobytes())
        out._type.frombytes(bytes((payload_type,)) * len(at_s))
        if isinstance(payloads, np.ndarray):
            out._place.frombytes(payloads.astype(np.int32).tobytes())
        else:
            for payload in payloads:
                out._keep(payload)
        return out

    def add(self, at_s: float, sequence: int, timestamp: int, payload: bytes, payload_type: int) -> None:
        """Note a packet that came at ``at_s``."""
        self._at_s.append(at_s)
        self._sequence.append(sequence)
        self._timestamp.append(timestamp)
        self._type.append(payload_type)
        place = self._found(payload)
        if place is None:
            self._keep(payload)
        else:
            self._place.append(place)

    def extend(self, arrivals: Iterable[Arrival]) -> None:
        """Note several."""
        for at_s, packet in arrivals:
            self.add(at_s, packet.sequence, packet.timestamp, packet.payload, packet.payload_type)

    @property
    def at_s(self) -> npt.NDArray[np.float64]:
        """Every instant, shape (packets,)."""
        return np.array(self._at_s)

    @property
    def timestamps(self) -> npt.NDArray[np.int64]:
        """Every RTP timestamp, 32 bits, shape (packets,)."""
        return np.array(self._timestamp, dtype=np.int64)

    @property
    def last_s(self) -> float | None:
        """When the packet noted last came; None before the first."""
        return float(self._at_s[-1]) if self._at_s else None

    @property
    def ordered(self) -> bool:
        """Whether they were noted by instant."""
        at_s = self.at_s
        return bool(np.all(at_s[1:] >= at_s[:-1]))

    @property
    def sequences(self) -> npt.NDArray[np.uint16]:
        """Every sequence number, 16 bits, shape (packets,)."""
        return np.array(self._sequence, dtype=np.uint16)

    def holds(self, payload_type: int | None) -> bool:
        """Return whether any packet is of ``payload_type``; None is no type."""
        return payload_type is not None and payload_type in self._type

    @property
    def known(self) -> bool:
        """Whether every payload is one of those that were likely."""
        return len(self._ends) == 1

    def columns(self) -> Columns:
        """Return all as columns."""
        types = set(self._type)
        kind = types.pop() if len(types) == 1 else None
        return Columns(self.at_s, self._sequence, self.timestamps, list(self._payloads()), kind)

    def payload(self, place: int) -> bytes:
        """Return the payload of the packet at ``place``."""
        where = self._place[place]
        if where >= 0:
            return self._likely[where] or b""
        return bytes(self._bytes[self._ends[~where] : self._ends[~where + 1]])

    def __len__(self) -> int:
        return len(self._at_s)

    @overload
    def __getitem__(self, place: int) -> Arrival: ...
    @overload
    def __getitem__(self, place: slice) -> list[Arrival]: ...
    def __getitem__(self, place: int | slice) -> Arrival | list[Arrival]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        packet = RtpPacket(
            sequence=self._sequence[place],
            timestamp=self._timestamp[place],
            payload=self.payload(place),
            payload_type=self._type[place],
        )
        return self._at_s[place], packet

    def __iter__(self) -> Iterator[Arrival]:
        packets = map(RtpPacket, self._sequence, self._timestamp, self._payloads(), self._type)
        return zip(self._at_s, packets, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows

    def _payloads(self) -> Iterator[bytes]:
        likely: Sequence[bytes | None]
        likely, kept, ends = self._likely, self._bytes, self._ends
        # A ``Looped`` speech works each of its payloads out when asked; a list of all of them is one pass.
        if len(self) > len(likely) // 2:
            likely = list(likely)
        for where in self._place:
            yield likely[where] or b"" if where >= 0 else bytes(kept[ends[~where] : ends[~where + 1]])

    def _keep(self, payload: bytes) -> None:
        self._place.append(~(len(self._ends) - 1))
        self._bytes += payload
        self._ends.append(len(self._bytes))

    def _found(self, payload: bytes) -> int | None:
        """Return where ``payload`` stands in ``likely``, usually behind the last; None where it does not."""
        place: int
        likely, count = self._likely, len(self._likely)
        # Believed to be a stranger's for good: else each of its packets would be compared with 96 places in
        # vain.
        if self._misses >= _PATIENCE or not count or not payload:
            return None
        for step in _STEPS:
            # Round and round, for a speech may loop.
            place = (self._next + step) % count
            if likely[place] == payload:
                self._misses = 0
                # A packet that was overtaken does not move the place on: those behind it were met already.
                if step >= 0:
                    self._next = place + 1
                return place
        self._misses += 1
        return None


def in_time(arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """Return ``arrivals`` by instant; equal instants keep their order."""
    if not isinstance(arrivals, Arrivals):
        return iter(sorted(arrivals, key=lambda arrival: arrival[0]))
    if arrivals.ordered:
        return iter(arrivals)
    order: list[int] = np.argsort(arrivals.at_s, kind="stable").tolist()
    return (arrivals[place] for place in order)


class Coming:
    """Arrivals by instant, one after the other; ``at_s`` is when the next one comes, infinity when there is none."""

    __slots__ = ("_arrivals", "_columns", "_left", "_next", "_skips", "_taken", "at_s")

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self._arrivals, self._taken = arrivals, 0
        self._left = in_time(arrivals)
        self._columns: Columns | None = None
        # Once packets were passed over, the iterator stands behind: from then on the columns are asked, by
        # place.
        self._skips = False
        self.at_s, self._next = next(self._left, _NO_MORE)

    @property
    def all_known(self) -> bool:
        """Whether all that will ever come is known, and none of it was taken yet."""
        return self._taken == 0

    def columns(self) -> Columns:
        """Return all there is, taken or not, by instant."""
        if self._columns is None:
            arrivals = self._arrivals
            columns = (arrivals if isinstance(arrivals, Arrivals) else Arrivals(arrivals)).columns()
            self._columns = columns if np.all(np.diff(columns.at_s) >= 0) else columns.in_time()
        return self._columns

    def take(self) -> RtpPacket:
        """Return the next packet and turn to the one after it."""
        taken = self._next
        self._taken += 1
        if self._skips:
            self._turn()
        else:
            self.at_s, self._next = next(self._left, _NO_MORE)
        return taken

    def skip(self, count: int) -> None:
        """Pass over the next ``count``, all of one type: they are no packets before they are taken."""
        self._taken += count
        self._skips = True
        self._turn()

    def _turn(self) -> None:
        columns, place = self.columns(), self._taken
        if place < len(columns.payloads):
            self.at_s, self._next = float(columns.at_s[place]), columns.packet(place)
        else:
            self.at_s, self._next = _NO_MORE


class Growing(Coming):
    """Arrivals that are noted by instant while they are taken; ``look`` has to be asked before the next is there."""

    __slots__ = ()

    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__(())
        self._arrivals = arrivals

    @property
    def all_known(self) -> bool:
        """No: more may come."""
        return False

    def look(self) -> None:
        """Find the next one where there was none yet."""
        if self.at_s == math.inf and self._taken < len(self._arrivals):
            self.at_s, self._next = self._arrivals[self._taken]

    def take(self) -> RtpPacket:
        """Return the next packet and turn to the one after it, where that has come."""
        taken, self.at_s = self._next, math.inf
        self._taken += 1
        self.look()
        return taken


_NO_MORE: Final[Arrival] = (math.inf, RtpPacket(sequence=0, timestamp=0, payload=b""))
