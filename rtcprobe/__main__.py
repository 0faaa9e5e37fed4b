"""The start of the command, also as ``python -m rtcprobe``: signals wait until somebody handles them.

Loading takes a third of a second, more on a busy machine; a service is told to reload, or a job is cancelled, whenever
it pleases somebody, and unheeded a signal ends the process without a word.

Before ours lies Python's own start (some 20 ms), in which no line of a program runs and a signal does what the process
inherited. Who may send SIGHUP as early as that starts ``serve`` with it ignored (``nohup``, ``trap '' HUP``): it is
heeded as soon as somebody handles it. And nothing is loaded here that can wait.
"""

from __future__ import annotations

import gc
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]

_LOADING = 200_000
"""Objects made before the collector looks at them, where Python has 700: of what is loaded 133,000 stay."""


def main() -> NoReturn:
    """Run the command line; ``rtcprobe.cli.signals`` lets the signals in that came meanwhile."""
    # SIGINT, too: outside a command Ctrl-C would be a traceback through whatever module was being loaded.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    # No product here is large enough for a second thread: starting a pool of them costs as much as loading numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is loaded stays: walking it for garbage again and again was a twentieth of what loading takes.
    # ``probe.sweeping`` freezes it, and lets the collector work again.
    gc.set_threshold(_LOADING)
    from rtcprobe.lazily import lazily  # noqa: PLC0415 - after the signals

    lazily()
    from rtcprobe.cli import main as command  # noqa: PLC0415 - what takes so long

    try:
        command()
    finally:
        # What a process leaves is taken back whole: Python would walk all of it for circles first, for 0.2 s of CPU.
        gc.freeze()


if __name__ == "__main__":
    main()
