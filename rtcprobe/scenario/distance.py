"""How far apart the parties of a scenario are: which backbones lie between them, and what light itself would take."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from rtcprobe.link import backbone, light_bound_s
from rtcprobe.scenario.parties import ANYWHERE, Party, Site
from rtcprobe.scenario.servers import apart
from rtcprobe.units import format_duration
from rtcprobe.ways import Leg

if TYPE_CHECKING:
    from rtcprobe.scenario.model import Scenario

__all__ = ["regions_apart", "there_and_back", "too_fast"]


def regions_apart(scenario: Scenario) -> list[tuple[str, str]]:
    """Return the pairs of regions that a backbone of its call lies between."""
    parties, legs, target = scenario.parties, scenario.legs, scenario.target
    if scenario.servers:
        return apart(parties, scenario.servers, scenario.homes, legs)
    between = [
        (a.site.region, b.site.region)
        for a, b in combinations(parties, 2)
        if any(leg not in legs for leg in there_and_back(a, b))
    ]
    if target.scheme in ("loopback", "page"):
        if not between and scenario.signaling.beside is not None:
            return []
        # Signalling goes over the public network, too, wherever its server stands.
        return [*between, *((party.site.region, scenario.signaling.region) for party in parties)]
    if not between:
        return []
    if target.region is not None:
        # The server stands where target.region says: every party has a backbone to it, and none between each other.
        near = [party.site.region for party in parties if party.site.region != ANYWHERE]
        return [(region, target.region) for region in near]
    # Nothing is put between the two and a server where it really is, unless a round trip says how far that should be.
    return between if scenario.rtt_s is not None else []


def too_fast(scenario: Scenario) -> tuple[str, ...]:
    """Return a warning for each two whose path is faster than light in fibre on the great circle."""
    if scenario.servers:
        return ()  # legs to a server are judged each by its own, where it is written
    found = (_too_fast_between(scenario, a, b) for a, b in combinations(scenario.parties, 2))
    return tuple(dict.fromkeys(warning for warning in found if warning is not None))


def there_and_back(one: Party, other: Party) -> tuple[Leg, Leg]:
    """Return the legs from one party to another, and back."""
    leg = Leg.between(one.name, other.name)
    return leg, leg.back


def _too_fast_between(scenario: Scenario, one: Party, other: Party) -> str | None:
    a, b = one.site.region, other.site.region
    if ANYWHERE in (a, b):
        return None
    if scenario.rtt_s is not None:
        return backbone(a, b, scenario.rtt_s).warning
    bound_s = light_bound_s(a, b)
    there, back = there_and_back(one, other)
    # Quantile 0: with jitter that may come near nothing, only what no packet could do is a fault.
    ahead_s = _fastest_s(scenario, there, one.site, other.site)
    fastest_s = ahead_s + _fastest_s(scenario, back, other.site, one.site)
    # The catalogue's own round trips are measured ones: only legs that somebody wrote can be faster.
    if not {there, back} & set(scenario.legs) or fastest_s >= bound_s:
        return None
    fact = f"link: a round trip of {format_duration(fastest_s, 1)} between {a} and {b} is faster than light in fibre"
    return f"{fact}, which takes {format_duration(bound_s, 1)}"


def _fastest_s(scenario: Scenario, leg: Leg, sender: Site, receiver: Site) -> float:
    """Return the shortest one-way delay of the media path, by its delay models."""
    if leg in scenario.legs:
        return scenario.legs[leg].delay.quantile_s(0)
    between = backbone(sender.region, receiver.region, private=scenario.private)
    hops = (sender.up, between.spec, receiver.down)
    return sum(hop.delay.quantile_s(0) for hop in hops)
