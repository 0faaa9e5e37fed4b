"""Which packet that came back to a page is which that left it, through a server that names packets anew.

Facts:
    - A server that echoes gives packets a source, numbers and timestamps of its own, and encrypts them anew: nothing in
      them is as it was but how much they weigh, less what header extensions it leaves out (the same of every packet).
    - Opus at a variable bit rate, which is what browsers send (RFC 7587 §6.1: ``cbr`` is 0), gives a packet of speech
      another size than the one before it: a second of them is as good as a fingerprint.

Rules:
    1. Timestamps differ by one number, the one for which most sizes agree; where fewer than ``_ALIKE`` do, or a second
       number is about as good, nothing is known.
    2. The first packet that came is one of the last ``_COMPARED`` that had left by then: no other is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.recording import Departure
from rtcprobe.wrapping import RTP_CYCLE

__all__ = ["there_and_back_s"]

_LEAST: Final = 50
"""Packets: a second of them."""
# Of the packets compared. The rest may be lost on the way back, or have left beyond the compared stretch.
_ALIKE: Final = 0.8
_RIVAL: Final = 0.8
"""Of the agreement of the best number, what no other may reach: a turn of speech that repeats agrees with the next."""
_COMPARED: Final = 500
"""Packets: ten seconds of those that came are compared, and as many that left are tried for the first of them."""


def there_and_back_s(left: Sequence[Departure], came: Sequence[Departure]) -> npt.NDArray[np.float64]:
    """Return how long each packet that came back was away, shape (packets,); empty where that cannot be told."""
    gone, back = _columns(left), _columns(came)
    if len(gone[0]) < _LEAST or len(back[0]) < _LEAST:
        return np.zeros(0)
    # In the order of leaving, before the sort below: the candidates for the
    # first packet are the last that had left by then.
    before = gone[0][: np.searchsorted(gone[1], back[1][0], side="right")][-_COMPARED:]
    if not len(before):
        return np.zeros(0)
    order = np.argsort(gone[0])
    # In the order of timestamps, which ``searchsorted`` needs; where they
    # wrap within a call, leaving order is another one.
    gone = gone[0][order], gone[1][order], gone[2][order]
    # At most 500 offsets, of 500 packets each, asked once a call: trying them all is cheap enough.
    scores = {offset: _alike(gone, back, offset) for offset in ((back[0][0] - before) % RTP_CYCLE).tolist()}
    best, *others = sorted(scores, key=lambda offset: scores[offset], reverse=True)
    if scores[best] < _ALIKE or (others and scores[others[0]] > _RIVAL * scores[best]):
        return np.zeros(0)
    here, there = _pairs(gone, back[0], best)
    away_s: npt.NDArray[np.float64] = back[1][here] - gone[1][there]
    return away_s


_Columns = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]
"""Timestamps, instants (seconds) and sizes (bytes) of packets, each of shape (packets,)."""


def _columns(packets: Sequence[Departure]) -> _Columns:
    """Return the first copy of each packet, in the order they were noted."""
    first = {each.timestamp: each for each in reversed(packets)}
    # Retransmissions and duplicates have the same timestamp: reversed, the first noted overwrites them.
    once = sorted(first.values(), key=lambda each: each.at_s)
    return (
        np.array([each.timestamp for each in once], dtype=np.int64),
        np.array([each.at_s for each in once]),
        np.array([each.size_bytes for each in once], dtype=np.int64),
    )


def _pairs(
    gone: _Columns, stamps: npt.NDArray[np.int64], offset: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the places of packets that came back, and of those that they were; ``gone`` in the order of timestamps."""
    wanted = (stamps - offset) % RTP_CYCLE
    at = np.minimum(np.searchsorted(gone[0], wanted), len(gone[0]) - 1)
    here = np.flatnonzero(gone[0][at] == wanted)
    return here, at[here]


def _alike(gone: _Columns, back: _Columns, offset: int) -> float:
    """Return of how many of the packets that came the size differs by what that of most does."""
    here, there = _pairs(gone, back[0][:_COMPARED], offset)
    if len(here) < _LEAST:
        return 0.0
    # The server's header extensions shift all sizes by the same: only the most frequent difference counts.
    _, counts = np.unique(back[2][here] - gone[2][there], return_counts=True)
    return float(counts.max()) / min(len(back[0]), _COMPARED)
