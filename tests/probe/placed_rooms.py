"""Rooms of three in virtual time: a call when it has ended, its scenario, what was heard each way."""

from functools import cache
from itertools import permutations

import numpy as np

from rtcprobe.call.targets.loopback import LoopbackTarget, mesh_routes
from rtcprobe.hearing.speech import speak
from rtcprobe.probe.hearing import hear_call
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.scenario import parse_scenario

ROOM = """
name: room
parties: {ana: {playout: "fixed:60ms"}, ben: {}, cho: {}}
call: {duration: 4s}
legs: {%s}
"""
LEGS_MS = {
    f"{talker}_to_{listener}": 20 + 15 * place
    for place, (talker, listener) in enumerate(permutations(("ana", "ben", "cho"), 2))
}


@cache
def placed(later="", *, text=ROOM, join=False):
    """Return the attempt at a call of the room, and its scenario; the leg ``later`` takes 80 ms more."""
    legs = {leg: f"delay {ms + 80 * (leg == later)}ms" for leg, ms in LEGS_MS.items()}
    scenario = parse_scenario(text % ", ".join(f"{leg}: {link}" for leg, link in legs.items()))
    voices = speak(scenario.sending("audio"), scenario.call.duration_s)
    hops = routes(scenario, mesh_routes([party.name for party in scenario.parties]))
    placing, seed = Placing(LoopbackTarget(), "virtual"), np.random.SeedSequence(1)
    setup = call_setup(scenario, voices, hops, endless=join)
    if join:
        return placing.join(setup, seed), scenario, voices
    return placing.talk(setup, seed, lambda _: None, lambda _: None), scenario, voices


def heard(*args, **options):
    """Return the account of each way."""
    attempt, scenario, voices = placed(*args, **options)
    call = of_stack(attempt, outside=False)
    return hear_call(call.ways, voices, scenario, wanted=scenario.ways, wav_dir=None)
