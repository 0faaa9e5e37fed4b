"""One line as tc-netem(8) takes it, lowered to the mapping that ``parse.py`` reads.

Facts:
    Each keyword takes a fixed number of words, some of them optional: ``delay TIME [JITTER [CORRELATION]]``,
    ``rate RATE [OVERHEAD [CELL [CELLOVERHEAD]]]``, ``loss [random] SHARE``, ``loss gemodel P [R [1-H [1-K]]]``,
    ``loss state P13 [P31 [P32 [P23 [P14]]]]``, ``outage AT FOR [EVERY]``, ``handover AT FOR [EVERY]``,
    ``police RATE BUCKET``, ``cross tcp RTT [WINDOW]``, ``cross web RTT [IDLE]``, ``cross pulses [PEAK [FOR [EVERY]]]``,
    ``cross random-walk [PEAK]`` and ``slot MIN [MAX] [packets N] [bytes B]`` or ``slot distribution SHAPE DELAY JITTER
    ...``; every other key of ``LINK_KEYS`` takes one word.
    ``at TIME`` begins a change: what follows, up to the next ``at``, holds from then on (``rate 2.5mbit at 20s rate
    600kbit at 50s rate 2.5mbit``); ``repeat TIME`` has the changes start over.
    ``latency`` is ``delay``, ``drop`` is ``loss``. Bare sizes after ``rate`` and slot's ``bytes`` are bytes, as tc has
    them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from string import ascii_letters
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.link.keys import CROSS_KEYS, LINK_KEYS, NESTED_KEYS, need_known
from rtcprobe.units import format_rate, is_unit, parse_rate, parse_ratio

__all__ = ["lower_line"]

# The grammar of a line, words being what blanks part (``*`` any number, ``[ ]`` at will, ``/`` either):
#   line    = *item *change ["repeat" TIME]
#   change  = "at" TIME *item
#   item    = "delay" TIME [TIME [SHARE]] / "loss" ["random"] SHARE / "loss" chain 1*SHARE
#           / "rate" RATE [SIZE [SIZE [SIZE]]] / ("outage" / "handover") TIME TIME [TIME]
#           / "police" RATE SIZE / "cross" flow / "slot" slot / KEY WORD
#   chain   = "gemodel" / "state"
#   flow    = "tcp" TIME [SIZE] / "web" TIME [TIME] / "pulses" [RATE [TIME [TIME]]] / "random-walk" [RATE]
#   slot    = (TIME [TIME] / "distribution" WORD TIME TIME) *(("packets" COUNT) / ("bytes" SIZE))
# A value ends where a word is a keyword again, so no value may be spelt as one; ``repeat`` may stand
# anywhere.
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
    *(key for key in LINK_KEYS if key not in {*_LISTS.values(), "schedule", *_CHAINS}),
    *_LISTS,
    "at",
)
_ALIASES: Final = {"latency": "delay", "drop": "loss"}
"""Source: iproute2, ``tc/q_netem.c``."""
# One thing under three names in tc-tbf(8); ``burst`` is ours as well, of losses, which is where they are
# mistaken.
_BUCKETS: Final = ("burst", "buffer", "maxburst")
_TBF_SIZES: Final = {
    "": 1,
    "b": 1,
    "k": 1024,
    "kb": 1024,
    "m": 1024**2,
    "mb": 1024**2,
    "kbit": 128,
    "mbit": 1024**2 // 8,
}
"""Source: iproute2, ``tc/q_tbf.c``, and ``get_size`` of ``tc/tc_util.c``."""
_FLAGS: Final = {"seed": "leave it out: the seed of a run is --seed"}
_BEGIN: Final = frozenset({*_KEYWORDS, *_ALIASES, *_FLAGS})
_SLOT_CARRIES: Final = ("packets", "bytes")
_LIKE: Final = {
    "at": "TIME and what holds from then on, like 20s rate 600kbit",
    "outage": "AT FOR [EVERY], like 10s 2s 60s",
    "handover": "AT FOR [EVERY], like 10s 2s 60s",
    "cross": "tcp RTT, web RTT IDLE, pulses PEAK FOR EVERY or random-walk PEAK, like tcp 100ms",
    "police": "RATE BUCKET, like 500kbit 16kB",
    "slot": "MIN [MAX], or distribution SHAPE DELAY JITTER; then packets N, bytes B: like 5ms 10ms packets 4",
    "slot packets": "how many packets a slot carries, like 4",
    "slot bytes": "how many bytes a slot carries, like 3kB",
}
_ONE_VALUE: Final = "take it out"
_HARMLESS_LIMIT: Final = 1000
"""Packets: netem counts what flies as well. No call has as many under way, so without a rate they limit nothing."""


def lower_line(line: str) -> dict[str, Any]:
    """Return the mapping that ``line`` stands for.

    Raises:
        BadInputError: an unknown keyword, one without its word or given twice, or a word that belongs to no keyword.
    """
    written: dict[str, Any] = {}
    phase = written  # what the words speak of: the link as it begins, then each change
    words = _joined(line.split())
    _need_no_shaper(words)
    words = _netem_words(words)
    while words:
        keyword = words.pop(0)
        keyword = _ALIASES.get(keyword, keyword)
        if keyword in _FLAGS:
            raise BadInputError(f"link key {keyword!r} is not offered", _FLAGS[keyword])
        need_known("link key", [keyword], _KEYWORDS)
        taken = _take(keyword, words)
        if keyword == "at":
            phase = taken
            written.setdefault("schedule", []).append(phase)
            continue
        if keyword in _LISTS:
            phase.setdefault(_LISTS[keyword], []).append(taken)
            continue
        into = written if keyword == "repeat" else phase
        twice = sorted(taken.keys() & into.keys())
        if twice:
            raise BadInputError(f"{twice[0]} is given twice", "leave one out")
        into.update(taken)
    # Lines copied from netem often carry ``limit 1000`` for its own sake; without a rate it would be refused
    # here.
    phases = (written, *written.get("schedule", ()))
    if not any(each.keys() & {"rate", "capacity_trace", "handovers"} for each in phases) and _is_harmless(
        written.get("limit", "")
    ):
        del written["limit"]
    return written


def _joined(words: Sequence[str]) -> list[str]:
    """Return words with units put to the numbers they were written apart from: ``0.5 %``."""
    joined: list[str] = []
    for word in words:
        # Only to what is a bare number from its first character to its last: ``5ms`` keeps its unit, ``keep``
        # is a word.
        if joined and is_unit(word) and joined[-1].lstrip("+-")[:1].isdecimal() and joined[-1][-1].isdecimal():
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _netem_words(words: list[str]) -> list[str]:
    """Return what stands after ``netem`` in a whole command of tc; other words as they are.

    Raises:
        BadInputError: it sets up another queue, or writes a rate whose unit tc reads as bytes.
    """
    if words[:1] == ["sudo"]:
        words = words[1:]
    if words[:1] not in (["tc"], ["netem"]):
        return words
    if "netem" not in words:
        raise BadInputError(
            "this command of tc has no netem", "write what its queue shall do, like rate 1mbit limit 50"
        )
    words = words[words.index("netem") + 1 :]
    for word in words:
        # tc-netem(8) and tc(8): ``kbps`` is kilobytes a second, ``kbit`` kilobits. Read as ours it would be
        # off by eight.
        if word.lower().endswith("bps") and word[:1].isdecimal():
            raise BadInputError(
                f"tc reads the rate {word!r} as bytes",
                f"write {format_rate(8 * parse_rate(word.lower()))}, as kbps is kilobits here",
            )
    return words


def _need_no_shaper(words: Sequence[str]) -> None:
    """Refuse a line of tc's tbf, whose burst is a bucket and whose latency a queue: for netem they are other things.

    Raises:
        BadInputError: it is one; says the line that does the same.
    """
    bucket = next((pair for pair in pairwise(words) if pair[0] in _BUCKETS), None)
    # With a loss beside it ``burst`` is the mean burst; with ``netem`` tc itself would refuse the word.
    if bucket is None or "rate" not in words or "netem" in words or {"loss", "drop"} & set(words):
        return
    same = {"delay": "delay", "rate": "rate", bucket[0]: "bucket", "latency": "limit", "limit": "limit"}
    meant = [f"{same[key]} {_tbf(key, value)}" for key, value in pairwise(words) if key in same]
    raise BadInputError(f"{bucket[0]} {bucket[1]} beside rate is a token bucket's (tbf)", f"write {' '.join(meant)}")


def _tbf(key: str, value: str) -> str:
    """Return a value of tbf's in our units: sizes are bytes there, 1024 a k, and eight bits one where it says bit."""
    number = value.rstrip(ascii_letters)
    unit = value[len(number) :].lower()
    if key in ("rate", "latency") or unit not in _TBF_SIZES:
        return value
    return f"{round(float(number) * _TBF_SIZES[unit])}B" if number.replace(".", "", 1).isdecimal() else value


def _is_harmless(limit: str) -> bool:
    return limit.isascii() and limit.isdecimal() and (len(limit) > 9 or int(limit) >= _HARMLESS_LIMIT)


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
        # tc's overhead and cells are bare numbers of bytes; ours carry a unit, and get it here.
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
    while words and words[0] not in _BEGIN and words[0] not in until:
        if len(taken) == len(names):
            said = f"{words[0]!r} after {keyword} {' '.join(taken.values())} belongs to no key"
            raise BadInputError(said, _instead(keyword, list(taken.values()), words[0]))
        taken[names[len(taken)]] = words.pop(0)
    if len(taken) < least:
        raise BadInputError(f"{keyword} has no value", f"write its value after it: {_meaning(keyword)}")
    return taken


def _instead(keyword: str, taken: Sequence[str], extra: str) -> str:
    """Return the cure for a word too many: where it is netem's correlation, the line that does what was meant."""
    if keyword not in ("loss", "reorder", "duplicate", "corrupt") or len(taken) != 1:
        return _ONE_VALUE
    try:
        share, alike = parse_ratio(taken[0]), parse_ratio(extra)
    except BadInputError:
        return _ONE_VALUE
    if keyword != "loss":
        return f"write {keyword} {taken[0]}: netem's correlation is not offered"
    if not (0 <= share < 1 and 0 <= alike < 1):
        return _ONE_VALUE
    # Meant is a chain in which a loss makes the next likelier by so much: runs of 1 / ((1 - share) (1 - alike)).
    run = 1 / ((1 - share) * (1 - alike))
    return (
        f"write loss {taken[0]} burst {run:.3g}, the mean run that is meant: netem's correlation loses almost nothing"
    )


def _meaning(keyword: str) -> str:
    return _LIKE.get(keyword) or LINK_KEYS[keyword]
