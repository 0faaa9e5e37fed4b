"""Runs against real servers: settings that leave the link alone, and another try where the machine was too busy."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

from rtcprobe.probe import run_probe, stalls, talking
from rtcprobe.result import Result
from rtcprobe.scenario import find_scenario

__all__ = ["BARE", "called", "kept_run", "measured", "median_s", "quiet_run", "room", "valid_room", "valid_run"]

ROOM = Path(__file__).parent.parent / "room-of-three.yaml"

BARE = ("link.caller_to_callee=delay 0ms", "link.callee_to_caller=delay 0ms", "budgets=[]")
"""A link that adds nothing, so that a test can say what it does."""
QUICK = (*BARE, "call.calls=1", "call.duration=5s", "call.joins=1", "call.join_timeout=10s")
TRIES = 8
QUIET_S = 0.003


def measured(target: str, *settings: str) -> Result:
    """Return a valid run of a short call to ``target`` over a link that adds nothing."""
    return valid_run("1v1-social", f"target={target}", *QUICK, *settings)


def called(target: str, *settings: str) -> Result:
    """Return one such run, valid or not: for what is true on a busy machine too."""
    written = [f"target={target}", *QUICK, "call.duration=3s", *settings]
    return run_probe(find_scenario("1v1-social", written), seed=1, clock="real")


def quiet_run(target: str, *settings: str) -> Result:
    """Return such a run in which hardly a packet of ours was held up, or the playout hears the machine."""
    return valid_run("1v1-social", f"target={target}", *QUICK, *settings, quiet_s=QUIET_S)


def valid_run(scenario: str, *settings: str, quiet_s: float | None = None) -> Result:
    """Return a run of ``scenario`` on the real clock; a busy machine makes one invalid, and it is tried again.

    With ``quiet_s``, so is one that was later than that at any 99th percentile of its own latenesses.
    """
    complaints = []
    for _ in range(TRIES):
        result = run_probe(find_scenario(scenario, list(settings)), seed=1, clock="real")
        late_s = {name: each.p99_s for name, each in result.harness.latenesses.items()}
        # Of a run all of whose calls were void there is none.
        worst_s = max((each for each in late_s.values() if each is not None), default=math.inf)
        if result.verdict != "invalid" and (quiet_s is None or worst_s <= quiet_s):
            return result
        complaints.append(result.reasons or late_s)
    raise AssertionError(f"the machine was too busy for a valid run {TRIES} times: {complaints}")


def kept_run(scenario: str, *settings: str) -> Result:
    """Return a run that keeps every join and call, however busy the machine: for what works, not for how long it takes.

    Else a machine that others load spoils two browsers' calls again and again, and each is made again.
    """
    with pytest.MonkeyPatch.context() as patch:
        for void in ("void_join", "void_call"):
            patch.setattr(stalls, void, lambda _attempt: None)
        patch.setattr(talking, "CALL_ATTEMPTS", 1)  # a page that fails does so again
        return run_probe(find_scenario(scenario, list(settings)), seed=1, clock="real")


def median_s(result: Result, direction: str) -> float:
    """Return the median mouth-to-ear delay, of enough markers to have one."""
    ear = result.mouth_to_ear[direction]
    assert ear.heard >= 0.8 * ear.scheduled, (ear.heard, ear.scheduled, result.warnings)
    return statistics.median(sample.delay_s for sample in ear.samples)


def room(target: str, *settings: str, duration: str = "4s") -> Result:
    """Return a run of three who all speak and hear each other; a busy machine spoils one, and it is tried again."""
    scenario = find_scenario(str(ROOM), [f"target={target}", f"call.duration={duration}", *settings])
    for _ in range(TRIES):
        result = run_probe(scenario, seed=1, clock="real")
        if result.verdict != "invalid":
            break
    return result


def valid_room(target: str, *settings: str, duration: str = "4s") -> Result:
    """Return such a run that the machine did not spoil."""
    return valid_run(str(ROOM), f"target={target}", f"call.duration={duration}", *settings)
