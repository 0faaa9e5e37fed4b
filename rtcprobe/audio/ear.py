"""The ear: where in a recording each marker was heard, and what became of those that were not.

Facts:
    What is compared with the gate is ρ, the normalised correlation of recording and marker, both whitened, over the
    marker's 80 ms: 1 for a perfect copy, about 0.05 RMS for anything unrelated (``matched``).

Rules:
    1. Every scheduled marker ends as heard, rejected or lost, with its reason: scheduled = heard + rejected + lost.
    2. Nothing is heard before it is spoken, nor more than ``max_delay_s`` after; that bound is shorter than the
       period of the codes, so a code names one marker.
    3. Sound leaves a loudspeaker in the order it was spoken, one marker at a time: peaks are given away best first,
       and a marker cannot be heard before, or within, one that was spoken earlier. (Over speech this is what
       keeps a damaged marker from being found in its neighbour, which it resembles by up to 0.5.)
    4. A marker heard twice could be another talker's who speaks the same codes (a second rtcprobe in the room): where
       two peaks reach the gate it is rejected. (Other codes resemble its own by up to 0.5, in part.)
    5. An instant is only given when ρ reaches the gate. Below it the marker was hit by concealment or stretching,
       and the time of its peak says little: rejected. Below the floor there was nothing like it: lost.

How:
    Markers are looked for within two seconds of being spoken; those not heard, again up to ``max_delay_s`` between
    their neighbours, and all of them when most were not heard.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.marker import MARKER_S, MARKER_SAMPLES, Marker, MarkerTrain
from rtcprobe.audio.matched import Peak, Search, Wanted
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.errors import BadInputError
from rtcprobe.units import format_duration

__all__ = ["FLOOR", "GATE", "MAX_DELAY_S", "Hearing", "MarkerOutcome", "listen"]

# As long as receivers hold anything, and shorter than the 12 s after which a code comes again (rule 2).
MAX_DELAY_S = 10.0

GATE = 0.6
"""The least ρ that gives an instant, chosen by measurement.

Whole markers reach 0.69 and more through every mode at 16 to 64 kb/s. Of markers damaged by 5 and 20 % loss and
concealment (fixed delay and NetEQ) every one above 0.6 is where the playout put its sound, within 0.05 ms, or within
the span of a stretch that fell into it. Chance stays below: 0.25 at best in 10 s of noise, 0.3 in another marker;
over speech 0.58 once the order is kept. It is also the gate of the measurements of a real libwebrtc we compare with.
"""

FLOOR = 0.35
"""The least ρ at which a marker was hit rather than lost: what chance does not reach in noise or another marker."""

# Far beyond any call that people can talk in (ITU-T G.114: 400 ms); ``MAX_DELAY_S`` is five times as many
# lags.
_NEAR_S = 2.0
_SAME_S = 1e-3  # two peaks nearer to each other than that are one, found twice


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerOutcome:
    """What became of one marker. ``heard_s`` (the clock of ``spoken_s``) is there when it was heard, only then.

    ``correlation`` is the best ρ found; ``reason`` says why it was not heard and is empty where it was.
    """

    marker: Marker
    outcome: Literal["heard", "rejected", "lost"]
    heard_s: float | None
    correlation: float
    reason: str = ""

    @property
    def delay_s(self) -> float | None:
        """Mouth-to-ear delay of this marker: heard less spoken."""
        return None if self.heard_s is None else self.heard_s - self.marker.spoken_s


@dataclass(frozen=True)
class Hearing:
    """Every scheduled marker's outcome, in the order spoken."""

    outcomes: tuple[MarkerOutcome, ...]

    @property
    def scheduled(self) -> int:
        """How many markers were to be heard."""
        return len(self.outcomes)

    @cached_property
    def heard(self) -> tuple[MarkerOutcome, ...]:
        """The markers with an instant."""
        return tuple(item for item in self.outcomes if item.outcome == "heard")

    @cached_property
    def rejected(self) -> tuple[MarkerOutcome, ...]:
        """The markers that came out damaged."""
        return tuple(item for item in self.outcomes if item.outcome == "rejected")

    @cached_property
    def lost(self) -> tuple[MarkerOutcome, ...]:
        """The markers that did not come out."""
        return tuple(item for item in self.outcomes if item.outcome == "lost")

    @cached_property
    def delays_s(self) -> npt.NDArray[np.float64]:
        """Mouth-to-ear delays of the markers heard, shape (heard,), in the order spoken."""
        return np.array([item.delay_s for item in self.heard], dtype=np.float64)

    def with_clock(self, instant: Callable[[float], float]) -> Hearing:
        """Return the same hearing told on another clock: ``instant`` turns every ``heard_s``."""
        return Hearing(
            tuple(
                item if item.heard_s is None else replace(item, heard_s=instant(item.heard_s)) for item in self.outcomes
            )
        )


def listen(
    pcm: Pcm,
    start_s: float,
    train: MarkerTrain,
    markers: Sequence[Marker],
    *,
    max_delay_s: float = MAX_DELAY_S,
    gate: float = GATE,
    advance_s: float = 0.0,
    after_s: float = -math.inf,
) -> Hearing:
    """Find each of ``markers`` in a recording.

    Args:
        pcm: the recording, shape (samples,), 48 kHz, whose first sample left the loudspeaker at ``start_s``.
        start_s: on the clock of ``Marker.spoken_s``.
        train: where the markers come from; bounds the delay.
        markers: those scheduled, usually ``train.markers(...)``.
        max_delay_s: no marker is looked for later than this after it was spoken.
        gate: the least correlation that gives an instant, 0 to 1.
        advance_s: how much earlier than its nominal look-ahead the codec delivers the marker band
            (``opus_packet.phase_advance_s``); added to every instant.
        after_s: nothing is heard before it: there the markers before these were heard.

    Raises:
        BadInputError: ``max_delay_s`` longer than the codes can tell apart, or ``gate`` outside 0 to 1.
    """
    _need_possible(train, max_delay_s, gate)
    if not markers:
        return Hearing(())
    if pcm.size < MARKER_SAMPLES:
        return Hearing(
            tuple(_unheard(marker, "lost", 0.0, "the recording is shorter than a marker") for marker in markers)
        )
    search = Search(pcm, start_s + advance_s)
    score = _Score(markers, gate, after_s)
    near_s = min(_NEAR_S, max_delay_s)
    near = [Wanted(marker, marker.spoken_s, marker.spoken_s + near_s) for marker in markers]
    for index, peaks in enumerate(search.peaks(near, gate)):
        score.offer(index, peaks)
    score.settle()
    if max_delay_s > near_s:
        if 2 * len(score.missing()) > len(markers):
            score = _Score(markers, gate, after_s)  # the delay is not a near one: what seemed heard may be chance
        missing = score.missing()
        far = [Wanted(markers[index], *score.between(index)).within(max_delay_s) for index in missing]
        for index, peaks in zip(missing, search.peaks(far, gate), strict=True):
            score.offer(index, peaks)
        score.settle()
    return Hearing(score.outcomes())


def _need_possible(train: MarkerTrain, max_delay_s: float, gate: float) -> None:
    longest_s = train.period_s - MARKER_SAMPLES / SAMPLE_RATE_HZ
    if not 0.0 < max_delay_s <= longest_s:
        every = format_duration(train.spacing_s)
        fact = f"a largest delay of {format_duration(max_delay_s)} is ambiguous with markers every {every}"
        raise BadInputError(fact, f"give more than 0ms and at most {format_duration(longest_s)}")
    if not 0.0 < gate <= 1.0:
        raise BadInputError(f"a correlation gate of {gate:g} is impossible", "give more than 0 and at most 1")


class _Score:
    """Which peak is whose (rule 3): the best peak of all is settled first."""

    def __init__(self, markers: Sequence[Marker], gate: float, after_s: float) -> None:
        self._markers = markers
        self._after_s = after_s
        self._gate = gate
        # Settled greedily, best first. Two lists that stay sorted alike, indices and instants, are rule 3 as
        # a data structure: a marker fits where its index falls between theirs and its instant, too.
        self._offers: list[tuple[float, int, float]] = []  # -ρ, index, instant: sorts best first
        self._best = [0.0] * len(markers)
        self._loud: list[list[float]] = [[] for _ in markers]  # instants of all peaks that reach the gate
        self._heard: dict[int, Peak] = {}
        self._order: list[int] = []  # indices heard, sorted, and their instants, which are sorted too
        self._instants: list[float] = []

    def offer(self, index: int, peaks: Iterable[Peak]) -> None:
        """Take the peaks found for a marker."""
        for peak in peaks:
            self._offers.append((-peak.rho, index, peak.heard_s))
            self._best[index] = max(self._best[index], peak.rho)
            if peak.rho >= self._gate:
                self._loud[index].append(peak.heard_s)

    def settle(self) -> None:
        """Give every marker its best peak that reaches the gate and is not in the way of a better one."""
        for negative, index, heard_s in sorted(self._offers):
            if -negative < self._gate:
                break
            if index in self._heard:
                continue
            after_s, before_s = self.between(index)
            if after_s < heard_s < before_s:
                at = bisect_left(self._order, index)
                self._order.insert(at, index)
                self._instants.insert(at, heard_s)
                self._heard[index] = Peak(-negative, heard_s)
        self._offers.clear()

    def missing(self) -> list[int]:
        """Return the indices without an instant."""
        return [index for index in range(len(self._markers)) if index not in self._heard]

    def between(self, index: int) -> tuple[float, float]:
        """Return the instants between which a marker can have been heard, given those heard around it."""
        at = bisect_left(self._order, index)
        after_s = self._instants[at - 1] + MARKER_S if at else self._after_s
        before_s = self._instants[at] - MARKER_S if at < len(self._instants) else math.inf
        return after_s, before_s

    def outcomes(self) -> tuple[MarkerOutcome, ...]:
        """Return what became of every marker (rules 1, 4 and 5)."""
        return tuple(self._outcome(index, marker) for index, marker in enumerate(self._markers))

    def _outcome(self, index: int, marker: Marker) -> MarkerOutcome:
        peak, best = self._heard.get(index), self._best[index]
        if peak is not None and any(abs(each_s - peak.heard_s) > _SAME_S for each_s in self._loud[index]):
            return _unheard(marker, "rejected", best, "it was heard twice: it could be another talker's")
        if peak is not None:
            return MarkerOutcome(marker=marker, outcome="heard", heard_s=peak.heard_s, correlation=peak.rho)
        # Something like it was heard, but another marker has that place, or one would have to be heard out of
        # turn.
        if best >= self._gate:
            return _unheard(marker, "rejected", best, "another marker was heard in its place")
        if best >= FLOOR:
            return _unheard(marker, "rejected", best, f"its correlation is below {self._gate:g}")
        return _unheard(marker, "lost", best, "nothing like it was heard")


def _unheard(marker: Marker, outcome: Literal["rejected", "lost"], rho: float, reason: str) -> MarkerOutcome:
    return MarkerOutcome(marker=marker, outcome=outcome, heard_s=None, correlation=rho, reason=reason)
