"""What became of every frame that was sent: when it left, arrived, was taken up and played, or that it never was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus_packet import has_fec
from rtcprobe.hearing.speech import Spoken
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.copies import Left
from rtcprobe.playout.replay import Playback
from rtcprobe.recording import Said
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import RTP_CYCLE, unwrapped

__all__ = ["Seconds", "SentFrames", "Ways"]

Seconds = npt.NDArray[np.float64]

# 5 ms: finer than the 15 ms that a stretch cuts out of a frame at most, so that some instant of a frame that
# was played is found, and coarse enough to ask four times for 20 ms.
_STEP_SAMPLES = 240
_NOTHING_BYTES = 2  # of frames this small nothing is played: they say so (``opus_packet.is_dtx``)


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The ways of the frames that were played, in the order sent: places in the speech, and each wait, shape (frames,).

    Waits are seconds: from due to leave until left, until arrived, until taken up, until played.
    """

    places: npt.NDArray[np.int64]
    pacing_s: Seconds
    network_s: Seconds
    block_s: Seconds
    buffer_s: Seconds

    def mean_waits(self, first: int, last: int) -> tuple[float, float, float, float] | None:
        """Return the mean pacing, network, buffer and block times of frames ``first`` to ``last``; None without any."""
        begin, end = self.places.searchsorted((first, last + 1)).tolist()
        if begin == end:
            return None
        pacing_s, network_s, buffer_s, block_s = (
            sum(waits_s[begin:end].tolist()) / (end - begin)
            for waits_s in (self.pacing_s, self.network_s, self.buffer_s, self.block_s)
        )
        return pacing_s, network_s, buffer_s, block_s


class SentFrames:
    """Every frame of one talker's, in the order sent; arrays are of shape (frames,).

    ``whole`` is what arrived, a frame a packet; ``arrivals`` what the playout was given, and ``playback`` what it made.
    """

    def __init__(self, said: Said, spoken: Spoken, *, whole: Arrivals, arrivals: Arrivals, playback: Playback) -> None:
        self._said = said
        self._left = Left(said.departures)
        self._spoken = spoken
        self._whole = whole
        self._arrivals = arrivals
        self._playback = playback

    def ways(self, started_s: float, taken_s: Callable[[Seconds], Seconds]) -> Ways:
        """Return the ways of those that arrived and had their first sample played.

        ``started_s`` is when frame 0 begins; ``taken_s`` tells from when packets arrived when playout saw them.
        """
        stamps, at_s = self._whole.timestamps, self._whole.at_s
        # By timestamp, of which there is one a frame: SRTP let no copy through, and RED was unpacked to the
        # first.
        order = np.argsort(stamps, kind="stable")
        known = stamps[order]
        last = np.searchsorted(known, self._left.timestamp, side="right") - 1
        came = (last >= 0) & (known[last] == self._left.timestamp) if len(known) else np.zeros(len(last), dtype=bool)
        kept = np.flatnonzero(came & ~np.isnan(self._played_s))
        arrived_s, left_s = at_s[order[last[kept]]], self._left.at_s[kept]
        places = self._places[kept]
        # A frame can leave when its last sample was spoken.
        due_s = started_s + (places + 1) * self._spoken.codec.frame_samples / RTP_CLOCK_HZ
        seen_s = taken_s(arrived_s)
        return Ways(places, left_s - due_s, arrived_s - left_s, seen_s - arrived_s, self._played_s[kept] - seen_s)

    @cached_property
    def unplayed(self) -> npt.NDArray[np.bool_]:
        """Of each frame that said something, whether its sound never came out: it never came, or too late."""
        stamps = self._whole.timestamps
        if self._spoken.codec.fec:
            size = self._spoken.codec.frame_samples
            # The frame before came with this one: whether it was played is asked of the playout, as of any
            # other.
            told = [(packet.timestamp - size) % RTP_CYCLE for _, packet in self._whole if has_fec(packet.payload)]
            stamps = np.concatenate([stamps, np.array(told, dtype=np.int64)])
        unplayed = ~np.isin(self._left.timestamp, stamps) | np.isnan(self._played_s)
        sizes = self._spoken.frames.sizes
        # A speech may go round: the place in the call, by the length of what was encoded, is the place in it.
        said: npt.NDArray[np.bool_] = sizes[self._places % max(1, len(sizes))] > _NOTHING_BYTES
        return unplayed[said]

    @property
    def origin(self) -> tuple[int, int] | None:
        """The RTP time of the first that was sent, as playout unwraps it, and its place; None where nothing came."""
        if not len(self._left) or not len(self._arrivals):
            return None
        stamp = unwrapped(self._left.timestamp[:1], self._arrivals[0][1].timestamp, 32)
        return int(stamp[0]), self._said.first_sent

    @cached_property
    def _places(self) -> npt.NDArray[np.int64]:
        """The place of each in the speech."""
        stamps = self._left.timestamp
        if not len(stamps):
            return stamps
        first = self._said.first_sent
        places: npt.NDArray[np.int64] = first + (stamps - stamps[0]) % RTP_CYCLE // self._spoken.codec.frame_samples
        return places

    @cached_property
    def _played_s(self) -> Seconds:
        """When each began to play; NaN where nothing of it was played."""
        instants = np.full(len(self._left), np.nan)
        if not len(self._arrivals):
            return instants
        # Accelerating cuts up to 15 ms out of a frame that is played all the same, so it is asked for all along.
        stamps = unwrapped(self._left.timestamp, self._arrivals[0][1].timestamp, 32)
        for inside in range(0, self._spoken.codec.frame_samples, _STEP_SAMPLES):
            missing = np.isnan(instants)
            instants[missing] = self._playback.play_instants(stamps[missing] + inside) - inside / RTP_CLOCK_HZ
        return instants
