"""One line as tc-netem(8) takes it, lowered to the mapping that ``parse.py`` reads.

Facts:
    Each keyword takes a fixed number of words, some of them optional: ``delay TIME [JITTER [CORRELATION]]``,
    ``rate RATE [OVERHEAD [CELL [CELLOVERHEAD]]]``, ``loss [random] SHARE``, ``loss gemodel P [R [1-H [1-K]]]``,
    ``loss state P13 [P31 [P32 [P23 [P14]]]]``, ``outage AT FOR [EVERY]``, ``handover AT FOR [EVERY]``,
    ``police RATE BUCKET``, ``cross tcp RTT [WINDOW]``, ``cross pulses [PEAK [FOR [EVERY]]]``, ``cross random-walk
    [PEAK]`` and ``slot MIN [MAX] [packets N] [bytes B]`` or ``slot distribution SHAPE DELAY JITTER ...``; every other
    key of ``LINK_KEYS`` takes one word. Bare sizes after ``rate`` and slot's ``bytes`` are bytes, as tc has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.link.keys import CROSS_KEYS, LINK_KEYS, NESTED_KEYS, need_known

__all__ = ["lower_line"]

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "delay": ("delay", "jitter", "correlation"),
    "rate": ("rate", "overhead", "cell", "celloverhead"),
    "outage": NESTED_KEYS["outages"],
    "handover": NESTED_KEYS["handovers"],
    "police": NESTED_KEYS["police"],
    "slot": ("min", "max"),
}
_CHAINS: Final = {chain: NESTED_KEYS[chain] for chain in ("gemodel", "state")}
_LISTS: Final = {"outage": "outages", "handover": "handovers", "cross": "cross_traffic"}
_NESTED: Final = frozenset({"police", "slot"})
_KEYWORDS: Final = (
    *(key for key in LINK_KEYS if key not in {*_LISTS.values(), "schedule", "repeat", *_CHAINS}),
    *_LISTS,
)
_EXTRA: Final = {
    "loss": "netem's correlated loss loses almost nothing; give burst, the mean run of losses, instead",
}
_SLOT_CARRIES: Final = ("packets", "bytes")
_LIKE: Final = {
    "outage": "AT FOR [EVERY], like 10s 2s 60s",
    "handover": "AT FOR [EVERY], like 10s 2s 60s",
    "cross": "tcp RTT, pulses PEAK FOR EVERY or random-walk PEAK, like tcp 100ms",
    "police": "RATE BUCKET, like 500kbit 16kB",
    "slot": "MIN [MAX], or distribution SHAPE DELAY JITTER; then packets N, bytes B: like 5ms 10ms packets 4",
    "slot packets": "how many packets a slot carries, like 4",
    "slot bytes": "how many bytes a slot carries, like 3kB",
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
    if keyword == "cross" and words:
        kind = words.pop(0)
        need_known("cross", [kind], tuple(CROSS_KEYS))
        return {"kind": kind} | _named(keyword, CROSS_KEYS[kind], words, least=0)
    if keyword == "slot":
        return {keyword: _slot(words)}
    taken = _named(keyword, names, words)
    if keyword in _NESTED:
        return {keyword: taken}
    if keyword == "rate":
        taken |= {name: f"{taken[name]}B" for name in names[1:] if taken.get(name, "").lstrip("+-").isdigit()}
    return taken


def _slot(words: list[str]) -> dict[str, str]:
    """Take the words of a slot; ``distribution`` right after it is its own, later that of the delay."""
    names = _WORDS["slot"]
    if words[:1] == ["distribution"]:
        words.pop(0)
        names = ("distribution", "delay", "jitter")
    taken = _named("slot", names, words, until=_SLOT_CARRIES)
    while words and words[0] in _SLOT_CARRIES:
        name = words.pop(0)
        if name in taken:
            raise BadInputError(f"slot {name} is given twice", "leave one out")
        taken |= _named(f"slot {name}", (name,), words, until=_SLOT_CARRIES)
    if taken.get("bytes", "").isdigit():
        taken["bytes"] += "B"
    return taken


def _named(
    keyword: str, names: Sequence[str], words: list[str], *, least: int = 1, until: Sequence[str] = ()
) -> dict[str, str]:
    taken: dict[str, str] = {}
    while words and words[0] not in _KEYWORDS and words[0] not in until:
        if len(taken) == len(names):
            raise BadInputError(
                f"{words[0]!r} after {keyword} {' '.join(taken.values())} belongs to no key",
                _EXTRA.get(keyword, _ONE_VALUE),
            )
        taken[names[len(taken)]] = words.pop(0)
    if len(taken) < least:
        raise BadInputError(f"{keyword} has no value", f"write its value after it: {_meaning(keyword)}")
    return taken


def _meaning(keyword: str) -> str:
    return _LIKE.get(keyword) or LINK_KEYS[keyword]
