"""Films small enough to be made in a tenth of a second."""

from collections.abc import Callable
from functools import lru_cache

import pytest

from rtcprobe.picture.film import Film
from rtcprobe.picture.settings import VideoSettings


@lru_cache
def small(codec: str) -> Film:
    film = Film(VideoSettings(width=160, height=120, fps=15, bitrate_bps=150_000, codec=codec))
    film.prepare(24)
    return film


@pytest.fixture(scope="session")
def film_of() -> Callable[[str], Film]:
    return small
