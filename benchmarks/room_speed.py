"""What a room through a server of ours costs, in virtual time on one core: joins, media, ears, memory.

    python benchmarks/room_speed.py [LISTENERS] [SECONDS]

One speaks, LISTENERS (50) hear, SECONDS (60): once with every packet through the whole stack, once on the fast path
(``runtime.riding``), in one process, all ears on; then with ten listeners, for the memory each further one takes. CPU
seconds of this process; "x real time" is the length of the call over them, of media alone and with every ear. What
both heard is compared, and must be the same.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtcprobe.call.targets import sfu
from rtcprobe.probe import run_probe
from rtcprobe.probe.placing import Placing
from rtcprobe.scenario import Scenario, parse_scenario

_TEN = 10
_SHOWN = 20


def room(listeners: int, seconds: float) -> Scenario:
    """Return a room of one who speaks; access and jitter as of a good mobile line."""
    audience = "".join(f"  fan-{number}: {{sends: nothing}}\n" for number in range(listeners))
    return parse_scenario(
        f"name: room-speed\nparties:\n  host: {{}}\n{audience}"
        "target: sfu\nsignaling: {connection: warm}\nlink: delay 40ms 5ms distribution normal\n"
        f"call: {{calls: 1, duration: {seconds:g}s, joins: 1}}\n"
    )


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Add up the CPU that joins and calls take."""
    whole = {name: getattr(Placing, name) for name in ("join", "talk")}

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            begun_s = time.process_time()
            try:
                return call(*args, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.process_time() - begun_s

        return counted

    for name, call in whole.items():
        setattr(Placing, name, counting(name, call))
    try:
        yield
    finally:
        for name, call in whole.items():
            setattr(Placing, name, call)


def measured(scenario: Scenario, *, rides: bool) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the CPU seconds of a run by step, and what it found."""
    make, spent = sfu.make_target, dict[str, float]()
    sfu.make_target = lambda plan: replace(make(plan), rides=rides)
    begun_s = time.process_time()
    try:
        with timed(spent):
            found = run_probe(scenario, seed=1, clock="virtual").to_dict()
    finally:
        sfu.make_target = make
    spent["whole"] = time.process_time() - begun_s
    del found["environment"]
    return spent, found


def apart(one: Any, other: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two results differ, and what each has there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from apart(one.get(key), other.get(key), f"{at}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (each, against) in enumerate(zip(one, other, strict=True)):
            yield from apart(each, against, f"{at}/{place}")
    elif one != other:
        yield at, one, other


def memory_mib(listeners: int, seconds: float) -> float:
    """Return the most that a process of its own held."""
    code = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import room_speed; room_speed.one({listeners}, {seconds})"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def one(listeners: int, seconds: float) -> None:
    """Run one room, and print the most memory that this process held in MiB (Linux)."""
    measured(room(listeners, seconds), rides=True)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def main(listeners: int, seconds: float) -> int:
    """Print the table; return 1 where the fast path heard something else."""
    run_probe(room(1, 1.0), seed=1, clock="virtual")  # what is loaded once is nobody's
    found = []
    print(f"1 -> {listeners}, {seconds:g} s   join CPU each   media: CPU, x real time    all ears: CPU, x real time")
    for name, rides in (("whole stack", False), ("fast path", True)):
        spent, told = measured(room(listeners, seconds), rides=rides)
        found.append(told)
        each_ms, media_s, whole_s = spent["join"] / (listeners + 1) * 1e3, spent["talk"], spent["whole"] - spent["join"]
        print(
            f"{name:14} {each_ms:12.1f} ms {media_s:12.2f} s {seconds / media_s:7.1f} x"
            f" {whole_s:16.2f} s {seconds / whole_s:7.1f} x"
        )
    print(f"heard the same, figure by figure: {found[0] == found[1]}")
    for each in list(apart(found[0], found[1]))[:_SHOWN]:
        print("  apart:", *each)
    few, many = memory_mib(_TEN, seconds), memory_mib(listeners, seconds)
    more = listeners - _TEN
    print(f"memory: {few:.0f} MiB with {_TEN} listeners, {many:.0f} with {listeners}: {(many - few) / more:.2f} each")
    return int(found[0] != found[1])


if __name__ == "__main__":
    asked = [float(each) for each in sys.argv[1:]]
    sys.exit(main(int(asked[0]) if asked else 50, asked[1] if len(asked) > 1 else 60.0))
