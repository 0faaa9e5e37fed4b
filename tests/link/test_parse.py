"""Links as people write them."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.link import (
    Bernoulli,
    BurstLoss,
    CoDel,
    Delay,
    EcnRamp,
    FourState,
    GilbertElliott,
    Interval,
    Limit,
    LinkSpec,
    Pi2,
    Police,
    Pulses,
    RandomWalk,
    Rate,
    Reorder,
    Slot,
    Tcp,
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
        ("rate 1mbit bucket 16kB", LinkSpec(rate=Rate(bps=1e6, bucket_bytes=16_000))),
        ("police 500kbit 16kB", LinkSpec(police=Police(bps=5e5, bucket_bytes=16_000))),
        ("slot 5ms", LinkSpec(slot=Slot(interval=Delay(base_s=0.005)))),
        (
            "slot 5ms 10ms packets 4 bytes 3000",
            LinkSpec(slot=Slot(interval=Delay(base_s=0.0075, jitter_s=0.0025), packets=4, size_bytes=3000)),
        ),
        (
            "delay 8ms 1ms slot distribution normal 8ms 2ms packets 4 distribution pareto",
            LinkSpec(
                delay=Delay(base_s=0.008, jitter_s=0.001, distribution="pareto"),
                slot=Slot(interval=Delay(base_s=0.008, jitter_s=0.002, distribution="normal"), packets=4),
            ),
        ),
        ("rate 1mbit aqm codel", LinkSpec(rate=Rate(bps=1e6), aqm=CoDel(target_s=0.005, interval_s=0.1))),
        (
            "rate 1mbit aqm codel aqm_target 10ms aqm_interval 200ms ecn ect0",
            LinkSpec(rate=Rate(bps=1e6), aqm=CoDel(target_s=0.01, interval_s=0.2), ecn="ect0"),
        ),
        ("rate 1mbit aqm pi2 aqm_target 20ms", LinkSpec(rate=Rate(bps=1e6), aqm=Pi2(target_s=0.02))),
        (
            "rate 1mbit aqm ecn-ramp aqm_max 20ms ecn ect1",
            LinkSpec(rate=Rate(bps=1e6), aqm=EcnRamp(target_s=0.004, max_s=0.02), ecn="ect1"),
        ),
        (
            "rate 5mbit cross tcp 100ms cross pulses 2mbit 50ms cross random-walk cross tcp 20ms 64kB",
            LinkSpec(
                rate=Rate(bps=5e6),
                cross_traffic=(
                    Tcp(rtt_s=0.1, window_bytes=1_000_000), Pulses(peak_bps=2e6, for_s=0.05, every_s=2.1),
                    RandomWalk(peak_bps=1e5), Tcp(rtt_s=0.02, window_bytes=64_000),
                ),
            ),
        ),
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


def test_the_keys_of_the_queue_say_what_the_line_says():
    keys = {
        "rate": "1mbit", "bucket": "16kB", "police": {"rate": "500kbit", "bucket": "16kB"}, "aqm": "pi2", "ecn": "ect1",
        "cross_traffic": [{"kind": "tcp", "rtt": "100ms"},
                          {"kind": "pulses", "peak": "2mbit", "for": "50ms", "every": "1s"}],
        "slot": {"delay": "8ms", "jitter": "2ms", "distribution": "normal", "bytes": "3kB"},
    }  # fmt: skip
    line = (
        "rate 1mbit bucket 16kB police 500kbit 16kB aqm pi2 ecn ect1 cross tcp 100ms cross pulses 2mbit 50ms 1s "
        "slot distribution normal 8ms 2ms bytes 3kB"
    )
    assert parse_link(keys) == parse_link(line)


def test_a_schedule_changes_the_queue_and_a_phase_without_a_rate_has_none():
    spec = parse_link(
        {
            "rate": "1mbit", "aqm": "codel", "aqm_interval": "50ms", "ecn": "ect0",
            "cross_traffic": [{"kind": "tcp", "rtt": "100ms"}],
            "schedule": [
                {"at": "1s", "aqm": "pi2"},
                {"at": "2s", "rate": None},
                {"at": "3s", "rate": "2mbit", "slot": {"min": "5ms"}, "police": {"rate": "1mbit", "bucket": "2kB"}},
                {"at": "4s", "aqm": None, "cross_traffic": None},
            ],
        }
    )  # fmt: skip
    tcp = (Tcp(rtt_s=0.1),)
    assert [(phase.aqm, phase.ecn, phase.cross_traffic) for phase in spec.phases] == [
        (CoDel(interval_s=0.05), "ect0", tcp),
        (Pi2(), "ect0", tcp),
        (None, "none", ()),
        (Pi2(), "ect0", tcp),
        (None, "none", ()),
    ]
    assert [bool(phase.slot and phase.police) for phase in spec.phases] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("delay 100ms limit 100000", "delay 100ms"),
        ("delay 100msec 20msecs loss 0.5 %", "delay 100ms 20ms loss 0.5%"),
        ("delay 1.5sec", "delay 1.5s"),
        ("delay 250usec rate 1mibit", "delay 250us rate 1048576bit"),
        ("latency 80 ms drop 2%", "delay 80ms loss 2%"),
        ("delay 250\u00b5s 20 \u03bcs", "delay 250us 20us"),
        ("sudo tc qdisc add dev eth0 root netem delay 100ms 10ms 25% loss random 1% limit 100000",
         "delay 100ms 10ms 25% loss 1%"),
        ("netem delay 40ms rate 1mbit limit 100000", "delay 40ms rate 1mbit limit 100000"),
        ("rate 40 kbit limit 50", "rate 40kbit limit 50"),
    ],
)  # fmt: skip
def test_lines_that_people_paste_are_taken_as_tc_takes_them(pasted, meant):
    assert parse_link(pasted) == parse_link(meant)


def test_a_whole_number_may_be_written_as_a_float_wherever_packets_are_counted():
    slot = {"min": "5ms", "packets": 4.0}
    floats = {"rate": "1mbit", "limit": 50.0, "delay": "5ms", "reorder": "1%", "gap": 5.0, "slot": slot}
    assert parse_link(floats) == parse_link(
        {"rate": "1mbit", "limit": 50, "delay": "5ms", "reorder": "1%", "gap": 5, "slot": {"min": "5ms", "packets": 4}}
    )


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        # tc-tbf(8): sizes are bytes, a k 1024 of them, kbit an eighth of that; latency is how long its queue may hold.
        ("rate 500kbit burst 32kbit latency 400ms", "rate 500kbit bucket 4096B limit 400ms"),
        ("delay 20ms rate 1mbit buffer 10k limit 3000", "delay 20ms rate 1mbit bucket 10240B limit 3000B"),
        ("tc qdisc add dev eth0 root tbf rate 1mbit burst 1540 latency 70ms", "rate 1mbit bucket 1540B limit 70ms"),
    ],
)
def test_a_line_of_tbf_is_refused_with_the_line_that_does_the_same(pasted, meant):
    with pytest.raises(BadInputError) as refused:
        parse_link(pasted)
    assert refused.value.hint == f"write {meant}"
    assert parse_link(meant).rate.bucket_bytes > 0


def test_changes_are_written_on_one_line():
    assert parse_link(
        "delay 40ms rate 2.5mbit limit 200ms at 20s rate 600kbit loss 1% at 50s rate 2.5mbit repeat 90s"
    ) == parse_link(
        {
            "delay": "40ms",
            "rate": "2.5mbit",
            "limit": "200ms",
            "repeat": "90s",
            "schedule": [{"at": "20s", "rate": "600kbit", "loss": "1%"}, {"at": "50s", "rate": "2.5mbit"}],
        }
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rate 1mbit at", "at has no value: write its value after it: TIME and what holds from then on"),
        ("rate 1mbit at 20s 30s", "'30s' after at 20s belongs to no key"),
        ("rate 1mbit at 20s rate 1mbit rate 2mbit", "rate is given twice"),
        ("rate 1mbit at 20s outage 1s 2s", "schedule key 'outages' is not known"),
        ("rate 1mbit at 20s rate 2mbit at 10s rate 3mbit", "the schedule goes back in time"),
        ("rate 1mbit repeat 20s", "repeat is given without schedule"),
    ],
)  # fmt: skip
def test_changes_that_cannot_be_meant_are_refused_in_a_sentence(line, said):
    with pytest.raises(BadInputError) as refusal:
        parse_link(line)
    assert said in str(refusal.value)
