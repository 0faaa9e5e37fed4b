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
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["ORDINARY", "lend", "prioritised", "to_itself"]

ORDINARY = "ordinary"
_LEAST = 1
"""The lowest real-time priority: ahead of all ordinary threads, behind those of the kernel."""
# Half of the way to -20: ahead of all ordinary work, and not of what an administrator put foremost.
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
def to_itself() -> Iterator[None]:
    """Let nothing that is started within the block have this thread's real-time priority (chrt(1) hands it on)."""
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    keeps = policy & ~os.SCHED_RESET_ON_FORK in {os.SCHED_FIFO, os.SCHED_RR}
    if keeps:
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, parameters)
    try:
        yield
    finally:
        if keeps:
            with suppress(OSError):  # it may not be let go of without CAP_SYS_NICE: nothing else is started here
                os.sched_setscheduler(0, policy, parameters)


def lend(programme: str) -> str:
    """Let what this process started by a command that names ``programme`` run before others; return how, in words.

    With all it started in turn, at a real-time priority one below this thread's: of an equal one it would take its
    turns of 100 ms before us, a browser that opens a page held our loop up for 30. Where this thread has none, or the
    system does not grant it, what was started stays as it is. Not for what starts up: two browsers that do take all of
    two cores, and the system then stops everything at real-time priority for 50 ms of every second.
    """
    if not hasattr(os, "sched_setscheduler"):
        return ORDINARY
    policy, own = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    if policy & ~os.SCHED_RESET_ON_FORK not in {os.SCHED_FIFO, os.SCHED_RR}:
        return ORDINARY
    lent = max(_LEAST, own - 1)
    try:
        os.sched_setscheduler(0, policy, os.sched_param(lent + 1))
        for thread in _threads_under(programme):
            with suppress(ProcessLookupError):
                os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(lent))
    except OSError:
        return ORDINARY
    return f"real-time (SCHED_RR {lent})"


def _threads_under(programme: str) -> list[int]:
    """Return the threads of the children that name ``programme``, and of what they started. Source: proc(5)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Names are cut at fifteen bytes, and may end within a character.
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [pid for pid in children.get(os.getpid(), ()) if programme in _command(pid)]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, ())
    return [int(task.name) for pid in found for task in _tasks(pid)]


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _tasks(pid: int) -> list[Path]:
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


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
