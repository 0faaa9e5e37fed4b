"""An ear for recordings of any length: it listens stretch by stretch and forgets what it has heard.

Facts:
    A minute of sound and its spectra are 14 MB, an hour of them would be 860.
    A matched filter wants the spectrum of what is around a marker; a minute of it is as good as an hour.

Rules:
    1. Every marker is looked for as far as ``ear.listen`` looks, ``MAX_DELAY_S``: a stretch reaches that far beyond its
       last marker, and markers spoken there take part, so that none of theirs is taken for one before them. What
       became of those is the next stretch's matter.
    2. Stretches are about ``STRETCH_S`` of speech; a speech of less than one and a half is one, heard as ``listen``
       hears the whole.
    3. A loudspeaker that drifts is heard on its own clock, set right at the beginning of every stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtcprobe.audio.ear import MAX_DELAY_S, Hearing, MarkerOutcome, listen
from rtcprobe.audio.marker import MARKER_S, Marker, MarkerTrain
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm

__all__ = ["STRETCH_S", "LongEar"]

# With the 10 s and more behind it a stretch is about a minute: 14 MB, as said above, whatever the call's
# length.
STRETCH_S = 45.0
_LEAD_S = 0.1  # what a stretch begins with before its first marker: room for the tails of the whitened marker
# Sound is kept as bytes of float32, which grow in place and are forgotten from the front.
_SAMPLE_BYTES = 4
_BLOCK_SAMPLES = 480  # what a loudspeaker asks for at a time: 10 ms
_TAIL_S = 0.5  # and ends with, behind the latest instant at which its last marker may begin


class LongEar:
    """Hears a recording block by block.

    Args:
        train: where the markers come from; bounds the delay.
        markers: those scheduled, in the order spoken.
        start_s: when the recording's first sample left the loudspeaker, on the clock of ``Marker.spoken_s``.
        advance_s: as ``listen`` has it.
        drift: how much faster than true the loudspeaker's clock runs, as a ratio.
    """

    def __init__(
        self,
        train: MarkerTrain,
        markers: Sequence[Marker],
        start_s: float,
        *,
        advance_s: float = 0.0,
        drift: float = 0.0,
        stretch_s: float = STRETCH_S,
    ) -> None:
        self._train = train
        self._markers = markers
        self._start_s = start_s
        self._advance_s = advance_s
        self._drift = drift
        spoken_s = markers[-1].spoken_s - markers[0].spoken_s if markers else 0.0
        count = max(1, round(spoken_s / stretch_s))
        self._bounds = [len(markers) * part // count for part in range(count + 1)]
        self._outcomes: list[MarkerOutcome] = []
        self._after_s = -math.inf  # nothing spoken later can be heard before
        self._sound = bytearray()  # of float32
        self._begin = 0  # sample of the recording that _sound begins with
        self._end = self._sample(self._latest_s(self._bounds[1] - 1)) if count > 1 else None

    def hear(self, sound: Pcm) -> None:
        """Take the recording's next samples, whole blocks: what a stretch holds does not go by how many at once."""
        while self._end is not None:
            lacking = self._end - self._begin - len(self._sound) // _SAMPLE_BYTES
            if len(sound) < max(lacking, 1):
                break
            # Rounded up to whole blocks, so that a stretch ends at the same sample however the recording was
            # handed over: its spectrum whitens, and another length would change every ρ a little.
            first = max(-(-lacking // _BLOCK_SAMPLES), 1) * _BLOCK_SAMPLES
            self._sound += sound[:first].data
            sound = sound[first:]
            self._listen()
        self._sound += sound.data

    def hearing(self) -> Hearing:
        """Return what became of every marker, now that the recording has ended."""
        while len(self._bounds) > 1:
            self._listen()
        return Hearing(tuple(self._outcomes))

    def _listen(self) -> None:
        """Hear the first stretch that is left, and forget it."""
        first, behind = self._bounds[:2]
        latest_s = self._latest_s(behind - 1) if behind < len(self._markers) else math.inf
        guards = sum(marker.spoken_s <= latest_s for marker in self._markers[behind:])
        start_s = self._start_s + self._begin / (SAMPLE_RATE_HZ * (1 + self._drift))
        heard = listen(
            np.frombuffer(self._sound, dtype=np.float32),
            start_s,
            self._train,
            self._markers[first : behind + guards],
            advance_s=self._advance_s,
            # Onto the loudspeaker's clock, on which ``listen`` works here; the outcomes come back from it
            # below.
            after_s=start_s + (self._after_s - start_s) * (1 + self._drift),
        )
        if self._drift:
            heard = heard.with_clock(lambda heard_s: start_s + (heard_s - start_s) / (1 + self._drift))
        own = heard.outcomes[: behind - first]
        self._outcomes += own
        instants_s = [each.heard_s for each in own if each.heard_s is not None]
        if instants_s:
            self._after_s = max(instants_s) + MARKER_S
        self._forget()

    def _forget(self) -> None:
        """Turn to the next stretch."""
        self._bounds.pop(0)
        if len(self._bounds) == 1:
            self._sound = bytearray()
            return
        # Not before what is kept: of a marker that was spoken in the last stretch nothing earlier is left.
        begin = max(self._begin, self._sample(self._markers[self._bounds[0]].spoken_s - _LEAD_S))
        # Never in place: whoever looks at frames (a profiler, as Dask's workers run one) may still hold the stretch.
        self._sound = self._sound[(begin - self._begin) * _SAMPLE_BYTES :]
        self._begin = begin
        self._end = self._sample(self._latest_s(self._bounds[1] - 1)) if len(self._bounds) > 2 else None

    def _latest_s(self, marker: int) -> float:
        """Return until when a stretch goes on that ends with ``marker``."""
        return self._markers[marker].spoken_s + MAX_DELAY_S + _TAIL_S

    def _sample(self, at_s: float) -> int:
        """Return which sample of the recording is played at ``at_s``."""
        return math.floor((at_s - self._start_s) * SAMPLE_RATE_HZ * (1 + self._drift))
