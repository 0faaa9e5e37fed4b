"""From the places of a scenario to the hops of every route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtcprobe.call.targets.loopback import ROUTES
from rtcprobe.link import ACCESS, LinkSpec, Requested, backbone
from rtcprobe.scenario import Scenario

__all__ = ["Route", "nominal_round_trip_s", "routes"]

Route = tuple[str, str]


def routes(scenario: Scenario) -> Mapping[Route, Sequence[LinkSpec]]:
    """Return the hops of every route: access, backbone, access; the signalling server has no access of its own.

    A link written out in the scenario carries everything in its direction, signalling too: the server then stands at
    the callee's end of it.
    """
    sites = {"caller": scenario.caller, "callee": scenario.callee}
    regions = {"caller": scenario.caller.region, "callee": scenario.callee.region, "server": scenario.signaling.region}
    written = {
        ("caller", "callee"): scenario.link.get("caller_to_callee"),
        ("callee", "caller"): scenario.link.get("callee_to_caller"),
    }
    out: dict[Route, Sequence[LinkSpec]] = {}
    for source, destination in ROUTES:
        link = _carries(written, source, destination)
        if link is not None:
            out[source, destination] = link
            continue
        rtt_s = None if "server" in (source, destination) else scenario.rtt_s
        hops = [backbone(regions[source], regions[destination], rtt_s).spec]
        if source in sites:
            hops.insert(0, ACCESS[sites[source].access].up)
        if destination in sites:
            hops.append(ACCESS[sites[destination].access].down)
        out[source, destination] = hops
    return out


def nominal_round_trip_s(hops: Mapping[Route, Sequence[LinkSpec]]) -> float | None:
    """Return the round trip the media path is asked to have: its median delays there and back, None if not known."""
    ways = [Requested.of(hops[route]).delay_p50_s for route in (("caller", "callee"), ("callee", "caller"))]
    return None if None in ways else sum(way for way in ways if way is not None)


def _carries(written: Mapping[Route, LinkSpec | None], source: str, destination: str) -> Sequence[LinkSpec] | None:
    """Return what a written link makes of a route; None where none was written for its direction."""
    towards_callee = source == "caller" or destination == "callee"
    link = written["caller", "callee"] if towards_callee else written["callee", "caller"]
    if link is None:
        return None
    at_one_end = "server" in (source, destination) and "callee" in (source, destination)
    return [] if at_one_end else [link]
