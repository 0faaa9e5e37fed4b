"""What of a written link no call lives to see: a change, an outage, the rest of a recording.

Rules:
    1. A link's clock starts with each call, and so does a recording: what comes later than a call lasts never comes.
    2. A recording counts packets, a capacity trace and a schedule count seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rtcprobe.link.delay import DelayTrace
from rtcprobe.link.loss import LossTrace
from rtcprobe.link.spec import CapacityTrace, LinkSpec
from rtcprobe.units import format_duration

__all__ = ["Unreached", "unreached"]


class Unreached(NamedTuple):
    """``what`` is never reached, for it comes ``at_s`` after the start of a call."""

    what: str
    at_s: float


def unreached(spec: LinkSpec, lasts_s: float, spacing_s: float) -> Unreached | None:
    """Return the last thing of ``spec`` that a call of ``lasts_s``, a packet every ``spacing_s``, never reaches."""
    # At its very end is too late as well: no packet is offered any more.
    late = [each for each in _moments(spec, spacing_s) if each.at_s >= lasts_s]
    return max(late, key=lambda each: each.at_s, default=None)


def _moments(spec: LinkSpec, spacing_s: float) -> Iterator[Unreached]:
    if spec.into_s is not None:  # what is met anywhere in its round is reached by some calls
        for change in spec.schedule:
            yield Unreached(f"the schedule's entry at {format_duration(change.at_s)}", change.at_s - spec.into_s)
    for name, intervals in (("outage", spec.outages), ("handover", spec.handovers)):
        for each in intervals:
            yield Unreached(f"the {name} at {format_duration(each.at_s)}", each.at_s)
    for phase in spec.phases:
        if isinstance(phase.delay, DelayTrace):
            yield _recording("delay", len(phase.delay.delays_s), spacing_s)
        if isinstance(phase.loss, LossTrace):
            yield _recording("loss", len(phase.loss.lost), spacing_s)
        if isinstance(phase.rate, CapacityTrace):
            yield Unreached("the end of the capacity trace", phase.rate.opportunities_s[-1])


def _recording(name: str, packets: int, spacing_s: float) -> Unreached:
    return Unreached(f"the end of the {name} trace, {packets:,} packets", (packets - 1) * spacing_s)
