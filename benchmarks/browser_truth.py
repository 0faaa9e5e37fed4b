"""How true a browser's figures are: our page in the machine's Chromium against our peer, over links that are known.

Two questions, each asked of ``CALLS`` calls a link:

1. Does a link's delay move what it should, by what it should? Mouth to wire (there) and mouth to ear (back), over no
   link and over 40 ms each way: medians, their differences, how far markers of one call agree, how far calls do.
2. Does Chromium's NetEQ do what ours does? Over jitter and over loss, the very packets that reached the browser are
   played through our NetEQ: the median delay of either, and what either concealed.

Concealment is Chromium's own count (getStats) until the last word, ours that of the same packets. CPU is what driver
and browser took, their start included, for a call of 8 s.

A call that the machine spoilt is made again, up to three times. Judge it on a quiet machine, with real-time priority.

    python benchmarks/browser_truth.py [CALLS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from rtcprobe.call.targets.base import find_target
from rtcprobe.hearing.ears import Ear
from rtcprobe.hearing.played import PlayedEar
from rtcprobe.hearing.speech import Voices, speak
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.probe.hearing import Listened
from rtcprobe.probe.placed import Placed, of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.recording import Agreed
from rtcprobe.scenario import Devices, Scenario, find_scenario
from rtcprobe.ways import Way

CALLS = 10
CALL_S = 8.0
SETTLED = 5
"""Markers at the start of a call that are left out: NetEQ finds its target."""
TRIES = 3
DELAYS = ("delay 0ms", "delay 40ms")
HARMS = ("delay 10ms 10ms", "delay 20ms loss 2%")
"""Uniform between 0 and 20 ms; and one packet in fifty lost."""
NOTHING = Devices(capture_s=0.0, playback_s=0.0)
AGREED = Agreed(opus_payload_type=0, red_payload_type=None, sends_red=False, nack=False)
THERE, BACK = Way("caller_to_callee"), Way("callee_to_caller")


def scenario_over(link: str) -> Scenario:
    """Return the calls over a link."""
    settings = ["target=page", f"link={link}", f"call.duration={CALL_S:g}s", "budgets=[]", "playout=neteq"]
    return find_scenario("1v1-social", settings)


def placed(scenario: Scenario, voices: Voices, seed: int) -> Placed | None:
    """Return one call, made again where the machine spoilt it; None where it always does."""
    placing = Placing(find_target(scenario.target), "real")
    setup = call_setup(scenario, voices, routes(scenario, placing.target.routes), endless=False)
    for attempt in range(TRIES):
        child = np.random.SeedSequence([seed, attempt])
        call = of_stack(placing.talk(setup, child, lambda _: None, lambda _: None), outside=True)
        if call.void is None and call.failed is None:
            return call
    return None


def way_of(call: Placed, way: Way) -> Listened:
    """Return one way of a call."""
    return next(each for each in call.ways if each.way == way)


def heard_in_page(each: Listened, voices: Voices) -> PlayedEar:
    """Return what the page played."""
    return PlayedEar(each.said, each.came, voices[each.said.party], devices=NOTHING)


def heard_by_ours(each: Listened, voices: Voices, phase_s: float) -> Ear:
    """Return what our NetEQ makes of the packets that reached the page: which frame each is, its timestamp tells."""
    said = each.said
    first, base = said.first_sent, said.departures[0].timestamp
    arrivals = Arrivals(likely=said.frames)
    for at_s, packet in each.came.arrivals:
        place = first + ((packet.timestamp - base) % 2**32) // 960
        payload = said.frames[place] if place < len(said.frames) else None
        if payload is not None:
            arrivals.add(at_s, packet.sequence, packet.timestamp, payload, 0)
    came = replace(each.came, arrivals=arrivals, sound=None, agreed=AGREED)
    choice = PlayoutChoice.parse("neteq")
    return Ear(said, came, voices[said.party], playout=choice, devices=NOTHING, phase_s=phase_s)


def settled_ms(ear: Ear | PlayedEar, way: Way) -> list[float]:
    """Return the delays of the markers of a call that has settled, ms."""
    return [each.delay_s * 1e3 for each in ear.account(way, None).account.samples[SETTLED:]]


def moved(calls: int) -> None:
    """Print what a link's delay moves."""
    print(f"{calls} calls a link; mouth to wire there, mouth to ear back; ms, medians of calls")
    print(
        "link          to wire        min to max   sd in a call     to ear      min to max   sd in a call   CPU, ms/s"
    )
    medians: dict[str, tuple[float, float]] = {}
    for link in DELAYS:
        scenario = scenario_over(link)
        voices = speak(scenario.sending("audio"), CALL_S)
        wire, ear, spread_wire, spread_ear, cpu = [], [], [], [], []
        for number in range(calls):
            with _Cpu() as used:
                call = placed(scenario, voices, number)
            if call is None:
                continue
            cpu.append(used.per_second * 1e3)
            there, back = way_of(call, THERE), way_of(call, BACK)
            left_s = np.array(there.said.pacing_lateness_s()) + _network_s(there)
            wire.append(float(np.median(left_s)) * 1e3)
            spread_wire.append(float(np.std(left_s)) * 1e3)
            delays = settled_ms(heard_in_page(back, voices), BACK)
            if delays:
                ear.append(statistics.median(delays))
                spread_ear.append(statistics.pstdev(delays))
        medians[link] = statistics.median(wire), statistics.median(ear)
        of_wire = f"{medians[link][0]:8.2f} {min(wire):10.2f}–{max(wire):.2f} {statistics.median(spread_wire):10.2f}"
        of_ear = f"{medians[link][1]:14.2f} {min(ear):9.2f}–{max(ear):.2f} {statistics.median(spread_ear):10.2f}"
        print(f"{link:<12} {of_wire} {of_ear} {statistics.median(cpu):13.0f}")
    (none_wire, none_ear), (far_wire, far_ear) = medians.values()
    print(f"moved by      {far_wire - none_wire:7.2f} {'':>29} {far_ear - none_ear:13.2f}   (asked: 40.00)\n")


def neteq(calls: int) -> None:
    """Print what Chromium's NetEQ and ours make of the same packets."""
    print(f"NetEQ, {calls} calls a link: median delay, ms, and share concealed, of Chromium and of ours on its packets")
    print("link                  Chromium  min to max      ours  min to max    concealed  ours")
    for link in HARMS:
        scenario = scenario_over(link)
        voices = speak(scenario.sending("audio"), CALL_S)
        theirs, ours, made_up, made_up_ours = [], [], [], []
        for number in range(calls):
            call = placed(scenario, voices, 100 + number)
            if call is None:
                continue
            back = way_of(call, BACK)
            page = heard_in_page(back, voices)
            own = heard_by_ours(back, voices, phase_s=(number % 10) / 1e3)
            delays, delays_ours = settled_ms(page, BACK), settled_ms(own, BACK)
            if not delays or not delays_ours:
                continue
            theirs.append(statistics.median(delays))
            ours.append(statistics.median(delays_ours))
            made_up.append(page.account(BACK, None).account.concealed or 0.0)
            made_up_ours.append(own.account(BACK, None).account.concealed or 0.0)
        shares = [f"{100 * statistics.median(each):8.2f}%" for each in (made_up, made_up_ours)]
        print(f"{link:<20} {_range(theirs)} {_range(ours)}   {' '.join(shares)}")


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):9.2f} {min(values):6.1f}–{max(values):.1f}"


def _network_s(there: Listened) -> float:
    """Return the median way of a packet from the page to our peer."""
    came = {packet.timestamp: at_s for at_s, packet in there.came.arrivals}
    ways_s = [came[each.timestamp] - each.at_s for each in there.said.departures if each.timestamp in came]
    return statistics.median(ways_s)


class _Cpu:
    """CPU seconds a second of what this process started and that has ended: driver and browser, their start too."""

    per_second = 0.0

    def __enter__(self) -> Self:
        self._begun_s = time.monotonic()
        self._before = os.times()
        return self

    def __exit__(self, *_: object) -> None:
        after = os.times()
        spent = after.children_user + after.children_system - self._before.children_user - self._before.children_system
        self.per_second = spent / (time.monotonic() - self._begun_s)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    moved(asked)
    neteq(asked)
