"""In which language reports speak: every sentence and label passes ``say``, and a language is one table.

Facts:
    Reports are written in English. Another language is a table from the English text, its places in braces, to its own
    (``zh``); a text that the table lacks is said in English, so nothing is missing. What people wrote (names, budgets)
    stays as it is.
    Sentences of the measurement (why a budget is undecided, a warning) were made in English before anybody knew who
    would read them, as results keep them: they are known again by their pattern.

Rules:
    1. Who writes a label writes ``say("label")``. No report asks which language it is: a test compares the tables with
       what is said.
    2. Who shows a sentence of the measurement shows it ``retold``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Final

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.report.words.zh import CHINESE, CHINESE_SENTENCES

__all__ = ["LANGUAGES", "RETOLD", "language_named", "retold", "said_in", "say", "speaking"]

LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": {}, "zh": CHINESE}
"""Every language by its BCP 47 tag."""

RETOLD: Final[Mapping[str, Mapping[str, str]]] = {"en": {}, "zh": CHINESE_SENTENCES}
"""Patterns of the measurement's sentences, in every language."""

# place = "{" name "}"            of a pattern; what stands there in a sentence is any text that ``_parts`` lets be one
_PLACE: Final = re.compile(r"\{(\w+)\}")
_WAY: Final = re.compile(r"(\S+) to (\S+)(, messages|, video)?")
"""A way as sentences call it (``ways.Way.words``)."""
_NAMES: Final = ("party", "server", "one", "other", "side", "target", "cue")
"""Places for what people named."""
BOTH: Final = ("caller", "callee")

_SPOKEN: Final[ContextVar[str]] = ContextVar("rtcprobe_language", default="en")


def say(text: str, /, **values: object) -> str:
    """Return ``text`` in the language spoken, with ``values`` in its places."""
    # Without values no format: a text of somebody's own may have braces.
    said = LANGUAGES[_SPOKEN.get()].get(text, text)
    return said.format(**values) if values else said


def retold(sentence: str) -> str:
    """Return a sentence of the measurement in the language spoken: as it is where its pattern is not known."""
    for texts, names, said in _patterns(_SPOKEN.get()):
        found = _parts(sentence, texts, names)
        if found is not None:
            return said.format(**{name: _part(text, name) for name, text in found.items()})
    # "ana to ben: nothing was said …": who it is about, then a sentence that may be known by itself.
    whose, colon, what = sentence.partition(": ")
    told = retold(what) if colon else what
    return say(sentence) if told == what else say("{whose}: {what}", whose=_part(whose), what=told)


def _part(text: str, place: str = "") -> str:
    """Return a part of a sentence: a way, another sentence, a word that is known, or what somebody wrote."""
    if said_in() == "en":
        return text
    way = _WAY.fullmatch(text)
    if way is not None:
        return f"{_party(way[1])} → {_party(way[2])}{say(way[3] or '')}"
    return _party(text) if place in _NAMES else retold(text)


def _party(name: str) -> str:
    """Return what a party is called: of two that nobody named, by its role."""
    return say(name) if name in BOTH else name


def _parts(sentence: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, str] | None:
    """Return what stands in the places ``names`` between ``texts``; None where the sentence is not of that pattern.

    A part ends where the next text first comes; of other sentences all is taken, of anything else what holds no colon.
    """
    if not (sentence.startswith(texts[0]) and sentence.endswith(texts[-1])):
        return None
    found, from_ = {}, len(texts[0])
    for place, (name, text) in enumerate(zip(names, texts[1:], strict=True), 1):
        last = place == len(names)
        # The last text must stand at the end; every other where it first comes, behind one character at least.
        until = len(sentence) - len(text) if last else sentence.find(text, from_ + 1)
        part = sentence[from_:until]
        if until <= from_ or (": " in part and name != "why"):
            return None
        found[name], from_ = part, until + len(text)
    return found if names or sentence == texts[0] else None


@cache
def _patterns(language: str) -> tuple[tuple[Sequence[str], Sequence[str], str], ...]:
    """Return what is known in a language, the most telling first: its texts, the places between, what is said."""
    # By how much of a pattern is text: "{a} to {b}" would else take sentences from all that say more.
    known = sorted(RETOLD[language].items(), key=lambda each: -len(_PLACE.sub("", each[0])))
    # split gives texts and names in turn: the pattern has one group.
    split = ((_PLACE.split(written), said) for written, said in known)
    return tuple((texts[::2], texts[1::2], said) for texts, said in split)


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
