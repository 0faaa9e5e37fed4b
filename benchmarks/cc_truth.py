"""Our sender beside a real one: recorded calls over a line that changes, and the model's over the same line.

Usage: python benchmarks/cc_truth.py DIR [--seeds N] [--jobs N]

DIR holds recordings: ``NAME.csv`` (a row a second: t_s, link_kbps, available_kbps, offered_ip_kbps, drop_queue,
drop_loss, offered_packets, link_delay_max_ms, freezes, ...). NAME is ``KIND-N``; recordings of one kind are pooled.
The line is read from the recording: its rates and when they change from link_kbps, its random loss from drop_loss; the
delay is 40 ms each way and the queue 200 ms. So is what was said, from audio_send_kbps. A kind whose name ends in
``def`` had no maximum set (else 4 Mb/s). Nothing else is known of any.

A machine that ran both browsers stood still now and then, for up to half a second: neither end sent anything, not even
voice. The model stands still then as well. But whether the receiver's socket was read meanwhile is not in a recording,
and the estimate depends on it: a recording's estimate is left out of the range where its machine stood still for more
than 0.25 s within the figure's window or in the 5 s before it. Counts (drops, freezes) are judged all the same.

How it judges: the median over N seeds lies inside the recordings' range of a figure, widened by 10 %; freezes by 2,
queue drops where the recordings saw none by 5, and instants by the second in which statistics are sampled.
Exit code 0 when every figure is inside, 1 when one is OUTSIDE, 2 when DIR holds no recordings.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from statistics import fmean, median

from rtcprobe.adaptation import Call, Course, Settings, controller_of
from rtcprobe.link import parse_link

DELAY, LIMIT, MAX_BPS = "40ms", "200ms", 4e6
MARGIN, FREEZES, DROPS, SECONDS = 0.10, 2.0, 5.0, 1.0
LEAST_LOSS = 0.002
STALL_S = 0.08
STILL_S, BEFORE_S = 0.25, 5.0
STEADY_KBPS = 0.02
"""A rate that moves by less from second to second is one rate."""

Series = dict[str, list[float]]
Figures = dict[str, float | None]


VOICE_HEADERS_BYTES, VOICE_HZ = 58, 50.0
"""IP, UDP, RTP with extensions, SRTP's tag; packets a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a recording's line did: (second, kb/s) from which each rate holds, loss, length; what was said."""

    rates: tuple[tuple[float, float], ...]
    loss: float
    length_s: float
    voice_bytes: int

    def written(self) -> str:
        """Return the link line."""
        changes = "".join(f" at {at_s:g}s rate {kbps:g}kbit" for at_s, kbps in self.rates[1:])
        loss = f" loss {100 * self.loss:.2f}%" if self.loss else ""
        return f"delay {DELAY}{loss} rate {self.rates[0][1]:g}kbit limit {LIMIT}{changes}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare every kind of a folder; print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    files = sorted(path for path in options.folder.glob("*-*.csv"))
    if not files:
        print(f"no recordings in {options.folder}: it needs a NAME-N.csv each, a row a second", file=sys.stderr)
        return 2
    outside = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for kind, group in groupby(files, lambda path: path.stem.rpartition("-")[0]):
            paths = list(group)
            recordings = [read(path) for path in paths]
            line = line_of(recordings)
            top_bps = None if kind.endswith("def") else MAX_BPS
            theirs = [figures(recording, line) for recording in recordings]
            stalls = [stalls_of(path.with_suffix(".packets.csv.gz")) for path in paths]
            tasks = [(line, top_bps, stalls[seed % len(stalls)], seed) for seed in range(options.seeds)]
            ours = list(pool.map(simulated, tasks, chunksize=max(1, options.seeds // options.jobs)))
            print(f"\n{kind}: {len(theirs)} recordings, ours {options.seeds} seeds; {line.written()[:110]}")
            for path, spans in zip(paths, stalls, strict=True):
                if spans:
                    said = ", ".join(f"{begin_s:.1f}-{end_s:.1f}" for begin_s, end_s in spans)
                    print(f"  {path.stem}: its machine stood still at {said} s, and so does the model's")
            within = windows(line)
            for name in theirs[0]:
                still = [
                    stood_still(each, span_of(name, within.get(name), figure[name]))
                    for each, figure in zip(stalls, theirs, strict=True)
                ]
                kept = [each for each, out in zip(theirs, still, strict=True) if not out]
                if not kept:
                    print(f"  {'-':<8}{name:<38}not judged: the machine stood still then or just before")
                    continue
                outside += not judge(name, kept, ours, left_out=sum(still))
    print(f"\n{outside} OUTSIDE" if outside else "\nevery figure is inside")
    return int(outside > 0)


def read(path: Path) -> Series:
    """Return the columns of one recording; what is empty is zero."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = ("t_s", "link_kbps", "available_kbps", "drop_queue", "drop_loss", "offered_packets", "link_delay_max_ms",
              "freezes", "offered_ip_kbps", "audio_send_kbps")  # fmt: skip
    return {name: [float(row.get(name) or 0) for row in rows] for name in wanted}


def line_of(recordings: list[Series]) -> Line:
    """Return the line that the recordings of a kind share."""
    first = recordings[0]
    rates: list[tuple[float, float]] = []
    for at_s, kbps in zip(first["t_s"], first["link_kbps"], strict=True):
        if not rates or abs(kbps - rates[-1][1]) > STEADY_KBPS * rates[-1][1]:
            # A row is of the second before its sample: the rate began with that second.
            rates.append((0.0 if not rates else float(round(at_s - 1)), kbps))
    lost = sum(sum(each["drop_loss"]) for each in recordings)
    share = lost / max(1.0, sum(sum(each["offered_packets"]) for each in recordings))
    length_s = float(round(first["t_s"][-1]))
    voice_kbps = fmean(kbps for each in recordings for kbps in each["audio_send_kbps"] if kbps)
    return Line(
        rates=tuple(rates),
        loss=round(share, 3) if share > LEAST_LOSS else 0.0,
        length_s=length_s,
        voice_bytes=round(VOICE_HEADERS_BYTES + 1e3 * voice_kbps / 8 / VOICE_HZ),
    )


def stalls_of(path: Path) -> tuple[tuple[float, float], ...]:
    """Return when neither end sent anything for long: both send voice each 20 ms, whatever the line does."""
    if not path.exists():
        return ()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        sent_s = sorted(float(row["t_s"]) for row in csv.DictReader(file))
    begun_s = sent_s[0] + 2.0  # the call is being set up before
    return tuple(gap for gap in pairwise(sent_s) if gap[0] > begun_s and gap[1] - gap[0] >= STALL_S)


def simulated(task: tuple[Line, float | None, tuple[tuple[float, float], ...], int]) -> Figures:
    """Return the figures of one call of the model."""
    line, max_bps, stalls, seed = task
    settings = Settings(
        forward=parse_link(line.written()),
        back=parse_link(f"delay {DELAY}"),
        length_s=line.length_s,
        max_bps=max_bps,
        seed=seed,
        stalls=stalls,
        voice_bytes=line.voice_bytes,
    )
    return figures(as_series(Call(settings, controller_of("gcc")).run()), line)


def as_series(course: Course) -> Series:
    """Return a course as a recording has it."""
    longest_ms = [0.0] * len(course.target_bps)
    for sent_s, delay_s in course.delays:
        second = int(sent_s)
        if second < len(longest_ms):
            longest_ms[second] = max(longest_ms[second], 1e3 * delay_s)
    return {
        "t_s": [float(second + 1) for second in range(len(course.target_bps))],
        "available_kbps": [bps / 1e3 for bps in course.target_bps],
        "offered_ip_kbps": [bps / 1e3 for bps in course.offered_bps],
        "drop_queue": [float(each) for each in course.drops],
        "link_delay_max_ms": longest_ms,
        "freezes": [float(each) for each in course.freezes],
    }


def figures(series: Series, line: Line) -> Figures:
    """Return what is compared; None where it never came to be."""
    available = list(zip(series["t_s"], series["available_kbps"], strict=True))
    least_s, least_kbps = min(line.rates, key=lambda rate: rate[1])
    steps = len(line.rates) > 1
    gradual = len(line.rates) > 4
    out: Figures = {"peak estimate before 20 s": max(kbps for at_s, kbps in available if at_s < 20)}
    if gradual:
        return out | {name: mean(available, *span) for name, span in ramp_spans(line).items()}
    if not steps:
        out["estimate 10-30 s"] = mean(available, 10, 30)
        out["estimate 30 s to the end"] = mean(available, 30, line.length_s + 1)
    else:
        back_s = next((at_s for at_s, kbps in line.rates if at_s > least_s and kbps > least_kbps), line.length_s)
        out["estimate, last 10 s before the step"] = mean(available, least_s - 10, least_s)
        out["s to an estimate below the line"] = after(available, least_s, lambda kbps: kbps <= least_kbps)
        out["queue drops in 5 s"] = total(series, "drop_queue", least_s, least_s + 5)
        out["longest delay ms"] = max(series["link_delay_max_ms"])
        out["estimate, last 10 s of the dip"] = mean(available, back_s - 10, back_s)
        out["s from the return to 1.2 Mb/s"] = after(available, back_s, lambda kbps: kbps >= 1200)
        out["s from the return to 2.0 Mb/s"] = after(available, back_s, lambda kbps: kbps >= 2000)
        out["estimate, last 10 s"] = mean(available, line.length_s - 10, line.length_s + 1)
    out["freezes"] = sum(series["freezes"])
    return out


def windows(line: Line) -> dict[str, tuple[float, float]]:
    """Return when the estimates are from that a figure is made of."""
    if len(line.rates) > 4:
        return ramp_spans(line)
    least_s, least_kbps = min(line.rates, key=lambda rate: rate[1])
    back_s = next((at_s for at_s, kbps in line.rates if at_s > least_s and kbps > least_kbps), line.length_s)
    return {
        "estimate 10-30 s": (10.0, 30.0),
        "estimate 30 s to the end": (30.0, line.length_s),
        "estimate, last 10 s before the step": (least_s - 10, least_s),
        "estimate, last 10 s of the dip": (back_s - 10, back_s),
        "s from the return to 1.2 Mb/s": (back_s, line.length_s),
        "s from the return to 2.0 Mb/s": (back_s, line.length_s),
        "estimate, last 10 s": (line.length_s - 10, line.length_s),
    }


def span_of(name: str, span: tuple[float, float] | None, value: float | None) -> tuple[float, float] | None:
    """Return the window of a figure; one that says when something was reached ends there."""
    if span is None or value is None or not name.startswith("s "):
        return span
    return span[0], span[0] + value


def stood_still(stalls: Sequence[tuple[float, float]], span: tuple[float, float] | None) -> bool:
    """Return whether a recorded machine stood still for long within a span, or in the seconds before it."""
    if span is None:
        return False
    return sum(end_s - begin_s for begin_s, end_s in stalls if span[0] - BEFORE_S <= begin_s < span[1]) > STILL_S


def ramp_spans(line: Line) -> dict[str, tuple[float, float]]:
    """Return stretches of 5 s spread over a ramp, by their rate."""
    spans = {"estimate 10-15 s": (10.0, 15.0)}
    for begin_s in (25, 35, 45, 55, 70, 80, 95):
        if begin_s + 5 <= line.length_s:
            kbps = [rate for at_s, rate in line.rates if at_s <= begin_s + 2][-1]
            spans[f"estimate {begin_s}-{begin_s + 5} s, at {kbps:.0f}"] = (begin_s, begin_s + 5)
    if line.length_s >= 110:
        spans["estimate 103-110 s"] = (103.0, 110.0)
    return spans


def mean(available: list[tuple[float, float]], begin_s: float, end_s: float) -> float | None:
    """Return the mean of the samples in [begin, end)."""
    inside = [kbps for at_s, kbps in available if begin_s <= at_s < end_s]
    return fmean(inside) if inside else None


def total(series: Series, name: str, begin_s: float, end_s: float) -> float:
    """Return the sum over the rows of the seconds in [begin, end)."""
    return sum(each for at_s, each in zip(series["t_s"], series[name], strict=True) if begin_s < at_s - 0.5 <= end_s)


def after(available: list[tuple[float, float]], begin_s: float, holds: object) -> float | None:
    """Return how long after ``begin_s`` the first sample is that holds."""
    assert callable(holds)
    return next((at_s - begin_s for at_s, kbps in available if at_s > begin_s and holds(kbps)), None)


def judge(name: str, theirs: list[Figures], ours: list[Figures], *, left_out: int = 0) -> bool:
    """Print one figure; return whether ours lies inside."""
    real = [each[name] for each in theirs]
    mine = [each[name] for each in ours]
    known = [each for each in real if each is not None]
    reached = [each for each in mine if each is not None]
    ever = 2 * len(reached) > len(mine)
    said = "never" if not ever else f"{median(each if each is not None else float('inf') for each in mine):.1f}"
    spread = f"({min(reached):.1f} to {max(reached):.1f})" if reached else ""
    real_said = ", ".join("never" if each is None else f"{each:.1f}" for each in real)
    beside = f" ({left_out} left out: stood still)" if left_out else ""
    if not ever:
        inside = None in real
    elif not known:
        inside = False
    else:
        ours_is = median(each if each is not None else float("inf") for each in mine)
        slack = FREEZES if name == "freezes" else SECONDS if name.startswith("s ") else 0.0
        slack = DROPS if "drops" in name and max(known) == 0 else slack
        share = 0.0 if name == "freezes" else MARGIN
        inside = min(known) * (1 - share) - slack <= ours_is <= max(known) * (1 + share) + slack
        inside = inside or (None in real and ours_is >= max(known))
    print(f"  {'inside' if inside else 'OUTSIDE':<8}{name:<38}ours {said} {spread}; real {real_said}{beside}")
    return inside


if __name__ == "__main__":
    sys.exit(main())
