"""How every call waits for what must happen, and ends: in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable

__all__ = ["HANG_UP_TIMEOUT_S", "all_of", "bounded"]

HANG_UP_TIMEOUT_S = 5.0


async def all_of(events: Iterable[asyncio.Event]) -> None:
    """Wait until all of ``events`` have come."""
    for event in events:
        await event.wait()


async def bounded(ending: Awaitable[object]) -> None:
    """Await a step of hanging up, ``HANG_UP_TIMEOUT_S`` at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            await ending
