"""How much faster than real time a conversation is held: both ears live, two NetEQs, two encoders, the whole stack.

    python benchmarks/conversation_speed.py [--scenario NAME] [--calls N] [--beside]

CPU seconds of this process are told, so that what else the machine does counts less; the first call, which loads and
synthesises, is left out. Limit: 40 times real time a core. ``--beside`` holds the first call on the real clock as well,
at the speed of life, and prints what each turn took on either.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rtcprobe.call.live import LiveTrack
from rtcprobe.hearing.speech import speak
from rtcprobe.probe.beforehand import check_target
from rtcprobe.probe.conversing import Conversing
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing, afresh
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.result import Clock
from rtcprobe.scenario import Scenario, find_scenario

LIMIT = 40.0


class Held(NamedTuple):
    """A call: how long it lasted, the CPU it took to hold and to hear, and its responses by line, seconds."""

    lasted_s: float
    held_s: float
    heard_s: float
    responses_s: Mapping[int, float]


def hold(scenario: Scenario, clock: Clock, seed: np.random.SeedSequence) -> Held:
    """Hold one call and hear it."""
    assert scenario.conversation is not None
    target = check_target(scenario, clock)
    conversing = Conversing(scenario, scenario.conversation)
    voices = speak(scenario.sending("audio"), Conversing.markers_s)
    setup = conversing.setup(call_setup(scenario, voices, routes(scenario, target.routes), endless=False))
    begun = time.process_time()
    attempt = Placing(target, clock).talk(setup, seed, lambda _attempt: None, lambda _talked_s: None)
    held = time.process_time()
    placed = of_stack(attempt, outside=False)
    conversing.hear(0, placed.ways, placed.spoke, None)
    heard = time.process_time()
    track = attempt.call.peers[0].sound.track
    assert isinstance(track, LiveTrack)
    answers = {each.marker: each.delay_s for each in conversing.accounts[0].samples}
    return Held(len(track.frames) * track.frame_s, held - begun, heard - held, answers)


def main() -> int:
    """Print how fast each call was held and heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="voice-assistant")
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--beside", action="store_true", help="hold one call on the real clock, too")
    arguments = parser.parse_args()
    scenario = find_scenario(arguments.scenario)
    if scenario.conversation is None:
        parser.error(f"{arguments.scenario} has no conversation")
    seeds = np.random.SeedSequence(1).spawn(arguments.calls + 1)
    calls = []
    for number, seed in enumerate(seeds):
        call = hold(scenario, "virtual", seed)
        said = "" if number else "first, left out: "
        print(
            f"{said}{call.lasted_s:.1f} s held in {call.held_s:.2f} s of CPU ({call.lasted_s / call.held_s:.0f} x), "
            f"heard in {call.heard_s:.2f} s"
        )
        calls.append(call)
    lasted_s, cpu_s, heard_s = (math.fsum(parts) for parts in zip(*(each[:3] for each in calls[1:]), strict=True))
    factor = lasted_s / cpu_s
    print(f"{factor:.0f} x real time a core (with hearing {lasted_s / (cpu_s + heard_s):.0f} x); limit {LIMIT:g} x")
    if arguments.beside:
        real = hold(scenario, "real", afresh(seeds[0]))
        virtual_s = calls[0].responses_s
        print(f"the first call at 1 x: {real.lasted_s:.1f} s; ms from the last word to the answer, there and here:")
        for line, delay_s in real.responses_s.items():
            here = "none" if line not in virtual_s else f"{virtual_s[line] * 1e3:,.0f}"
            print(f"  line {line + 1}: {delay_s * 1e3:,.0f}, {here}")
    return 0 if factor >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
