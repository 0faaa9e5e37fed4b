"""Encoded frames in a row, kept as one piece of memory: as objects of their own they would take twice as much."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
import numpy.typing as npt

__all__ = ["Payloads"]


class Payloads(Sequence[bytes | None]):
    """Payloads by their place, None where nothing is sent; an empty one is none."""

    __slots__ = ("_bytes", "_ends")

    def __init__(self, payloads: Iterable[bytes | None] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("I", [0])  # four gigabytes are a week of speech
        for payload in payloads:
            self.append(payload)

    def append(self, payload: bytes | None) -> None:
        """Put ``payload`` at the end."""
        if payload:
            self._bytes += payload
        self._ends.append(len(self._bytes))

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
        ends = self._ends
        at = place if place >= 0 else place + len(ends) - 1
        if not 0 <= at < len(ends) - 1:
            raise IndexError(f"there are {len(self)} payloads, not {place}")
        begin, end = ends[at], ends[at + 1]
        return bytes(self._bytes[begin:end]) if end > begin else None

    def __iter__(self) -> Iterator[bytes | None]:
        whole = bytes(self._bytes)
        return (whole[begin:end] or None for begin, end in pairwise(self._ends))
