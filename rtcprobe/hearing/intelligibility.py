"""How intelligible each utterance was where it was heard: STOI and ESTOI, per utterance, both ways.

Facts:
    Both compare a degraded signal with its original, sample by sample, in segments of 384 ms: a stretch of time that a
    jitter buffer makes would count as damage.

How:
    What the playout played is laid back on the talker's own clock by the RTP time of each block of 10 ms: stretched
    sound overlaps itself, what was made up stands where it was played for. The original is what was spoken, before the
    codec: what a low bit rate takes is in the figure, as is the noise of the talker's room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.stoi import intelligibility
from rtcprobe.conversation import Spoken
from rtcprobe.hearing.passage import LOOK_AHEAD_SAMPLES
from rtcprobe.hearing.turns import Turns
from rtcprobe.playout.base import BLOCK_SAMPLES
from rtcprobe.playout.replay import NO_SOUND
from rtcprobe.recording import Said
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import unwrapped

__all__ = ["Ear", "laid_back", "understood"]

LEAST_S = 0.6
"""Shorter utterances have too few segments to be judged."""
# An answer heard and an utterance said are one where they begin within this of each other: an onset that was
# lost moves an edge by less, and spans that lie closer together are one utterance (``audio.voice.MERGE_S``).
_NEAR_SAMPLES = round(0.3 * SAMPLE_RATE_HZ)

Ear = tuple[npt.NDArray[np.int64], Pcm]
"""What somebody heard: the RTP time of each block of 10 ms (unwrapped; ``NO_SOUND``), and all of their sound."""


def understood(
    turns: Turns, user: tuple[Said, Sequence[Spoken], Ear], agent: tuple[Said, Sequence[Spoken], Ear]
) -> dict[int, Mapping[str, float]]:
    """Return by line how well it was understood by the agent (``said_stoi``, ``said_estoi``), its answer by the user.

    ``user`` and ``agent`` are what each sent, what it said, and what the *other* heard of that.
    """
    said, answers = (_judged(*each) for each in (user, agent))
    found: dict[int, dict[str, float]] = {
        number: {f"said_{name}": value for name, value in each.items()} for number, each in said.items()
    }
    base = _base(agent[0], agent[2][0])
    for line in turns.lines:
        if line.answer is None or base is None:
            continue
        at = turns.base + line.answer.first - base
        near = min(agent[1], key=lambda each: abs(each.begin - at), default=None)
        if near is not None and abs(near.begin - at) <= _NEAR_SAMPLES and near.number in answers:
            found.setdefault(line.number, {}).update(answers[near.number])
    return dict(found)


def _judged(said: Said, utterances: Sequence[Spoken], ear: Ear) -> dict[int, Mapping[str, float]]:
    """Return STOI and ESTOI of what ``said`` holds, as it was heard by ``ear``, by the utterances' numbers.

    Those too short to be judged, cut short by the end of the call, or without sound are left out.
    """
    stamps, sound = ear
    base = _base(said, stamps)
    if base is None:
        return {}
    ended = [(each, each.end) for each in utterances if each.end is not None]
    played = laid_back(stamps, sound, base, max((end for _, end in ended), default=0))
    found: dict[int, Mapping[str, float]] = {}
    for each, end in ended:
        if each.sound is not None and end - each.begin >= LEAST_S * SAMPLE_RATE_HZ:
            judged = intelligibility(each.sound, played[each.begin : end])
            # None: too little in it that is not silence (``audio.stoi``).
            if judged is not None:
                found[each.number] = judged._asdict()
    return found


def _base(said: Said, stamps: npt.NDArray[np.int64]) -> int | None:
    """Return the RTP time (unwrapped as ``stamps`` are) at which the first sample of a mouth comes out of a decoder."""
    known = stamps[stamps != NO_SOUND]
    if not len(known) or not len(said.departures):
        return None
    first = said.departures[0].timestamp - said.first_sent * round(said.ptime_s * RTP_CLOCK_HZ)
    return unwrapped(first, int(known[0]), 32) + LOOK_AHEAD_SAMPLES


def laid_back(stamps: npt.NDArray[np.int64], sound: Pcm, base: int, samples: int) -> Pcm:
    """Return ``sound``, as played, on the talker's clock: sample 0 is of RTP time ``base`` (unwrapped)."""
    out = np.zeros(samples, dtype=np.float32)
    at: int | None = None
    for block, stamp in enumerate(stamps.tolist()):
        # What was made up in between stands where the playing was by then: it is heard in place of what is
        # missing there.
        at = stamp - base if stamp != NO_SOUND else at
        if at is None:
            continue
        # Stretched time overlaps: later blocks write over earlier ones, as the ear heard the later ones last.
        if -BLOCK_SAMPLES < at < samples:
            part = sound[block * BLOCK_SAMPLES : (block + 1) * BLOCK_SAMPLES][max(0, -at) : samples - at]
            out[max(0, at) : max(0, at) + len(part)] = part
        at += BLOCK_SAMPLES
    return out
