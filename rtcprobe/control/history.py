"""What was sent, and what feedback says became of it.

Rules:
    1. Arrival instants are rounded down to the millisecond, as libwebrtc's estimators see them.
    2. A lost packet stays, and may be reported received later. What was reported received is told once.
    3. Numbers never sent, and reports that come twice, say nothing.

Source: libwebrtc ``modules/congestion_controller/rtp/transport_feedback_adapter.cc``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from rtcprobe.control.feedback import Feedback
from rtcprobe.wrapping import unwrapped

__all__ = ["History", "Report", "Sent"]

# kSendTimeHistoryWindow. A tick of feedback is 250 µs, so four are the millisecond of rule 1.
_REMEMBERED_S: Final = 60.0
_TICKS_PER_MS: Final = 4


@dataclass(slots=True, eq=False)
class Sent:
    """One packet: ``size_bytes`` with IP and UDP headers, ``arrival_s`` on the receiver's clock (NaN: not known).

    ``cluster`` is the probe it belongs to. ``unacked_bytes`` were sent before it without the extension.
    """

    sequence: int
    sent_s: float
    size_bytes: int
    cluster: int | None = None
    arrival_s: float = math.nan
    unacked_bytes: int = 0

    @property
    def received(self) -> bool:
        """Whether feedback said that it came."""
        return self.arrival_s == self.arrival_s


@dataclass(slots=True, eq=False)
class Report:
    """One message as the sender reads it: packets by number, those that came by arrival."""

    at_s: float
    packets: list[Sent]
    received: list[Sent] = field(default_factory=list)
    in_flight_bytes: int = 0


class History:
    """Packets of the last minute by their unwrapped number."""

    def __init__(self) -> None:
        self._sent: dict[int, Sent] = {}
        self._oldest = 0
        self._newest = -1
        self._acked = -1
        self._reference: int | None = None
        self._unacked_bytes = 0
        self.in_flight_bytes = 0
        self.last_sent_s: float | None = None

    def sent(self, sequence: int, size_bytes: int, now_s: float, cluster: int | None = None) -> None:
        """Take down a packet that carried the extension; ``sequence`` may be wrapped to 16 bit."""
        # The first number is taken as it is: a call may begin anywhere in 16 bits, and what feedback says is
        # unwrapped against it.
        if self._newest < 0:
            self._oldest, number = sequence, sequence
            # Nothing before the first number is under way, or the first report would take off what was never
            # added.
            self._acked = sequence - 1
        else:
            number = unwrapped(sequence & 0xFFFF, self._newest, 16)
        # Before the new one is counted: what left a minute ago without a word is under way no more.
        self._forget(now_s)
        self._newest = max(self._newest, number)
        self._sent[number] = Sent(number, now_s, size_bytes, cluster, unacked_bytes=self._unacked_bytes)
        self._unacked_bytes = 0
        self.in_flight_bytes += size_bytes
        self.last_sent_s = now_s

    def sent_untold(self, size_bytes: int) -> None:
        """Take down a packet without the extension: the next one's acknowledged size includes it."""
        self._unacked_bytes += size_bytes

    def read(self, feedback: Feedback, now_s: float) -> Report | None:
        """Return what ``feedback`` says that was not known; None when that is nothing."""
        if self._newest < 0:
            return None
        reference = feedback.reference & 0xFFFFFF
        # The base is unwrapped against what was sent, the clock against the last report: each wraps by itself.
        reference = reference if self._reference is None else unwrapped(reference, self._reference, 24)
        self._reference = reference
        at, number = reference * 256, unwrapped(feedback.base, self._newest, 16)
        packets, received = [], []
        # The clock advances with every delta, even of a packet that is not known: deltas build on one
        # another.
        for delta in feedback.deltas:
            packet = self._sent.get(number)
            number += 1
            if delta is not None:
                at += delta
                if packet is not None and not packet.received:
                    # Rule 1: down to the ms, not to the nearest.
                    packet.arrival_s = at // _TICKS_PER_MS / 1000
                    received.append(packet)
                    packets.append(packet)
            # Lost as far as this report knows; said received before, it stays received (reports overlap when some get
            # lost).
            elif packet is not None and not packet.received:
                packets.append(packet)
        if not packets:
            return None
        # All up to the newest reported number is out of the network, whether it came or not.
        self._acknowledge(packets[-1].sequence)
        # By arrival, not by number: groups and rates downstream take the order of arrival for granted.
        received.sort(key=_arrival)
        return Report(now_s, packets, received, self.in_flight_bytes)

    def _acknowledge(self, newest: int) -> None:
        sent = self._sent
        while self._acked < newest:
            self._acked += 1
            packet = sent.get(self._acked)
            if packet is not None:
                self.in_flight_bytes -= packet.size_bytes

    def _forget(self, now_s: float) -> None:
        sent = self._sent
        while self._oldest <= self._newest:
            packet = sent.get(self._oldest)
            if packet is not None:
                if now_s - packet.sent_s <= _REMEMBERED_S:
                    break
                # Nobody will report it now: it must not fill the congestion window for ever.
                if packet.sequence > self._acked:
                    self.in_flight_bytes -= packet.size_bytes
                    self._acked = packet.sequence
                del sent[self._oldest]
            self._oldest += 1


def _arrival(packet: Sent) -> float:
    return packet.arrival_s
