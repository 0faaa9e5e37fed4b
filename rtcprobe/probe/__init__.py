"""Scenario to result: repeated joins, then several calls; after each, both ears listen to what arrived in it.

Facts:
    Within a call delays depend on each other: what NetEQ aimed at in the first second, where the loudspeaker's grid
    lies. Measured over 40 calls of ``1v1-social``, p50 differs between calls by 7 ms (standard deviation) whether they
    last 4 s or 20 s. Only another call tells something new, so a run is several short ones.

Rules:
    1. One seed, spawned in a fixed order: the joins, the calls; each its own. More joins do not change the calls, more
       calls do not change the first ones.
    2. Every join and every call meet a network made anew.
    3. Ears listen afterwards, to packets with their arrivals: playout has no influence on the network. Of a call that
       was heard nothing else stays in memory.
    4. What was measured until an interruption is kept.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported
from rtcprobe.probe.job import Job

if TYPE_CHECKING:
    from rtcprobe.probe.run import run_probe

__all__ = ["Job", "run_probe"]


if not TYPE_CHECKING:  # what measures takes a second to import, and jobs are handed out without it
    __getattr__ = exported(__name__, {"run": ("run_probe",)})
