"""What a receiver asks for, whatever arrives in whatever order: missing, recent, in order, and no more than it may."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.playout.nack import NackTracker

STEPS = st.lists(st.tuples(st.integers(-400, 400), st.integers(0, 200)), max_size=60)


@settings(max_examples=30)
@given(STEPS, st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.sampled_from([None, 0.0, 0.080, 0.9, 5.0]))
def test_only_what_never_came_is_asked_for_oldest_first(steps, first, base, round_trip_s):
    tracker = NackTracker()
    came = set()
    number, newest, now_s = 0, 0, 0.0
    for step, wait_ms in steps:
        number = max(0, number + step)
        newest = max(newest, number)
        now_s += wait_ms / 1e3
        came.add(number)
        asked = tracker.packet_arrived((first + number) % 65_536, (base + 960 * number) % 2**32, now_s, round_trip_s)
        # Back to numbers that do not wrap; all of them lie within 250 before the newest.
        numbers = [newest - (first + newest - sequence) % 65_536 for sequence in asked]
        assert came.isdisjoint(numbers)
        assert numbers == sorted(numbers)
        assert all(newest - 250 <= each < newest for each in numbers)
        patience_s = 1.0 - (0.1 if round_trip_s is None else round_trip_s)
        assert all((newest - each) * 0.020 < patience_s for each in numbers)
        assert set(asked) <= set(tracker.wanted(round_trip_s))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.floats(0, 1e6)), max_size=50))
def test_no_packet_whatever_its_numbers_harms_the_account(packets):
    tracker = NackTracker()
    for sequence, timestamp, now_s in packets:
        asked = tracker.packet_arrived(sequence, timestamp, now_s, 0.080)
        assert sequence not in asked
        assert len(asked) <= 250
