"""What can go wrong, said to a person: the fact with the value quoted, then the cure.

Exit codes are part of the interface: 0 budgets met, 1 a budget missed, 2 bad scenario or usage, 3 could not
measure, 4 measured and met but not handed over (``--push``, ``--openmetrics``), 130 interrupted
(143 by SIGTERM, 129 by SIGHUP).
"""

from __future__ import annotations

import difflib
import logging
import traceback
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import ClassVar, Final

__all__ = [
    "BadInputError",
    "ExitCode",
    "MeasurementError",
    "RtcprobeError",
    "did_you_mean",
    "nearest",
    "printable",
    "same_name",
    "unforeseen",
]

LOG: Final = logging.getLogger("rtcprobe")
_ROOT = Path(__file__).parent
# Enough to find the line by: the whole of it is in the log.
_MOST_WORDS = 120


class ExitCode(IntEnum):
    """Process exit codes of the command line."""

    MET = 0
    MISSED = 1
    BAD_INPUT = 2
    NOT_MEASURED = 3
    NOT_HANDED_OVER = 4
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


def unforeseen(error: BaseException) -> str:
    """Return the sentence for an exception that nobody expected: what it is, and where in which file it arose.

    The whole of it goes to the log. What failed is then one join, or one call, never the run.
    """
    LOG.info("unforeseen: %s", type(error).__name__, exc_info=error)
    # The last frame of ours, not the last of all: a fault in numpy was called from somewhere here.
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if f"{_ROOT.name}/" in each.filename.replace("\\", "/")] or frames
    place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    words = " ".join(str(error).split())[:_MOST_WORDS]
    return f"a fault of rtcprobe itself, {type(error).__name__}{f': {words}' if words else ''}{place}; please report it"


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
    # A first word names a family: all of it is offered before what is merely spelt alike.
    begun = [each for each in folded if said and each.startswith((f"{said}-", f"{said}."))]
    alike = difflib.get_close_matches(said, list(folded), n=most, cutoff=_ALIKE)
    return [folded[each] for each in dict.fromkeys([*begun, *alike])][:most]


def did_you_mean(word: object, known: Sequence[str], most: int = 3) -> str:
    """Return the cure for a name that is not ``known``: the nearest, else all there are."""
    near = nearest(word, known, most)
    return f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(known)}"
