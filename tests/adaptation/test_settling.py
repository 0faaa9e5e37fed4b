"""How a rate settles after a change, swings and fills the line: what RFC 8868 asks for, by hand-made courses."""

from math import inf

import pytest

from rtcprobe.adaptation import Course, settled, settled_of, swings, utilisation
from rtcprobe.link import parse_link


def course(*rates):
    return Course(float(len(rates)), offered_bps=[1e3 * rate for rate in rates])


def test_a_rate_has_settled_when_it_stays_near_what_it_is_in_the_end():
    # After the fall three seconds too high, one within 20 % of 400, one out again, then it stays.
    it = course(*[1000] * 20, 1000, 900, 700, 470, 500, *[400] * 15)
    assert settled(it, [(0.0, 1e6), (20.0, 4e5)]) == [(0.0, 1e6, 0.0), (20.0, 4e5, 5.0)]


def test_a_rate_that_swings_on_or_comes_to_rest_too_late_never_settled():
    assert settled(course(*[1000, 300] * 10), [(0.0, 1e6)])[0].after_s == inf
    rising = course(*range(100, 2100, 100))  # of 20 s the last 5 are within 20 % of their mean: too late
    assert settled(rising, [(0.0, 1e6)])[0].after_s == inf


def test_of_a_change_that_lasts_less_than_five_seconds_nothing_is_said():
    changes = [(0.0, 1e6), (10.0, 4e5), (14.0, 1e6)]
    assert [each.at_s for each in settled(course(*[300] * 24), changes)] == [0.0, 14.0]


def test_of_several_flows_the_last_counts_and_one_that_comes_is_a_change():
    line = parse_link("rate 1mbit")
    first, second = course(*[800] * 20, 800, 700, *[400] * 18), course(*[0] * 20, 100, 100, 100, 100, *[400] * 16)
    figures = settled_of([first, second], line, [0.0, 20.0])
    assert figures == {"settled_s": 4.0, "settled_from_0_s": 0.0, "settled_from_20_s": 4.0}


def test_a_swing_is_four_times_as_much_or_as_little_within_half_a_second():
    it = Course(60.0, sent_bps=[1e6] * 300)
    assert swings(it) == 0.0
    it.sent_bps[100:150] = [2.5e5] * 50  # down and up again: two in a minute
    assert swings(it) == pytest.approx(2.0)
    it.sent_bps[100:150] = [2.6e5] * 50
    assert swings(it) == 0.0
    it.sent_bps[98:102] = [8e5, 6e5, 4e5, 2.6e5]  # as far, in 0.8 s
    assert swings(it) == 0.0
    it.sent_bps[100:150] = [0.0] * 50  # who pauses does not swing
    assert swings(it) == 0.0
    assert swings(Course(60.0)) is None


def test_what_was_sent_is_told_by_what_the_line_carried_then():
    it = course(*[500] * 10, *[500] * 10)
    assert utilisation(it, [(0.0, 1e6), (10.0, 2.5e5)]) == pytest.approx((0.5 + 2.0) / 2)
    assert utilisation(it, [(0.0, inf)]) is None
