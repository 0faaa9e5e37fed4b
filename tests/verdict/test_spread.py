import math

import numpy as np
import pytest

from rtcprobe.verdict.difference import holm
from rtcprobe.verdict.spread import HybridSpread, TSpread, p_value, percentile
from rtcprobe.verdict.tosses import Randomised


def normal(seed, n):
    return np.random.default_rng(seed).standard_normal(n)


def test_students_spread_is_the_t_test_of_pairs_and_welchs_of_two_samples():
    # Student's own data (Biometrika 6, 1908): hours of sleep won by two drugs; what R's t.test says of them.
    a = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    b = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    paired, welch = TSpread.paired(b - a), TSpread.unpaired(a, b)
    assert p_value(paired) == pytest.approx(0.002833, abs=5e-7)
    assert paired.interval(0.95) == pytest.approx((0.7001142, 2.4598858))
    assert p_value(welch) == pytest.approx(0.07939, abs=5e-6)
    assert welch.interval(0.95) == pytest.approx((-0.2054832, 3.3654832))


def test_equal_is_equal_and_a_common_shift_is_that_shift():
    a = normal(3, 20)
    for shift in (0.0, 0.015):
        for spread in (TSpread.paired(np.full(5, shift)), Randomised(a, a + shift, 0.95, paired=True)):
            assert spread.interval(0.999) == pytest.approx((shift, shift))
            assert (p_value(spread) < 1e-4) == (shift > 0.0)


def test_shares_that_happen_to_agree_in_every_run_still_count_as_chance_makes_them():
    moved = np.full(3, 1 / 120)  # one marker more in each run: s is 0, counting alone gives 1 / 120
    assert p_value(TSpread.paired(moved)) == 0.0
    assert p_value(TSpread.paired(moved, worth=120)) == pytest.approx(0.0833, abs=1e-4)  # normal, 1.732


def test_tosses_agree_with_the_exact_count_of_them():
    # 4 against 4, the four of b larger: one of 70 deals parts medians and counts as far, either way: 2 in 70.
    a, b = np.arange(4.0), np.arange(4.0) + 10
    assert p_value(Randomised(a, b, 0.5, paired=False)) == pytest.approx(2 / 70, abs=0.006)
    # Pairs that all moved alike: one toss in 2^8, either way.
    pairs = np.arange(8.0)
    assert p_value(Randomised(pairs, pairs + 0.5, 0.5, paired=True)) == pytest.approx(2 / 2**8)


def test_the_interval_of_tosses_moves_with_the_shift_and_leaves_out_what_they_reject():
    a, b = normal(4, 30), normal(5, 30)
    low, high = Randomised(a, b, 0.5, paired=False).interval(0.95)
    moved = Randomised(a, b + 3.0, 0.5, paired=False)
    assert moved.interval(0.95) == pytest.approx((low + 3.0, high + 3.0), abs=0.05)
    assert low < 0.0 < high
    assert p_value(moved) < 0.001
    # For two medians of 30 normals: 1.96 · sqrt(2) · 1.2533 / sqrt(30) = 0.634 either way, give or take.
    assert 0.4 < (high - low) / 2 < 1.0


def test_a_timer_that_more_joins_pay_is_found_though_the_median_cannot_move_further():
    # 3 of 24 pay a second, then 21 of 24: the median moves by that second, as it does in four tosses of ten.
    a = 0.5 + 0.01 * normal(8, 24) + (np.arange(24) < 3)
    b = 0.5 + 0.01 * normal(9, 24) + (np.arange(24) < 21)
    for paired in (True, False):
        assert p_value(Randomised(a, b, 0.5, paired=paired)) < 0.001


def test_joins_that_never_came_are_later_than_any():
    a, b = np.full(20, 0.6) + 0.01 * normal(6, 20), np.full(20, 0.6) + 0.01 * normal(7, 20)
    b[:12] = math.inf
    found = Randomised(a, b, 0.5, paired=False)
    assert found.interval(0.95) == (None, None)
    assert p_value(found) < 0.05
    assert percentile(b, 0.5) == math.inf
    same = Randomised(b, b.copy(), 0.95, paired=True)
    assert same.interval(0.95) == (0.0, 0.0)


def test_the_difference_of_shares_is_newcombes():
    # Newcombe 1998, table II, method 10: 56/70 − 48/80 is 0.0524 to 0.3339; 9/10 − 3/10 is 0.1705 to 0.8090.
    found = HybridSpread.of_shares(48 / 80, 56 / 70, 80, 70)
    assert found.interval(0.95) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    small = HybridSpread.of_shares(0.3, 0.9, 10, 10)
    assert small.interval(0.95) == pytest.approx((0.1705, 0.8090), abs=1e-4)
    assert p_value(small) == pytest.approx(0.0198, abs=0.015)  # Fisher's exact test
    low, _ = small.interval(1.0 - p_value(small))
    assert low == pytest.approx(0.0, abs=1e-6)
    assert p_value(HybridSpread.of_shares(0.0, 0.0, 20, 20)) == 1.0


def test_equal_shares_differ_by_nothing_but_few_events_could_not_have_shown_little():
    equal = HybridSpread.of_shares(0.0, 0.0, 20, 20, same=True)
    assert equal.interval(0.95) == (0.0, 0.0)
    assert p_value(equal) == 1.0
    # Wilson: none of 20 may be z²/(20 + z²) = 16.1 %, so one failed join of twenty would not have been shown.
    assert equal.reach(0.95) == pytest.approx(0.161, abs=0.001)
    # Three runs of 120 markers, none lost: 1.96²/(3 · 120) = 1.07 % is not reached by chance at 95 %.
    runs = TSpread.paired(np.zeros(3), worth=120)
    assert runs.interval(0.95) == (0.0, 0.0)
    assert runs.reach(0.95) == pytest.approx(0.01067, abs=1e-5)
    more, less = (p_value(TSpread.paired(np.full(3, each), worth=120)) for each in (0.0107, 0.0106))
    assert more < 0.05 < less


def test_a_third_of_all_markers_lost_in_each_of_three_runs_is_no_chance():
    # 33 to 36 more of 120: what varies is what counting makes vary (0.29 / 120), so it is not guessed from three runs.
    assert p_value(TSpread.paired(np.array([33, 36, 35]) / 120, worth=120)) < 1e-5
    # Where runs part far more than counting would, three of them are all that is known: t(2).
    wild = TSpread.paired(np.array([0.0, 0.4, 0.8]), worth=120)
    assert wild.freedom == 2
    assert p_value(wild) > 0.2


def test_what_tosses_could_show_does_not_count_what_differs_already():
    rng = np.random.default_rng(8)
    a = rng.normal(0.6, 0.02, 20)
    near, far = (Randomised(a, a + shift + rng.normal(0.0, 0.002, 20), 0.5, paired=True) for shift in (0.0, 0.5))
    assert far.reach(0.99) < 5 * near.reach(0.99) < 0.1


def test_holm_corrects_as_published():
    # Holm's steps by hand: 4 · 0.005, 3 · 0.01, then 2 · 0.03, and 0.04 may not be smaller than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_what_units_do_not_agree_on_is_no_finding():
    # Units that moved by 1 ± 0.1 say nothing of a figure of all of them that moved by 5: 4 is their disagreement.
    moved = np.array([0.9, 1.1, 0.8, 1.2, 1.0])
    own = TSpread.paired(moved)
    about = own.about(5.0)
    assert about.error == pytest.approx(math.hypot(own.error, 4.0))
    assert p_value(own) < 0.001
    assert p_value(about) > 0.2
    low, high = about.interval(0.95)
    assert low < 1.0
    assert high > 5.0
    assert own.about(1.0 + 1e-12).error == own.error
