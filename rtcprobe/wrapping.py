"""Numbers that wrap: RTP counts packets in 16 bits and its clock in 32 (RFC 3550 §5.1), others in other widths.

Rule: a number is taken for the one nearest to another that is known; half a cycle away counts as ahead. A sequence
    number of 20 ms packets is half a cycle away after 11 minutes, a timestamp at 48 kHz after 12 hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["RTP_CYCLE", "Unwrapper", "counted_on", "unwrapped", "without_wraps"]

RTP_CYCLE: Final = 1 << 32
"""After how many ticks an RTP timestamp is the same again (RFC 3550 §5.1)."""

Ints = npt.NDArray[np.int64]
Number = TypeVar("Number", int, npt.NDArray[np.int64])


def unwrapped(value: Number, near: int, bits: int) -> Number:
    """Return the number nearest to ``near`` whose last ``bits`` are those of ``value``; of arrays, each."""
    cycle = 1 << bits
    ahead = (value - near) % cycle
    # ``ahead`` is 0 to cycle - 1; what is more than half a cycle ahead is nearer behind. Python's % is never
    # negative, for arrays too.
    return near + ahead - cycle * (ahead > cycle // 2)


def counted_on(values: npt.NDArray[np.integer], bits: int) -> Ints:
    """Return counters of ``bits`` bits counted on beyond their wraps, each nearest to the one before; shape kept."""
    wide = values.astype(np.int64)
    if not len(wide):
        return wide
    # Each step is wrapped to the nearest to nought, and the steps are added up: what the loop of an
    # ``Unwrapper`` does.
    steps: Ints = np.concatenate([wide[:1], unwrapped(np.diff(wide), 0, bits)])
    return np.cumsum(steps)


def without_wraps(sequences: Sequence[int]) -> list[list[int]]:
    """Return ascending ``sequences`` cut where they wrap: each piece is a NACK of its own (RFC 4585 §6.2.1)."""
    # An entry of a NACK names numbers above its own; aiortc packs what ascends, and nothing else.
    cuts = [place for place, (before, after) in enumerate(pairwise(sequences), 1) if after < before]
    return [list(sequences[begin:end]) for begin, end in pairwise([0, *cuts, len(sequences)])]


class Unwrapper:
    """Counts a wrapping number on: each value as near to the last as can be."""

    __slots__ = ("_bits", "_last")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._last: int | None = None

    def peek(self, value: int) -> int:
        """Return ``value`` unwrapped without remembering it."""
        return value if self._last is None else unwrapped(value, self._last, self._bits)

    def unwrap(self, value: int) -> int:
        """Return ``value`` unwrapped; the next is counted from it."""
        self._last = self.peek(value)
        return self._last
