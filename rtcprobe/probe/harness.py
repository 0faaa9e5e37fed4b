"""What the instrument itself adds, measured in the run it belongs to, and when that is too much.

Rule: a run is invalid when the instrument dominates: when the 95th percentile of any of its latenesses exceeds
``LIMIT_S``, a twentieth of the 100 ms that the ear notices. Virtual time is never late. On either clock a run is
invalid when the codec itself, at the settings asked for, lets fewer than ``LEAST_SURVIVING`` of the markers through:
what was lost or rejected then says nothing of the network. And it is invalid when the ear is wrong: when it errs on
this very speech, without any network, by more than the ``DETECTION_S`` it is stated to hear to, or when what it heard
and the stages measured beside it differ by more than ``RESIDUAL_S``.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcprobe.hearing.played import MOST_UNSETTLED
from rtcprobe.result import LATENESSES, Account, Instrument, Lateness
from rtcprobe.runtime.priority import ORDINARY

__all__ = ["LIMIT_S", "Harness"]

# A twentieth of the 100 ms that are noticed; and of five markers one may be lost to the codec itself, as at 6 kb/s some
# are.
LIMIT_S = 0.005
LEAST_SURVIVING = 0.8

DETECTION_S = 0.00005
"""What ``rtcprobe selftest`` states, to the hundredth of a millisecond that is shown. Speech at 16 kb/s and more stays
below 0.03 ms; where Opus changes its mode over a steady voice, a marker errs by 0.053 ms."""
# Half of the hundredth of a millisecond that is shown: 0.0549 ms is shown as 0.05 and kept.
_AS_SHOWN_S = 0.000005

RESIDUAL_S = 0.005
"""Of the mean over ``_ENOUGH`` markers. Measured over the library and lossy links: 0.005 ms where playout keeps time,
0.5 ms where NetEQ stretches within markers (a stretch moves a marker by up to 15 ms, and few of them have one)."""
# Markers whose mean is as good as stated; of half as many twice as much is allowed.
_ENOUGH = 10


def _seconds() -> array[float]:
    # Eight bytes a sample: an hour of pacing is 180,000 of them a mouth.
    return array("d")


@dataclass(slots=True)
class Harness:
    """Lateness of a run's own clockwork, seconds: the loop's, the emulator's, the mouths'."""

    clock: str
    detection_error_s: float | None = None
    survived: int = 0
    checked: int = 0
    loop_s: array[float] = field(default_factory=_seconds)
    emulator_s: array[float] = field(default_factory=_seconds)
    pacing_s: array[float] = field(default_factory=_seconds)
    join_cpu_s: list[float] = field(default_factory=list)
    """CPU that each join cost this process while it was timed: on the real clock, part of its time."""
    own_s: dict[str, list[float]] = field(default_factory=dict)
    """Of that, what single steps of ours took, a value a peer; ``"certificate"`` comes before and is no part of it."""
    priority: str = ORDINARY
    """What this process had while packets were timed."""
    doubts: dict[str, None] = field(default_factory=dict)
    """What calls themselves say against their figures, a sentence each."""
    first_run_s: float | None = None
    """CPU of a join made before the measured ones, so that none of them is the first of the process."""

    def figures(self) -> Instrument:
        """Return the figures for the result: p50, p95, p99 of each lateness."""
        through = f"{self.survived} of {self.checked}" if self.survived < self.checked else None
        known: dict[str, Any] = {"detection_error_s": self.detection_error_s, "markers_through_codec": through}
        if self.clock == "virtual":
            return Instrument(timers="virtual, never late", **known)
        return Instrument(
            **known,
            loop_lag=_lateness(self.loop_s),
            emulator_late=_lateness(self.emulator_s),
            pacing_late=_lateness(self.pacing_s),
            priority=self.priority,
            join_cpu_s=float(np.median(self.join_cpu_s)) if self.join_cpu_s else None,
            own_s={step: float(np.median(taken_s)) for step, taken_s in self.own_s.items()},
            first_run_s=self.first_run_s,
        )

    def count_own(self, own_s: Mapping[str, float]) -> None:
        """Count what steps of one peer's join took."""
        for step, taken_s in own_s.items():
            self.own_s.setdefault(step, []).append(taken_s)

    def complaints(self, accounts: Iterable[Account]) -> tuple[str, ...]:
        """Return why a run that came to ``accounts`` is invalid, a sentence each; nothing when it is not."""
        muffled: tuple[str, ...] = ()
        # Judged on either clock: that the codec eats markers has nothing to do with time.
        if self.survived < LEAST_SURVIVING * self.checked:
            through = f"{self.survived} of {self.checked} markers survive it without any network"
            cure = "give it more bits, another application or shorter packets"
            muffled = (f"the instrument cannot hear through this codec: {through}; {cure}",)
        muffled += tuple(self._wrong(accounts))
        if self.clock == "virtual":
            return muffled
        dominated = (
            f"the instrument dominated: {words} was {late_s * 1e3:.1f} ms late at p95, more than {LIMIT_S * 1e3:g} ms"
            for (name, samples), words in zip(self._named(), ("its loop", "its emulator", "its mouth"), strict=True)
            # A clockwork that had nothing to do was not late.
            if samples and (late_s := float(np.percentile(samples, 95))) > LIMIT_S
        )
        return (*muffled, *self.doubts, *dominated)

    def _wrong(self, accounts: Iterable[Account]) -> Iterator[str]:
        """Yield where the ear is wrong, or was too often disturbed."""
        accounts = list(accounts)
        for ear in accounts:
            # Counted by ``hearing.played``, of browsers' ends alone.
            aside = 0 if ear.playout is None else ear.playout.counts.get("markers_set_aside") or 0
            if aside > MOST_UNSETTLED * (aside + ear.scheduled):
                yield (
                    f"the instrument was disturbed: {aside:.0f} of {aside + ear.scheduled:.0f} markers, "
                    f"{ear.way.words}, followed a stall of the browser's output or mouth; give it a core of its own"
                )
        error_s = self.detection_error_s
        if error_s is not None and error_s >= DETECTION_S + _AS_SHOWN_S:
            yield (
                f"the ear is wrong: it errs by {error_s * 1e3:.2f} ms on this speech without any network, more than "
                f"{DETECTION_S * 1e3:g} ms; give it other speech, or more bits"
            )
        for ear in accounts:
            residual_s = abs(ear.stages.get("residual", 0.0))
            # A marker that a stretch has moved counts for much among few: the mean of one may be ten times as far off.
            most_s = RESIDUAL_S * max(1.0, _ENOUGH / max(ear.heard, 1))
            if residual_s > most_s:
                yield (
                    f"the ear is wrong: {ear.way.words}, its stages miss what it heard by "
                    f"{residual_s * 1e3:.1f} ms, more than {most_s * 1e3:g} ms"
                )

    def _named(self) -> Sequence[tuple[str, array[float]]]:
        return list(zip(LATENESSES, (self.loop_s, self.emulator_s, self.pacing_s), strict=True))


def _lateness(samples: array[float]) -> Lateness:
    if not samples:
        return Lateness()
    p50_s, p95_s, p99_s = map(float, np.percentile(samples, (50, 95, 99)))
    return Lateness(p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)
