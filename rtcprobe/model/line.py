"""One way between two parties: its path, the tally of what it did, and when the last packet sealed so far arrives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtcprobe.link import LinkSpec, Path, Tally
from rtcprobe.model.wire import on_the_wire

__all__ = ["Line"]


class Line:
    """A way; ``offer`` what enters it, in the order of time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tally = Tally()
        self.last_arrival_s = 0.0
        """The latest arrival sealed so far: after it, nothing is under way any more."""

    def offer(self, size_bytes: int, now_s: float) -> tuple[float, ...]:
        """Return when the copies of a datagram of ``size_bytes`` (UDP payload) arrive: none, one, or two."""
        size_bytes = on_the_wire(size_bytes)
        fate = self.path.offer(size_bytes, now_s)
        if fate.corrupt:
            fate = fate.whole()
        self.tally.add(now_s, size_bytes, fate)
        arrivals_s = fate.arrivals_s
        if arrivals_s and arrivals_s[-1] > self.last_arrival_s:
            self.last_arrival_s = arrivals_s[-1]
        return arrivals_s

    def offer_many(self, sizes: Sequence[int], offer_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return when datagrams arrive that enter at instants that do not fall, NaN where not; ``path.seals_many``."""
        arrival_s, drops = self.path.offer_many(offer_s)
        self.tally.add_many(offer_s, [on_the_wire(size_bytes) for size_bytes in sizes], arrival_s, drops)
        self.last_arrival_s = max(self.last_arrival_s, float(np.nanmax(arrival_s, initial=0.0)))
        return arrival_s

    def persist(self, size_bytes: int, now_s: float, first_wait_s: float, until_s: float) -> float | None:
        """Return when a datagram arrives that is sent again until it does, each wait twice the last.

        None where it was not there by ``until_s``.
        """
        wait_s = first_wait_s
        while now_s <= until_s:
            arrivals_s = self.offer(size_bytes, now_s)
            if arrivals_s:
                return arrivals_s[0] if arrivals_s[0] <= until_s else None
            now_s += wait_s
            wait_s *= 2
        return None

    def told(self) -> tuple[tuple[LinkSpec, ...], Tally]:
        """Return its hops, and what it did."""
        return tuple(link.spec for link in self.path.links), self.tally
