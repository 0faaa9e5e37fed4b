"""A sender that adapts over a line that changes: laws of the model, its figures, and the command."""

import json

import pytest

from rtcprobe.adaptation import Call, Settings, case_names, controller_of, fall_of, figures_of, find_case
from rtcprobe.adaptation.encoder import Encoder
from rtcprobe.adaptation.receiver import VideoReceiver
from rtcprobe.errors import BadInputError
from rtcprobe.link import parse_link
from rtcprobe.report.adapt import interval_of
from rtcprobe.scenario import library


def call(line, length_s, controller="gcc", seed=1):
    settings = Settings(forward=parse_link(line), back=parse_link("delay 40ms"), length_s=length_s, seed=seed)
    return Call(settings, controller_of(controller)).run()


STEP = "delay 40ms rate 1.5mbit limit 200ms at 6s rate 400kbit"


def test_one_seed_gives_one_course():
    assert call(STEP, 8).target_bps == call(STEP, 8).target_bps
    assert call(STEP, 8, seed=2).target_bps != call(STEP, 8).target_bps


def test_after_a_step_the_sender_falls_below_the_line_and_no_control_does_not():
    course = call(STEP, 16)
    assert max(course.target_bps[3:6]) > 1.1e6
    assert max(course.target_bps[12:]) < 0.5e6
    assert sum(course.drops[13:]) < 5
    stubborn = call(STEP, 16, "fixed:1.2mbit")
    assert min(stubborn.drops[8:]) > 50  # two thirds of 1.2 Mb/s cannot pass


def test_nothing_is_made_on_the_way():
    for controller in ("gcc", "remb"):
        course = call(STEP, 12, controller)
        line_bps = [1.5e6] * 6 + [0.4e6] * 6
        assert all(got <= may * 1.02 + 1e4 for got, may in zip(course.delivered_bps, line_bps, strict=True))
        assert course.shown <= course.encoded
    assert set(course.height) == {480}  # stock aiortc keeps the size, whatever comes


def test_voice_is_not_queued_behind_video():
    # Beside video on 300 kb/s.
    course = call("delay 40ms rate 300kbit limit 200ms", 30)
    assert course.voice_unplayed / course.voice_sent < 0.01


@pytest.mark.parametrize(
    "line",
    [
        "delay 40ms rate 2mbit limit 200ms outage 3s 5s",
        "delay 40ms rate 2mbit limit 100 handover 3s 5s",
        "delay 40ms rate 2mbit limit 200ms at 1s rate 300kbit at 1.1s rate 2mbit repeat 1.2s",
        "delay 40ms loss 100%",
        "rate 20kbit limit 2",
    ],
)
@pytest.mark.parametrize("controller", ["gcc", "remb"])
def test_any_line_is_survived_within_the_limits(line, controller):
    course = call(line, 12, controller)
    assert len(course.target_bps) == 12
    assert all(5e3 <= bps <= 20e6 for bps in course.target_bps)


def test_a_packet_that_never_came_stops_the_picture_until_it_came_again():
    receiver = VideoReceiver()
    for frame in range(40):
        receiver.arrived(frame, frame, 1, key=frame == 0, now_s=frame / 30)
    receiver.arrived(41, 41, 1, key=False, now_s=41 / 30)
    assert receiver.shown == 40
    assert receiver.asks(1.4, 0.1) == [40]
    assert receiver.asks(1.45, 0.1) == []
    receiver.arrived(40, 40, 1, key=False, now_s=41 / 30 + 0.2)
    assert (receiver.shown, receiver.freezes) == (42, 1)  # 33 ms are usual; 233 are more than 33 and 150


def test_the_picture_shrinks_when_the_rate_does_not_carry_it_and_comes_back():
    encoder = Encoder(iter(lambda: 1.0, None), 4e6)
    sizes = []
    for frame in range(30 * 60):
        encoder.frame(2e6 if frame < 300 or frame > 900 else 250e3, None, frame / 30)
        sizes.append(encoder.size[1])
    assert sizes[290] == 480
    assert min(sizes) < 480
    assert sizes[-1] == 480


def test_the_cases_that_come_with_rtcprobe_can_be_meant_and_are_no_scenarios_of_calls():
    assert {"step", "ramp", "loss", "rfc8867-5.1"} <= set(case_names())
    for name in case_names():
        assert find_case(name).length_s >= 60
    assert not set(case_names()) & set(library())
    assert fall_of(find_case("step").link) == (20, 600e3, 50)
    assert fall_of(find_case("loss").link) is None
    with pytest.raises(BadInputError, match="did you mean"):
        find_case("stepp")


def test_the_scoreboard_names_what_never_came():
    course = call("delay 40ms rate 1.5mbit limit 200ms at 6s rate 300kbit at 9s rate 1.5mbit", 11)
    figures = figures_of(
        course, parse_link("delay 40ms rate 1.5mbit limit 200ms at 6s rate 300kbit at 9s rate 1.5mbit")
    )
    assert figures["to_90_percent_s"] == float("inf")
    assert figures["dropped"] == sum(course.drops)
    assert 0 < figures["delay_p95_ms"] <= 250


def test_a_picture_that_never_shrank_has_no_time_to_come_back():
    line = "delay 40ms rate 1.5mbit limit 200ms at 4s rate 600kbit at 7s rate 1.5mbit"
    assert figures_of(call(line, 9, "remb"), parse_link(line))["to_full_size_s"] is None


def test_an_interval_of_the_median_is_by_ranks():
    # Of ten the 95 % interval of the median runs from the 2nd to the 9th (binomial, 97.9 %).
    assert interval_of([float(n) for n in range(1, 11)]) == (5.5, 2.0, 9.0)
    assert interval_of([3.0, 1.0]) == (2.0, 1.0, 3.0)
    assert interval_of([None, None]) is None


def test_the_command_says_its_engine_a_sentence_and_figures(rtcprobe, tmp_path):
    path = tmp_path / "out.json"
    line = "delay 20ms rate 1mbit limit 200ms at 4s rate 300kbit"
    code, out, _ = rtcprobe("adapt", "--link", line, "--length", "10s", "--seeds", "2", "--json", str(path))
    assert code == 0
    assert out.startswith("engine: model (virtual time, 2 seeds); controller: gcc")
    assert "when the line falls to 300kbit, gcc sends below it after" in out
    document = json.loads(path.read_text())
    assert document["engine"] == "model"
    assert set(document["scenarios"][0]["figures"]) >= {"below_capacity_s", "freezes", "voice_unplayed"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "adaptation scenario 'nowhere' is not known"),
        (("step", "--controller", "nada"), "controller 'nada' is not known: use gcc, remb or fixed:RATE"),
        (("step", "--controller", "fixed:fast"), "'fast'"),
        (("step", "--link", "rate 1mbit"), "--link and scenario 'step' are both given"),
        (("--link", "rate 1mbit", "--length", "1s"), "length 1s is impossible"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(rtcprobe, arguments, said):
    code, _, err = rtcprobe("adapt", *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
