"""Real-time priority for the thread that times packets, where the system grants it, for as long as it does.

Facts:
    On a loaded machine an ordinary thread waits for its turn, tens of milliseconds where others compute; one of the
    class SCHED_FIFO runs as soon as it is ready (sched(7)). Linux grants it to root, with CAP_SYS_NICE, or within
    RLIMIT_RTPRIO (``ulimit -r``; LimitRTPRIO= in a unit of systemd), and takes 50 ms of every second away from
    real-time threads that never sleep (sched_rt_runtime_us): a loop of ours that watches has to rest by itself.
    Policy and niceness belong to a thread. With SCHED_RESET_ON_FORK what it starts has neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ORDINARY", "handed_on", "prioritised"]

ORDINARY = "ordinary"
_LEAST = 1
"""The lowest real-time priority: ahead of all ordinary threads, behind those of the kernel."""
_NICENESS = -10


@contextmanager
def prioritised() -> Iterator[str]:
    """Ask for priority for this thread within the block; yields what was granted, in words."""
    granted, give_back = _real_time() or _nice() or (ORDINARY, None)
    try:
        yield granted
    finally:
        if give_back is not None:
            give_back()


@contextmanager
def handed_on() -> Iterator[str]:
    """Let what is started within the block have real-time priority, one below this thread's; yields it, in words.

    Of equal priority it would take its turns of 100 ms before us: a browser that opens a page held our loop up for 30.
    Where the thread has none, or the system does not let go of SCHED_RESET_ON_FORK (it wants CAP_SYS_NICE), what is
    started is ordinary.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield ORDINARY
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    bare = policy & ~os.SCHED_RESET_ON_FORK
    if bare not in {os.SCHED_FIFO, os.SCHED_RR}:
        yield ORDINARY
        return
    try:
        # Round robin: threads of a browser that compute for long then take turns.
        os.sched_setscheduler(0, os.SCHED_RR, parameters)
    except OSError:
        yield ORDINARY
        return
    try:
        yield f"real-time (SCHED_RR {parameters.sched_priority})"
    finally:
        above = os.sched_param(min(parameters.sched_priority + 1, os.sched_get_priority_max(bare)))
        os.sched_setscheduler(0, policy, above)


def _real_time() -> tuple[str, Callable[[], None]] | None:
    if not hasattr(os, "sched_setscheduler"):
        return None  # macOS and Windows schedule by other rules
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    policy = before & ~os.SCHED_RESET_ON_FORK
    names = {os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}
    if policy in names:  # chrt(1) gave it
        return f"real-time ({names[policy]} {parameters.sched_priority})", _nothing
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_LEAST))
    except OSError:
        return None

    def give_back() -> None:
        try:
            os.sched_setscheduler(0, before, parameters)
        except OSError:  # without CAP_SYS_NICE the flag stays, which to an ordinary thread is nothing
            os.sched_setscheduler(0, before | os.SCHED_RESET_ON_FORK, parameters)

    return f"real-time (SCHED_FIFO {_LEAST})", give_back


def _nice() -> tuple[str, Callable[[], None]] | None:
    if not hasattr(os, "setpriority"):
        return None
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if before <= _NICENESS:
        return f"nice {before}", _nothing
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    except OSError:
        return None
    return f"nice {_NICENESS}", lambda: os.setpriority(os.PRIO_PROCESS, 0, before)


def _nothing() -> None:
    """Leave it as it was."""
