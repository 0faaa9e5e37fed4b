"""The part of the seam that counts packets into aiortc's statistics of a source, many at a time.

Known to hold for aiortc 1.16; ``tests/runtime/test_statistics_seam.py`` says which name moved when a new release breaks
it, and that both ways of counting come to the same.

Fact: aiortc asks for the time with each packet it counts; here each is told with its instant.

Source: RFC 3550 §6.4.1 (what a report says), A.1 (numbers that wrap), A.8 (interarrival jitter, sixteenths kept).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiortc.rtcrtpreceiver import StreamStatistics

from rtcprobe.runtime.aiortc_seam import attribute

__all__ = ["Counted", "counting"]

Counted = tuple[float, int, int]
"""A packet: when it came (seconds of the wall clock), its number and timestamp."""


def counting(stream: StreamStatistics) -> Callable[[Iterable[Counted]], None]:
    """Return what counts packets into ``stream``, in order of arrival; it has counted its first already.

    Raises:
        SeamError: an internal name has moved.
    """
    rate: int = attribute(stream, "_clockrate")
    for name in ("_jitter_q4", "_last_arrival", "_last_timestamp"):
        attribute(stream, name)
    inside: Any = stream

    def count(packets: Iterable[Counted]) -> None:
        received, newest, cycles = inside.packets_received, inside.max_seq, inside.cycles
        jitter, last_arrival, last_timestamp = inside._jitter_q4, inside._last_arrival, inside._last_timestamp  # noqa: SLF001
        for wall_s, number, timestamp in packets:
            received += 1
            if not 0 < (number - newest) & 0xFFFF < 0x8000:  # what was overtaken, or came twice, tells of no jitter
                continue
            arrival = int(wall_s * rate)
            if number < newest:
                cycles += 1 << 16
            newest = number
            if timestamp != last_timestamp:
                jitter += abs((arrival - last_arrival) - (timestamp - last_timestamp)) - ((jitter + 8) >> 4)
            last_arrival, last_timestamp = arrival, timestamp
        inside.packets_received, inside.max_seq, inside.cycles = received, newest, cycles
        inside._jitter_q4, inside._last_arrival, inside._last_timestamp = jitter, last_arrival, last_timestamp  # noqa: SLF001

    return count
