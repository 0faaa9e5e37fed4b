"""One line as tc-netem(8) takes it, lowered to the mapping that ``parse.py`` reads.

Facts:
    Each keyword takes a fixed number of words, some of them optional: ``delay TIME [JITTER [CORRELATION]]``,
    ``rate RATE [OVERHEAD [CELL [CELLOVERHEAD]]]``, ``loss [random] SHARE``, ``loss gemodel P [R [1-H [1-K]]]``,
    ``loss state P13 [P31 [P32 [P23 [P14]]]]``, ``outage AT FOR [EVERY]``, ``handover AT FOR [EVERY]``; every other key
    of ``LINK_KEYS`` takes one word. Bare sizes after ``rate`` are bytes, as tc has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.link.keys import LINK_KEYS, need_known

__all__ = ["lower_line"]

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "delay": ("delay", "jitter", "correlation"),
    "rate": ("rate", "overhead", "cell", "celloverhead"),
    "outage": ("at", "for", "every"),
    "handover": ("at", "for", "every"),
}
_CHAINS: Final[dict[str, tuple[str, ...]]] = {
    "gemodel": ("p", "r", "1-h", "1-k"),
    "state": ("p13", "p31", "p32", "p23", "p14"),
}
_LISTS: Final = {"outage": "outages", "handover": "handovers"}
_KEYWORDS: Final = (
    *(key for key in LINK_KEYS if key not in {"outages", "handovers", "schedule", "repeat", *_CHAINS}),
    *_LISTS,
)
_EXTRA: Final = {
    "loss": "netem's correlated loss loses almost nothing; give burst, the mean run of losses, instead",
}
_ONE_VALUE: Final = "take it out; netem's correlations of loss, reorder, duplicate and corrupt are not offered"


def lower_line(line: str) -> dict[str, Any]:
    """Return the mapping that ``line`` stands for.

    Raises:
        BadInputError: an unknown keyword, one without its word or given twice, or a word that belongs to no keyword.
    """
    written: dict[str, Any] = {}
    words = line.split()
    while words:
        keyword = words.pop(0)
        need_known("link key", [keyword], _KEYWORDS)
        taken = _take(keyword, words)
        if keyword in _LISTS:
            written.setdefault(_LISTS[keyword], []).append(taken)
            continue
        twice = sorted(taken.keys() & written.keys())
        if twice:
            raise BadInputError(f"{twice[0]} is given twice", "leave one out")
        written.update(taken)
    return written


def _take(keyword: str, words: list[str]) -> dict[str, Any]:
    """Take the words of ``keyword`` off the front of ``words``."""
    names = _WORDS.get(keyword, (keyword,))
    if keyword == "loss" and words and words[0] in _CHAINS:
        chain = words.pop(0)
        return {chain: _named(chain, _CHAINS[chain], words)}
    if keyword == "loss" and words[:1] == ["random"]:
        words.pop(0)
    taken = _named(keyword, names, words)
    if keyword == "rate":
        taken |= {name: f"{taken[name]}B" for name in names[1:] if taken.get(name, "").lstrip("+-").isdigit()}
    return taken


def _named(keyword: str, names: Sequence[str], words: list[str]) -> dict[str, str]:
    taken: dict[str, str] = {}
    while words and words[0] not in _KEYWORDS:
        if len(taken) == len(names):
            raise BadInputError(
                f"{words[0]!r} after {keyword} {' '.join(taken.values())} belongs to no key",
                _EXTRA.get(keyword, _ONE_VALUE),
            )
        taken[names[len(taken)]] = words.pop(0)
    if not taken:
        raise BadInputError(f"{keyword} has no value", f"write its value after it: {_meaning(keyword)}")
    return taken


def _meaning(keyword: str) -> str:
    return "AT FOR [EVERY], like 10s 2s 60s" if keyword in _LISTS else LINK_KEYS[keyword]
