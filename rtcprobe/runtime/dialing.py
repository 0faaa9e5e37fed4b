"""Who opens a TCP connection that a library asks the loop for: the loop itself, or an emulated line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

__all__ = ["DIALER", "Dialer"]

Dialer = Callable[[Callable[[], asyncio.Protocol], str, int], Awaitable[tuple[asyncio.Transport, asyncio.Protocol]]]

DIALER: ContextVar[Dialer | None] = ContextVar("rtcprobe_dialer", default=None)
"""Who opens the TCP connections of the current task; None: the loop itself."""
