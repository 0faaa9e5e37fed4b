"""A hop, and a path of hops: offer a packet, learn its fate at once.

Facts:
    The stages of a hop, in order: schedule → outage → policer → queue and line → loss → delay or reorder → slot →
    duplicate → corrupt.
    Loss comes after the line, as in libwebrtc's SimulatedNetwork and at a real bottleneck, so lost packets used
    capacity; ``loss_before_rate`` is netem's order. A policer stands at the door, where one customer's packets come in:
    before the queue and the cross traffic in it. A duplicate is a second copy of a packet that survived, with a delay
    of its own; unlike netem, a lost packet is never saved by its copy, so loss stays what was asked.

Rules:
    1. Fate is sealed at the door. ``offer`` answers at once and for good; what changes later (outage, handover,
       schedule) affects packets offered later, but for the rate: who waits in the queue is sent at the rate to come.
    2. Order kept means: a packet arrives no earlier than any surviving packet that reached the delay stage before it.
       Clamped against the last *survivor*: a lost packet holds nobody up.
    3. One seed, one child per component: who gets lost depends on the seed, the loss model and the packet's place,
       on nothing else but rule 4.
    4. A burst does not wait. Chains count packets, but a burst on the air lasts for a time: after a silence longer than
       ``SILENCE_S`` a chain has moved on as if a packet had come every ``_STEP_S``. Else a lone TCP retransmission,
       a second after the loss, would meet the same burst again and again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np

from rtcprobe.link.ahead import rates_ahead
from rtcprobe.link.bottleneck import Bottleneck
from rtcprobe.link.bucket import Policer
from rtcprobe.link.cross import REMEMBERED_S, Crossing
from rtcprobe.link.delay import LOST, Delay, DelayTrace
from rtcprobe.link.flows import Crossed
from rtcprobe.link.keeper import Keeper
from rtcprobe.link.loss import Bernoulli, BurstLoss, FourState, GilbertElliott
from rtcprobe.link.many import SILENCE_S, Floats, move_on, sealed
from rtcprobe.link.requested import Requested
from rtcprobe.link.slot import Slots
from rtcprobe.link.spec import LinkSpec, Reorder
from rtcprobe.link.streams import Children, Seed, uniforms

__all__ = ["HEADER_BYTES", "Fate", "Link", "Path"]

HEADER_BYTES: Final = 28
"""IPv4 and UDP headers, part of every offered size. Source: RFC 791 §3.1 (20 bytes), RFC 768 (8 bytes)."""


class Fate(NamedTuple):
    """What becomes of one packet: when each copy arrives, or why none does.

    ``corrupt`` is empty when no copy is damaged; else it runs beside ``arrivals_s`` and names the one flipped bit of
    the UDP payload (bit b is ``payload[b // 8] ^= 1 << b % 8``), None for a copy that is whole. ``marked`` says that a
    queue met congestion and wrote so into the IP header (CE, RFC 3168 §5).
    """

    arrivals_s: tuple[float, ...]
    dropped: str | None = None
    corrupt: tuple[int | None, ...] = ()
    marked: bool = False

    def whole(self) -> Fate:
        """Return it without damaged copies: a kernel drops those for their UDP checksum (RFC 1122 §4.1.3.4)."""
        arrivals_s = tuple(at_s for at_s, bit in zip(self.arrivals_s, self.corrupt, strict=True) if bit is None)
        return Fate(arrivals_s, None if arrivals_s else "corrupt", marked=self.marked)


_OUTAGE: Final = Fate((), "outage")
_POLICER: Final = Fate((), "policer")
_REFUSED: Final = {"queue": Fate((), "queue"), "aqm": Fate((), "aqm")}
_TRACE: Final = Fate((), "trace")
_CROWDED: Final = Fate((), "slot")


# What the class takes for granted. Clocks: all that is timed counts from ``_start_s``, which lies ``into_s``
# before the call begins. Chains alone fade in a silence (rule 4): independent losses have nothing to forget,
# and a recording counts packets, not seconds. Of repeated rounds in which no packet came, only as many are gone
# through as cross traffic remembers, and one more: earlier ones show in nothing.
class Link:
    """One hop in one direction; equal ``spec``, ``seed`` and offers give equal fates.

    ``start_s`` is when a call begins: then the clock of schedules, outages, handovers and capacity traces reads
    ``spec.into_s``.
    """

    def __init__(self, spec: LinkSpec, seed: np.random.SeedSequence | Seed, *, start_s: float = 0.0) -> None:
        self.spec = spec
        self._outages = spec.outages
        start_s -= spec.into_s or 0.0
        self._start_s = start_s
        self._random = Children(seed)
        needs_queue = bool(spec.handovers) or any(phase.rate or phase.police for phase in spec.phases)
        begin_s = start_s - REMEMBERED_S if spec.cross_traffic else start_s
        self._bottleneck = Bottleneck(spec.handovers, start_s, begin_s) if needs_queue else None
        self._crossing: Crossing | None = None
        self._keeper = Keeper()
        self._last_s = math.inf
        self._changes = _changes(spec, start_s)
        self._ahead = rates_ahead(spec, start_s)
        self._next_change = next(self._changes)
        self._now: LinkSpec | None = None
        self._adopt(spec, start_s)

    def offer(self, size_bytes: int, now_s: float) -> Fate:  # noqa: PLR0911, PLR0912 - a branch a stage, in order
        """Return the fate of an IP packet of ``size_bytes`` (headers included) that enters at ``now_s``.

        Times should not fall; where an earlier hop reorders they may, see ``bottleneck.py``.
        """
        while now_s >= self._next_change[0]:
            self._change(now_s)
        if self._fades and now_s - self._last_s > SILENCE_S:  # rule 4
            move_on(self._lost, now_s - self._last_s)
        self._last_s = now_s
        # One draw from each component for every packet, whatever becomes of it.
        lost, delay_s, steps_out = next(self._lost), next(self._delays), next(self._steps_out)
        twice, harm = next(self._twice), next(self._harm)
        if self._outages and self._is_out(now_s):
            return _OUTAGE
        if lost and self._loss_before_rate:  # netem's order: what is lost takes none of the rate
            return self._loss_fate
        left_s = now_s
        if self._bottleneck is not None:
            # At the door, before the cross traffic: it counts one customer's packets, not the line's.
            if self._policer is not None and not self._policer.passes(size_bytes, now_s):
                return _POLICER
            if self._crossing is not None:
                self._crossing.advance(now_s)
            departure_s = self._bottleneck.leave(size_bytes, now_s, self._ecn)
            if departure_s is None:
                return _REFUSED[self._bottleneck.cause]
            left_s = departure_s
        if lost:
            return self._loss_fate
        if delay_s == LOST:  # a recorded delay that says its packet never came
            return _TRACE
        if steps_out:
            # netem sends who steps out of the row at once; ``by_s`` holds it back instead, as a longer path would.
            arrival_s = left_s + delay_s + self._held_back_s if self._held_back_s else left_s
        else:
            arrival_s = left_s + delay_s
            if self._slots is not None:
                released_s = self._slots.release(arrival_s, size_bytes)
                if released_s is None:
                    return _CROWDED
                arrival_s = self._keeper.place_last(left_s, released_s)
            elif self._keeps_order:
                arrival_s = self._keeper.place(left_s, arrival_s)
        # The usual packet is one copy, whole and unmarked, and makes no draw beyond those above.
        if twice or harm < self._corrupt or self._markable:
            return self._unusual(size_bytes, left_s, arrival_s, harm, twice=twice)
        return Fate((arrival_s,))

    @property
    def busy_until_s(self) -> float:
        """When its line will have sent all that has entered so far; long ago where it has no rate."""
        return -math.inf if self._bottleneck is None else self._bottleneck.busy_until_s

    @property
    def seals_many(self) -> bool:
        """Whether nothing becomes of a packet here but that it is lost, or delayed."""
        spec = self.spec
        unusual = spec.reorder or spec.duplicate or spec.corrupt or spec.slot or spec.outages or spec.schedule
        return self._bottleneck is None and not unusual and not self._markable

    def offer_many(self, offer_s: Floats) -> tuple[Floats, Counter[str]]:
        """Return what ``offer`` says of packets in turn, where the hop ``seals_many``: see ``sealed``."""
        since_s = self._last_s if self._fades else None
        if len(offer_s):
            self._last_s = float(offer_s[-1])
        keeper = self._keeper if self._keeps_order else None
        return sealed(offer_s, self._lost, self._delays, keeper, since_s=since_s, cause=self._loss_fate.dropped or "")

    def requested(self) -> Requested:
        """Return what was asked of this hop, in the words of ``Achieved``."""
        return Requested.of([self.spec])

    def crossed(self) -> tuple[Crossed, ...]:
        """Return what each flow of cross traffic did so far."""
        return () if self._crossing is None else self._crossing.crossed()

    def _unusual(self, size_bytes: int, left_s: float, arrival_s: float, harm: float, *, twice: bool) -> Fate:
        bit = self._flipped_bit(harm, size_bytes)
        marked = self._bottleneck is not None and self._bottleneck.marked
        if not twice:
            return Fate((arrival_s,), corrupt=() if bit is None else (bit,), marked=marked)
        copy_delay_s = next(self._copy_delays)
        copy_s = arrival_s if copy_delay_s == LOST else left_s + copy_delay_s
        if self._slots is not None:
            released_s = self._slots.release(copy_s, size_bytes)
            if released_s is None:
                return Fate((arrival_s,), corrupt=() if bit is None else (bit,), marked=marked)
            copy_s = self._keeper.place_last(left_s, released_s)
        elif self._keeps_order:
            copy_s = self._keeper.place(left_s, copy_s)
        copy_bit = self._flipped_bit(next(self._copy_harm), size_bytes)
        # By arrival, whichever copy it is: the receiver knows no original.
        copies = sorted([(arrival_s, bit), (copy_s, copy_bit)], key=lambda copy: copy[0])
        corrupt = () if bit is None and copy_bit is None else tuple(flipped for _, flipped in copies)
        return Fate(tuple(at for at, _ in copies), corrupt=corrupt, marked=marked)

    def _flipped_bit(self, harm: float, size_bytes: int) -> int | None:
        # Below the threshold c the same number, divided by c, is uniform again: it picks the bit.
        bits = 8 * max(0, size_bytes - HEADER_BYTES)
        return int(harm / self._corrupt * bits) if harm < self._corrupt and bits else None

    def _is_out(self, now_s: float) -> bool:
        since_s = now_s - self._start_s
        return any(outage.end_after(since_s) is not None for outage in self._outages)

    def _change(self, now_s: float) -> None:
        """Go over to what the schedule says next; recent cross traffic passes the line as it was until then."""
        at_s, spec = self._next_change
        if self.spec.repeat_s is not None:
            # Of a longer silence only the last rounds are gone through: each makes anew all that changes in one.
            rounds = math.floor((now_s - REMEMBERED_S - self._start_s) / self.spec.repeat_s) - 1
            round_s = self._start_s + rounds * self.spec.repeat_s
            if round_s > at_s:
                at_s, spec = round_s, self.spec
                self._changes = _changes(spec, round_s)
        if self._crossing is not None and at_s > now_s - REMEMBERED_S:
            self._crossing.advance(at_s)
        elif self._crossing is not None:
            self._crossing.stand_still(at_s)
        self._adopt(spec, at_s)
        self._next_change = next(self._changes)

    def _adopt(self, spec: LinkSpec, at_s: float) -> None:
        """Go over to ``spec`` at ``at_s``; a component that stays the same goes on where it was."""
        before, self._now = self._now, spec
        if before is None or spec.loss != before.loss:
            self._lost = spec.loss.outcomes(self._random["loss"]) if spec.loss else repeat(False)
            self._loss_fate = Fate((), spec.loss.cause) if spec.loss else _OUTAGE
            self._fades = isinstance(spec.loss, (BurstLoss, GilbertElliott, FourState))
        if before is None or spec.delay != before.delay:
            self._delays = spec.delay.draws(self._random["delay"])
            # A trace knows one delay a packet, so the copy comes with it.
            delay = spec.delay
            self._copy_delays = repeat(LOST) if isinstance(delay, DelayTrace) else _of_copies(delay, self._random)
        if before is None or spec.reorder != before.reorder:
            self._steps_out = _stepping_out(spec.reorder, self._random["reorder"]) if spec.reorder else repeat(False)
        if before is None or spec.duplicate != before.duplicate:
            copied = Bernoulli(spec.duplicate).outcomes
            self._twice = copied(self._random["duplicate"]) if spec.duplicate else repeat(False)
        if before is None or spec.corrupt != before.corrupt:
            self._harm = uniforms(self._random["corrupt"]) if spec.corrupt else repeat(1.0)
            self._copy_harm = uniforms(self._random["copy corrupt"]) if spec.corrupt else repeat(1.0)
        if before is None or spec.police != before.police:
            self._policer = Policer(spec.police) if spec.police else None
        if before is None or spec.slot != before.slot:
            self._slots = Slots(spec.slot, self._random["slot"], at_s) if spec.slot else None
        if self._bottleneck is not None:
            self._adopt_queue(self._bottleneck, spec, before, at_s)
        self._ecn = spec.ecn
        self._markable = spec.ecn != "none"
        self._corrupt = spec.corrupt
        self._keeps_order = spec.order == "keep"
        self._loss_before_rate = spec.loss_before_rate
        self._held_back_s = spec.reorder.by_s if spec.reorder else 0.0

    def _adopt_queue(self, queue: Bottleneck, spec: LinkSpec, before: LinkSpec | None, at_s: float) -> None:
        if before is None or (spec.rate, spec.limit) != (before.rate, before.limit):
            queue.configure(spec.rate, spec.limit, self._ahead, at_s)
        if before is None or spec.aqm != before.aqm:
            queue.manage(spec.aqm.controller(self._random["aqm"]) if spec.aqm else None)
        if before is None or spec.cross_traffic != before.cross_traffic:
            # Flows of the link as it starts were there before it (rule 1 of ``cross.py``); a scheduled one
            # begins then.
            begin_s = at_s - REMEMBERED_S if before is None else at_s
            asked = before.cross_traffic if before is not None else ()
            flows = [
                self._crossing.flows[place]
                if self._crossing is not None and asked[place : place + 1] == (flow,)
                else flow.flow(self._random.nth("cross", place), begin_s)
                for place, flow in enumerate(spec.cross_traffic)
            ]
            self._crossing = Crossing(queue, flows, begin_s) if flows else None
            if self._crossing is not None:
                self._crossing.advance(at_s)  # now, not when the call's first packet waits for it


class Path:
    """Hops in a row (access, backbone, access): each packet enters the next hop when it leaves the one before."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = tuple(links)
        self._only = self.links[0] if len(self.links) == 1 else None

    def offer(self, size_bytes: int, now_s: float) -> Fate:
        """Return the fate of an IP packet of ``size_bytes`` (headers included) that enters at ``now_s``.

        A copy made by one hop goes through the later hops on its own. ``dropped`` names the cause of the first copy.
        """
        if self._only is not None:
            return self._only.offer(size_bytes, now_s)
        if not self.links:
            return Fate((now_s,))
        fate = self.links[0].offer(size_bytes, now_s)
        marked = fate.marked
        if fate.dropped:
            return fate
        for link in self.links[1:]:
            if len(fate.arrivals_s) == 1 and not fate.corrupt:
                fate = link.offer(size_bytes, fate.arrivals_s[0])
            else:
                fate = _onward(link, size_bytes, fate)
            if fate.dropped:
                return fate
            marked |= fate.marked
        return fate._replace(marked=True) if marked and not fate.marked else fate

    @property
    def seals_many(self) -> bool:
        """Whether each of the hops does, in an order that the next can be told."""
        return all(link.seals_many for link in self.links) and all(
            link.spec.order == "keep" for link in self.links[:-1]
        )

    def offer_many(self, offer_s: Floats) -> tuple[Floats, Counter[str]]:
        """Return when packets arrive that enter at instants that do not fall, NaN where not; and drops by cause."""
        arrival_s, drops = offer_s.copy(), Counter[str]()
        for link in self.links:
            came = ~np.isnan(arrival_s)
            arrival_s[came], dropped = link.offer_many(arrival_s[came])
            drops += dropped
        return arrival_s, drops

    def requested(self) -> Requested:
        """Return what was asked of the hops together, in the words of ``Achieved``."""
        return Requested.of([link.spec for link in self.links])


def _onward(link: Link, size_bytes: int, fate: Fate) -> Fate:
    """Send every copy of a packet through ``link``."""
    flips = fate.corrupt or (None,) * len(fate.arrivals_s)
    fates = [link.offer(size_bytes, arrival_s) for arrival_s in fate.arrivals_s]
    copies = [
        # Flipped again by a later hop, one bit of the two is named: a packet is damaged or it is not.
        (arrival_s, new if new is not None else old)
        for old, onward in zip(flips, fates, strict=True)
        for arrival_s, new in zip(onward.arrivals_s, onward.corrupt or (None,) * len(onward.arrivals_s), strict=True)
    ]
    # All copies were lost: the first one's cause stands for the packet.
    if not copies:
        return fates[0]
    copies.sort(key=lambda copy: copy[0])
    corrupt = tuple(bit for _, bit in copies) if any(bit is not None for _, bit in copies) else ()
    marked = any(each.marked for each in fates)
    return Fate(tuple(arrival_s for arrival_s, _ in copies), corrupt=corrupt, marked=marked)


def _changes(spec: LinkSpec, start_s: float) -> Iterator[tuple[float, LinkSpec]]:
    """Yield (when, what) of every change of ``spec`` in turn; a repeated round begins again with ``spec`` itself."""
    round_s = start_s
    while True:
        for change in spec.schedule:
            yield round_s + change.at_s, change.spec
        if spec.repeat_s is None:
            break
        round_s += spec.repeat_s
        yield round_s, spec
    while True:
        yield math.inf, spec


def _of_copies(delay: Delay, random: Children) -> Iterator[float]:
    """Yield the delays of copies; on a hop that makes none, as most are, no generator is made for them."""
    yield from delay.draws(random["copy delay"])


def _stepping_out(reorder: Reorder, rng: np.random.Generator) -> Iterator[bool]:
    """Yield for each packet whether it steps out of the row: ``gap`` - 1 in order, then each with ``ratio``."""
    in_order = 0
    for u in uniforms(rng):
        steps_out = in_order >= reorder.gap - 1 and u < reorder.ratio
        in_order = 0 if steps_out else in_order + 1
        yield steps_out
