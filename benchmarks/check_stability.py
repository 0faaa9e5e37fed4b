"""The same check a hundred times on unchanged code, and on code with a change planted: one verdict, and the culprit.

Every check places its calls anew. The changes are planted behind the scenario's back (its settings, and so its digest,
stay), as a change of the stack would be. Exits with 1 where a verdict differs, or a planted change is not named.

    python benchmarks/check_stability.py [CHECKS]
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from rtcprobe import Result, Scenario, find_scenario, run_probe
from rtcprobe.scenario import Devices
from rtcprobe.verdict import RegressionCheck, check

SEEDS = (1, 2, 3)
SETTINGS = ("call.joins=5", "call.calls=1", "call.duration=12s", "signaling.connection=warm")
PLANTED_S = 0.015


def main() -> int:
    """Run the checks and print what they said; return the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    plan = find_scenario("1v1-social", SETTINGS)
    baseline = runs(plan)
    begun_s = time.perf_counter()
    verdicts = Counter(check(baseline, runs(plan)).verdict for _ in range(count))
    each_s = (time.perf_counter() - begun_s) / count
    said = ", ".join(f"{number} {word}" for word, number in verdicts.items())
    print(f"unchanged code, {count} checks of {len(SEEDS)} runs ({each_s:.1f} s each): {said}")
    sound = [verdicts == Counter({"pass": count})]
    for what, plant, culprit in PLANTED:
        sound.append(told(what, check(baseline, runs(plant(plan))), culprit))
    return 0 if all(sound) else 1


def runs(plan: Scenario) -> list[Result]:
    """Return one run of ``plan`` for each seed."""
    return [run_probe(plan, seed=seed, clock="virtual") for seed in SEEDS]


def told(what: str, found: RegressionCheck, culprit: tuple[str, str]) -> bool:
    """Print what a check said of a planted change; return whether it failed and named it first."""
    print(f"{what}: {found.verdict}")
    for each in found.culprits:
        print(f"  {each.sentence}")
    first = found.culprits[0] if found.culprits else None
    return found.verdict == "fail" and first is not None and (first.kind, first.name) == culprit


def later_playback(plan: Scenario) -> Scenario:
    """Plant 15 ms between playout and loudspeaker."""
    return _with_devices(plan, lambda each: replace(each, playback_s=each.playback_s + PLANTED_S))


def later_capture(plan: Scenario) -> Scenario:
    """Plant 15 ms between microphone and encoder."""
    return _with_devices(plan, lambda each: replace(each, capture_s=each.capture_s + PLANTED_S))


def cold_signaling(plan: Scenario) -> Scenario:
    """Plant the round trips of TCP and TLS before the offer."""
    return replace(plan, signaling=replace(plan.signaling, connection="cold"))


def _with_devices(plan: Scenario, change: Callable[[Devices], Devices]) -> Scenario:
    return replace(plan, parties=tuple(replace(each, devices=change(each.devices)) for each in plan.parties))


PLANTED: Iterable[tuple[str, Callable[[Scenario], Scenario], tuple[str, str]]] = (
    ("+15 ms after playout", later_playback, ("stage", "device")),
    ("+15 ms before the encoder", later_capture, ("stage", "capture")),
    ("two more round trips in every join", cold_signaling, ("phase", "signaling")),
)

if __name__ == "__main__":
    sys.exit(main())
