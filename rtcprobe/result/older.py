"""Results of schema ``rtcprobe.result/1``, read as this version's: the one place that knows how they were written.

Facts:
    There are two shapes of it: of a run that was one call (no ``calls``), and of several calls. Both had one call of
    two people, whose ways were the keys of ``mouth_to_ear`` and ``link``; what playout, protection and quality said
    were plain mappings, empty where there was nothing to say.

Rule: what is damaged stays damaged: it is passed on as it stands, and refused by the reader of this version's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rtcprobe.result.figures import Playout
from rtcprobe.result.instrument import LATENESSES, Instrument
from rtcprobe.result.links import Asked, Met

__all__ = ["OLDER", "modernised"]

OLDER = "rtcprobe.result/1"


def _keys(record: Any) -> dict[str, str]:
    """Return the names of a record's fields by the keys they are written under."""
    return {
        f"{each.name.removesuffix('_s')}_ms" if each.name.endswith("_s") else each.name: each.name
        for each in fields(record)
    }


_PLAYOUT = _keys(Playout)
_INSTRUMENT = _keys(Instrument)
# Keys of /1: NAME "_" PERCENTILE "_ms", flat where /2 has a record of each.
_LATE = re.compile(rf"({'|'.join(LATENESSES)})_(p50|p95|p99)_ms")
# What a side of a link has today and had not then: not known is None, but for counts that a report adds up.
_UNKNOWN: Mapping[Any, Mapping[str, Any]] = {
    Asked: {**dict.fromkeys(_keys(Asked)), "notes": ()},
    Met: {**dict.fromkeys(_keys(Met)), "offered": 0, "delivered": 0, "drops": {}},
}
# A join of which only milestones were kept (the callee's).
_UNTIMED: Mapping[str, Any] = {"phases": {}, "retransmissions": [], "rtts": None, "failed": None}


def modernised(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of schema ``/1`` as ``/2`` has it; times stay in milliseconds."""
    ears, joins, links, harness = (data[key] for key in ("mouth_to_ear", "join", "link", "harness"))
    # The first shape of /1 had no peers: both were ours, and there was nothing to say of them.
    peers = data.get("peers", {"caller": {}, "callee": {}})
    parties = _parties(peers) if _keyed(peers) else {}
    return {
        **data,
        "mouth_to_ear": {way: _account(each) for way, each in ears.items()} if _keyed(ears) else ears,
        # All but the caller listened.
        "join": _joins(joins, max(1, len(parties) - 1)) if _keyed(joins) else joins,
        "link": {leg: _link(each) for leg, each in links.items()} if _keyed(links) else links,
        "harness": _harness(harness) if _keyed(harness) else harness,
        "parties": parties or peers,
    }


def _parties(peers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was ``peers``: of several listeners the first keeps the name of one, the others get numbers."""
    # "callee 1", "callee 2" of a room: the first is the callee, so that budgets of then still find it.
    return {name.removesuffix(" 1").replace(" ", "-"): each for name, each in peers.items()}


def _joins(written: Mapping[str, Any], listeners: int) -> dict[str, Any]:
    """Return the joins by party and round; ``listeners`` were in the room where the callee's were timed."""
    timed: list[Any] = []
    others: list[Any] = []
    attempts = written.get("attempts")
    if not isinstance(attempts, list):
        return dict(written)
    for place, each in enumerate(attempts):
        if not _keyed(each):
            timed.append(each)
            continue
        joiner = each.get("joiner", "caller")
        # In a room every listener of a round is an attempt of its own, in a row.
        round_, number = divmod(place, listeners if joiner == "callee" else 1)
        rest = {key: value for key, value in each.items() if key not in ("caller", "callee", "joiner")}
        again = rest.get("retransmissions")
        if isinstance(again, list):
            rest["retransmissions"] = [_again(one) for one in again]
        party = joiner if number == 0 else f"{joiner}-{number + 1}"
        timed.append({"party": party, "round": round_, "marks": each.get(joiner), **rest})
        other = "callee" if joiner == "caller" else "caller"
        # The talker's milestones stood in every listener's attempt; once is enough.
        if each.get(other) and number == 0:
            others.append({"party": other, "round": round_, "marks": each[other], **_UNTIMED})
    return {**written, "attempts": timed, **({"others": others} if others else {})}


def _again(written: Any) -> Any:
    """Return what was sent again: its side is a party."""
    return {"party" if key == "side" else key: each for key, each in written.items()} if _keyed(written) else written


def _link(written: Any) -> Any:
    """Return a report with every figure that a side has now: what was not counted then is not known."""
    if not _keyed(written):
        return written
    out = dict(written)
    for side, record in (("requested", Asked), ("achieved", Met)):
        if _keyed(written.get(side)):
            out[side] = {**_UNKNOWN[record], **written[side]}
    return out


def _harness(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the instrument added: percentiles of one clockwork together, single steps of a join together."""
    out: dict[str, Any] = {}
    for key, value in written.items():
        late = _LATE.fullmatch(key)
        if late is not None:
            out.setdefault(late[1], {f"{p}_ms": None for p in ("p50", "p95", "p99")})[f"{late[2]}_ms"] = value
        elif key in _INSTRUMENT:
            out[key] = value
        # Single steps of a join stood among the rest, by names of their own.
        elif key.endswith("_ms"):
            out.setdefault("own_s", {})[key.removesuffix("_ms")] = value
    return out


def _account(written: Any) -> Any:
    if not _keyed(written):
        return written
    out = dict(written)
    # {} said that there was nothing to say.
    out["playout"] = _playout(out.get("playout")) or None
    out["beside"] = out.pop("side_figures", {})
    for part in ("protection", "quality"):
        out[part] = out.get(part) or None
    return out


def _playout(written: Any) -> Any:
    """Return what a policy said, its own counters among ``counts``."""
    if not _keyed(written):
        return written
    named = {key: value for key, value in written.items() if key in _PLAYOUT}
    counts = {key: value for key, value in written.items() if key not in _PLAYOUT}
    return {**named, **({"counts": counts} if counts else {})}


def _keyed(value: Any) -> bool:
    return isinstance(value, Mapping)
