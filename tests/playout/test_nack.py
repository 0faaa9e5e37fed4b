import pytest

from rtcprobe.playout.nack import NackTracker, ResendLimit

PTIME_S = 0.020
FRAME = 960


def hear(tracker, sequences, *, round_trip_s=0.080, base=0, frame=FRAME):
    """Return what is asked for at each packet; packet n arrives at n packet times."""
    return [
        tracker.packet_arrived(
            (base + sequence) % 65536, sequence * frame % 2**32, sequence * frame / 48_000, round_trip_s
        )
        for sequence in sequences
    ]


def test_nothing_is_asked_for_while_nothing_is_missing():
    assert hear(NackTracker(), range(100)) == [[]] * 100


def test_a_hole_is_asked_for_by_the_packet_behind_it():
    assert hear(NackTracker(), [0, 1, 4]) == [[], [], [2, 3]]


def test_what_arrives_after_all_is_not_asked_for_again():
    tracker = NackTracker()
    hear(tracker, [0, 3])
    tracker.packet_arrived(1, FRAME, 0.061, 0.080)
    assert tracker.wanted(0.080) == [2]


def test_everything_still_missing_is_asked_for_again_after_one_and_a_half_round_trips_and_5_ms():
    asked = hear(NackTracker(), [0, *range(2, 20)])
    # Packet 2 comes at 40 ms; 1.5 x 80 + 5 = 125 ms later is 165: the packets at 180 and, from there, 320 ms.
    assert [index + 1 for index, numbers in enumerate(asked) if numbers] == [2, 9, 16]
    assert all(numbers in ([], [1]) for numbers in asked)


def test_before_the_first_round_trip_is_known_the_list_goes_again_after_100_ms():
    asked = hear(NackTracker(), [0, *range(2, 10)], round_trip_s=None)
    # At 40 ms, and later than 140: the packet at 160 ms (that at 140 is exactly 100 ms later, not more).
    assert [index + 1 for index, numbers in enumerate(asked) if numbers] == [2, 8]


def test_meanwhile_only_what_is_new_is_asked_for():
    # Lost: 1 and 4. At packet 5, 60 ms after the first time, the full list would be [1, 4].
    assert hear(NackTracker(), [0, 2, 3, 5]) == [[], [1], [], [4]]


@pytest.mark.parametrize(
    ("round_trip_s", "oldest"),
    [
        (0.080, 45),  # age 920 ms = 46 packets is no longer below 1 s: 45 are
        (0.0801, 45),
        (0.0799, 46),
        (None, 44),  # 100 ms where it is not known: below 900 ms
        (0.979, 1),
        (0.980, 0),
        (1.5, 0),
    ],
)
def test_only_what_can_come_within_a_second_is_wanted(round_trip_s, oldest):
    tracker = NackTracker()
    hear(tracker, [0, 200])
    assert tracker.wanted(round_trip_s) == list(range(200 - oldest, 200))


def test_a_packet_later_than_its_successors_leaves_the_list_without_moving_it():
    tracker = NackTracker()
    hear(tracker, [0, 2, 1])
    assert tracker.wanted(0.080) == []
    assert hear(tracker, [3]) == [[]]


def test_duplicates_change_nothing():
    tracker = NackTracker()
    hear(tracker, [0, 3, 3, 0])
    assert tracker.wanted(0.080) == [1, 2]


def test_numbers_and_times_wrap():
    tracker = NackTracker()
    tracker.packet_arrived(65_534, 2**32 - FRAME, 0.0, 0.080)
    assert tracker.packet_arrived(2, 3 * FRAME, 0.080, 0.080) == [65_535, 0, 1]


@pytest.mark.parametrize("samples", [0, 5_761])  # no time at all; 120 ms and a sample
def test_a_hole_whose_packets_would_have_an_impossible_length_is_not_listed(samples):
    tracker = NackTracker()
    tracker.packet_arrived(0, 0, 0.0, 0.080)
    assert tracker.packet_arrived(2, 2 * samples, 0.1, 0.080) == []
    assert tracker.packet_arrived(4, 2 * samples + 2 * 5_760, 0.2, 0.080) == [3]  # 120 ms are possible


def test_times_in_between_are_interpolated():
    tracker = NackTracker()
    tracker.packet_arrived(0, 0, 0.0, 0.1)
    # Three packets of 40 ms; then far ahead, so that 1 is 900 ms old and out (0.9 + 0.1 s), 2 is 860 and in.
    tracker.packet_arrived(3, 3 * 1_920, 0.12, 0.1)
    tracker.packet_arrived(4, 1_920 + 43_200, 0.94, 0.1)
    assert tracker.wanted(0.1) == [2]


def test_the_list_reaches_back_250_packets():
    tracker = NackTracker()
    hear(tracker, [0, 300], frame=120)  # 2.5 ms packets, so that age does not bound it first
    assert tracker.wanted(0.0) == list(range(50, 300))
    hear(tracker, [301], frame=120)
    assert tracker.wanted(0.0)[0] == 51


def test_a_packet_is_sent_again_at_once_and_then_not_within_a_round_trip_and_5_ms():
    limit = ResendLimit()
    assert limit.may_resend(7, 1.000, 0.080)
    assert not limit.may_resend(7, 1.084, 0.080)
    assert limit.may_resend(8, 1.084, 0.080)
    assert limit.may_resend(7, 1.086, 0.080)
    assert not limit.may_resend(7, 1.170, 0.080)  # counted from the last time, not the first


def test_before_the_first_round_trip_is_known_5_ms_are_enough():
    limit = ResendLimit()
    assert limit.may_resend(7, 1.000, None)
    assert not limit.may_resend(7, 1.004, None)
    assert limit.may_resend(7, 1.006, None)
