"""How much faster than real time a conversation is held: both ears live, two NetEQs, two encoders, the whole stack.

    python benchmarks/conversation_speed.py [--scenario NAME] [--calls N]

CPU seconds of this process are told, so that what else the machine does counts little; the first call, which loads and
synthesises, is left out. Limit: 40 times real time a core.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from rtcprobe.call.live import LiveTrack
from rtcprobe.hearing.speech import speak
from rtcprobe.probe.beforehand import check_target
from rtcprobe.probe.conversing import MARKERS_S, Conversing
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.scenario import find_scenario

LIMIT = 40.0


def main() -> int:
    """Print how fast each call was held and heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="voice-assistant")
    parser.add_argument("--calls", type=int, default=4)
    arguments = parser.parse_args()
    scenario = find_scenario(arguments.scenario)
    if scenario.conversation is None:
        parser.error(f"{arguments.scenario} has no conversation")
    target = check_target(scenario, "virtual")
    conversing = Conversing(scenario, scenario.conversation)
    voices = speak(scenario.sending("audio"), MARKERS_S)
    setup = conversing.setup(call_setup(scenario, voices, routes(scenario, target.routes), endless=False))
    placing = Placing(target, "virtual")
    held_s = cpu_s = heard_s = 0.0
    for number, seed in enumerate(np.random.SeedSequence(1).spawn(arguments.calls + 1)):
        begun = time.process_time()
        attempt = placing.talk(setup, seed, lambda _attempt: None, lambda _talked_s: None)
        held = time.process_time()
        placed = of_stack(attempt, outside=False)
        conversing.hear(number, placed.ways, placed.spoke, None)
        heard = time.process_time()
        track = attempt.call.peers[0].sound.track
        assert isinstance(track, LiveTrack)
        lasted_s = len(track.frames) * track.frame_s
        said = "first, left out: " if not number else ""
        print(
            f"{said}{lasted_s:.1f} s held in {held - begun:.2f} s of CPU ({lasted_s / (held - begun):.0f} x), "
            f"heard in {heard - held:.2f} s"
        )
        if number:
            held_s, cpu_s, heard_s = held_s + lasted_s, cpu_s + held - begun, heard_s + heard - held
    factor = held_s / cpu_s
    print(f"{factor:.0f} x real time a core (with hearing {held_s / (cpu_s + heard_s):.0f} x); limit {LIMIT:g} x")
    return 0 if factor >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
