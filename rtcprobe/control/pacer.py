"""The pacer: what is allowed leaves in bursts of at most 40 ms of the rate, in an order of its own.

Facts:
    What comes while nothing waits leaves at once while less than 40 ms of the rate is owed: a frame within the rate
    leaves in one go. What waits, waits until nothing is owed, and then as much leaves together: bursts 40 to 50 ms
    apart. Audio never waits, but is counted. By the source it would let more of what waits go as well; in recorded
    calls of Chromium 156 it does not: bursts follow each other by what they owe, whatever comes between. That is what
    costs voice its place behind a full queue: by the other rule it would always come just before a burst, 20 ms after
    the last one, and be lost a quarter as often as recorded.
    Then come retransmissions, before new media: above the line's rate they are what makes freezes. A queue that would
    last over 2 s is sent faster than the rate.

Source: libwebrtc ``modules/pacing/pacing_controller.cc``, ``prioritized_packet_queue.cc``, ``bitrate_prober.cc``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

from rtcprobe.control.probing import Probe

__all__ = ["Kind", "Pacer", "queue_rate_bps"]

Kind = Literal["audio", "audio retransmission", "retransmission", "video", "padding"]

# Bursts of 40 ms of the rate, 63 kB at most; a debt counts for 500 ms of the rate at most.
_BURST_S: Final = 0.040
_MOST_BURST_BYTES: Final = 63_000.0
_LONGEST_DEBT_S: Final = 0.500
# A queue is emptied within 2 s (kMaxExpectedQueueLength). A cluster that is 10 ms behind is given up; packets below 200
# bytes begin none; 5 clusters wait at most, 5 s at most.
_QUEUE_S: Final = 2.0
_LATE_PROBE_S: Final = 0.010
_LEAST_PROBED_BYTES: Final = 200.0
_MOST_PROBES, _PROBE_AGE_S = 5, 5.0
_ROUNDING_BYTES: Final = 1e-6
"""What floating point may leave of a debt that is paid."""
_PLACES: Final = {"audio retransmission": 0, "retransmission": 1, "video": 2}


def queue_rate_bps(pacing_bps: float, queue_bytes: int, waited_s: float) -> float:
    """Return how fast a queue is sent whose packets have waited so long on average: so that 2 s are enough."""
    return max(pacing_bps, 8 * queue_bytes / max(_QUEUE_S - waited_s, 0.001))


class Pacer:
    """Packets that wait to leave; ``leave(packet, size, cluster)`` is called with each as it leaves.

    ``next_s`` says when to ``process`` again; infinite: when something comes.
    """

    def __init__(self, leave: Callable[[Any, int, int | None], None]) -> None:
        self.pacing_bps = 0.0
        self.padding_bps = 0.0
        self.queue_bytes = 0
        self._leave = leave
        self._queues: tuple[deque[tuple[float, Any, int]], ...] = (deque(), deque(), deque())
        self._waited_since = 0.0  # sum of the instants of those that wait
        self._count = 0
        self._fresh = False  # what waits came while nothing did, and was not looked at yet
        self._debt = 0.0  # bytes
        self._padding_debt = 0.0
        self._at_s = 0.0
        self._probes: deque[Probe] = deque()
        self._probe_next_s = math.inf
        self._probe_begun_s: float | None = None
        self._probe_bytes = self._probe_sends = 0
        self._usual_bytes = 1000

    @property
    def expected_s(self) -> float:
        """How long what waits will take at the rate that it makes necessary."""
        return self.queue_bytes / self._rate() if self._count and self.pacing_bps else 0.0

    def put(self, kind: Kind, packet: Any, size_bytes: int, now_s: float) -> None:
        """Let a packet wait its turn; audio leaves at once."""
        if kind == "audio":
            self._pay(now_s)
            self._went(packet, size_bytes, None)
            return
        if not self._count:
            self._pay(now_s)
            self._fresh = True
        self._queues[_PLACES[kind]].append((now_s, packet, size_bytes))
        self.queue_bytes += size_bytes
        self._waited_since += now_s
        self._count += 1
        if (
            self._probes
            and self._probe_begun_s is None
            and size_bytes >= min(_LEAST_PROBED_BYTES, self._probes[0].send_bytes)
        ):
            self._probe_next_s = min(self._probe_next_s, now_s)

    def probe(self, probe: Probe, now_s: float) -> None:
        """Take in a cluster to send; it begins with the next packet that is large enough."""
        while self._probes and (len(self._probes) >= _MOST_PROBES or now_s - self._probes[0].at_s > _PROBE_AGE_S):
            self._end_probe()
        self._probes.append(probe)

    def flush(self) -> None:
        """Throw away the video that waits, and what of it is sent again: a key frame follows, and needs none of it."""
        for queue in self._queues[_PLACES["retransmission"] :]:
            for since_s, _, size_bytes in queue:
                self.queue_bytes -= size_bytes
                self._waited_since -= since_s
                self._count -= 1
            queue.clear()

    @property
    def next_s(self) -> float:
        """When something may leave next."""
        if self._probe_next_s < math.inf:
            return max(self._probe_next_s, self._at_s)
        rate = self._rate()
        if self._count:
            return self._at_s if self._may_begin(rate) else self._at_s + (self._debt / rate if rate else math.inf)
        if self.padding_bps:
            return self._at_s + max(self._debt / rate, self._padding_debt / (self.padding_bps / 8))
        return math.inf

    def process(self, now_s: float) -> None:
        """Let leave what may at ``now_s``."""
        self._pay(now_s)
        if self._probe_next_s <= now_s:
            self._send_probe(now_s)
        if self._probe_next_s < math.inf:
            # While a cluster is under way, what waits leaves as part of it alone.
            return
        rate = self._rate()
        if not rate:
            return
        if self._count and self._may_begin(rate):
            burst = min(_BURST_S * rate, _MOST_BURST_BYTES)
            while self._count and self._debt < burst:
                self._send_one(None)
            self._fresh = False
        if not self._count and self.padding_bps and not self._padding_debt and not self._debt:
            self._went(None, self._usual_bytes, None)

    def _may_begin(self, rate: float) -> bool:
        """Whether a burst of what waits may begin."""
        return not self._debt or (self._fresh and self._debt < min(_BURST_S * rate, _MOST_BURST_BYTES))

    def _rate(self) -> float:
        """Return bytes a second."""
        if not self._count:
            return self.pacing_bps / 8
        # Mean age of what waits, from one running sum: instants are added as packets come and taken off as
        # they go.
        waited_s = self._at_s - self._waited_since / self._count
        return queue_rate_bps(self.pacing_bps, self.queue_bytes, waited_s) / 8

    def _pay(self, now_s: float) -> None:
        passed_s = now_s - self._at_s
        if passed_s <= 0:
            return
        if self._debt:
            self._debt = max(0.0, self._debt - passed_s * self._rate()) if self.pacing_bps < math.inf else 0.0
            if self._debt < _ROUNDING_BYTES:
                self._debt = 0.0
        if self._padding_debt:
            self._padding_debt = max(0.0, self._padding_debt - passed_s * self.padding_bps / 8)
            if self._padding_debt < _ROUNDING_BYTES:
                self._padding_debt = 0.0
        self._at_s = now_s

    def _send_one(self, cluster: int | None) -> int:
        for queue in self._queues:
            if queue:
                since_s, packet, size_bytes = queue.popleft()
                self.queue_bytes -= size_bytes
                self._waited_since -= since_s
                self._count -= 1
                # Padding is sent again media (RTX), so it is as large as what was sent last.
                self._usual_bytes = size_bytes
                self._went(packet, size_bytes, cluster)
                return size_bytes
        self._went(None, self._usual_bytes, cluster)
        return self._usual_bytes

    def _went(self, packet: Any, size_bytes: int, cluster: int | None) -> None:
        self._leave(packet, size_bytes, cluster)
        if self.pacing_bps < math.inf:
            # Bounded, so that a rate that falls to a tenth does not silence the sender for what it owed at
            # the old one.
            self._debt = min(self._debt + size_bytes, max(_LONGEST_DEBT_S * self.pacing_bps / 8, size_bytes))
        self._padding_debt = min(self._padding_debt + size_bytes, _LONGEST_DEBT_S * self.padding_bps / 8)

    def _send_probe(self, now_s: float) -> None:
        probe = self._probes[0]
        # A cluster that could not be sent in its time would measure the sender, not the line.
        if self._probe_begun_s is not None and now_s - self._probe_next_s > _LATE_PROBE_S:
            self._end_probe()
            return
        if self._probe_begun_s is None:
            self._probe_begun_s = now_s
        sent = 0
        # Media first; ``_send_one`` makes padding of the usual size where none waits, so a cluster is always
        # filled.
        while sent < probe.send_bytes:
            sent += self._send_one(probe.number)
        self._probe_bytes += sent
        self._probe_sends += 1
        self._probe_next_s = self._probe_begun_s + 8 * self._probe_bytes / probe.rate_bps
        if self._probe_sends >= probe.packets and self._probe_bytes >= probe.least_bytes:
            self._end_probe()
            if self._probes:
                self._probe_next_s = now_s

    def _end_probe(self) -> None:
        self._probes.popleft()
        self._probe_begun_s, self._probe_next_s = None, math.inf
        self._probe_bytes = self._probe_sends = 0
