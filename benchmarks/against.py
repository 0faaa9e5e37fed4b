"""This checkout beside another one: what a call, a join and the commands cost, and the ratios.

Usage: python benchmarks/against.py OTHER_CHECKOUT [--pairs N]

OTHER_CHECKOUT has a ``.venv`` of its own (``make .venv/.ready`` there), such as a git worktree of an older commit. The
two take turns, five times each unless told otherwise, because machines differ from minute to minute; what is printed
are medians of CPU seconds (user and system), of peak memory, and of the ratios pair by pair. Each measurement is a
process of its own, so nothing one does is warm for the next but Python's bytecode, which every user has from the second
run on (kept in a temporary folder here, whatever ``PYTHONDONTWRITEBYTECODE`` says). Encoded speech is kept from the
first run on, too (``rtcprobe/shelf.py``): in temporary folders here, so that nothing lies there from before.

    call       a call of 60 s both ways in virtual time, NetEQ in both ears, over 40 ms, 5 ms jitter and 1 % loss, from
               its join to its verdict: what 60 s take beyond what 1 s takes. Three times:
               the first of its length in its process with nothing kept, for which speech is made, encoded and decoded:
               what a user gets once a programme and version, and always where nothing can be written;
               the first with the speech kept, which is then only decoded: what a user gets from the second run on;
               those after it, decoded as well by then: what the later calls, seeds and cells of a run or sweep take
    model      those after it by ``--engine model``, beside the whole stack where there is no such engine
    join       a join in virtual time: what 40 take beyond what one takes, the fastest of three
    run        ``rtcprobe run 1v1-social -q``, the whole process, and its peak memory
    scenarios  ``rtcprobe scenarios``, the whole process

A checkout that knows several calls a run is asked for one where a call is measured; ``run`` is what its users get.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_CALL_S = 60.0
_JOINS = 40
_AGAIN = 3  # of so many the fastest
_MEGABYTE = 1024  # ru_maxrss counts kilobytes on Linux

_FRESH, _KEPT, _NEXT = (
    f"{which}, CPU s" for which in ("first 60 s call, nothing kept", "first 60 s call, speech kept", "the next ones")
)

_WORK = f"""
import inspect
import sys
import time
from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

MODEL = {{"engine": "model"}} if "engine" in inspect.signature(run_probe).parameters else {{}}

def cpu_s(*settings, **engine):
    asked = ["link=delay 40ms 5ms distribution normal loss 1%", "playout=neteq", *settings]
    try:
        scenario = find_scenario("1v1-social", [*asked, "call.calls=1"])
    except BadInputError:  # it knows one call a run
        scenario = find_scenario("1v1-social", asked)
    begun = time.process_time()
    run_probe(scenario, seed=1, clock="virtual", **engine)
    return time.process_time() - begun

one = ("call.duration=1s", "call.joins=1")
cpu_s(*one)
brief = cpu_s(*one)
long = ("call.duration={_CALL_S:g}s", "call.joins=1")
longer = {_CALL_S / (_CALL_S - 1.0)}
call = (cpu_s(*long) - brief) * longer
if sys.argv[1:] == ["first"]:
    print(call)
    sys.exit()
modelled = min(cpu_s(*one, **MODEL) for _ in range({_AGAIN}))
again = (min(cpu_s(*long) for _ in range({_AGAIN})) - brief) * longer
model = (min(cpu_s(*long, **MODEL) for _ in range({_AGAIN})) - modelled) * longer
join = min(cpu_s("call.duration=1s", "call.joins={_JOINS}") - cpu_s(*one) for _ in range({_AGAIN})) / {_JOINS - 1}
print(call, again, model, join)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both in turn; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args(arguments)
    here, other = Path(__file__).resolve().parents[1], options.other.resolve()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not (other / ".venv" / "bin" / "rtcprobe").is_file():
        print(f"{other} has no .venv with rtcprobe in it: run 'make .venv/.ready' there", file=sys.stderr)
        return 2
    found: dict[Path, list[dict[str, float]]] = {here: [], other: []}
    with tempfile.TemporaryDirectory() as bytecode, tempfile.TemporaryDirectory() as kept:
        os.environ["PYTHONPYCACHEPREFIX"], os.environ["RTCPROBE_CACHE"] = bytecode, kept
        for checkout in (here, other):
            process([checkout / ".venv" / "bin" / "rtcprobe", "run", "1v1-social", "-q"], checkout)
            worked(checkout, "first")  # whose speech is kept from now on
        for pair in range(max(1, options.pairs)):
            for checkout in (here, other) if pair % 2 == 0 else (other, here):
                found[checkout].append(measured(checkout))
            print(f"pair {pair + 1} of {options.pairs}", file=sys.stderr)
    print(f"{'':<36}{'here':>10}{'there':>10}{'here/there':>12}{'there/here':>12}")
    for name in found[here][0]:
        mine, theirs = ([each[name] for each in found[checkout]] for checkout in (here, other))
        ratio = statistics.median(ours / other for ours, other in zip(mine, theirs, strict=True))
        medians = f"{statistics.median(mine):>10.4g}{statistics.median(theirs):>10.4g}"
        print(f"{name:<36}{medians}{ratio:>12.2f}{1 / ratio:>12.2f}")
    for name in (_FRESH, _KEPT, _NEXT):
        spent_s = statistics.median(each[name] for each in found[here])
        print(f"{_CALL_S / spent_s:.0f} x real time here: {name.removesuffix(', CPU s')}")
    return 0


def measured(checkout: Path) -> dict[str, float]:
    """Return what one checkout takes, CPU seconds and megabytes."""
    binaries = checkout / ".venv" / "bin"
    with tempfile.TemporaryDirectory() as empty:
        (fresh_s,) = worked(checkout, "first", RTCPROBE_CACHE=empty)
    call_s, again_s, model_s, join_s = worked(checkout)
    run_s, run_mb = process([binaries / "rtcprobe", "run", "1v1-social", "-q"], checkout)
    scenarios_s, _ = process([binaries / "rtcprobe", "scenarios"], checkout)
    return {
        _FRESH: fresh_s,
        _KEPT: call_s,
        _NEXT: again_s,
        "engine model, CPU s": model_s,
        "join, CPU ms": join_s * 1e3,
        "run 1v1-social -q, CPU s": run_s,
        "run 1v1-social -q, peak MB": run_mb,
        "scenarios, CPU s": scenarios_s,
    }


def worked(checkout: Path, *asked: str, **environment: str) -> list[float]:
    """Return what ``_WORK`` prints in a process of ``checkout``."""
    command: list[str | Path] = [checkout / ".venv" / "bin" / "python", "-c", _WORK, *asked]
    done = subprocess.run(
        command, cwd=checkout, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return [float(figure) for figure in done.stdout.split()]


def process(command: Sequence[str | Path], folder: Path) -> tuple[float, float]:
    """Run ``command`` in ``folder``; return its CPU seconds and its peak memory in MB."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):  # a missed budget is a measurement
        raise SystemExit(f"{' '.join(map(str, command))} in {folder} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _MEGABYTE


if __name__ == "__main__":
    sys.exit(main())
