"""Who leaves next: shares of a busy line by weight, and nobody who asks for little waits long."""

from collections import Counter

import pytest

from rtcprobe.messages import WEIGHTS
from rtcprobe.runtime.fair import FairQueue


def test_streams_that_always_have_something_share_the_line_as_their_levels_say():
    queue = FairQueue()
    for level, weight in WEIGHTS.items():
        for _ in range(400):
            queue.push(level, weight, 500, level)
    left = Counter(queue.pop() for _ in range(750))
    # 0.5 : 1 : 2 : 4 of 750, to a packet of each (RFC 8835 §4.1: twice what the level below is given).
    assert [left[level] for level in WEIGHTS] == pytest.approx([50, 100, 200, 400], abs=1)


def test_shares_are_of_bytes_and_not_of_packets():
    queue = FairQueue()
    for _ in range(1000):
        queue.push("small", 1.0, 100, 100)
        queue.push("large", 1.0, 1000, 1000)
    left = Counter(queue.pop() for _ in range(550))
    assert left[100] * 100 == pytest.approx(left[1000] * 1000, abs=1000)


def test_who_asks_for_less_than_its_share_waits_for_one_of_the_others_at_most():
    queue = FairQueue()
    for _ in range(200):
        queue.push("bulk", 1.0, 1200, "bulk")
    before = 0
    for turn in range(199):
        if turn % 20 == 0:  # 100 bytes of sound in 20 of 1200: far less than half
            queue.push("sound", 1.0, 100, "sound")
            before = 0
        if queue.pop() == "sound":
            assert before <= 1
        before += 1


def test_of_one_stream_and_of_equal_stamps_who_came_first_leaves_first():
    queue = FairQueue()
    for number in range(5):
        queue.push("one", 1.0, 10 * number, number)
    assert list(queue) == [0, 1, 2, 3, 4]
    assert [queue.pop() for _ in range(len(queue))] == [0, 1, 2, 3, 4]
