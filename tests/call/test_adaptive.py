"""A camera of ours that follows the line in a real call: real packets, real feedback, and the model beside it."""

import math
from collections import Counter
from functools import cache

import pytest

from rtcprobe.adaptation import Call, Settings, case_of_link, controller_of, figures_of
from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.probe.adapting import Adapting
from rtcprobe.scenario import find_scenario
from rtcprobe.ways import Way

FALL_S, LENGTH_S = 5, 13
CASE = case_of_link("delay 20ms rate 1500kbit limit 200ms at 5s rate 400kbit", float(LENGTH_S))


@cache
def called(controller, line=None, length_s=LENGTH_S, seed=1):
    case = CASE if line is None else case_of_link(line, float(length_s))
    return Adapting("loopback", (), "down", controller).call(case, seed, lambda _: None).course


def modelled(controller):
    settings = Settings(forward=CASE.link, back=CASE.back, length_s=CASE.length_s, seed=1, protects=False)
    return Call(settings, controller_of(controller)).run()


def test_what_is_sent_falls_with_the_line_as_the_model_of_the_same_sender_says():
    real, model = called("gcc"), modelled("gcc")
    # Two ends draw other noise, and a call has a handshake before it: the same within what seeds of either differ by.
    assert max(real.target_bps[:FALL_S]) == pytest.approx(max(model.target_bps[:FALL_S]), rel=0.15)
    after = slice(FALL_S + 4, LENGTH_S)
    assert sum(real.target_bps[after]) == pytest.approx(sum(model.target_bps[after]), rel=0.25)
    # Right after a fall an encoder stays at a few frames a second, or does not: seeds of either differ by 1.31.
    assert sum(real.offered_bps[after]) == pytest.approx(sum(model.offered_bps[after]), rel=0.35)
    assert max(real.delivered_bps[FALL_S + 1 :]) <= 400e3 * 1.05  # a packet may end in another second than it began
    figures = figures_of(real, CASE.link)
    assert figures["dropped"] > 0
    assert 0.190 < max(delay_s for _, delay_s in real.delays) < 0.300  # 20 ms, and a queue of 200


def test_equal_seeds_are_equal_calls():
    case = case_of_link("delay 20ms rate 800kbit limit 100ms", 5.0)
    one, other = (Adapting("loopback", (), "down", None).call(case, 3, lambda _: None).course for _ in range(2))
    assert one == other
    assert len(one.delays) > 500


def test_a_receivers_estimate_leads_stock_aiortc_by_the_nose():
    course = called("remb", "delay 20ms rate 900kbit limit 200ms", 12)
    # aiortc.codecs.vpx: 500 kb/s at first, 250 to 1500; it grows by what comes, and stays below what the line carries.
    assert course.target_bps[1] == 500e3
    assert max(course.target_bps[8:]) > 500e3
    assert all(math.isnan(each) or 250e3 <= each <= 1500e3 for each in course.target_bps)


def test_a_line_that_carries_nothing_for_seconds_is_outlived():
    course = called("gcc", "delay 20ms rate 1mbit limit 200ms at 3s rate 1kbit at 6s rate 1mbit", 11)
    known = [each for each in course.target_bps if not math.isnan(each)]
    assert all(5e3 <= each <= 5e6 for each in known)
    assert sum(course.delivered_bps[9:11]) > 100e3


SCENARIO = """
name: falling
serves: a call whose line falls
caller: {region: singapore, access: wifi-good}
callee: {region: singapore, access: wifi-good}
call: {calls: 1, duration: 7s, joins: 1}
video: {control: gcc, bitrate: 2mbit}
link: {caller_to_callee: delay 20ms rate 1mbit limit 200ms at 2s rate 150kbit, callee_to_caller: delay 20ms}
budgets: [video.full_size_share mean > 99%, video.smaller mean < 1h]
"""


def test_a_run_tells_what_the_encoder_left_out_and_how_long_the_picture_was_smaller(tmp_path):
    path = tmp_path / "falling.yaml"
    path.write_text(SCENARIO)
    result = run_probe(find_scenario(str(path), ()), seed=1, clock="virtual")
    falls, free = (
        result.of_kind("glass_to_glass")[Way.of(*way, "video")] for way in (("caller", "callee"), ("callee", "caller"))
    )
    fates = Counter(each.why or each.fate for each in falls.missed)
    assert falls.scheduled == 7 * 30 == falls.heard + sum(fates.values())
    assert fates["left out"] > 10  # 150 kb/s, voice's share off it, are no 30 frames a second of 640x480
    assert free.figures["full_size_share"] == 1.0
    assert free.figures["smaller_s"] == 0.0
    assert free.figures["target_bps"] > falls.figures["target_bps"]
    assert "psnr_db" not in free.figures  # nothing is read, so nothing is claimed of likeness


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("video.size=1280x720", "640x480, 30 a second, vp8"),
        ("video.codec=h264", "640x480, 30 a second, vp8"),
        ("video.bitrate=100kbit", "give 150kbit or more"),
        ("video.read=every 5th", "read: timestamps"),
        ("video.control=scream", "'scream' is not known"),
    ],
)
def test_a_camera_that_nobody_knows_how_to_steer_is_refused_in_a_sentence(tmp_path, scenario, said):
    path = tmp_path / "falling.yaml"
    path.write_text(SCENARIO)
    with pytest.raises(BadInputError, match=said):
        find_scenario(str(path), (scenario,))


@pytest.mark.parametrize(
    ("url", "heading", "controller", "said"),
    [
        ("page", "down", "gcc", "a target's sender decides itself"),
        ("loopback", "down", "nada", "use gcc, remb or fixed:RATE"),
        ("loopback", "down", "fixed:1bit", "give 5kbit to 1gbit"),
        ("mix", "up", None, "is ours"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_called(url, heading, controller, said):
    with pytest.raises(BadInputError, match=said):
        Adapting(url, ("target.region=singapore",) if url == "mix" else (), heading, controller)
