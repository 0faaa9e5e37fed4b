"""Encoded frames in a row, kept as one piece of memory: as objects of their own they would take twice as much."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, cycle, islice, pairwise
from typing import overload

import numpy as np
import numpy.typing as npt

__all__ = ["Frames", "Looped", "Payloads"]


_FEW = 4096
"""A minute of 20 ms, and more: half a megabyte as objects."""


class Payloads(Sequence[bytes | None]):
    """Payloads by their place, None where nothing is sent; an empty one is none."""

    __slots__ = ("_bytes", "_ends", "_ready")

    def __init__(self, payloads: Iterable[bytes | None] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("I", [0])  # four gigabytes are a week of speech
        self._ready: list[bytes | None] = []  # all of them as objects, where they are few: a call asks for each often
        for payload in payloads:
            self.append(payload)

    def append(self, payload: bytes | None) -> None:
        """Put ``payload`` at the end."""
        if payload:
            # One piece of memory and where each ends: an empty stretch is "nothing sent", so no second list
            # says which are.
            self._bytes += payload
        self._ends.append(len(self._bytes))
        self._ready.clear()

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many bytes each has, 0 for None; shape (payloads,)."""
        ends = np.array(self._ends, dtype=np.int64)
        sizes: npt.NDArray[np.int64] = ends[1:] - ends[:-1]
        return sizes

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes | None]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes | None] | None:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        try:
            if self._ready or self._readied():
                return self._ready[place]
            at = place if place >= 0 else place + len(self)
            begin, end = self._ends[at], self._ends[at + 1]
        except IndexError:
            raise IndexError(f"there are {len(self)} payloads, not {place}") from None
        return bytes(self._bytes[begin:end]) if end > begin else None

    def _readied(self) -> bool:
        """Make them objects where they are few; return whether they are, and there are any."""
        if len(self) <= _FEW:
            self._ready.extend(self)
        return bool(self._ready)

    def __iter__(self) -> Iterator[bytes | None]:
        whole = bytes(self._bytes)
        return (whole[begin:end] or None for begin, end in pairwise(self._ends))


class Looped(Sequence[bytes | None]):
    """``count`` payloads: those of ``once``, and then its last ``turn`` ones again and again."""

    __slots__ = ("_all", "_count", "_ready", "_turn", "once")

    def __init__(self, once: Payloads, turn: int, count: int) -> None:
        if not 0 < turn <= len(once):
            raise ValueError(f"of {len(once)} payloads the last {turn} cannot come again")
        self.once, self._turn, self._count = once, turn, count
        self._ready = list(once)
        # A call asks for each payload three times: where there are few, all are looked up once and kept by place.
        self._all: list[bytes | None] = list(self) if count <= _FEW else []

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many bytes each has, 0 for None; shape (payloads,)."""
        places = np.arange(self._count)
        ahead = places - len(self.once)
        return self.once.sizes[np.where(ahead < 0, places, len(self.once) - self._turn + ahead % self._turn)]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes | None]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes | None] | None:
        if self._all and not isinstance(place, slice) and -self._count <= place < self._count:
            return self._all[place]
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._count))]
        at = place if place >= 0 else place + self._count
        if not 0 <= at < self._count:
            raise IndexError(f"there are {self._count} payloads, not {place}")
        ready, turn = self._ready, self._turn
        # From the end backwards: the place in the turn, less the turn, is a negative index into ``once``.
        return ready[at] if at < len(ready) else ready[(at - len(ready)) % turn - turn]

    def __iter__(self) -> Iterator[bytes | None]:
        return islice(chain(self._ready, cycle(self._ready[-self._turn :])), self._count)


Frames = Payloads | Looped
