"""Forwarding servers of ours between the parties: where they stand, and which of them each party is connected to.

Rules:
    1. One that nobody named is called what the target is, ``sfu`` or ``mix``; ``edges`` names servers by their regions.
    2. ``nearest``: the server with the least median delay there and back over the backbone, or over the legs written
       out; of equals the one written first. ``best-pair``: those servers by which the ways of the call are shortest, on
       the mean. ``named``: every party says which.
    3. A leg written out leads between a party and its server, or between two servers: nothing else carries packets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, Literal, get_args

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.link import REGIONS, LinkSpec, backbone
from rtcprobe.scenario.parties import ANYWHERE, Party, Site
from rtcprobe.ways import Leg, party_named

__all__ = ["ASSIGN", "FORWARDING", "Assign", "apart", "check_places", "homes_of", "servers_of"]

Assign = Literal["nearest", "best-pair", "named"]

ASSIGN: Final[tuple[Assign, ...]] = get_args(Assign)

FORWARDING: Final = ("sfu", "mix")
"""The targets that are servers of ours."""


def servers_of(written: Mapping[str, Any]) -> dict[str, Site]:
    """Return the servers that the complete settings ``written`` name, with where each is; none for other targets.

    Raises:
        BadInputError: servers that the target has no use for; written twice; none at all, or nowhere.
    """
    target = written.get("target", "loopback")
    keys = target if isinstance(target, Mapping) else {"url": target}
    kind = str(keys.get("url", keys.get("kind")))
    named = {key: written[key] for key in ("servers", "edges") if key in written}
    if kind not in FORWARDING:
        for key in (*named, *(["assign"] if "assign" in written else [])):
            raise BadInputError(f"{key} is written, and target {kind} is no server of ours", "write target: sfu")
        return {}
    region = keys.get("region")
    if len(named) + (region is not None) > 1:
        several = " and ".join([*named, *(["target.region"] if region is not None else [])])
        raise BadInputError(f"{several} all say where the servers are", "leave all but one out")
    if "servers" in written:
        return {party_named(name): Site(region=of.get("region", ANYWHERE)) for name, of in written["servers"].items()}
    if "edges" in written:
        edges: Sequence[str] = written["edges"]
        twice = next((each for each in edges if edges.count(each) > 1), None)
        if twice is not None:
            raise BadInputError(f"there are two edges in {twice}", "write servers, with a name each")
        return {name: Site(region=name) for name in edges}
    if region is not None and region not in REGIONS:
        raise BadInputError(f"target.region {region!r} is not known", did_you_mean(region, sorted(REGIONS)))
    return {kind: Site(region=region or ANYWHERE)}


def homes_of(
    parties: Sequence[Party],
    servers: Mapping[str, Site],
    legs: Mapping[Leg, LinkSpec],
    assign: Assign,
    *,
    private: bool = False,
) -> dict[str, str]:
    """Return which server each party is connected to, by name; {} where there are none.

    Raises:
        BadInputError: a party that names a server there is not, or none where each has to.
    """
    if not servers:
        return {}
    for party in parties:
        if party.edge is not None and party.edge not in servers:
            raise BadInputError(
                f"parties.{party.name}.edge {party.edge!r} is no server here", did_you_mean(party.edge, list(servers))
            )
        if party.edge is None and assign == "named":
            raise BadInputError(f"parties.{party.name}.edge is missing", f"write it like {next(iter(servers))}")

    def between_s(one: str, other: str, regions: tuple[str, str]) -> float:
        both = (Leg.between(one, other), Leg.between(other, one))
        far = None if ANYWHERE in regions else backbone(*regions, private=private).spec
        specs = [legs.get(leg, far) for leg in both]
        # Nowhere is no distance: who stands nowhere has legs written out, or is refused (``check_places``).
        return sum(0.0 if spec is None else spec.delay.quantile_s(0.5) for spec in specs)

    def away_s(party: Party, server: str) -> float:
        return between_s(party.name, server, (party.site.region, servers[server].region))

    def apart_s(one: str, other: str) -> float:
        return 0.0 if one == other else between_s(one, other, (servers[one].region, servers[other].region))

    # min keeps the first of equals: the one written first (rule 2).
    nearest = {party.name: party.edge or min(servers, key=lambda each: away_s(party, each)) for party in parties}
    return _best_pairs(parties, list(servers), nearest, away_s, apart_s) if assign == "best-pair" else nearest


def check_places(
    parties: Sequence[Party], servers: Mapping[str, Site], homes: Mapping[str, str], legs: Mapping[Leg, LinkSpec]
) -> None:
    """Refuse a path whose ends are not known, and a leg that carries nothing (rule 3).

    Raises:
        BadInputError: a place is missing; a leg between two parties.
    """
    for leg in legs:
        if leg.source not in servers and leg.destination not in servers:
            raise BadInputError(
                f"leg {str(leg)!r} leads past the server that {leg.source} and {leg.destination} are connected to",
                f"write {leg.source}_to_{homes[leg.source]} or {homes[leg.destination]}_to_{leg.destination}",
            )
    for party in parties:
        home = homes[party.name]
        leg = Leg.between(party.name, home)
        missing = next((each for each in (leg, leg.back) if each not in legs), None)
        if missing is None:
            continue
        otherwise = f"or give the leg {missing}, or link for every leg"
        for key, value, example in (("region", party.site.region, "bangkok"), ("access", party.site.access, "4g-good")):
            if value == ANYWHERE:
                raise BadInputError(f"parties.{party.name}.{key} is missing", f"write it like {example}; {otherwise}")
        if servers[home].region == ANYWHERE:
            where = f"servers.{home}.region" if home not in FORWARDING else "target.region"
            raise BadInputError(f"{where} is missing", f"write it like singapore; {otherwise}")
    for one in servers:
        for other in servers:
            nowhere = next((each for each in (one, other) if servers[each].region == ANYWHERE), None)
            if one != other and nowhere is not None and Leg.between(one, other) not in legs:
                cure = f"write it like singapore; or give the leg {Leg.between(one, other)}"
                raise BadInputError(f"servers.{nowhere}.region is missing", cure)


def apart(
    parties: Sequence[Party], servers: Mapping[str, Site], homes: Mapping[str, str], legs: Mapping[Leg, LinkSpec]
) -> list[tuple[str, str]]:
    """Return the pairs of regions that a backbone lies between: of each party and its server, and of two servers."""
    regions = {name: site.region for name, site in servers.items()}
    away = [
        (party.site.region, regions[homes[party.name]])
        for party in parties
        if Leg.between(party.name, homes[party.name]) not in legs
    ]
    met = [pair for pair in combinations(servers, 2) if Leg.between(*pair) not in legs]
    return away + [(regions[one], regions[other]) for one, other in met]


def _best_pairs(
    parties: Sequence[Party],
    servers: Sequence[str],
    nearest: Mapping[str, str],
    away_s: Callable[[Party, str], float],
    apart_s: Callable[[str, str], float],
) -> dict[str, str]:
    """Return whom each party is connected to so that ways are short on the mean: the best of several descents.

    A descent moves one party at a time to where its own ways are shortest. It begins with everybody at the nearest, and
    with everybody at each one: where all meet at one server, nobody gains by leaving alone.
    """
    met = {
        one.name: [other for other in parties if one.listens_to(other.name) or other.listens_to(one.name)]
        for one in parties
    }

    def of_one_s(party: Party, at: str, home: Mapping[str, str]) -> float:
        ways = met[party.name]
        return len(ways) * away_s(party, at) + sum(apart_s(at, home[other.name]) for other in ways)

    def whole_s(home: Mapping[str, str]) -> float:
        # Over both directions of every pair: ``of_one_s`` of either end has what lies between their servers, and each
        # end's own leg once; it is passed twice, on the way out and on the way in.
        return sum(of_one_s(party, home[party.name], home) + _own_s(party, home) for party in parties)

    def _own_s(party: Party, home: Mapping[str, str]) -> float:
        return len(met[party.name]) * away_s(party, home[party.name])

    def descended(home: dict[str, str]) -> dict[str, str]:
        # Each round moves somebody to where the sum is less, and there are finitely many homes; the bound is for
        # rounding alone.
        for _ in range(len(parties) * len(servers)):
            before = dict(home)
            for party in parties:
                if party.edge is None:
                    best = min(servers, key=lambda each, of=party: of_one_s(of, each, home))  # type: ignore[misc]
                    # A hair, so that equal servers do not swap a party for ever.
                    if of_one_s(party, best, home) < of_one_s(party, home[party.name], home) - 1e-12:
                        home[party.name] = best
            if home == before:
                break
        return home

    # From several beginnings, as a descent ends in the nearest valley.
    starts = [dict(nearest), *({party.name: party.edge or each for party in parties} for each in servers)]
    return min((descended(start) for start in starts), key=whole_s)
