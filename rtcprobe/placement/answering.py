"""The answer to a question of placement: a set of edges for either rule, what each serves, what the rule costs.

Rule: what the model says is verified by calls of the pairs nearest to the budget: there it decides most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rtcprobe.placement.choosing import Chosen, Places, Problem, best_pair, nearest
from rtcprobe.placement.delays import Cells, call_between, measure_cells, median_delay_s
from rtcprobe.placement.users import Question
from rtcprobe.ways import BOTH_WAYS

__all__ = ["Answer", "Checked", "Rule", "answer"]

Floats = npt.NDArray[np.float64]

# Pairs of users verified by calls; each takes three calls of six seconds, in virtual time (``delays``).
_CHECKED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A way to assign users, the edges chosen for it, and what they serve under either rule.

    ``low`` and ``high`` are the share if every delay were two residuals longer, or shorter.
    """

    name: str
    chosen: Chosen
    edges: tuple[str, ...]
    share_nearest: float
    share_best_pair: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A pair of groups called over its own way: what the model said, and what the calls measured, the worse way."""

    a: str
    b: str
    through: str
    model_s: float
    measured_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Which edges, for either rule of assignment; what was verified; how sure the model is."""

    question: Question
    cells: Cells
    rules: tuple[Rule, ...]
    entries: tuple[tuple[str, str, float], ...]
    """Under the nearest rule's edges: (group, its edge, one-way backbone delay)."""
    checked: tuple[Checked, ...]

    @property
    def cost_of_nearest(self) -> float:
        """Share of pairs lost because users are sent to the nearest edge instead of the best pair of edges."""
        return self.rules[0].share_best_pair - self.rules[1].share_nearest

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": "rtcprobe.placement/1",
            "budget_ms": round(self.question.budget_s * 1e3, 6),
            "choose": self.question.choose,
            "rules": [
                {
                    "assign": rule.name, "edges": list(rule.edges), "share_nearest": round(rule.share_nearest, 9),
                    "share_best_pair": round(rule.share_best_pair, 9),
                    "share_ci": [round(rule.low, 9), round(rule.high, 9)], "proven_optimal": rule.chosen.proven,
                    "bound": round(rule.chosen.bound, 9),
                }
                for rule in self.rules
            ],
            "cost_of_nearest": round(self.cost_of_nearest, 9),
            "entries": [
                {"group": group, "edge": edge, "one_way_ms": round(delay_s * 1e3, 6)}
                for group, edge, delay_s in self.entries
            ],
            "model": {
                "cells_ms": {f"{a} to {b}": round(value * 1e3, 6) for (a, b), value in self.cells.seconds.items()},
                "residual_ms": round(self.cells.residual_s * 1e3, 6), "calls": self.cells.calls,
            },
            "checked": [
                {
                    "from": each.a, "to": each.b, "through": each.through, "model_ms": round(each.model_s * 1e3, 6),
                    "measured_ms": None if each.measured_s is None else round(each.measured_s * 1e3, 6),
                }
                for each in self.checked
            ],
            "estimated_round_trips": list(self.question.estimated),
        }  # fmt: skip


def answer(question: Question, *, seed: int, done: Callable[[int, int], None] | None = None) -> Answer:
    """Return which edges to choose; ``done`` is told how many pairs of accesses were measured for the model."""
    accesses = [group.access for group in question.groups]
    cells = measure_cells(accesses, seed=seed, done=done)
    problem = _problem(question, cells.of(accesses))
    pair = best_pair(problem, question.budget_s, question.choose)
    near = nearest(problem, question.budget_s, question.choose)
    # Whoever may enter at any two edges may enter at the nearest: so best pair's optimum is a bound of nearest's.
    if not near.proven:
        near = Chosen(edges=near.edges, share=near.share, bound=pair.bound, proven=False)
    rules = tuple(
        _rule(name, chosen, question, problem, cells.residual_s)
        for name, chosen in (("best pair", pair), ("nearest", near))
    )
    entered = problem.entered(np.array(near.edges))
    return Answer(
        question=question,
        cells=cells,
        rules=rules,
        entries=tuple(
            (group.name, question.edges[edge], float(problem.reach[index, edge]))
            for index, (group, edge) in enumerate(zip(question.groups, entered.tolist(), strict=True))
        ),
        checked=_checked(question, problem, entered, seed),
    )


def _problem(question: Question, cells: Floats) -> Problem:
    regions, edges = [group.region for group in question.groups], question.edges
    return Problem(
        reach=np.array([[question.round_trip_s(region, edge) / 2 for edge in edges] for region in regions]),
        # Between an edge and itself nothing is passed, though two hosts of one region have a round trip of their own.
        legs=np.array([[0.0 if a == b else question.round_trip_s(a, b) / 2 for b in edges] for a in edges]),
        weights=np.array([group.share for group in question.groups]),
        cells=cells,
    )


def _rule(name: str, chosen: Chosen, question: Question, problem: Problem, residual_s: float) -> Rule:
    edges = np.array(chosen.edges, dtype=np.int64)
    within = problem.within_best_pair if name == "best pair" else problem.within_nearest
    return Rule(
        name=name,
        chosen=chosen,
        edges=tuple(question.edges[edge] for edge in chosen.edges),
        share_nearest=problem.within_nearest(edges, question.budget_s),
        share_best_pair=problem.within_best_pair(edges, question.budget_s),
        low=within(edges, question.budget_s - 2 * residual_s),
        high=within(edges, question.budget_s + 2 * residual_s),
    )


def _checked(question: Question, problem: Problem, entered: Places, seed: int) -> tuple[Checked, ...]:
    """Call the pairs nearest to the budget, over the way the nearest rule gives them."""
    reach, legs, slower = problem.reach, problem.legs, problem.both_ways()
    rows = []
    for i, first in enumerate(question.groups):
        for j, second in enumerate(question.groups[i:], start=i):
            e, f = int(entered[i]), int(entered[j])
            way_s = float(reach[i, e] + legs[e, f] + reach[j, f])
            model_s = way_s + float(slower[i, j])
            through = question.edges[e] if e == f else f"{question.edges[e]} and {question.edges[f]}"
            rows.append((abs(model_s - question.budget_s), way_s, model_s, first, second, through))
    rows.sort(key=lambda row: row[0])
    found = []
    for number, (_, way_s, model_s, first, second, through) in enumerate(rows[:_CHECKED]):
        result = call_between(first.access, second.access, 2 * way_s, seed=seed + 100 + number)
        measured = [delay for way in BOTH_WAYS if (delay := median_delay_s(result, way)) is not None]
        found.append(
            Checked(
                a=first.name, b=second.name, through=through, model_s=model_s, measured_s=max(measured, default=None)
            )
        )
    return tuple(found)
