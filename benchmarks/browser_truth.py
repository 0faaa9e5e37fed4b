"""How true a browser's figures are: our page in the machine's Chromium against our peer, over links that are known.

Four questions, each asked of ``CALLS`` calls a link:

1. Does a link's delay move what it should, by what it should? Mouth to wire (there) and mouth to ear (back), over no
   link and over 40 ms each way: medians, their differences, how far markers of one call agree, how far calls do. The
   second half of the calls is a repeat of the first: how far apart their medians are is told, too. Beside, what packets
   waited for the next tick of NetEQ's is taken off: the same through a call, by chance from call to call.
2. An echo, through the EchoTest page of Janus' own demos (the servers of ``tests/live``): how long its packets were
   away, known by their sizes, and when its markers were heard, over no link and over 40 ms each way.
3. Are frames what they are said to be? Two pages that show themselves to each other: how many frames were known by the
   number in the picture and by their RTP time, and how many alike.
4. Does Chromium's NetEQ do what ours does? Over jitter and over loss, the very packets that reached the browser are
   played through our NetEQ: the median delay of either, and what either concealed.

Concealment is Chromium's own count (getStats) until the last word, ours that of the same packets. CPU is what driver
and browser took, their start included, for a call of 8 s.

What left the mouth late is known, piece by piece, and is taken off what a marker took to the wire. A call that the
machine spoilt is made again, up to three times. Judge it on a quiet machine, with real-time priority.

    python benchmarks/browser_truth.py [CALLS] [moved | echo | frames | neteq ...]
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from rtcprobe.call.targets.base import find_target
from rtcprobe.hearing.ears import Ear
from rtcprobe.hearing.eyes import Constants
from rtcprobe.hearing.glimpses import see_glimpses
from rtcprobe.hearing.played import PlayedEar, tick_wait_s
from rtcprobe.hearing.speech import Voices, speak
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.probe.hearing import Listened
from rtcprobe.probe.pictures import Pictures
from rtcprobe.probe.placed import Placed, of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.seeing import Looking
from rtcprobe.probe.setup import call_setup
from rtcprobe.recording import Agreed
from rtcprobe.runtime.outside import all_addresses
from rtcprobe.scenario import Devices, Scenario, find_scenario
from rtcprobe.ways import Way

LIVE = Path(__file__).resolve().parents[1] / "tests" / "live"
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
        "   to ear less its tick"
    )
    medians: dict[str, tuple[float, float, float]] = {}
    for link in DELAYS:
        scenario = scenario_over(link)
        voices = speak(scenario.sending("audio"), CALL_S)
        wire, ear, spread_wire, spread_ear, cpu = [], [], [], [], []
        of_tick: list[float] = []
        for number in range(calls):
            with _Cpu() as used:
                call = placed(scenario, voices, number)
            if call is None:
                continue
            cpu.append(used.per_second * 1e3)
            there, back = way_of(call, THERE), way_of(call, BACK)
            left_s = marked_s(there, voices) + _network_s(there)
            wire.append(float(np.median(left_s)) * 1e3)
            spread_wire.append(float(np.std(left_s)) * 1e3)
            delays = settled_ms(heard_in_page(back, voices), BACK)
            if delays:
                ear.append(statistics.median(delays))
                spread_ear.append(statistics.pstdev(delays))
                of_tick.append(ear[-1] - 1e3 * (tick_wait_s(back.came) or 0.0))
        medians[link] = statistics.median(wire), statistics.median(ear), statistics.median(of_tick)
        of_wire = f"{medians[link][0]:8.2f} {min(wire):10.2f}–{max(wire):.2f} {statistics.median(spread_wire):10.2f}"
        of_ear = f"{medians[link][1]:14.2f} {min(ear):9.2f}–{max(ear):.2f} {statistics.median(spread_ear):10.2f}"
        print(f"{link:<12} {of_wire} {of_ear} {statistics.median(cpu):13.0f} {_range(of_tick)}")
        print(f"{'again, apart':<12} {_apart(wire):8.2f} {_apart(ear):42.2f} {_apart(of_tick):44.2f}")
    (none_wire, none_ear, none), (far_wire, far_ear, far) = medians.values()
    print(f"moved by      {far_wire - none_wire:7.2f} {far_ear - none_ear:42.2f} {far - none:44.2f}   (asked: 40.00)\n")


def marked_s(there: Listened, voices: Voices) -> npt.NDArray[np.float64]:
    """Return how late the packet left in which each marker begins, less how late its last piece was spoken."""
    said, train = there.said, voices[there.said.party].train
    assert said.started_s is not None
    late_s, pieces = np.array(said.pacing_lateness_s()), list(said.late_pieces())
    due_s = np.array([due for due, _ in pieces]) + said.ptime_s
    spoken_s = [each.spoken_s for each in train.markers(CALL_S, start_s=said.started_s)][SETTLED:]
    places = np.floor((np.array(spoken_s) - said.packets_from_s) / 0.02).astype(int)
    ends_s = said.packets_from_s + (places + 1) * 0.02
    last = np.clip(np.searchsorted(due_s, ends_s + 1e-6, side="right") - 1, 0, len(pieces) - 1)
    known = (places >= 0) & (places < len(late_s))
    own_s = np.array([pieces[each][1] for each in last])
    found: npt.NDArray[np.float64] = late_s[places[known]] - own_s[known]
    return found


def echo(calls: int) -> None:
    """Print what an echo through Janus' own demo page moves by."""
    sys.path.insert(0, str(LIVE / "servers"))
    network = import_module("network").enter()
    if network is None:
        sys.exit("an echo needs an address that is not the loopback's: run as root, or give the machine one")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        janus = import_module("janus").Janus(network.address, Path(name) / "janus")
        janus.start()
        stack.callback(janus.process.stop)
        demos = import_module("pages")
        pages = demos.Pages(network.address, demos.janus_demos(Path(name) / "demos", janus))
        pages.start()
        stack.callback(pages.process.stop)
        print(f"echo through Janus' own page, {calls} calls a link, ms: away, by packets; heard, by markers")
        medians: list[tuple[float, float]] = []
        for link in DELAYS:
            target = f"target={{url: 'page+{pages.url}/echotest.html', steps: [{{click: '#start'}}]}}"
            both = [f"link.caller_to_callee={link}", f"link.callee_to_caller={link}"]
            settings = [target, *both, f"call.duration={CALL_S:g}s", "call.join_timeout=30s", "budgets=[]"]
            scenario = find_scenario("1v1-social", settings)
            voices = speak(scenario.sending("audio"), CALL_S)
            away, heard = [], []
            for number in range(calls):
                call = placed(scenario, voices, number)
                if call is None or not len(call.ways[0].came.away_s):
                    continue
                away.append(1e3 * float(np.median(call.ways[0].came.away_s)))
                delays = settled_ms(heard_in_page(call.ways[0], voices), Way("round_trip"))
                heard += [statistics.median(delays)] if delays else []
            medians.append((statistics.median(away), statistics.median(heard) if heard else float("nan")))
            print(f"{link:<12} {_range(away)}   {_range(heard) if heard else 'nothing'}   of {len(away)} calls")
        (none, none_heard), (far, far_heard) = medians
        print(f"moved by     {far - none:9.2f} {far_heard - none_heard:30.2f}   (asked: 80.00)\n")


def frames(calls: int) -> None:
    """Print how many frames of two pages that meet were known twice, and alike."""
    address = all_addresses()[0]
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    meeting = subprocess.Popen([sys.executable, LIVE / "servers" / "meeting.py", address, str(port)])
    both = alike = 0
    glass: list[float] = []
    try:
        target = f"target={{url: 'page+http://{address}:{port}/?video', ends: two, steps: [{{click: '#meet'}}]}}"
        settings = [target, "link=delay 20ms", f"call.duration={CALL_S:g}s", "call.join_timeout=30s", "budgets=[]"]
        scenario = find_scenario("1v1-video", settings)
        voices = speak(scenario.sending("audio"), CALL_S)
        cameras = Pictures(scenario, video_dir=None, filmed_there=("caller", "callee")).cameras(endless=False)
        for number in range(calls):
            placing = Placing(find_target(scenario.target), "real")
            setup = call_setup(
                scenario, voices, routes(scenario, placing.target.routes), endless=False, cameras=cameras
            )
            seed = np.random.SeedSequence([200, number])
            # What a stall of the machine spoils is when frames are shown, not which they are.
            call = of_stack(placing.talk(setup, seed, lambda _: None, lambda _: None), outside=True)
            for each in call.watched:
                if isinstance(each, Looking):
                    seen = see_glimpses(each.filmed, each.looked, Constants())
                    both += int(seen.w3c["framesIdentifiedTwice"])
                    alike += int(seen.w3c["framesIdentifiedAlike"])
                    glass += [1e3 * sum(frame.stages_s) for frame in seen.frames if frame.fate == "seen"]
    finally:
        meeting.kill()
        meeting.wait()
    print(f"frames of two pages, {calls} calls over 20 ms: known by number and by RTP time {both}, alike {alike}")
    print(f"glass to glass, ms: p5 {_at(glass, 5):.1f}, p50 {_at(glass, 50):.1f}, p95 {_at(glass, 95):.1f}\n")


def _at(values: Sequence[float], quantile: float) -> float:
    return float(np.percentile(values, quantile)) if values else float("nan")


def _apart(values: Sequence[float]) -> float:
    """Return how far the medians of the first and the second half of calls lie apart."""
    half = len(values) // 2
    return statistics.median(values[half:]) - statistics.median(values[:half]) if half else float("nan")


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
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    parts = {each.__name__: each for each in (moved, frames, neteq, echo)}  # the last enters a network of its own
    chosen = [each for each in sys.argv[1:] if not each.isdigit()] or list(parts)
    for each in chosen:
        parts[each](numbers[0] if numbers else CALLS)
