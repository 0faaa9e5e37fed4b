"""What an objective promises and how it stands, in words: the page, the log and ``/probe`` say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtcprobe.exporter.burn import Alarm, Ledger, Standing
from rtcprobe.exporter.config import Objective, ProbePlan
from rtcprobe.units import format_duration, format_ratio

__all__ = ["NAMES", "Promise", "alarm_said", "promises", "run_said"]

NAMES = {"join": "join", "mouth_to_ear": "mouth to ear"}
_PLURAL = {"join": "joins", "mouth_to_ear": "markers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """An objective of a probe and how it stands."""

    slo: str
    objective: Objective
    standing: Standing

    @property
    def title(self) -> str:
        """What is promised: ``"join within 600ms, for 95%"``."""
        return f"{NAMES[self.slo]} within {format_duration(self.objective.limit_s)}, for {_share(self.objective.share)}"

    @property
    def said(self) -> str:
        """What was kept, and of the error budget what is left."""
        kept, left = self.standing.kept, self.standing.left(1.0 - self.objective.share)
        if kept is None or left is None:
            return "nothing measured yet"
        over = _span(self.standing.over_s)
        return f"{_share(kept)} of {self.standing.events:,} {_PLURAL[self.slo]} in {over}; error budget left {left:.0%}"

    @property
    def tone(self) -> str:
        """How it looks: ``"bad"`` where it pages, ``"warn"`` for a ticket or a spent budget, ``"good"`` else."""
        if self.standing.alarm is not None:
            return {"page": "bad", "ticket": "warn"}[self.standing.alarm.severity]
        left = self.standing.left(1.0 - self.objective.share)
        return "" if left is None else "good" if left >= 0.0 else "warn"

    @property
    def alarm(self) -> str:
        """Why it pages, or wants a ticket; ``""`` where it does neither."""
        return alarm_said(self.standing.alarm, self.standing.burn)


def promises(plan: ProbePlan, ledger: Ledger, now_s: float) -> Sequence[Promise]:
    """Return the objectives of a probe, and how they stand."""
    return [
        Promise(slo=slo, objective=each, standing=ledger.standing(plan.name, slo, now_s, 1.0 - each.share))
        for slo, each in plan.objectives.items()
    ]


def alarm_said(alarm: Alarm | None, burn: float) -> str:
    """Return an alarm in a sentence; ``""`` without one."""
    if alarm is None:
        return ""
    what = {"page": "PAGES", "ticket": "wants a ticket"}[alarm.severity]
    pace = f"its error budget is spent {burn:.3g} times as fast as allowed over {_span(alarm.long_s)}"
    return f"{what}: {pace}, the limit being {alarm.rate:g}; over {_span(alarm.short_s)} too"


def run_said(slo: str, objective: Objective, events: int, bad: int) -> str:
    """Return what one run kept of an objective."""
    limit, share = format_duration(objective.limit_s), _share(objective.share)
    if not events:
        return f"{NAMES[slo]} within {limit}: nothing measured ({share} promised)"
    kept = 1.0 - bad / events
    verdict = "kept" if kept >= objective.share else "broken"
    return f"{NAMES[slo]} within {limit}: {verdict}, by {_share(kept)} of {events} {_PLURAL[slo]} ({share} promised)"


def _share(share: float) -> str:
    """Return a share that is never rounded up to a promise it broke: floored to a tenth of a percent."""
    # The hair keeps a share such as 1 − 11/20, which is 0.44999… in floating point, from losing a tenth by rounding.
    return format_ratio(int(share * 1000 + 1e-9) / 1000, 1)


def _span(seconds: float) -> str:
    for name, size_s in (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0)):
        if seconds >= size_s:
            number = seconds / size_s
            return f"{number:.3g} {name}{'' if number == 1.0 else 's'}"
    return f"{seconds:.0f} seconds"
