"""The sync buffer: decoded sound, of which the last 0.625 ms are always kept back to be faded into what comes next.

Rules:
    1. ``end_timestamp`` is the RTP time the next decoded sample should have. Concealment does not move it, decoding
       does; so ``end_timestamp - future`` is the RTP time being played, which a gap leaves standing.
    2. Which samples were invented is known to the sample, for the listener's account of a block.

Source: ``sync_buffer.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rtcprobe.playout.base import Pcm
from rtcprobe.playout.neteq.dsp import OVERLAP_SAMPLES

__all__ = ["HISTORY_SAMPLES", "SyncBuffer"]

HISTORY_SAMPLES: Final = 5760 + 60 * 48
"""What stays readable behind the end: 120 ms and 60 ms more, as upstream."""

_CAPACITY: Final = 1 << 16
"""1.4 s: what has to stay is moved to the front about once a second, not whenever sound is pushed."""


class SyncBuffer:
    """A sliding array: ``data[next:end]`` is decoded and not yet played."""

    __slots__ = ("_invented", "data", "end", "end_timestamp", "next", "trailing_invented")

    def __init__(self) -> None:
        self.data: Pcm = np.zeros(_CAPACITY, dtype=np.float32)
        self.end = HISTORY_SAMPLES
        # As if a whole history of silence had been played: the first concealment finds something to look back
        # at.
        self.next = HISTORY_SAMPLES - OVERLAP_SAMPLES
        self.end_timestamp = 0
        self.trailing_invented = 0
        """Samples made up since the last decoded one."""
        # (first, one after the last) of made-up stretches, as indexes of ``data``: few, for each read forgets
        # what it passed.
        self._invented: list[tuple[int, int]] = []

    @property
    def future(self) -> int:
        """Samples not yet played, the overlap included."""
        return self.end - self.next

    @property
    def whole(self) -> bool:
        """Whether nothing made up is left to be played."""
        return not self._invented and not self.trailing_invented

    def make_room(self) -> None:
        """Let half of ``data`` be free behind the end."""
        if self.end > _CAPACITY // 2:
            self._slide()

    def push(self, samples: Pcm) -> None:
        """Append sound."""
        end = self.end + len(samples)
        if end > _CAPACITY:
            self._slide()
            end = self.end + len(samples)
        self.data[self.end : end] = samples
        self.end = end
        self.trailing_invented = 0

    def push_invented(self, samples: Pcm) -> None:
        """Append sound the sender never made."""
        trailing = self.trailing_invented + len(samples)
        self.push(samples)
        self.trailing_invented = trailing
        self._invented.append((self.end - len(samples), self.end))

    def replace_future(self, samples: Pcm, invented: int) -> None:
        """Let ``samples``, the first ``invented`` of them made up, take the place of all that was not yet played."""
        start = self.next
        self._invented = [(first, min(last, start)) for first, last in self._invented if first < start]
        self._invented.append((start, start + invented))
        self.rewrite(start, samples)

    def rewrite(self, start: int, samples: Pcm) -> None:
        """Let ``samples`` follow ``start``, an index of ``data``."""
        if start + len(samples) > _CAPACITY:
            behind = self.end - start
            self._slide()
            start = self.end - behind
        self.end = start + len(samples)
        self.data[start : self.end] = samples
        self.trailing_invented = 0

    def read(self, count: int) -> Pcm:
        """Play ``count`` samples; the overlap stays unplayed, what it lacks is played twice; a lack is silence."""
        start = self.next
        lacking = count - self.future
        if lacking > 0:
            self.push_invented(np.zeros(lacking, dtype=np.float32))
            start = self.next
        block = self.data[start : start + count].copy()
        # The overlap is never played away: what comes next is faded into it.
        self.next = min(start + count, self.end - OVERLAP_SAMPLES)
        return block

    def pass_on(self, samples: Pcm, count: int) -> Pcm:
        """Append decoded sound of any length, play ``count`` samples and return them; nothing made up waits."""
        future = self.future
        whole = np.concatenate([self.data[self.end - max(HISTORY_SAMPLES, future) : self.end], samples])
        begin = len(whole) - len(samples) - future
        left = len(whole) - begin - count
        keep = max(HISTORY_SAMPLES, left + 1)
        self.data[:keep] = whole[-keep:]
        self.end, self.next = keep, keep - left
        return whole[begin : begin + count]

    def invented_in_last(self, count: int) -> int:
        """Return how many of the ``count`` samples before ``next`` were made up, and forget those before them."""
        if not self._invented:
            return 0
        stop, start = self.next, self.next - count
        found = sum(max(0, min(last, stop) - max(first, start)) for first, last in self._invented)
        self._invented = [span for span in self._invented if span[1] > stop]
        return found

    def _slide(self) -> None:
        keep = max(HISTORY_SAMPLES, self.future + 1)
        moved = self.end - keep
        self.data[:keep] = self.data[moved : self.end].copy()
        self.end = keep
        self.next -= moved
        self._invented = [(first - moved, last - moved) for first, last in self._invented]
