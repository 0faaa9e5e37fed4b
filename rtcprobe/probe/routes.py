"""From the places of a scenario to the hops of every route.

Rules:
    1. A loopback call is emulated whole: access, backbone, access; the signalling server has no access of its own.
    2. Calling an outside target, a side keeps its access, and the rest of the way is the real one: the network to the
       server and the server itself. ``target.region`` adds the backbone between the side's region and that one.
    3. A leg written out replaces what lies between two parties in its direction. Where the signalling server stands
       ``beside`` a party, the legs that lead there carry signalling too: of a call of two the server, and so an outside
       target, stands at the callee's end. ``rtt``, without ``target.region``, is put on the caller's side likewise.
    4. Where servers of ours forward, a route leads from a party to its server, from one server to another, or back: a
       server has no access line. One that is its own signalling server has nothing between.
    5. Over the public network, a backbone into mainland China has the border's loss and rate, outwards it has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtcprobe.call.targets.base import Route
from rtcprobe.link import USUAL_BORDER, LinkSpec, Requested, backbone, entering, enters_mainland, unreached
from rtcprobe.scenario import Scenario, Stream
from rtcprobe.units import format_duration
from rtcprobe.ways import Leg

__all__ = ["Route", "never_met", "nominal_round_trip_s", "routes"]

# What routes call who is no party: the signalling server, and whoever is called outside.
_FAR = ("server", "target")


def routes(scenario: Scenario, wanted: Sequence[Route]) -> Mapping[Route, Sequence[LinkSpec]]:
    """Return the hops of every route that is wanted."""
    sites = {party.name: party.site for party in scenario.parties}
    regions: dict[str, str | None] = {
        **{name: site.region for name, site in (*sites.items(), *scenario.servers.items())},
        "server": scenario.signaling.region,
        "target": scenario.target.region,
    }
    first, *others = sites
    out: dict[Route, Sequence[LinkSpec]] = {}
    for source, destination in wanted:
        # From a server to itself nothing lies between: one that is its own signalling server.
        written = [] if source == destination else _carries(scenario, source, destination)
        if written is not None:
            out[source, destination] = written
            continue
        hops = []
        ends = (regions[source], regions[destination])
        if ends[0] is not None and ends[1] is not None:
            # rtt is of the media path between the two parties; the way to a server is the catalogue's.
            rtt_s = None if {source, destination} & set(_FAR) else scenario.rtt_s
            hops = [_between(scenario, ends[0], ends[1], rtt_s)]
        elif scenario.rtt_s is not None and first in (source, destination):
            there = (sites[first].region, sites[others[0]].region)
            hops = [_between(scenario, *(there if source == first else there[::-1]), scenario.rtt_s)]
        if source in sites:
            # Access lines belong to parties, whatever the other end is.
            hops.insert(0, sites[source].up)
        if destination in sites:
            hops.append(sites[destination].down)
        out[source, destination] = hops
    return out


def _between(scenario: Scenario, source: str, destination: str, rtt_s: float | None) -> LinkSpec:
    """Return the backbone from one region to another, the border of mainland China included."""
    spec = backbone(source, destination, rtt_s, private=scenario.private).spec
    # A vendor's own line passes the border by itself: it has none.
    if scenario.private or not enters_mainland(source, destination):
        return spec
    return entering(spec, scenario.border or USUAL_BORDER)


def nominal_round_trip_s(hops: Mapping[Route, Sequence[LinkSpec]], one: str, other: str) -> float | None:
    """Return the round trip the media path of two is asked to have: its median delays there and back.

    None where it is not known.
    """
    if (one, other) not in hops:
        return None  # part of the way is a real one
    ways = [Requested.of(hops[route]).delay_p50_s for route in ((one, other), (other, one))]
    return None if None in ways else sum(way for way in ways if way is not None)


def never_met(scenario: Scenario, joined_s: float) -> tuple[str, ...]:
    """Return a warning for each written link whose calls, joined within ``joined_s``, end before all of it was met."""
    lasts_s = scenario.call.duration_s
    late = {leg: unreached(spec, joined_s + lasts_s, _packet_s(scenario, leg)) for leg, spec in scenario.legs.items()}
    names = {leg: leg.replace("_", " ") for leg in late}
    # One link for every leg: one sentence.
    if len(late) > 1 and len(set(late.values())) == 1:
        every = "both ways" if len(late) == len(scenario.parties) else "every leg"
        names = {next(iter(late)): every}
    calls = "the call is" if scenario.call.calls == 1 else "each call is"
    return tuple(
        f"link ({name}): {each.what} is never reached, for {calls} over before"
        f" ({format_duration(lasts_s)}): give call.duration above {format_duration(each.at_s)}"
        for leg, name in names.items()
        if (each := late[leg]) is not None
    )


def _packet_s(scenario: Scenario, leg: Leg) -> float:
    """Return how much sound a packet on ``leg`` holds; of who sends none, what the first who sends has in it."""
    sending = scenario.sending("audio")
    sound = sending.get(leg.source) or next(iter(sending.values()), Stream())
    return sound.codec.ptime_s


def _carries(scenario: Scenario, source: str, destination: str) -> Sequence[LinkSpec] | None:
    """Return what legs written out make of a route; None where its direction has none (rule 3)."""
    legs, beside = scenario.legs, scenario.signaling.beside
    if beside is None or not {source, destination} & set(_FAR):
        written = legs.get(Leg.between(source, destination))
        return None if written is None else [written]
    if beside in (source, destination):
        # The server is at this party's own end of the legs that lead to it, or from it: nothing lies between.
        leading = [Leg.between(party.name, beside) for party in scenario.parties if party.name != beside]
        leading = leading if destination == beside else [leg.back for leg in leading]
        return [] if all(leg in legs for leg in leading) else None
    source, destination = (beside if each in _FAR else each for each in (source, destination))
    written = legs.get(Leg.between(source, destination))
    return None if written is None else [written]
