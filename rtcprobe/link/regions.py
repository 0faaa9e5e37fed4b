"""Regions of the world and the backbone between them.

Facts:
    Light in fibre covers about 200 km a millisecond, so no round trip is shorter than 1 ms per 100 km of great
    circle. Real routes are longer: over Azure's regions the round trip is 2.40 times that bound for pairs 500 to
    2,000 km apart, 1.94 times up to 6,000 km, 1.62 times beyond (medians).

    Round trips vary: over all ordered AWS pairs p90 lies 5.2 ms above p50 (median; 5 % to 95 %: 2.7 to 17.8 ms).

Rules:
    1. A pair in one of the tables (``roundtrips.py``) is *cited*, after a cloud's own network or after pings over the
       public one; any other is *estimated* from its distance, and says so.
    2. One way is half the round trip. The spread is skewed as queues are: never under the route, a tail above it.
    3. A round trip below the light bound is a warning when the user gives it, and never in the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rtcprobe.errors import BadInputError
from rtcprobe.link.delay import LONGEST_S, Delay
from rtcprobe.link.keys import need_known
from rtcprobe.link.roundtrips import CLOUDS, PINGS
from rtcprobe.link.spec import LinkSpec
from rtcprobe.units import format_duration

__all__ = ["REGIONS", "Backbone", "Region", "backbone", "distance_km", "light_bound_s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A named place; degrees north and east."""

    name: str
    place: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """The hop between two regions, either direction: how long its round trip is, and how we know.

    ``warning`` is one sentence when a given round trip is faster than light in fibre.
    """

    spec: LinkSpec
    rtt_s: float
    provenance: str
    warning: str | None = None


# The mean radius; the ellipsoid would change a distance by half a per cent, an estimate by less than it is
# rounded.
_EARTH_RADIUS_KM: Final = 6371.0
_FIBRE_KM_PER_S: Final = 200_000.0
"""Two thirds of the speed of light in vacuum, as in fibre of refractive index 1.5 (Bozkurt et al., PAM 2017)."""

_INFLATION: Final = ((2000.0, 2.40), (6000.0, 1.94), (math.inf, 1.62))
"""(up to km, times the light bound): medians over 2,285 ordered pairs of Azure's published table, 2026."""

_WITHIN_REGION_RTT_S: Final = 0.003
"""Median of the diagonal of the AWS table, 3.3 ms, to the millisecond."""

_RTT_SPREAD_S: Final = 0.0052
"""p90 - p50 of a round trip: median over 1,056 ordered AWS pairs (cloudping.co, July 2025)."""

_LARGEST_SPREAD: Final = 0.1
"""Short routes vary less: Frankfurt to London, 18 ms, has p90 - p50 = 2 ms."""

_CORRELATION: Final = 0.9
"""Assumed: backbone queues change over many packets, not from one to the next."""

# Degrees north and east to a hundredth, a kilometre: of the city, or of the town where the clouds' halls
# stand (Ashburn, Boardman).
_PLACES: Final = {
    "bangkok": ("Bangkok", 13.75, 100.50),
    "singapore": ("Singapore", 1.35, 103.82),
    "jakarta": ("Jakarta", -6.21, 106.85),
    "hong-kong": ("Hong Kong", 22.32, 114.17),
    "tokyo": ("Tokyo", 35.68, 139.69),
    "seoul": ("Seoul", 37.57, 126.98),
    "mumbai": ("Mumbai", 19.08, 72.88),
    "sydney": ("Sydney", -33.87, 151.21),
    "bahrain": ("Manama, Bahrain", 26.23, 50.59),
    "dubai": ("Dubai", 25.20, 55.27),
    "cape-town": ("Cape Town", -33.92, 18.42),
    "stockholm": ("Stockholm", 59.33, 18.07),
    "frankfurt": ("Frankfurt", 50.11, 8.68),
    "london": ("London", 51.51, -0.13),
    "dublin": ("Dublin", 53.35, -6.26),
    "virginia": ("Ashburn, Virginia", 39.04, -77.49),
    "oregon": ("Boardman, Oregon", 45.84, -119.70),
    "california": ("San Jose, California", 37.34, -121.89),
    "montreal": ("Montreal", 45.50, -73.57),
    "sao-paulo": ("São Paulo", -23.55, -46.63),
    "buenos-aires": ("Buenos Aires", -34.60, -58.38),
    "lagos": ("Lagos", 6.52, 3.38),
    "manila": ("Manila", 14.60, 120.98),
    "nairobi": ("Nairobi", -1.29, 36.82),
    "kuala-lumpur": ("Kuala Lumpur", 3.14, 101.69),
    "taipei": ("Taipei", 25.03, 121.57),
    "paris": ("Paris", 48.86, 2.35),
    "madrid": ("Madrid", 40.42, -3.70),
    "mexico-city": ("Mexico City", 19.43, -99.13),
    "shanghai": ("Shanghai", 31.23, 121.47),
    "shenzhen": ("Shenzhen", 22.54, 114.06),
    "beijing": ("Beijing", 39.90, 116.40),
    "hangzhou": ("Hangzhou", 30.27, 120.16),
    "riyadh": ("Riyadh", 24.71, 46.68),
    "istanbul": ("Istanbul", 41.01, 28.98),
    "cairo": ("Cairo", 30.04, 31.24),
    "ho-chi-minh-city": ("Ho Chi Minh City", 10.78, 106.70),
    "karachi": ("Karachi", 24.86, 67.00),
}

REGIONS: Final[Mapping[str, Region]] = MappingProxyType(
    {
        name: Region(name=name, place=place, latitude=latitude, longitude=longitude)
        for name, (place, latitude, longitude) in _PLACES.items()
    }
)
"""Regions by name; of Karachi, and of pairs of Lagos, Manila, Nairobi and Buenos Aires, most are estimated."""


def distance_km(a: str, b: str) -> float:
    """Return the great-circle distance between two regions.

    Raises:
        BadInputError: no such region.
    """
    need_known("region", (a, b), tuple(REGIONS))
    first, second = REGIONS[a], REGIONS[b]
    north, other_north = math.radians(first.latitude), math.radians(second.latitude)
    half_up = (other_north - north) / 2
    half_along = math.radians(second.longitude - first.longitude) / 2
    # The haversine formula: unlike the law of cosines it keeps its digits where two places are near each
    # other.
    chord = math.sin(half_up) ** 2 + math.cos(north) * math.cos(other_north) * math.sin(half_along) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord))


def light_bound_s(a: str, b: str) -> float:
    """Return the shortest round trip physics allows between two regions through fibre.

    Raises:
        BadInputError: no such region.
    """
    return 2 * distance_km(a, b) / _FIBRE_KM_PER_S


def backbone(a: str, b: str, rtt_s: float | None = None, *, private: bool = False) -> Backbone:
    """Return the hop between regions ``a`` and ``b``; ``rtt_s`` overrides the catalogue's round trip.

    A ``private`` one is a vendor's own line: where only the public network was pinged, it is estimated as Azure's own
    is, and is no slower than those pings.

    Raises:
        BadInputError: no such region, or a negative round trip.
    """
    bound_s = light_bound_s(a, b)
    warning = None
    if rtt_s is not None:
        if not 0 <= rtt_s <= 2 * LONGEST_S:
            raise BadInputError(f"rtt {format_duration(rtt_s)} is impossible", f"give 0ms to {2 * LONGEST_S:g}s")
        provenance = "given"
        if rtt_s < bound_s:
            warning = (
                f"rtt {format_duration(rtt_s)} between {a} and {b} is faster than light in fibre, "
                f"which takes {format_duration(bound_s, 1)}"
            )
    elif a == b:
        rtt_s, provenance = _WITHIN_REGION_RTT_S, "cited: AWS p50 within a region (cloudping.co, July 2025)"
    elif (cited_s := CLOUDS.get(frozenset((a, b)))) is not None:
        rtt_s, provenance = cited_s, "cited: AWS p50 (cloudping.co, July 2025), rounded to 5ms"
    elif (cited_s := PINGS.get(frozenset((a, b)))) is not None and not (private and _estimated_s(a, b) < cited_s):
        rtt_s, provenance = cited_s, "pinged: one server a city, public network (WonderNetwork, 2018), rounded to 5ms"
    else:
        rtt_s, km = _estimated_s(a, b), distance_km(a, b)
        provenance = (
            f"estimated: {km:.0f} km at {_inflation(km):g} times the light bound (medians of Azure's table, 2026)"
        )
    return Backbone(spec=LinkSpec(delay=_one_way(rtt_s)), rtt_s=rtt_s, provenance=provenance, warning=warning)


def _inflation(km: float) -> float:
    return next(times for limit_km, times in _INFLATION if km < limit_km)


def _estimated_s(a: str, b: str) -> float:
    # Rounded as the tables are, to 5 ms, and never to none.
    return max(0.005, round(light_bound_s(a, b) * _inflation(distance_km(a, b)) / 0.005) * 0.005)


def _one_way(rtt_s: float) -> Delay:
    """Return a delay of median ``rtt_s``/2 whose p90 lies half the round trip's spread above it."""
    shape = Delay(base_s=1.0, jitter_s=1.0, distribution="pareto")
    median, p90 = shape.quantile_s(0.5) - 1, shape.quantile_s(0.9) - 1
    # Half of the round trip's spread each way is right where both ways swell together; independent as they
    # are here, their sum spreads by some 0.7 of what was published: too little rather than too much.
    jitter_s = min(_RTT_SPREAD_S, _LARGEST_SPREAD * rtt_s) / 2 / (p90 - median)
    return Delay(
        base_s=round(rtt_s / 2 - jitter_s * median, 6),
        jitter_s=round(jitter_s, 6),
        distribution="pareto",
        correlation=_CORRELATION,
    )
