"""Regions of the world and the backbone between them.

Facts:
    Light in fibre covers about 200 km a millisecond, so no round trip is shorter than 1 ms per 100 km of great
    circle. Real routes are longer: over Azure's regions the round trip is 2.40 times that bound for pairs 500 to
    2,000 km apart, 1.94 times up to 6,000 km, 1.62 times beyond (medians).

    The table holds round trips between cloud regions, means of both directions rounded to 5 ms, after the AWS p50
    of cloudping.co (July 2025, as kept in ``commonwarexyz/monorepo``, ``examples/estimator/src/p50.json``); Azure's
    published table (2026) agrees within some 15 %, save where its cables run otherwise (Virginia to Mumbai 235 ms).

    Round trips vary: over all ordered AWS pairs p90 lies 5.2 ms above p50 (median; 5 % to 95 %: 2.7 to 17.8 ms).

Rules:
    1. A pair in the table is *cited*; any other is *estimated* from its distance, and says so.
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
}

REGIONS: Final[Mapping[str, Region]] = MappingProxyType(
    {
        name: Region(name=name, place=place, latitude=latitude, longitude=longitude)
        for name, (place, latitude, longitude) in _PLACES.items()
    }
)
"""Regions by name. The last four are where people are but the cited table is not: their pairs are estimated."""

_RTT_MS: Final = """
    bangkok
    singapore    30
    jakarta      45  20
    hong-kong    65  35  55
    tokyo       100  70  85  50
    seoul       100  75  90  40  35
    mumbai       90  65  80 100 135 135
    sydney      120  95 110 130 105 145 155
    bahrain     125 100 115 130 175 170  40 190
    dubai       115  90 105 125 170 165  30 180  15
    cape-town   350 315 340 350 355 385 275 410 250 285
    stockholm   210 180 195 215 245 250 150 270 105 135 175
    frankfurt   190 160 175 195 225 230 130 250  85 115 155  25
    london      200 170 190 205 215 245 115 265  90 125 150  30  20
    dublin      210 180 200 240 200 235 125 255 100 130 160  40  25  15
    virginia    245 220 235 200 150 180 190 200 160 195 225 110  95  80  70
    oregon      190 160 175 145 100 125 220 140 240 255 275 155 145 130 120  65
    california  200 170 185 155 110 135 230 140 220 255 285 175 155 150 130  65  20
    montreal    245 215 230 200 145 175 190 200 165 195 225 105  95  80  70  15  60  80
    sao-paulo   355 330 345 310 260 290 300 310 275 305 340 225 205 185 180 115 175 175 125
"""
"""Round trips, each row to the regions of the rows above it, in their order."""


def _cited() -> dict[frozenset[str], float]:
    table: dict[frozenset[str], float] = {}
    above: list[str] = []
    for row in _RTT_MS.strip().splitlines():
        name, *figures = row.split()
        table |= {frozenset((name, other)): int(ms) / 1e3 for other, ms in zip(above, figures, strict=True)}
        above.append(name)
    return table


_CITED: Final = _cited()


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
    chord = math.sin(half_up) ** 2 + math.cos(north) * math.cos(other_north) * math.sin(half_along) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord))


def light_bound_s(a: str, b: str) -> float:
    """Return the shortest round trip physics allows between two regions through fibre.

    Raises:
        BadInputError: no such region.
    """
    return 2 * distance_km(a, b) / _FIBRE_KM_PER_S


def backbone(a: str, b: str, rtt_s: float | None = None) -> Backbone:
    """Return the hop between regions ``a`` and ``b``; ``rtt_s`` overrides the catalogue's round trip.

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
    elif (cited_s := _CITED.get(frozenset((a, b)))) is not None:
        rtt_s, provenance = cited_s, "cited: AWS p50 (cloudping.co, July 2025), rounded to 5ms"
    else:
        km = distance_km(a, b)
        times = next(times for limit_km, times in _INFLATION if km < limit_km)
        rtt_s = max(0.005, round(bound_s * times / 0.005) * 0.005)
        provenance = f"estimated: {km:.0f} km at {times:g} times the light bound (medians of Azure's table, 2026)"
    return Backbone(spec=LinkSpec(delay=_one_way(rtt_s)), rtt_s=rtt_s, provenance=provenance, warning=warning)


def _one_way(rtt_s: float) -> Delay:
    """Return a delay of median ``rtt_s``/2 whose p90 lies half the round trip's spread above it."""
    shape = Delay(base_s=1.0, jitter_s=1.0, distribution="pareto")
    median, p90 = shape.quantile_s(0.5) - 1, shape.quantile_s(0.9) - 1
    jitter_s = min(_RTT_SPREAD_S, _LARGEST_SPREAD * rtt_s) / 2 / (p90 - median)
    return Delay(
        base_s=round(rtt_s / 2 - jitter_s * median, 6),
        jitter_s=round(jitter_s, 6),
        distribution="pareto",
        correlation=_CORRELATION,
    )
