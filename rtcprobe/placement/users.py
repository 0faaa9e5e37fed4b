"""Where users are, where edges may stand, and what a good call is: one YAML file.

::

    users:                                            # shares of all who call; they need not sum to 1
      - {region: bangkok, access: 4g-good, share: 30%}
      - {region: frankfurt, access: wifi-good, share: 25%}
    edges: [singapore, frankfurt, virginia]           # where a server may stand; every region unless given
    choose: 2                                         # how many
    budget: 200ms                                     # mouth to ear
    rtt: {singapore-frankfurt: 150ms}                 # a vendor's own lines between edges, where known
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rtcprobe.errors import BadInputError, did_you_mean, same_name
from rtcprobe.link import ACCESS, REGIONS, backbone
from rtcprobe.strictyaml import read_yaml
from rtcprobe.units import parse_duration, parse_ratio

__all__ = ["MOST_EDGES", "MOST_GROUPS", "Group", "Question", "read_question"]

# 200 groups with all 38 regions as edges took 1.1 GB and 22 s of CPU, calls included: the table of user pairs by edge
# pairs is the most of it.
MOST_GROUPS: Final = 200
# An edge is one of the regions, of which there are 38: their list has room to grow.
MOST_EDGES: Final = 60
_KEYS: Final = ("users", "edges", "choose", "budget", "rtt")
# Nobody calls a second and more a good call (G.114 says 400 ms): beyond, a time was written in the wrong unit.
_LONGEST_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users alike: where they are, how they reach the network, and their share of all (0 to 1)."""

    region: str
    access: str
    share: float

    @property
    def name(self) -> str:
        """``"bangkok/4g-good"``."""
        return f"{self.region}/{self.access}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: which ``choose`` of ``edges`` bring how many pairs of users within ``budget_s``.

    ``rtt_s`` overrides round trips between two regions, by an unordered pair of their names.
    """

    groups: tuple[Group, ...]
    edges: tuple[str, ...]
    choose: int
    budget_s: float
    rtt_s: Mapping[frozenset[str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.groups or len(self.groups) > MOST_GROUPS:
            raise BadInputError(f"{len(self.groups)} groups of users are impossible", f"give 1 to {MOST_GROUPS}")
        if not self.edges or len(self.edges) > MOST_EDGES:
            raise BadInputError(f"{len(self.edges)} edges to choose from are impossible", f"give 1 to {MOST_EDGES}")
        if not 1 <= self.choose <= len(self.edges):
            raise BadInputError(
                f"choose {self.choose} of {len(self.edges)} edges is impossible", "give as many or fewer"
            )
        if not 0.0 < self.budget_s <= _LONGEST_S:
            raise BadInputError("budget is impossible", "give more than 0ms, 2s at most")

    def round_trip_s(self, a: str, b: str) -> float:
        """Return the round trip between two regions: as given, cited, or estimated."""
        given = self.rtt_s.get(frozenset((a, b)))
        return backbone(a, b, None).rtt_s if given is None else given

    @property
    def estimated(self) -> tuple[str, ...]:
        """Pairs of a user's region and an edge whose round trip is estimated, not cited or given."""
        found = {
            "-".join(sorted((group.region, edge)))
            for group in self.groups
            for edge in self.edges
            if frozenset((group.region, edge)) not in self.rtt_s
            and backbone(group.region, edge).provenance.startswith("estimated")
        }
        return tuple(sorted(found))


def read_question(path: Path) -> Question:
    """Return what the file at ``path`` asks.

    Raises:
        BadInputError: it cannot be read, or says something that cannot be meant.
    """
    return read_yaml(path, _question)


def _question(written: object) -> Question:
    if not isinstance(written, Mapping):
        raise BadInputError("this asks nothing", "write users, edges, choose and budget")
    for key in written:
        if key not in _KEYS:
            raise BadInputError(f"{key!r} is not known", did_you_mean(key, _KEYS))
    for key in ("users", "choose", "budget"):
        if key not in written:
            raise BadInputError(f"{key} is missing", f"write it like {_LIKE[key]}")
    edges = written.get("edges", list(REGIONS))
    if not isinstance(edges, list):
        raise BadInputError(f"edges {edges!r} is no list", "write them like [singapore, frankfurt]")
    names = tuple(_known("edge", each, REGIONS) for each in edges)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"edge {twice} is given twice", "leave one out")
    choose = written["choose"]
    # YAML of other tools writes 3.0 for 3.
    if isinstance(choose, float) and choose.is_integer():
        choose = int(choose)
    if not isinstance(choose, int) or isinstance(choose, bool):
        shown = str(choose).lower() if isinstance(choose, bool) else choose
        raise BadInputError(f"choose {shown} is no number", "write it like choose: 3")
    return Question(
        groups=_groups(written["users"]),
        edges=names,
        choose=choose,
        budget_s=parse_duration(written["budget"]),
        rtt_s=_round_trips(written.get("rtt", {})),
    )


_LIKE: Final = {
    "users": "users: [{region: bangkok, access: 4g-good, share: 30%}]",
    "choose": "choose: 3",
    "budget": "budget: 200ms",
}


def _groups(written: object) -> tuple[Group, ...]:
    if not isinstance(written, list) or not written:
        raise BadInputError("users are no list", f"write {_LIKE['users']}")
    raw: list[tuple[str, str, float]] = []
    for number, each in enumerate(written, start=1):
        try:
            raw.append(_group(each))
        except BadInputError as error:
            raise error.within(f"users, group {number}") from error
    total = sum(share for _, _, share in raw)
    if total <= 0.0:
        raise BadInputError("the shares of all users sum to nothing", "give at least one above 0%")
    merged: dict[tuple[str, str], float] = {}
    for region, access, share in raw:
        # Twice the same group is one of both shares, and shares are of their sum: 30 and 70 people, or 30 % and 70 %.
        merged[region, access] = merged.get((region, access), 0.0) + share / total
    return tuple(
        Group(region=region, access=access, share=share) for (region, access), share in merged.items() if share
    )


def _group(written: object) -> tuple[str, str, float]:
    if not isinstance(written, Mapping) or set(written) != {"region", "access", "share"}:
        raise BadInputError(f"{written!r} is no group", "write {region: bangkok, access: 4g-good, share: 30%}")
    region, access = _known("region", written["region"], REGIONS), _known("access", written["access"], ACCESS)
    return region, access, _share(written["share"])


def _share(written: object) -> float:
    """Return a share as written: ``30%``, or how many people, for shares need not sum to 1."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        value = float(written)
    else:
        value = parse_ratio(written)
    if not 0.0 <= value < 1e12:
        raise BadInputError(f"share {written!r} is impossible", "give zero or more")
    return value


def _round_trips(written: object) -> dict[frozenset[str], float]:
    if not isinstance(written, Mapping):
        raise BadInputError("rtt is no mapping", "write it like rtt: {singapore-frankfurt: 150ms}")
    found: dict[frozenset[str], float] = {}
    for pair, time in written.items():
        names = _pair(str(pair))
        seconds = parse_duration(time)
        backbone(*names, seconds)  # refuses what cannot be
        found[frozenset(names)] = seconds
    return found


def _pair(written: str) -> tuple[str, str]:
    """Return the two regions of ``"hong-kong-sao-paulo"``: names have hyphens of their own."""
    words = written.split("-")
    # Every place where a hyphen may part two names is tried, since regions such as hong-kong have hyphens too.
    for cut in range(1, len(words)):
        first, second = same_name("-".join(words[:cut]), REGIONS), same_name("-".join(words[cut:]), REGIONS)
        if first is not None and second is not None:
            return first, second
    raise BadInputError(f"rtt {written!r} names no two regions", "write it like singapore-frankfurt")


def _known(what: str, written: Any, known: Mapping[str, Any]) -> str:
    name = same_name(written, known) if isinstance(written, str) else None
    if name is None:
        raise BadInputError(f"{what} {written!r} is not known", did_you_mean(written, tuple(known)))
    return name
