from typing import NamedTuple

import pytest

from rtcprobe.audio.red import RedEncoder
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.recovery import Recovered, Recovery, recovery

FRAME, PTIME_S, WAY_S = 960, 0.020, 0.040
OPUS, RED = 111, 63
BASE = 2**32 - 3 * FRAME  # so that timestamps wrap at frame 3


class Left(NamedTuple):
    at_s: float
    sequence: int
    timestamp: int


def stamp(index):
    return (BASE + index * FRAME) % 2**32


def sent(count, again=()):
    """Packets of 20 ms; ``again`` are (index, instant) of those sent a second time."""
    left = [Left(index * PTIME_S, index, stamp(index)) for index in range(count)]
    return sorted([*left, *(Left(at_s, index, stamp(index)) for index, at_s in again)])


def opus(index, fec=False):
    return b"F%03d" % index if fec else b".%03d" % index


def arrival(index, payload=None, *, at_s=None, payload_type=OPUS):
    packet = RtpPacket(
        sequence=index, timestamp=stamp(index), payload=payload or opus(index), payload_type=payload_type
    )
    return (index * PTIME_S + WAY_S if at_s is None else at_s), packet


def red_arrivals(count, lost, *, copies, fec=False):
    encoder = RedEncoder(copies, OPUS)
    payloads = [encoder.encode(opus(index, fec), stamp(index)) for index in range(count)]
    return [arrival(index, payloads[index], payload_type=RED) for index in range(count) if index not in lost]


def of(left, arrivals, red_payload_type=RED):
    return recovery(
        left,
        arrivals,
        frame_samples=FRAME,
        has_fec=lambda payload: payload[:1] == b"F",
        red_payload_type=red_payload_type,
    )


def counts(it):
    by = (it.recovered_by_red.frames, it.recovered_by_fec.frames, it.recovered_by_nack.frames)
    return it.sent, it.lost_before, *by, it.lost_after


def later(kind):
    return kind.later_p50_s, kind.later_p95_s


def test_without_protection_what_is_lost_is_lost():
    got = of(sent(10), [arrival(index) for index in range(10) if index not in {3, 4}])
    none = Recovered(frames=0, later_p50_s=None, later_p95_s=None)
    assert got == Recovery(
        sent=10,
        lost_before=2,
        recovered_by_red=none,
        recovered_by_fec=none,
        recovered_by_nack=none,
        lost_after=2,
    )


def test_one_copy_brings_back_the_last_of_a_burst_one_packet_time_later():
    got = of(sent(20), red_arrivals(20, {3, 8, 9, 10}, copies=1))
    assert counts(got) == (20, 4, 2, 0, 0, 2)  # 3 and 10, each in the packet behind it
    assert later(got.recovered_by_red) == pytest.approx((0.020, 0.020))


def test_of_two_copies_the_first_to_arrive_counts():
    got = of(sent(20), red_arrivals(20, {3, 8, 9}, copies=2))
    assert counts(got) == (20, 3, 3, 0, 0, 0)
    # 3 and 9 come 20 ms late, 8 comes 40: the median is 20, the 95th percentile 0.9 of the way from 20 to 40.
    assert later(got.recovered_by_red) == pytest.approx((0.020, 0.038))


def test_redundancy_inside_the_next_frame_brings_back_the_one_before():
    lost = {3, 8, 9}
    got = of(sent(20), [arrival(index, opus(index, fec=index != 4)) for index in range(20) if index not in lost])
    assert counts(got) == (20, 3, 0, 1, 0, 2)  # 9 in 10; not 3, 4 carries none; not 8
    assert later(got.recovered_by_fec) == pytest.approx((0.020, 0.020))


def test_a_copy_carries_redundancy_too_and_red_goes_before_fec():
    got = of(sent(20), red_arrivals(20, {3, 8, 9}, copies=1, fec=True))
    # 3 and 9: RED and FEC come in one packet. 8: only inside the copy of 9 that packet 10 carries.
    assert counts(got) == (20, 3, 2, 1, 0, 0)
    assert later(got.recovered_by_fec) == pytest.approx((0.040, 0.040))


def test_a_packet_sent_again_brings_back_its_frame():
    left = sent(20, again=[(3, 0.16)])
    got = of(left, [*(arrival(index) for index in range(20) if index != 3), arrival(3, at_s=0.20)])
    assert counts(got) == (20, 1, 0, 0, 1, 0)
    assert later(got.recovered_by_nack) == pytest.approx((0.10, 0.10))  # due at 60 + 40 ms


def test_a_packet_that_was_only_late_is_not_lost_though_it_was_sent_again():
    left = sent(20, again=[(3, 0.16)])
    got = of(left, [*(arrival(index) for index in range(20) if index != 3), arrival(3, at_s=0.199)])
    assert counts(got) == (20, 0, 0, 0, 0, 0)  # what left again at 160 cannot be here before 200


def test_sent_again_and_again_counts_from_the_first_time():
    left = sent(20, again=[(3, 0.16), (3, 0.30)])
    got = of(left, [*(arrival(index) for index in range(20) if index != 3), arrival(3, at_s=0.34)])
    assert counts(got) == (20, 1, 0, 0, 1, 0)


def test_whatever_a_packet_sent_again_carries_is_nacks():
    encoder = RedEncoder(1, OPUS)
    payloads = [encoder.encode(opus(index), stamp(index)) for index in range(20)]
    arrivals = [arrival(index, payloads[index], payload_type=RED) for index in range(20) if index not in {3, 4}]
    arrivals.append(arrival(4, payloads[4], payload_type=RED, at_s=0.22))  # 3 again, and its copy in 4 again
    got = of(sent(20, again=[(3, 0.18), (4, 0.18)]), arrivals)
    # 4 had come as a copy in 5 already.
    assert counts(got) == (20, 2, 1, 0, 1, 0)


def test_the_instant_a_frame_was_due_follows_the_median_way():
    ways_s = {index: 0.040 + 0.010 * (index % 3) for index in range(21)}  # 40, 50, 60 ms in turn
    encoder = RedEncoder(1, OPUS)
    payloads = [encoder.encode(opus(index), stamp(index)) for index in range(21)]
    arrivals = [
        arrival(index, payloads[index], payload_type=RED, at_s=index * PTIME_S + ways_s[index])
        for index in range(21)
        if index != 9
    ]
    got = of(sent(21), arrivals)
    # Frame 9 was due at 180 + 50 ms; packet 10 leaves at 200 and takes 50.
    assert later(got.recovered_by_red) == pytest.approx((0.020, 0.020))


def test_malformed_red_brings_nothing():
    arrivals = [arrival(index, b"\xef\xff\xff\xff", payload_type=RED) for index in range(5)]
    assert counts(of(sent(5), arrivals)) == (5, 5, 0, 0, 0, 5)


def test_packets_of_another_stream_are_not_counted():
    stray = RtpPacket(sequence=1, timestamp=123, payload=b"....")
    assert counts(of(sent(5), [*(arrival(index) for index in range(5)), (0.0, stray)])) == (5, 0, 0, 0, 0, 0)


def test_nothing_sent_lost_nothing():
    got = of([], [])
    assert counts(got) == (0, 0, 0, 0, 0, 0)
    assert got.loss_ratios() == {"before": 0.0, "red": 0.0, "fec": 0.0, "nack": 0.0}


def test_ratios_fall_from_copy_to_copy():
    left = sent(20, again=[(15, 0.40)])
    arrivals = [*red_arrivals(20, {3, 8, 9, 15, 16}, copies=1, fec=True), arrival(15, at_s=0.44)]
    del arrivals[next(index for index, (_, packet) in enumerate(arrivals) if packet.sequence == 17)]
    got = of(left, arrivals)
    # Lost: 3, 8, 9, 15, 16, 17. RED: 3, 9, 17. FEC: 8, 16 inside copies. 15 comes again.
    assert counts(got) == (20, 6, 3, 2, 1, 0)
    assert got.loss_ratios() == pytest.approx({"before": 0.3, "red": 0.15, "fec": 0.05, "nack": 0.0})
