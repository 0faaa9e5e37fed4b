"""In which language reports speak: every sentence and label passes ``say``, and a language is one table.

Facts:
    Reports are written in English. Another language is a table from the English text, its places in braces, to its own
    (``zh``); a text that the table lacks is said in English, so nothing is missing. Sentences of other rooms (why a
    join failed, why a budget is undecided) and what people wrote (names, budgets) are not labels and stay as they are.

Rule: who writes a label writes ``say("label")``. No report asks which language it is: a test compares the tables with
    what is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.report.words.zh import CHINESE

__all__ = ["LANGUAGES", "language_named", "said_in", "say", "speaking"]

LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": {}, "zh": CHINESE}
"""Every language by its BCP 47 tag."""

_SPOKEN: Final[ContextVar[str]] = ContextVar("rtcprobe_language", default="en")


def say(text: str, /, **values: object) -> str:
    """Return ``text`` in the language spoken, with ``values`` in its places."""
    said = LANGUAGES[_SPOKEN.get()].get(text, text)
    return said.format(**values) if values else said


def said_in() -> str:
    """Return the tag of the language that is spoken."""
    return _SPOKEN.get()


def language_named(text: str) -> str:
    """Return ``text`` where it is the tag of a language that reports speak.

    Raises:
        BadInputError: it is not.
    """
    if text not in LANGUAGES:
        raise BadInputError(f"language {text!r} is not spoken", did_you_mean(text, list(LANGUAGES)))
    return text


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Let reports speak ``language`` until the block ends.

    Raises:
        BadInputError: a language that is not known.
    """
    before = _SPOKEN.set(language_named(language))
    try:
        yield
    finally:
        _SPOKEN.reset(before)
