"""What a schedule says of the rate next: packets that wait across a change are sent at the rates they will meet.

Facts:
    A schedule is known when the link is made, so a fate sealed at the door can look ahead: a packet of which a third
    is on the line when the rate halves takes as long again for each of the other two.

Rule: it looks as far as rates are plain. A token bucket, and a recorded capacity, begin for who is offered after them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

from rtcprobe.link.spec import CapacityTrace, LinkSpec, Rate

__all__ = ["Ahead", "rates_ahead"]

Ahead = Callable[[float], tuple[float, Rate | None]]
"""Answers when after an instant a plain rate (None: sent in no time) begins, and which; never is ``math.inf``."""


def rates_ahead(spec: LinkSpec, start_s: float) -> Ahead | None:
    """Return what tells the next change of rate of a link that began at ``start_s``; None when there is none."""
    if all(phase.rate == spec.rate for phase in spec.phases):
        return None
    # In seconds of the round, from the phase as written on; ``round_s`` is where the round began that holds
    # ``now_s``.
    times_s = [0.0, *(change.at_s for change in spec.schedule)]
    rates = [phase.rate for phase in spec.phases]

    def after(now_s: float) -> tuple[float, Rate | None]:
        since_s, round_s = now_s - start_s, 0.0
        if spec.repeat_s is not None:
            round_s = max(0, math.floor(since_s / spec.repeat_s)) * spec.repeat_s
        place = bisect_right(times_s, since_s - round_s)
        while place < len(times_s) and start_s + round_s + times_s[place] <= now_s:  # floating point
            place += 1
        if place < len(times_s):
            at_s, rate = start_s + round_s + times_s[place], rates[place]
        elif spec.repeat_s is not None:
            at_s, rate = start_s + round_s + spec.repeat_s, rates[0]
            # The quotient was rounded up to a round that has not begun: the change meant is the one after.
            if at_s <= now_s:
                at_s += spec.repeat_s
        else:
            return math.inf, None
        # Rule: a bucket's tokens and a trace's instants have a state that nobody has yet.
        if isinstance(rate, CapacityTrace) or (rate is not None and rate.bucket_bytes):
            return math.inf, None
        return at_s, rate

    return after
