"""Another sample rate: the polyphase windowed sinc of ``scipy.signal.resample_poly``, without its seconds of import.

Rules:
    The filter reaches ten zero crossings of the narrower band each way, under a Kaiser window of β = 5: nothing is
    delayed, and a sound in the lower two thirds of the band comes out within 0.3 %.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rtcprobe.audio.pcm import Pcm

__all__ = ["resampled"]

# Both are ``resample_poly``'s own (its default window is Kaiser's with β = 5, ten periods of the slower rate
# each way).
_ZERO_CROSSINGS = 10
_KAISER_BETA = 5.0


def resampled(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """Return ``pcm`` (shape (samples,)) of ``from_hz`` at ``to_hz``: shape (⌈samples · to_hz / from_hz⌉,)."""
    common = gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    if up == down:
        return pcm
    half = _ZERO_CROSSINGS * max(up, down)
    sinc = np.sinc(np.arange(-half, half + 1) / max(up, down)) * np.kaiser(2 * half + 1, _KAISER_BETA)
    # Gain ``up`` makes good for the zeros that lie between samples on the finer grid; the zeros behind let
    # every phase have as many taps.
    taps = np.append(sinc * up / sinc.sum(), np.zeros(up))
    reach = 2 * half // up + 1
    heard = sliding_window_view(np.concatenate((np.zeros(reach), pcm, np.zeros(half // up + 1))), reach)
    out = np.empty(-(-len(pcm) * up // down))
    # Sample n lies at n · down on the grid of both rates, and every up-th point of that grid holds a sample of pcm: so
    # every up-th sample n meets the same taps.
    for first in range(min(up, len(out))):
        last, phase = divmod(first * down + half, up)
        part = out[first::up]
        part[:] = heard[last + 1 :: down][: len(part)] @ taps[phase::up][:reach][::-1]
    return out.astype(np.float32)
