"""Films: numbers survive the codecs, key frames where they are asked for, equal bytes again and from the shelf."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.picture.film import Film, Place
from rtcprobe.picture.settings import CODECS, VideoSettings, parse_size
from rtcprobe.shelf import Shelf


@pytest.mark.parametrize("codec", CODECS)
def test_every_number_is_read_after_coding_also_behind_a_later_key_frame(film_of, codec):
    film = film_of(codec)
    for place in [*(Place(0, number) for number in range(24)), *(Place(9, number) for number in range(9, 14))]:
        reading = film.reading(place)
        assert reading is not None
        assert reading.number == place.number
        assert reading.margin > 0.5


@pytest.mark.parametrize("codec", CODECS)
def test_only_the_first_frame_of_a_take_can_be_decoded_by_itself(film_of, codec):
    film = film_of(codec)
    form = {"vp8": lambda frame: not frame[0] & 1, "h264": lambda frame: b"\x00\x00\x01\x65" in frame}[codec]
    assert [form(film.frame(Place(0, number))) for number in range(24)] == [True] + [False] * 23
    assert form(film.frame(Place(9, 9)))
    assert not form(film.frame(Place(9, 10)))


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_film_is_the_same_bytes_and_one_that_goes_on_later_too(film_of, codec):
    first = film_of(codec)
    again = Film(first.settings)
    again.prepare(5)
    assert [again.frame(Place(0, number)) for number in range(12)] == [
        first.frame(Place(0, number)) for number in range(12)
    ]
    assert Film(first.settings, seed=1).frame(Place(0, 0)) != first.frame(Place(0, 0))


def test_a_kept_film_is_taken_for_a_shorter_one_and_goes_on_where_it_ends(film_of, tmp_path):
    film, shelf = film_of("h264"), Shelf("film", tmp_path)
    settings = film.settings
    kept = Film(settings, shelf=shelf)
    kept.prepare(6)
    assert shelf.take(kept.name, 7) is None
    assert shelf.take(kept.name, 4) == [film.frame(Place(0, number)) for number in range(4)]
    later = Film(settings, shelf=shelf)
    later.prepare(6)
    assert later.frame(Place(0, 7)) == film.frame(Place(0, 7))
    other = VideoSettings(width=160, height=120, fps=15, bitrate_bps=160_000, codec="h264")
    assert shelf.take(Film(other).name, 1) is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"width": 641}, "video of 641x480 cannot be coded: both sides even: colour has half the resolution"),
        ({"width": 80, "height": 60}, "video of 80x60 is too small for its frame numbers: 160x90 at least"),
        (
            {"width": 1920, "height": 1080},
            "video of 1920x1080 is larger than calls negotiate: 1280x720 at most (level 3.1)",
        ),
        ({"codec": "av1"}, "video codec 'av1' is not known: use vp8 or h264"),
        ({"fps": 0}, "video of 0 frames a second is not filmed: 1 to 60, a whole number"),
        ({"bitrate_bps": 1e3}, "video of 1 kbit/s is not sent: 10kbit to 20mbit"),
    ],
)
def test_what_cannot_be_filmed_is_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(BadInputError) as caught:
        VideoSettings(**wrong)
    assert str(caught.value) == sentence


def test_a_size_is_width_by_height():
    assert parse_size("640x480") == parse_size(" 640 × 480 ") == (640, 480)
    with pytest.raises(BadInputError, match="'640' is no picture size"):
        parse_size("640")
