"""The real loop: asyncio on the machine's clock, with timers ten times finer than the default.

Facts:
    epoll waits in whole milliseconds, select in microseconds. Measured on 1,469 timers: default loop p50 620 µs and
    p95 1,076 µs late, a loop over ``select`` p50 112 µs and p95 184 µs. A probe has few sockets, so select's limit
    of 1,024 descriptors is far away.
    Linux lets a wait end late by the thread's timer slack (50 µs) or by a thousandth of the wait, whichever is more
    (``select_estimate_accuracy`` in fs/select.c): a wait that ends early, then a short one without slack halve the p50.
    A core that has slept comes back slowly, its caches cold: joins on a loop that is awake, and rehearses, when a
    packet comes are 2 to 4 ms shorter (81 of them, 40 ms each way). Awake all the time they are no shorter, and Linux
    would take 50 ms of every second away from a process at real-time priority (sched(7), sched_rt_runtime_us).
"""

from __future__ import annotations

import asyncio
import ctypes
import selectors
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rtcprobe.runtime.dialing import DIALER
from rtcprobe.runtime.meanwhile import Meanwhile, Rehearsal
from rtcprobe.runtime.network import HOST

__all__ = ["RealEventLoop", "taking", "work_s"]

# Chosen, not searched for: with it joins are as short as on a loop that never sleeps (Facts), and of the 20 ms between
# two packets of a call the core may sleep eight.
_AWAKE_S = 0.012
_REST_EVERY_S = 0.009
_REST_S = 0.001
"""A tenth of the time, where Linux wants a twentieth: what the loop works between two waits counts as awake."""
# How much earlier a wait is ended: the thousandth of 0.4 s by which Linux may be late (Facts), so that no shorter wait
# ends late. What is left is waited for anew, and its thousandth is nothing.
_EARLY_S = 0.0004
_PR_SET_TIMERSLACK = 29  # prctl(2), in nanoseconds, of the calling thread


class RealEventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop with sub-millisecond timers whose datagram endpoints belong to hosts of a ``Network``."""

    def __init__(self, *, awake: bool = False, rests: bool = False, rehearsals: Sequence[Rehearsal] = ()) -> None:
        """Make a loop; one that is ``awake`` does not sleep for ``_AWAKE_S`` before a timer is due.

        ``rests``: it sleeps a tenth of that time all the same, as a thread at real-time priority must.
        ``rehearsals`` are the work to come in short steps, done again and again meanwhile: they keep caches warm.
        """
        _without_slack()
        self._watch = _AwakeSelector(rehearsals, rests=rests) if awake else None
        super().__init__(self._watch or _PunctualSelector())

    @property
    def watched_s(self) -> float:
        """CPU seconds that an ``awake`` loop has spent with nothing to do."""
        return 0.0 if self._watch is None else self._watch.watched_s

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.DatagramProtocol], *args: Any, **kwargs: Any
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """Open an endpoint of the current host, or asyncio's own where no host is set."""
        host = HOST.get()
        if host is None or "sock" in kwargs:  # a socket made elsewhere (mDNS) is no part of the call
            return await super().create_datagram_endpoint(protocol_factory, *args, **kwargs)
        return host.network.create_endpoint(
            host, protocol_factory, local_addr=kwargs.get("local_addr"), remote_addr=kwargs.get("remote_addr")
        )

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **kwargs: Any
    ) -> tuple[asyncio.Transport, Any]:
        """Open a connection: as the current dialer does it where one is set, else asyncio's own."""
        dialer = DIALER.get()
        if dialer is None or host is None:
            return await super().create_connection(protocol_factory, host, port, **kwargs)
        return await dialer(protocol_factory, host, port)


class _PunctualSelector(selectors.SelectSelector):
    """Ends a wait a little early, with nothing to do: the loop then waits for the rest."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > _EARLY_S:
            timeout -= _EARLY_S
        return super().select(timeout)


class _AwakeSelector(selectors.SelectSelector):
    """Looks again and again instead of sleeping before a timer is due, and rehearses where there is time for it."""

    def __init__(self, rehearsals: Sequence[Rehearsal], *, rests: bool) -> None:
        super().__init__()
        self.watched_s = 0.0
        self._rests = rests
        self._rested_s = time.monotonic()
        self._meanwhile = Meanwhile(rehearsals)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Nothing is due: nobody knows how long this lasts, and a core awake for nothing is somebody else's.
        if timeout is None or timeout <= 0.0:
            return super().select(timeout)
        ends_s = time.monotonic() + timeout
        if timeout > _AWAKE_S:
            if ready := super().select(timeout - _AWAKE_S):
                return ready
            self._rested_s = time.monotonic()
        began_s = time.thread_time()
        while not (ready := super().select(0.0)):
            left_s = ends_s - time.monotonic()
            if left_s <= 0.0:
                break
            # Rests that Linux would else take by force, 50 ms at a time (Facts).
            if self._rests and time.monotonic() - self._rested_s > _REST_EVERY_S:
                ready = super().select(min(left_s, _REST_S))  # a packet ends it
                self._rested_s = time.monotonic()
                if ready:
                    break
                continue
            self._meanwhile.go_on(left_s)
        self.watched_s += time.thread_time() - began_s
        return ready


def work_s() -> float:
    """Return the CPU seconds this thread has worked: what an ``awake`` loop watched is left out.

    0 where time is virtual: CPU takes none of it, and asking the system costs a join a twentieth of its own.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return 0.0
    return time.thread_time() - loop.watched_s if isinstance(loop, RealEventLoop) else 0.0


@contextmanager
def taking(own_s: dict[str, float], step: str) -> Iterator[None]:
    """Add the CPU seconds of this block to those of ``step``; what others do while it waits is counted with it."""
    begun_s = work_s()
    try:
        yield
    finally:
        own_s[step] = own_s.get(step, 0.0) + work_s() - begun_s


def _without_slack() -> None:
    if sys.platform == "linux":  # elsewhere, and where it is refused, timers are as good as they were
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
