"""A mixer that kept more from some moment on says so on screen and page; one that kept the same says nothing."""

from dataclasses import replace

import pytest

from rtcprobe.report.html.view import slow_parts
from rtcprobe.report.plateaus import plateau_sentences
from rtcprobe.report.words import speaking
from rtcprobe.result import Span


def stood(call, *heights_ms):
    return [
        Span(what="plateau", from_s=4.0 * place, until_s=4.0 * place + 3.0, delay_s=ms / 1000, call=call)
        for place, ms in enumerate(heights_ms)
    ]


@pytest.fixture
def mixed(make_ear):
    return lambda *spans: replace(make_ear(1), spans=(Span(what="gap", from_s=0.0, until_s=1.0), *spans))


def test_each_call_in_which_it_grew_is_told(mixed):
    ear = mixed(*stood(0, 133.1, 193.6), *stood(1, 133.0))
    assert list(plateau_sentences([None, ear])) == [
        "The mixer kept caller → callee: 133.1 ms from 0.0 s on, 193.6 ms from 4.0 s on."
    ]
    with speaking("zh"):
        (told,) = plateau_sentences([ear])
        assert told.startswith("混音器对 ")


def test_where_it_kept_the_same_there_is_nothing_to_tell(mixed):
    assert list(plateau_sentences([mixed(*stood(0, 133.1), *stood(1, 193.6)), mixed()])) == []


def test_the_page_has_it_among_what_is_slow(mixed, make_result):
    told = slow_parts(make_result(mouth_to_ear={"caller_to_callee": mixed(*stood(0, 120.0, 180.0))}))
    assert any(each.startswith("The mixer kept ") for each in told)
