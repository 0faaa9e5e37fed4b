"""Names of ways and legs: one reading each, and the text they were made of."""

import json

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.ways import MEDIA, Leg, Way


def test_a_way_is_its_text_and_its_parts_are_read_from_it():
    way = Way("ana_to_ben.video")
    assert (way.talker, way.listener, way.medium) == ("ana", "ben", "video")
    assert json.dumps({way: 1}) == '{"ana_to_ben.video": 1}'
    assert Way.of("ana", "ben", "video") == way
    assert way.back == "ben_to_ana.video"


def test_sound_needs_no_word_and_has_one_name_only():
    assert Way("ana_to_ben").medium == "audio"
    assert Way("ana_to_ben.audio") == "ana_to_ben" == Way.of("ana", "ben")


def test_there_and_back_is_one_party_twice_and_the_callers_own_has_one_name():
    way = Way("round_trip")
    assert way == "round_trip" == Way("caller_to_caller") == Way("caller_to_caller.audio") == way.back
    assert (way.talker, way.listener, way.medium) == ("caller", "caller", "audio")
    assert Way("ana_to_ana") == "ana_to_ana"
    assert Way.of("caller", "caller", "video") == "caller_to_caller.video"
    assert all(each.there_and_back for each in (way, Way("ana_to_ana"), Way("caller_to_caller.video")))
    assert not Way("caller_to_callee").there_and_back


@pytest.mark.parametrize("medium", MEDIA)
def test_a_way_made_of_parts_gives_them_back(medium):
    way = Way.of("guest_2", "co-host", medium)
    assert (way.talker, way.listener, way.medium) == ("guest_2", "co-host", medium)
    assert Way(str(way)) == way


@pytest.mark.parametrize(
    "text", ["", "ana", "_to_ben", "ana_to_", "ana_to_ben.smell", "Ana_to_ben", "ana_to_b_to_c", "a._to_b", "a__to_b"]
)
def test_what_could_be_read_two_ways_is_no_way(text):
    with pytest.raises(BadInputError):
        Way(text)


def test_a_leg_leads_from_one_place_to_another_and_back():
    leg = Leg("ana_to_sfu")
    assert (leg.source, leg.destination, leg.back) == ("ana", "sfu", "sfu_to_ana")
    with pytest.raises(BadInputError):
        Leg("ana_to_sfu.video")
    with pytest.raises(BadInputError):
        Leg("ana")
