"""How fast a probe uses up its error budgets: what Prometheus pages on, known to the server itself.

Facts:
    An objective lets a share of the events be bad (``allowed``). The burn rate is the bad share of a window divided by
    it; at 1 the budget lasts exactly its period. An alert wants a long window (it is no blip) and a short one (it is
    still going on). Source: Google, *The Site Reliability Workbook* (2018), chapter 5; here with 15 minutes for its 5,
    because a probe runs once in minutes. grafana/prometheus/alerts.yml has the same numbers, and a test compares.

Rules:
    1. Events are counted into slots of a minute and forgotten after the longest window: bounded, however long it runs.
    2. Time is an argument; nothing here owns a clock.
    3. A window without an event burns nothing and pages nobody.
    4. What is known is what this process saw: after a start the windows fill anew, as Prometheus' counters do not.
       So an alarm here is one there, and the page says since when it counts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["ALARMS", "Alarm", "Budget", "Ledger", "Standing"]

Severity = Literal["page", "ticket"]

# How much a window's edge may blur: a minute of fifteen at the shortest.
SLOT_S: Final = 60.0
# Seconds.
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A pair of windows that both burn at more than ``rate`` times what is allowed, and did ``for_s`` seconds ago."""

    severity: Severity
    rate: float
    long_s: float
    short_s: float
    for_s: float


ALARMS: Final = (
    Alarm(severity="page", rate=14.4, long_s=_HOUR, short_s=15 * _MINUTE, for_s=2 * _MINUTE),
    Alarm(severity="page", rate=6.0, long_s=6 * _HOUR, short_s=15 * _MINUTE, for_s=2 * _MINUTE),
    Alarm(severity="ticket", rate=3.0, long_s=_DAY, short_s=2 * _HOUR, for_s=15 * _MINUTE),
    Alarm(severity="ticket", rate=1.0, long_s=3 * _DAY, short_s=6 * _HOUR, for_s=15 * _MINUTE),
)
"""The worst first: the first that holds is the one to tell."""

_WINDOWS_S: Final = tuple(sorted({each.long_s for each in ALARMS} | {each.short_s for each in ALARMS}))
LONGEST_S: Final = _WINDOWS_S[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an objective stands: events and bad ones of the last ``over_s`` seconds, and the alarm that holds, if any.

    ``burn`` is the burn rate over the alarm's long window; 0 without one.
    """

    events: int
    bad: int
    over_s: float
    alarm: Alarm | None = None
    burn: float = 0.0

    @property
    def kept(self) -> float | None:
        """Share of the events that kept the limit; None without events."""
        return 1.0 - self.bad / self.events if self.events else None

    def left(self, allowed: float) -> float | None:
        """Share of the error budget that is left, of which ``allowed`` is all: below 0 more than all is used."""
        return None if not self.events else 1.0 - (self.bad / self.events) / allowed


class Budget:
    """The events of one objective of one probe, of the last three days."""

    def __init__(self, since_s: float) -> None:
        self._since_s = since_s
        self._slots: deque[tuple[float, int, int]] = deque()

    def add(self, now_s: float, events: int, bad: int) -> None:
        """Add events, of which some were bad."""
        if events <= 0:
            return
        at_s = math.floor(now_s / SLOT_S) * SLOT_S
        # The slot in hand goes on; never one before it, for ``_totals`` needs them in order.
        if self._slots and self._slots[-1][0] >= at_s:
            before_s, had, were_bad = self._slots.pop()
            self._slots.append((before_s, had + events, were_bad + bad))
        else:
            self._slots.append((at_s, events, bad))
        # Some four thousand slots an objective at the most, one added above: the deque is never empty here.
        while self._slots[0][0] < now_s - LONGEST_S - SLOT_S:
            self._slots.popleft()

    def standing(self, now_s: float, allowed: float) -> Standing:
        """Return how the objective stands, ``allowed`` being the share of events that may be bad."""
        totals = self._totals(now_s)
        # What Prometheus' ``for:`` asks by evaluating again and again is asked twice: the condition now, and as it was
        # ``for_s`` ago. Between the two it may have failed to hold; an alert there would then come later.
        burns = {for_s: _burns(self._totals(now_s - for_s), allowed) for for_s in {each.for_s for each in ALARMS}}
        burns[0.0] = _burns(totals, allowed)
        alarm = next((each for each in ALARMS if all(_holds(each, burns[ago]) for ago in (0.0, each.for_s))), None)
        events, bad = totals[LONGEST_S]
        return Standing(
            events=events,
            bad=bad,
            over_s=min(LONGEST_S, max(0.0, now_s - self._since_s)),
            alarm=alarm,
            burn=0.0 if alarm is None else burns[0.0][alarm.long_s],
        )

    def _totals(self, now_s: float) -> dict[float, tuple[int, int]]:
        """Return events and bad ones of each window as it stood at ``now_s``, in one way back through the slots."""
        out: dict[float, tuple[int, int]] = {}
        events = bad = 0
        slots = (slot for slot in reversed(self._slots) if slot[0] <= now_s)
        slot = next(slots, None)
        # From the shortest to the longest: each window's sum goes on from the one before it.
        for window_s in _WINDOWS_S:
            while slot is not None and slot[0] + SLOT_S > now_s - window_s:
                events, bad = events + slot[1], bad + slot[2]
                slot = next(slots, None)
            out[window_s] = (events, bad)
        return out


def _burns(totals: Mapping[float, tuple[int, int]], allowed: float) -> Mapping[float, float]:
    """Return the burn rate of each window."""
    return {window_s: bad / events / allowed if events else 0.0 for window_s, (events, bad) in totals.items()}


def _holds(alarm: Alarm, burns: Mapping[float, float]) -> bool:
    return min(burns[alarm.long_s], burns[alarm.short_s]) > alarm.rate


class Ledger:
    """The budgets of all probes, by probe and objective."""

    def __init__(self) -> None:
        self._budgets: dict[tuple[str, str], Budget] = {}

    def open(self, probe: str, slos: Iterable[str], now_s: float) -> None:
        """Begin to count for a probe, where it is not counted yet."""
        for slo in slos:
            self._budgets.setdefault((probe, slo), Budget(now_s))

    def forget(self, probe: str) -> None:
        """Forget a probe."""
        self._budgets = {key: budget for key, budget in self._budgets.items() if key[0] != probe}

    def add(self, probe: str, now_s: float, events: Mapping[str, tuple[int, int]]) -> None:
        """Add the events of a run: by objective, how many and how many of them bad."""
        for slo, (number, bad) in events.items():
            self._budgets[probe, slo].add(now_s, number, bad)

    def standing(self, probe: str, slo: str, now_s: float, allowed: float) -> Standing:
        """Return how an objective of a probe stands; of one not counted yet, without events."""
        budget = self._budgets.get((probe, slo))
        return Standing(events=0, bad=0, over_s=0.0) if budget is None else budget.standing(now_s, allowed)
