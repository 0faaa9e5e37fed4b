"""No set of edges serves more than the one that is proven; and what a rule of assignment costs is seen."""

from itertools import combinations

import numpy as np
import pytest

from rtcprobe.placement.choosing import Problem, best_pair, nearest


def problem(seed, groups=7, edges=8):
    """People and edges on a square, light between them, calls that take 80 to 140 ms beside it."""
    rng = np.random.default_rng(seed)
    people, places = rng.random((groups, 2)), rng.random((edges, 2))
    weights = rng.dirichlet(np.ones(groups))
    return Problem(
        reach=0.1 * np.linalg.norm(people[:, None] - places[None], axis=2) + 0.001,
        legs=0.1 * np.linalg.norm(places[:, None] - places[None], axis=2),
        weights=weights,
        cells=rng.uniform(0.08, 0.14, (groups, groups)),
    )


@pytest.mark.parametrize("seed", range(6))
def test_best_pair_is_what_trying_every_set_finds(seed):
    asked = problem(seed)
    for budget_s in (0.15, 0.18):
        found = best_pair(asked, budget_s, 3)
        best = max(asked.within_best_pair(np.array(each), budget_s) for each in combinations(range(8), 3))
        assert found.proven
        assert found.share == pytest.approx(best)
        assert len(found.edges) == 3


@pytest.mark.parametrize("seed", range(3))
def test_greedy_with_swaps_is_within_a_hundredth_of_trying_every_set(seed, monkeypatch):
    asked = problem(seed, groups=12, edges=12)
    exact = nearest(asked, 0.17, 4)
    assert exact.proven
    monkeypatch.setattr("rtcprobe.placement.choosing._EVERY_SET", 0)
    found = nearest(asked, 0.17, 4)
    assert not found.proven
    assert exact.share - 0.01 <= found.share <= exact.share + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_the_nearest_edge_never_serves_more_than_the_best_pair(seed):
    asked = problem(seed)
    near, pair = nearest(asked, 0.16, 3), best_pair(asked, 0.16, 3)
    assert near.share <= asked.within_best_pair(np.array(near.edges), 0.16) <= pair.share + 1e-12


def test_an_endless_budget_serves_everybody_and_none_nobody():
    asked = problem(1)
    assert best_pair(asked, 10.0, 2).share == pytest.approx(1.0)
    assert nearest(asked, 10.0, 2).share == pytest.approx(1.0)
    assert best_pair(asked, 0.01, 2).share == nearest(asked, 0.01, 2).share == 0.0
