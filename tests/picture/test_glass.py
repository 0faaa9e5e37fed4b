"""The scene that cameras film: of any size that is coded, lying or upright."""

import pytest

from rtcprobe.picture.glass import Glass


@pytest.mark.parametrize(("width", "height"), [(160, 90), (360, 640), (160, 600), (720, 1280), (176, 144), (600, 160)])
def test_every_size_has_a_scene_in_which_the_head_stays_inside(width, height):
    scene = Glass(width, height)
    for number in range(0, 3000, 250):
        assert scene.picture(number).shape == (height * 3 // 2, width)
