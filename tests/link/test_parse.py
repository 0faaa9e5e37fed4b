"""Links as people write them."""

import pytest

from rtcprobe.link import (
    Bernoulli,
    BurstLoss,
    Delay,
    FourState,
    GilbertElliott,
    Interval,
    Limit,
    LinkSpec,
    Rate,
    Reorder,
    parse_link,
)


def test_one_line_says_what_the_keys_say():
    line = parse_link("delay 80ms 10ms 25% distribution normal loss 2% burst 3 rate 1mbit limit 50")
    keys = parse_link(
        {
            "delay": "80ms", "jitter": "10ms", "correlation": "25%", "distribution": "normal",
            "loss": "2%", "burst": 3, "rate": "1Mbps", "limit": 50,
        }
    )  # fmt: skip
    assert line == keys
    assert keys == LinkSpec(
        delay=Delay(base_s=0.08, jitter_s=0.01, distribution="normal", correlation=0.25),
        loss=BurstLoss(0.02, 3.0),
        rate=Rate(bps=1e6),
        limit=Limit(packets=50),
    )


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        ("", LinkSpec()),
        ("loss random 2%", LinkSpec(loss=Bernoulli(0.02))),
        ("loss 0%", LinkSpec()),
        ("loss gemodel 1%", LinkSpec(loss=GilbertElliott(p=0.01, r=0.99))),
        ("loss gemodel 1% 20% 75% 0.5%", LinkSpec(loss=GilbertElliott(p=0.01, r=0.2, h_loss=0.75, k_loss=0.005))),
        ("loss state 2%", LinkSpec(loss=FourState(p13=0.02, p31=0.98))),
        ("rate 1mbit 28 48 5", LinkSpec(rate=Rate(bps=1e6, overhead_bytes=28, cell_bytes=48, cell_overhead_bytes=5))),
        ("rate 1mbit -10", LinkSpec(rate=Rate(bps=1e6, overhead_bytes=-10))),
        ("rate 1mbit limit 64kB", LinkSpec(rate=Rate(bps=1e6), limit=Limit(size_bytes=64_000))),
        ("rate 1mbit limit 200ms", LinkSpec(rate=Rate(bps=1e6), limit=Limit(wait_s=0.2))),
        ("delay 10ms reorder 25% gap 5", LinkSpec(delay=Delay(base_s=0.01), reorder=Reorder(ratio=0.25, gap=5))),
        ("duplicate 1% corrupt 0.1%", LinkSpec(duplicate=0.01, corrupt=0.001)),
        (
            "outage 10s 2s outage 60s 1s handover 15s 140ms 15s",
            LinkSpec(
                outages=(Interval(at_s=10, for_s=2), Interval(at_s=60, for_s=1)),
                handovers=(Interval(at_s=15, for_s=0.14, every_s=15),),
            ),
        ),
    ],
)  # fmt: skip
def test_a_line_in_tcs_words_means_what_tc_means(line, spec):
    assert parse_link(line) == spec


def test_cells_and_overhead_lengthen_packets_as_tc_does():
    # (100 + 28) B in cells of 48 is 3 cells of 53: 159 B, at 1 Mbit/s 1.272 ms.
    assert parse_link("rate 1mbit 28 48 5").rate.seconds(100) == pytest.approx(159 * 8 / 1e6)
    assert parse_link("rate 1mbit -10").rate.seconds(100) == pytest.approx(90 * 8 / 1e6)
    assert parse_link("rate 1mbit -200").rate.seconds(100) == 0.0


def test_a_schedule_entry_changes_what_it_names_and_keeps_the_rest():
    spec = parse_link(
        {
            "delay": "10ms", "loss": "2%", "burst": 3, "rate": "1mbit", "limit": 50,
            "schedule": [
                {"at": "1s", "loss": "5%"},
                {"at": "2s", "gemodel": {"p": "1%", "r": "20%"}},
                {"at": "3s", "gemodel": None, "rate": None},
            ],
        }
    )  # fmt: skip
    first, second, third = (change.spec for change in spec.schedule)
    assert (first.loss, first.rate, first.delay) == (BurstLoss(0.05, 3.0), Rate(bps=1e6), spec.delay)
    assert second.loss == GilbertElliott(p=0.01, r=0.2)
    assert (third.loss, third.rate, third.limit) == (None, None, None)


def test_null_leaves_a_key_out():
    assert parse_link({"delay": "10ms", "loss": None}) == LinkSpec(delay=Delay(base_s=0.01))
