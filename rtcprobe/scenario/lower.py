"""A call of two, as ``caller``, ``callee`` and ``link`` write it, lowered into parties and legs.

Rules:
    1. The caller is the first party, the callee the second; both send one sound and hear all.
    2. A link written out carries everything in its direction, signalling too: the signalling server stands at the
       callee's end of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtcprobe.link import LinkSpec
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.scenario.parties import Devices, Party, Site, Stream
from rtcprobe.ways import BOTH_LEGS, Leg

__all__ = ["legs_of", "two_parties"]


def two_parties(
    caller: Site, callee: Site, *, sends: Stream, devices: Devices, playout: PlayoutChoice
) -> tuple[Party, ...]:
    """Return caller and callee, who send and hear alike."""
    return tuple(
        Party(name=name, site=site, sends=(sends,), devices=devices, playout=playout)
        for name, site in (("caller", caller), ("callee", callee))
    )


def legs_of(link: Mapping[Leg, LinkSpec]) -> dict[Leg, LinkSpec]:
    """Return the links of the two directions as legs."""
    return {leg: link[leg] for leg in BOTH_LEGS if leg in link}
