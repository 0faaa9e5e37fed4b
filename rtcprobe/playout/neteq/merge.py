"""Coming back from concealment: into the next packet after a loss, or into the one that was merely late.

Facts:
    After a loss the new packet is laid where it fits the concealment best, up to a pitch period later than it would
    start, and faded in over 7.5 ms. The listener gets that much more sound; the delay moves with it. After a late
    packet nothing is searched: one millisecond of cross-fade, and the delay has grown by what was concealed.

Source: ``merge.cc``, ``normal.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from rtcprobe.playout.base import BLOCK_SAMPLES, Pcm
from rtcprobe.playout.neteq.dsp import DECIMATION, ENERGY_UNIT, OVERLAP_SAMPLES, downsample, fade_in, peak, ramp
from rtcprobe.playout.neteq.expand import Expand
from rtcprobe.playout.neteq.sync import SyncBuffer

__all__ = ["Merged", "merge", "normal_after_expand"]

# Upstream's lengths are of 8 kHz (fs_mult 6 at 48 kHz): 25 ms of concealment, searched at 4 kHz over 60 positions,
# faded over 7.5 ms, levels compared over 8 ms.
_M: Final = 6
_EXPANDED: Final = 202 * _M
_EXPANDED_POINTS: Final = 100
_INPUT_POINTS: Final = 40
_POSITIONS: Final = 60
_FADE: Final = 60 * _M
_LEVEL_SAMPLES: Final = 64 * _M
_MERGE_RAMP: Final = 0.004 / _M
_NORMAL_RAMP: Final = 64 // _M / 16384
_NORMAL_FADE: Final = 48
_MOST_BORROWED: Final = _EXPANDED


class Merged(NamedTuple):
    """The future of the sync buffer after a merge, and how much of its beginning is concealment."""

    samples: Pcm
    invented: int


def merge(decoded: Pcm, expand: Expand, sync: SyncBuffer) -> Merged:
    """Return what replaces all unplayed sound: ``decoded`` where it fits the concealment best."""
    borrowed = min(sync.future, _MOST_BORROWED)
    expand.hold_for_merge()
    period = expand.process(sync)
    expanded = np.concatenate([sync.data[sync.next : sync.next + borrowed], *[period] * (_EXPANDED // len(period) + 1)])
    expanded = expanded[:_EXPANDED]
    gain = max(expand.mute, min(1.0, _level_ratio(expanded, decoded)))
    at = _alignment(decoded, expanded, borrowed, expand.longest_lag)
    # Back to its own level by 0.4 % per 1/8 ms, but within the packet at the latest.
    if gain < 1.0:
        decoded = decoded * ramp(gain, max(_MERGE_RAMP, (1 - gain) / len(decoded)), len(decoded))
    fade = min(_FADE, len(expanded) - at, len(decoded))
    old = expanded[at : at + fade]
    mixed = old + fade_in(fade) * (decoded[:fade] - old)
    return Merged(np.concatenate([expanded[:at], mixed, decoded[fade:]]), at)


def normal_after_expand(decoded: Pcm, expand: Expand, sync: SyncBuffer, background_energy: float) -> Pcm:
    """Return ``decoded`` faded in over a millisecond, from the level the concealment had sunk to; ends the gap."""
    expand.hold_for_normal()
    period = expand.process(sync)
    expand.reset()
    count = min(_LEVEL_SAMPLES, len(decoded))
    energy = float(decoded[:count] @ decoded[:count]) * ENERGY_UNIT / count
    gain = max(expand.mute, (background_energy / energy) ** 0.5 if energy > background_energy else 1.0)
    sound: Pcm = decoded * ramp(gain, max(_NORMAL_RAMP, (1 - gain) / len(decoded)), len(decoded))
    fade = min(_NORMAL_FADE, len(period), len(decoded))
    weight = fade_in(fade)
    sound[:fade] = period[:fade] + weight * (sound[:fade] - period[:fade])
    return sound


def _level_ratio(expanded: Pcm, decoded: Pcm) -> float:
    count = min(_LEVEL_SAMPLES, len(decoded))
    old, new = expanded[:count], decoded[:count]
    energy = float(new @ new)
    before = float(old @ old)
    return (before / energy) ** 0.5 if energy > before else 1.0


def _alignment(decoded: Pcm, expanded: Pcm, borrowed: int, longest_lag: int) -> int:
    """Return where in ``expanded`` the new packet starts, far enough in for a tick and the overlap to be there."""
    low_expanded = downsample(expanded, 0, _EXPANDED_POINTS)
    if len(decoded) > BLOCK_SAMPLES:
        low_input = downsample(decoded, 0, _INPUT_POINTS)
    else:
        whole = max(0, (len(decoded) - 6) // DECIMATION)
        low_input = np.zeros(_INPUT_POINTS, dtype=np.float32)
        if whole:
            low_input[:whole] = downsample(decoded, 0, whole)
    stop = min(_POSITIONS, longest_lag // DECIMATION + 1)
    correlation = np.zeros(_POSITIONS + 2 * OVERLAP_SAMPLES)
    correlation[:stop] = np.correlate(low_expanded[: stop + _INPUT_POINTS - 1], low_input, "valid")
    # A tick and the overlap must be there after it, whatever little was decoded.
    start = max(0, max(borrowed, BLOCK_SAMPLES + OVERLAP_SAMPLES) - len(decoded))
    first = start // DECIMATION
    searched = min(stop, _POSITIONS + OVERLAP_SAMPLES - 1 - first)
    return start + peak(correlation[first:], searched, spare=True)[1]
