"""A run to be made: enough to make it anywhere, in whatever process, on whatever machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from rtcprobe.result import Clock, Engine, Result
from rtcprobe.scenario import Scenario, find_scenario

__all__ = ["Job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run: plain and picklable, and so is its result. It holds no secret: a scenario names where those are.

    ``scenario`` is one of the library, or a file; ``settings`` are changes to it (``"link.loss=2%"``). Equal jobs in
    virtual time have equal results, whoever does them.
    """

    scenario: str
    settings: tuple[str, ...] = ()
    seed: int = 1
    clock: Clock = "virtual"
    engine: Engine = "stack"

    def plan(self) -> Scenario:
        """Return the scenario.

        Raises:
            BadInputError: it cannot be meant.
        """
        return find_scenario(self.scenario, self.settings)

    def seeded(self, seed: int) -> Self:
        """Return the same run under another seed."""
        return replace(self, seed=seed)

    def run(self) -> Result:
        """Return what it measures, judged by the scenario's budgets.

        Raises:
            BadInputError: it cannot be meant.
            MeasurementError: it cannot be measured here.
        """
        from rtcprobe.probe.run import run_probe  # noqa: PLC0415 - a second that whoever only hands jobs out need not pay

        return run_probe(self.plan(), seed=self.seed, clock=self.clock, engine=self.engine)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "settings": list(self.settings)}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """Read back what ``to_dict`` wrote; what else is there is somebody else's."""
        # A newer asker's keys are left alone: workers may be of the version before, for as long as a reload takes.
        known = {each.name: written[each.name] for each in fields(cls) if each.name in written}
        return cls(**{**known, "settings": tuple(written["settings"])})
