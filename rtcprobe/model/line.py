"""One way between two parties: its path, the tally of what it did, and when the last packet sealed so far arrives.

Where nothing that happens hangs on when a datagram arrives, and the path's hops seal many at once, what will enter is
planned, or noted, and sealed together as soon as somebody asks: a few times a minute, not at every packet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rtcprobe.link import LinkSpec, Path, Tally
from rtcprobe.model.wire import on_the_wire

__all__ = ["Line"]

Instants = npt.NDArray[np.float64]
Sizes = npt.NDArray[np.int64]


class Line:
    """A way; ``offer`` what enters it, in the order of time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._planned_s: Instants = np.zeros(0)
        self._planned_bytes: Sizes = np.zeros(0, dtype=np.int64)
        self._take: Callable[[list[float], list[int]], object] | None = None
        self._sealed = 0  # of those planned
        self._noted_s: list[float] = []
        self._noted_bytes: list[int] = []
        self.tally = Tally()
        self.last_arrival_s = 0.0
        """The latest arrival sealed so far: after it, nothing is under way any more."""

    def offer(self, size_bytes: int, now_s: float) -> tuple[float, ...]:
        """Return when the copies of a datagram of ``size_bytes`` (UDP payload) arrive: none, one, or two."""
        self.settle(now_s)
        size_bytes = on_the_wire(size_bytes)
        fate = self.path.offer(size_bytes, now_s)
        # As a kernel does (RFC 1122 §4.1.3.4): no stack ever sees what came damaged, and it is told as lost.
        if fate.corrupt:
            fate = fate.whole()
        self.tally.add(now_s, size_bytes, fate)
        arrivals_s = fate.arrivals_s
        if arrivals_s and arrivals_s[-1] > self.last_arrival_s:
            self.last_arrival_s = arrivals_s[-1]
        return arrivals_s

    def plan(self, offer_s: Instants, sizes: Sizes, take: Callable[[list[float], list[int]], object]) -> None:
        """Let datagrams enter at instants that do not fall, where ``path.seals_many`` and nothing hangs on when.

        ``take`` is told when some arrive, and which, once they are sealed: by the next ``offer`` after them, or when
        that is asked for (``settle``).
        """
        self._planned_s, self._take = offer_s, take
        self._planned_bytes = sizes + on_the_wire(0)

    @property
    def planned(self) -> bool:
        """Whether all that is large was planned, so that ``note`` may be asked."""
        return self._take is not None

    def note(self, size_bytes: int, now_s: float) -> None:
        """Let a datagram enter of which nobody asks when it arrives."""
        self._noted_s.append(now_s)
        self._noted_bytes.append(on_the_wire(size_bytes))

    def settle(self, until_s: float) -> None:
        """Seal what was planned and noted up to ``until_s``."""
        begin, noted = self._sealed, len(self._noted_s)
        end = int(np.searchsorted(self._planned_s, until_s, side="right"))
        if self._take is None or (begin == end and not noted):
            return
        offer_s = np.concatenate([self._planned_s[begin:end], self._noted_s])
        sizes = np.concatenate([self._planned_bytes[begin:end], np.array(self._noted_bytes, dtype=np.int64)])
        # Stable: of one instant what was planned (sound) enters before what was
        # noted (reports), as on the stack's agenda.
        order = np.argsort(offer_s, kind="stable")
        arrival_s = np.empty(len(order))
        arrival_s[order], drops = self.path.offer_many(offer_s[order])
        self.tally.add_many(offer_s[order], sizes[order], arrival_s[order], drops)
        self.last_arrival_s = max(self.last_arrival_s, float(np.nanmax(arrival_s, initial=0.0)))
        self._sealed = end
        self._noted_s.clear()
        self._noted_bytes.clear()
        came = np.flatnonzero(~np.isnan(arrival_s[: end - begin]))
        self._take(arrival_s[came].tolist(), (came + begin).tolist())

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
            # STUN doubles so (RFC 8489 §6.2.1), and DTLS (RFC 6347 §4.2.4.1).
            wait_s *= 2
        return None

    def told(self) -> tuple[tuple[LinkSpec, ...], Tally]:
        """Return its hops, and what it did."""
        return tuple(link.spec for link in self.path.links), self.tally
