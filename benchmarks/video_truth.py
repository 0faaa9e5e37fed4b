"""Our video receiver beside real ones: the same packets at the same instants, and when each frame was shown.

Usage: python benchmarks/video_truth.py DIR [--jobs N]

DIR holds runs of real receivers, each of ``<run>.meta.json`` (receiver ``reactor``, a native libwebrtc, or
``chromium``) with ``packets``, ``frames``, ``renders`` and ``stats`` beside it (``.csv.gz``; the README.md of such a
folder says what the columns mean), and ``golden/``, vectors recorded from libwebrtc's own classes. Every run found is
replayed, whatever its pattern; nothing is known of any. ``lowlat`` in a name: the application asked for a playout
delay of 0. ``audio±N``: audio was sent too, N ms later than the video (+) or earlier, and the two were synchronized.

How it judges:
    - golden vectors: within 1 µs.
    - native libwebrtc: the difference of each frame's instant from the real one's has an rms of at most 3 ms and a
      median of at most 1.5 ms. Nothing is fitted.
    - Chromium: its metronome's phase is fitted to the run; then the median absolute difference is at most 0.5 ms.
      Frames a whole tick (15.6 ms) off are counted and printed.
    - freezes: the receiver's own freezeCount is what our rule counts on the instants it showed frames, durations within
      5 ms; and what it counts on ours, within 5 ms and a tick of the metronome a freeze.
    - what it asked for: as many NACKs and key frames (in feedback.csv.gz, where packets were lost).
    - lip sync: each correction within 5 ms of the recorded one, and none where it made none. The audio's delay is not
      in a recording but for its jitter buffer: half a packet and the 5 ms of NetEQ's overlap are added to that. And the
      same once more from the arrivals alone: sound through NetEQ and picture through its receiver, side by side, each
      corrected as in a call (``rtcprobe.hearing.lips``), the n-th correction beside the n-th.
Exit code 0 when everything holds, 1 when something does not, 2 when DIR holds no runs.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.hearing.lips import LipSync
from rtcprobe.hearing.playing import play
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.frames import (
    FrameReceiver,
    Freezes,
    LibwebrtcReceiver,
    Synchronization,
    VideoPacket,
    make_receiver,
)
from rtcprobe.playout.frames.extrapolator import Extrapolator
from rtcprobe.playout.frames.jitter import JitterEstimator, SizeDelayFilter
from rtcprobe.playout.frames.rtt import RoundTrips
from rtcprobe.playout.frames.timers import TICK_US
from rtcprobe.playout.frames.timing import DecodeTimes, Timing
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.recording import Agreed, Came, SenderReport

Rows = list[dict[str, str]]
Line = tuple[str, bool | None]
"""What is said, and whether it holds (None: not judged)."""

ZERO_US = 1_000_000_000  # where a run's zero lies on our clock
IDLE_US = 500_000  # a receiver is there before the first packet
AFTER_US = 3_000_000
RTX_BYTES = 2  # the original number before a resent payload (RFC 4588 §4)
GOLDEN_US, RMS_MS, MEDIAN_MS, DEVIATION_MS, FREEZE_MS, SYNC_MS = 1, 3.0, 1.5, 0.5, 5.0, 5.0
HIT_MS = 5.0
RELEASED_TO_OUT_US = 760  # decoding and a hop of threads
SYNC_DEAD_ZONE_MS = 30
SHOWING_MS = 11  # getStats' target leaves showing (10) and decoding (1) out
SOUND_PENDING_MS = 15.0
DRIVER_S = 0.015  # what the recorded receiver's sound driver says it takes: fitted once, to all corrections of a run
BASE_S, PACKET_S = 0.040, 0.020  # of the patterns; of a packet of sound
VIDEO_HZ = 90_000
SILENCE = bytes([0x78, 0xFF, 0xFE])  # 20 ms of Opus


def rows_of(path: Path) -> Rows:
    """Return the rows of a table, gzipped or not."""
    raw = path.read_bytes()
    return list(csv.DictReader((gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().splitlines()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One recorded run: packets as they came, and the instants (s) its frames were shown at, by RTP time."""

    name: str
    receiver: str
    arrivals: Sequence[tuple[int, VideoPacket]]
    shown_s: Mapping[int, float]
    stats: Rows
    nacked: int | None
    key_frames_asked: int | None
    delay_ms: float


def load(folder: Path, name: str) -> Run:
    """Return the run of that name."""
    tables = {each: rows_of(folder / f"{name}.{each}.csv.gz") for each in ("packets", "frames", "renders", "stats")}
    meta = json.loads((folder / f"{name}.meta.json").read_text())
    packets = tables["packets"]
    timestamps = {int(row["frame"]): int(row["rtp_timestamp"]) for row in packets if row["frame"]}
    feedback = folder / f"{name}.feedback.csv.gz"
    asked = [row["what"] for row in rows_of(feedback)] if feedback.exists() else None
    sent = [row for row in packets if row["arrived_s"] and row["rtx"] == "0"]
    return Run(
        name=name,
        receiver=meta["receiver"],
        arrivals=sorted(_arrivals(packets, tables["frames"], "h264" in name), key=lambda each: each[0]),
        shown_s={timestamps[int(row["frame"])]: float(row["at_s"]) for row in tables["renders"]},
        stats=tables["stats"],
        nacked=None if asked is None else sum(len(what.split()) - 1 for what in asked if what.startswith("NACK")),
        key_frames_asked=None if asked is None else asked.count("PLI"),
        delay_ms=float(np.median([float(row["arrived_s"]) - float(row["sent_s"]) for row in sent])) * 1e3,
    )


def _arrivals(packets: Rows, frames: Rows, bare: bool) -> Iterator[tuple[int, VideoPacket]]:
    """Give each packet that came, with its instant; ``bare``: where a frame begins is not told (H.264)."""
    of_frame: dict[int, Rows] = {}
    for row in packets:
        if row["rtx"] == "0":
            of_frame.setdefault(int(row["frame"]), []).append(row)
    size = {int(row["frame"]): int(row["bytes"]) for row in frames}
    keys = {int(row["frame"]): row["key"] == "1" for row in frames}
    extra = min((sum(int(row["bytes"]) for row in rows) - size[frame]) // len(rows) for frame, rows in of_frame.items())
    by_timestamp = {int(rows[0]["rtp_timestamp"]): (frame, rows) for frame, rows in of_frame.items()}
    resent: dict[str, int] = {}
    for row in packets:
        frame, rows = by_timestamp[int(row["rtp_timestamp"])]
        original = row if row["rtx"] == "0" else _original(row, rows, resent)
        if row["arrived_s"]:
            yield (
                ZERO_US + round(float(row["arrived_s"]) * 1e6),
                VideoPacket(
                    sequence=int(original["seq"]),
                    timestamp=int(row["rtp_timestamp"]),
                    marker=original["marker_bit"] == "1",
                    size_bytes=int(original["bytes"]) - extra,
                    begins=None if bare else original is rows[0],
                    key=keys[frame],
                ),
            )


def _original(row: Mapping[str, str], rows: Rows, resent: dict[str, int]) -> dict[str, str]:
    """Return the lost packet that ``row`` is a copy of: of its size, and the least often resent so far."""
    size = int(row["bytes"]) - RTX_BYTES
    alike = [each for each in rows if int(each["bytes"]) == size and each["marker_bit"] == row["marker_bit"]]
    lost = [each for each in alike if not each["arrived_s"]] or alike or rows
    chosen = min(lost, key=lambda each: resent.get(each["seq"], 0))
    resent[chosen["seq"]] = resent.get(chosen["seq"], 0) + 1
    return chosen


def replay(run: Run, policy: str, phase_us: int = 0, wishes: Sequence[tuple[int, int]] = ()) -> FrameReceiver:
    """Return a fresh receiver that got all packets of a run; ``wishes`` are (µs, least playout delay in µs)."""
    playout_us = (0, 0) if "lowlat" in run.name else (0, 10_000_000)
    receiver = make_receiver(policy, start_us=ZERO_US - IDLE_US, phase_us=phase_us, playout_us=playout_us)
    coming = list(wishes)
    for at_us, packet in run.arrivals:
        while coming and coming[0][0] <= at_us:
            receiver.wish(coming.pop(0)[1])
        receiver.insert_packet(packet, at_us)
    receiver.advance(run.arrivals[-1][0] + AFTER_US)
    return receiver


def differences_ms(run: Run, receiver: FrameReceiver) -> npt.NDArray[np.float64]:
    """Return ours less theirs, of each frame that both showed."""
    return np.array(
        [
            (each.at_us - ZERO_US) / 1e3 - run.shown_s[each.frame.timestamp] * 1e3
            for each in receiver.shown
            if each.frame.timestamp in run.shown_s
        ]
    )


def fitted(run: Run) -> FrameReceiver:
    """Return Chromium's receiver at the phase of metronome that fits its run best."""
    out_us = np.array([round(at_s * 1e6) for at_s in run.shown_s.values()]) + ZERO_US - RELEASED_TO_OUT_US
    turns = np.exp(2j * np.pi * out_us / TICK_US)
    guess_us = round(float(np.angle(turns.mean())) / (2 * np.pi) * TICK_US)
    best: tuple[float, FrameReceiver] | None = None
    for step_us in range(-800, 801, 200):
        receiver = replay(run, "chromium", (guess_us + step_us) % TICK_US)
        deviation = float(np.median(np.abs(differences_ms(run, receiver))))
        if best is None or deviation < best[0]:
            best = deviation, receiver
    assert best is not None
    return best[1]


def judged(run: Run) -> list[Line]:
    """Return what is said of a run."""
    sync = re.search(r"audio([+-]\d+)ms", run.name)
    lines: list[Line] = []
    if sync is not None:
        lines += lip_sync(run, float(sync[1]))
        lines += played_beside(run, float(sync[1]))
        wishes = recorded_wishes(run) if run.receiver == "reactor" else []
    else:
        wishes = []
    native = run.receiver == "reactor"
    receiver = replay(run, "libwebrtc", wishes=wishes) if native else fitted(run)
    apart = differences_ms(run, receiver)
    p5, p50, p95 = np.percentile(apart, (5, 50, 95))
    rms = float(np.sqrt(np.mean(apart**2)))
    off = float(np.mean(np.abs(apart) > HIT_MS))
    said = (
        f"{len(apart)} of {len(run.shown_s)} frames, ours − theirs p5/p50/p95 {p5:+.2f} / {p50:+.2f} / {p95:+.2f} ms, "
        f"rms {rms:.2f}, {off:.1%} more than {HIT_MS:g} ms off"
    )
    lines.append((said, None))
    lines.append((f"frames shown: ours {len(receiver.shown)}, theirs {len(run.shown_s)}", _nearly(receiver, run)))
    if native and not wishes:
        lines += [(f"rms {rms:.2f} ms ≤ {RMS_MS:g}", rms <= RMS_MS)]
        lines += [(f"|median| {abs(p50):.2f} ms ≤ {MEDIAN_MS:g}", bool(abs(p50) <= MEDIAN_MS))]
    elif not native:
        deviation = float(np.median(np.abs(apart)))
        lines.append((f"median absolute difference {deviation:.2f} ms ≤ {DEVIATION_MS:g}", deviation <= DEVIATION_MS))
    lines += freezes(run, receiver)
    if run.nacked:
        asked = sum(len(each.sequences) for each in receiver.requests)
        lines.append((f"packets asked for again: ours {asked}, theirs {run.nacked}", None))
        lines.append((f"key frames asked for: ours {receiver.counters.plis}, theirs {run.key_frames_asked}", None))
    return lines


def _nearly(receiver: FrameReceiver, run: Run) -> bool:
    return abs(len(receiver.shown) - len(run.shown_s)) <= max(2, len(run.shown_s) // 100)


def freezes(run: Run, receiver: FrameReceiver) -> list[Line]:
    """Compare freezes with what the receiver said at last; nothing where it did not (a native one does not)."""
    last = run.stats[-1]
    if not last.get("freezeCount"):
        return []
    count, total_ms = int(float(last["freezeCount"])), float(last["totalFreezesDuration"]) * 1e3
    on_theirs = Freezes()
    for at_s in sorted(run.shown_s.values()):
        on_theirs.shown(round(at_s * 1e6))
    lines: list[Line] = []
    tick_ms = TICK_US / 1000 * count
    for whose, found, allowed_ms in (
        ("its frames", on_theirs, FREEZE_MS),
        ("ours", receiver.counters.freezes, FREEZE_MS + tick_ms),
    ):
        held = found.count == count and abs(found.total_ms - total_ms) <= allowed_ms
        said = f"freezes counted on {whose}: {found.count}, {found.total_ms} ms; its own {count}, {total_ms:.0f} ms"
        lines.append((said, held))
    return lines


def levels(run: Run, kind: str) -> list[tuple[float, float, float]]:
    """Return (s, target ms, jitter buffer ms) of each interval between polls, of ``video`` or ``audio``."""
    polls = [row for row in run.stats if row["kind"].lower().endswith(kind)]
    found = []
    for early, late in pairwise(polls):
        count, target, waited = (
            float(late[name]) - float(early[name])
            for name in ("jitter_buffer_emitted_count", "jitter_buffer_target_delay_s", "jitter_buffer_delay_s")
        )
        if count > 0:
            found.append((float(late["at_s"]), target / count * 1e3, waited / count * 1e3))
    return found


def corrections(run: Run, kind: str) -> list[tuple[float, int]]:
    """Return (s, least delay in ms) of each change that synchronization made, read off the target of each poll."""
    extra = SHOWING_MS if kind == "video" else 0
    found: list[tuple[float, int]] = []
    rows = levels(run, kind)
    for (_, before, _), (at_s, now, _), (_, after, _) in zip(rows, rows[1:], rows[2:], strict=False):
        known = found[-1][1] if found else round(before) + extra
        # A level is one when two polls agree on it; the poll in which it changed has both.
        if at_s > 2.0 and abs(now - after) < 0.7 and abs(round(now) + extra - known) >= SYNC_DEAD_ZONE_MS // 3:
            found.append((at_s, round(now) + extra))
    return found


def recorded_wishes(run: Run) -> list[tuple[int, int]]:
    """Return the least playout delays that synchronization set the video to, as recorded."""
    return [(ZERO_US + round((at_s - 0.25) * 1e6), level * 1000) for at_s, level in corrections(run, "video")]


def lip_sync(run: Run, audio_later_ms: float) -> list[Line]:
    """Step the average gap beside the recorded one: before each second the delays are as they were recorded."""
    moved = {kind: corrections(run, kind) for kind in ("video", "audio")}
    kind = "video" if len(moved["video"]) >= len(moved["audio"]) else "audio"
    recorded = moved[kind]
    sound = [(at_s, waited) for at_s, _, waited in levels(run, "audio")]
    shown = [(at_s, target + SHOWING_MS) for at_s, target, _ in levels(run, "video")]
    first_s = recorded[0][0] if recorded else 3.0
    average, errors, quiet = 0, [], []
    last_s = max(at_s for at_s, _ in shown)
    for second in np.arange(first_s, last_s - 1.0, 1.0).tolist():
        change = next(((at_s, level) for at_s, level in recorded if abs(at_s - second) < 0.5), None)
        before_s = (change[0] if change else second) - 0.4
        audio_ms = _at(sound, before_s) + SOUND_PENDING_MS
        video_ms = _at(shown, before_s)
        gap = round(video_ms - audio_ms - audio_later_ms)
        average = int((3 * average + gap) / 4)
        if change is None:
            quiet.append(max(0.0, abs(average / 2) - SYNC_DEAD_ZONE_MS / 2))
            continue
        step = change[1] - max((level for at_s, level in recorded if at_s < change[0]), default=0)
        errors.append(abs(abs(int(average / 2)) - abs(step)))
        average = 0
    worst, idle = max(errors, default=0.0), max(quiet, default=0.0)
    said = f"{len(recorded)} corrections of {kind}, the worst {worst:.1f} ms off"
    return [
        (f"{said} ≤ {SYNC_MS:g}", worst <= SYNC_MS),
        (f"where it made none ours was at most {idle:.1f} ms outside the dead zone ≤ {SYNC_MS:g}", idle <= SYNC_MS),
    ]


class Recorded:
    """The picture of a run, as lip sync plays it: with sender reports of each second, dated by capture."""

    def __init__(self, run: Run) -> None:
        self.receiver = make_receiver("libwebrtc", start_us=ZERO_US - IDLE_US)
        self.newest: Newest | None = None
        self._arrivals, self._next, first = run.arrivals, 0, run.arrivals[0][1].timestamp
        seconds = range(1, math.ceil((run.arrivals[-1][0] - ZERO_US) / 1e6))
        self.reports = [
            SenderReport(ZERO_US / 1e6 + each + BASE_S, each, (first + each * VIDEO_HZ) % 2**32, 1) for each in seconds
        ]

    def hold(self, least_us: int) -> None:
        """Hold it back from now on."""
        self.receiver.wish(least_us)

    def until(self, at_s: float) -> int | None:
        """Play all that came by ``at_s``; return the delay aimed at."""
        while self._next < len(self._arrivals) and self._arrivals[self._next][0] <= at_s * 1e6:
            at_us, packet = self._arrivals[self._next]
            self._next += 1
            self.receiver.insert_packet(packet, at_us)
            self.newest = Newest(at_us / 1e6, packet.sequence, packet.timestamp)
        self.receiver.advance(round(at_s * 1e6))
        assert isinstance(self.receiver, LibwebrtcReceiver)
        return self.receiver.timing.target_us


class Newest(NamedTuple):
    """The packet that came last."""

    at_s: float
    sequence: int
    timestamp: int


def sound_of(run: Run, later_ms: float) -> Came:
    """Return the sound of a run, of which no packets were recorded: 20 ms each, by the pattern's constant delay.

    Its sender was stock aiortc: its reports are dated by leaving, a packet's length after capture.
    """
    begin_s, lasts_s = ZERO_US / 1e6, (run.arrivals[-1][0] - ZERO_US) / 1e6
    way_s = BASE_S + max(0.0, later_ms) / 1e3
    arrivals = Arrivals()
    for place in range(round(lasts_s / PACKET_S)):
        arrivals.add(begin_s + (place + 1) * PACKET_S + way_s, place % 2**16, place * 960, SILENCE, 111)
    reports = [
        SenderReport(begin_s + each + way_s, each + PACKET_S, each * 48_000, 2) for each in range(1, math.ceil(lasts_s))
    ]
    agreed = Agreed(opus_payload_type=111, red_payload_type=None, sends_red=False, nack=False)
    return Came(listener="callee", arrivals=arrivals, agreed=agreed, reports=reports)


def played_beside(run: Run, later_ms: float) -> list[Line]:
    """Play sound and picture side by side, nothing of it as recorded but the arrivals; compare every correction."""
    moved = {kind: corrections(run, kind) for kind in ("video", "audio")}
    kind = "video" if len(moved["video"]) >= len(moved["audio"]) else "audio"
    recorded = moved[kind]
    sound = sound_of(run, later_ms)
    lips = LipSync(sound, Recorded(run), playback_s=DRIVER_S)
    # The second at which it looks is its own; a poll sees a correction 0 to 250 ms later.
    lips.due_s = ZERO_US / 1e6 + ((recorded[0][0] - 0.1) % 1.0 if recorded else 0.0)
    play(
        PlayoutChoice.parse("neteq"), sound.agreed, sound.arrivals, OpusDecoder(),
        phase_s=0.0, drift=0.0, listen=lambda _: lambda _: None, steering=lips,
    )  # fmt: skip
    begin_s = ZERO_US / 1e6
    ours = [(each.at_s - begin_s, each.video_ms if kind == "video" else each.audio_ms) for each in lips.corrections]
    pairs = list(zip(ours, recorded, strict=False))
    late = max((abs(mine[0] - theirs[0]) for mine, theirs in pairs), default=0.0)
    worst = max((abs(mine[1] - theirs[1]) for mine, theirs in pairs), default=0)
    said = (
        f"played side by side: {len(ours)} corrections of {kind}, theirs {len(recorded)}, none more than {late:.2f} s "
        f"apart, the worst {worst} ms off ≤ {SYNC_MS:g}"
    )
    return [(said, worst <= SYNC_MS and abs(len(ours) - len(recorded)) <= 1)]


def _at(series: Sequence[tuple[float, float]], at_s: float) -> float:
    return min(series, key=lambda each: abs(each[0] - at_s))[1]


def golden(folder: Path) -> Iterator[tuple[str, float]]:
    """Give each table of vectors and how far ours is from it at most, µs (of the filter: ms · 1000)."""
    checks: dict[str, Callable[[Rows], float]] = {
        "kalman": golden_filter, "jitter": golden_jitter, "rtt_filter": golden_round_trips,
        "decode_time": golden_decode_times, "timing": golden_timing, "sync": golden_sync,
        "extrapolator": lambda rows: golden_extrapolator(rows, rejecting=False),
        "extrapolator_2026": lambda rows: golden_extrapolator(rows, rejecting=True),
    }  # fmt: skip
    for name, check in checks.items():
        for path in (folder / f"{name}.csv", folder / f"{name}.csv.gz"):
            if path.exists():
                yield name, check(rows_of(path))


def golden_filter(rows: Rows) -> float:
    """Compare the filter of delay against size, ms · 1000."""
    ours, worst = SizeDelayFilter(), 0.0
    for row in rows:
        size = float(row["size_variation_bytes"])
        before = ours.expected(size)
        ours.update(float(row["delay_variation_ms"]), size, float(row["max_size_bytes"]), float(row["var_noise"]))
        worst = max(
            worst, abs(before - float(row["total_before"])), abs(ours.expected(size) - float(row["total_after"]))
        )
    return worst * 1000.0


def golden_jitter(rows: Rows) -> float:
    """Compare the jitter estimator."""
    worst = 0
    for _, case in _cases(rows):
        ours = JitterEstimator()
        for row in case:
            now_us = int(row["now_us"])
            if int(row["rtt_update_us"]) >= 0:
                ours.round_trips.update(int(row["rtt_update_us"]))
            if row["nacked"] == "1":
                ours.frame_nacked(now_us)
            else:
                ours.update(int(row["frame_delay_us"]), int(row["size_bytes"]), now_us)
            if row["estimate_us"]:
                worst = max(worst, abs(ours.estimate_us(now_us) - int(row["estimate_us"])))
    return worst


def golden_extrapolator(rows: Rows, *, rejecting: bool) -> float:
    """Compare the time base."""
    worst = 0
    for _, case in _cases(rows):
        ours = Extrapolator(int(case[0]["now_us"]), rejecting=rejecting)
        for row in case:
            ours.update(int(row["now_us"]), int(row["rtp"]))
            local_us = ours.local_us(int(row["ask_rtp"]))
            worst = max(worst, abs((local_us or 0) - int(row["local_us"])))
    return worst


def golden_round_trips(rows: Rows) -> float:
    """Compare the filter of round trips."""
    ours, worst = RoundTrips(), 0
    for row in rows:
        ours.update(int(row["rtt_us"]))
        worst = max(worst, abs(ours.value_us - int(row["value_us"])))
    return worst


def golden_decode_times(rows: Rows) -> float:
    """Compare the percentile of decode times."""
    ours, worst = DecodeTimes(), 0
    for row in rows:
        ours.add(int(row["decode_ms"]), int(row["now_ms"]))
        worst = max(worst, abs(ours.percentile_ms - int(row["p95_ms"])) * 1000)
    return worst


def golden_timing(rows: Rows) -> float:
    """Compare the delays; the recording passed the render time on in whole ms."""
    ours, worst = Timing(int(rows[0]["now_us"])), 0
    for row in rows:
        now_us = int(row["now_us"])
        ours.extrapolator.update(now_us, int(row["rtp"]))
        render_us = ours.render_us(int(row["rtp"]), now_us)
        wait_us = ours.wait_us(render_us, now_us)
        ours.set_jitter(int(row["jitter_delay_us"]))
        released_us = now_us + max(0, wait_us) + int(row["late_us"])
        ours.released((render_us + 500) // 1000 * 1000, released_us)
        ours.decoded(int(row["decode_ms"]) * 1000, released_us)
        found = (render_us, wait_us, ours.current_us, ours.target_us)
        names = ("render_us", "wait_us", "current_us", "target_us")
        worst = max(worst, *(abs(mine - int(row[name])) for mine, name in zip(found, names, strict=True)))
    return worst


def golden_sync(rows: Rows) -> float:
    """Compare synchronization, ms · 1000."""
    worst = 0
    for _, case in _cases(rows):
        ours = Synchronization()
        for row in case:
            found = ours.step(
                relative_ms=int(row["relative_delay_ms"]),
                audio_ms=int(row["audio_current_ms"]),
                video_ms=int(row["video_current_ms"]),
            )
            mine = (-1, -1) if found is None else (found.audio_ms, found.video_ms)
            theirs = (int(row["audio_target_ms"]), int(row["video_target_ms"]))
            worst = max(worst, *(abs(one - other) * 1000 for one, other in zip(mine, theirs, strict=True)))
    return worst


def _cases(rows: Rows) -> Iterator[tuple[str, Rows]]:
    for case in dict.fromkeys(row["case"] for row in rows):
        yield case, [row for row in rows if row["case"] == case]


def _examined(task: tuple[Path, str]) -> tuple[str, list[Line]]:
    return task[1], judged(load(*task))


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay every run of a folder; print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="runs examined at once")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    names = sorted(path.name.removesuffix(".meta.json") for path in folder.glob("*.meta.json"))
    vectors = list(golden(folder / "golden"))
    if not names and not vectors:
        print(f"no runs in {folder}: it needs NAME.meta.json beside NAME.packets.csv.gz, or golden/", file=sys.stderr)
        return 2
    outside = [f"golden {name}" for name, worst in vectors if worst > GOLDEN_US]
    for name, worst in vectors:
        print(f"golden {name}: {worst:.3g} µs at most ≤ {GOLDEN_US} {'' if worst <= GOLDEN_US else 'OUTSIDE'}")
    with ProcessPoolExecutor(options.jobs) as pool:
        for name, lines in pool.map(_examined, [(folder, name) for name in names]):
            print(f"\n{name}")
            for text, holds in lines:
                print(f"  {'' if holds is None else 'inside' if holds else 'OUTSIDE':<8}{text}")
            if any(holds is False for _, holds in lines):
                outside.append(name)
    print(f"\noutside: {', '.join(outside)}" if outside else "\neverything holds")
    return int(bool(outside))


if __name__ == "__main__":
    sys.exit(main())
