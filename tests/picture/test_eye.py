"""What a viewer saw: each picture named by its number, by time where numbers repeat, and never by what was not sent."""

import numpy as np
import pytest

from rtcprobe.picture.eye import Eye, Viewer
from rtcprobe.picture.film import Place
from rtcprobe.picture.marker import Reading
from rtcprobe.picture.settings import CODECS

FILMED_S = np.arange(70_000) / 30


def test_a_number_is_the_latest_frame_that_bears_it():
    eye = Eye(FILMED_S)
    assert eye.take(Reading(10, 1.0), 10 / 30 + 0.1) == 10
    # 65,546 = 65,536 + 10: the same number 36 minutes later.
    assert eye.take(Reading(10, 1.0), 65_546 / 30 + 0.1) == 65_546


@pytest.mark.parametrize("number", [63_000, 65_535])
def test_a_number_that_was_not_yet_filmed_is_refused(number):
    eye = Eye(FILMED_S[:600])
    assert eye.take(Reading(number, 1.0), 15.0) is None
    assert eye.refused == 1


def test_a_number_of_long_ago_is_refused_and_so_is_one_from_before_the_last_shown():
    eye = Eye(FILMED_S)
    assert eye.take(Reading(0, 1.0), 10.1) is None  # filmed 10.1 s ago, 10 are the most
    assert eye.take(Reading(0, 1.0), 9.9) == 0
    assert eye.take(Reading(30, 1.0), 9.9) == 30
    assert eye.take(Reading(29, 1.0), 9.9) == 29
    assert eye.take(Reading(28, 1.0), 9.9) is None
    assert eye.refused == 2


def test_a_number_that_is_not_what_the_rtp_time_names_is_refused():
    eye = Eye(FILMED_S)
    assert eye.take(Reading(30, 1.0), 1.1, expected=31) is None
    assert eye.take(Reading(31, 1.0), 1.1, expected=31) == 31
    assert eye.take(None, 1.1, expected=31) is None
    assert eye.refused == 1


@pytest.mark.parametrize("codec", CODECS)
def test_a_viewer_decodes_only_what_is_not_the_film_as_it_was_sent(film_of, codec):
    film = film_of(codec)
    viewer = Viewer(film)
    for number in range(5):
        place = Place(0, number)
        assert viewer.see(film.frame(place), place).number == number
    assert viewer.decoded == 0
    # The same frames, not known for what they are: really decoded, from where the viewer was.
    for number in range(5, 8):
        assert viewer.see(film.frame(Place(0, number)), None).number == number
    assert viewer.decoded == 3
    # A key frame needs nothing before it: the film is known again.
    assert viewer.see(film.frame(Place(9, 9)), Place(9, 9)).number == 9
    assert viewer.see(film.frame(Place(9, 10)), Place(9, 10)).number == 10
    assert viewer.decoded == 3


def test_a_frame_behind_a_hole_is_decoded_for_real_and_is_not_taken_for_what_was_sent(film_of):
    film = film_of("vp8")
    viewer = Viewer(film)
    viewer.see(film.frame(Place(0, 0)), Place(0, 0))
    for number in range(8, 16):
        viewer.see(film.frame(Place(0, number)), Place(0, number))
    assert viewer.decoded == 8


@pytest.mark.parametrize("codec", CODECS)
def test_nonsense_in_place_of_a_frame_is_no_picture(film_of, codec):
    viewer = Viewer(film_of(codec))
    assert viewer.see(b"", None) is None
    assert viewer.see(np.random.default_rng(2).bytes(300), None) is None
