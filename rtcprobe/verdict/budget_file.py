"""Budgets from a file of their own: one list for every scenario, or one for each.

::

    - join.failed mean <= 0%            # a list: for every scenario
    - mouth_to_ear p95 < 200ms

    "*":                                # or a mapping: for every scenario, and more for one
      - join.failed mean <= 0%
    1v1-social:
      - join.first_audio p95 < 700ms
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtcprobe.verdict.budgets import Budget

__all__ = ["EVERY", "BudgetFile", "read_budgets"]

EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFile:
    """The budgets of a file by scenario name; those under ``"*"`` are for every scenario."""

    by_scenario: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)

    def budgets_for(self, scenario: str) -> tuple[Budget, ...]:
        """Return the budgets ``scenario`` must keep: those of all, then its own."""
        return self.by_scenario.get(EVERY, ()) + self.by_scenario.get(scenario, ())


def read_budgets(text: str, source_name: str) -> BudgetFile:
    """Return the budgets that the YAML ``text`` writes; ``source_name`` leads every error.

    Raises:
        BadInputError: not YAML, of another shape, empty, or a line that is no budget.
    """
    raise NotImplementedError
