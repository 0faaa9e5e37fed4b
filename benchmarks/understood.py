"""How well utterances are understood through NetEQ, by loss, without and with in-band FEC; and what it costs to know.

    python benchmarks/understood.py [--scenario NAME] [--calls N]

ESTOI (mean over utterances of a user's turns at the agent's ear, and of the answers at the user's) of conversations in
virtual time over 20 ms of delay, losses in bursts of 1.5 packets. Limits: it falls strictly from 0 to 5, 10 and 20 %;
with FEC (told of the loss) it is higher at each of these; knowing it takes 5 % of the call's CPU at the most.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise

import numpy as np

from rtcprobe.hearing import intelligibility
from rtcprobe.hearing.speech import speak
from rtcprobe.probe.beforehand import check_target
from rtcprobe.probe.conversing import Conversing
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.scenario import find_scenario

LOSSES = (0, 5, 10, 20)
MOST_SHARE = 0.05


class Clock:
    """CPU seconds spent in one function."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._stock = intelligibility._judged  # noqa: SLF001 - the whole of what is timed

    def __call__(self, *arguments: object) -> object:
        """Do what the function does, and count it."""
        begun_s = time.process_time()
        found = self._stock(*arguments)  # type: ignore[arg-type]
        self.spent_s += time.process_time() - begun_s
        return found


def held(name: str, loss: int, *, fec: bool, calls: int, clock: Clock) -> tuple[dict[str, float], float, float]:
    """Hold conversations; return ESTOI by direction, and the CPU that calls and their judging took."""
    settings = [
        "conversation.intelligibility=true",
        f"link=delay 20ms loss {loss}% burst 1.5" if loss else "link=delay 20ms",
        f"codec.expected_loss={loss}%",
        f"codec.fec={str(fec).lower()}",
    ]
    scenario = find_scenario(name, [*settings, "budgets=[]"])
    assert scenario.conversation is not None
    target = check_target(scenario, "virtual")
    conversing = Conversing(scenario, scenario.conversation)
    voices = speak(scenario.sending("audio"), Conversing.markers_s)
    setup = conversing.setup(call_setup(scenario, voices, routes(scenario, target.routes), endless=False))
    spent_s, begun_s = clock.spent_s, time.process_time()
    for number, seed in enumerate(np.random.SeedSequence(1).spawn(calls)):
        placed = of_stack(Placing(target, "virtual").talk(setup, seed, lambda _a: None, lambda _s: None), outside=False)
        conversing.hear(number, placed.ways, placed.spoke, None)
    took_s, judged_s = time.process_time() - begun_s, clock.spent_s - spent_s
    figures = conversing.accounts[0].figures
    return {each: figures[each] for each in ("said_estoi", "estoi")}, took_s - judged_s, judged_s


def main() -> int:
    """Print ESTOI by loss; return 1 where a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="spoken-practice-turns")
    parser.add_argument("--calls", type=int, default=2)
    arguments = parser.parse_args()
    clock = Clock()
    intelligibility._judged = clock  # type: ignore[assignment]  # noqa: SLF001
    held(arguments.scenario, 0, fec=False, calls=1, clock=clock)  # the first of the process loads and synthesises
    print("ESTOI              yours, at its ear    its, at your ear")
    found, calls_s, judged_s = dict[tuple[bool, int], dict[str, float]](), 0.0, 0.0
    for fec in (False, True):
        for loss in LOSSES:
            figures, took_s, spent_s = held(arguments.scenario, loss, fec=fec, calls=arguments.calls, clock=clock)
            found[fec, loss] = figures
            calls_s, judged_s = calls_s + took_s, judged_s + spent_s
            title = f"{loss:>3} % lost{', FEC' if fec else ''}"
            print(f"{title:<19}{figures['said_estoi']:>16.3f}{figures['estoi']:>20.3f}")
    ways = ("said_estoi", "estoi")
    falls = all(found[False, a][way] > found[False, b][way] for way in ways for a, b in pairwise(LOSSES))
    wins = all(found[True, loss][way] > found[False, loss][way] for way in ways for loss in LOSSES[1:])
    share = judged_s / calls_s
    print(f"falls strictly without FEC: {falls}; FEC wins at every loss: {wins}")
    print(f"judging took {share:.1%} of the CPU that the calls took; limit {MOST_SHARE:.0%}")
    return 0 if falls and wins and share <= MOST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
