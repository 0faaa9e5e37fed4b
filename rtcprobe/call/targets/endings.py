"""How every call waits for what must happen, and ends: in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from rtcprobe.call.peer import Peer
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen
from rtcprobe.runtime.network import Network
from rtcprobe.units import format_duration

__all__ = ["HANG_UP_TIMEOUT_S", "OVERTIME_S", "all_of", "all_told", "arriving", "bounded", "said_all"]

# Of one step of hanging up. A goodbye over a line of a second's round trip, its first packet lost, fits (RFC 6298: the
# first timer is 1 s); what takes longer is a server that does not answer, and is told as that.
HANG_UP_TIMEOUT_S = 5.0
OVERTIME_S = 5.0
"""How much longer than they have words mouths may take: the first frame waits for ICE, DTLS and SRTP to settle."""


async def all_of(events: Iterable[asyncio.Event]) -> None:
    """Wait until all of ``events`` have come."""
    # In turn, which takes as long as the last of them: events stay set.
    for event in events:
        await event.wait()


async def arriving(
    connecting: Coroutine[Any, Any, None],
    reached: Iterable[asyncio.Event],
    watched: Iterable[Peer],
    ended: asyncio.Future[str],
    *,
    lost: Callable[[str], str],
    broken: Callable[[Peer], str],
) -> None:
    """Connect and wait for ``reached``, or for what makes that impossible: ``ended``, or a path of the ``watched``.

    Raises:
        MeasurementError: what ``connecting`` met; what ``lost`` makes of the server's ending it; ``broken``, of a path.
    """
    tried = asyncio.ensure_future(connecting)
    arrived = asyncio.ensure_future(all_of(reached))
    ends = {asyncio.ensure_future(peer.ended.wait()): peer for peer in watched}
    try:
        pending: set[asyncio.Future[Any]] = {tried, arrived, ended, *ends}
        # Both, in whatever order: signalling may still have an answer to read when the first packet is there.
        while pending & {tried, arrived}:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if tried in done:
                tried.result()
            if ended in done:
                raise MeasurementError(lost(ended.result()))
            over = next((peer for task, peer in ends.items() if task in done), None)
            if over is not None:
                raise MeasurementError(broken(over))
    finally:
        for task in (tried, arrived, *ends):
            task.cancel()
        # Its own ``finally`` blocks run now (candidates that are gathered,
        # sockets): not beside the hanging up that follows.
        await asyncio.wait({tried}, timeout=HANG_UP_TIMEOUT_S)
        if tried.done() and not tried.cancelled():
            tried.exception()  # known by now, or of no interest any more


async def bounded(step: str, ending: Awaitable[object], open_now: Callable[[], Sequence[str]] = tuple) -> str | None:
    """Await a ``step`` of hanging up, ``HANG_UP_TIMEOUT_S`` at most, even where it does not let itself be cancelled.

    Return what went wrong, in a sentence; a call that has ended is not undone by how it ended. ``open_now`` says what
    a step that takes too long is waiting for, a sentence each.
    """
    task = asyncio.ensure_future(ending)
    try:
        # ``wait`` and not ``wait_for``: the latter waits for a cancelled task to
        # end, and some do not let themselves be cancelled.
        done, _ = await asyncio.wait({task}, timeout=HANG_UP_TIMEOUT_S)
        late = [] if done else [*open_now()] or [f"not done within {format_duration(HANG_UP_TIMEOUT_S)}"]
    finally:
        task.cancel()
    if late:
        task.add_done_callback(_let_be)
        return all_told(step, late)
    error = None if task.cancelled() else task.exception()
    return None if error is None else f"{step}: {error if isinstance(error, RtcprobeError) else unforeseen(error)}"


def all_told(step: str, sentences: Iterable[str]) -> str | None:
    """Return one sentence of several that a ``step`` of hanging up met: the first, and how many more there are."""
    first, *more = dict.fromkeys(sentences) or [None]
    return first and f"{step}: {first}{f' (and {len(more)} more like it)' if more else ''}"


def _let_be(task: asyncio.Future[Any]) -> None:
    """Take what a step meets after it was given up, which was said."""
    if not task.cancelled():
        task.exception()


async def said_all(
    talkers: Iterable[Peer], watched: Iterable[Peer], network: Network, lost: asyncio.Future[str] | None = None
) -> str | None:
    """Wait until ``talkers`` have said all they have; return what ended the call before, in a sentence, or None.

    The path of one of the ``watched`` may break, the server may end the call (``lost`` says why), or a mouth may never
    get to its end: none of these is waited for without a limit.
    """
    begun_s = network.now_s()
    tracks = [talker.track for talker in talkers]
    finished = asyncio.ensure_future(all_of([track.finished for track in tracks]))
    ended = {asyncio.ensure_future(peer.ended.wait()): peer for peer in watched}
    waited_for: list[asyncio.Future[Any]] = [finished, *([] if lost is None else [lost]), *ended]
    longest_s = max(track.duration_s for track in tracks) + OVERTIME_S
    try:
        done, _ = await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED, timeout=longest_s)
    finally:
        for task in (finished, *ended):
            task.cancel()
    if finished in done:
        return None
    after_s = network.now_s() - begun_s
    broken = next((peer for task, peer in ended.items() if task in done), None)
    if broken is not None:
        return f"the {broken.side}'s media path broke {after_s:.1f} s into the call"
    if lost is not None and lost in done:
        return f"{lost.result()} {after_s:.1f} s into the call"
    return f"a mouth had not said all it has {after_s:.1f} s into the call: nothing asked for its frames"
