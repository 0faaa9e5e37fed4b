"""SIGTERM and SIGHUP end a command as Ctrl-C does: what was measured is kept and written.

Facts:
    - Cancelled jobs, containers and services are ended by SIGTERM; a closed terminal or a lost ssh sends SIGHUP, and
      writing to that terminal then fails (EIO).
    - asyncio's runner turns SIGINT into a cancelled task while it runs; whoever handles it then is asked here.
    - Shells start background jobs with SIGINT ignored; what was started by nohup ignores SIGHUP.

Rules:
    1. A signal that is ignored, or handled by somebody else (serve, relay), stays so.
    2. The first one counts; those soon after it would only spoil the writing.
    3. What comes while all is still being loaded waits (``rtcprobe.__main__``) until a command is there to heed it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

__all__ = ["ended_as_by_hand", "heed"]

_SOON_S: Final = 10.0
"""Whoever ends a process asks again within seconds (GitHub Actions after 7.5 s) and then kills it."""


@contextmanager
def ended_as_by_hand() -> Iterator[list[int]]:
    """Within it, SIGTERM and SIGHUP are as Ctrl-C; yields the list that those received are put into."""
    told: list[int] = []
    at_s = -_SOON_S
    # Now, while there is a terminal: after SIGHUP isatty would say no of what was one.
    screens = [each for each in (1, 2) if os.isatty(each)]

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal at_s
        # Rule 2.
        if time.monotonic() - at_s < _SOON_S:
            return
        at_s = time.monotonic()
        told.append(number)
        if number == _HANG_UP:
            _look_away(screens)
        # asyncio's runner, while it runs, cancels its task; outside it KeyboardInterrupt is raised (Facts).
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):
            interrupt(signal.SIGINT, frame)
        else:
            _interrupted()

    ours = [each for each in (signal.SIGTERM, _HANG_UP) if each is not None and _is_free(each)]
    for each in ours:
        signal.signal(each, end)
    try:
        yield told
    finally:
        for each in ours:
            # Somebody else's handler, set meanwhile, is theirs to take back.
            if signal.getsignal(each) is end:
                signal.signal(each, signal.SIG_DFL)


def heed(*names: str) -> None:
    """Let signals in that were held back at the start; those not named stay as they are."""
    if hasattr(signal, "pthread_sigmask"):  # Windows has neither this nor SIGHUP
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.Signals[name] for name in names})


_HANG_UP: Final = getattr(signal, "SIGHUP", None)
"""Windows has none."""


def _is_free(number: signal.Signals) -> bool:
    """Whether nobody handles or ignores a signal, and we may (only the main thread may)."""
    with suppress(ValueError):
        # Set to what it is: that alone says whether it may be set.
        signal.signal(number, was := signal.getsignal(number))
        return was is signal.SIG_DFL
    return False


def _look_away(screens: list[int]) -> None:
    """Let what is printed from now on go nowhere instead of to a terminal that is gone."""
    with suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    # The descriptors, not sys.stdout alone: whoever writes to 1 and 2 by itself would meet EIO, too.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for each in screens:
        os.dup2(nowhere, each)
    os.close(nowhere)


def _interrupted() -> NoReturn:
    raise KeyboardInterrupt
