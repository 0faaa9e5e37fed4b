"""Cross traffic: other people's packets in the same queue, which is what makes a real queue wait.

Facts:
    ===========  ==============================================================================================
    random-walk  a rate of ``peak`` times an intensity, which every 200 ms steps by a normal number of mean -0.1
                 and standard deviation 0.6 times the root of the seconds passed, held to 0..1
    pulses       ``peak`` for a while, then nothing, and again
    tcp          a download without end: slow start, then one packet more a round trip, half the window on a loss
    ===========  ==============================================================================================

    libwebrtc calls the 0.6 a variance and uses it as a standard deviation; so do we, or the figures would mean
    something else. Its first step has no time to be measured from and jumps to 0 or 1; ours does not.

Rules:
    1. What has to share a line was there before: flows of the link as it starts have been running for
       ``REMEMBERED_S``, the walk at a level drawn from where it usually is, pulses anywhere in their cycle. A flow
       that the schedule brings begins then.
    2. After a longer silence of the call, flows stand still until ``REMEMBERED_S`` before it ends: a relay that idles
       for an hour must not run an hour of downloads at the next packet.
    3. Flows and call pass the queue in the order of time; at the same instant flows are first.
    4. TCP learns of a loss from the next packet that arrives, or after a second or two round trips. One halving answers
       for all that was sent before it (RFC 6582's ``recover``; libwebrtc counts a round trip from it, and so often
       halves twice). What is known lost is not in flight; libwebrtc counts it for a second and stands still meanwhile.
    5. Packets are 1,200 bytes of TCP, for the others what has come together in at least 1 ms, at least 200 and at most
       1,500 bytes. (libwebrtc sends longer ones at high rates.)

Source: libwebrtc ``test/network/cross_traffic.cc`` and ``api/test/network_emulation/cross_traffic.h``; RFC 5681 for
half of what is in flight.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.link.streams import block_sizes
from rtcprobe.units import format_duration, format_rate

__all__ = ["REMEMBERED_S", "CrossTraffic", "Crossed", "Crossing", "Pulses", "Queue", "RandomWalk", "Tcp"]

REMEMBERED_S: Final = 10.0
"""What flows did longer ago is forgotten: TCP fills the deepest usual queue, and the walk finds its level, in less."""

MOST_PACKETS_PER_S: Final = 1e4
"""More would cost more than the call: some 3 µs of CPU each."""

_TICK_S: Final = 0.001
_LEAST_BYTES: Final = 200
_MOST_BYTES: Final = 1500
_UPDATE_TICKS: Final = 200
_BIAS: Final = -0.1
_DEVIATION: Final = 0.6
_TCP_BYTES: Final = 1200
_FIRST_WINDOW: Final = 10
_LEAST_WINDOW: Final = 2
_TIMEOUT_S: Final = 1.0
"""The constants of libwebrtc's cross traffic, but for ``_MOST_BYTES``, an Ethernet packet."""

_FORGETTING: Final = 200
"""Steps of the walk (40 s) after which nothing is left of where it began."""

_LONGEST_S: Final = 60.0


class Queue(Protocol):
    """Where flows send to: the bottleneck of the hop."""

    def leave(self, size_bytes: int, now_s: float) -> float | None:
        """Return when a packet offered at ``now_s`` has left; None when it was dropped."""
        ...


class CrossTraffic(Protocol):
    """What was asked of one flow."""

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        ...

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomWalk:
    """A rate that wanders between nothing and ``peak_bps``.

    Raises:
        BadInputError: a peak of nothing.
    """

    peak_bps: float = 100e3

    def __post_init__(self) -> None:
        _need_peak(self.peak_bps)

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        del line_bps
        return _packets_per_s(self.peak_bps)

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        return _Wanderer(self, rng, begin_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulses:
    """``peak_bps`` for ``for_s``, and again ``every_s``. In YAML, on and off would be true and false.

    Raises:
        BadInputError: a peak of nothing, no pulse, no pause.
    """

    peak_bps: float = 100e3
    for_s: float = 0.100
    every_s: float = 2.1

    def __post_init__(self) -> None:
        _need_peak(self.peak_bps)
        if not _TICK_S <= self.for_s <= _LONGEST_S:
            raise BadInputError(f"for {format_duration(self.for_s)} is impossible", "give 1ms to 60s")
        if not self.for_s + _TICK_S <= self.every_s <= 2 * _LONGEST_S:
            raise BadInputError(
                f"every {format_duration(self.every_s)} is no longer than for {format_duration(self.for_s)}",
                "leave time between two of them, up to 2min in all",
            )

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        del line_bps
        return _packets_per_s(self.peak_bps)

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        return _Pulser(self, rng, begin_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """A download without end. ``rtt_s`` is its round trip without this queue, ``window_bytes`` what its receiver takes.

    Raises:
        BadInputError: no round trip, a window of less than a packet.
    """

    rtt_s: float
    window_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        if not _TICK_S <= self.rtt_s <= _LONGEST_S:
            raise BadInputError(f"rtt {format_duration(self.rtt_s)} is impossible", "give 1ms to 60s")
        if self.window_bytes < _LEAST_WINDOW * _TCP_BYTES:
            raise BadInputError(
                f"window {self.window_bytes}B is impossible", f"give {_LEAST_WINDOW * _TCP_BYTES}B or more"
            )

    def packets_per_s(self, line_bps: float) -> float:
        """Return the most packets a second it could send into a line of that speed."""
        return min(line_bps / 8, self.window_bytes / self.rtt_s) / _TCP_BYTES

    def flow(self, rng: np.random.Generator, begin_s: float) -> Flow:
        """Return the flow, to begin at ``begin_s``."""
        del rng
        return _Download(self, begin_s)


def _need_peak(peak_bps: float) -> None:
    if not peak_bps >= 1e3:
        raise BadInputError(f"peak {format_rate(peak_bps)} is impossible", "give 1kbit or more")


def _packets_per_s(peak_bps: float) -> float:
    """Return how many packets come of a rate: all that a tick brings in pieces, or fewer and smaller ones."""
    a_tick = peak_bps / 8 * _TICK_S
    return math.ceil(a_tick / _MOST_BYTES) / _TICK_S if a_tick > _LEAST_BYTES else a_tick / _LEAST_BYTES / _TICK_S


@dataclass(slots=True)
class Crossed:
    """What a flow did so far: packets sent into the queue, those lost there, bytes that left it."""

    sent: int = 0
    lost: int = 0
    delivered_bytes: int = 0


class Flow(Protocol):
    """A flow at work."""

    crossed: Crossed
    next_s: float
    """When it does something again."""

    def step(self, queue: Queue) -> None:
        """Do what is due at ``next_s``."""
        ...

    def stand_still(self, for_s: float) -> None:
        """Move everything that is to come ``for_s`` into the future."""
        ...


class Crossing:
    """The flows that share the queue of a hop."""

    def __init__(self, queue: Queue, flows: Sequence[Flow], begin_s: float) -> None:
        self._queue = queue
        self._flows = flows
        self._now_s = begin_s

    def crossed(self) -> tuple[Crossed, ...]:
        """Return what each flow did so far."""
        return tuple(flow.crossed for flow in self._flows)

    def advance(self, now_s: float) -> None:
        """Let the flows send everything up to ``now_s``."""
        idle_s = now_s - self._now_s - REMEMBERED_S
        if idle_s > 0:
            for flow in self._flows:
                flow.stand_still(idle_s)
        queue = self._queue
        while True:
            flow = min(self._flows, key=_next_s)
            if flow.next_s > now_s:
                break
            flow.step(queue)
        self._now_s = max(self._now_s, now_s)


def _next_s(flow: Flow) -> float:
    return flow.next_s


def _send(queue: Queue, size_bytes: int, now_s: float, crossed: Crossed) -> float | None:
    left_s = queue.leave(size_bytes, now_s)
    crossed.sent += 1
    if left_s is None:
        crossed.lost += 1
    else:
        crossed.delivered_bytes += size_bytes
    return left_s


class _Ticking:
    """A flow that looks every millisecond whether enough has come together; looks that would find nothing are left out.

    Subclasses say what comes in a tick until when.
    """

    def __init__(self, begin_s: float) -> None:
        self.crossed = Crossed()
        self.next_s = begin_s
        self._begin_s = begin_s
        self._tick = 0
        self._next_tick = 0
        self._bytes_per_tick = 0.0
        self._pending_bytes = 0.0

    def step(self, queue: Queue) -> None:
        self._pending_bytes += self._bytes_per_tick * (self._next_tick - self._tick)
        self._tick = self._next_tick
        while self._pending_bytes >= _LEAST_BYTES:
            size_bytes = int(min(self._pending_bytes, _MOST_BYTES))
            self._pending_bytes -= size_bytes
            _send(queue, size_bytes, self.next_s, self.crossed)
        self._bytes_per_tick, until_tick = self._from(self._tick)
        if self._bytes_per_tick > 0:
            wanting = math.ceil((_LEAST_BYTES - self._pending_bytes) / self._bytes_per_tick)
            until_tick = min(until_tick, self._tick + max(1, wanting))
        self._next_tick = until_tick
        self.next_s = self._begin_s + until_tick * _TICK_S

    def stand_still(self, for_s: float) -> None:
        self._begin_s += for_s
        self.next_s += for_s

    def _from(self, tick: int) -> tuple[float, int]:
        """Return the bytes a tick from ``tick`` on, and the tick until which that holds."""
        raise NotImplementedError


class _Wanderer(_Ticking):
    def __init__(self, asked: RandomWalk, rng: np.random.Generator, begin_s: float) -> None:
        super().__init__(begin_s)
        self._peak_bytes = asked.peak_bps / 8 * _TICK_S
        self._intensity = float(rng.random())
        self._steps = _walk(rng)
        for _ in range(_FORGETTING):
            self._move()

    def _from(self, tick: int) -> tuple[float, int]:
        if tick % _UPDATE_TICKS == 0 and tick:
            self._move()
        return self._peak_bytes * self._intensity, (tick // _UPDATE_TICKS + 1) * _UPDATE_TICKS

    def _move(self) -> None:
        self._intensity = min(1.0, max(0.0, self._intensity + next(self._steps)))


def _walk(rng: np.random.Generator) -> Iterator[float]:
    root = math.sqrt(_UPDATE_TICKS * _TICK_S)
    for size in block_sizes():
        yield from (rng.normal(_BIAS, _DEVIATION, size) * root).tolist()


class _Pulser(_Ticking):
    def __init__(self, asked: Pulses, rng: np.random.Generator, begin_s: float) -> None:
        super().__init__(begin_s)
        self._peak_bytes = asked.peak_bps / 8 * _TICK_S
        self._on = round(asked.for_s / _TICK_S)
        self._cycle = round(asked.every_s / _TICK_S)
        self._place = int(rng.integers(self._cycle))

    def _from(self, tick: int) -> tuple[float, int]:
        place = (tick + self._place) % self._cycle
        if place < self._on:
            return self._peak_bytes, tick + self._on - place
        return 0.0, tick + self._cycle - place


class _Download:
    def __init__(self, asked: Tcp, begin_s: float) -> None:
        self.crossed = Crossed()
        self.next_s = begin_s
        self._asked_rtt_s = asked.rtt_s
        self._most = asked.window_bytes // _TCP_BYTES
        self._window = float(min(_FIRST_WINDOW, self._most))
        self._threshold = math.inf
        self._halved_s = -math.inf
        self._rtt_s = asked.rtt_s
        self._number = 0
        self._arriving: deque[tuple[float, int, float]] = deque()  # (told of at, number, sent at)
        self._missing: deque[tuple[int, float]] = deque()  # (number, sent at), dropped and not noticed yet

    @property
    def window(self) -> float:
        """The congestion window, packets."""
        return self._window

    @property
    def _patience_s(self) -> float:
        return max(_TIMEOUT_S, 2 * self._rtt_s)

    def step(self, queue: Queue) -> None:
        now_s = self.next_s
        in_flight = len(self._arriving) + len(self._missing)
        if self._arriving and self._arriving[0][0] <= now_s:
            _, number, sent_s = self._arriving.popleft()
            self._rtt_s = now_s - sent_s
            lost_s = self._notice(lambda missing: missing[0] < number)
            if lost_s is None:
                self._window += 1 if self._window <= self._threshold else 1 / self._window
                self._window = min(self._window, self._most)
        else:
            lost_s = self._notice(lambda missing: missing[1] + self._patience_s <= now_s)
        if lost_s is not None and lost_s >= self._halved_s:  # what is sent at that instant is sent after it
            self._halved_s = now_s
            self._threshold = self._window = float(max(in_flight // 2, _LEAST_WINDOW))
        for _ in range(math.ceil(self._window) - len(self._arriving) - len(self._missing)):
            self._send(queue, now_s)
        told_s = self._arriving[0][0] if self._arriving else math.inf
        given_up_s = self._missing[0][1] + self._patience_s if self._missing else math.inf
        self.next_s = min(told_s, given_up_s)

    def stand_still(self, for_s: float) -> None:
        self.next_s += for_s
        self._halved_s += for_s
        self._arriving = deque((at_s + for_s, number, sent_s + for_s) for at_s, number, sent_s in self._arriving)
        self._missing = deque((number, sent_s + for_s) for number, sent_s in self._missing)

    def _send(self, queue: Queue, now_s: float) -> None:
        left_s = _send(queue, _TCP_BYTES, now_s, self.crossed)
        if left_s is None:
            self._missing.append((self._number, now_s))
        else:
            self._arriving.append((left_s + self._asked_rtt_s, self._number, now_s))
        self._number += 1

    def _notice(self, gone: Callable[[tuple[int, float]], bool]) -> float | None:
        """Take what is ``gone`` off the missing packets; return when the last of it was sent."""
        lost_s = None
        while self._missing and gone(self._missing[0]):
            _, lost_s = self._missing.popleft()
        return lost_s
