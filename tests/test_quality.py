"""The E-model against published figures, and the laws any quality figure must keep.

Published: ITU-T G.107 (default R, table of Annex B), ITU-T G.113 (tabulated Idd of 1996, tabulated Ie under loss of
2002), and values the flent tool verified against the ITU's own web calculator (No and Is with all defaults).
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.errors import BadInputError
from rtcprobe.quality import (
    G711_PLC,
    G729A,
    OPUS,
    Codec,
    DelaySensitivity,
    burst_ratio,
    conversation,
    listening,
    mos,
)

CLEAN = {"loss_ratio": 0.0, "codec": G711_PLC}


# Published figures


def test_all_defaults_give_the_93_2_and_4_41_of_the_standard():
    quality = conversation(one_way_delay_s=0, **CLEAN)
    assert round(quality.r, 1) == 93.2
    assert round(quality.mos, 2) == 4.41


def test_signal_to_noise_and_simultaneous_impairment_agree_with_the_itu_calculator():
    # No = −61.17921438624169 dBm0p, so Ro = 15 − 1.5 · (SLR + No); Is is that of an echo too late for the sidetone.
    quality = conversation(one_way_delay_s=0.2, **CLEAN)
    assert quality.ro == pytest.approx(15 - 1.5 * (8 - 61.17921438624169), abs=1e-12)
    assert quality.is_ == pytest.approx(1.4135680813438616, abs=1e-12)


@pytest.mark.parametrize(("r", "published"), [(50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34)])
def test_mos_is_that_of_annex_b(r, published):
    # The table rounds loosely: its 4.03 is 4.024 by its own equation.
    assert mos(r) == pytest.approx(published, abs=0.0065)


@pytest.mark.parametrize(
    ("delay_ms", "tabulated"),
    [(100, 0), (150, 0), (200, 3), (250, 10), (300, 15), (400, 25), (500, 30), (600, 35), (800, 40)],
)
def test_the_delay_curve_runs_through_the_table_it_replaced(delay_ms, tabulated):
    # Idd of G.113 (02/1996), steps of 5 past 3; without echo Id is Idd and a listener echo of 0.15.
    quality = conversation(one_way_delay_s=delay_ms / 1e3, echo_path_s=0, **CLEAN)
    assert quality.id == pytest.approx(tabulated, abs=1.3)


def test_delay_at_twice_its_free_span_costs_what_the_equation_says_by_hand():
    # X = lg(200/100)/lg 2 = 1: 25 · (2^(1/6) − 3 · (1 + 1/729)^(1/6) + 2) = 3.0446
    free = conversation(one_way_delay_s=0.1, echo_path_s=0, **CLEAN).id
    idd = conversation(one_way_delay_s=0.2, echo_path_s=0, **CLEAN).id - free
    assert idd == pytest.approx(25 * (2 ** (1 / 6) - 3 * (730 / 729) ** (1 / 6) + 2), abs=1e-9)
    assert idd == pytest.approx(3.04, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "published"),
    [
        (G729A, {0: 11, 0.5: 13, 1: 15, 1.5: 17, 2: 19, 3: 23, 4: 26, 8: 36, 16: 49}),
        (G711_PLC, {0: 0, 2: 7, 3: 10, 5: 15}),
    ],
)
def test_random_loss_costs_what_g113_tabulates(codec, published):
    # G.113 Appendix I (05/2002) gave Ie per loss in whole numbers; Bpl was then fitted to them.
    ours = {percent: listening(loss_ratio=percent / 100, codec=codec).ie_eff for percent in published}
    assert ours == pytest.approx(published, abs=0.9)


def test_the_published_example_of_sixteen_packets_has_a_burst_ratio_of_one_and_a_half():
    # A. Chydzinski, Informatica 34 (2023): arrivals 1101111100011111; 4 lost of 16 in 2 bursts: 2 · (1 − 0.25).
    losses = [sign == "0" for sign in "1101111100011111"]
    assert burst_ratio(losses) == pytest.approx(1.5)


# Burst ratio


def test_random_losses_have_a_burst_ratio_of_one():
    losses = np.random.default_rng(1).random(200_000) < 0.1
    # About 18,000 bursts, each geometric with deviation √0.1/0.9 = 0.35: 4 deviations of the mean are 0.0105 · 0.9.
    assert burst_ratio(losses.tolist()) == pytest.approx(1, abs=0.01)


def test_losses_of_a_two_state_chain_have_the_burst_ratio_of_its_two_chances():
    # G.107 clause 7.5: with p from found to lost and q back, BurstR = 1/(p + q) = 2.5.
    p, q, rng = 0.05, 0.35, np.random.default_rng(2)
    found = rng.geometric(p, 20_000)
    lost = rng.geometric(q, 20_000)
    losses = np.repeat(np.tile([False, True], 20_000), np.column_stack([found, lost]).ravel())
    # Mean burst 1/q ± √(1−q)/q/√20,000 = 2.857 ± 0.016; the share of loss adds as much again.
    assert burst_ratio(losses.tolist()) == pytest.approx(1 / (p + q), abs=0.08)


def test_strict_alternation_is_half_as_bursty_as_random_loss():
    assert burst_ratio([True, False] * 50) == pytest.approx(0.5)  # bursts of 1, random ones at 50% would be of 2


@pytest.mark.parametrize("losses", [[], [False] * 9, [True] * 9])
def test_nothing_lost_or_all_lost_leaves_no_burst_ratio(losses):
    assert burst_ratio(losses) is None


def test_bursts_cost_more_than_the_same_loss_at_random():
    # 2% loss: Ppl/(Ppl/2 + 16) against Ppl/(Ppl + 16) = 2/17 against 2/18
    bursty = listening(loss_ratio=0.02, burst_ratio=2.0).ie_eff
    random = listening(loss_ratio=0.02).ie_eff
    assert (bursty - OPUS.ie) / (random - OPUS.ie) == pytest.approx(18 / 17)


def test_losses_spread_evenly_are_rated_as_random_and_it_is_said():
    even = listening(loss_ratio=0.02, burst_ratio=0.5)
    assert even.r == listening(loss_ratio=0.02).r
    assert any("rated as 1" in sentence for sentence in even.assumptions)


# Delay and echo


def test_listening_takes_no_notice_of_delay_and_is_conversation_at_once():
    assert listening(**CLEAN).r == conversation(one_way_delay_s=0, **CLEAN).r


def test_up_to_100_ms_only_echo_is_charged():
    near, far = (conversation(one_way_delay_s=delay_s, echo_path_s=0.05, **CLEAN) for delay_s in (0.0, 0.1))
    assert near.r == far.r


def test_a_less_sensitive_conversation_pays_later_and_less():
    calls = [
        conversation(one_way_delay_s=0.3, echo_path_s=0, sensitivity=sensitivity, **CLEAN).id
        for sensitivity in DelaySensitivity
    ]
    assert calls[0] > calls[1] > calls[2] > 0.15
    free = conversation(one_way_delay_s=0.15, echo_path_s=0, sensitivity=DelaySensitivity.VERY_LOW, **CLEAN)
    assert free.r == listening(**CLEAN).r


def test_a_louder_echo_costs_more_and_later_echo_costs_more():
    by_level = [conversation(one_way_delay_s=0.1, telr_db=telr_db, **CLEAN).r for telr_db in (65, 55, 45, 35)]
    assert by_level == sorted(by_level, reverse=True)
    assert by_level[0] - by_level[-1] > 20  # the reason echo cancellers exist
    by_delay = [conversation(one_way_delay_s=0, echo_path_s=echo_s, **CLEAN).r for echo_s in (0, 0.01, 0.05, 0.4)]
    assert by_delay == sorted(by_delay, reverse=True)


def test_the_echo_path_is_the_measured_delay_unless_told():
    assert (
        conversation(one_way_delay_s=0.12, **CLEAN).r == conversation(one_way_delay_s=0.12, echo_path_s=0.12, **CLEAN).r
    )


# Laws

# The equation of talker echo falls to −0.11 between 1 and 4 ms, which no mouth-to-ear delay is: a frame alone is 20.
delays = st.floats(0.005, 2)
ratios = st.floats(0, 1)


@settings(deadline=None, max_examples=40)
@given(delays, delays, ratios, ratios, st.floats(0.1, 20))
def test_more_delay_or_more_loss_never_improves_a_call(delay_a, delay_b, loss_a, loss_b, burst):
    (delay_a, delay_b), (loss_a, loss_b) = sorted((delay_a, delay_b)), sorted((loss_a, loss_b))
    better = conversation(one_way_delay_s=delay_a, loss_ratio=loss_a, burst_ratio=burst)
    worse = conversation(one_way_delay_s=delay_b, loss_ratio=loss_b, burst_ratio=burst)
    assert worse.r <= better.r + 1e-6
    assert 1 <= worse.mos <= better.mos + 1e-6


@settings(deadline=None, max_examples=40)
@given(delays, ratios, st.floats(0, 20))
def test_r_is_the_sum_of_its_printed_terms(delay_s, loss_ratio, advantage):
    q = conversation(one_way_delay_s=delay_s, loss_ratio=loss_ratio, advantage=advantage)
    assert q.r == pytest.approx(q.ro - q.is_ - q.id - q.ie_eff + q.a)
    assert q.a == advantage


@settings(deadline=None, max_examples=40)
@given(st.floats(-200, 300), st.floats(0, 50))
def test_mos_rises_with_r_and_stays_from_1_to_4_5(r, more):
    assert 1 <= mos(r) <= mos(r + more) + 1e-12 <= 4.5 + 1e-12


# What is said


def test_every_figure_says_where_its_codec_values_come_from_and_on_which_scale_it_is():
    text = " ".join(listening(loss_ratio=0.01).assumptions)
    assert "Opus: Ie 2 and Bpl 16 are provisional: the ITU gives none for Opus." in text
    assert "10.1145/3458751" in text
    assert "narrowband" in text
    assert "Loss after recovery 1%, taken as random" in text


@pytest.mark.parametrize(
    ("call", "extrapolated"),
    [
        ({"one_way_delay_s": 0.5, "loss_ratio": 0.2}, 0),
        ({"one_way_delay_s": 0.51, "loss_ratio": 0.2}, 1),
        ({"one_way_delay_s": 0.1, "echo_path_s": 0.6, "loss_ratio": 0.2}, 1),
        ({"one_way_delay_s": 0.51, "loss_ratio": 0.21}, 2),
        ({"one_way_delay_s": 0.1, "loss_ratio": 0.02, "burst_ratio": 2.0}, 0),
        ({"one_way_delay_s": 0.1, "loss_ratio": 0.02, "burst_ratio": 2.1}, 1),
        ({"one_way_delay_s": 0.1, "loss_ratio": 0.01, "burst_ratio": 8.0}, 0),
        ({"one_way_delay_s": 0.1, "loss_ratio": 0.01, "burst_ratio": 8.1}, 1),
    ],
)
def test_a_measurement_beyond_the_model_is_rated_and_said_to_be_extrapolated(call, extrapolated):
    assert sum("extrapolates" in sentence for sentence in conversation(**call).assumptions) == extrapolated


def test_what_is_said_of_delay_and_echo_quotes_what_was_measured():
    said = conversation(one_way_delay_s=0.1504, echo_path_s=0.175, telr_db=50, loss_ratio=0).assumptions
    assert (
        "Mouth-to-ear delay 150.4ms, sensitivity class 'default': nothing is charged up to 100 ms (G.107 Table 1)."
        in said
    )
    assert "Echo is assumed, not measured: 50 dB below the voice (TELR), over 175ms each way." in said


# Bad input

REFUSALS = {
    "negative delay": (
        lambda: conversation(one_way_delay_s=-0.1, loss_ratio=0),
        "one-way delay in seconds is -0.1: give a number from 0 up",
    ),
    "endless delay": (
        lambda: conversation(one_way_delay_s=math.inf, loss_ratio=0),
        "one-way delay in seconds is inf: give a number from 0 up",
    ),
    "no echo path": (
        lambda: conversation(one_way_delay_s=0.1, echo_path_s=math.nan, loss_ratio=0),
        "echo path delay in seconds is nan: give a number from 0 up",
    ),
    "loss": (lambda: listening(loss_ratio=1.3), "loss ratio is 1.3: give a number from 0 to 1"),
    "burst": (
        lambda: listening(loss_ratio=0.1, burst_ratio=0.0),
        "burst ratio is 0.0: give a number above 0, or None for random loss",
    ),
    "echo level": (
        lambda: conversation(one_way_delay_s=0.1, loss_ratio=0, telr_db=90),
        "TELR in dB is 90: give a number from 5 to 65",
    ),
    "advantage": (
        lambda: conversation(one_way_delay_s=0.1, loss_ratio=0, advantage=30),
        "advantage factor A is 30: give a number from 0 to 20",
    ),
    "ie": (
        lambda: Codec(name="x", ie=-1, bpl=10, provenance="mine"),
        "Ie of x is -1: give a number from 0 to 40",
    ),
    "bpl": (
        lambda: Codec(name="x", ie=0, bpl=1, provenance="mine"),
        "Bpl of x is 1: give a number from 4.3 to 40",
    ),
}


def refusal_of(act):
    try:
        act()
    except BadInputError as error:
        return str(error)
    return "not refused"


def test_what_cannot_be_is_refused_in_one_sentence():
    told = {case: refusal_of(act) for case, (act, _) in REFUSALS.items()}
    assert told == {case: sentence for case, (_, sentence) in REFUSALS.items()}


def test_long_bursts_cost_no_more_than_losing_everything():
    lost = listening(loss_ratio=0.6, burst_ratio=25.0)
    assert (lost.ie_eff, lost.mos) == (95.0, 1.0)
