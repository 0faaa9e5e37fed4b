import math
from itertools import accumulate
from statistics import NormalDist

import numpy as np
import pytest

from rtcprobe.verdict.statistics import (
    batches,
    correlation_time,
    interval_ranks,
    mean_interval,
    quantile,
    samples_needed,
    share_above,
    share_interval,
    summarise,
)


def test_a_percentile_needs_one_observation_expected_beyond_it():
    # 1 / (1 - p): half, a tenth, a twentieth, a hundredth of the observations lie beyond.
    assert [samples_needed(p) for p in (0.5, 0.9, 0.95, 0.99, 0.05)] == [2, 10, 20, 100, 20]


def test_a_p99_of_40_samples_is_refused_and_says_what_it_needs():
    found = quantile(range(40), 0.99)
    assert (found.value, found.low, found.high, found.needs) == (None, None, None, 100)


def test_a_p95_of_20_samples_stands_with_its_interval_open_above():
    found = quantile(range(1, 21), 0.95)
    # Type 7: place 19 · 0.95 = 18.05 between the 19th and 20th value, 19 + 0.05.
    assert found.value == pytest.approx(19.05)
    # P(B <= 16 | 20, 0.95) = 0.0159 <= 2.5 % < P(B <= 17) = 0.0755: the 17th; all 20 below has chance 0.36: open.
    assert (found.low, found.high) == (17.0, None)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.95, 0.99])
def test_each_end_of_an_interval_is_missed_no_more_often_than_promised_and_is_the_closest_such(p):
    for n in (6, 20, 59, 120, 1000):
        low, high = interval_ranks(n, p)
        chances = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]

        def at_most(k, chances=chances):
            return math.fsum(chances[: k + 1])

        def more_than(k, chances=chances):
            return math.fsum(chances[k + 1 :])

        if low is not None:
            assert at_most(low - 1) <= 0.025 < at_most(low), n
        else:
            assert at_most(0) > 0.025, n
        if high is not None:
            assert more_than(high - 1) <= 0.025 < more_than(high - 2), n
        else:
            assert more_than(n - 1) > 0.025, n


def test_failed_joins_are_later_than_all_others_and_never_left_out():
    # Two of twenty never came: the p90 place 19 · 0.9 = 17.1 lies between the 18th value and one that never came.
    found = quantile(range(1, 19), 0.9, never=2)
    assert (found.value, found.needs) == (None, None)
    assert found.low is not None
    assert quantile(range(1, 19), 0.5, never=2).value == pytest.approx(10.5)
    summary = summarise(range(1, 19), never=2)
    assert (summary.n, summary.never, summary.mean, summary.maximum, summary.minimum) == (20, 2, None, None, 1.0)


def test_nothing_observed_is_an_empty_summary_and_no_number():
    summary = summarise([])
    assert (summary.n, summary.mean, summary.quantiles) == (0, None, ())


def autoregressive(rng, runs, n, rho):
    """Stationary AR(1), standard normal margin; shape (runs, n)."""
    firsts = rng.standard_normal(runs)
    steps = rng.standard_normal((runs, n)) * math.sqrt(1 - rho**2)
    steps[:, 0] = firsts
    return np.array([list(accumulate(each, lambda z, step: rho * z + step)) for each in steps.tolist()])


def test_correlation_time_of_an_autoregressive_series_is_that_of_theory():
    series = autoregressive(np.random.default_rng(7), 1, 40_000, 0.8)[0]
    # tau = (1 + rho) / (1 - rho) = 9; its estimate from 40,000 values has a standard error near 5 %.
    assert correlation_time(series) == pytest.approx(9.0, rel=0.15)


def test_independent_and_constant_series_count_in_full():
    assert correlation_time(np.full(50, 0.158)) == 1.0
    series = np.random.default_rng(3).standard_normal(40_000)
    assert correlation_time(series) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("p", "rho"), [(0.5, 0.0), (0.5, 0.9), (0.95, 0.5), (0.95, 0.8)])
def test_intervals_of_correlated_samples_cover_what_they_promise(rho, p):
    series = autoregressive(np.random.default_rng(11), 100, 240, rho)
    truth = NormalDist().inv_cdf(p)

    def covered(*, correlated):
        found = [quantile(each, p, correlated=correlated) for each in series]
        return sum((q.low is None or q.low <= truth) and (q.high is None or q.high >= truth) for q in found)

    # 95 % of 100 is 95; four standard errors of sqrt(100 · 0.95 · 0.05) = 2.2 are 9.
    assert covered(correlated=True) >= 86
    if rho >= 0.8:
        assert covered(correlated=False) < 80  # what the same interval would be worth without the effective size


DRIFT = np.linspace(0.100, 0.200, 120)
"""A delay that only ever rises: worth about one observation, as none is unlike its neighbours."""


def test_strong_correlation_opens_the_interval_and_keeps_the_estimate():
    found = quantile(DRIFT, 0.95, correlated=True)
    assert found.value == pytest.approx(0.195)
    assert found.high is None


def test_an_end_that_ranks_cannot_close_lies_beyond_every_observation():
    found = quantile(DRIFT, 0.5, correlated=True)
    # Of 120 samples half the range beyond either end, as of 60 it would be all of it; a delay is never negative.
    assert (found.low, found.high) == (pytest.approx(0.050), pytest.approx(0.250))
    assert quantile(DRIFT - 0.080, 0.5, correlated=True).low == 0.0
    # A buffer that never moves leaves nothing to doubt; a marker that never came, everything.
    still = quantile([0.150] * 120, 0.95, correlated=True)
    assert (still.low, still.high) == (0.150, 0.150)
    assert quantile(DRIFT, 0.5, never=1, correlated=True).high is None


def test_correlation_makes_the_effective_sample_size_smaller():
    series = autoregressive(np.random.default_rng(5), 1, 400, 0.8)[0].tolist()
    assert summarise(series).effective_n == 400
    assert 20 < summarise(series, correlated=True).effective_n < 120  # 400 / 9 = 44


def test_a_few_long_batches_are_made_of_what_resembles_its_neighbours():
    rng = np.random.default_rng(6)
    assert batches(rng.standard_normal(480)) == 10
    assert batches(np.full(480, 0.158)) == 10
    # tau = 1.9 / 0.1 = 19, six of which are a batch: 480 / 114 = 4, give or take what rho is guessed as.
    assert batches(autoregressive(rng, 1, 480, 0.9)[0]) in {2, 3, 4, 5, 6}
    assert batches(rng.standard_normal(120), rarer=0.05) == 2  # six beyond p95, eight to a batch


def test_a_mean_of_correlated_samples_is_less_sure():
    series = autoregressive(np.random.default_rng(12), 1, 480, 0.9)[0]
    plain, honest = mean_interval(series), mean_interval(series, correlated=True)
    assert honest[1] - honest[0] > 2 * (plain[1] - plain[0])  # sqrt(19) = 4.4 in the long run
    assert mean_interval([0.5]) == (None, None)
    assert mean_interval([0.5], correlated=True) == (None, None), "one marker heard: no batch is left empty"


def test_a_share_has_wilsons_interval_and_correlation_widens_it():
    assert share_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)  # 3.8415 / 23.8415
    series = autoregressive(np.random.default_rng(13), 1, 480, 0.9)[0]
    plain, honest = share_above(series, 1.0), share_above(series, 1.0, correlated=True)
    assert plain[0] == honest[0]
    assert honest[2] - honest[1] > 1.5 * (plain[2] - plain[1])
    none = share_above(np.zeros(20), 1.0, never=5)
    assert none[0] == 0.2
