"""What was done, and beside it what was asked."""

from math import inf

import numpy as np
import pytest

from rtcprobe.link import (
    Bernoulli,
    BurstLoss,
    Delay,
    DelayTrace,
    Fate,
    Link,
    LinkSpec,
    LossTrace,
    Path,
    Requested,
    Tally,
    parse_link,
    requested,
)


def tally_of(arrivals):
    """Return the tally of packets offered at 0, 1, 2, ... s; None is a lost one."""
    tally = Tally()
    for n, arrival_s in enumerate(arrivals):
        tally.add(n, 100, Fate((), "loss") if arrival_s is None else Fate((arrival_s,)))
    return tally


def test_nothing_offered_says_nothing():
    achieved = Tally().achieved()
    assert (achieved.offered, achieved.delivered, dict(achieved.drops)) == (0, 0, {})
    figures = [getattr(achieved, name) for name in achieved.__dataclass_fields__ if name not in COUNTS]
    assert figures == [None] * len(figures)


COUNTS = {"offered", "delivered", "drops"}


def test_everything_lost_is_a_loss_but_no_delay():
    achieved = tally_of([None, None]).achieved()
    assert (achieved.loss, achieved.mean_burst, achieved.longest_burst) == (1.0, 2.0, 2)
    assert (achieved.delay_p50_s, achieved.reordered, achieved.duplicated) == (None, None, None)
    assert dict(achieved.drops) == {"loss": 2}


def test_nothing_lost_has_no_burst():
    assert tally_of([0.5, 1.5]).achieved().mean_burst is None


def test_bursts_are_runs_of_losses_in_the_order_offered():
    # Runs of 1, 3 and 2: mean 2, longest 3.
    achieved = tally_of([None, 1.1, None, None, None, 5.1, 6.1, None, None]).achieved()
    assert (achieved.mean_burst, achieved.longest_burst) == (2.0, 3)
    assert achieved.loss == pytest.approx(6 / 9)


def test_reordered_packets_are_those_overtaken_by_a_later_one():
    # RFC 4737's own sense: 1, 2, 5, 3, 4 arrive; 3 and 4 are reordered, 5 is not.
    assert tally_of([1.0, 2.0, 8.0, 9.0, 7.0]).achieved().reordered == 2 / 5
    assert tally_of([5.0, 5.0, 5.0]).achieved().reordered == 0.0  # together is not overtaken


def test_of_several_copies_the_first_counts():
    tally = Tally()
    tally.add(0.0, 100, Fate((0.1, 0.9)))
    tally.add(0.2, 100, Fate((0.3,), corrupt=(7,)))
    achieved = tally.achieved()
    assert (achieved.delay_max_s, achieved.reordered) == (pytest.approx(0.1), 0.0)
    assert (achieved.duplicated, achieved.corrupted) == (0.5, 0.5)


@pytest.mark.parametrize(("packets", "p95", "p99"), [(19, False, False), (20, True, False), (100, True, True)])
def test_a_quantile_needs_a_packet_beyond_it(packets, p95, p99):
    achieved = tally_of([n + 0.001 * n for n in range(packets)]).achieved()
    assert (achieved.delay_p95_s is not None, achieved.delay_p99_s is not None) == (p95, p99)
    assert achieved.delay_p50_s == pytest.approx(0.001 * (packets - 1) / 2)


def test_rates_are_bits_between_the_first_and_the_last_packet():
    assert tally_of([0.5, 1.5, 2.5]).achieved().offered_bps == 800.0  # 100 B a second
    assert tally_of([0.5]).achieved().offered_bps is None


def test_requested_and_achieved_speak_of_the_same_things():
    shared = set(Requested.__dataclass_fields__) - {"rate_bps", "notes"}
    assert shared <= set(Tally().achieved().__dataclass_fields__)


def test_one_hop_requests_what_it_was_given():
    asked = Requested.of([parse_link("delay 80ms 10ms distribution normal loss 2% burst 3 rate 1mbit")])
    assert (asked.loss, asked.mean_burst, asked.rate_bps) == (0.02, 3.0, 1e6)
    # Normal quantiles: ±1.645 and 2.326 standard deviations.
    assert (asked.delay_p5_s, asked.delay_p50_s) == pytest.approx((0.06355, 0.08), abs=1e-5)
    assert (asked.delay_p95_s, asked.delay_p99_s) == pytest.approx((0.09645, 0.10326), abs=3e-5)
    assert (asked.delay_min_s, asked.delay_max_s) == pytest.approx((0.04, 0.12))


def test_losses_of_several_hops_combine_as_they_really_do():
    hops = [LinkSpec(loss=BurstLoss(0.05, 4.0)), LinkSpec(loss=Bernoulli(0.1)), LinkSpec(loss=BurstLoss(0.03, 2.0))]
    asked = Requested.of(hops)
    assert asked.loss == pytest.approx(1 - 0.95 * 0.9 * 0.97)
    path, tally = Path([Link(spec, np.random.SeedSequence(n)) for n, spec in enumerate(hops)]), Tally()
    for n in range(10_000):
        tally.add(0.02 * n, 160, path.offer(160, 0.02 * n))
    achieved = tally.achieved()
    assert achieved.loss == pytest.approx(asked.loss, abs=0.012)
    assert achieved.mean_burst == pytest.approx(asked.mean_burst, rel=0.05)


def test_delays_of_several_hops_add_as_independent_ones_do():
    # Two normals of 3 and 4 ms make one of 5 ms: p95 = 30 + 1.645·5 = 38.22, p99 = 30 + 2.326·5 = 41.63 ms.
    hops = [
        Delay(base_s=0.01, jitter_s=0.003, distribution="normal"),
        Delay(base_s=0.02, jitter_s=0.004, distribution="normal"),
    ]
    asked = Requested.of([LinkSpec(delay=delay) for delay in hops])
    assert (asked.delay_p50_s, asked.delay_p95_s) == pytest.approx((0.03, 0.03822), abs=5e-5)
    assert asked.delay_p99_s == pytest.approx(0.04163, abs=1e-4)


def test_the_sum_of_two_hops_has_the_quantiles_of_all_pairs_to_the_bit():
    rng = np.random.default_rng(1)
    ranks = (np.arange(512) + 0.5) / 512
    heavy = np.sort(rng.pareto(1.5, 512))
    for first, second in ((heavy, np.sort(rng.random(512))), (np.round(heavy, 1), heavy), (np.ones(512), np.ones(512))):
        pairs = np.add.outer(first, second).ravel()
        assert np.array_equal(requested._summed(first, second), np.quantile(pairs, ranks, method="hazen"))


def test_a_repeating_schedule_is_averaged_over_its_round():
    asked = Requested.of(
        [
            parse_link(
                {
                    "delay": "10ms",
                    "loss": "1%",
                    "schedule": [{"at": "3s", "loss": "9%", "delay": "50ms"}],
                    "repeat": "4s",
                }
            )
        ]
    )
    assert asked.loss == pytest.approx(0.75 * 0.01 + 0.25 * 0.09)
    assert (asked.delay_p5_s, asked.delay_p50_s, asked.delay_p95_s) == pytest.approx((0.01, 0.01, 0.05))
    assert "the schedule changes delay, loss" in asked.notes


def test_an_open_ended_schedule_has_no_one_value():
    asked = Requested.of([parse_link({"delay": "10ms", "loss": "1%", "schedule": [{"at": "3s", "loss": "9%"}]})])
    assert (asked.loss, asked.mean_burst) == (None, None)
    assert asked.delay_p50_s == 0.01
    assert asked.notes == ("the schedule changes loss",)


def test_traces_request_what_they_recorded():
    delays = DelayTrace(delays_s=(0.01, inf, inf, 0.02, 0.03, inf))
    asked = Requested.of([LinkSpec(delay=delays)])
    # As a ring, 3 of 6 are lost in runs of 2 and 1.
    assert (asked.loss, asked.mean_burst) == (0.5, 1.5)
    assert (asked.delay_min_s, asked.delay_p50_s, asked.delay_max_s) == pytest.approx((0.01, 0.02, 0.03))
    assert Requested.of([LinkSpec(loss=LossTrace(lost=(True, False, False, True)))]).mean_burst == 2.0  # around the end


def test_an_order_that_jitter_breaks_promises_no_reordering_figure():
    assert Requested.of([parse_link("delay 50ms 20ms order free")]).reordered is None
    assert Requested.of([parse_link("delay 50ms 20ms")]).reordered == 0.0
    assert Requested.of([parse_link("delay 50ms reorder 5% reorder_by 50ms")]).reordered == pytest.approx(0.05)


def test_marks_are_of_the_delivered_and_asked_for_without_a_figure():
    tally = Tally()
    for fate in (Fate((0.1,), marked=True), Fate((0.1,)), Fate((0.1, 0.2), marked=True), Fate((), "loss")):
        tally.add(0.0, 100, fate)
    assert tally.achieved().marked == 2 / 3
    asked = {line: Requested.of([parse_link(line)]) for line in ("rate 1mbit aqm pi2", "rate 1mbit aqm pi2 ecn ect1")}
    assert [each.marked for each in asked.values()] == [0.0, None]
    assert "marks are counted, nobody answers them" in asked["rate 1mbit aqm pi2 ecn ect1"].notes


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("police 1mbit 16kB", "loss is without what the policer drops"),
        ("rate 1mbit aqm codel", "how many packets the AQM drops or marks depends on how full the queue is"),
        ("rate 1mbit cross tcp 100ms", "the rate is shared with cross traffic"),
        ("slot 5ms", "delays are without the wait for a slot"),
        ("rate 1mbit bucket 16kB", "delays are without the time spent waiting for the line and being sent"),
    ],
)
def test_what_the_queue_adds_to_the_figures_asked_for_is_said(line, note):
    assert note in Requested.of([parse_link(line)]).notes


def test_a_schedule_of_the_queue_is_said():
    notes = Requested.of(
        [parse_link({"rate": "1mbit", "schedule": [{"at": "1s", "aqm": "codel", "ecn": "ect0"}]})]
    ).notes
    assert "the schedule changes aqm, ecn" in notes
