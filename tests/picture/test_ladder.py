"""Frames as large as somebody else says, of several sizes, that any decoder shows."""

import numpy as np
import pytest

from rtcprobe.picture.codec import Decoder, luma_of
from rtcprobe.picture.film import Place
from rtcprobe.picture.ladder import Ladder, Shot
from rtcprobe.picture.settings import VideoSettings

SIZES = ((320, 240), (240, 180))


@pytest.fixture(scope="module")
def ladder():
    return Ladder(VideoSettings(), SIZES)


def test_a_frame_is_as_large_as_it_is_told_and_no_smaller_than_its_content(ladder):
    assert len(ladder.frame(0, 5000, key=True)) == 5000
    assert len(ladder.frame(0, 700, key=False)) == 700
    assert len(ladder.frame(0, 1, key=True)) == len(ladder.content[0][0])
    # Content fits within the least that an encoder of 30 kb/s gives 30 times a second.
    assert all(len(delta) < 30e3 / 30 / 8 for _, delta in ladder.content)


def test_any_of_the_frames_behind_a_key_frame_may_be_missing_and_the_picture_stands(ladder):
    decoder = Decoder("vp8")
    for rung, (width, height) in enumerate(SIZES):
        first = luma_of(decoder.decode(ladder.frame(rung, 3000, key=True))).astype(int)
        for size_bytes in (100, 2000, 400):
            shown = decoder.decode(ladder.frame(rung, size_bytes, key=False))
        assert (shown.width, shown.height) == (width, height)
        assert np.abs(luma_of(shown) - first).mean() < 0.5  # of 256


def test_a_shot_knows_which_frame_each_needs_and_how_large_its_picture_is(ladder):
    shot = Shot(ladder)
    for since, number, rung in ((0, 0, 0), (0, 1, 0), (0, 5, 0), (6, 6, 1)):
        assert shot.add(Place(since, number), rung, 600) == shot.frame(Place(since, number))
    assert shot.before(Place(0, 5)) == Place(0, 1)  # 2 to 4 were left out
    assert shot.before(Place(6, 6)) is None
    assert [shot.size(Place(0, 5)), shot.size(Place(6, 6))] == ["320x240", "240x180"]
