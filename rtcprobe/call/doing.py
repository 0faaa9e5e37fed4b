"""What goes on beside a call's script: joins, goodbyes, who waits to be heard; what goes wrong with it is a warning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from rtcprobe.errors import RtcprobeError, unforeseen

__all__ = ["Doing"]


class Doing:
    """The tasks that are not done yet; ``warn`` is told a sentence of each that failed.

    ``ended`` is called as each ends, however it did.
    """

    def __init__(self, warn: Callable[[str], object], ended: Callable[[], object] | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._warn = warn
        self._ended = ended

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(self._tasks)

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do ``work`` meanwhile."""
        task = asyncio.ensure_future(work)
        # The loop keeps weak references alone: without this one a task may be collected before it is done.
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._ended is not None:
            self._ended()
        # Asked for in any case: an exception that nobody looked at would be logged when the task is collected.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._warn(str(error) if isinstance(error, RtcprobeError) else unforeseen(error))
