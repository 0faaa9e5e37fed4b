"""The border of mainland China: what the public network does to packets on their way in.

Facts:
    Zhu et al., "Characterizing Transnational Internet Performance and the Great Bottleneck of China", POMACS 4(1),
    2020, doi 10.1145/3379479. Read of it: its abstract and its authors' own summaries (NANOG list, 2 March 2020; APNIC
    blog, 19 August 2020), not the whole text. Of more than 400 pairs of a place in mainland China and one abroad, over
    53 days, 79 % fell under 1 Mbit/s on the way in, more than 70 % of the pairs for more than 5 hours every day;
    packets were lost at about 15 % on average and up to 40 % in those hours, whatever the protocol. Loss and delay were
    seen inwards only.

    *Assumed*, because what was read does not say: losses are independent from packet to packet; the line to one
    receiver is the 1 Mbit/s, its queue 200 ms deep; the round trip is that of the catalogue (they saw more delay
    inwards, how much is not known to us); Hong Kong and Taipei are abroad. Which hours are slow differs from pair to
    pair, so a state is named, not an hour.

Rules:
    1. Only inwards, only over the public network: a private line, or a written link, has no border.
    2. A call of which nothing is said is met in the slow hours, and the result says so in a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

from rtcprobe.link.loss import Bernoulli
from rtcprobe.link.roundtrips import PINGS
from rtcprobe.link.spec import Limit, LinkSpec, Rate
from rtcprobe.units import format_rate, format_ratio

__all__ = [
    "BORDER",
    "MAINLAND",
    "USUAL_BORDER",
    "Border",
    "border_warnings",
    "entering",
    "enters_mainland",
    "told_of_border",
]

Border = Literal["busy", "quiet", "worst"]
"""In which state the border is met."""

MAINLAND: Final = frozenset({"shanghai", "shenzhen", "beijing", "hangzhou"})

BORDER: Final[Mapping[Border, float]] = MappingProxyType({"busy": 0.15, "quiet": 0.0, "worst": 0.40})
"""Share of packets lost on the way in: the mean of the slow hours, outside of them, and the most that was seen."""

USUAL_BORDER: Final[Border] = "busy"

_RATE: Final = Rate(bps=1e6)
"""What 79 % of the pairs fell under: the upper end of it."""

# Assumed, as deep as the access presets' modems: the paper has the rate, not the queue before it.
_LIMIT: Final = Limit(wait_s=0.2)


def enters_mainland(source: str, destination: str) -> bool:
    """Return whether packets between these regions, this way, come into mainland China from abroad."""
    # One way alone: on the way out the study found no such loss (Source above).
    return destination in MAINLAND and source not in MAINLAND


def entering(spec: LinkSpec, border: Border) -> LinkSpec:
    """Return the hop ``spec``, which has no loss or rate of its own, as it is where it enters mainland China."""
    loss = BORDER[border]
    return replace(spec, loss=Bernoulli(loss), rate=_RATE, limit=_LIMIT) if loss else spec


def told_of_border(border: Border) -> str:
    """Return what the border does in that state, in words."""
    loss = BORDER[border]
    return f"loss {format_ratio(loss)} rate {format_rate(_RATE.bps)}" if loss else "nothing lost, no rate"


def border_warnings(pairs: Iterable[tuple[str, str]], border: Border | None, *, private: bool) -> tuple[str, ...]:
    """Return what a reader should know of paths between ``pairs`` of regions; None: nobody said how busy it is."""
    # Both ways are meant: who talks across the border has one way that enters.
    between = [frozenset(pair) for pair in pairs]
    crossing = any(pair & MAINLAND and pair - MAINLAND for pair in between)
    if not crossing or private:
        why = "a private backbone has no border" if crossing else "no path enters mainland China"
        idle = (f"border has no effect: {why}",) * (border is not None)
        if private and not crossing and not any(pair in PINGS for pair in between):
            idle += ("backbone private has no effect: no path is known by the public network alone",)
        return idle
    if border is not None:
        return ()
    fact = f"into mainland China the public network is taken as busy, {told_of_border(USUAL_BORDER)} (Zhu et al., 2020)"
    return (f"{fact}: say border busy, quiet or worst, or backbone private",)
