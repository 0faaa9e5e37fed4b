"""Numbers that wrap."""

import numpy as np
import pytest

from rtcprobe.wrapping import Unwrapper, counted_on, unwrapped


@pytest.mark.parametrize(
    ("value", "near", "number"),
    [(2, 65_534, 65_538), (65_535, 65_538, 65_535), (5, 5, 5), (0x8000, 0, 0x8000), (0x8001, 0, -0x7FFF)],
)
def test_a_number_is_the_nearest_that_ends_so_and_half_a_cycle_away_is_ahead(value, near, number):
    assert unwrapped(value, near, 16) == number
    assert unwrapped(np.array([value]), near, 16).tolist() == [number]


def test_a_counter_is_counted_on_beyond_its_wraps_whatever_order_it_comes_in():
    numbers = [2**32 - 960, 0, 960, 2**32 - 1920, 1920]
    steps = [0, 960, 1920, -960, 2880]
    counter = Unwrapper(32)
    assert [counter.unwrap(each) - numbers[0] for each in numbers] == steps
    assert (counted_on(np.array(numbers, dtype=np.uint32), 32) - numbers[0]).tolist() == steps
    assert counted_on(np.array([], dtype=np.uint16), 16).tolist() == []


def test_looking_at_a_number_does_not_count_it():
    counter = Unwrapper(16)
    counter.unwrap(10)
    assert counter.peek(65_530) == -6
    assert counter.peek(20) == 20
