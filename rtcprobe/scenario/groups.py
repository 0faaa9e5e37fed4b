"""Parties of a count: one line of a scenario that stands for many alike, each a party of its own.

Rules:
    1. ``fan: {count: 3}`` is ``fan-1``, ``fan-2`` and ``fan-3``, in its place. Their role is the name they share, where
       none is written: so figures and budgets are told of all of them together (``join.fan.first_audio``).
    2. What names the group names each of it: a leg (``sfu_to_fan``), whom somebody hears, who does what a cue says.
       What a cue waits for happens to one, and is named. Nobody is meant of a group who is the one that hears it.
    3. What is written of one of them holds before what is written of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from rtcprobe.errors import BadInputError

__all__ = ["MOST_ALIKE", "spelled_out"]

MOST_ALIKE = 500
"""Each has a connection of its own, of 0.8 MiB (``benchmarks/room_speed.py``)."""

_LONGEST_NAME = 32
"""``party_schema.PARTY_NAME``."""


def spelled_out(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete settings ``written`` with a party for each that a count stands for.

    Raises:
        BadInputError: two of one name; a name that a number makes too long.
    """
    out = dict(written)
    named: Mapping[str, Any] = written.get("parties", {})
    alike = {name: _names(name, of["count"]) for name, of in named.items() if "count" in of}
    if not alike:
        return out
    parties: dict[str, Any] = {}
    for name, of in named.items():
        own = {key: each for key, each in of.items() if key != "count"}
        for each in alike.get(name, [name]):
            # fan-1 may be a party somebody wrote, beside a group called fan.
            if each in parties or (name in alike and each in named):
                raise BadInputError(f"there are two called {each!r}", "one has a count: give one another name")
            parties[each] = {**own, "role": own.get("role", name)} if name in alike else dict(own)
            if isinstance(own.get("hears"), list):
                parties[each]["hears"] = _heard(own["hears"], each, alike)
    out["parties"] = parties
    if isinstance(written.get("legs"), Mapping):
        # Rule 3: first all that groups make, then what is written of one by its own name, over it.
        legs = [(leg, name, link) for name, link in written["legs"].items() for leg in _legs(name, alike)]
        out["legs"] = {leg: link for leg, _, link in legs} | {leg: link for leg, name, link in legs if leg == name}
    if isinstance(written.get("script"), list):
        out["script"] = [cue for line in written["script"] for cue in _cues(line, alike)]
    return out


def _names(name: str, count: int) -> list[str]:
    names = [f"{name}-{number}" for number in range(1, count + 1)]
    if len(names[-1]) > _LONGEST_NAME:
        raise BadInputError(f"parties.{name}: {names[-1]!r} is too long a name", "give the group a shorter one")
    return names


def _heard(hears: Sequence[Any], listener: str, alike: Mapping[str, Sequence[str]]) -> list[Any]:
    return [each for heard in hears for each in alike.get(heard, [heard]) if heard not in alike or each != listener]


def _legs(name: str, alike: Mapping[str, Sequence[str]]) -> list[str]:
    ends = str(name).split("_to_")
    every = product(*(alike.get(end, [end]) for end in ends))
    grouped = any(end in alike for end in ends)
    # A group to itself is every pair of two; nobody has a leg to itself. What names no group stays as written, a fault
    # too, for the reader of legs to tell.
    return ["_to_".join(each) for each in every if not grouped or len(set(each)) == len(each)]


def _cues(line: str, alike: Mapping[str, Sequence[str]]) -> list[str]:
    # The first word is who acts; what a cue waits for happens to one, and stays (rule 2).
    party, blank, rest = line.strip().partition(" ")
    return [f"{each}{blank}{rest}" for each in alike[party]] if party in alike else [line]
