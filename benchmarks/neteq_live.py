"""A real libwebrtc measured here and now, then our NetEQ judged beside it: how a new libwebrtc is followed.

Usage: python benchmarks/neteq_live.py OUT_DIR [--receiver reactor|chromium] [--paths p01_const40,...] [--runs 3]
           [--seconds 70] [--at-once 1] [--traces DIR] [--no-judge]

Our peer sends noise at -55 dBFS with an 80 ms chirp every 500 ms (Opus, 32 kb/s mono, fullband, 20 ms) to a real
receiver over a real UDP socket of this machine, every datagram released by the arrival pattern of a named path. What
the receiver would play is recorded, and OUT_DIR gets it in the format ``benchmarks/neteq_truth.py`` reads, which then
judges our NetEQ by it. With ``--traces`` the delays are those of another such folder, so that two versions of
libwebrtc can be compared over the same arrivals; without, every run draws its own. Runs are added to those OUT_DIR
holds already, if they are of the same receiver.

Needs: ``uv pip install --group live`` (or pip 25.1: ``pip install --group live``); for Chromium the browser as well.

Paths (delays after a frame is complete):
    p01_const40      40 ms
    p03_u20          40 ms and uniform 0 to 20 ms
    p05_exp10_fifo   40 ms and exponential, mean 10 ms, order kept
    p07_stall200_5s  40 ms; every 5 s nothing passes for 200 ms
    p09_loss5        40 ms, 5 % lost, each alone
    p11_burst5x3     40 ms, 5 % lost in bursts of 3 on average (Gilbert)
    p12_step80       40 ms, then 120 ms, then 40 ms again (changes at 5/14 and 10/14 of the run)

What the instrument adds is measured in the same run: how late datagrams left, and how late blocks of sound were noted.
A run is invalid, and stays out of the index, when either exceeds 2 ms in its 99th percentile or a tick (10 ms) in that
of a thousand. It is made again, up to twice: give the machine less to do, or the right to real-time priority. Single
datagrams that were later still do no harm to the comparison: our NetEQ gets them as they left.
Exit code 0 when every path holds, 1 when one does not, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import live_call
import live_hearing
import live_receivers
import neteq_truth
import numpy as np
import numpy.typing as npt

from rtcprobe.errors import RtcprobeError

Array = npt.NDArray[np.float64]

LEAST_S = 0.040
FIRST_MARKER_S, MARKER_GAP_S = 0.080, 0.500
LATE_PERCENTILES = [99, 99.9, 100]
LATE_LIMITS_S = [0.002, 0.010, np.inf]
SIGNAL = "noise"
ATTEMPTS = 3  # at a run that is invalid
INDEX = [
    *("run", "path", "signal", "seed", "tick_phase_ms", "sent", "planned_lost", "markers"),
    *("m2e_p5_ms", "m2e_p50_ms", "m2e_p95_ms", "target_ms", "concealed_percent"),
    *("release_late_p99_ms", "pull_late_p99_ms", "receiver"),
]
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run to make."""

    folder: Path
    receiver: str
    path: str
    number: int
    seconds: float
    traces: Path | None = None

    @property
    def name(self) -> str:
        """Return the name its files begin with."""
        return f"{self.path}.{SIGNAL}.r{self.number}"


def constant(packets: int, _rng: np.random.Generator) -> Array:
    """40 ms."""
    return np.full(packets, LEAST_S)


def uniform(packets: int, rng: np.random.Generator) -> Array:
    """40 to 60 ms."""
    return LEAST_S + rng.uniform(0, 0.020, packets)


def exponential(packets: int, rng: np.random.Generator) -> Array:
    """40 ms and 10 ms on average, order kept."""
    sent_s = neteq_truth.PTIME_S * np.arange(packets)
    arrived_s = sent_s + LEAST_S + rng.exponential(0.010, packets)
    in_order_s: Array = np.maximum.accumulate(arrived_s)
    return in_order_s - sent_s


def stalls(packets: int, _rng: np.random.Generator) -> Array:
    """Return 40 ms; what is sent in the first 200 ms of each 5 s, but for the first 5 s, waits for their end."""
    sent_s = neteq_truth.PTIME_S * np.arange(packets)
    into_s = np.round(sent_s % 5.0, 9)
    return LEAST_S + np.where(sent_s >= 5.0, np.maximum(0.200 - into_s, 0), 0)


def losses(packets: int, rng: np.random.Generator) -> Array:
    """40 ms; one in twenty lost."""
    return np.where(rng.random(packets) < 0.05, np.nan, LEAST_S)


def bursts(packets: int, rng: np.random.Generator) -> Array:
    """40 ms; a chain of two states, a third of the lost followed by a received one, one in twenty lost."""
    leave, enter = 1 / 3, (1 / 3) * 0.05 / 0.95
    delays_s, lost = np.full(packets, LEAST_S), False
    for number, chance in enumerate(rng.random(packets)):
        lost = chance >= leave if lost else chance < enter
        if lost:
            delays_s[number] = np.nan
    return delays_s


def step(packets: int, _rng: np.random.Generator) -> Array:
    """40, 120 and 40 ms."""
    place = np.arange(packets) / packets
    return np.where((place >= 5 / 14) & (place < 10 / 14), 0.120, LEAST_S)


PATHS: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "p01_const40": constant,
    "p03_u20": uniform,
    "p05_exp10_fifo": exponential,
    "p07_stall200_5s": stalls,
    "p09_loss5": losses,
    "p11_burst5x3": bursts,
    "p12_step80": step,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, judge."""
    options = parse(arguments)
    existing = neteq_truth.rows(options.folder / "index.csv") if (options.folder / "index.csv").is_file() else []
    try:
        described = live_receivers.describe(options.receiver)
    except RtcprobeError as error:
        print(f"{error.message}: {error.hint}", file=sys.stderr)
        return 2
    if any(row.get("receiver") != described for row in existing):
        print(f"{options.folder} holds runs of another receiver than {described}: name a new folder", file=sys.stderr)
        return 2
    print(described, flush=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        Task(
            folder=options.folder,
            receiver=options.receiver,
            path=path,
            number=number + 1 + max((int(row["seed"]) for row in existing if row["path"] == path), default=0),
            seconds=options.seconds,
            traces=options.traces,
        )
        for number in range(options.runs)
        for path in options.paths
    ]
    measured = 0
    for _ in range(ATTEMPTS):
        invalid: list[Task] = []
        # A process a run: libwebrtc's threads of one never meet the next.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.at_once, mp_context=context, max_tasks_per_child=1) as pool:
            for task, (line, row) in zip(tasks, pool.map(measure, tasks), strict=True):
                print(line, flush=True)
                if row is None:
                    invalid.append(task)
                    continue
                measured += 1
                existing.append({**row, "receiver": described})
                write(options.folder / "index.csv", INDEX, ([row[key] for key in INDEX] for row in existing))
                (options.folder / "README.md").write_text(table(described, existing), encoding="utf-8")
        tasks = invalid
    if not measured:
        return 2
    print(flush=True)
    return neteq_truth.main([str(options.folder)]) if options.judge else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, the impossible refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--receiver", choices=["reactor", "chromium"], default="reactor")
    parser.add_argument("--paths", default=",".join(PATHS), help="names, or their beginnings, with commas between")
    parser.add_argument("--runs", type=int, default=3, help="of each path; runs of one path differ, and by much")
    parser.add_argument("--seconds", type=float, default=70.0, help="length of a run")
    parser.add_argument("--at-once", type=int, default=1, help="runs made at the same time")
    parser.add_argument("--traces", type=Path, help="a folder whose <path>.seed<k>.csv are used in turn")
    parser.add_argument("--no-judge", dest="judge", action="store_false", help="measure only")
    options = parser.parse_args(arguments)
    known: list[str] = []
    for wanted in options.paths.split(","):
        found = [name for name in PATHS if wanted and name.startswith(wanted)]
        if not found:
            parser.error(f"path {wanted!r} is unknown: use {', '.join(PATHS)}")
        known += [name for name in found if name not in known]
    options.paths = known
    if options.traces is not None and not all(any(options.traces.glob(f"{name}.seed*.csv")) for name in known):
        parser.error(f"{options.traces} holds no <path>.seed<k>.csv for some of {', '.join(known)}")
    if options.seconds < 10:
        parser.error(f"{options.seconds:g} s are too short: figures begin after 5 s, give 10 or more")
    if options.runs < 1 or options.at_once < 1:
        parser.error("give one run or more, one at once or more")
    return options


def measure(task: Task) -> tuple[str, Row | None]:
    """Make one run and write its files; return what is said of it, and its row (None: invalid)."""
    packets = round(task.seconds / neteq_truth.PTIME_S)
    spoken_s = tuple(float(at) for at in np.arange(FIRST_MARKER_S, task.seconds - MARKER_GAP_S + 0.1, MARKER_GAP_S))
    delays_s = planned(task, packets)
    frames = neteq_truth.programme(SIGNAL, 1000 + task.number, packets, spoken_s)  # judged over other noises
    live_call.hurry()
    try:
        call = live_call.call(live_receivers.make(task.receiver), frames, delays_s.tolist())
    except RtcprobeError as error:
        return f"{task.name}: {error.message}: {error.hint}", None
    if not call.blocks:
        return f"{task.name}: the receiver played nothing", None
    heard = live_hearing.on_grid(call.blocks)
    markers = live_hearing.markers(heard, spoken_s, LEAST_S + neteq_truth.PTIME_S)
    blocks = live_hearing.alignment(heard, live_hearing.decoded(frames, np.isfinite(delays_s)))
    record(task, delays_s, call, markers, blocks)
    return summarise(task, delays_s=delays_s, call=call, heard=heard, markers=markers, blocks=blocks)


def planned(task: Task, packets: int) -> Array:
    """Return the delay of each packet, NaN where it is lost: drawn, or of a trace that was written before."""
    if task.traces is None:
        return PATHS[task.path](packets, np.random.default_rng([task.number, 0x4C495645]))
    files = sorted(task.traces.glob(f"{task.path}.seed*.csv"))
    cells = [row["delay_ms"] for row in neteq_truth.rows(files[(task.number - 1) % len(files)])]
    trace_s = np.array([np.nan if cell == "lost" else float(cell) / 1e3 for cell in cells])
    return np.resize(trace_s, packets)


def summarise(
    task: Task,
    *,
    delays_s: Array,
    call: live_call.Call,
    heard: live_hearing.Heard,
    markers: list[tuple[float, float, float]],
    blocks: list[tuple[float, float, float, bool]],
) -> tuple[str, Row | None]:
    """Return what is said of a run, and its row (None: invalid)."""
    settled = [
        1e3 * (at - spoken)
        for spoken, at, score in markers
        if spoken >= neteq_truth.SETTLED_S and score >= neteq_truth.HEARD
    ]
    p5, p50, p95 = np.percentile(settled, [5, 50, 95]) if settled else (np.nan, np.nan, np.nan)
    before, after = call.settled, call.ended
    target_ms = 1e3 * (after.target_delay_s - before.target_delay_s) / max(after.emitted - before.emitted, 1)
    concealed = ""
    if after.concealed is not None and after.total:
        concealed = f"{100 * after.concealed / after.total:.2f}"
    unaligned = np.mean([np.isnan(delay_s) for _, delay_s, _, _ in blocks])
    released_s = np.percentile(call.lateness_s, LATE_PERCENTILES)
    pulled_s = np.percentile(heard.lateness_s, LATE_PERCENTILES)
    line = (
        f"{task.name}: m2e p5/p50/p95 {p5:.1f} / {p50:.1f} / {p95:.1f} ms, target {target_ms:.1f} ms, "
        f"{len(settled)} markers, {f'concealed {concealed} %, ' if concealed else ''}"
        f"unlike the decode {100 * unaligned:.2f} %; late p99 / p99.9 / max: release {late(released_s)}, "
        f"pull {late(pulled_s)} ms"
    )
    if np.any(np.maximum(released_s, pulled_s) > LATE_LIMITS_S):
        return f"{line}: INVALID, the machine was too busy", None
    figures = {"m2e_p5_ms": p5, "m2e_p50_ms": p50, "m2e_p95_ms": p95}
    return line, {
        "run": task.name,
        "path": task.path,
        "signal": SIGNAL,
        "seed": str(task.number),
        "tick_phase_ms": f"{1e3 * heard.phase_s(neteq_truth.SETTLED_S):.3f}",
        "sent": str(len(call.departures)),
        "planned_lost": str(int(np.isnan(delays_s).sum())),
        "markers": str(len(markers)),
        **{key: f"{value:.2f}" for key, value in figures.items()},
        "target_ms": f"{target_ms:.1f}",
        "concealed_percent": concealed,
        "release_late_p99_ms": f"{1e3 * released_s[0]:.3f}",
        "pull_late_p99_ms": f"{1e3 * pulled_s[0]:.3f}",
    }


def record(
    task: Task,
    delays_s: Array,
    call: live_call.Call,
    markers: list[tuple[float, float, float]],
    blocks: list[tuple[float, float, float, bool]],
) -> None:
    """Write the files of a run."""
    trace = (["lost" if np.isnan(delay_s) else round(1e3 * delay_s, 3)] for delay_s in delays_s.tolist())
    write(task.folder / f"{task.path}.seed{task.number}.csv", ["delay_ms"], trace)
    left = ([int(number), f"{1e3 * at:.3f}"] for number, at in call.departures)
    write(task.folder / f"{task.name}.departures.csv.gz", ["packet", "departure_ms"], left)
    heard = (
        [number, f"{spoken:.6f}", cell(at, 6), cell(1e3 * (at - spoken), 3), f"{score:.3f}"]
        for number, (spoken, at, score) in enumerate(markers)
    )
    write(task.folder / f"{task.name}.m2e.csv", ["marker", "spoken_s", "heard_s", "m2e_ms", "score"], heard)
    ticks = (
        [f"{at:.4f}", cell(1e3 * delay_s, 1), f"{match:.2f}", int(silent)] for at, delay_s, match, silent in blocks
    )
    write(task.folder / f"{task.name}.blocks.csv.gz", ["tick_s", "m2e_ms", "corr", "zero"], ticks)


def late(percentiles_s: Array) -> str:
    """Return them in milliseconds."""
    return " / ".join(f"{1e3 * value:.2f}" for value in percentiles_s)


def cell(value: float, digits: int) -> str:
    """Return a number, or nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def write(file: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, compressed where its name says so."""
    with gzip.open(file, "wt", newline="") if file.suffix == ".gz" else file.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def table(described: str, rows: list[Row]) -> str:
    """Return a README that says what the folder holds; a concealed share is stated where the receiver counts it."""
    lines = [
        "# What a real receiver did to known packet arrivals",
        "",
        f"Receiver: {described}. Written by `benchmarks/neteq_live.py`; the tick phase is the median after 5 s.",
        "",
        "| path | runs | m2e p50, ms | target, ms | concealed % |",
        "|---|---|---|---|---|",
    ]
    for path in dict.fromkeys(row["path"] for row in rows):
        own = [row for row in rows if row["path"] == path]
        p50 = sorted(float(row["m2e_p50_ms"]) for row in own)
        target = np.mean([float(row["target_ms"]) for row in own])
        shares = [float(row["concealed_percent"]) for row in own if row["concealed_percent"]]
        concealed = f"{np.mean(shares):.2f}" if shares else "–"
        lines.append(f"| {path} | {len(own)} | {p50[0]:.1f}–{p50[-1]:.1f} | {target:.1f} | {concealed} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
