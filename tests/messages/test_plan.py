"""What messages are sent when: rates, lists, and what no channel could carry, each refused in one sentence."""

import numpy as np
import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.messages import Due, MessagePlan, parse_due, parse_frequency


def chance(seed=1):
    return np.random.Generator(np.random.PCG64(seed))


def test_even_messages_are_an_interval_apart_and_begin_within_the_first():
    dues = MessagePlan(rate_hz=5.0, size_bytes=100).by_rate(4.0, chance())
    instants = [each.at_s for each in dues]
    assert len(dues) == 20
    assert 0.0 <= instants[0] < 0.2
    assert np.diff(instants) == pytest.approx([0.2] * 19)
    assert {each.size_bytes for each in dues} == {100}


def test_random_messages_are_a_poisson_process_of_the_rate():
    # Counts in calls of 10 s at 20/s: mean and variance are both 200, their standard errors over 400 calls 0.7 and 14.
    plan, draws = MessagePlan(rate_hz=20.0, spread="random"), chance()
    counts = [len(plan.by_rate(10.0, draws)) for _ in range(400)]
    assert np.mean(counts) == pytest.approx(200, abs=3 * 0.71)
    assert np.var(counts) == pytest.approx(200, abs=4 * 14.2)


def test_frequencies_and_messages_are_read_as_people_write_them():
    assert [parse_frequency(each) for each in ("5/s", "30/min", "0.5 / s", "3600/h")] == [5.0, 0.5, 0.5, 1.0]
    assert parse_due("2kB at 1.5s") == Due(1.5, 2_000)
    assert parse_due("16 KiB  at 250ms") == Due(0.25, 16_384)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parse_frequency("5"), "rate '5' cannot be read: write it like 5/s, or 12/min"),
        (lambda: parse_frequency(5), "rate 5 cannot be read: write it like 5/s, or 12/min"),
        (lambda: parse_due("200B"), "message '200B' cannot be read: write it like 200B at 1.5s"),
        (lambda: parse_due("200B at -1s"), "message '200B at -1s' is before the call: give 0ms or more"),
        (lambda: parse_due("big at 1s"), "message 'big at 1s': 'big' is not a size: write it like 64kB"),
        (lambda: MessagePlan(rate_hz=1001.0), "rate 1001/s is impossible: give up to 1000/s"),
        (lambda: MessagePlan(size_bytes=3), "size 3B is impossible: give 16B to 256KiB"),
        (lambda: MessagePlan(size_bytes=262_145), "size 262145B is impossible: give 16B to 256KiB"),
        (lambda: MessagePlan(listed=(Due(1.0, 9),)), "size 9B is impossible: give 16B to 256KiB"),
        (lambda: MessagePlan(max_retransmits=-1), "max_retransmits -1 is impossible: give 0 to 65535"),
        (lambda: MessagePlan(max_lifetime_s=66.0), "max_lifetime 66s is impossible: give 1ms to 65.535s"),
        (
            lambda: MessagePlan(max_retransmits=0, max_lifetime_s=0.2),
            "max_retransmits 0 and max_lifetime 200ms are both given: a channel has one limit: leave one out",
        ),
        (
            lambda: MessagePlan(rate_hz=1000.0).check_within(200.0),
            "rate 1000/s is 200,000 messages in a call of 200s: every one of them is kept: give 100,000 or fewer",
        ),
        (
            lambda: MessagePlan(rate_hz=900.0, size_bytes=200_000).check_within(1.0),
            "messages of 180 MB in a call of 1s are too many: give 20 MB or less: fewer, or smaller ones",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(make, sentence):
    with pytest.raises(BadInputError) as refused:
        make()
    assert str(refused.value) == sentence
