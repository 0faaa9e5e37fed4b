"""What can go wrong, said to a person: the fact with the value quoted, then the cure.

Exit codes are part of the interface: 0 budgets met, 1 a budget missed, 2 bad scenario or usage, 3 could not
measure, 130 interrupted.
"""

from __future__ import annotations

import logging
import traceback
from enum import IntEnum
from pathlib import Path
from typing import ClassVar, Final

__all__ = ["BadInputError", "ExitCode", "MeasurementError", "RtcprobeError", "unforeseen"]

LOG: Final = logging.getLogger("rtcprobe")
_MOST_WORDS = 120


class ExitCode(IntEnum):
    """Process exit codes of the command line."""

    MET = 0
    MISSED = 1
    BAD_INPUT = 2
    NOT_MEASURED = 3
    INTERRUPTED = 130  # 128 + SIGINT, the shell's convention


class RtcprobeError(Exception):
    """Root of every error a user can cause: ``message`` is the fact, quoting the value; ``hint`` the cure.

    ``str(error)`` is both in one sentence: ``"loss 130% is impossible: give 0% to 100%"``.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_MEASURED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class BadInputError(RtcprobeError):
    """A scenario, flag, file or unit that cannot be meant."""

    exit_code = ExitCode.BAD_INPUT

    def within(self, place: str) -> BadInputError:
        """Return the same error, its message led by where the value stood (``"scenario x, link.delay"``)."""
        return type(self)(f"{place}: {self.message}", self.hint)


class MeasurementError(RtcprobeError):
    """The call could not be measured: unreachable, no samples, or the harness dominated."""

    exit_code = ExitCode.NOT_MEASURED


def unforeseen(error: BaseException) -> str:
    """Return the sentence for an exception that nobody expected: what it is, and where in which file it arose.

    The whole of it goes to the log. What failed is then one join, or one call, never the run.
    """
    LOG.info("unforeseen: %s", type(error).__name__, exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if f"{_ROOT.name}/" in each.filename.replace("\\", "/")] or frames
    place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    words = " ".join(str(error).split())[:_MOST_WORDS]
    return f"a fault of rtcprobe itself, {type(error).__name__}{f': {words}' if words else ''}{place}; please report it"


_ROOT = Path(__file__).parent
