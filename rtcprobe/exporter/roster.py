"""The probes that there are now, with the figures of each: what stays over a reload, and what goes.

Rules:
    1. A probe that stays keeps its counters while its labels stay; a removed probe leaves no series behind.
    2. A run that ends after its probe went away, or became another, changes no figure.
    3. A probe without an outcome for two intervals is silent; one that just came has as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rtcprobe.exporter.burn import Ledger
from rtcprobe.exporter.config import ProbePlan
from rtcprobe.exporter.instruments import Instruments
from rtcprobe.exporter.outcome import Outcome, events_of, probe_labels, set_objectives, set_up, start_series
from rtcprobe.exporter.promises import Promise, promises

__all__ = ["Roster"]


class Roster:
    """Probes by name; ``now`` returns the loop's time, seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._probes: dict[str, tuple[ProbePlan, Instruments]] = {}
        self._heard_s: dict[str, float] = {}
        self._ledger = Ledger()

    def __iter__(self) -> Iterator[tuple[str, Instruments]]:
        return ((name, instruments) for name, (_, instruments) in self._probes.items())

    def become(self, plans: Sequence[ProbePlan], running: set[str]) -> set[str]:
        """Go over to ``plans``; return the names that are gone."""
        wanted = {plan.name for plan in plans}
        gone = set(self._probes) - wanted
        for name in gone:
            self._heard_s.pop(name, None)
            self._ledger.forget(name)
        # In the configuration's order: page, exposition and silence are told in it.
        self._probes = {plan.name: (plan, self._set_up(plan, plan.name in running)) for plan in plans}
        for name in wanted:
            # Who just came has not been silent yet; who stays keeps the instant of its last outcome through a reload.
            self._heard_s.setdefault(name, self._now())
        return gone

    def heard(self, plan: ProbePlan, outcome: Outcome) -> None:
        """Take note of an outcome of a probe that is there."""
        self._heard_s[plan.name] = self._now()
        self._ledger.add(plan.name, self._now(), events_of(outcome, plan.objectives))

    def silent(self) -> Sequence[str]:
        """Return the probes that are silent, in the order of the configuration."""
        now_s = self._now()
        return [
            plan.name
            for plan, _ in self._probes.values()
            if now_s - self._heard_s.get(plan.name, now_s) > 2 * plan.interval_s + plan.jitter_s
        ]

    def promises(self, plan: ProbePlan) -> Sequence[Promise]:
        """Return the objectives of a probe and how they stand."""
        return promises(plan, self._ledger, self._now())

    def instruments(self, plan: ProbePlan) -> Instruments | None:
        """Return the instruments of a probe; None where it went away, or became another, while it ran."""
        found = self._probes.get(plan.name)
        if found is None:
            return None
        now, instruments = found
        # A reload may have made a new plan of the same probe: what counts is whether its labels, and so its series, are
        # the same.
        same = now is plan or instruments.common == probe_labels(plan.name, plan.scenario, plan.target)
        return instruments if same else None

    def count(self, plan: ProbePlan, name: str, **labels: str) -> None:
        """Count one, where the probe is still there."""
        instruments = self.instruments(plan)
        if instruments is not None:
            instruments.count(name, **labels)

    def _set_up(self, plan: ProbePlan, running: bool) -> Instruments:
        labels = probe_labels(plan.name, plan.scenario, plan.target)
        before = self._probes.get(plan.name)
        instruments = before[1] if before is not None and before[1].common == labels else None
        # Another scenario, target or region under an old name is another probe: its counters begin anew, and so does
        # its ledger.
        if instruments is None:
            self._ledger.forget(plan.name)
            instruments = Instruments(("probe", "run"), labels)
            start_series(instruments, plan.scenario, outside=not plan.scenario.target.ours)
            instruments.set("rtcprobe_probe_running", float(running))
        set_up(instruments, plan.scenario, plan.job.clock)
        set_objectives(instruments, plan.objectives)
        self._ledger.open(plan.name, plan.objectives, self._now())
        instruments.set("rtcprobe_probe_interval_seconds", plan.interval_s)
        instruments.set("rtcprobe_probe_timeout_seconds", plan.timeout_s)
        return instruments
