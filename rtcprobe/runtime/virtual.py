"""An event loop whose time jumps: nothing ever waits, so a 60 s call takes a second and is repeatable to the bit.

Facts:
    An event loop runs what is ready, then waits for the next timer. One that moves its clock there instead of waiting
    gives virtual time: callbacks run in the same order, with the same timestamps, on every machine.

Rules:
    1. The clock is an integer of nanoseconds; ``time()`` is that integer in seconds. It moves only when nothing
       is ready to run, and then exactly to the next timer.
    2. CPU costs no time. What is measured here is network and protocol timers, never the machine.
    3. There are no sockets. A datagram endpoint comes from ``network``; anything else that would wait for a file
       descriptor waits for ever, so it is refused.
    4. Nothing scheduled and nothing ready is a deadlock, and is said at once. So is its opposite: work that goes on for
       ever without letting time pass.
    5. Of happenings nobody wakes for (``Coasting``) the loop takes all that are due before its next timer in one turn.
       The clock reads the instant of each meanwhile; who goes by it cannot tell.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Protocol

from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.network import HOST

__all__ = ["EPOCH_S", "VirtualEventLoop", "VirtualTimeStoppedError", "running"]

EPOCH_S = 1_600_000_000.0
"""Wall-clock instant (Unix seconds) that virtual time zero stands for: 2020-09-13T12:26:40Z, for RTCP's NTP stamps."""


_MOST_ROUNDS = 1_000_000
"""Rounds of the loop at one instant; a call of eight parties takes some hundreds, what spins takes all there are."""


class VirtualTimeStoppedError(RuntimeError):
    """Every task waits for something that can never happen."""


_NOTHING = object()
"""What there is to await where there is nothing to shut down."""

_HERE = threading.local()


def running() -> VirtualEventLoop | None:
    """Return the virtual loop that runs in this thread; None where none does.

    ``asyncio.get_running_loop`` asks the system for the process' number each time it is called (CPython 3.11), and a
    packet's way through aiortc asks for the time.
    """
    return getattr(_HERE, "loop", None)


class Coasting(Protocol):
    """Happenings of which nobody can tell whether each had a turn of the loop, or all before a timer had one together.

    They take their instants from ``turn_to``, in order among themselves; between two timers others' may come before.
    """

    @property
    def next_s(self) -> float:
        """When the next is due."""
        ...

    def holds(self) -> bool:
        """Whether that is still so."""
        ...

    def get_off(self) -> None:
        """Have what is to come by timers instead."""
        ...

    def let_go(self, before_s: float) -> None:
        """Have what comes before ``before_s`` by timers instead."""
        ...

    def run(self, until_s: float) -> None:
        """Let happen what is due before ``until_s``."""
        ...


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time, starting at 0 s, with randomness of its own (``entropy``)."""

    def __init__(self, entropy: Entropy) -> None:
        self._now_ns = 0
        self._rounds = 0
        self._events: list[_Event] = []
        self._order = count()
        self.coasts: list[Coasting] = []
        super().__init__(_NoSelector())
        # asyncio runs timers early by up to this much: the clock's own step, so that none is.
        self._clock_resolution = 1e-9
        self.entropy = entropy
        self.certificates = count()
        """Which of the process' certificates the next connection has (``aiortc_seam``)."""

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._now_ns * 1e-9

    @property
    def resolution_s(self) -> float:
        """The clock's step: what is due within one of an instant happens then."""
        return self._clock_resolution

    def turn_to(self, when_s: float) -> float:
        """Let the clock read ``when_s`` for what happens then (``Coasting``); return what it reads."""
        self._now_ns = max(self._now_ns, math.ceil(when_s * 1e9))
        return self._now_ns * 1e-9

    def run_forever(self) -> None:
        """Run until stopped."""
        before, _HERE.loop = running(), self
        try:
            super().run_forever()
        finally:
            _HERE.loop = before

    def close(self) -> None:
        """Close; what is still under way is let go: it holds the hosts, and those this loop, in a circle."""
        self._events.clear()
        self.coasts.clear()
        super().close()

    get_debug = staticmethod(bool)
    """Return False, at once: asyncio asks it of every task, future and handle, some five hundred times a join."""

    def run_until_complete(self, future: Any) -> Any:
        """Run until ``future`` is done: not at all for what a shutdown has nothing to do with."""
        return None if future is _NOTHING else super().run_until_complete(future)

    def shutdown_asyncgens(self) -> Any:
        """Close asynchronous generators, where there are any; a run of the loop for none is a hundredth of a join."""
        return super().shutdown_asyncgens() if self._asyncgens else _NOTHING  # type: ignore[attr-defined]

    def shutdown_default_executor(self) -> Any:
        """Do nothing: nothing runs in a thread."""
        return _NOTHING

    def at(self, when_s: float, call: Callable[..., object], *args: object) -> None:
        """Call ``call`` at ``when_s``: a timer that nobody takes back, in the order of instants and then of asking.

        A third of the cost of ``call_at``, and outside any context: for packets, which are most of what happens.
        """
        heapq.heappush(self._events, _Event((when_s, next(self._order), call, args)))

    def _run_once(self) -> None:
        """Run what is ready; when nothing is, jump to the next timer first.

        asyncio's own round, less what only real descriptors need: half the cost of a packet is rounds.
        """
        ready, scheduled, events = self._ready, self._scheduled, self._events  # type: ignore[attr-defined]
        # Time never jumps to a timer that was taken back: nothing would happen there, and a deadlock would be hidden.
        while scheduled and scheduled[0]._cancelled:  # noqa: SLF001
            heapq.heappop(scheduled)._scheduled = False  # noqa: SLF001
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        self._rounds += 1
        if self._rounds > _MOST_ROUNDS:
            self._rounds = 0
            raise VirtualTimeStoppedError(f"virtual time stands still at {self.time():.6f} s: something works for ever")
        due_s = self._now_ns * 1e-9 + self._clock_resolution
        # Packets before timers of the same instant, by their instants: the two heaps stand for one.
        while events and events[0][0] < due_s and (not scheduled or events[0][0] <= scheduled[0]._when):  # noqa: SLF001
            ready.append(heapq.heappop(events))
        while scheduled and scheduled[0]._when < due_s:  # noqa: SLF001
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # noqa: SLF001
            ready.append(timer)
        for _ in range(len(ready)):  # not what these add: it has a round of its own, as in asyncio
            handle = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001
                handle._run()  # noqa: SLF001
        # Packets that come before any timer, and start nothing else, need no round of their own. Where some coast, a
        # round asks them first.
        while events and not ready and not self.coasts and not self._stopping:  # type: ignore[attr-defined]
            first_s = events[0][0]
            now_ns = max(self._now_ns, math.ceil(first_s * 1e9))
            due_s = now_ns * 1e-9 + self._clock_resolution
            if scheduled and scheduled[0]._when < due_s:  # noqa: SLF001
                break
            self._now_ns, self._rounds = now_ns, 0
            # All of one instant are taken before any is run, so that what they send for this very instant comes after.
            together = [heapq.heappop(events)]
            while events and events[0][0] < due_s:
                together.append(heapq.heappop(events))
            for event in together:
                event._run()  # noqa: SLF001

    def run_in_executor(  # type: ignore[override]  # simpler than typeshed's variadic generics
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run ``func`` here and now: a thread would finish at a moment that no seed decides."""
        del executor
        # Its awaiter still takes a round of the loop to go on, as after a thread.
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever awaits
            future.set_exception(error)
        return future

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.DatagramProtocol], *_args: Any, **_kwargs: Any
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """Open an endpoint of the current host.

        Raises:
            NotImplementedError: no host is set: a socket would wait in real time (rule 3).
        """
        host = HOST.get()
        if host is None:
            raise NotImplementedError("virtual time has no sockets: open endpoints on behalf of a host")
        return host.network.create_endpoint(host, protocol_factory)

    async def create_connection(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: a socket would wait in real time (rule 3).

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("virtual time has no sockets: use the real loop to reach a server")

    def _make_self_pipe(self) -> None:
        """Open no sockets to be woken by: nothing waits here (rule 2), and two a call are a fiftieth of a join."""
        self._ssock = self._csock = None

    def _close_self_pipe(self) -> None:
        """Close none."""

    def _jump(self) -> None:
        if not (self.coasts and self._coast()):
            self._to_next()
        # What else comes at the instant the clock stands at is taken together with what woke it, in one order.
        for coast in self.coasts:
            coast.let_go(self._now_ns * 1e-9 + self._clock_resolution)

    def _to_next(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]  # asyncio's heap of timers
        # Rule 4: the loop would otherwise wait in real time, for ever.
        if not scheduled and not self._events:
            raise VirtualTimeStoppedError("virtual time stands still: nothing is ready and no timer is set")
        next_s = scheduled[0]._when if scheduled else math.inf  # noqa: SLF001
        if self._events:
            next_s = min(next_s, self._events[0][0])
        # Rounded up: nobody is called at a time before the one they asked for.
        self._now_ns = max(self._now_ns, math.ceil(next_s * 1e9))
        self._rounds = 0

    def _coast(self) -> bool:
        """Let happen what coasts before the next timer; return whether the clock stands right by then."""
        for coast in tuple(self.coasts):
            if not coast.holds():
                coast.get_off()
        scheduled, events = self._scheduled, self._events  # type: ignore[attr-defined]
        # A packet that coasts comes before a timer of the same instant, and after a packet that does not coast.
        until_s = math.nextafter(scheduled[0]._when, math.inf) if scheduled else math.inf  # noqa: SLF001
        if events:
            until_s = min(until_s, events[0][0])
        ready = self._ready  # type: ignore[attr-defined]
        begun_ns, last_ns, told = self._now_ns, -1, 0
        for coast in self.coasts:
            if coast.next_s < until_s:
                self._now_ns = begun_ns
                coast.run(until_s)
                last_ns = max(last_ns, self._now_ns)
                # Somebody's error is told at its instant: the others come as far, and no further.
                if len(ready) > told:
                    told, last_ns, until_s = len(ready), self._now_ns, self._now_ns * 1e-9
        # The last instant of them may be the next timer's, too: that is within the clock's step of it.
        together = until_s < last_ns * 1e-9 + self._clock_resolution
        self._now_ns = last_ns if together else begun_ns
        return together


class _Event(tuple[float, int, Callable[..., object], tuple[object, ...]]):
    """When, in what order, what is called, with what; stands among asyncio's handles, and is run as they are."""

    __slots__ = ()
    _cancelled = False

    def _run(self) -> None:
        _, _, call, args = self
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001 - as a handle does
            context = {"message": f"Exception in callback {call!r}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


class _NoSelector(selectors.BaseSelector):
    """Takes registrations (asyncio's own wake-up pipe) and never waits."""

    def __init__(self) -> None:
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[number] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        del timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys
