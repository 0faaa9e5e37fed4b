"""A call from our peer to a real receiver on this machine, every media datagram released at a planned instant.

Facts:
    - A receiver in the same operating system shares our monotonic clock, so spoken and heard need no synchronising.
    - libwebrtc opens no candidate on a loopback interface; a socket bound to the machine's own address is reached
      through the kernel alone, in about 0.1 ms.

Rules:
    1. Frame ``i`` is complete at ``t0 + 20·i ms`` and leaves at ``t0 + 20·i + delay_i``. Everything before the socket
       (encoding, SRTP) was done earlier: delays are 20 ms and more, so our own event loop may be late.
    2. Datagrams leave from a thread of their own; each is stamped when the kernel has taken it. What left, not what
       was planned, is what a model has to be judged with.
    3. Every thread of the process, libwebrtc's too, has real-time priority where the system grants it: with priority
       for one alone, the interpreter's lock would let it wait for the others (measured on a busy machine: datagrams
       3.2 ms late in the 99th percentile, now 0.6 ms).
    4. The stack gets frames 10 ms before they are complete, so that sealing one never meets the release of another.
    5. What is no RTP (STUN, DTLS, RTCP: RFC 7983 §7, RFC 5761 §4) leaves at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aioice.ice
import numpy as np
import numpy.typing as npt
from live_receivers import Receiver, Snapshot

from rtcprobe.audio.protection import Protection
from rtcprobe.call.mouth_track import Mouth, MouthTrack, Speech
from rtcprobe.call.peer import Peer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.endpoints import EmulatedTransport, SocketTransport
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.real import RealEventLoop

Array = npt.NDArray[np.float64]

FRAME_TICKS = 960
PTIME_S = 0.020
IDLE_S = 1.0  # the receiver asks for sound this long before there is any
SETTLED_S = 5.0
TAIL_S = 1.0
CONNECT_S = 15.0
REALTIME_PRIORITY = 20
HEAD_START_S = 0.010  # rule 4
_PR_SET_TIMERSLACK = 29  # Source: <linux/prctl.h>


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Call:
    """What was sent and what came out; instants in seconds after t0.

    ``departures`` (packets, 2): number and instant; ``lateness_s``: of each against the plan; ``blocks``: instant and
    samples (48 kHz, mono, ±1.0) as the receiver delivered them; ``settled`` and ``ended``: its counters.
    """

    departures: Array
    lateness_s: Array
    blocks: list[tuple[float, npt.NDArray[np.float32]]]
    settled: Snapshot
    ended: Snapshot


@dataclass(order=True, slots=True)
class _Waiting:
    due_s: float
    number: int
    source: SocketTransport = field(compare=False)
    data: bytes = field(compare=False)
    address: tuple[str, int] = field(compare=False)


class Releaser(threading.Thread):
    """Sends datagrams when they are due (rule 2); ``left`` holds number, instant and lateness of each."""

    def __init__(self) -> None:
        super().__init__(name="releaser", daemon=True)
        self.left: list[tuple[int, float, float]] = []
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._stopping = False

    def put(self, waiting: _Waiting) -> None:
        """Take a datagram; it may be due before others that wait already."""
        with self._changed:
            heapq.heappush(self._waiting, waiting)
            if self._waiting[0] is waiting:
                self._changed.notify()

    def stop(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Sleep until the next one is due, send it, note when it left."""
        while True:
            with self._changed:
                while not self._stopping and not self._waiting:
                    self._changed.wait()
                if self._stopping:
                    return
                left_s = self._waiting[0].due_s - time.monotonic()
                if left_s > 0.002:  # a condition wakes up late by up to a millisecond: the last stretch is slept
                    self._changed.wait(left_s - 0.0015)
                    continue
                first = heapq.heappop(self._waiting)
            time.sleep(max(0.0, first.due_s - time.monotonic()))
            first.source.send(first.data, first.address)
            now_s = time.monotonic()
            self.left.append((first.number, now_s, now_s - first.due_s))


class PlannedNetwork(Network):
    """The machine's own network, with RTP held back until ``delays_s[i]`` after frame ``i`` was due; NaN: lost."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delays_s: Sequence[float]) -> None:
        super().__init__(loop, sockets=True)
        self.releaser = Releaser()
        self.t0_s = 0.0
        """When frame 0 was complete, on the monotonic clock; known from the first packet on."""
        self.first_due_s: Callable[[], float] = lambda: 0.0
        """Says when the stack was to get frame 0, in seconds since the epoch."""
        self._delays_s = delays_s
        self._first_timestamp: int | None = None

    def carry(self, source: EmulatedTransport, data: bytes, address: tuple[str, int]) -> None:
        """Send what is no RTP; plan the release of what is."""
        assert isinstance(source, SocketTransport)
        if not is_rtp(data):
            source.send(data, address)
            return
        timestamp = int.from_bytes(data[4:8])
        if self._first_timestamp is None:
            self._first_timestamp = timestamp
            self.t0_s = self.epoch_s + self.first_due_s() + HEAD_START_S
        number = ((timestamp - self._first_timestamp) & 0xFFFFFFFF) // FRAME_TICKS
        delay_s = self._delays_s[number] if number < len(self._delays_s) else float("nan")
        if not np.isnan(delay_s):
            due_s = round(self.t0_s + PTIME_S * number + delay_s, 6)  # equal instants stay equal, and in order
            self.releaser.put(_Waiting(due_s, number, source, data, address))


def call(receiver: Receiver, frames: Sequence[bytes], delays_s: Sequence[float]) -> Call:
    """Return what ``receiver`` makes of ``frames`` released by ``delays_s`` (NaN: lost), in real time.

    Raises:
        MeasurementError: the two do not connect, or the machine has no address but loopback.
    """
    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(_call(receiver, frames, delays_s))


async def _call(receiver: Receiver, frames: Sequence[bytes], delays_s: Sequence[float]) -> Call:
    loop = asyncio.get_running_loop()
    aiortc_seam.install()
    network = PlannedNetwork(loop, delays_s)
    host = network.add_host("mouth", own_address())
    may_speak = asyncio.Event()
    mouth = Mouth(
        speech=Speech(frames=frames, ptime_s=PTIME_S),
        phase_s=float(np.random.default_rng().uniform(0, PTIME_S)),
        network=network,
        may_speak=may_speak,
    )
    peer = Peer(
        host,
        "caller",
        [SoundWanted(track=MouthTrack(mouth))],
        dtls_timeout_s=lambda _: 1.0,
        protection=Protection(),
    )
    network.first_due_s = lambda: peer.track.due_s(0)
    network.releaser.start()
    try:
        offer = await peer.offer()
        await peer.accept(Sdp("answer", await receiver.answer(offer.text)))
        try:
            await asyncio.wait_for(peer.connected.wait(), CONNECT_S)
        except TimeoutError:
            raise MeasurementError(
                f"the receiver did not connect within {CONNECT_S:g} s", "look whether a firewall keeps UDP apart"
            ) from None
        await asyncio.sleep(IDLE_S)
        may_speak.set()
        await asyncio.sleep(2 * PTIME_S)  # the first packet is on its way, so t0 is known
        assert network.t0_s
        await asyncio.sleep(network.t0_s + SETTLED_S - loop.time())
        settled = await receiver.snapshot()
        await asyncio.sleep(network.t0_s + len(frames) * PTIME_S - loop.time())
        ended = await receiver.snapshot()
        await asyncio.sleep(TAIL_S)
        blocks = await receiver.recording()
    finally:
        network.releaser.stop()
        await receiver.close()
        await peer.close()
    left = np.array(sorted(network.releaser.left))
    return Call(
        departures=np.column_stack((left[:, 0], left[:, 1] - network.t0_s)),
        lateness_s=left[:, 2],
        blocks=[(at_s - network.t0_s, pcm) for at_s, pcm in blocks],
        settled=settled,
        ended=ended,
    )


def own_address() -> str:
    """Return an IPv4 address of this machine that is no loopback address.

    Raises:
        MeasurementError: there is none.
    """
    addresses = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    if not addresses:
        raise MeasurementError(
            "this machine has no address but loopback, and libwebrtc uses no loopback", "bring up an interface"
        )
    return addresses[0]


def is_rtp(data: bytes) -> bool:
    """Return whether a datagram is RTP, not STUN, DTLS or RTCP. Source: RFC 7983 §7, RFC 5761 §4."""
    return len(data) >= 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223


def hurry() -> None:
    """Ask for real-time priority and exact timers for this thread and those it starts; go on without where refused."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REALTIME_PRIORITY))
