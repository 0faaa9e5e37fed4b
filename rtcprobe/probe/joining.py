"""The joins of a run: made one after another, each on a network made anew, and judged."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from rtcprobe.call.targets.base import CallSetup
from rtcprobe.probe import stalls
from rtcprobe.probe.hearing import RoundTrip, judge_join
from rtcprobe.probe.notes import Notes
from rtcprobe.probe.placed import left_by
from rtcprobe.probe.placing import Attempt, afresh
from rtcprobe.probe.stalls import Voided
from rtcprobe.result import Join, Progress

__all__ = ["Joining"]

SWEPT = 16
"""Joins on the real clock after which the circles that they leave behind are collected, between two of them. Left to
itself, the collector waited until 11 MB of them had come together; what was loaded before is frozen (``run``), so that
it takes it few milliseconds. In virtual time it may come whenever it likes (``sweeping.SELDOM``)."""


@dataclass(slots=True)
class Joining:
    """The joins so far."""

    notes: Notes
    voided: Voided
    attempts: list[Join] = field(default_factory=list)
    others: list[Join] = field(default_factory=list)
    """The other ends' milestones, where those are not timed themselves."""

    def repeat(self, setup: CallSetup, seed: np.random.SeedSequence, round_trip_s: RoundTrip) -> None:
        """Make every join of the scenario; ``round_trip_s`` is the media path's between two."""
        notes, scenario = self.notes, self.notes.scenario
        count = scenario.call.joins
        outside, deadline = notes.placing.outside, notes.placing.deadline
        judged = partial(judge_join, scenario=scenario, round_trip_s=round_trip_s, outside=outside)
        # All children at once, in order (``probe`` rule 1): a join that is made again has the seed it had.
        for done, child in enumerate(seed.spawn(count)):
            notes.progress(Progress(step="joining", done=done, total=count, unit="joins"))
            if notes.hopeless:
                rest = "the call" if scenario.call.calls == 1 else "the calls"
                notes.warnings.append(f"{count - done} joins and {rest} were not tried: none of {done} was heard")
                return
            if deadline.passed:
                notes.warnings.append(f"{count - done} joins were not tried: {deadline}")
                return
            attempt = self._join(done, setup, child)
            if notes.placing.clock == "real" and done % SWEPT == SWEPT - 1:
                gc.collect()
            if attempt is None:
                continue
            notes.take(left_by(attempt, notes.placing.clock))
            if attempt.call.cpu_s is not None:
                notes.harness.join_cpu_s.append(attempt.call.cpu_s)
                for peer in attempt.call.peers:
                    notes.harness.count_own(peer.own_s)
            for joiner in attempt.call.joiners:
                joined = judged(attempt, joiner, number=done)
                # In a room somebody was heard, though not everybody by everybody.
                in_part = bool(attempt.call.troubles) and attempt.call.failed is None
                notes.count(joined=in_part or joined.timed.first_audio_s is not None)
                self.attempts.append(joined.timed)
                self.others += [] if joined.other is None else [joined.other]
        notes.progress(Progress(step="joining", done=count, total=count, unit="joins"))

    def _join(self, number: int, setup: CallSetup, seed: np.random.SeedSequence) -> Attempt | None:
        """Make one join, as often as it takes for this machine not to spoil it; None where it always does."""
        for _ in range(stalls.TRIES):
            attempt = self.notes.placing.join(setup, afresh(seed))
            why = stalls.void_join(attempt)
            if why is None:
                return attempt
            self.voided.add(number, why)
        self.voided.missing.add(number)
        return None
