"""Our NetEQ beside a real receiver, on calls it logged: what its ``getStats`` said, and ours on the same packets.

Usage: python benchmarks/hear_truth.py DIR

DIR holds, for each call NAME: ``NAME.rtc-event.log`` (Chromium's event log), ``NAME.getstats.json.gz`` (inbound-rtp of
the stream once a second, as a list), and where the sound is known ``NAME.frames.gz`` (the Opus frames spoken: 16 bits
big endian of length, then the frame; frame i has RTP time first + 960 i).

Both are compared between the first poll five seconds after the first packet and the last poll before the last packet,
ours pulled at the logged instants. With the frames it is the same sound; without, six replays over other sounds, whose
range is printed and whose median is judged more widely, since what a receiver stretches depends on what it plays.
Exit code 1 when a call is outside: delay within 4 % (8 ms where the receiver itself was late, or the sound is not
known), concealed share within 2 % of it or 0.15 points, target within 4 ms.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.capture import Capture, Stream, read_capture
from rtcprobe.capture.hearing import Plan, plan_of, play
from rtcprobe.capture.programme import PROGRAMME_S, PROGRAMMES, ProgrammeDecoder
from rtcprobe.playout.base import Decoder

LATE_S = 0.050
Counters = Mapping[str, float]


def frames_of(path: Path) -> list[bytes]:
    """Return the frames a file holds."""
    raw, at, found = gzip.decompress(path.read_bytes()), 0, []
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 2], "big")
        found.append(raw[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def figures(first: Counters, last: Counters) -> tuple[float, float, float, float]:
    """Return delay ms, target ms, concealed share and events between two polls."""
    emitted = last["jitterBufferEmittedCount"] - first["jitterBufferEmittedCount"]
    delay, target = (last[name] - first[name] for name in ("jitterBufferDelay", "jitterBufferTargetDelay"))
    concealed, total = (last[name] - first[name] for name in ("concealedSamples", "totalSamplesReceived"))
    events = last["concealmentEvents"] - first["concealmentEvents"]
    return delay / emitted * 1e3, target / emitted * 1e3, concealed / total, events


def compared(capture: Capture, stream: Stream, polls: Sequence[Mapping[str, Any]], frames: list[bytes] | None) -> bool:
    """Print a call, and return whether it is inside."""
    assert capture.begun_unix_s is not None
    assert stream.pulls_s is not None
    packets = stream.packets
    plan = plan_of(packets, 48_000, encrypted=True)
    at_s = np.array([poll["timestamp"] / 1e3 - capture.begun_unix_s for poll in polls])
    chosen = np.flatnonzero((at_s >= packets.at_s[0] + 5.0) & (at_s <= packets.at_s[-1]))
    marks_s = at_s[chosen]
    theirs = figures(polls[int(chosen[0])], polls[int(chosen[-1])])
    late_s = float(np.diff(stream.pulls_s).max()) - 0.010
    runs = [
        figures(played.seconds[0], played.seconds[-1])
        for plan_, decoder in ways(plan, frames)
        for played in (play(plan_, stream.pulls_s, decoder, stream.wishes, marks_s=marks_s),)
    ]
    ours = np.median(np.array(runs), axis=0)
    spread = "" if len(runs) == 1 else f" [{min(run[0] for run in runs):.1f} to {max(run[0] for run in runs):.1f}]"
    print(
        f"  delay {ours[0]:.2f} ms{spread}, real {theirs[0]:.2f}; target {ours[1]:.2f}, real {theirs[1]:.2f}; "
        f"concealed {ours[2]:.3%}, real {theirs[2]:.3%}; events {ours[3]:g}, real {theirs[3]:g}; "
        f"{'same sound' if frames else 'other sounds'}, receiver up to {late_s * 1e3:.0f} ms late"
    )
    allowed = max(0.04 * theirs[0], 8.0 if late_s > LATE_S or not frames else 0.0)
    return bool(
        abs(ours[0] - theirs[0]) <= allowed
        and abs(ours[1] - theirs[1]) <= 4.0
        and abs(ours[2] - theirs[2]) <= max(0.02 * theirs[2], 0.0015)
    )


def ways(plan: Plan, frames: list[bytes] | None) -> list[tuple[Plan, Decoder]]:
    """Return what to play: the real sound where it is known, else other sounds."""
    if frames is not None:
        stamps = plan.timestamp // 960
        return [(replace(plan, payloads=tuple(frames[at] for at in stamps.tolist())), OpusDecoder())]
    return [(plan, ProgrammeDecoder(name, PROGRAMME_S * part / 3)) for name in PROGRAMMES for part in range(3)]


def main() -> int:
    """Compare every call of a folder; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    outside, seen = [], 0
    for log in sorted(folder.glob("*.rtc-event.log")):
        stats = log.with_name(log.name.replace(".rtc-event.log", ".getstats.json.gz"))
        if not stats.exists():
            continue
        polls = json.loads(gzip.decompress(stats.read_bytes()))
        capture = read_capture(log)
        stream = next(each for each in capture.streams if each.ssrc == polls[0]["ssrc"])
        known = log.with_name(log.name.replace(".rtc-event.log", ".frames.gz"))
        name = log.name.removesuffix(".rtc-event.log")
        for frames in [frames_of(known), None] if known.exists() else [None]:
            print(name)
            seen += 1
            if not compared(capture, stream, polls, frames):
                outside.append(name)
    if not seen:
        print(f"no calls in {folder}: it needs NAME.rtc-event.log beside NAME.getstats.json.gz", file=sys.stderr)
        return 2
    print(f"outside: {', '.join(outside)}" if outside else "every call holds")
    return int(bool(outside))


if __name__ == "__main__":
    sys.exit(main())
