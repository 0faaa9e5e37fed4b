"""Calls that others recorded, heard again: packet captures, RTC event logs, a server's own recordings.

Read in this order: ``stream`` (what every reader leaves), ``records`` and ``layers`` and ``rtp`` (captures),
``eventlog``, ``mjr``, ``files`` (telling them apart); ``programme`` and ``hearing`` (playing them again), ``video``
(seeing them again), ``network`` (what the packets say themselves), ``heard`` (figures, JSON), ``bounds`` (budgets),
``pair`` (two captures of one call), ``dump`` (what a browser counted of a call itself) and ``parity`` (beside ours).
"""

from rtcprobe.capture.bounds import Bound, Kept, parse_bound
from rtcprobe.capture.dump import Dump, DumpedStream, read_dump
from rtcprobe.capture.files import read_capture
from rtcprobe.capture.heard import SCHEMA, Heard, HeardStream, hear
from rtcprobe.capture.network import Drift, Network
from rtcprobe.capture.pair import Between, between, clock_offset
from rtcprobe.capture.parity import Beside, Counted
from rtcprobe.capture.stream import Capture, Packets, Stream
from rtcprobe.capture.video import SeenStream

__all__ = [
    "SCHEMA",
    "Beside",
    "Between",
    "Bound",
    "Capture",
    "Counted",
    "Drift",
    "Dump",
    "DumpedStream",
    "Heard",
    "HeardStream",
    "Kept",
    "Network",
    "Packets",
    "SeenStream",
    "Stream",
    "between",
    "clock_offset",
    "hear",
    "parse_bound",
    "read_capture",
    "read_dump",
]
