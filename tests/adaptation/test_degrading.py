"""What of a picture falls first, by the rules of browsers."""

import pytest

from rtcprobe.adaptation import find_case
from rtcprobe.adaptation.degrading import SIZES, Degrading
from rtcprobe.adaptation.encoder import Encoder
from rtcprobe.errors import BadInputError


def seen(rule, verdicts):
    degrading = Degrading(rule, 30.0)
    out = []
    for verdict in verdicts:
        degrading.step(verdict)
        out.append((SIZES[degrading.place][1], degrading.fps))
    return out


def test_a_camera_keeps_its_frame_rate_and_a_screen_its_size():
    assert seen("maintain-framerate", [1, 1, 0, -1, -1, -1]) == [
        (360, 30), (240, 30), (240, 30), (360, 30), (480, 30), (480, 30)
    ]  # fmt: skip
    # Two thirds each, two at least; up by a half, and the last step is the whole rate again.
    assert seen("maintain-resolution", [1, 1, 1, -1, -1, -1, -1]) == [
        (480, 20), (480, 13), (480, 8), (480, 12), (480, 18), (480, 30), (480, 30)
    ]  # fmt: skip
    assert seen("maintain-resolution", [1] * 9)[-1] == (480, 2)


def test_balanced_lowers_frames_to_what_is_enough_then_the_size_and_goes_back_that_way():
    assert seen("balanced", [1, 1, 1, 1, 1]) == [(480, 15), (360, 15), (360, 10), (240, 10), (240, 7)]
    assert seen("balanced", [1, 1, 1, 1, 1, -1, -1, -1, -1, -1])[5:] == [
        (240, 10), (360, 10), (360, 15), (480, 15), (480, 30)
    ]  # fmt: skip


def test_a_screen_in_need_shows_fewer_and_better_frames_than_a_camera():
    qps = {}
    for rule in ("maintain-framerate", "maintain-resolution"):
        encoder = Encoder(iter(lambda: 1.0, None), 4e6, degrades=rule)
        made = [encoder.frame(150e3, None, n / 30) for n in range(900)]
        qps[rule] = sum(each is not None for each in made[600:]), encoder.size[1]
    assert qps["maintain-framerate"] == (300, 240)
    assert qps["maintain-resolution"][0] < 150
    assert qps["maintain-resolution"][1] == 480


def test_a_rule_that_nobody_knows_is_refused(tmp_path):
    path = tmp_path / "case.yaml"
    written = "about: a\nsource: s\nlength: 10s\nlink: rate 1mbit\nback: delay 40ms\ndegradation: "
    path.write_text(written + "balanced")
    assert find_case(str(path)).degrades == "balanced"
    path.write_text(written + "fastest")
    with pytest.raises(BadInputError, match="degradation 'fastest' is not known"):
        find_case(str(path))
