"""From the places of a scenario to the hops of every route.

Rules:
    1. A loopback call is emulated whole: access, backbone, access; the signalling server has no access of its own.
    2. Calling an outside target, a side keeps its access, and the rest of the way is the real one: the network to the
       server and the server itself. ``target.region`` adds the backbone between the side's region and that one.
    3. A link written out carries everything in its direction, signalling too: the server, and so an outside target,
       stands at the callee's end of it. ``rtt``, without ``target.region``, is put on the caller's side likewise.
    4. Over the public network, a backbone into mainland China has the border's loss and rate, outwards it has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtcprobe.call.targets.base import Route
from rtcprobe.link import ACCESS, USUAL_BORDER, LinkSpec, Requested, backbone, entering, enters_mainland, unreached
from rtcprobe.scenario import Scenario
from rtcprobe.units import format_duration
from rtcprobe.ways import Leg

__all__ = ["Route", "never_met", "nominal_round_trip_s", "routes"]

_FAR = ("server", "target")


def routes(scenario: Scenario, wanted: Sequence[Route]) -> Mapping[Route, Sequence[LinkSpec]]:
    """Return the hops of every route that is wanted."""
    sites = {"caller": scenario.caller, "callee": scenario.callee}
    regions: dict[str, str | None] = {
        "caller": scenario.caller.region,
        "callee": scenario.callee.region,
        "server": scenario.signaling.region,
        "target": scenario.target.region,
    }
    there = Leg("caller_to_callee")
    written = {("caller", "callee"): scenario.legs.get(there), ("callee", "caller"): scenario.legs.get(there.back)}
    out: dict[Route, Sequence[LinkSpec]] = {}
    for source, destination in wanted:
        link = _carries(written, source, destination)
        if link is not None:
            out[source, destination] = link
            continue
        hops = []
        ends = (regions[source], regions[destination])
        if ends[0] is not None and ends[1] is not None:
            rtt_s = None if {source, destination} & set(_FAR) else scenario.rtt_s
            hops = [_between(scenario, ends[0], ends[1], rtt_s)]
        elif scenario.rtt_s is not None and "caller" in (source, destination):
            sides = (scenario.caller.region, scenario.callee.region)
            hops = [_between(scenario, *(sides if source == "caller" else sides[::-1]), scenario.rtt_s)]
        if source in sites:
            hops.insert(0, ACCESS[sites[source].access].up)
        if destination in sites:
            hops.append(ACCESS[sites[destination].access].down)
        out[source, destination] = hops
    return out


def _between(scenario: Scenario, source: str, destination: str, rtt_s: float | None) -> LinkSpec:
    """Return the backbone from one region to another, the border of mainland China included."""
    spec = backbone(source, destination, rtt_s, private=scenario.private).spec
    if scenario.private or not enters_mainland(source, destination):
        return spec
    return entering(spec, scenario.border or USUAL_BORDER)


def nominal_round_trip_s(hops: Mapping[Route, Sequence[LinkSpec]]) -> float | None:
    """Return the round trip the media path is asked to have: its median delays there and back, None if not known."""
    if ("caller", "callee") not in hops:
        return None  # part of the way is a real one
    ways = [Requested.of(hops[route]).delay_p50_s for route in (("caller", "callee"), ("callee", "caller"))]
    return None if None in ways else sum(way for way in ways if way is not None)


def never_met(scenario: Scenario, joined_s: float) -> tuple[str, ...]:
    """Return a warning for each written link whose calls, joined within ``joined_s``, end before all of it was met."""
    lasts_s = scenario.call.duration_s
    late = {
        way.replace("_", " "): unreached(spec, joined_s + lasts_s, scenario.codec.ptime_s)
        for way, spec in scenario.legs.items()
    }
    if len(late) > 1 and len(set(late.values())) == 1:
        late = {"both ways": next(iter(late.values()))}
    calls = "the call is" if scenario.call.calls == 1 else "each call is"
    return tuple(
        f"link ({way}): {each.what} is never reached, for {calls} over before"
        f" ({format_duration(lasts_s)}): give call.duration above {format_duration(each.at_s)}"
        for way, each in late.items()
        if each is not None
    )


def _carries(written: Mapping[Route, LinkSpec | None], source: str, destination: str) -> Sequence[LinkSpec] | None:
    """Return what a written link makes of a route; None where none was written for its direction."""
    towards_callee = source == "caller" or destination == "callee"
    link = written["caller", "callee"] if towards_callee else written["callee", "caller"]
    if link is None:
        return None
    at_one_end = bool({source, destination} & set(_FAR)) and "callee" in (source, destination)
    return [] if at_one_end else [link]
