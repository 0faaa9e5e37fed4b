"""Arrivals as columns: what is noted comes back as it was, and what both sides know is not kept twice."""

import sys
from random import Random

from rtcprobe.playout.arrivals import Arrivals, in_time
from rtcprobe.playout.base import RtpPacket

SPEECH = [bytes([number % 256, number // 256]) * 10 for number in range(500)]


def arrival(number, at_s=None, payload=None):
    packet = RtpPacket(
        sequence=(65_500 + number) % 65_536,
        timestamp=(2**32 - 9600 + 960 * number) % 2**32,
        payload=SPEECH[number % len(SPEECH)] if payload is None else payload,
        payload_type=96,
    )
    return (0.02 * number if at_s is None else at_s), packet


def kept_bytes(arrivals):
    return len(arrivals._bytes)


def test_what_is_noted_comes_back_as_it_was():
    some = [arrival(number) for number in range(200)] + [arrival(200, payload=b""), arrival(201, payload=b"other")]
    arrivals = Arrivals(some, likely=SPEECH)
    assert list(arrivals) == some
    assert (arrivals[-1], arrivals[3:5], len(arrivals)) == (some[-1], some[3:5], 202)
    assert arrivals.at_s.tolist() == [at_s for at_s, _ in some]
    assert arrivals.timestamps.tolist() == [packet.timestamp for _, packet in some]


def test_payloads_the_talker_was_given_are_not_kept_again_whatever_is_lost_or_reordered():
    numbers = [number for number in range(1200) if number % 7]  # the speech comes round twice
    rng = Random(1)
    numbers.sort(key=lambda number: number + rng.uniform(0, 5))
    arrivals = Arrivals([arrival(number) for number in numbers], likely=SPEECH)
    assert kept_bytes(arrivals) == 0
    assert [packet.payload for _, packet in arrivals] == [SPEECH[number % 500] for number in numbers]


def test_payloads_of_a_stranger_are_kept_and_no_longer_compared_after_a_while():
    asked = 0

    class Counting(list):
        def __getitem__(self, place):
            nonlocal asked
            asked += 1
            return super().__getitem__(place)

    some = [arrival(number, payload=b"%07d" % number) for number in range(1000)]
    arrivals = Arrivals(some, likely=Counting(SPEECH))
    assert list(arrivals) == some
    assert asked <= 64 * 80


def test_an_hour_of_packets_takes_a_few_megabytes():
    arrivals = Arrivals((arrival(number) for number in range(5000)), likely=SPEECH)
    columns = (arrivals._at_s, arrivals._sequence, arrivals._timestamp, arrivals._type, arrivals._place)
    assert sum(sys.getsizeof(column) for column in columns) / 5000 < 24  # bytes a packet: 4.3 MB an hour of 20 ms


def test_time_orders_them_and_equal_instants_keep_their_order():
    some = [arrival(0, 0.3), arrival(1, 0.1), arrival(2, 0.3), arrival(3, 0.2)]
    for arrivals in (some, Arrivals(some)):
        assert [packet.sequence % 100 for _, packet in in_time(arrivals)] == [1, 3, 0, 2]
