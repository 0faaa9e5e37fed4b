"""Packets that came back to a page through a server that names them anew, known by how much they weigh."""

import numpy as np
import pytest

from rtcprobe.call.ends.browser import echoed
from rtcprobe.call.ends.browser.echoed import there_and_back_s
from rtcprobe.recording import Departures

RANDOM = np.random.default_rng(19)
SIZES = RANDOM.integers(60, 120, 300).tolist()


def packets(sizes, *, from_s=0.0, first=0, stamp=0, lost=()):
    """Return packets 20 ms apart of these sizes; their numbers and timestamps begin as given."""
    out = Departures()
    for place, size in enumerate(sizes):
        if place not in lost:
            out.add(from_s + place * 0.02, (first + place) % 65_536, (stamp + place * 960) % 2**32, size, 7)
    return out


def test_each_packet_that_came_back_is_known_again_whatever_it_is_called():
    # The server was reached 30 packets late, leaves an extension of 8 bytes out, and counts from numbers of its own.
    back = packets([size - 8 for size in SIZES[30:]], from_s=0.6 + 0.0825, first=65_500, stamp=2**32 - 5000)
    away_s = there_and_back_s(packets(SIZES, stamp=123_456), back)
    assert len(away_s) == 270
    assert away_s == pytest.approx([0.0825] * 270)


def test_lost_packets_move_nobody_elses_delay():
    back = packets(SIZES, from_s=0.081, stamp=77, lost=range(10, 300, 11))
    away_s = there_and_back_s(packets(SIZES, stamp=5), back)
    assert away_s == pytest.approx([0.081] * len(back))


def test_packets_that_all_weigh_the_same_tell_nothing():
    same = [90] * 300  # a constant bit rate
    assert not len(there_and_back_s(packets(same), packets(same, from_s=0.081)))


def test_another_talkers_packets_are_nobodys_echo():
    other = RANDOM.integers(60, 120, 300).tolist()
    assert not len(there_and_back_s(packets(SIZES), packets(other, from_s=0.081)))
    assert not len(there_and_back_s(packets(SIZES), packets([])))


def test_speech_that_repeats_is_known_by_its_first_turn_alone_as_no_other_had_left():
    loop = SIZES[:100] * 10  # two seconds, again and again
    away_s = there_and_back_s(packets(loop, stamp=9), packets(loop, from_s=0.081, stamp=70_000))
    assert away_s == pytest.approx([0.081] * 1000)
    # A server that is reached after the first turn gives back the second, or the third: nobody knows.
    late = packets(loop[:900], from_s=2.0 + 0.081)
    assert not len(there_and_back_s(packets(loop), late))


def test_what_came_before_anything_left_is_nobodys_echo():
    assert not len(there_and_back_s(packets(SIZES, from_s=1.0), packets(SIZES)))


def test_of_a_long_call_no_more_is_tried_than_of_a_short_one(monkeypatch):
    tried, alike = [], echoed._alike
    monkeypatch.setattr(echoed, "_alike", lambda *args: tried.append(args[-1]) or alike(*args))
    counts = []
    for count in (1000, 4000):
        sizes = np.random.default_rng(7).integers(60, 120, count).tolist()
        left, back = packets(sizes), packets(sizes[900:], from_s=18.0 + 0.0825, stamp=5)
        assert there_and_back_s(left, back) == pytest.approx([0.0825] * (count - 900))
        counts.append(len(tried))
        tried.clear()
    assert counts == [500, 500]
