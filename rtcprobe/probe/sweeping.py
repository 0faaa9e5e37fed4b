"""Memory beside calls: what is loaded is not walked for garbage while packets are timed, and what is freed is kept."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from rtcprobe.result import Clock

__all__ = ["unwalked"]

USUAL = (700, 10, 10)
"""Python's own thresholds (``gc.get_threshold``), which the command line raises while it loads."""

SELDOM = (20_000, 10, 10)
"""In virtual time, where a walk disturbs nothing: a join of two leaves 1,200 objects in circles, so that those of
sixteen are found in one walk. At 700 every join is walked twice while it goes on, and survives: 0.25 of its 8 ms."""

_FEW: Final = 2
"""Of more parties the circles that wait are large: a room of 50 held some 15 MB more for them."""

_KEPT: Final = {-3: 16 * 2**20, -1: 32 * 2**20}
"""mallopt(3): from how many bytes on a block is the kernel's own (M_MMAP_THRESHOLD, malloc.h), how many may be free at
the heap's end (M_TRIM_THRESHOLD). A call's arrays are of up to 2 MB, made and freed again and again: as glibc begins
(128 kB both) half of a run's 45,000 page faults are for memory that it has just given back, a twentieth of its CPU. A
minute of sound is 11.5 MB an ear: mapped anew for each, a tenth of a modelled call's CPU."""


@contextmanager
def unwalked(clock: Clock, parties: int = 2) -> Iterator[None]:
    """Let calls be placed in this block without the collector walking all that was there before.

    A call leaves circles behind, 2 MB each. What is frozen need not be walked to find them: 2 ms instead of 48.
    """
    _keep_what_is_freed()
    if clock == "real":
        gc.collect()  # what is garbage by now is no walk in the middle of a call
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*(USUAL if clock == "real" or parties > _FEW else SELDOM))
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        gc.set_threshold(*thresholds)


@cache
def _keep_what_is_freed() -> None:
    """Tell glibc, once in a process; other libraries have no such knob."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # musl has none
        for parameter, size_bytes in _KEPT.items():
            library.mallopt(parameter, size_bytes)
