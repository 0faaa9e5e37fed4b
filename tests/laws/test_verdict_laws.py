"""What must hold of any comparison, and a cheap part of benchmarks/calibration.py."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtcprobe.verdict import compare
from rtcprobe.verdict.difference import holm
from rtcprobe.verdict.figures import batched
from rtcprobe.verdict.spread import HybridSpread, TSpread, p_value
from rtcprobe.verdict.statistics import share_interval
from rtcprobe.verdict.tosses import Randomised

shares = st.floats(0.0, 1.0)
counts = st.integers(1, 500)


def chain(rng, n, rho):
    """A stationary first-order chain with a standard normal margin."""
    steps = rng.standard_normal(n) * np.sqrt(1 - rho**2)
    out = [float(rng.standard_normal())]
    for step in steps[1:]:
        out.append(rho * out[-1] + float(step))
    return np.array(out)


@settings(max_examples=25, deadline=None)
@given(a=shares, b=shares, n=counts, m=counts)
@example(a=0.0, b=1.0, n=1, m=395)
def test_a_difference_of_shares_turns_its_sign_with_its_sides(a, b, n, m):
    low, high = HybridSpread.of_shares(a, b, n, m).interval(0.95)
    other_low, other_high = HybridSpread.of_shares(b, a, m, n).interval(0.95)
    assert (other_low, other_high) == pytest.approx((-high, -low))
    assert low - 1e-12 <= b - a <= high + 1e-12
    assert low >= -1.0
    assert high <= 1.0


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_interval_of_a_share_holds_it_and_lies_between_none_and_all(share):
    for n in range(1, 501):
        low, high = share_interval(share, n)
        assert 0.0 <= low <= share <= high <= 1.0, n


@settings(max_examples=25, deadline=None)
@given(share=shares, n=counts)
def test_more_events_make_a_shares_interval_narrower_and_it_holds_the_share(share, n):
    low, high = share_interval(share, n)
    near_low, near_high = share_interval(share, 4 * n)
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0
    assert near_high - near_low < high - low


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), max_size=12))
def test_holm_never_makes_a_p_value_smaller_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1.0 for p, q in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert all(adjusted[i] <= adjusted[j] for i, j in itertools.pairwise(order))
    assert min(adjusted, default=0.0) <= min(1.0, len(p_values) * min(p_values, default=0.0)) + 1e-12


def test_where_nothing_changed_few_are_called_different():
    rng = np.random.default_rng(20)
    wrong = {"joins": 0, "runs": 0, "call": 0}
    pairs = 50
    for _ in range(pairs):
        a, b = np.exp(chain(rng, 20, 0.0)), np.exp(chain(rng, 20, 0.0))
        wrong["joins"] += p_value(Randomised(a, b, 0.5, paired=True)) <= 0.05
        wrong["runs"] += p_value(TSpread.unpaired(a[:3], b[:3])) <= 0.05
        a, b = chain(rng, 120, 0.8), chain(rng, 120, 0.8)
        wrong["call"] += p_value(batched(a, b, 0.5, float(np.median(b) - np.median(a)), paired=True)) <= 0.05
    # 5 % of 50 are 2.5; three standard errors of sqrt(50 · 0.05 · 0.95) = 1.5 are 4.6.
    assert max(wrong.values()) <= 7


def test_sides_exchanged_better_is_worse_by_as_much(make_result, light, slower):
    a = [make_result(seed=seed, **light) for seed in (1, 2, 3)]
    b = [slower(each, phase_s=0.01 * i, stage_s=0.015) for i, each in enumerate(a, start=5)]
    turned = {"better": "worse", "worse": "better"}
    for one, other in zip(compare(a, b).differences, compare(b, a).differences, strict=True):
        assert other.verdict == turned.get(one.verdict, one.verdict)
        if one.difference is not None:
            assert other.difference == pytest.approx(-one.difference)


def test_the_order_in_which_runs_are_given_changes_nothing(make_result, light, slower):
    a = [make_result(seed=seed, **light) for seed in (1, 2, 3)]
    b = [slower(each, stage_s=0.001 * i) for i, each in enumerate(a)]
    assert compare(a, b) == compare(a[::-1], [b[1], b[2], b[0]])
    assert compare([replace(each, verdict="pass") for each in a], b).differences == compare(a, b).differences
