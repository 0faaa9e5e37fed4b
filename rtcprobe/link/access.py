"""How people reach the network: presets of the last hop, each way its own.

Facts:
    Few access figures are published per packet. Every preset says which of its figures have a source and which are
    assumptions; nobody has published a table of 4G or 5G delay, jitter and loss that these could be copied from.

Rules:
    1. One-way figures, from the device to the edge of its provider (up) and back (down).
    2. Where a source states a round trip, each way gets half.
    3. Queues wait: rates come with limits in time, as deep as such modems have been seen to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from rtcprobe.link.delay import Delay
from rtcprobe.link.parse import parse_link
from rtcprobe.link.spec import LinkSpec

__all__ = ["ACCESS", "Access"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A last hop, both directions, and how much of it is known."""

    name: str
    means: str
    up: LinkSpec
    down: LinkSpec
    sourced: tuple[str, ...]
    assumed: tuple[str, ...]


_FCC: Final = "loss below 0.4%: the best class of the FCC's Measuring Broadband America reports (9th, 12th, 13th)"
_RATES: Final = "rates, how deep the queues are, and how the remaining delay spreads"


def _lte(core_ms: float, drx_ms: float) -> Delay:
    """Return core delay + wait for the next wake-up (uniform) + 8 ms a block error (10 % each) ± 3 ms of core jitter.

    As 1,000 equally likely values: every combination of 20 waits, 100 ranks of errors and 10 jitters, thinned.
    """
    # Midpoints of equal shares, so that the mean of 20 values is that of the whole distribution.
    waits = (np.arange(20) + 0.5) / 20 * drx_ms
    errors = np.array([0.0] * 90 + [8.0] * 9 + [16.0])  # geometric with ratio 0.1, its tail beyond two kept at two
    jitters = (np.arange(10) + 0.5) / 10 * 6 - 3
    # All 20,000 combinations, for the three are independent; every twentieth of them sorted is a quantile.
    delays_ms = np.sort(core_ms + (waits[:, None, None] + errors[:, None] + jitters).ravel())
    return Delay(samples_s=tuple(round(delay_ms / 1e3, 6) for delay_ms in delays_ms[10::20].tolist()))


def _4g(drx_ms: int, core_ms: float, *, up: str, down: str) -> tuple[LinkSpec, LinkSpec]:
    delay = _lte(core_ms, drx_ms)
    return replace(parse_link(up), delay=delay), replace(parse_link(down), delay=delay)


def _4g_sources(drx_ms: int) -> tuple[str, ...]:
    return (
        (
            f"delay: wait for the next wake-up of a {drx_ms} ms DRX cycle, 10% block errors, ±3 ms of core jitter, "
            f"rebuilt from the description of 3GPP TS 26.131/26.132's dly_profile_{drx_ms}msDRX_10pct_BLER_e2e "
            "(its file of delays is not public)"
        ),
    )


_4G_ASSUMED: Final = (
    "a block error costs 8 ms and is repaired (LTE FDD HARQ); waits are independent from packet to packet",
    "core delay, loss and its bursts, rates and queues",
)

# Both ways wait alike for the radio; what each loses and carries is assumed (``_4G_ASSUMED``).
_4G_GOOD: Final = _4g(
    20,
    15,
    up="loss 0.2% burst 2 rate 10mbit limit 200ms",
    down="loss 0.1% burst 2 rate 40mbit limit 200ms",
)
_4G_EDGE: Final = _4g(
    40,
    25,
    up="loss 2% burst 4 rate 1mbit limit 500ms",
    down="loss 1% burst 4 rate 4mbit limit 500ms",
)


def _satellite(rate: str) -> LinkSpec:
    # Terminals change satellites everywhere in the same second: a call comes upon the round anywhere, both ends alike.
    # A spike lies about each change. The link's round of 15 s begins in the middle of one: 140 ms of it, then calm,
    # and the 75 ms before the next change.
    calm, spike = {"delay": "25ms", "loss": "0.3%"}, {"delay": "60ms", "loss": "20%"}
    link = parse_link(
        {
            **spike, "jitter": "4ms", "distribution": "paretonormal", "correlation": "50%",
            "rate": rate, "limit": "200ms",
            "schedule": [{"at": "140ms", **calm}, {"at": "14.925s", **spike}], "repeat": "15s",
        }
    )  # fmt: skip
    return replace(link, into_s=None)


_PRESETS: Final = (
    Access(
        name="fibre",
        means="fibre to the home, wired",
        up=parse_link("delay 2ms 0.3ms distribution normal loss 0.02% rate 300mbit limit 30ms"),
        down=parse_link("delay 2ms 0.3ms distribution normal loss 0.02% rate 500mbit limit 30ms"),
        sourced=(_FCC,),
        assumed=("delay", _RATES),
    ),
    Access(
        name="cable",
        means="cable modem, wired",
        up=parse_link("delay 7ms 2ms 50% distribution paretonormal loss 0.1% burst 2 rate 20mbit limit 200ms"),
        down=parse_link("delay 5ms 1ms 50% distribution paretonormal loss 0.1% burst 2 rate 200mbit limit 100ms"),
        sourced=(_FCC,),
        assumed=("delay", "mean burst", _RATES),
    ),
    Access(
        name="wifi-good",
        means="home Wi-Fi in the same room, over fibre",
        up=parse_link("delay 4ms 2ms 50% distribution paretonormal loss 0.2% burst 2 rate 100mbit limit 50ms"),
        down=parse_link("delay 4ms 2ms 50% distribution paretonormal loss 0.1% burst 2 rate 200mbit limit 50ms"),
        sourced=(_FCC,),
        assumed=("delay: the better half of the campus hops under wifi-congested", "mean burst", _RATES),
    ),
    Access(
        name="wifi-congested",
        means="Wi-Fi shared by many, over fibre",
        # The pareto shape has p50 -0.320 and p90 0.873: 20.7 - 0.320 · 33.5 = 10 ms, 20.7 + 0.873 · 33.5 = 50 ms.
        up=parse_link("delay 20.7ms 33.5ms 95% distribution pareto loss 1.5% burst 3 rate 10mbit limit 300ms"),
        down=parse_link("delay 20.7ms 33.5ms 95% distribution pareto loss 1% burst 3 rate 20mbit limit 300ms"),
        sourced=(
            (
                "hop p50 20 ms and p90 100 ms, there and back: 'WiFi can be the weakest link of round trip network "
                "latency in the wild', INFOCOM 2016 (abstract; TCP packets on a campus)"
            ),
        ),
        assumed=("half of the hop each way", "correlation, loss and its bursts", _RATES),
    ),
    Access(
        name="4g-good",
        means="4G, strong signal, standing still",
        up=_4G_GOOD[0],
        down=_4G_GOOD[1],
        sourced=_4g_sources(20),
        assumed=_4G_ASSUMED,
    ),
    Access(
        name="4g-edge",
        means="4G at the edge of the cell",
        up=_4G_EDGE[0],
        down=_4G_EDGE[1],
        sourced=_4g_sources(40),
        assumed=_4G_ASSUMED,
    ),
    Access(
        name="5g",
        means="5G, non-standalone, good signal",
        up=parse_link("delay 12ms 2.5ms 50% distribution normal loss 0.1% burst 2 rate 50mbit limit 100ms"),
        down=parse_link("delay 8ms 1.5ms 50% distribution normal loss 0.05% burst 2 rate 200mbit limit 100ms"),
        sourced=(
            (
                "one way between under 7 ms (down, 100 kb/s) and 18 ms (up, 15 Mb/s): "
                "Rohde & Schwarz, M. Kottkamp, 29 August 2022, public 5G NSA network in Munich"
            ),
        ),
        assumed=("where in that range, and its spread", "loss and its bursts", "rates and queues"),
    ),
    Access(
        name="satellite",
        means="low-orbit satellite (Starlink)",
        up=_satellite("15mbit"),
        down=_satellite("150mbit"),
        sourced=(
            "spikes 140 ms long at the start and 75 ms at the end of every 15 s: arXiv 2601.08439",
            "bursts of loss up to 50% at handovers: 'A browser-side view of Starlink', IMC 2022 (abstract)",
        ),
        assumed=("delay 25 ms, in a spike 60 ms", "loss 0.3%, in a spike 20%", _RATES),
    ),
)

ACCESS: Final[Mapping[str, Access]] = MappingProxyType({access.name: access for access in _PRESETS})
"""Presets by name, best first within a kind."""
