"""Scenario to result: repeated joins, then the long call, then both ears listen to what arrived.

Rules:
    1. One seed, spawned in a fixed order: the joins, the call; every join its own. More joins do not change the call.
    2. Every join and the call meet a network made anew.
    3. Ears listen afterwards, to packets with their arrivals: playout has no influence on the network.
    4. What was measured until an interruption is kept.
"""

from rtcprobe.probe.run import run_probe

__all__ = ["run_probe"]
