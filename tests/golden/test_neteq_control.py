"""The facts libwebrtc's own unit tests assert about NetEQ's control logic, and what follows from its arithmetic.

Sources: delay_manager_unittest.cc, underrun_optimizer_unittest.cc, reorder_optimizer_unittest.cc,
buffer_level_filter_unittest.cc, packet_arrival_history_unittest.cc, decision_logic_unittest.cc, histogram_unittest.cc
(modules/audio_coding/neteq of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

import pytest

from rtcprobe.playout.neteq.buffer import PacketBuffer, WaitingPacket
from rtcprobe.playout.neteq.decision import Decision, Mode, Operation
from rtcprobe.playout.neteq.delay import (
    DelayConstraints,
    DelayTarget,
    Histogram,
    LevelFilter,
    ReorderOptimizer,
    UnderrunOptimizer,
)
from rtcprobe.playout.neteq.history import ArrivalHistory

FRAME = 960  # 20 ms at 48 kHz
MS = 48


def test_fifty_punctual_packets_lower_the_target_to_one_bucket():
    target = DelayTarget()
    assert target.target_ms == 80
    for packet in range(50):  # 20 ms apart, two ticks each
        target.update(0, 2 * packet, reordered=False)
    assert target.target_ms == 20


def test_the_underrun_optimiser_answers_with_the_worst_of_a_half_second_only_when_it_is_over():
    optimiser = UnderrunOptimizer()
    for late_ms in range(0, 500, 20):
        optimiser.update(late_ms, tick=0)
        assert optimiser.optimal_ms is None
    optimiser.update(0, tick=50)  # 500 ms are not more than 500 ms
    assert optimiser.optimal_ms is None
    optimiser.update(0, tick=51)
    assert optimiser.optimal_ms == 500  # worst 480 -> bucket 24 -> 20 * 25


@pytest.mark.parametrize(
    ("base_ms", "updates"),
    [
        (0, [(60, False, 20), (100, False, 20), (80, True, 100)]),
        (0, [(40, True, 60), (40, True, 60), (40, True, 60), (600, True, 60)]),
        (200, [(40, True, 60), (40, True, 60), (40, True, 60), (600, True, 620)]),
    ],
)
def test_the_reorder_optimiser_waits_for_what_is_worth_it(base_ms, updates):
    optimiser = ReorderOptimizer(0.9993, start_weight=1)
    for late_ms, reordered, expected_ms in updates:
        optimiser.update(late_ms, base_ms, reordered=reordered)
        assert optimiser.optimal_ms == expected_ms


@pytest.mark.parametrize(("target_ms", "expected"), [(20, 18), (60, 15), (140, 11), (160, 8)])
def test_the_level_filter_is_slower_for_longer_targets(target_ms, expected):
    level = LevelFilter()
    for _ in range(10):
        level.update(100, 0, target_ms)
    assert level.level_samples == expected  # 100 * (1 - (a/256)^10), a = 251, 252, 253, 254


def test_stretched_samples_leave_the_filtered_level_at_once_and_it_never_goes_negative():
    level = LevelFilter()
    level.set_level(1000)
    level.update(1000, 300, 80)
    assert level.level_samples == 700
    level.update(0, 5000, 80)
    assert level.level_samples == 0


def test_the_forget_factor_grows_from_none_to_all_but_a_sixtieth():
    histogram = Histogram(0.983)
    factors = {0: histogram._forget_q15() / 32768}
    for add in range(1, 131):
        histogram.add(3)
        factors[add] = histogram._forget_q15() / 32768
        assert sum(histogram.buckets) == 1 << 30
    # f after n adds = 1 - 2/(n + 1), within the 1/32768 of its integers, up to 0.983.
    for adds, expected in [(0, 0), (1, 0), (2, 1 / 3), (3, 1 / 2), (5, 2 / 3), (10, 9 / 11), (50, 49 / 51)]:
        assert factors[adds] == pytest.approx(expected, abs=1 / 32768)
    assert factors[116] < factors[117] == factors[130] == int(0.983 * 32768) / 32768  # 1 - 2/118 = 0.98305


def test_the_histogram_keeps_a_sum_of_one_whatever_is_added():
    histogram = Histogram(0.9993)
    for add in range(3000):
        histogram.add((add * 37) % 53 if add % 3 else 0)
        assert sum(histogram.buckets) == 1 << 30
        assert min(histogram.buckets) >= 0
    before = list(histogram.buckets)
    histogram.add(100)  # beyond two seconds: not registered
    assert histogram.buckets == before


def test_a_fresh_histogram_halves_from_bucket_to_bucket_and_sums_to_one():
    buckets = Histogram(0.983).buckets
    assert buckets[:3] == [0x2001 << 16, 0x1000 << 16, 0x0800 << 16]
    assert sum(buckets) == 1 << 30


def test_arrival_delays_count_from_the_fastest_packet():
    history = ArrivalHistory()
    delays = []
    # Packets every 20 ms of RTP time, then one 20 ms late, and a step of 40 ms beyond that.
    for timestamp_ms, arrival_ms in ((0, 100), (20, 120), (40, 160)):
        tick = arrival_ms // 10
        assert history.insert(timestamp_ms * MS, FRAME, tick)
        delays.append(history.delay_ms(timestamp_ms * MS, tick))
    assert delays == [0, 0, 20]
    assert history.max_delay_ms == 20
    # A packet three frames older than the newest one, now: 60 ms behind it, which itself was 20 late.
    assert history.delay_ms(40 * MS - 3 * FRAME, 16) == 80


def test_a_reordered_packet_is_remembered_but_neither_fastest_nor_slowest():
    history = ArrivalHistory()
    history.insert(0, FRAME, 10)
    history.insert(3 * FRAME, FRAME, 16)
    assert history.insert(FRAME, FRAME, 30)  # 180 ms late, out of order
    assert not history.is_newest(FRAME)
    assert (len(history), history.max_delay_ms) == (3, 0)
    assert not history.insert(FRAME, FRAME, 31), "a copy of a known frame tells nothing"


def test_the_history_spans_two_seconds_of_rtp_time():
    history = ArrivalHistory()
    history.insert(0, FRAME, 0)  # the fastest packet
    history.insert(FRAME, FRAME, 12)  # 100 ms late
    for packet in range(2, 101):
        history.insert(packet * FRAME, FRAME, 12 + 2 * (packet - 1))
    assert (len(history), history.max_delay_ms) == (101, 100)
    history.insert(101 * FRAME, FRAME, 12 + 2 * 100)  # packet 0 is now more than 2000 ms older than the newest
    assert (len(history), history.max_delay_ms) == (101, 0)
    assert not history.insert(0, FRAME, 300), "too old to tell anything"


@pytest.mark.parametrize(
    ("arguments", "target_ms", "clamped_ms"),
    [
        ({}, 20, 20),
        ({"min_delay_ms": 100}, 20, 100),
        ({"base_min_delay_ms": 100}, 20, 100),
        ({"max_delay_ms": 60}, 80, 60),
        ({"min_delay_ms": 50, "max_delay_ms": 60}, 20, 50),
        ({"base_min_delay_ms": 400, "max_delay_ms": 60}, 20, 60),
        ({"base_min_delay_ms": 10_000}, 20, 3_000),  # 75 % of 200 packets of 20 ms
        ({}, 5_000, 3_000),
    ],
)
def test_constraints_clamp_the_target_when_it_is_read(arguments, target_ms, clamped_ms):
    constraints = DelayConstraints(max_packets=200, **arguments)
    constraints.packet_time_known(20)
    assert constraints.clamp(target_ms) == clamped_ms


def _decide(*, target_ms, delay_ms=0, mode=Mode.NORMAL, mute=1.0, leap_ms=0, span_waited_ms=0, noise_ms=0, empty=False):
    """Ask a controller whose target and playout delay are as given, at tick 1000."""
    decision = Decision(DelayConstraints(max_packets=200, min_delay_ms=target_ms))
    tick, end = 1000, 480_000
    buffer = PacketBuffer(200)
    if not empty:
        # Two packets: their distance is the span, and the last has not waited.
        for timestamp in sorted({end + leap_ms * MS, end + leap_ms * MS + span_waited_ms * MS}):
            buffer.insert(WaitingPacket(timestamp, 0, b"x", FRAME, False, 0, 0, tick))
    # One packet in the history, as fast as it takes for `end` to be `delay_ms` late now.
    decision.history.insert(end + delay_ms * MS, FRAME, tick)
    return decision.decide(
        buffer, tick=tick, mode=mode, end=end, future=0, mute=mute, noise_samples=noise_ms * MS, last_duration=FRAME
    )


@pytest.mark.parametrize(
    ("delay_ms", "expected"),
    [
        (100, Operation.NORMAL),
        (150, Operation.ACCELERATE),
        (500, Operation.FAST_ACCELERATE),
        (50, Operation.PREEMPTIVE_EXPAND),
        (99, Operation.PREEMPTIVE_EXPAND),  # below T
        (119, Operation.NORMAL),  # the last of [T, T + MaxDelay + 20)
        (120, Operation.ACCELERATE),
        (480, Operation.FAST_ACCELERATE),  # four times the top
    ],
)
def test_a_target_of_100_ms_without_jitter_leaves_the_delay_alone_from_100_to_120(delay_ms, expected):
    assert _decide(target_ms=100, delay_ms=delay_ms) is expected


@pytest.mark.parametrize(("span_waited_ms", "expected"), [(200, Operation.EXPAND), (250, Operation.NORMAL)])
def test_after_muted_concealment_decoding_waits_for_half_the_target(span_waited_ms, expected):
    assert _decide(target_ms=500, mode=Mode.EXPAND, mute=0.0, span_waited_ms=span_waited_ms) is expected


def test_concealment_still_audible_ends_with_the_first_packet():
    assert _decide(target_ms=500, mode=Mode.EXPAND, mute=0.5, span_waited_ms=0) is Operation.NORMAL


@pytest.mark.parametrize(("noise_ms", "expected"), [(500, Operation.COMFORT_NOISE), (1010, Operation.EXPAND)])
def test_comfort_noise_of_the_codec_lasts_a_second(noise_ms, expected):
    assert _decide(target_ms=100, mode=Mode.COMFORT_NOISE, noise_ms=noise_ms, empty=True) is expected


@pytest.mark.parametrize(
    ("noise_ms", "span_waited_ms", "expected"),
    [(400, 200, Operation.COMFORT_NOISE), (200, 600, Operation.NORMAL)],
)
def test_after_comfort_noise_a_future_packet_waits_for_its_time_or_for_a_long_queue(noise_ms, span_waited_ms, expected):
    got = _decide(target_ms=500, mode=Mode.COMFORT_NOISE, leap_ms=400, noise_ms=noise_ms, span_waited_ms=span_waited_ms)
    assert got is expected


@pytest.mark.parametrize(
    ("mode", "noise_ms", "span_waited_ms", "expected"),
    [
        (Mode.NORMAL, 0, 0, Operation.EXPAND),  # a loss always starts with concealment
        (Mode.EXPAND, 10, 0, Operation.EXPAND),  # 10 of 20 ms covered
        (Mode.EXPAND, 20, 0, Operation.MERGE),  # covered
        (Mode.EXPAND, 10, 151, Operation.MERGE),  # not covered, but more than T + 50 queue up
        (Mode.EXPAND, 10, 150, Operation.EXPAND),
    ],
)
def test_a_hole_is_concealed_for_as_long_as_it_is(mode, noise_ms, span_waited_ms, expected):
    got = _decide(target_ms=100, mode=mode, leap_ms=20, noise_ms=noise_ms, span_waited_ms=span_waited_ms)
    assert got is expected
