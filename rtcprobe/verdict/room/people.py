"""Who is who in a result: role, region and access of every party, as its scenario has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rtcprobe.result import Result

__all__ = ["HOSTS", "Person", "groups", "people", "those"]

HOSTS: Final = ("host", "co-host")
"""The roles of those who hold a room: while one of them is heard, it is not without a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A party as its scenario has it; "" for what it does not say."""

    name: str
    role: str = ""
    region: str = ""
    access: str = ""


def people(result: Result) -> Mapping[str, Person]:
    """Return everybody who hears or is heard in ``result``, or joins, by name: those of the scenario in its order."""
    written = result.settings.get("parties")
    told: Mapping[str, object] = (
        # A call of two says caller and callee, a room its parties; ``settings`` of very old results are empty, and then
        # only what was measured knows who took part.
        written if isinstance(written, Mapping) else {name: result.settings.get(name) for name in ("caller", "callee")}
    )
    there = [each for way in result.ways for each in (way.talker, way.listener)]
    there += [each.party for each in result.join.attempts]
    # Who is written and was never heard nor joined (a host who failed) is somebody still, in a room.
    known = [name for name in told if name in there or isinstance(written, Mapping)]
    return {name: _person(name, told.get(name)) for name in dict.fromkeys((*known, *there))}


def _person(name: str, says: object) -> Person:
    if not isinstance(says, Mapping):
        return Person(name=name)
    words = {key: says.get(key) for key in ("role", "region", "access")}
    return Person(name=name, **{key: value for key, value in words.items() if isinstance(value, str)})


def groups(known: Mapping[str, Person]) -> Mapping[str, tuple[str, ...]]:
    """Return the names of each role's parties, in the order in which roles first appear; {} where nobody has one."""
    found: dict[str, list[str]] = {}
    for each in known.values():
        if each.role:
            found.setdefault(each.role, []).append(each.name)
    return {role: tuple(names) for role, names in found.items()}


def those(known: Mapping[str, Person], name: str) -> tuple[str, ...]:
    """Return whom a budget means by ``name``: the party called so, else everybody of that role."""
    # A party may be called what a role is: then it alone is meant, as it is the nearer.
    return (name,) if name in known else groups(known).get(name, ())
