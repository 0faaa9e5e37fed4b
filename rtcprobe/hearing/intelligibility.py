"""How intelligible each of the agent's utterances was at the user's ear: STOI and ESTOI, by pystoi where installed.

Facts:
    Both compare a degraded signal with its original, sample by sample, in segments of 384 ms: a stretch of time that a
    jitter buffer makes would count as damage. ESTOI falls strictly with loss where speech comes through Opus; both are
    of any language.

How:
    What the playout played is laid back on the talker's own clock by the RTP time of each block of 10 ms: stretched
    sound overlaps itself, what was made up stands where it was played for. The original is what the talker encoded,
    through the codec without any network.

Source: Taal et al., IEEE TASLP 19, 2125 (2011); Jensen and Taal, IEEE/ACM TASLP 24, 2009 (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.playout.base import BLOCK_SAMPLES
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Said

__all__ = ["Intelligibility", "clean", "intelligibility", "laid_back", "measurable"]

LEAST_S = 0.6
"""Shorter utterances have too few segments to be judged."""


class Intelligibility(NamedTuple):
    """STOI and ESTOI of one utterance: 1 for the original itself, near 0 for what nobody understands."""

    stoi: float
    estoi: float


def measurable() -> bool:
    """Return whether it can be measured: pystoi is an extra."""
    return find_spec("pystoi") is not None


def intelligibility(original: Pcm, heard: Pcm, spans: Sequence[tuple[int, int]]) -> list[Intelligibility | None]:
    """Return how intelligible ``heard`` is in each of ``spans`` (samples); None of those too short to say.

    Both sounds are of one clock, shape (samples,), 48 kHz.
    """
    from pystoi import stoi  # noqa: PLC0415 - an extra, and half a second of imports

    found: list[Intelligibility | None] = []
    for begin, end in spans:
        end = min(end, len(original), len(heard))  # noqa: PLW2901 - what is missing at the end is not judged
        if end - begin < LEAST_S * SAMPLE_RATE_HZ:
            found.append(None)
            continue
        pair = original[begin:end], heard[begin:end]
        found.append(
            Intelligibility(*(float(stoi(*pair, SAMPLE_RATE_HZ, extended=extended)) for extended in (False, True)))
        )
    return found


def clean(said: Said) -> Pcm:
    """Return what ``said`` sounds like through the codec alone; silence where DTX sent nothing."""
    decoder, size = OpusDecoder(), round(said.ptime_s * SAMPLE_RATE_HZ)
    parts = [np.zeros(size, dtype=np.float32) if each is None else decoder.decode(each) for each in said.frames]
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])


def laid_back(playback: Playback, sound: Pcm, base: int, samples: int) -> Pcm:
    """Return ``sound``, as played, on the talker's clock: sample 0 is of RTP time ``base`` (unwrapped)."""
    out = np.zeros(samples, dtype=np.float32)
    at: int | None = None
    for block, stamp in enumerate(playback.stamps.tolist()):
        at = stamp - base if stamp != NO_SOUND else at
        if at is None:
            continue
        if 0 <= at < samples:
            part = sound[block * BLOCK_SAMPLES : (block + 1) * BLOCK_SAMPLES][: samples - at]
            out[at : at + len(part)] = part
        at += BLOCK_SAMPLES
    return out
