"""Whether a process that stands still is noticed: calls on the real clock, each stopped once from outside.

A child process places 20 calls of 3 s; this one stops it (SIGSTOP) for 0.1 to 1 s at a random instant of the first try
of each. Every stall must be named with its second, within 50 ms, and no call that had one may be in the result. Then
the same calls without stalls: none may be named. Judge it on a quiet machine, or with real-time priority.

    python benchmarks/stalls.py [SEED]
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

CALLS = 20
CALL_S = 3.0
SETTINGS = ("link=delay 40ms", f"call.calls={CALLS}", f"call.duration={CALL_S:g}s", "call.joins=1", "budgets=[]")
SPEAKING_S = (0.8, 3.2)
"""Of a call over 40 ms each way: it speaks from half a second after its start on, for ``CALL_S``."""
LASTING_S = (0.1, 1.0)
WITHIN_S = 0.05
_NAMED = re.compile(r"for ([\d.]+) s at ([\d.]+) s")


def child() -> None:
    """Place the calls; say on standard output when each began (on the clock of the machine), then the result."""
    from rtcprobe.probe import run_probe  # noqa: PLC0415 - the parent needs none of it
    from rtcprobe.runtime.network import Network  # noqa: PLC0415
    from rtcprobe.scenario import find_scenario  # noqa: PLC0415

    start = Network.start

    def told(self: Network) -> None:
        start(self)
        print(json.dumps({"began_s": self.epoch_s}), flush=True)

    Network.start = told  # type: ignore[method-assign]
    result = run_probe(find_scenario("1v1-social", SETTINGS), seed=1, clock="real")
    print(json.dumps({"result": result.to_dict()}), flush=True)


def placed(chance: random.Random | None) -> tuple[dict[str, object], list[tuple[float, float]]]:
    """Return the child's result and the stalls planted: (second of the call, seconds it lasted), one a call."""
    process = subprocess.Popen([sys.executable, __file__, "--child"], stdout=subprocess.PIPE, text=True)
    planted: list[tuple[float, float]] = []
    assert process.stdout is not None
    for number, line in enumerate(process.stdout):
        said = json.loads(line)
        if "result" in said:
            process.wait()
            return said["result"], planted
        if chance is None or number % 2 == 0:  # the join; then each call's second try
            continue
        began_s, at_s, lasting_s = said["began_s"], chance.uniform(*SPEAKING_S), chance.uniform(*LASTING_S)
        time.sleep(max(0.0, began_s + at_s - time.monotonic()))
        stopped_s = time.monotonic()
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(lasting_s)
        os.kill(process.pid, signal.SIGCONT)
        planted.append((stopped_s - began_s, time.monotonic() - stopped_s))
    raise SystemExit("the child ended without a result")


def longest_ms(result: dict) -> float:  # type: ignore[type-arg]
    """Return the latest marker of a result."""
    return float(max(each["delay_ms"] for ear in result["mouth_to_ear"].values() for each in ear["samples"]))


def main() -> int:
    """Print what was found; 1 where a stall was missed, judged, or seen where none was."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    result, planted = placed(random.Random(seed))
    quiet, _ = placed(None)
    rows: list[dict] = result["calls"]  # type: ignore[assignment, type-arg]
    first = [each for each in rows if each["attempt"] == 1]
    named = []
    for row, (at_s, lasted_s) in zip(first, planted, strict=True):
        found = [(float(at), float(lasted)) for lasted, at in _NAMED.findall(row["void"] or "")]
        right = any(abs(at - at_s) < WITHIN_S and abs(lasted - lasted_s) < WITHIN_S for at, lasted in found)
        named.append(right)
        mark = "" if right else "   MISSED"
        print(f"call {row['call'] + 1:2d}: stopped for {lasted_s:.3f} s at {at_s:.3f} s; said: {row['void']}{mark}")
    judged = [each for each in rows if each["attempt"] == 2]
    kept_ms, quiet_ms = longest_ms(result), longest_ms(quiet)
    false = [each for each in quiet["calls"] if each["void"] is not None]  # type: ignore[attr-defined]
    twice = sum(bool(each["void"]) for each in judged)
    print(f"named {sum(named)} of {CALLS}; calls made again {len(judged)}, void twice {twice}")
    print(f"latest marker {kept_ms:.1f} ms with stalls, {quiet_ms:.1f} ms without; verdict {result['verdict']}")
    print(f"false alarms {len(false)} of {CALLS}; priority {quiet['harness']['priority']}")  # type: ignore[index]
    for each in false:
        print(f"  call {each['call'] + 1}: {each['void']}")
    return 0 if all(named) and not false and kept_ms < quiet_ms + 10.0 else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
    else:
        sys.exit(main())
