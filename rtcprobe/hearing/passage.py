"""When each packet of one voice left and came, and what it sounds like on the talker's own clock.

Facts:
    A jitter buffer stretches time; what arrived, decoded in the order of its timestamps, does not. Decoded sound lags
    what was encoded by the look-ahead: the sample ``n`` of a mouth is the sample ``n + look-ahead`` of what comes out,
    and may be in the packet after its own.

Rules:
    1. A packet has come when the first of its copies has; one that never came left a gap, which is silence here.
    2. A gap in timestamps without one in sequence numbers is none: nothing was sent (DTX).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.pcm import Pcm
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.copies import Left
from rtcprobe.recording import Said
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import RTP_CYCLE, unwrapped

__all__ = ["LOOK_AHEAD_SAMPLES", "Leaving", "Passage"]

LOOK_AHEAD_SAMPLES = 312
"""Of libopus in its usual modes (6.5 ms); an agent's own cannot be asked for."""

# As long as a call may be (``scenario.plans``): a damaged timestamp must not ask for more memory.
_LONGEST_SAMPLES = 4 * 3600 * RTP_CLOCK_HZ


class Passage:
    """The packets of one voice on one way. Positions are samples of decoded sound since the first packet that came.

    ``arrivals`` have a frame each (RED unpacked).
    """

    def __init__(self, arrivals: Arrivals) -> None:
        stamps = arrivals.timestamps
        reference = int(stamps[0]) if len(stamps) else 0
        order = np.argsort(arrivals.at_s, kind="stable")
        unwrapped_stamps = unwrapped(stamps, reference, 32)[order] if len(stamps) else np.zeros(0, dtype=np.int64)
        # ``unique`` gives the first place of each in the order of arrival: the first copy counts (rule 1).
        known, first = np.unique(unwrapped_stamps, return_index=True)
        self._stamps: npt.NDArray[np.int64] = known
        self._places: npt.NDArray[np.intp] = order[first]
        self._came_s: npt.NDArray[np.float64] = arrivals.at_s[self._places] if len(known) else np.zeros(0)
        self._arrivals = arrivals
        self.base = int(known[0]) if len(known) else 0
        """The RTP time (unwrapped) of position 0."""

    @cached_property
    def _sizes(self) -> npt.NDArray[np.int64]:
        """How many samples each packet holds, shape (packets,)."""
        decoder = OpusDecoder()
        sizes = []
        for place in self._places.tolist():
            try:
                sizes.append(decoder.duration_samples(self._arrivals.payload(place)))
            except ValueError:
                # A payload that is no Opus holds nothing; the next packet's timestamp says what is missing.
                sizes.append(0)
        return np.array(sizes, dtype=np.int64)

    @cached_property
    def sound(self) -> Pcm:
        """What came, decoded in order; silence where nothing did. Shape (samples,)."""
        if not len(self._stamps):
            return np.zeros(0, dtype=np.float32)
        length = int(self._stamps[-1] - self.base + self._sizes[-1])
        out = np.zeros(min(length, _LONGEST_SAMPLES), dtype=np.float32)
        decoder = OpusDecoder()
        for stamp, place in zip(self._stamps.tolist(), self._places.tolist(), strict=True):
            try:
                sound = decoder.decode(self._arrivals.payload(place))
            except ValueError:
                continue
            at = stamp - self.base
            part = out[at : at + len(sound)]
            part[:] = sound[: len(part)]
        return out

    def position(self, timestamp: int) -> int:
        """Return the position that has an RTP timestamp (of any number of bits)."""
        return unwrapped(timestamp % RTP_CYCLE, self.base, 32) - self.base

    def came_s(self, position: int) -> float | None:
        """Return when the packet that holds ``position`` came, or the next one that did; None: none came after it."""
        place = self._holding(position)
        return None if place is None else float(self._came_s[place])

    def stamp(self, position: int) -> int | None:
        """Return the RTP timestamp, 32 bits, of the packet that ``came_s`` is about."""
        place = self._holding(position)
        return None if place is None else int(self._stamps[place]) % RTP_CYCLE

    def lost_before(self, position: int) -> bool:
        """Return whether ``position`` is in a packet that never came, or just after one."""
        place = self._holding(position)
        if place is None or place == 0:
            return place is None
        missing = int(self._stamps[place] - self._stamps[place - 1] - self._sizes[place - 1])
        # The packet before reaches up to this one, or overlaps it: nothing is missing between.
        if missing <= 0:
            return False
        numbers = self._arrivals.sequences
        step = (int(numbers[self._places[place]]) - int(numbers[self._places[place - 1]])) % (1 << 16)
        # Numbers that follow each other across a gap in time are silence that was never sent (rule 2).
        return step != 1 and position - (int(self._stamps[place]) - self.base) < _NEAR_SAMPLES

    def _holding(self, position: int) -> int | None:
        """Return the place of the packet that holds ``position``, or of the first after it."""
        stamp = self.base + position
        place = int(np.searchsorted(self._stamps, stamp, side="right")) - 1
        if place >= 0 and stamp >= self._stamps[place] + self._sizes[place]:
            place += 1
        place = max(place, 0)
        return place if place < len(self._stamps) else None


class Leaving:
    """When what a mouth of ours says left: asked by the number of a sample, or by a packet's timestamp."""

    def __init__(self, said: Said) -> None:
        self._left = Left(said.departures)
        self._size = round(said.ptime_s * RTP_CLOCK_HZ)
        self._first = next((index for index, frame in enumerate(said.frames) if frame is not None), 0)

    def timestamp(self, sample: int) -> int:
        """Return the RTP timestamp, 32 bits, of the packet that delivers ``sample``: its own or the next."""
        if not len(self._left):
            return 0
        # The decoder gives a sample out its look-ahead later, which may be in the packet after its own.
        ahead = (sample + LOOK_AHEAD_SAMPLES) // self._size - self._first
        return (int(self._left.timestamp[0]) + ahead * self._size) % RTP_CYCLE

    def left_s(self, timestamp: int) -> float | None:
        """Return when the packet of that timestamp left; None where none did."""
        place = self._left.place(timestamp)
        return None if place < 0 else float(self._left.at_s[place])


_NEAR_SAMPLES = 480
"""An onset this near to the end of a gap may have been in it."""
