"""What can go wrong, said to a person: the fact with the value quoted, then the cure.

Exit codes are part of the interface: 0 budgets met, 1 a budget missed, 2 bad scenario or usage, 3 could not
measure, 130 interrupted.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

__all__ = ["BadInputError", "ExitCode", "MeasurementError", "RtcprobeError", "printable"]


class ExitCode(IntEnum):
    """Process exit codes of the command line."""

    MET = 0
    MISSED = 1
    BAD_INPUT = 2
    NOT_MEASURED = 3
    INTERRUPTED = 130  # 128 + SIGINT, the shell's convention


def printable(text: str) -> str:
    """Return ``text`` on one line, with whatever a terminal would obey or could not show written as an escape.

    Sentences quote what strangers wrote: a terminal must not be moved, coloured or named by them.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each.isspace() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class RtcprobeError(Exception):
    """Root of every error a user can cause: ``message`` is the fact, quoting the value; ``hint`` the cure.

    ``str(error)`` is both in one sentence: ``"loss 130% is impossible: give 0% to 100%"``.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_MEASURED

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(f"{self.message}: {self.hint}" if hint else self.message)


class BadInputError(RtcprobeError):
    """A scenario, flag, file or unit that cannot be meant."""

    exit_code = ExitCode.BAD_INPUT

    def within(self, place: str) -> BadInputError:
        """Return the same error, its message led by where the value stood (``"scenario x, link.delay"``)."""
        return type(self)(f"{place}: {self.message}", self.hint)


class MeasurementError(RtcprobeError):
    """The call could not be measured: unreachable, no samples, or the harness dominated."""

    exit_code = ExitCode.NOT_MEASURED
