"""When a datagram reached its socket, as the kernel saw it: told with each that comes, where the system can.

Facts:
    - Linux stamps a datagram as it is put into the socket's queue and tells with it (socket(7), ``SO_TIMESTAMPNS``):
      seconds and nanoseconds of the wall clock, two longs. Python has no name for the option; on x86 and ARM it is 35
      (asm-generic/socket.h).
    - A loop that computes reads a datagram when it is done: on a loaded machine some milliseconds later.

Rule: what is asked for is an age, now less then, for the wall clock may be set at any moment; one that cannot be is 0.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

__all__ = ["age_s", "tell_stamps"]

_OPTION: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")
_OLDEST_S: Final = 1.0
"""Nothing waits longer in a queue of ours: the wall clock was set meanwhile."""


def tell_stamps(udp: socket.socket) -> None:
    """Ask to be told when each datagram came, where the system can."""
    if sys.platform == "linux":
        with suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, _OPTION, 1)


def age_s(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """Return how long ago a datagram came, seconds; 0 where that was not told."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _OPTION) and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            aged_s = (time.time_ns() - seconds * 1_000_000_000 - nanoseconds) / 1e9
            return aged_s if 0.0 <= aged_s <= _OLDEST_S else 0.0
    return 0.0
