"""The start of the command, also as ``python -m rtcprobe``: signals wait until somebody handles them.

Loading takes a third of a second, more on a busy machine; a service is told to reload, or a job is cancelled, whenever
it pleases somebody, and unheeded a signal ends the process without a word.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line; ``rtcprobe.cli.signals`` lets the signals in that came meanwhile."""
    # No product here is large enough for a second thread: starting a pool of them costs as much as loading numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    from rtcprobe.cli import main as command  # noqa: PLC0415 - what takes so long

    command()


if __name__ == "__main__":
    main()
