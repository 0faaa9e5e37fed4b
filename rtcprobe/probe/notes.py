"""What a run notes while it goes on, whatever it measures: warnings, how late its machine was, what was ever heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rtcprobe.probe.harness import Harness
from rtcprobe.probe.placed import Placed
from rtcprobe.probe.placing import Placing
from rtcprobe.result import Progress
from rtcprobe.scenario import Scenario

__all__ = ["Listener", "Notes"]

Listener = Callable[[Progress], None]

VAIN_TRIES = 3
"""So many joins and calls to an outside target, none of them heard, are enough."""


@dataclass(slots=True)
class Notes:
    """The notes of one run; ``progress`` is told how far it is."""

    scenario: Scenario
    placing: Placing
    harness: Harness
    progress: Listener
    warnings: list[str] = field(default_factory=list)
    tried: int = 0
    """Joins and calls so far, whatever became of them."""
    joined: bool = False
    """Whether any of them came about."""

    @property
    def hopeless(self) -> bool:
        """Whether an outside target has not been heard at all: it need not be asked again and again."""
        # Ours are asked again in virtual time, where nothing is waited for.
        return self.placing.outside and not self.joined and self.tried >= VAIN_TRIES

    def warn(self, sentence: str) -> None:
        """Note what a reader should know, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def count(self, *, joined: bool) -> None:
        """Count a join or a call, and whether it came about."""
        self.tried += 1
        self.joined = self.joined or joined

    def take(self, placed: Placed) -> None:
        """Take what an attempt says of the machine, and what a reader should know."""
        for each in placed.warnings:
            self.warn(each)
        self.harness.doubts.update(dict.fromkeys(placed.invalid))
        if self.placing.clock == "real":
            self.harness.loop_s.extend(placed.lag_s)
            self.harness.emulator_s.extend(placed.emulator_s)
            for said in placed.said:
                # A browser tells its mouth's lateness itself; ours are compared with what they were due.
                self.harness.pacing_s.extend(said.pacing_lateness_s() if said.late_s is None else said.late_s)
