"""Which edges: for pairs that may use any two of them, with proof; and for users who are sent to the nearest.

Facts:
    - *Best pair*: the two of a pair enter at any two open edges. A pair is served if some open pair of edges is
      within its budget: a covering problem with products w_ef ≤ y_e, y_f, which HiGHS solves to proven optimality
      (Huangfu & Hall, Mathematical Programming Computation 10, 2018). Edge pairs of which one edge alone suffices are
      left out, and user pairs with equal sets of edge pairs are one.
    - *Nearest*: every user enters at the edge with the shortest round trip, whoever it calls. As a program it has a
      weak bound (a gap of 80 after a minute at 30 regions); greedy choice and swaps come within 0.4 % of trying every
      set where that can be done. Best pair's optimum bounds it from above.

Rule: shares of pairs are products of the users' shares, a group with itself included; both ways of a pair must be
    within the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Chosen", "Problem", "best_pair", "nearest"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

# 60 groups, 30 edges of which 6 are chosen took 1.0 s, the hardest tried
# 1.8; what is not proven by then is said to be so.
_TIME_LIMIT_S: Final = 60.0
# Sums of delays of one budget may differ in their last bits by the order of adding: such a pair is within it.
_EQUAL_S: Final = 1e-12
_EVERY_SET: Final = 3_000
"""So many sets are tried one by one: then greedy has nothing to add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Edges (places in the candidates), the share of pairs within budget, and whether that is proven to be the most.

    ``bound`` is the most that any set could reach.
    """

    edges: tuple[int, ...]
    share: float
    bound: float
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Who calls whom over what; delays in seconds, one way.

    ``reach`` from group to edge and back alike, shape (groups, edges); ``legs`` between edges, (edges, edges) with a
    diagonal of zero; ``weights`` the share of each group, (groups,); ``cells`` what a call takes beside the backbone,
    from group to group, (groups, groups).
    """

    reach: Floats
    legs: Floats
    weights: Floats
    cells: Floats

    def within_best_pair(self, chosen: Places, budget_s: float) -> float:
        """Return the share of pairs within budget where each may enter at any two of ``chosen``."""
        near, between = self.reach[:, chosen], self.legs[np.ix_(chosen, chosen)]
        ways = near[:, None, :, None] + between[None, None, :, :] + near[None, :, None, :]
        return self._share(ways.min(axis=(2, 3)), budget_s)

    def within_nearest(self, chosen: Places, budget_s: float) -> float:
        """Return the share of pairs within budget where everybody enters at the nearest of ``chosen``."""
        entered = self.entered(chosen)
        near = self.reach[np.arange(len(self.reach)), entered]
        return self._share(near[:, None] + self.legs[np.ix_(entered, entered)] + near[None, :], budget_s)

    def entered(self, chosen: Places) -> Places:
        """Return the nearest edge of each group, shape (groups,)."""
        return np.asarray(chosen[self.reach[:, chosen].argmin(axis=1)])

    def both_ways(self) -> Floats:
        """Return what a call takes beside the backbone, the slower of its ways, shape (groups, groups)."""
        return np.maximum(self.cells, self.cells.T)

    def serves(self, budget_s: float) -> Bools:
        """Return whether the pair of groups i, j entering at edges e, f is within budget: shape (i, j, e, f)."""
        ways = self.reach[:, None, :, None] + self.legs[None, None, :, :] + self.reach[None, :, None, :]
        return np.asarray(ways + self.both_ways()[:, :, None, None] <= budget_s + _EQUAL_S)

    def _share(self, backbone_s: Floats, budget_s: float) -> float:
        within = backbone_s + self.both_ways() <= budget_s + _EQUAL_S
        return float(np.sum(np.outer(self.weights, self.weights)[within]))


def best_pair(problem: Problem, budget_s: float, choose: int) -> Chosen:
    """Return the ``choose`` edges for which most pairs are within ``budget_s``, entering at any two of them."""
    sets, demand = _demands(problem.serves(budget_s), problem.weights)
    # Columns of the program: an edge is open (whole), a pair of edges is usable, a set of user pairs is served; the
    # last two are no more than 1, and are whole of themselves, as more of them is always better.
    pairs = sorted({pair for each in sets for pair in each if pair[0] != pair[1]})
    edges, count = problem.reach.shape[1], len(sets)
    columns = edges + len(pairs) + count
    place = {pair: edges + index for index, pair in enumerate(pairs)}
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - a second that other commands need not pay
    from scipy.sparse import lil_array  # noqa: PLC0415 - as above

    rows = lil_array((2 * len(pairs) + count + 1, columns))
    upper = np.zeros(rows.shape[0])
    for index, (a, b) in enumerate(pairs):
        for offset, edge in enumerate((a, b)):
            # w_ef ≤ y_e and w_ef ≤ y_f: a pair is usable where both of its edges are open.
            rows[2 * index + offset, place[a, b]] = 1.0
            rows[2 * index + offset, edge] = -1.0
    for index, each in enumerate(sets):
        row = 2 * len(pairs) + index
        # z ≤ Σ w: a set is served where any pair of edges of it is usable (one edge alone counts as its own pair).
        rows[row, edges + len(pairs) + index] = 1.0
        for a, b in each:
            rows[row, a if a == b else place[a, b]] = -1.0
    rows[rows.shape[0] - 1, np.arange(edges)] = 1.0
    upper[-1] = choose
    cost = np.zeros(columns)
    cost[edges + len(pairs) :] = -demand
    whole = np.zeros(columns)
    whole[:edges] = 1  # the others follow by themselves
    found = milp(
        cost,
        constraints=LinearConstraint(rows.tocsr(), ub=upper),
        bounds=Bounds(0.0, 1.0),
        integrality=whole,
        options={"time_limit": _TIME_LIMIT_S, "mip_rel_gap": 1e-9},
    )
    best = np.zeros(columns) if found.x is None else np.asarray(found.x)
    opened = _filled(np.flatnonzero(best[:edges] > 0.5), problem, choose)
    share = problem.within_best_pair(opened, budget_s)
    dual = found.mip_dual_bound
    # What is minimised is the share served with its sign turned: so turned, the dual bound is the most that can be.
    bound = share if found.status == 0 else 1.0 if dual is None else min(1.0, -float(dual))
    return Chosen(edges=tuple(opened.tolist()), share=share, bound=bound, proven=found.status == 0)


def nearest(problem: Problem, budget_s: float, choose: int) -> Chosen:
    """Return edges for users who are sent to the nearest: every set where there are few, else greedy and swaps."""
    edges = problem.reach.shape[1]

    def value(chosen: Sequence[int]) -> float:
        return problem.within_nearest(np.array(chosen), budget_s)

    total = 1
    for step in range(choose):
        # The binomial coefficient step by step: each quotient is whole.
        total = total * (edges - step) // (step + 1)
    if total <= _EVERY_SET:
        best = max(combinations(range(edges), choose), key=value)
        return Chosen(edges=best, share=value(best), bound=value(best), proven=True)
    chosen: list[int] = []
    for _ in range(choose):
        # With equal shares the edge that is nearer to people: a greedy start must not begin at random.
        far = problem.weights @ problem.reach
        chosen.append(
            max(set(range(edges)) - set(chosen), key=lambda edge: (value([*chosen, edge]), -float(far[edge])))
        )
    best_value, better = value(chosen), True
    while better:
        better = False
        for place in range(choose):
            for edge in set(range(edges)) - set(chosen):
                trial = [*chosen[:place], edge, *chosen[place + 1 :]]
                if (trial_value := value(trial)) > best_value + 1e-12:
                    chosen, best_value, better = trial, trial_value, True
    return Chosen(edges=tuple(sorted(chosen)), share=best_value, bound=1.0, proven=False)


def _demands(serves: Bools, weights: Floats) -> tuple[list[frozenset[tuple[int, int]]], Floats]:
    """Return the sets of edge pairs that serve some pair of users, and the share of pairs that each set serves."""
    groups = serves.shape[0]
    demand: dict[frozenset[tuple[int, int]], float] = {}
    for i in range(groups):
        for j in range(i, groups):
            either = serves[i, j] | serves[i, j].T
            alone = set(np.flatnonzero(np.diag(either)).tolist())
            found = {(edge, edge) for edge in alone}
            for e, f in zip(*np.nonzero(np.triu(either, 1)), strict=True):
                if int(e) not in alone and int(f) not in alone:
                    found.add((int(e), int(f)))
            if found:
                key = frozenset(found)
                # Pairs are unordered here, so each of two different groups counts twice.
                share = float(weights[i] * weights[j]) * (1.0 if i == j else 2.0)
                demand[key] = demand.get(key, 0.0) + share
    return list(demand), np.array(list(demand.values()))


def _filled(opened: Places, problem: Problem, choose: int) -> Places:
    """Return ``choose`` edges: where fewer serve all that can be served, those nearest to people besides."""
    rest = [edge for edge in np.argsort(problem.weights @ problem.reach).tolist() if edge not in opened]
    more = np.array(rest[: max(0, choose - len(opened))], dtype=np.int64)
    return np.sort(np.concatenate([opened, more])).astype(np.int64)
