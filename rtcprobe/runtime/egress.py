"""The order in which packets of several streams leave a machine for a line that is slower than they come.

Facts:
    A WebRTC endpoint may decide itself what leaves first (RFC 8835 §4.1: local prioritization, the default level is
    W3C's ``low``), or leave it to who is first. Browsers do the latter: messages enter the socket as SCTP's window lets
    them, and sound waits behind them in the line's queue.

Theory of operation:
    A path seals the fate of what enters it at once, so nothing that has entered can be overtaken. Here a packet enters
    only when the first line of the path is free; until then it waits in ``fair`` order. So a packet waits for one being
    sent, and for as many of others as their shares allow.

Rules:
    1. Sound and pictures are streams of one share each, by source; messages, whatever their channel, are one stream
       with the share of their level: one association has one level beside media (RFC 8835 §4.2 gives it one DSCP).
    2. STUN, handshakes and RTCP are a stream of the highest share, as they are few and others wait for them.
    3. Where more than ``_MOST_WAITING`` wait, what comes enters the line's own queue, which has room for it or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from rtcprobe.link import Link
from rtcprobe.messages import WEIGHTS, Priority
from rtcprobe.runtime.fair import FairQueue

if TYPE_CHECKING:
    from rtcprobe.runtime.network import Network

__all__ = ["Egress"]

_MOST_WAITING: Final = 1000
"""Packets: what a queue of Linux has room for (``txqueuelen``, ip-link(8))."""

_CONTROL: Final = "control"
_MESSAGES: Final = "messages"


class Egress:
    """What leaves one machine by one path, of which ``line`` is the first hop; messages have ``priority``."""

    def __init__(self, line: Link, network: Network, priority: Priority) -> None:
        self._line, self._network = line, network
        self._weights: Mapping[str, float] = {_CONTROL: WEIGHTS["high"], _MESSAGES: WEIGHTS[priority]}
        self._waiting: FairQueue[Callable[[], None]] = FairQueue()
        self._due: asyncio.TimerHandle | None = None

    def leave(self, data: bytes, enter: Callable[[], None]) -> None:
        """Have a datagram ``enter`` the path when it is its turn."""
        free = self._due is None and self._line.busy_until_s <= self._network.now_s()
        if free or len(self._waiting) >= _MOST_WAITING:
            enter()
        else:
            stream = _stream(data)
            self._waiting.push(stream, self._weights.get(stream, WEIGHTS["low"]), len(data), enter)
            self._wait()

    def _wait(self) -> None:
        if self._due is None and self._waiting:
            free_s = max(self._line.busy_until_s, self._network.now_s())
            self._due = self._network.loop.call_at(self._network.epoch_s + free_s, self._free)

    def _free(self) -> None:
        self._due = None
        self._waiting.pop()()
        self._wait()


def _stream(data: bytes) -> str:
    """Return which stream a datagram is of (RFC 7983 §7; of SRTP the source, RFC 3550 §5.1)."""
    first = data[0] if data else 0
    if 127 < first < 192 and not 191 < data[1] < 224:  # RTCP's types, RFC 5761 §4
        return f"source {data[8:12].hex()}"
    return _MESSAGES if first == 23 else _CONTROL  # application data of DTLS, RFC 9147 §4
