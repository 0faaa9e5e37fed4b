"""What a receiver's recording says: when each marker was heard, and which ticks played decoded sound as it was.

Facts:
    A receiver pulls on a grid of 10 ms whose phase wanders by milliseconds a minute; we learn of a tick a little later
    than it was, never earlier. So the grid is the lower edge of what was noted, second by second.

Rules:
    1. A sample of a block pulled at tick w is heard from w on: the first at w, sample k at w + k/48000 s.
    2. A tick of which nothing was noted played silence.
    3. The delay of a tick is that of the piece it equals of what a decoder makes of the frames that arrived. Where it
       equals none, sound was invented or stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from neteq_truth import CHIRP_S, FRAME_SAMPLES, HEARD, PTIME_S, best_match, chirp

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.playout.base import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE_HZ

Array = npt.NDArray[np.float64]

OPUS_DELAY_S = 310 / SAMPLE_RATE_HZ  # by the same matched filter: 6.46 ms
EQUAL = 0.9  # a block that correlates less with every piece of the decode was not played as it came
_WINDOW = 100  # ticks over which the grid's phase is taken as steady
_EDGE = 5.0  # percentile of the lateness taken for its lower edge
_EARLY = 0.2  # of a tick: the grid may slip that much within a window
_REACH_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """A recording on its grid: ``ticks_s`` (ticks,), ``pcm`` (ticks × 480,), what is silent for want of a block.

    ``lateness_s`` (blocks,): how much later than its tick each block was noted.
    """

    ticks_s: Array
    pcm: Array
    silent: npt.NDArray[np.bool_]
    lateness_s: Array

    def instant_s(self, sample: float) -> float:
        """Return when a sample was heard."""
        tick = min(max(int(sample) // BLOCK_SAMPLES, 0), len(self.ticks_s) - 1)
        return float(self.ticks_s[tick] + (sample - tick * BLOCK_SAMPLES) / SAMPLE_RATE_HZ)

    def phase_s(self, from_s: float) -> float:
        """Return the grid's phase to t0 (0 to 10 ms), its median from ``from_s`` on."""
        later = self.ticks_s[self.ticks_s >= from_s]
        first = later[0]
        return float(np.median(later - first - BLOCK_S * np.arange(len(later))) + first) % BLOCK_S


def on_grid(blocks: Sequence[tuple[float, npt.NDArray[np.float32]]]) -> Heard:
    """Return the recording on its grid."""
    noted_s = np.array([at_s for at_s, _ in blocks])
    phases_s = phases(noted_s)
    numbers = np.floor((noted_s - phases_s) / BLOCK_S + _EARLY).astype(np.int64)
    for place in range(len(numbers) - 2, -1, -1):  # what came in a bunch was pulled one tick after another
        numbers[place] = min(numbers[place], numbers[place + 1] - 1)
    first = int(numbers[0])
    ticks = np.arange(first, int(numbers[-1]) + 1)
    pcm = np.zeros((len(ticks), BLOCK_SAMPLES))
    silent = np.ones(len(ticks), dtype=np.bool_)
    for number, (_, samples) in zip(numbers, blocks, strict=True):
        pcm[number - first] = samples
        silent[number - first] = False
    ticks_s = ticks * BLOCK_S + np.interp(ticks, numbers, phases_s)
    return Heard(
        ticks_s=ticks_s, pcm=pcm.reshape(-1), silent=silent, lateness_s=noted_s - ticks_s[numbers - first]
    )  # fmt: skip


def phases(noted_s: Array) -> Array:
    """Return the grid's phase at each block: the lower edge of the lateness, followed from second to second."""
    counts, edges = np.histogram(noted_s[: 2 * _WINDOW] % BLOCK_S, bins=100, range=(0, BLOCK_S))
    phase_s = float(edges[int(counts.argmax())])
    centres, values = [], []
    for start in range(0, len(noted_s), _WINDOW):
        window_s = noted_s[start : start + _WINDOW]
        off_s = (window_s - phase_s + BLOCK_S / 2) % BLOCK_S - BLOCK_S / 2
        phase_s += float(np.percentile(off_s, _EDGE))
        centres.append(start + len(window_s) / 2)
        values.append(phase_s)
    return np.interp(np.arange(len(noted_s)), centres, values)


def markers(heard: Heard, spoken_s: Sequence[float], fastest_s: float) -> list[tuple[float, float, float]]:
    """Return (spoken, heard, score) of each marker, seconds after t0; heard is NaN where it was not recorded.

    Markers look alike: one is sought from ``fastest_s`` after it was spoken until the next could be heard.
    """
    template = chirp()
    template = template / np.linalg.norm(template)
    gap_s = min(np.diff(spoken_s), default=_REACH_S)
    found: list[tuple[float, float, float]] = []
    for spoken in spoken_s:
        first = int(np.searchsorted(heard.ticks_s, spoken + fastest_s)) * BLOCK_SAMPLES - BLOCK_SAMPLES
        first = max(first, 0)
        piece = heard.pcm[first : first + round((gap_s + CHIRP_S) * SAMPLE_RATE_HZ)]
        if len(piece) < 2 * len(template):
            found.append((spoken, float("nan"), 0.0))
            continue
        at, score = best_match(piece, template)
        found.append((spoken, heard.instant_s(first + at) if score > 0 else float("nan"), score))
    return found


def decoded(frames: Sequence[bytes], arrived: npt.NDArray[np.bool_]) -> Array:
    """Return the samples a decoder makes of the frames that ``arrived``, silence in the place of the others.

    NetEQ lets its decoder know nothing of a lost frame: it invents sound itself.
    """
    decoder = OpusDecoder()
    silence = np.zeros(FRAME_SAMPLES)
    return np.concatenate([
        decoder.decode(frame) if there else silence for frame, there in zip(frames, arrived, strict=True)
    ]).astype(np.float64)  # fmt: skip


def alignment(heard: Heard, decode: Array) -> list[tuple[float, float, float, bool]]:
    """Return (tick, delay, correlation, silent) of each tick in seconds after t0; the delay is NaN by rule 3."""
    sums = np.concatenate(([0.0], np.cumsum(decode**2)))
    found: list[tuple[float, float, float, bool]] = []
    place = 0  # where the previous tick's sound stands in the decode
    for tick, tick_s in enumerate(heard.ticks_s):
        block = heard.pcm[tick * BLOCK_SAMPLES : (tick + 1) * BLOCK_SAMPLES]
        place += BLOCK_SAMPLES
        match = likeness(block, decode, place)
        if match < EQUAL and not heard.silent[tick]:
            latest = min(round((tick_s + PTIME_S) * SAMPLE_RATE_HZ), len(decode))
            begin = max(0, latest - round(_REACH_S * SAMPLE_RATE_HZ))
            place, match = search(block, decode, sums, begin=begin, end=latest, otherwise=place)
        good = match >= EQUAL
        delay_s = tick_s - (place / SAMPLE_RATE_HZ - PTIME_S) + OPUS_DELAY_S if good else float("nan")
        found.append((float(tick_s), delay_s, match, bool(heard.silent[tick])))
    return found


def likeness(block: Array, decode: Array, place: int) -> float:
    """Return the correlation of a block with the decode at one place; 0 where either is silent or ends."""
    piece = decode[place : place + BLOCK_SAMPLES] if place >= 0 else decode[:0]
    energy = float(np.sum(block**2) * np.sum(piece**2)) if len(piece) == BLOCK_SAMPLES else 0.0
    return float(np.dot(block, piece)) / energy**0.5 if energy > 0 else 0.0


def search(block: Array, decode: Array, sums: Array, *, begin: int, end: int, otherwise: int) -> tuple[int, float]:
    """Return where in ``begin`` to ``end`` the block fits best, and how well; ``otherwise`` where it fits nowhere."""
    span = decode[begin:end]
    own = float(np.sum(block**2))
    if len(span) <= BLOCK_SAMPLES or own <= 0:
        return otherwise, 0.0
    size = 1 << (len(span) + BLOCK_SAMPLES).bit_length()
    product = np.fft.irfft(np.fft.rfft(span, size) * np.conj(np.fft.rfft(block, size)), size)
    product = product[: len(span) - BLOCK_SAMPLES + 1]
    energy = sums[begin + BLOCK_SAMPLES : end + 1] - sums[begin : end - BLOCK_SAMPLES + 1]
    scores = product / np.sqrt(np.maximum(energy, 1e-12) * own)
    best = int(scores.argmax())
    return (begin + best, float(scores[best])) if scores[best] >= EQUAL else (otherwise, float(scores[best]))


assert FRAME_SAMPLES == 2 * BLOCK_SAMPLES, "a frame is two ticks"
assert 0 < HEARD < 1
