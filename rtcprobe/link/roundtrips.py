"""Published round trips between regions: the tables behind the backbone, each figure with its source.

Facts:
    *Clouds*: means of both directions rounded to 5 ms, after the AWS p50 of cloudping.co (July 2025, as kept in
    ``commonwarexyz/monorepo``, ``examples/estimator/src/p50.json``); Azure's published table (2026) agrees within some
    15 %, save where its cables run otherwise (Virginia to Mumbai 235 ms). The figures of ``mexico-city`` are those of
    AWS's region in Querétaro, 190 km from it.

    *Pings* over the public network, for places no cloud's table has: the smallest of either direction, rounded to 5 ms,
    after WonderNetwork's pings between one server a city (27 October to 10 November 2018, as kept in
    ``ConsenSys/wittgenstein``, ``core/src/main/resources/Data``; ``virginia`` is its Washington, ``california`` its San
    Jose, ``kuala-lumpur`` its Malaysia, ``beijing`` its Zhangjiakou, 160 km from it). Where both sources have a pair
    (136), the pings are 1.05 times the cloud's figure (median; 5 % to 95 %: 0.85 to 2.09): servers of that day took
    detours. One figure is left out as an outlier, Zhangjiakou to Madrid, 750 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["CLOUDS", "PINGS"]

_CLOUDS_MS: Final = """
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
    kuala-lumpur 25  10  25  45  75  80  70 100 105  95 330 185 165 180 190 225 165 175 220 335
    taipei       80  50  70  20  35  65 110 155 145 140 255 225 210 245 235 180 130 140 185 290  55
    paris       195 165 185 200 220 250 110 280  85 115 145  30  10  10  20  85 135 145  85 195 175 195
    madrid      195 165 185 200 235 240 120 270  90 120 135  55  35  35  30 110 160 170 110 220 175 205  20
    mexico-city 270 240 260 215 170 195 245 215 220 250 280 170 150 135 125  60  90  75  70 170 250 200 140 165
"""
"""Each row to the regions of the rows above it, in their order."""

_PINGS_MS: Final = """
    to           shanghai shenzhen beijing hangzhou riyadh istanbul cairo ho-chi-minh-city
    bangkok           295      400     385      255    180      200   225              210
    singapore         240      400     275      380    185      265   235               55
    jakarta           130      210     220      260    225      215   310              145
    hong-kong         180      245     215      215    230      285   235               35
    tokyo             140      140     100      170    260      300   325               80
    seoul              65       70      40       60    390      335   290               75
    sydney            165      175     195      260    330      315   330              175
    dubai             325      350     355      375    110      115   245              285
    cape-town         480      355     485      400    255      190   210              430
    stockholm         265      235     305      380    130       55    75              225
    frankfurt         295      315     435      480    125       40    55              190
    london            315      245     305      300    115       55    65              205
    dublin            245      275     430      265    125       70    65              225
    virginia          250      235     310      220    190      125   130              250
    california        150      175     190      145    245      215   205              175
    montreal          250      270     350      345    360      130   140              260
    sao-paulo         405      520     355      325    380      250   255              350
    buenos-aires      375      380     395      360    345      265   275              370
    lagos             355      430     405      375    220      155   160              315
    manila             50       45      70       50    220      375   320               80
    nairobi           220      210     445      270    160      170   155              430
    kuala-lumpur      125      105     165       70    210      290   205               65
    taipei             20       50      60       60    225      320   335               65
    paris             350      365     410      300     95       55    70              235
    madrid            305      230       -      365    125       70    90              215
    mexico-city       215      215     240      220    280      180   190              265
    shanghai            -       30      35        5    330      305   230               65
    shenzhen            -        -      35        -    325      420   260               45
    beijing             -        -       -       40    355      320   300               85
    hangzhou            -        -       -        -    380      290   290               65
    riyadh              -        -       -        -      -      365   170              245
    istanbul            -        -       -        -      -        -    95              310
    cairo               -        -       -        -      -        -     -              245
"""
"""A dash where nothing was published, or the row is the column, or the pair stands elsewhere in the table."""


def _triangle(written: str) -> dict[frozenset[str], float]:
    # Unordered pairs: a round trip is the same both ways. ``strict`` refuses a row that lacks a figure.
    table: dict[frozenset[str], float] = {}
    above: list[str] = []
    for row in written.strip().splitlines():
        name, *figures = row.split()
        table |= {frozenset((name, other)): int(ms) / 1e3 for other, ms in zip(above, figures, strict=True)}
        above.append(name)
    return table


def _columns(written: str) -> dict[frozenset[str], float]:
    head, *rows = written.strip().splitlines()
    others = head.split()[1:]
    table: dict[frozenset[str], float] = {}
    for row in rows:
        name, *figures = row.split()
        cells = zip(others, figures, strict=True)
        table |= {frozenset((name, other)): int(ms) / 1e3 for other, ms in cells if ms != "-"}
    return table


CLOUDS: Final[Mapping[frozenset[str], float]] = MappingProxyType(_triangle(_CLOUDS_MS))
"""Round trips in seconds over a cloud's own network, by pair of regions."""

PINGS: Final[Mapping[frozenset[str], float]] = MappingProxyType(_columns(_PINGS_MS))
"""Round trips in seconds over the public network, by pair of regions; no pair is in both tables."""
