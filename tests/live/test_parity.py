"""One program, two clocks: the same scenario on real sockets and timers agrees with virtual time."""

import statistics

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

# A link whose every figure is known, so that the two clocks differ by nothing but the clock.
SETTINGS = ["link=delay 40ms", "playout=fixed:60ms", "call.duration=10s", "call.joins=21", "budgets=[]"]
TRIES = 3
"""A busy machine makes a real run invalid, which is a verdict about the machine: it is tried again."""


def measured(clock):
    return run_probe(find_scenario("1v1-social", SETTINGS), seed=1, clock=clock)


def join_p50_s(result):
    return statistics.median(attempt.first_audio_s for attempt in result.join.attempts)


@pytest.fixture(scope="module")
def pair():
    virtual = measured("virtual")
    for _ in range(TRIES):
        real = measured("real")
        if real.verdict != "invalid":
            return virtual, real
    pytest.fail(f"the machine was too busy for a valid run {TRIES} times: {real.reasons}")


def test_mouth_to_ear_agrees_within_two_milliseconds(pair):
    virtual, real = pair
    for direction, ear in virtual.mouth_to_ear.items():
        expected = statistics.median(sample.delay_s for sample in ear.samples)
        got = statistics.median(sample.delay_s for sample in real.mouth_to_ear[direction].samples)
        assert got == pytest.approx(expected, abs=0.002)


def test_joins_differ_by_no_more_than_the_cpu_that_virtual_time_does_not_count(pair):
    # Certificates, signatures, session descriptions of both sides, one process: the real run says what they cost it.
    # Part of that goes on while packets travel, so the CPU bounds the difference from above.
    virtual, real = pair
    later_s = join_p50_s(real) - join_p50_s(virtual)
    assert -0.010 <= later_s <= real.harness["join_cpu_s"] + 0.010
    assert real.harness["join_cpu_s"] < 0.100


def test_a_valid_real_run_states_its_own_latenesses(pair):
    _, real = pair
    for name in ("loop_lag", "emulator_late", "pacing_late"):
        assert 0 <= real.harness[f"{name}_p50_s"] <= real.harness[f"{name}_p99_s"]
    assert real.harness["emulator_late_p95_s"] < 0.005
