"""Several calls over one line: they wait for each other in its queue, and what they get is compared.

Facts:
    A *flow* is a call of its own, with a sender, a receiver and a delay beside the line's. One that goes *back* sends
    its media where the others' feedback goes, and theirs meets its feedback.

Source: RFC 8867 §5.2 to §5.5 and §5.8; Jain, Chiu, Hawe, "A quantitative measure of fairness", DEC-TR-301, 1984.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import fmean
from typing import Literal

import numpy as np

from rtcprobe.adaptation.course import Course
from rtcprobe.adaptation.degrading import DEGRADES, Degradation
from rtcprobe.adaptation.far import Agenda, owner_of
from rtcprobe.adaptation.model import Call, Settings, controller_of
from rtcprobe.link import Fate, Link, LinkSpec, Tcp

__all__ = ["Flow", "fairness", "jain", "least_share", "meet", "together"]

# Over the end of a call, when everybody has had time to find a share: RFC 8868 §3 asks for the ratio; how
# long is ours.
_SETTLED_S, _RATIO_S = 30.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One call of several: when it begins, its delay beside the line's (each way), its pauses, which way it goes."""

    start_s: float = 0.0
    delay_s: float = 0.0
    pauses: tuple[tuple[float, float], ...] = ()
    way: Literal["there", "back"] = "there"


class _Farther:
    """A shared line, and a way of one's own behind it."""

    def __init__(self, link: Link, delay_s: float) -> None:
        self._link = link
        self._delay_s = delay_s

    def offer(self, size_bytes: int, now_s: float) -> Fate:
        fate = self._link.offer(size_bytes, now_s)
        # The line answers at once, so that a delay behind it is an addition; nothing can be lost or overtaken
        # there.
        if not self._delay_s:
            return fate
        return Fate(tuple(at_s + self._delay_s for at_s in fate.arrivals_s), fate.dropped)


def meet(
    flows: Sequence[Flow],
    forward: LinkSpec,
    back: LinkSpec,
    *,
    length_s: float,
    controller: str,
    seed: int,
    max_bps: float = 4e6,
    degrades: Degradation = DEGRADES,
) -> list[Course]:
    """Return the course of every flow over one line."""
    seeds = np.random.SeedSequence(seed).spawn(2 + len(flows))
    there, here = Link(forward, seeds[0]), Link(back, seeds[1])
    agenda = Agenda()
    calls = []
    for flow, child in zip(flows, seeds[2:], strict=True):
        lines = (_Farther(there, flow.delay_s), _Farther(here, flow.delay_s))
        settings = Settings(
            forward=forward,
            back=back,
            length_s=length_s,
            max_bps=max_bps,
            degrades=degrades,
            seed=int(child.generate_state(1)[0]),
            start_s=flow.start_s,
            pauses=flow.pauses,
        )
        lines = lines if flow.way == "there" else lines[::-1]
        calls.append(Call(settings, controller_of(controller), agenda, lines))
        calls[-1].begin()
    events = agenda.events
    # What falls on the very end belongs to the call: its last row of a second does.
    while events and events[0][0] <= length_s + 1e-9:
        at_s, _, act, argument = heapq.heappop(events)
        owner_of(act).at(at_s, act, argument)
    return [call.end() for call in calls]


def together(flows: Sequence[Flow], courses: Sequence[Course]) -> Course:
    """Return the flows that go there as one: rates and counts added, the first one's picture, everybody's delays."""
    mine = [course for flow, course in zip(flows, courses, strict=True) if flow.way == "there"]
    whole = Course(mine[0].length_s, height=mine[0].height, pacer_s=mine[0].pacer_s)
    for name in ("target_bps", "offered_bps", "delivered_bps", "drops", "lost", "rtx_bps", "freezes"):
        setattr(whole, name, [sum(each) for each in zip(*(getattr(course, name) for course in mine), strict=True)])
    whole.sent_bps = [sum(each) for each in zip_longest(*(course.sent_bps for course in mine), fillvalue=0.0)]
    # Above the least of its own path: who is farther away is not later for that.
    for course in mine:
        floor_s = min((delay_s for _, delay_s in course.delays), default=0.0)
        whole.delays += [(sent_s, delay_s - floor_s) for sent_s, delay_s in course.delays]
    whole.delays.sort()
    for name in ("untold", "voice_sent", "voice_unplayed", "shown", "encoded"):
        setattr(whole, name, sum(getattr(course, name) for course in mine))
    return whole


def jain(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 when all get the same, 1/n when one gets everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


def fairness(flows: Sequence[Flow], courses: Sequence[Course], spec: LinkSpec) -> float | None:
    """Return Jain's index of what everybody there got in the last 30 s; None where one has the line alone.

    TCP flows beside the calls are taken to have shared the rest of the line, which they fill.
    """
    got = _got(flows, courses, spec, _SETTLED_S)
    return jain(got) if len(got) > 1 else None


def least_share(flows: Sequence[Flow], courses: Sequence[Course], spec: LinkSpec) -> float | None:
    """Return what the least of everybody there got in the last 20 s by what the most got; None for one alone.

    RFC 8868 §3 asks for it: between flows of one kind and like round trips it should not be below a third.
    """
    got = _got(flows, courses, spec, _RATIO_S)
    return min(got) / max(got) if len(got) > 1 and max(got) else None


def _got(flows: Sequence[Flow], courses: Sequence[Course], spec: LinkSpec, last_s: float) -> list[float]:
    """Return the rate of everybody who goes there, TCP too."""
    seconds = slice(-int(last_s), None)
    got = [
        fmean(course.delivered_bps[seconds])
        for flow, course in zip(flows, courses, strict=True)
        if flow.way == "there" and course.delivered_bps
    ]
    last = spec.phases[-1]
    tcps = sum(isinstance(each, Tcp) for each in last.cross_traffic)
    if tcps and last.rate is not None:
        got += [max(last.rate.bps - sum(got), 0.0) / tcps] * tcps
    return got
