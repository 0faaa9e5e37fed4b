"""When a listener heard a talker, from the first sound of each spell to its last, and the gaps in between.

Facts:
    A talker speaks in *spells*: from when it may speak (or its listener is there) until its mouth is closed, or one of
    the two leaves. Between them nothing is missing, whatever playout makes of it: no silence that was meant is a gap.
    A gap is what playout made up in a row. Services count theirs from some length on (Agora 200 ms, Volcengine 80 ms:
    ``verdict.dialects``), so every gap is kept that the shortest of these lengths counts.

Rule: pure; spells are found by the RTP times of what was played, which playout carries through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.base import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE_HZ
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Said
from rtcprobe.result import Span
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["LEAST_GAP_S", "Heard", "heard_spells", "heard_throughout", "spoken_spells"]

LEAST_GAP_S: Final = 0.080
"""The shortest pause that a service calls a stall: Volcengine's ``80ms_audio_stall_rate``
(volcengine.com/docs/6348/1167931)."""

_HAIR_S: Final = 1e-6
"""A spell no longer says nothing: the ends of two gaps meet within a rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a listener had of a talker: ``spans`` (``"heard"``: a spell, ``"gap"``) and ``listened_s``, their length.

    Instants are those at the air before the loudspeaker, seconds since the call's epoch.
    """

    spans: tuple[Span, ...] = ()
    listened_s: float = 0.0


def spoken_spells(said: Said, whole_s: float) -> list[tuple[float, float]]:
    """Return from when until when something was said to this listener, of a speech of ``whole_s``."""
    if said.started_s is None:
        return []
    at_s, end_s = said.started_s, said.started_s + said.lasted_s(whole_s)
    spells: list[tuple[float, float]] = []
    # The end of the speech is one more gap, without an end: what lies between two gaps is a spell.
    for gap_s, over_s in (*sorted(said.gaps_s), (end_s, math.inf)):
        until_s = min(gap_s, end_s)
        if until_s - at_s > _HAIR_S:
            spells.append((at_s, until_s))
        at_s = max(at_s, over_s)
    return spells


def heard_spells(
    spells: Sequence[tuple[float, float]], playback: Playback, *, origin: int, origin_s: float, device_s: float
) -> Heard:
    """Return when ``spells`` were heard, and the gaps in them.

    ``origin`` is the (unwrapped) RTP time of what was said at ``origin_s``; ``device_s`` passes before it is in the
    air. Of a spell of which nothing was played there is nothing.
    """
    sound = _sounding(playback)
    spans: list[Span] = []
    listened_s = 0.0
    for begun_s, ended_s in spells:
        first = origin + round((begun_s - origin_s) * RTP_CLOCK_HZ)
        last = origin + round((ended_s - origin_s) * RTP_CLOCK_HZ)
        # Blocks that reach into the spell by as little as a sample; their parts outside are taken off again
        # below.
        held = np.flatnonzero(sound & (playback.stamps > first - BLOCK_SAMPLES) & (playback.stamps < last))
        if not len(held):
            continue
        begin, end = int(held[0]), int(held[-1]) + 1
        # Within its block the spell may begin later, and end sooner.
        late = max(0, first - int(playback.stamps[begin])) / SAMPLE_RATE_HZ
        early = max(0, int(playback.stamps[end - 1]) + BLOCK_SAMPLES - last) / SAMPLE_RATE_HZ
        whole, *gaps = _spans(playback, begin, end, device_s)
        spell = replace(whole, from_s=whole.from_s + late, until_s=whole.until_s - early)
        spans += [spell, *gaps]
        listened_s += spell.until_s - spell.from_s
    return Heard(spans=tuple(spans), listened_s=listened_s)


def heard_throughout(playback: Playback, *, device_s: float) -> Heard:
    """Return the same where what was played cannot be told from what was said: one spell, from first sound to last."""
    held = np.flatnonzero(_sounding(playback))
    if not len(held):
        return Heard()
    spell, *gaps = _spans(playback, int(held[0]), int(held[-1]) + 1, device_s)
    return Heard(spans=(spell, *gaps), listened_s=spell.until_s - spell.from_s)


def _sounding(playback: Playback) -> npt.NDArray[np.bool_]:
    """Return of each block whether any of it is the sender's sound."""
    sound: npt.NDArray[np.bool_] = (playback.stamps != NO_SOUND) & (playback.concealed < BLOCK_SAMPLES)
    return sound


def _spans(playback: Playback, begin: int, end: int, device_s: float) -> Iterator[Span]:
    """Yield blocks ``begin`` to ``end`` as one spell, then every gap in them."""
    period_s = BLOCK_S / (1 + playback.drift)
    at_s = playback.start_s + device_s
    yield Span(what="heard", from_s=at_s + begin * period_s, until_s=at_s + end * period_s)
    yield from _gaps(playback.concealed[begin:end], at_s + begin * period_s, period_s)


def _gaps(concealed: npt.NDArray[np.uint16], at_s: float, period_s: float) -> Iterator[Span]:
    """Yield the gaps of ``LEAST_GAP_S`` or more in blocks from ``at_s`` on: made-up sound in a row, and no more of it.

    ``concealed`` are the samples of each block that were made up, shape (blocks,).
    """
    # False at both ends, so that every run has two edges.
    made_up = np.concatenate(([False], concealed > 0, [False]))
    edges = np.flatnonzero(made_up[1:] != made_up[:-1])
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        # The samples that were made up, not the blocks: at both ends a block may be made up in part.
        lasted_s = int(concealed[begin:end].sum()) / BLOCK_SAMPLES * period_s
        if lasted_s >= LEAST_GAP_S - _HAIR_S:
            # Where a block is made up in part, the sound ended in it, or began again: the run is as long as it was.
            from_s = at_s + begin * period_s + (BLOCK_SAMPLES - int(concealed[begin])) / BLOCK_SAMPLES * period_s
            yield Span(what="gap", from_s=from_s, until_s=from_s + lasted_s)
