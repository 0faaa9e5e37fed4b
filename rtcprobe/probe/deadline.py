"""How long a run may take: nothing in it waits without a limit, whatever a target does or leaves undone.

Facts:
    Every step of a call has a limit of its own (``call.targets``). A target brought by others, or a fault of ours, may
    break that rule; a monitor would then wait for ever, and a CI until it is killed, with nothing to show.

Rules:
    1. A call is ended from outside when it has taken longer than all its own limits together.
    2. A run is ended when it has taken longer than all its calls may; what was measured until then stands.
    3. Both count the time of the loop the calls run on: jumps of virtual time too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from rtcprobe.call.targets.base import Call, CallSetup
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, OVERTIME_S
from rtcprobe.timeline import Stop
from rtcprobe.units import format_duration

__all__ = ["Deadline", "end", "in_time", "longest_join_s", "longest_talk_s"]

_STEPS_OF_AN_END = 6
"""What hangs up one after the other, each within ``HANG_UP_TIMEOUT_S``: ``targets.course``."""
_LAST_PACKETS_S = 10.0
"""More than any call waits for what is still under way after the last word."""


def longest_join_s(setup: CallSetup) -> float:
    """Return the seconds after which a join must have ended: preparing, joining, lingering, hanging up."""
    # Twice: a target may prepare (a room, a browser) for as long as joining may take.
    return 2 * setup.join_timeout_s + setup.linger_s + _STEPS_OF_AN_END * HANG_UP_TIMEOUT_S


def longest_talk_s(setup: CallSetup) -> float:
    """Return the seconds after which a call must have ended."""
    return longest_join_s(setup) + setup.longest_speech_s + OVERTIME_S + _LAST_PACKETS_S


class Deadline:
    """What is left of a run's time, seconds."""

    def __init__(self, whole_s: float) -> None:
        self.whole_s = whole_s
        self.left_s = whole_s

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.left_s <= 0.0

    def spend(self, seconds: float) -> None:
        """Take off what a call took."""
        self.left_s -= seconds

    def __str__(self) -> str:
        return f"the run had taken {format_duration(self.whole_s)}, longer than all its calls may"


async def in_time(call: Call, using: Awaitable[object], limit_s: float) -> None:
    """Await what ``call`` does, ``limit_s`` at most (rule 1)."""
    try:
        async with asyncio.timeout(limit_s):
            await using
    except TimeoutError:
        end(call, f"it had not ended after {format_duration(limit_s)}, longer than all its steps may take")


def end(call: Call, why: str) -> None:
    """Say what ended a call from outside: it failed where it had not come about, and was cut where it had."""
    # The call said itself what became of it: that is nearer to the cause.
    if call.failed is not None or call.cut is not None:
        return
    if all(joiner.heard_packet.is_set() for joiner in call.joiners):
        call.cut = why
        return
    # Who did not connect held it up; where all did, who was to be heard first.
    late = next((peer for peer in call.peers if not peer.connected.is_set()), call.joiners[0])
    call.stopped = Stop(late.timeline.reached(), late.timeline.awaited())
    call.failed = f"{late.side} {call.stopped.awaited}: {why}"
