"""Budgets from a file of their own: one list for every scenario, or one for each.

::

    - join.failed mean <= 0%            # a list: for every scenario
    - mouth_to_ear p95 < 200ms

    "*":                                # or a mapping: for every scenario, and more for one
      - join.failed mean <= 0%
    1v1-social:
      - join.first_audio p95 < 700ms

    budgets:                            # or as a scenario writes its own, the scenario itself even: for every scenario
      - join.failed mean <= 0%

Names are without regard to case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtcprobe.errors import BadInputError
from rtcprobe.strictyaml import load_yaml
from rtcprobe.verdict.budgets import Budget, parse_budget

__all__ = ["EVERY", "BudgetFile", "read_budgets"]

EVERY = "*"
_SHAPE = "write a list of lines like '- join.first_audio p95 < 600ms', or scenario names with such lists"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFile:
    """The budgets of a file by scenario name; those under ``"*"`` are for every scenario."""

    by_scenario: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)

    def budgets_for(self, scenario: str) -> tuple[Budget, ...]:
        """Return the budgets ``scenario`` must keep: those of all, then its own."""
        # Any case: file names of scenarios are as their file system has them.
        own = next((each for name, each in self.by_scenario.items() if name.casefold() == scenario.casefold()), ())
        return self.by_scenario.get(EVERY, ()) + own


def read_budgets(text: str, source_name: str) -> BudgetFile:
    """Return the budgets that the YAML ``text`` writes; ``source_name`` leads every error.

    Raises:
        BadInputError: not YAML, of another shape, empty, or a line that is no budget.
    """
    try:
        return BudgetFile(by_scenario=_by_scenario(load_yaml(text)))
    except BadInputError as error:
        raise error.within(source_name) from error


def _by_scenario(written: object) -> dict[str, tuple[Budget, ...]]:
    # A scenario is known by its name beside its budgets. Any other mapping with more than that key is one of scenario
    # names, of which one may well be called "budgets".
    if isinstance(written, Mapping) and "budgets" in written and (len(written) == 1 or "name" in written):
        return _by_scenario(written["budgets"])
    if isinstance(written, Mapping):
        return {str(name): _lines(lines, str(name)) for name, lines in written.items()}
    return {EVERY: _lines(written, "")}


def _lines(written: object, scenario: str) -> tuple[Budget, ...]:
    place = f"scenario {scenario}" if scenario not in ("", EVERY) else ""
    if not isinstance(written, list) or not written:
        what = "nothing" if written is None or written == [] else repr(written)
        raise BadInputError(f"{place + ': ' if place else ''}{what} is no list of budgets", _SHAPE)
    try:
        return tuple(parse_budget(line) for line in written)
    except BadInputError as error:
        raise (error.within(place) if place else error) from error
