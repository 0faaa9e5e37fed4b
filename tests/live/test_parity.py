"""One program, two clocks: the same scenario on real sockets and timers agrees with virtual time."""

import statistics

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

# A link whose every figure is known, so that the two clocks differ by nothing but the clock. Audio waits for the next
# frame of 20 ms, so one join is late by a frame or not at all: the median of 41 has a standard error of 1.6 ms (20 ms
# over 2√n), a third of what is allowed.
SETTINGS = ["link=delay 40ms", "playout=fixed:60ms", "call.calls=1", "call.duration=8s", "call.joins=41", "budgets=[]"]
TRIES = 3
QUIET_S = 0.001
"""How late 19 datagrams of 20 leave the emulator at most on a quiet machine; on another, the run is made again."""


def measured(clock):
    return run_probe(find_scenario("1v1-social", SETTINGS), seed=1, clock=clock)


def join_p50_s(result):
    return statistics.median(attempt.first_audio_s for attempt in result.join.attempts)


@pytest.fixture(scope="module")
def pair():
    virtual = measured("virtual")
    for _ in range(TRIES):
        real = measured("real")
        late_s = real.harness.emulator_late.p95_s
        if late_s < QUIET_S:
            return virtual, real
    pytest.fail(f"the machine was too busy {TRIES} times: the emulator was {late_s * 1e3:.1f} ms late at p95")


def test_mouth_to_ear_agrees_within_two_milliseconds(pair):
    virtual, real = pair
    for direction, ear in virtual.mouth_to_ear.items():
        expected = statistics.median(sample.delay_s for sample in ear.samples)
        got = statistics.median(sample.delay_s for sample in real.mouth_to_ear[direction].samples)
        assert got == pytest.approx(expected, abs=0.002)


def test_joins_differ_by_ten_milliseconds_or_by_the_cpu_between_packets_that_virtual_time_does_not_count(pair):
    # Signatures, session descriptions, checks of both sides, in one process: the real run says what they cost it. Half
    # and more of that goes on while packets travel; a slow machine may take six tenths, else 10 ms do.
    virtual, real = pair
    later_s = join_p50_s(real) - join_p50_s(virtual)
    assert -0.005 <= later_s <= max(0.010, 0.6 * real.harness.join_cpu_s)
    assert real.harness.join_cpu_s < 0.060


def test_a_valid_real_run_states_its_own_latenesses(pair):
    _, real = pair
    assert len(real.harness.latenesses) == 3
    for late in real.harness.latenesses.values():
        assert 0 <= late.p50_s <= late.p99_s
    assert real.verdict == "pass"
