"""A sender that adapts over a line that changes: laws of the model, its figures, and the command."""

import json
from itertools import pairwise, repeat

import pytest
from numpy.random import SeedSequence

from rtcprobe.adaptation import (
    Call,
    Settings,
    capacity_of,
    case_names,
    case_of_link,
    controller_of,
    fall_of,
    figures_of,
    find_case,
)
from rtcprobe.adaptation.adjuster import BitrateAdjuster
from rtcprobe.adaptation.course import Course
from rtcprobe.adaptation.encoder import Encoder, QualityScaler
from rtcprobe.adaptation.receiver import Packet, VideoReceiver
from rtcprobe.adaptation.sender import VideoSender
from rtcprobe.control import GoogCc, Pacer
from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, parse_link
from rtcprobe.report.adapt import interval_of, sentence_of
from rtcprobe.scenario import library


def call(line, length_s, controller="gcc", seed=1):
    settings = Settings(forward=parse_link(line), back=parse_link("delay 40ms"), length_s=length_s, seed=seed)
    return Call(settings, controller_of(controller)).run()


STEP = "delay 40ms rate 1.5mbit limit 200ms at 6s rate 400kbit"


def test_one_seed_gives_one_course():
    assert call(STEP, 8).target_bps == call(STEP, 8).target_bps
    assert call(STEP, 8, seed=2).target_bps != call(STEP, 8).target_bps


@pytest.mark.parametrize("line", ["delay 40ms rate 400kbit limit 200ms loss 5%", "delay 40ms loss 10%"])
def test_the_share_that_was_lost_is_of_everything_that_the_line_was_given(line):
    class Counting:
        def __init__(self):
            self.link, self.fates = Link(parse_link(line), SeedSequence(1)), []

        def offer(self, size_bytes, now_s):
            self.fates.append(self.link.offer(size_bytes, now_s))
            return self.fates[-1]

    counting, settings = Counting(), Settings(forward=parse_link(line), back=parse_link("delay 40ms"), length_s=8)
    course = Call(
        settings, controller_of("gcc"), lines=(counting, Link(parse_link("delay 40ms"), SeedSequence(2)))
    ).run()
    gone = sum(not fate.arrivals_s for fate in counting.fates)
    assert gone > 20
    assert figures_of(course, parse_link(line))["lost"] == pytest.approx(gone / len(counting.fates), rel=1e-3)


def test_after_a_step_the_sender_falls_below_the_line_and_no_control_does_not():
    course = call(STEP, 22)
    assert max(course.target_bps[3:6]) > 1.1e6
    assert max(course.target_bps[12:]) < 0.5e6
    assert sum(course.drops[16:]) < 5  # what is sent again, and again, takes the line's rate for seconds
    stubborn = call(STEP, 16, "fixed:1.2mbit")
    assert min(stubborn.drops[8:]) > 50  # two thirds of 1.2 Mb/s cannot pass


def test_nothing_is_made_on_the_way():
    for controller in ("gcc", "remb"):
        course = call(STEP, 12, controller)
        # What left in the 40 ms before the step comes after it.
        line_bps = [1.5e6] * 6 + [0.4e6 + 0.04 * 1.1e6] + [0.4e6] * 5
        assert all(got <= may * 1.02 + 1e4 for got, may in zip(course.delivered_bps, line_bps, strict=True))
        assert course.shown <= course.encoded
    assert set(course.height) == {480}  # stock aiortc keeps the size, whatever comes


def test_voice_is_not_queued_behind_video():
    courses = [call("delay 40ms rate 300kbit limit 200ms", 60, seed=seed) for seed in range(3)]
    assert max(course.voice_unplayed / course.voice_sent for course in courses) < 0.01


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
        assert not receiver.arrived(lone(frame), frame / 30)
    assert receiver.arrived(lone(41), 41 / 30) == [40]  # at once
    assert receiver.shown == 40
    assert receiver.asks(41 / 30 + 0.05, 0.1) == []
    assert receiver.asks(41 / 30 + 0.1, 0.1) == [40]  # again after an RTT
    receiver.arrived(lone(40), 41 / 30 + 0.2)
    assert (receiver.shown, receiver.freezes) == (42, 1)


def lone(frame):
    """Return the only packet of a frame."""
    return Packet(frame, frame, frame, 1, frame == 0, 1000)


@pytest.mark.parametrize(("gap_s", "freezes"), [(0.186, 0), (0.194, 1)])
def test_a_freeze_is_longer_than_the_mean_of_thirty_intervals_and_150_ms_this_one_counted(gap_s, freezes):
    # Of 29 intervals of 1/30 s and one of g the mean is (29/30 + g)/30: it and 150 ms are g at 0.1885 s.
    receiver = VideoReceiver()
    for frame in range(31):
        receiver.arrived(lone(frame), frame / 30)
    receiver.arrived(lone(31), 1.0 + gap_s)
    assert receiver.freezes == freezes


def test_parity_repairs_one_loss_of_those_that_it_covers():
    packets = [Packet(number, 1, 1, 6, False, 1000) for number in range(1, 7)]
    receiver = VideoReceiver()
    receiver.arrived(lone(0), 0.0)
    for packet in packets:
        if packet.number not in (2, 5):
            receiver.arrived(packet, 0.03)
    receiver.parity(packets[0::2], 0.03)  # 1, 3, 5
    assert (receiver.shown, set(receiver.missing)) == (1, {2})
    receiver.parity(packets[1::2], 0.03)  # 2, 4, 6
    assert (receiver.shown, set(receiver.missing)) == (2, set())


def test_what_was_thrown_away_before_it_left_is_not_sent_again():
    pacer = Pacer(lambda *_: None)
    pacer.pacing_bps = 1e5
    sender = VideoSender(Encoder(iter(lambda: 1.0, None), 4e6), GoogCc(start_bps=1e6), pacer)
    assert sender.frame(0.0)
    assert not sender.asked([0], 0.1)
    pacer.put("retransmission", "again", 500, 0.1)
    pacer.flush()  # a key frame needs neither what waits nor what would be sent again
    assert (pacer.queue_bytes, pacer.expected_s) == (0, 0.0)


def test_what_is_asked_for_twice_within_the_rtt_that_the_sender_knows_is_sent_once():
    left: list[str] = []

    def leave(packet: tuple[str, Packet], size_bytes: int, cluster: int | None) -> None:
        del cluster
        left.append(packet[0])
        sender.left(*packet, size_bytes, now_s)

    pacer, now_s = Pacer(leave), 0.0
    sender = VideoSender(Encoder(iter(lambda: 1.0, None), 4e6), GoogCc(start_bps=1e6), pacer, protects=False)
    pacer.pacing_bps = 1e8
    assert sender.frame(0.0)
    pacer.process(0.0)
    sender.rtt_s, sender.repeat_rtt_s = 0.280, 0.080  # the queue has filled since it was taken down
    for now_s in (0.1, 0.14, 0.2, 0.4):
        sender.asked([0], now_s)
        pacer.process(now_s)
    assert left.count("again") == 3  # 40 ms after the first is within 85 ms, 100 ms after it is not
    sender.repeat_rtt_s = 0.280
    now_s = 0.5
    assert not sender.asked([0], now_s)


def test_a_queue_is_sent_so_fast_that_two_seconds_are_enough():
    # libwebrtc's vector: 300 kB at 1 Mb/s are sent at 1.2 Mb/s, so they never take more than 2 s, and never pause.
    pacer = Pacer(lambda *_: None)
    pacer.pacing_bps = 1e6
    pacer.put("video", None, 300_000, 0.0)
    assert pacer.expected_s == pytest.approx(2.0)


def test_a_low_frame_rate_keeps_itself_low():
    # A frame after a long gap takes more bits, so a codec at 60 kb/s for VGA stays at few frames a second.
    encoder = Encoder(iter(lambda: 1.0, None), 4e6, scales=False)
    frames = [encoder.frame(2e6 if n < 90 else 60e3, None, n / 30) is not None for n in range(600)]
    assert sum(frames[:90]) == 90
    assert 0 < sum(frames[300:]) / 10 < 5


def test_after_a_fall_frames_stay_large_until_they_emptied_what_the_buffer_of_the_new_rate_holds():
    encoder = Encoder(iter(lambda: 1.0, None), 4e6, scales=False)
    made = [8 * encoder.frame(2e6 if frame < 300 else 400e3, None, frame / 30)[0] for frame in range(400)]
    before = sum(made[250:300]) / 50
    assert before == pytest.approx(2e6 / 30, rel=0.02)
    # The new buffer holds 400 kbit and is full: at 67 kbit a frame, 13 of which are its share, three frames go before
    # it is below the 240 kbit from which on the quantiser may rise, and three more before all of it is allowed.
    assert all(bits >= before for bits in made[300:303])
    assert all(later < sooner for sooner, later in pairwise(made[303:307]))
    assert max(made[310:]) < before / 3
    assert sum(made[350:]) / 50 == pytest.approx(400e3 / 30, rel=0.1)


def test_a_codec_that_is_new_may_use_any_quantiser():
    encoder = Encoder(iter(lambda: 1.0, None), 4e6, scales=False)
    for frame in range(60):
        encoder.frame(2e6, None, frame / 30)
    encoder.frame(100e3, None, 2.0)
    # libvpx ties it to the mean of the frames from the 151st on; a full buffer takes a quarter off the coarsest, 106.
    assert encoder.qp == pytest.approx(0.75 * 106)


def test_the_scaler_looks_at_60_frames_smoothed_by_the_millisecond():
    scaler = QualityScaler()
    for n in range(59):
        scaler.encoded(106, n / 30)
    assert scaler.check() == 0
    scaler.encoded(106, 2.0)
    assert (scaler.check(), scaler.wait_s) == (1, 5.0)  # slower after the first "high"
    assert (scaler.check(), scaler.wait_s) == (0, 1.0)  # and soon again while too few are known
    for n in range(90):  # 0.9995^2967 = 0.227: 106 became 29 + 0.227 * 77 = 46; 0.9999^2967 = 0.743 is still above 29
        scaler.encoded(106 if n == 0 else 29, n / 30)
    assert scaler.check() == 0
    for _ in range(60):
        scaler.left_out()
    assert scaler.check() == 0
    for _ in range(90):
        scaler.left_out()
    assert scaler.check() == 1  # 60 % and more left out


def test_frames_of_their_share_cost_nothing_and_frames_that_differ_what_the_next_has_no_room_for():
    even, uneven = BitrateAdjuster(), BitrateAdjuster()
    for frame in range(120):
        now_s = frame / 30
        told_bps = even.adjusted_bps(900e3, 0, 30, now_s)
        assert told_bps == pytest.approx(900e3 / 1.2 if frame < 30 else 900e3)
        even.encoded(told_bps / 30, now_s)
        # 1.2 and 0.8 of the share in turn: a large one leaves 0.2 behind, which the small one has room for.
        told_bps = uneven.adjusted_bps(900e3, 0, 30, now_s)
        uneven.encoded(told_bps / 30 * (0.8 if frame % 2 else 1.2), now_s)
    assert told_bps == pytest.approx(900e3, rel=1e-3)
    for frame in range(120, 240):  # two large ones in a row: the second finds 0.2 of its room taken
        told_bps = uneven.adjusted_bps(900e3, 0, 30, frame / 30)
        uneven.encoded(told_bps / 30 * (1.2, 1.2, 0.6)[frame % 3], frame / 30)
    assert told_bps == pytest.approx(900e3 / (1 + 0.2 / 3), rel=1e-3)


def test_where_the_link_would_carry_more_only_the_mean_counts():
    adjuster = BitrateAdjuster()
    for frame in range(240):
        told_bps = adjuster.adjusted_bps(900e3, 2e6, 30, frame / 30)
        adjuster.encoded(told_bps / 30 * (1.2, 1.2, 0.6)[frame % 3], frame / 30)
    assert told_bps == pytest.approx(900e3, rel=1e-3)


def test_the_rtt_is_that_of_the_last_sender_report_not_of_the_queue_now():
    line = "delay 40ms rate 2.5mbit limit 200ms at 5s rate 600kbit"
    told = []

    class Told(Call):
        def on_report(self, told_: tuple[int, int, float, float | None]) -> None:
            super().on_report(told_)
            told.append((self._now_s, told_[3]))

    Told(Settings(forward=parse_link(line), back=parse_link("delay 40ms"), length_s=12), controller_of("gcc")).run()
    assert all(0.040 <= one_way_s < 0.26 for _, one_way_s in told if one_way_s is not None)
    assert max(one_way_s for at_s, one_way_s in told if at_s > 6.5 and one_way_s is not None) > 0.2


def test_a_stalled_machine_shows_nothing_and_is_no_loss():
    line = "delay 40ms rate 10mbit limit 200ms"  # so much that nothing else can come of it
    settings = Settings(forward=parse_link(line), back=parse_link("delay 40ms"), length_s=8, stalls=((5.0, 5.5),))
    course = Call(settings, controller_of("gcc")).run()
    assert sum(course.freezes) == 1
    assert sum(course.drops[5:]) == 0


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
    assert fall_of(find_case("step").link, 90.0) == (20, 600e3, 50)
    assert fall_of(find_case("loss").link, 90.0) is None
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


def test_a_line_that_repeats_itself_has_as_many_capacities_as_it_has_rounds():
    spec = parse_link("rate 2mbit at 1s rate 300kbit at 2s rate 2mbit repeat 3s")
    assert capacity_of(spec, 6.0) == [(0.0, 2e6), (1.0, 3e5), (2.0, 2e6), (4.0, 3e5), (5.0, 2e6)]
    assert capacity_of(spec) == capacity_of(spec, 3.0) == [(0.0, 2e6), (1.0, 3e5), (2.0, 2e6)]


def test_what_a_line_does_after_the_end_of_a_call_is_no_change_of_it():
    falls = parse_link("rate 2mbit at 100s rate 500kbit")
    assert capacity_of(falls, 60.0) == [(0.0, 2e6)]
    assert fall_of(falls, 60.0) is None
    assert fall_of(falls, 101.0) == (100.0, 5e5, None)
    again = parse_link("rate 2mbit at 25s rate 500kbit repeat 40s")
    assert fall_of(again, 40.0) == (25.0, 5e5, None)
    assert fall_of(again, 60.0) == (25.0, 5e5, 40.0)
    steady = Course(60.0, target_bps=[0.0] * 60, delivered_bps=[1e6] * 60, offered_bps=[1e6] * 60, height=[480.0] * 60)
    assert figures_of(steady, falls)["steady_share"] == 0.5
    assert figures_of(steady, falls)["below_capacity_s"] is None


def test_a_sender_keeps_no_more_packets_than_libwebrtc_however_long_a_call_is():
    pacer = Pacer(lambda *_: None)
    sender = VideoSender(Encoder(repeat(1.0), None, scales=False), controller_of("fixed:1mbit"), pacer, protects=False)
    pacer.pacing_bps = 1e9
    for number in range(6000):
        sender.frame(number / 30)
        pacer.flush()
    assert len(sender._packets) == 9600
    assert not sender.asked([0], 200.0)


def test_where_nothing_arrives_the_sentence_says_so_and_the_state_is_named(rtcprobe):
    code, out, _ = rtcprobe("adapt", "--link", "loss 100%", "--length", "6s", "--seeds", "1", "-q")
    assert code == 0
    assert "link: Nothing that gcc sends arrives." in out
    code, out, _ = rtcprobe("adapt", "--link", "delay 20ms outage 3s 60s", "--length", "9s", "--seeds", "1", "-q")
    assert "no feedback" in out


def test_a_picture_that_never_shrank_has_no_time_to_come_back():
    line = "delay 40ms rate 1.5mbit limit 200ms at 4s rate 600kbit at 7s rate 1.5mbit"
    assert figures_of(call(line, 9, "remb"), parse_link(line))["to_full_size_s"] is None


def test_an_interval_of_the_median_is_by_ranks():
    # Of ten the 95 % interval of the median runs from the 2nd to the 9th (binomial, 97.9 %).
    assert interval_of([float(n) for n in range(1, 11)]) == (5.5, 2.0, 9.0)
    assert interval_of([3.0, 1.0]) == (2.0, 1.0, 3.0)
    assert interval_of([None, None]) is None


def test_the_command_says_its_engine_a_sentence_and_figures(rtcprobe, tmp_path):
    path, page = tmp_path / "out.json", tmp_path / "out.html"
    line = "delay 20ms rate 1mbit limit 200ms at 4s rate 300kbit"
    arguments = ("--link", line, "--length", "10s", "--seeds", "2", "--json", str(path), "--html", str(page))
    code, out, err = rtcprobe("adapt", *arguments)
    assert code == 0
    assert err == "adapt: link (2 calls)\n"  # where nobody watches: a line a scenario
    drawn = page.read_text()
    assert drawn.count("<svg") == 2
    assert "capacity (dashed), estimate (line), sent (dash-dotted)" in drawn
    assert "seconds with a freeze (crosses)" in drawn
    assert out.startswith("engine: model (virtual time, 2 seeds); controller: gcc")
    assert "When the line falls to 300kbit, gcc sends below it after" in out
    document = json.loads(path.read_text())
    assert document["engine"] == "model"
    figures = document["scenarios"][0]["figures"]
    assert set(figures) >= {"below_capacity_s", "freezes", "voice_unplayed", "utilisation", "swings", "frames_lost"}
    assert "settled_from_4_s" in figures
    assert "settled after a change of capacity, the longest" in out
    assert "  the estimate was held by " in out
    (flow,) = document["scenarios"][0]["flows"]
    assert (flow["way"], flow["start_s"]) == ("there", 0.0)
    assert len(flow["offered_bps"]) == len(flow["delay_mean_s"]) == 10
    assert len(flow["sent_bps"]) == 50  # each 200 ms
    assert sum(flow["sent_bps"]) / 5 == pytest.approx(sum(flow["offered_bps"]))


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


def test_a_picture_that_hardly_comes_freezes_seldom_and_the_sentence_says_how_often_it_comes():
    case = case_of_link("rate 4mbit at 2s rate 500kbit at 4s rate 4mbit", 6.0)
    course = Course(6.0, delays=[(0.0, 0.1)], height=[480.0] * 6, shown=3)
    rows = [{"shown_fps": 0.5, "freezes": 0.0, "dropped": 9000.0}]
    said = sentence_of(case, "fixed:4mbit", rows, [course])
    assert said.endswith("with 0 freezes and 9000 packets dropped; the picture keeps its size, at 0.5 frames a second.")
