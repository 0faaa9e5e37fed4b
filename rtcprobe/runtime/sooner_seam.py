"""The same, sooner: what aiortc, aioice and pyee work out anew for every connection, by a shorter way or once.

Known to hold for aiortc 1.16, aioice 0.13 and pyee 13; ``tests/runtime/test_sooner_seam.py`` says which name moved when
a new release breaks it.

Facts:
    A connection is set up by some hundred events, thirty looks at an address and a dozen STUN messages, all of which
    takes no virtual time, and on the real clock some of the time that a join is said to take. None of it is what is
    measured.

Rules:
    1. What a stand-in returns is what it stands for returns: to the byte, for any input, on any loop.
    2. What is kept are answers about immutable things, and few of them.
"""

from __future__ import annotations

import hmac
import ipaddress
import queue
import threading
from asyncio import iscoroutine
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import aioice.candidate
import aioice.ice
import aioice.stun
import aiortc.rtcrtpreceiver
import aiortc.sdp
import pyee.asyncio

from rtcprobe.runtime.stand_ins import Dispatch, attribute, put

__all__ = ["install"]

_KNOWN: Final = 256
"""Addresses kept at once: a room of thirty has as many hosts, each seen by every other."""


def install(decoding: Callable[[], bool]) -> None:
    """Put the stand-ins in place; ``decoding`` says whether a receiver that is made now will have a decoder.

    Raises:
        SeamError: an internal name has moved.
    """
    # Which pyee there is, is aiortc's to say: one that asks otherwise is only as slow as it was.
    if hasattr(pyee.asyncio, "iscoroutine"):
        put(pyee.asyncio, "iscoroutine", _is_coroutine)
    address = lru_cache(maxsize=_KNOWN)(ipaddress.ip_address)
    for module in (aioice.candidate, aioice.ice, aioice.stun, aiortc.sdp):
        put(module, "ipaddress", Dispatch(ipaddress, ip_address=address))
    body_length = attribute(aioice.stun, "set_body_length")
    header_bytes, integrity_bytes = (attribute(aioice.stun, name) for name in ("HEADER_LENGTH", "INTEGRITY_LENGTH"))

    def integrity(data: bytes, key: bytes) -> bytes:
        # One call of OpenSSL's HMAC instead of an object that is fed, at a sixth of the price.
        return hmac.digest(key, body_length(data, len(data) - header_bytes + integrity_bytes), "sha1")

    put(aioice.stun, "message_integrity", integrity)
    # A queue is three conditions and a lock, which nobody waits for where there is no decoder.
    put(aiortc.rtcrtpreceiver, "queue", Dispatch(queue, Queue=lambda: queue.Queue() if decoding() else _Nothing()))
    thread = attribute(aiortc.rtcrtpreceiver, "threading")
    event = Dispatch(thread, Event=lambda: threading.Event() if decoding() else _Nothing())
    put(aiortc.rtcrtpreceiver, "threading", event)


def _is_coroutine(value: object) -> bool:
    """Return whether a handler of an event returned a coroutine: most return nothing, which asyncio asks an ABC of."""
    return value is not None and iscoroutine(value)


class _Nothing:
    """Takes the place of a decoder's queue, and of the event that it failed: nothing comes, and nothing is set."""

    def put(self, _item: Any) -> None:
        """Take nothing in."""

    def is_set(self) -> bool:
        """Return False: what is not there cannot fail."""
        return False

    def clear(self) -> None:
        """Be as before."""
