"""Where a mixer's delay stood: stairs are found, a marker that was late alone is none."""

import pytest

from rtcprobe.hearing.plateaus import plateaus


def markers(*kept_ms):
    return [(0.25 + 0.75 * place, kept / 1000) for place, kept in enumerate(kept_ms)]


def test_a_delay_that_stays_is_one_plateau_whose_height_is_the_median():
    (only,) = plateaus(markers(126, 128, 127, 131, 126))
    assert only == pytest.approx((0.25, 3.25, 0.127))


def test_what_a_hiccup_left_is_a_plateau_of_its_own():
    first, second = plateaus(markers(126, 127, 126, 246, 247, 246))
    assert (first.until_s, second.from_s) == pytest.approx((1.75, 2.5))
    assert (first.kept_s, second.kept_s) == pytest.approx((0.126, 0.246))


def test_a_mixer_that_gave_it_back_has_a_stair_down():
    assert [round(each.kept_s, 3) for each in plateaus(markers(246, 246, 126, 126, 126))] == [0.246, 0.126]


def test_one_marker_that_was_late_makes_no_stair():
    assert len(plateaus(markers(126, 126, 186, 126, 126, 126))) == 1


@pytest.mark.parametrize(("kept", "stairs"), [([], 0), ([126], 1), ([126, 300], 1)])
def test_few_markers_are_no_staircase(kept, stairs):
    assert len(plateaus(markers(*kept))) == stairs
