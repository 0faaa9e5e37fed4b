import math
from dataclasses import replace

import numpy as np
import pytest

from rtcprobe.quality import conversation
from rtcprobe.result import HeardCall
from rtcprobe.verdict import evaluate, judge, parse_budget
from rtcprobe.verdict.clusters import Quantiles, mean_ends, share_ends, worth
from rtcprobe.verdict.intervals import fixed_s, of_calls

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's own pairs (Biometrika 6, 1908)."""


def quantile_ends(calls, probability, confidence=0.95, *, least=-math.inf):
    """Return the interval of a quantile of ``calls``."""
    return Quantiles(calls, probability, least=least).ends(confidence)


def steady(levels, markers=12):
    """Return calls that each keep one delay."""
    return [np.full(markers, float(each)) for each in levels]


def test_ten_calls_that_keep_one_delay_each_are_worth_ten_and_their_median_lies_between_order_statistics():
    levels = np.arange(10.0)
    assert worth(steady(levels)) == pytest.approx(10.0, abs=0.3)
    assert worth(steady(levels, 120)) == pytest.approx(10.0, abs=0.3)  # more markers say nothing more
    # Of ten, the 2nd and 9th enclose the median 97.9 times in a hundred, the 3rd and 8th 89.1: 95 lies between.
    low, high = quantile_ends(steady(levels), 0.5)
    assert 1.0 < low < 2.0
    assert 7.0 < high < 8.0
    assert low + high == pytest.approx(9.0, abs=1e-6)


def test_calls_that_differ_in_nothing_but_chance_are_worth_nearly_all_their_markers():
    rng = np.random.default_rng(4)
    calls = list(rng.standard_normal((20, 100)))
    assert worth(calls) > 700
    # 1.96 · 1.2533 / sqrt(2000) = 0.055 either way for independent normals; the calls' number is not forgotten.
    low, high = quantile_ends(calls, 0.5)
    assert 0.05 < (high - low) / 2 < 0.11


def test_an_interval_has_no_width_only_where_calls_differ_in_nothing():
    assert quantile_ends(steady([0.15] * 6), 0.5) == (0.15, 0.15)
    low, high = quantile_ends(steady([0.15] * 5 + [0.16]), 0.95)
    assert low < high


def test_an_interval_moves_and_stretches_with_its_values_and_grows_with_confidence():
    rng = np.random.default_rng(5)
    calls = [0.16 + 0.005 * rng.standard_normal() + 0.001 * rng.standard_normal(12) for _ in range(8)]
    for p in (0.05, 0.5, 0.95):
        low, high = quantile_ends(calls, p)
        assert quantile_ends([2.0 * each + 1.0 for each in calls], p) == pytest.approx((2 * low + 1, 2 * high + 1))
        wider = quantile_ends(calls, p, 0.999)
        assert wider[0] < low < high < wider[1]
    mirrored = quantile_ends([-each for each in calls], 0.05)
    assert mirrored == pytest.approx(tuple(-each for each in reversed(quantile_ends(calls, 0.95))))


def test_an_end_beyond_every_call_is_no_farther_than_their_spread_supports():
    # Normal levels, n = 10: the one-sided 97.5 % bound of the p95 is the mean + 3.3 s, the 99 % bound + 4.0 s (Hahn &
    # Meeker 1991, §4.4); the maximum + the range of ten lies 1.54 + 3.08 = 4.6 s above it.
    rng = np.random.default_rng(6)
    ends = [quantile_ends(steady(rng.standard_normal(10)), 0.95)[1] for _ in range(60)]
    assert 2.6 < np.median(ends) < 4.0


def test_no_end_lies_below_what_the_fixed_stages_take(make_ear):
    ear = make_ear(1)
    assert fixed_s(ear) == pytest.approx(0.010 + 0.020 + 0.0065 + 0.020)
    low, _ = quantile_ends(steady([0.06, 0.07, 0.2, 0.3, 0.5]), 0.5, least=0.0565)
    assert low >= 0.0565


def test_where_every_call_begins_late_the_p95_is_known_to_be_of_those_markers():
    # Two of twelve are late, three times what a p95 leaves, in every call: no call of eight can pull it into the body.
    rng = np.random.default_rng(8)
    for _ in range(20):
        calls = [
            np.concatenate([0.13 + 0.008 * rng.random(2), np.full(10, 0.11 + 0.008 * rng.random())]) for _ in range(8)
        ]
        low, high = quantile_ends(calls, 0.95)
        assert 0.13 < low < high
        mirrored = quantile_ends([-each for each in calls], 0.05)
        assert mirrored == pytest.approx((-high, -low))


@pytest.mark.parametrize("p", [0.5, 0.95])
@pytest.mark.parametrize("shape", [lambda z: z, lambda z: -np.exp(0.5 * z), lambda z: np.exp(0.25 * z)])
def test_intervals_of_a_few_calls_hold_what_they_promise(p, shape):
    rng = np.random.default_rng(7)
    everything = [shape(rng.standard_normal()) + 0.3 * rng.standard_normal(12) for _ in range(1000)]
    truth = np.quantile(np.concatenate(everything), p)
    held = 0
    for i in range(100):
        low, high = quantile_ends(everything[10 * i : 10 * i + 10], p)
        held += low <= truth <= high
    assert 0.88 < held / 100 <= 1.0  # three standard errors below 95 %; benchmarks/calibration.py asks more


def test_a_mean_is_students_over_the_calls():
    assert mean_ends(SLEEP, [1] * 10) == pytest.approx((0.7001142, 2.4598858))
    assert mean_ends(SLEEP[:1], [1]) == (None, None)


def test_a_share_is_worth_what_the_variance_between_calls_makes_it():
    # 2 % in five calls, 6 % in five: mean 4 %, variance of the mean 0.0004444 / 10. 0.04 · 0.96 / 0.00004444 = 864
    # events, times (1.96 / 2.262)² = 0.751: Wilson of 4 % in 649.
    low, high = share_ends([0.02, 0.06] * 5, [1] * 10)
    n, z2 = 864 * (1.959964 / 2.262157) ** 2, 1.959964**2
    centre, half = (
        (0.04 + z2 / (2 * n)) / (1 + z2 / n),
        math.sqrt(z2 * (0.04 * 0.96 / n + z2 / (4 * n * n))) / (1 + z2 / n),
    )
    assert (low, high) == pytest.approx((centre - half, centre + half), rel=1e-4)
    # As few events as bursts leave are fewer; a share that no call had is none of them.
    assert share_ends([0.02, 0.06] * 5, [1] * 10, events=100)[1] > high
    assert share_ends([0.0] * 10, [1] * 10, events=240) == pytest.approx((0.0, z2 / (240 + z2)))


@pytest.fixture
def talked(make_result, make_ear):
    """Return a run of ten calls, 12 markers each way, R from 82 to 86."""

    def ear(seed):
        whole = make_ear(seed, heard=120, rejected=0, lost=0)
        rng = np.random.default_rng(seed)
        levels = 0.155 + 0.005 * rng.standard_normal(10)
        samples = tuple(
            replace(each, call=i // 12, delay_s=float(levels[i // 12]), heard_s=each.spoken_s + float(levels[i // 12]))
            for i, each in enumerate(whole.samples)
        )
        calls = tuple(
            HeardCall(call=i, scheduled=12, heard=12, stages=whole.stages, unplayed=0.0097, concealed=0.001, r=r)
            for i, r in enumerate(np.linspace(82.0, 86.0, 10).tolist())
        )
        return replace(whole, samples=samples, calls=calls)

    return make_result(mouth_to_ear={"caller_to_callee": ear(1), "callee_to_caller": ear(2)})


def test_summary_and_budget_have_the_one_interval_of_the_calls(talked):
    judged = judge(talked, [parse_budget("mouth_to_ear.caller_to_callee p95 < 200ms")])
    ear = judged.mouth_to_ear["caller_to_callee"]
    low, high = quantile_ends(of_calls(ear).parts, 0.95)
    found = ear.summary.quantile("p95")
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (judged.budgets[0].low, judged.budgets[0].high) == pytest.approx((low, high))
    assert judged.budgets[0].verdict == "met"


def test_r_has_an_interval_and_a_budget_inside_it_is_undecided(talked):
    found = evaluate(parse_budget("mouth_to_ear.caller_to_callee.r mean >= 80"), talked)
    assert found.low < found.value < found.high
    assert not found.exact
    assert evaluate(parse_budget("mouth_to_ear.r mean >= 84"), talked).verdict == "undecided"
    mos = evaluate(parse_budget("mouth_to_ear.caller_to_callee.mos mean >= 4"), talked)
    assert mos.low < mos.value < mos.high


def test_calls_that_lost_nothing_do_not_promise_that_the_next_will_lose_nothing(talked):
    ear = talked.mouth_to_ear["caller_to_callee"]
    same = tuple(replace(each, delay_s=0.15) for each in ear.samples)  # the delay is sure: all that is left is loss
    calls = tuple(replace(each, unplayed=0.0, r=86.9) for each in ear.calls)
    clean = {
        "protection": replace(ear.protection, sent=3000, unplayed=0.0),
        "quality": replace(ear.quality, r=86.9, burst_ratio=2.0),
    }
    run = replace(talked, accounts=(replace(ear, samples=same, calls=calls, **clean),))
    found = evaluate(parse_budget("mouth_to_ear.caller_to_callee.r mean >= 80"), run)
    # None of 3,000 frames, which bursts twice as long as chance's make 1,000: up to z² / (1000 + z²) = 0.383 %.
    unlucky, kept = (conversation(one_way_delay_s=0.15, loss_ratio=x, burst_ratio=2.0).r for x in (0.0038268, 0.0))
    assert found.low == pytest.approx(86.9 - (kept - unlucky), abs=1e-4)
    assert found.high == pytest.approx(86.9)


def test_what_delay_and_loss_take_off_r_adds_as_squares(talked):
    ear = talked.mouth_to_ear["caller_to_callee"]
    fixed = replace(ear, samples=tuple(replace(each, delay_s=0.2) for each in ear.samples))
    never = replace(ear, protection=replace(ear.protection, sent=10**12), calls=tuple(
        replace(each, unplayed=ear.unplayed) for each in ear.calls
    ))  # fmt: skip

    def below(ear):
        run = replace(talked, accounts=(ear,))
        return 84.1 - evaluate(parse_budget("mouth_to_ear.caller_to_callee.r mean >= 80"), run).low

    assert below(ear) < below(fixed) + below(never)
    assert below(ear) == pytest.approx(math.hypot(below(fixed), below(never)), rel=0.1)


def test_no_interval_goes_beyond_what_a_run_can_be(talked):
    # Two calls alone: t(1) = 12.7 takes R of 53 and 116 in, but 93.2 is all that G.107 gives a call without any delay.
    def two_of(ear):
        calls = tuple(replace(each, r=r) for each, r in zip(ear.calls[:2], (82.0, 87.0), strict=True))
        samples = tuple(each for each in ear.samples if each.call < 2)
        return replace(ear, calls=calls, samples=samples, scheduled=24, heard=24)

    pair = replace(talked, accounts=tuple(map(two_of, talked.accounts)))
    r = evaluate(parse_budget("mouth_to_ear.caller_to_callee.r mean >= 80"), pair)
    assert 0.0 <= r.low < r.value < r.high <= 93.2
    mos = evaluate(parse_budget("mouth_to_ear.caller_to_callee.mos mean >= 4"), pair)
    assert 1.0 <= mos.low < mos.value < mos.high <= 4.5
    mean = evaluate(parse_budget("mouth_to_ear.caller_to_callee mean < 200ms"), pair)
    assert fixed_s(pair.mouth_to_ear["caller_to_callee"]) <= mean.low < mean.value < mean.high


def test_of_one_call_r_is_as_unsure_as_its_delay_and_its_loss(make_result):
    found = evaluate(parse_budget("mouth_to_ear.r mean >= 80"), make_result())
    assert not found.exact
    assert found.low < 84.1 < found.high


def test_what_is_equal_in_every_call_is_exact(talked):
    found = evaluate(parse_budget("mouth_to_ear.stages.capture mean <= 10ms"), talked)
    assert (found.verdict, found.exact, found.low) == ("met", True, None)


def test_a_share_above_is_told_from_how_the_calls_differ(talked):
    found = evaluate(parse_budget("mouth_to_ear.caller_to_callee share_above(155ms) < 5%"), talked)
    # Whole calls are above or below: about ten events, not 120.
    assert found.high - found.low > 0.4
    none = evaluate(parse_budget("mouth_to_ear.caller_to_callee share_above(300ms) < 5%"), talked)
    assert none.value == 0.0
    assert 0.2 < none.high < 0.3  # none of ten: z² / (10 + z²) is 27.8 %
