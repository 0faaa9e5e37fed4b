"""Our NetEQ beside a real one: the same packets at the same instants, and when each marker was heard.

Usage: python benchmarks/neteq_truth.py DIR [--replays N] [--jobs N]

DIR holds runs of a real libwebrtc: ``index.csv`` (a row a run: run, path, signal, tick_phase_ms, target_ms, ...),
``<run>.departures.csv.gz`` (packet, departure_ms), ``<run>.m2e.csv`` (marker, spoken_s, heard_s, m2e_ms, score), for
some runs ``<run>.blocks.csv.gz`` (a row a tick; an empty m2e_ms is concealment, merge or stretch), and a README.md
whose table may state the concealed share of a path. Every path found in it is replayed; nothing is known of any.

A run whose signal is ``dtx`` was sent with the encoder's DTX on. ``packet`` counts frames there too, and
``<path>.seed<k>.csv`` (a row a frame: delay_ms, ``lost`` or ``dtx``) says which were never sent. Sequence numbers count
what was sent. Ours speaks where theirs spoke and is silent where theirs was, so that the same frames are missing.

How it judges:
    Which point of its hysteresis a receiver rests at depends on the noise it happened to stretch, and the runs of a
    folder share one noise; so no single replay can be compared with a single run. Each run is replayed N times at
    its own tick phase, each time over another noise (or speech) of the same kind, and the median over replays meets
    the runs. Signals of a path are pooled: two receivers of one path differ more by chance than by programme.
    - p50: inside the range of the runs, widened by 5 ms;
    - p95: within 15 ms of the runs' median; target delay (mean after 5 s): within 20 ms of the runs' mean;
    - start-up, at each marker of the first five seconds: inside the range of the runs, widened by 15 ms. The first
      insertions of a call are random (2.5 to 15 ms each, seven or eight of them), so these are medians over 12
      replays of six seconds;
    - concealed share: within one percentage point of the README's figure; where there is none, of what the blocks
      of a run allow (not above the share of ticks that fit no loss-free decode, nor below that less our merges and
      stretches); where there is neither, it is printed and not judged.
    Markers of the runs that were heard before their sound could have arrived (another marker, mistaken) are left out.
    Further N replays at random tick phases are ranked with the runs (Mann-Whitney on each run's p50): how hard it is
    to tell ours from theirs. Runs over one trace and one noise are no independent draws, so that is printed, not
    judged. The phase in the index is that of a run's end: real ticks slip by up to 3 ms a run.
Exit code 0 when every path holds, 1 when one does not, 2 when DIR holds no runs.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import sys
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.playout.base import BLOCK_SAMPLES, SAMPLE_RATE_HZ, RtpPacket
from rtcprobe.playout.neteq import WORDS, NetEq
from rtcprobe.playout.replay import Playback, replay

Array = npt.NDArray[np.float64]
Line = tuple[str, bool | None]
"""What is said, and whether it holds (None: not judged)."""

FRAME_SAMPLES = 960
PTIME_S = 0.020
TRANSIT_S = 0.0001  # departures are stamped at the sender's socket on the same host
IDLE_S = 1.0  # the receiver pulled audio before the first packet
SETTLED_S = 5.0
CHIRP_S, CHIRP_HZ, CHIRP_LEVEL = 0.080, (300.0, 3400.0), 0.25
NOISE_DBFS = -55.0
SILENCE = 0.4 / 32768  # what a talker's pause is made of under DTX
DTX_AFTER_FRAMES = 8  # from the end of speech to the first frame not sent (libopus: some 200 ms without activity)
DTX_REFRESH_FRAMES = 4  # sent in the middle of a silence at most: a fresh picture of the noise and a new first packet
HEARD = 0.6  # a lower score: the marker was hit by concealment
FIRST_TIMESTAMP = 12_345

START_REPLAYS, START_LENGTH_S = 12, 6.0
P50_MARGIN_MS, P95_MARGIN_MS, TARGET_MARGIN_MS, START_MARGIN_MS, CONCEALED_MARGIN = 5.0, 15.0, 20.0, 15.0, 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One run of the real receiver.

    ``departures`` (packets, 2): number and second; ``markers`` (n, 3): spoken second, delay in ms, score;
    ``unsent``: numbers of the frames that DTX kept back; ``unaligned``: the share of ticks that fit no loss-free
    decode, where known.
    """

    name: str
    path: str
    signal: str
    phase_s: float
    target_ms: float
    departures: Array
    markers: Array
    unsent: tuple[int, ...]
    unaligned: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """What is compared: quantiles after 5 s, the delay of each marker before (NaN: not heard), target, shares."""

    quantiles_ms: Array
    start_ms: Array
    target_ms: float
    concealed: float
    worked: float  # share of ticks that merged or stretched


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay every path of a folder; print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--replays", type=int, default=2, help="of each run, at its tick phase and at random ones")
    parser.add_argument("--jobs", type=int, default=1, help="paths examined at once")
    options = parser.parse_args(arguments)
    runs = load(options.folder)
    if not runs:
        print(f"no runs in {options.folder}: it needs an index.csv with a row a run", file=sys.stderr)
        return 2
    stated = stated_concealment(options.folder)
    tasks = [
        (
            path,
            [run for run in runs if run.path == path],
            next((share for name, share in stated.items() if path.startswith(name)), None),
            options.replays,
        )
        for path in dict.fromkeys(run.path for run in runs)
    ]
    print(f"{len(runs)} runs; ours: {options.replays} replays of each at its tick phase, as many at random phases")
    failed: list[str] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for path, lines in pool.map(examine, tasks):
            print(f"\n{path}")
            for text, holds in lines:
                print(f"  {'' if holds is None else 'inside' if holds else 'OUTSIDE':<8}{text}")
            if any(holds is False for _, holds in lines):
                failed.append(path)
    print(f"\noutside: {', '.join(failed)}" if failed else "\nevery path holds")
    return int(bool(failed))


def examine(task: tuple[str, list[Run], float | None, int]) -> tuple[str, list[Line]]:
    """Return one path and what is said of it."""
    path, runs, stated, replays = task
    rng = np.random.default_rng(1)
    ours = [simulate(run, run.phase_s, seed) for run in runs for seed in range(replays)]
    drawn = [simulate(run, float(rng.uniform(0, 0.010)), seed) for run in runs for seed in range(replays)]
    starts = [simulate(opening(run), run.phase_s, seed) for run in runs for seed in range(START_REPLAYS)]
    real = [figures_of(run) for run in runs]
    concealed = judge_concealed(runs, ours, stated)
    return path, [*judge(real, ours), judge_startup(real, starts), concealed, rank_test(real, drawn)]


def judge(real: list[Figures], ours: list[Figures]) -> list[Line]:
    """Return what is said of delay and target, and whether each is within its limit."""
    theirs = np.array([figures.quantiles_ms for figures in real])
    mine = np.array([figures.quantiles_ms for figures in ours])
    their_mid, my_mid = np.nanmedian(theirs, axis=0), np.nanmedian(mine, axis=0)
    low, high = float(np.nanmin(theirs[:, 1])), float(np.nanmax(theirs[:, 1]))
    target = float(np.nanmean([f.target_ms for f in real]))
    between = f"ours between replays {mine[:, 1].min():.1f} to {mine[:, 1].max():.1f}"
    my_target = float(np.mean([f.target_ms for f in ours]))
    return [
        (
            f"m2e p50 {my_mid[1]:.1f} ms, real {their_mid[1]:.1f} ({low:.1f} to {high:.1f}); {between}",
            bool(low - P50_MARGIN_MS <= my_mid[1] <= high + P50_MARGIN_MS),
        ),
        (f"m2e p95 {my_mid[2]:.1f} ms, real {their_mid[2]:.1f}", bool(abs(my_mid[2] - their_mid[2]) <= P95_MARGIN_MS)),
        (f"m2e p5 {my_mid[0]:.1f} ms, real {their_mid[0]:.1f}", None),
        (f"target {my_target:.1f} ms, real {target:.1f}", abs(my_target - target) <= TARGET_MARGIN_MS),
    ]


def judge_startup(real: list[Figures], ours: list[Figures]) -> Line:
    """Return what is said of the first five seconds, and whether ours stays among the runs."""
    curves = np.array([f.start_ms for f in real])
    mine = medians(np.array([f.start_ms for f in ours]))
    theirs = medians(curves)
    known = np.isfinite(theirs) & np.isfinite(mine)
    low, high = np.full(len(mine), np.nan), np.full(len(mine), np.nan)
    low[known], high[known] = np.nanmin(curves[:, known], axis=0), np.nanmax(curves[:, known], axis=0)
    outside = np.maximum(np.maximum(low - mine, mine - high)[known], 0)
    apart = np.abs(theirs - mine)[known].max(initial=0)
    text = (
        f"start-up {_row(mine)}, real {_row(theirs)}; furthest from the runs {outside.max(initial=0):.1f} ms, "
        f"from their median {apart:.1f}"
    )
    return text, bool(outside.max(initial=0) <= START_MARGIN_MS)


def medians(curves: Array) -> Array:
    """Return the median of each column over the rows that heard the marker; NaN where fewer than half did."""
    heard = 2 * np.isfinite(curves).sum(axis=0) >= len(curves)
    result = np.full(curves.shape[1], np.nan)
    result[heard] = np.nanmedian(curves[:, heard], axis=0)
    return result


def judge_concealed(runs: list[Run], ours: list[Figures], stated: float | None) -> Line:
    """Return what is said of the concealed share, and whether it is within its limit (None: not known)."""
    share = float(np.mean([figures.concealed for figures in ours]))
    if stated is not None:
        text = f"concealed {share:.2%}, real {stated:.2%}"
        return text, abs(share - stated) <= CONCEALED_MARGIN
    unaligned = [run.unaligned for run in runs if run.unaligned is not None]
    if not unaligned:
        return f"concealed {share:.2%}, real not known", None
    most = float(np.mean(unaligned))
    least = most - float(np.mean([figures.worked for figures in ours]))
    text = f"concealed {share:.2%}, real {max(least, 0):.2%} to {most:.2%}"
    return text, least - CONCEALED_MARGIN <= share <= most + CONCEALED_MARGIN


def rank_test(real: list[Figures], ours: list[Figures]) -> Line:
    """Return what Mann and Whitney say: p that neither tends to be larger."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - a second to import, for one number a path

    theirs = [figures.quantiles_ms[1] for figures in real]
    mine = [figures.quantiles_ms[1] for figures in ours]
    p = float(mannwhitneyu(theirs, mine, alternative="two-sided").pvalue)
    return f"rank test of p50, {len(theirs)} runs among {len(mine)} replays at random phases: p = {p:.2f}", None


def opening(run: Run) -> Run:
    """Return the first seconds of a run."""
    packets = round(START_LENGTH_S / PTIME_S)
    return replace(
        run,
        departures=run.departures[run.departures[:, 0] < packets],
        markers=run.markers[run.markers[:, 0] < START_LENGTH_S - PTIME_S],
    )


def simulate(run: Run, phase_s: float, seed: int) -> Figures:
    """Return what our NetEQ makes of a run's packets over the programme of ``seed``, pulled at ``phase_s``."""
    packets = programme(run.signal, seed, int(run.departures[:, 0].max()) + 1, tuple(run.markers[:, 0]), run.unsent)
    arrivals = [
        (
            departure_s + TRANSIT_S,
            RtpPacket(
                sequence=(int(number) - bisect_left(run.unsent, number)) & 0xFFFF,
                timestamp=(FIRST_TIMESTAMP + FRAME_SAMPLES * int(number)) & 0xFFFFFFFF,
                payload=packets[int(number)],
            ),
        )
        for number, departure_s in run.departures
    ]
    last_s = max(at for at, _ in arrivals)
    playout = NetEq(OpusDecoder())
    playback = replay(playout, arrivals, phase_s - IDLE_S, last_s)
    trace, stats = playout.trace(), playout.stats()
    settled = round((SETTLED_S + IDLE_S) * 100)
    working = [WORDS.index(word) for word in ("merge", "accelerate", "preemptive expand")]
    return measured(
        run.markers[:, 0],
        hear(playback, run.markers[:, 0]),
        target_ms=float(trace.target_ms[settled:].mean()),
        concealed=stats.concealed_ratio or 0.0,
        worked=float(np.isin(trace.operations[settled:], working).mean()),
    )


def figures_of(run: Run) -> Figures:
    """Return the same of the real run."""
    fastest_ms = 1e3 * float((run.departures[:, 1] - PTIME_S * run.departures[:, 0]).min() + PTIME_S)
    possible = (run.markers[:, 2] >= HEARD) & (run.markers[:, 1] >= fastest_ms)
    delays = np.where(possible, run.markers[:, 1], np.nan)
    return measured(run.markers[:, 0], delays, target_ms=run.target_ms, concealed=np.nan, worked=np.nan)


def measured(spoken_s: Array, delays_ms: Array, *, target_ms: float, concealed: float, worked: float) -> Figures:
    """Return the figures of one run or replay; ``delays_ms`` are NaN where a marker was not heard."""
    settled = delays_ms[(spoken_s >= SETTLED_S) & np.isfinite(delays_ms)]
    return Figures(
        quantiles_ms=np.percentile(settled, [5, 50, 95]) if len(settled) else np.full(3, np.nan),
        start_ms=delays_ms[spoken_s < SETTLED_S],
        target_ms=target_ms,
        concealed=concealed,
        worked=worked,
    )


def hear(playback: Playback, spoken_s: Array) -> Array:
    """Return each marker's delay in ms by matched filter; NaN where it scores too low or its middle was not played.

    The playout says roughly when a marker's middle left the loudspeaker, so that no other one is mistaken for it.
    """
    template = chirp()
    template = template / np.linalg.norm(template)
    middles = FIRST_TIMESTAMP + np.round((spoken_s + PTIME_S + CHIRP_S / 2) * SAMPLE_RATE_HZ).astype(np.int64)
    guesses = playback.play_instants(middles) - CHIRP_S / 2
    delays = np.full(len(spoken_s), np.nan)
    reach = round(0.06 * SAMPLE_RATE_HZ)
    for place in np.flatnonzero(np.isfinite(guesses)):
        spoken = spoken_s[place]
        first = max(0, round((guesses[place] - playback.start_s) * SAMPLE_RATE_HZ) - reach)
        piece = playback.pcm[first : first + 2 * reach + len(template)]
        if len(piece) <= len(template) + 2:
            continue
        at, score = best_match(piece.astype(np.float64), template)
        if score >= HEARD:
            delays[place] = ((first + at) / SAMPLE_RATE_HZ + playback.start_s - spoken) * 1e3
    return delays


def best_match(piece: Array, template: Array) -> tuple[float, float]:
    """Return where (in samples, refined by a parabola) and how well (0 to 1) ``template`` fits best."""
    size = 1 << (len(piece) + len(template) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(piece, size) * np.conj(np.fft.rfft(template, size)), size)
    product = product[: len(piece) - len(template) + 1]
    peak = int(product.argmax())
    energy = float(np.sum(piece[peak : peak + len(template)] ** 2))
    if energy <= 0 or not 0 < peak < len(product) - 1:
        return float(peak), 0.0
    left, centre, right = product[peak - 1 : peak + 2]
    return peak + 0.5 * (left - right) / (left - 2 * centre + right), float(centre / energy**0.5)


@cache
def programme(
    signal: str, seed: int, packets: int, spoken_s: tuple[float, ...], unsent: tuple[int, ...] = ()
) -> list[bytes]:
    """Return Opus packets (32 kb/s, mono, voip, 20 ms) of noise or speech with a chirp at each ``spoken_s``.

    Where frames are ``unsent``, speech pauses and the last one sent says so, as the first packet of a silence does.
    """
    rng = np.random.default_rng([seed, 0x50524F47])
    samples = packets * FRAME_SAMPLES
    pcm = 10 ** (NOISE_DBFS / 20) * rng.standard_normal(samples) if signal == "noise" else speech(samples, rng)
    for first, last in silences(unsent):
        pcm[first * FRAME_SAMPLES : last * FRAME_SAMPLES] = SILENCE * rng.standard_normal(
            max(0, min(last, packets) - first) * FRAME_SAMPLES
        )
    template = CHIRP_LEVEL * chirp()
    for spoken in spoken_s:
        start = round((spoken + PTIME_S) * SAMPLE_RATE_HZ)
        piece = pcm[start : start + len(template)]
        piece += template[: len(piece)]
    encoder = OpusEncoder(OpusSettings(complexity=10, bandwidth="fullband"))
    frames = np.clip(pcm, -1, 1).astype(np.float32).reshape(packets, FRAME_SAMPLES)
    encoded = [encoder.encode(frame) for frame in frames]
    kept_back = set(unsent)
    for number in kept_back:
        if 0 < number < packets and number - 1 not in kept_back:
            encoded[number - 1] = encoded[number - 1][:1]  # the table of contents alone
    return encoded


def silences(unsent: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return where the talker was silent, frames from and to: DTX sets in late, and is refreshed now and then."""
    spells: list[tuple[int, int]] = []
    for number in unsent:
        if spells and number - spells[-1][1] <= DTX_REFRESH_FRAMES:
            spells[-1] = spells[-1][0], number + 1
        else:
            spells.append((max(0, number - DTX_AFTER_FRAMES), number + 1))
    return spells


def chirp() -> Array:
    """Return the marker at full scale: a linear sweep with 5 ms raised-cosine ends."""
    time_s = np.arange(round(CHIRP_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    low, high = CHIRP_HZ
    wave = np.sin(2 * np.pi * (low * time_s + (high - low) / (2 * CHIRP_S) * time_s**2))
    ends = np.minimum(1.0, np.minimum(time_s, CHIRP_S - time_s) / 0.005)
    faded: Array = wave * np.sin(np.pi / 2 * ends) ** 2
    return faded


def speech(samples: int, rng: np.random.Generator) -> Array:
    """Return something a codec takes for speech at -30 dBFS: voiced syllables of gliding pitch, hiss, and pauses."""
    pcm = 10 ** (NOISE_DBFS / 20) * 0.1 * rng.standard_normal(samples)
    at = 0
    while at < samples:
        length = int(rng.uniform(0.12, 0.30) * SAMPLE_RATE_HZ)
        if rng.random() < 0.75:
            pcm[at : at + length] += syllable(length, rng)[: samples - at]
        at += length + int(rng.exponential(0.06) * SAMPLE_RATE_HZ)
    return pcm


def syllable(length: int, rng: np.random.Generator) -> Array:
    """Return one syllable: harmonics of a gliding pitch under three formants, or hiss."""
    time_s = np.arange(length) / SAMPLE_RATE_HZ
    envelope = np.sin(np.pi * np.arange(length) / length) ** 0.5
    if rng.random() < 0.2:
        return 0.02 * envelope * np.diff(rng.standard_normal(length + 1))
    pitch = rng.uniform(100, 220) * (1 + rng.uniform(-0.15, 0.15) * time_s / time_s[-1])
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    formants = np.array([rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3200)])
    wave = np.zeros(length)
    for harmonic in range(1, 25):
        near = np.sum(np.exp(-(((harmonic * pitch[0] - formants) / 150) ** 2)))
        wave += (near + 0.05) / harmonic**0.5 * np.sin(harmonic * phase + harmonic)
    level: Array = 0.045 * envelope * wave / max(float(np.sqrt(np.mean(wave**2))), 1e-9)
    return level


def load(folder: Path) -> list[Run]:
    """Return the runs of a folder, in the order of its index."""
    index = folder / "index.csv"
    if not index.is_file():
        return []
    return [
        Run(
            name=row["run"],
            path=row["path"],
            signal=row["signal"],
            phase_s=float(row["tick_phase_ms"]) / 1e3,
            target_ms=float(row["target_ms"] or "nan"),
            departures=np.array([
                (int(line["packet"]), float(line["departure_ms"]) / 1e3)
                for line in rows(folder / f"{row['run']}.departures.csv.gz")
            ]),
            markers=np.array([
                (float(line["spoken_s"]), float(line["m2e_ms"] or "nan"), float(line["score"] or 0))
                for line in rows(folder / f"{row['run']}.m2e.csv")
            ]),
            unsent=unsent_frames(folder / f"{row['path']}.seed{row['seed']}.csv") if row["signal"] == "dtx" else (),
            unaligned=unaligned_share(folder / f"{row['run']}.blocks.csv.gz"),
        )
        for row in rows(index)
    ]  # fmt: skip


def rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, compressed or not."""
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return list(csv.DictReader(lines))


def unsent_frames(file: Path) -> tuple[int, ...]:
    """Return the numbers of the frames that a trace says were not sent."""
    return tuple(number for number, line in enumerate(rows(file)) if line["delay_ms"] == "dtx")


def unaligned_share(file: Path) -> float | None:
    """Return the share of ticks whose sound fits no loss-free decode; None without a file."""
    if not file.is_file():
        return None
    return float(np.mean([not line["m2e_ms"] for line in rows(file)]))


def stated_concealment(folder: Path) -> dict[str, float]:
    """Return the concealed shares the README's table states, by the first word of each row."""
    readme = folder / "README.md"
    found: dict[str, float] = {}
    column: int | None = None
    for line in readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else ():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []
        titles = [place for place, cell in enumerate(cells) if cell.lower().startswith("concealed")]
        if titles:
            column = titles[0]
        elif column is not None and len(cells) > column and re.fullmatch(r"\d+(\.\d+)?", cells[column]):
            found[cells[0].split()[0]] = float(cells[column]) / 100
    return found


def _row(values: Array) -> str:
    return " ".join("-" if np.isnan(value) else f"{value:.0f}" for value in values)


assert BLOCK_SAMPLES * 2 == FRAME_SAMPLES, "a frame is two blocks"

if __name__ == "__main__":
    sys.exit(main())
