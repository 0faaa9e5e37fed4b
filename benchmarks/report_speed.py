"""How long the HTML report of an hour-long call takes, and how large it is: ``python benchmarks/report_speed.py``.

The first page of a process pays for importing matplotlib and Jinja and for compiling templates; the second is what a
server pays. Exit code 1 when the first takes 2 s of CPU or more, or the page 1 MB.
"""

import sys
import time

import numpy as np

from rtcprobe.result import Account, Join, Joins, Missed, Playout, Result, Sample, TargetSteps
from rtcprobe.verdict import judge, parse_budget
from rtcprobe.ways import BOTH_WAYS, Way

MARKERS = 7_200  # two a second for an hour
MOST_S = 2.0
MOST_BYTES = 1_000_000
PHASES = {"signaling": 0.18, "answer": 0.1, "ice": 0.09, "dtls": 0.1, "media": 0.1, "playout": 0.03}


def ear(seed: int, way: Way) -> Account:
    """Return an hour of one direction: delays that wander, 1 % of markers lost, a target that moves every 5 s."""
    rng = np.random.default_rng(seed)
    delays = 0.150 + 0.004 * np.sin(np.arange(MARKERS) / 300) + 0.002 * rng.standard_normal(MARKERS)
    lost = set(rng.choice(MARKERS, MARKERS // 100, replace=False).tolist())
    samples = tuple(
        Sample(marker=i, spoken_s=1 + i / 2, heard_s=1 + i / 2 + delay, delay_s=delay, correlation=0.98)
        for i, delay in enumerate(delays.tolist())
        if i not in lost
    )
    since = np.arange(0.0, 3600.0, 5.0)
    return Account(
        kind="mouth_to_ear",
        way=way,
        scheduled=MARKERS,
        heard=len(samples),
        rejected=0,
        lost=len(lost),
        samples=samples,
        missed=tuple(Missed(marker=i, spoken_s=1 + i / 2, fate="lost") for i in sorted(lost)),
        stages={"network_min": 0.1, "jitter_buffer": 0.05},
        playout=Playout(
            policy="neteq",
            target_steps=TargetSteps(
                since_s=tuple(since.tolist()),
                target_delay_s=tuple((0.02 * rng.integers(2, 5, len(since))).tolist()),
            ),
        ),
    )


def hour() -> Result:
    """Return an hour-long call, judged."""
    total_s = sum(PHASES.values())
    attempts = tuple(
        Join(
            party="caller",
            round=i,
            marks={"first_audio": total_s + i / 1e3},
            phases={**PHASES, "playout": 0.03 + i / 1e3},
        )
        for i in range(20)
    )
    ears = tuple(ear(seed, way) for seed, way in zip((1, 2), BOTH_WAYS, strict=True))
    result = Result(scenario="an-hour", seed=1, clock="virtual", join=Joins(attempts=attempts), accounts=ears)
    return judge(result, [parse_budget("mouth_to_ear p95 < 200ms"), parse_budget("join.first_audio p95 < 1s")])


def main() -> int:
    """Render it twice."""
    result = hour()
    spent: list[tuple[float, float]] = []
    page = ""
    for _ in range(2):
        begun, used = time.perf_counter(), time.process_time()
        from rtcprobe.report.html import render_report  # noqa: PLC0415 - the import is part of what is measured

        page = render_report([result])
        spent.append((time.perf_counter() - begun, time.process_time() - used))
    size = len(page.encode())
    for name, (took_s, cpu_s) in zip(("first page, imports included", "second page"), spent, strict=True):
        print(f"{name:<30}{took_s:6.2f} s, {cpu_s:.2f} s of CPU")
    print(f"{'size':<30}{size / 1e3:6.0f} kB")
    return int(spent[0][1] >= MOST_S or size >= MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
