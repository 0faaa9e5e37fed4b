"""The flows of cross traffic at work: they send into a queue and learn at once what became of it.

Rules:
    1. A flow names the next instant at which it does something, and does it when told to; whoever runs several runs
       them in the order of time.
    2. Packets are 1,200 bytes of TCP, for the others what has come together in at least 1 ms, at least 200 and at most
       1,500 bytes. (libwebrtc sends longer ones at high rates.)
    3. TCP learns of a loss from the next packet that arrives, or after a second or two round trips. One halving answers
       for all that was sent before it (RFC 6582's ``recover``; libwebrtc counts a round trip from it, and so often
       halves twice). What is known lost is not in flight; libwebrtc counts it for a second and stands still meanwhile.

Source: libwebrtc ``test/network/cross_traffic.cc`` and ``api/test/network_emulation/cross_traffic.h``; RFC 5681 for
half of what is in flight.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from rtcprobe.link.streams import block_sizes

__all__ = [
    "LEAST_WINDOW",
    "TCP_BYTES",
    "TICK_S",
    "Crossed",
    "Download",
    "Flow",
    "Pulser",
    "Queue",
    "Visitor",
    "Wanderer",
    "packets_per_s",
]

# A walk's mean step is downwards: it is idle a quarter of the time, and at a third of its peak in the mean (of
# 200,000 steps). A window of 10 packets is RFC 6928's, of 2 the least that RFC 5681 lets a loss leave.
TICK_S: Final = 0.001
_LEAST_BYTES: Final = 200
_MOST_BYTES: Final = 1500
_UPDATE_TICKS: Final = 200
_BIAS: Final = -0.1
_DEVIATION: Final = 0.6
TCP_BYTES: Final = 1200
_FIRST_WINDOW: Final = 10
LEAST_WINDOW: Final = 2
_TIMEOUT_S: Final = 1.0
"""The constants of libwebrtc's cross traffic, but for ``_MOST_BYTES``, an Ethernet packet."""

# The window is 20 times the largest file: who fetches is held by slow start alone.
_FILE_BYTES, _NO_LIMIT_BYTES = (30e3, 50e3), 1_000_000
"""What a page is made of, RFC 8868 §5.1; and a window that such a file does not fill."""

_FORGETTING: Final = 200
"""Steps of the walk (40 s) after which nothing is left of where it began."""


class Queue(Protocol):
    """Where flows send to: the bottleneck of the hop."""

    def leave(self, size_bytes: int, now_s: float) -> float | None:
        """Return when a packet offered at ``now_s`` has left; None when it was dropped."""
        ...


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


def _send(queue: Queue, size_bytes: int, now_s: float, crossed: Crossed) -> float | None:
    left_s = queue.leave(size_bytes, now_s)
    crossed.sent += 1
    if left_s is None:
        crossed.lost += 1
    else:
        crossed.delivered_bytes += size_bytes
    return left_s


def packets_per_s(peak_bps: float) -> float:
    """Return how many packets a second come of a rate: all that a tick brings in pieces, or fewer and smaller ones."""
    # What a tick brings is sent in it, in as many pieces as it takes; below 200 bytes it is saved up.
    a_tick = peak_bps / 8 * TICK_S
    return math.ceil(a_tick / _MOST_BYTES) / TICK_S if a_tick > _LEAST_BYTES else a_tick / _LEAST_BYTES / TICK_S


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
        """Send what has come together, and find out when to look again."""
        # All the ticks left out brought the same: the rate changes at a look only.
        self._pending_bytes += self._bytes_per_tick * (self._next_tick - self._tick)
        self._tick = self._next_tick
        while self._pending_bytes >= _LEAST_BYTES:
            size_bytes = int(min(self._pending_bytes, _MOST_BYTES))
            self._pending_bytes -= size_bytes
            _send(queue, size_bytes, self.next_s, self.crossed)
        self._bytes_per_tick, until_tick = self._from(self._tick)
        if self._bytes_per_tick > 0:
            # The tick at which 200 bytes will be together: looks before that would find nothing to send.
            wanting = math.ceil((_LEAST_BYTES - self._pending_bytes) / self._bytes_per_tick)
            until_tick = min(until_tick, self._tick + max(1, wanting))
        self._next_tick = until_tick
        self.next_s = self._begin_s + until_tick * TICK_S

    def stand_still(self, for_s: float) -> None:
        """Move everything that is to come ``for_s`` into the future."""
        self._begin_s += for_s
        self.next_s += for_s

    def _from(self, tick: int) -> tuple[float, int]:
        """Return the bytes a tick from ``tick`` on, and the tick until which that holds."""
        raise NotImplementedError


class Wanderer(_Ticking):
    """A rate that wanders."""

    def __init__(self, peak_bps: float, rng: np.random.Generator, begin_s: float) -> None:
        super().__init__(begin_s)
        self._peak_bytes = peak_bps / 8 * TICK_S
        self._intensity = float(rng.random())
        self._steps = _walk(rng)
        # Else every link would begin in the middle of the range, where the walk with its downward bias seldom is.
        for _ in range(_FORGETTING):
            self._move()

    def _from(self, tick: int) -> tuple[float, int]:
        if tick % _UPDATE_TICKS == 0 and tick:
            self._move()
        return self._peak_bytes * self._intensity, (tick // _UPDATE_TICKS + 1) * _UPDATE_TICKS

    def _move(self) -> None:
        self._intensity = min(1.0, max(0.0, self._intensity + next(self._steps)))


def _walk(rng: np.random.Generator) -> Iterator[float]:
    root = math.sqrt(_UPDATE_TICKS * TICK_S)
    for size in block_sizes():
        yield from (rng.normal(_BIAS, _DEVIATION, size) * root).tolist()


class Pulser(_Ticking):
    """A rate that comes in pulses."""

    def __init__(self, peak_bps: float, for_s: float, every_s: float, rng: np.random.Generator, begin_s: float) -> None:
        super().__init__(begin_s)
        self._peak_bytes = peak_bps / 8 * TICK_S
        self._on = round(for_s / TICK_S)
        self._cycle = round(every_s / TICK_S)
        self._place = int(rng.integers(self._cycle))

    def _from(self, tick: int) -> tuple[float, int]:
        place = (tick + self._place) % self._cycle
        if place < self._on:
            return self._peak_bytes, tick + self._on - place
        return 0.0, tick + self._cycle - place


class Download:
    """TCP with always something to send, which those who look at it later find anywhere in its sawtooth.

    Without a phase of its own every join would meet the very same queue. Slow start ends with what line and queue
    hold in flight, which is the top of the sawtooth, and as much again lost; the first cut leaves anything between that
    top and its half, the foot.
    """

    def __init__(
        self,
        rtt_s: float,
        window_bytes: int,
        rng: np.random.Generator,
        begin_s: float,
        *,
        packets: float = math.inf,
        crossed: Crossed | None = None,
    ) -> None:
        # Two numbers for every download, whether the window ever gets as far as a sawtooth or not: a
        # visitor's next file is drawn from the same place of its generator.
        into_trip, into_tooth = rng.random(2).tolist()
        self.crossed = crossed or Crossed()
        self._packets = packets
        self.next_s = begin_s + into_trip * rtt_s
        self._place = 0.5 + 0.5 * into_tooth
        self._asked_rtt_s = rtt_s
        self._most = window_bytes // TCP_BYTES
        self._window = float(min(_FIRST_WINDOW, self._most))
        self._threshold = math.inf
        self._halved_s = -math.inf
        self._rtt_s = rtt_s
        self._number = 0
        self._arriving: deque[tuple[float, int, float]] = deque()  # (told of at, number, sent at)
        self._missing: deque[tuple[int, float]] = deque()  # (number, sent at), dropped and not noticed yet

    @property
    def window(self) -> float:
        """The congestion window, packets."""
        return self._window

    def step(self, queue: Queue) -> None:
        """Take in what has become known, and send what the window allows."""
        now_s = self.next_s
        held = len(self._arriving)
        in_flight = held + len(self._missing)
        # One acknowledgement a step; ``next_s`` brings the flow back at once where another is due at the same
        # instant.
        if self._arriving and self._arriving[0][0] <= now_s:
            _, number, sent_s = self._arriving.popleft()
            self._rtt_s = now_s - sent_s
            # The queue keeps order, so a missing one with a lower number was dropped there.
            lost_s = self._notice(before=number)
            if lost_s is None:
                # Slow start, then one packet more a window of acknowledgements (RFC 5681, section 3.1).
                self._window += 1 if self._window <= self._threshold else 1 / self._window
                self._window = min(self._window, self._most)
        else:
            lost_s = self._notice(until_s=now_s)
        if lost_s is not None and lost_s >= self._halved_s:  # what is sent at that instant is sent after it
            # The first cut is not to the half but to where this flow's own phase of the sawtooth begins.
            left = in_flight // 2 if self._halved_s > -math.inf else int(self._place * max(held, in_flight // 2))
            self._halved_s = now_s
            self._threshold = self._window = float(max(left, LEAST_WINDOW))
        # Rounded up: a window that grows by 1 / window sends the extra packet as soon as it has begun to be
        # earned.
        room = math.ceil(self._window) - len(self._arriving) - len(self._missing)
        for _ in range(min(room, int(min(self._packets - self._number, room)))):
            self._send(queue, now_s)
        told_s = self._arriving[0][0] if self._arriving else math.inf
        # With nothing under way that could tell, time does.
        given_up_s = self._given_up_s() if self._missing else math.inf
        self.next_s = min(told_s, given_up_s)

    @property
    def done(self) -> bool:
        """Whether a file of so many ``packets`` is through; one that was lost is one more to send."""
        return self._number >= self._packets and not self._arriving and not self._missing

    def stand_still(self, for_s: float) -> None:
        """Move everything that is to come ``for_s`` into the future."""
        self.next_s += for_s
        # All instants move, those of the past too, or the silence would count as round trip and time out what
        # waits.
        self._halved_s += for_s
        self._arriving = deque((at_s + for_s, number, sent_s + for_s) for at_s, number, sent_s in self._arriving)
        self._missing = deque((number, sent_s + for_s) for number, sent_s in self._missing)

    def _send(self, queue: Queue, now_s: float) -> None:
        left_s = _send(queue, TCP_BYTES, now_s, self.crossed)
        if left_s is None:
            self._missing.append((self._number, now_s))
        else:
            # The way there and back without this queue comes after it: the sum is what an acknowledgement
            # takes.
            self._arriving.append((left_s + self._asked_rtt_s, self._number, now_s))
        self._number += 1

    def _notice(self, *, before: int = 0, until_s: float = -math.inf) -> float | None:
        """Take those ``before`` a number, or given up by then, off the missing; return when the last was sent."""
        lost_s = None
        while self._missing and (self._missing[0][0] < before or self._given_up_s() <= until_s):
            _, lost_s = self._missing.popleft()
            # What was lost is sent again: for a file of so many packets, one more to send.
            self._packets += 1
        return lost_s

    def _given_up_s(self) -> float:
        return self._missing[0][1] + max(_TIMEOUT_S, 2 * self._rtt_s)


class Visitor:
    """A client that fetches a small file over a TCP connection of its own, reads, and fetches the next.

    Files are of 30 to 50 kB, all sizes alike; what lies between the end of one and the next is exponential.

    Source: RFC 8868 §5.1, the short TCP flows of RFC 8867 §5.7.
    """

    MOST_PACKETS: Final = math.ceil(_FILE_BYTES[1] / TCP_BYTES)

    def __init__(self, rtt_s: float, idle_s: float, rng: np.random.Generator, begin_s: float, *, fetches: bool) -> None:
        self.crossed = Crossed()
        self._rtt_s, self._idle_s, self._rng = rtt_s, idle_s, rng
        self._download: Download | None = None
        self.next_s = begin_s if fetches else begin_s + rng.exponential(idle_s)

    def step(self, queue: Queue) -> None:
        """Begin a file, or go on with it."""
        now_s, download = self.next_s, self._download
        if download is None:
            packets = math.ceil(self._rng.uniform(*_FILE_BYTES) / TCP_BYTES)
            download = self._download = Download(
                self._rtt_s, _NO_LIMIT_BYTES, self._rng, now_s, packets=packets, crossed=self.crossed
            )
        else:
            download.step(queue)
        self.next_s = download.next_s
        # The pause begins with the file's end, as a reader's does (exponential, RFC 8868, section 5.1).
        if download.done:
            self._download, self.next_s = None, now_s + self._rng.exponential(self._idle_s)

    def stand_still(self, for_s: float) -> None:
        """Move everything that is to come ``for_s`` into the future."""
        self.next_s += for_s
        if self._download is not None:
            self._download.stand_still(for_s)
