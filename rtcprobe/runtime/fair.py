"""Who leaves next where several streams wait for one line: start-time fair queueing.

Facts:
    Each level of a WebRTC stream's priority is given about twice what the level below is, in bytes, whatever the medium
    (RFC 8835 §4.1); between data channels the levels are weights of one association's streams (RFC 8832 §5.1, RFC 8831
    §6.4; the scheduler is RFC 8260 §3.6's). Who sends less than its share waits for one of each other at most.

Theory of operation:
    What comes is stamped with when it would begin to be served, were its stream alone and the line as fast as its
    weight: after the stream's last, and not before what is served now. The earliest stamp is next.
    Source: Goyal, Vin, Cheng, Start-time Fair Queueing, IEEE/ACM Transactions on Networking 5(5), 1997, §2.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from itertools import count
from typing import Generic, TypeVar

__all__ = ["FairQueue"]

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """What waits, by stream. Of one stream, and of equal stamps, who came first leaves first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Item]] = []
        self._after: dict[Hashable, float] = {}
        """By stream: the stamp that its next one gets where that does not come late."""
        self._served = 0.0
        self._count = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Item]:
        return (item for *_, item in sorted(self._waiting, key=lambda each: each[:2]))

    def push(self, stream: Hashable, weight: float, size_bytes: int, item: Item) -> None:
        """Let ``item`` of ``size_bytes`` wait; its stream's share is ``weight`` to those of the others."""
        stamp = max(self._served, self._after.get(stream, 0.0))
        self._after[stream] = stamp + size_bytes / weight
        heapq.heappush(self._waiting, (stamp, next(self._count), item))

    def pop(self) -> Item:
        """Return who is next; at least one waits."""
        self._served, _, item = heapq.heappop(self._waiting)
        return item
