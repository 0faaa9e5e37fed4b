"""What can go wrong, said to a person: the fact with the value quoted, then the cure.

Exit codes are part of the interface: 0 budgets met, 1 a budget missed, 2 bad scenario or usage, 3 could not
measure, 130 interrupted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import ClassVar

__all__ = ["BadInputError", "ExitCode", "MeasurementError", "RtcprobeError", "did_you_mean", "nearest", "same_name"]


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


_ALIKE = 0.6
"""How alike two names are that may be meant for each other (``difflib``: "singapur" is, "5g" for "4g" is not)."""


def same_name(word: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``word`` is but for its case; None where there is none."""
    known = tuple(known)
    return word if word in known else next((each for each in known if each.casefold() == word.casefold()), None)


def nearest(word: object, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the names that ``word`` may be meant for: those it is the first word of, then those spelt most like it."""
    folded = {each.casefold(): each for each in known}
    said = str(word).casefold()
    begun = [each for each in folded if said and each.startswith((f"{said}-", f"{said}."))]
    alike = difflib.get_close_matches(said, list(folded), n=most, cutoff=_ALIKE)
    return [folded[each] for each in dict.fromkeys([*begun, *alike])][:most]


def did_you_mean(word: object, known: Sequence[str], most: int = 3) -> str:
    """Return the cure for a name that is not ``known``: the nearest, else all there are."""
    near = nearest(word, known, most)
    return f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(known)}"
