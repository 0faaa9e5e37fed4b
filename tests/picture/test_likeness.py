"""How like a picture is to its original, by the definitions of PSNR and SSIM; and the film to look at."""

import math

import av
import numpy as np
import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.picture.film import Place
from rtcprobe.picture.glass import glass
from rtcprobe.picture.likeness import MOST_PSNR_DB, Comparison
from rtcprobe.picture.marker import read
from rtcprobe.picture.settings import CODECS
from rtcprobe.picture.show import write_beside

WIDTH, HEIGHT = 160, 120


def picture(planes, width=WIDTH):
    return av.VideoFrame.from_ndarray(planes[:, :width], format="yuv420p")


def test_a_picture_is_its_own_like():
    original = glass(WIDTH, HEIGHT).picture(3)
    assert Comparison(WIDTH, HEIGHT).of(picture(original), original) == (MOST_PSNR_DB, 1.0)


def test_psnr_is_of_the_mean_squared_error_over_all_planes():
    original = np.full((HEIGHT * 3 // 2, WIDTH), 120, dtype=np.uint8)
    brighter = original.copy()
    brighter[:HEIGHT] += 10
    # Luma is four of six parts: 100 · 4/6 is the mean squared error.
    found = Comparison(WIDTH, HEIGHT).of(picture(brighter), original)
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / (100 * 4 / 6)), abs=1e-3)
    # SSIM of flat planes is its luminance term alone: (2ab + C1) / (a² + b² + C1), C1 = (0.01 · 255)².
    c1 = (0.01 * 255) ** 2
    luma = (2 * 120 * 130 + c1) / (120**2 + 130**2 + c1)
    assert found.ssim == pytest.approx((4 * luma + 2) / 6, abs=1e-4)


def test_a_picture_of_another_size_is_not_compared_and_the_next_one_is():
    comparison, original = Comparison(WIDTH, HEIGHT), glass(WIDTH, HEIGHT).picture(0)
    smaller = np.full((90, 120), 100, dtype=np.uint8)
    assert comparison.of(picture(smaller, 120), original) is None
    assert comparison.of(picture(original), original).ssim == 1.0


@pytest.mark.parametrize("codec", CODECS)
def test_coding_costs_likeness_and_each_frame_is_compared_with_its_own_original(film_of, codec):
    film = film_of(codec)
    found = [film.likeness(Place(0, number)) for number in range(12)]
    assert all(25 < each.psnr_db < 45 and 0.6 < each.ssim < 0.99 for each in found)
    # Compared with the picture before, it would be less like: the scene moves.
    decoder = film.decoder_after(Place(0, 10))
    shown = decoder.decode(film.frame(Place(0, 11)))
    other = Comparison(WIDTH, HEIGHT).of(shown, glass(WIDTH, HEIGHT).picture(10))
    assert other.ssim < found[11].ssim


def test_the_film_to_look_at_has_what_was_filmed_beside_what_was_shown_then(film_of, tmp_path):
    film, path = film_of("vp8"), tmp_path / "way.mp4"
    frame_s = film.settings.frame_s
    # Shown two frames later; frame 5 was decoded and never shown.
    decoded = [(film.frame(Place(0, n)), None if n == 5 else (n + 2) * frame_s) for n in range(10)]
    write_beside(path, film.settings, decoded, [n * frame_s + 1e-6 for n in range(12)])
    with av.open(str(path)) as file:
        (stream,) = file.streams.video
        assert (stream.width, stream.height, stream.average_rate) == (2 * WIDTH, HEIGHT, 15)
        frames = [frame.to_ndarray(format="yuv420p")[:HEIGHT] for frame in file.decode(stream)]
    assert [read(np.ascontiguousarray(each[:, :WIDTH])).number for each in frames] == list(range(12))
    shown = [read(np.ascontiguousarray(each[:, WIDTH:])) for each in frames]
    assert shown[:2] == [None, None]
    assert [each.number for each in shown[2:]] == [0, 1, 2, 3, 4, 4, 6, 7, 8, 9]


def test_a_film_that_cannot_be_written_is_refused_in_a_sentence(film_of, tmp_path):
    with pytest.raises(BadInputError, match=r"way.mp4 cannot be written: No such file or directory"):
        write_beside(tmp_path / "nowhere" / "way.mp4", film_of("vp8").settings, [], [0.0])
