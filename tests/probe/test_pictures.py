"""Pictures in a run: accounts beside those of sound, the first picture of a join, skew, budgets, films on disk."""

import json
from base64 import b64decode
from dataclasses import replace
from functools import cache

import av
import numpy as np
import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.probe.pictures import Pictures
from rtcprobe.report.html import render_report
from rtcprobe.result import Result
from rtcprobe.scenario import find_scenario, parse_scenario
from rtcprobe.verdict import judge, parse_budget

SMALL = "video={size: 160x120, fps: 15, bitrate: 100kbit}"
BASE = ("call.joins=1", "call.duration=1s", "codec.complexity=2", "budgets=[]", "link=delay 40ms", "call.calls=2")
HOW = ("every 5th", "timestamps")
WAYS = ("caller_to_callee.video", "callee_to_caller.video")


def ran(*settings, seed=1, engine="stack", **more):
    plan = find_scenario("1v1-social", [*BASE, SMALL, *settings])
    return run_probe(plan, seed=seed, clock="virtual", engine=engine, **more)


@cache
def usual():
    return ran()


def test_every_frame_of_every_call_is_accounted_for_on_both_ways():
    seen = usual().of_kind("glass_to_glass")
    assert tuple(seen) == WAYS
    for account in seen.values():
        assert (account.scheduled, account.lost) == (2 * 15, 0)
        assert [(call.call, call.scheduled) for call in account.calls] == [(0, 15), (1, 15)]
        assert account.playout.policy == "libwebrtc"
        assert account.playout.w3c["framesDecoded"] == 30
        assert sum(account.stages.values()) == pytest.approx(np.mean([each.delay_s for each in account.samples]))
        assert account.figures["ssim_p5"] <= account.figures["ssim"] < 1
        assert account.figures["ssim_in_worst_second"] <= account.figures["ssim"]


def test_a_join_has_its_first_picture_with_the_steps_to_it():
    for attempt in usual().join.attempts:
        steps = [
            attempt.marks[name] for name in ("dtls_connected", "first_video_packet", "first_key_frame", "first_picture")
        ]
        assert steps == sorted(steps)
        # A way, a frame until the camera's next, and what the other side still had to do.
        assert steps[1] - steps[0] < 0.040 + 1 / 15 + 0.040


def test_skew_is_how_late_the_frame_came_less_how_late_the_marker_did():
    result = usual()
    for way, sound in result.mouth_to_ear.items():
        agreed, seen = result.of_kind("lip_sync")[f"{way}.video"], result.of_kind("glass_to_glass")[f"{way}.video"]
        assert agreed.scheduled == sound.heard
        for moment in agreed.samples:
            (marker,) = [each for each in sound.samples if (each.call, each.marker) == (moment.call, moment.marker)]
            before = [each for each in seen.samples if each.call == moment.call and each.spoken_s <= marker.spoken_s]
            assert moment.delay_s == pytest.approx(before[-1].delay_s - marker.delay_s)


def test_lips_and_voice_are_made_to_agree_as_receivers_do_it():
    # An application that wishes for 200 ms of sound: its picture is 150 ms ahead, and is held back.
    slow = ("playout=neteq:200ms", "call.calls=1", "call.duration=9s", "call.joins=1")
    apart, agreed = (
        ran(*slow, f"video.sync={sync}", "video.read=timestamps", seed=3).of_kind("lip_sync")[WAYS[0]]
        for sync in ("false", "true")
    )
    assert apart.figures["corrections"] == 0
    assert agreed.figures["corrections"] > 0
    late = [np.median([abs(each.delay_s) for each in found.samples[-8:]]) for found in (apart, agreed)]
    assert late[0] > 0.120
    assert late[1] < late[0] - 0.050


def test_how_frames_are_read_is_said_and_what_is_not_read_is_told_by_its_time():
    every, none = (ran(f"video.read={how}", "call.calls=1").of_kind("glass_to_glass")[WAYS[0]] for how in HOW)
    whole = usual().of_kind("glass_to_glass")[WAYS[0]]
    first = [each.delay_s for each in whole.samples if each.call == 0]
    for found in (every, none):
        assert [each.delay_s for each in found.samples] == first
    assert every.playout.policy == "libwebrtc, every 5th read"
    assert none.playout.policy == "libwebrtc, told by RTP time"
    assert "ssim" in every.figures
    assert "ssim" not in none.figures


def test_the_worst_frame_of_the_worst_second_is_kept_as_a_small_picture_beside_what_was_filmed():
    account = usual().of_kind("glass_to_glass")[WAYS[0]]
    worst, figures = account.worst, account.figures
    assert worst.second_ssim == pytest.approx(figures["ssim_in_worst_second"])
    assert worst.ssim <= worst.second_ssim <= figures["ssim"]
    (picture,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(b64decode(worst.jpeg)))
    assert (picture.width, picture.height) == (2 * 160, 120)
    left, right = np.split(picture.to_ndarray(format="gray").astype(float), 2, axis=1)
    assert np.mean(np.abs(left - right)) < 12  # the same scene; what encoding took from it
    assert f"data:image/jpeg;base64,{worst.jpeg}" in render_report([usual()])
    assert run_budget("picture.ssim worst_second > 0.999").verdict == "missed"


def run_budget(line):
    return judge(usual(), [parse_budget(line)]).budgets[0]


def test_what_is_no_picture_is_refused():
    with pytest.raises(BadInputError, match="is no picture in base64"):
        replace(usual().of_kind("glass_to_glass")[WAYS[0]].worst, jpeg='"><script>')


@pytest.mark.parametrize(("setting", "sentence"), [
    ("video.size=641x480", "video of 641x480 cannot be coded: both sides even: colour has half the resolution"),
    ("video.size=big", "'big' is no picture size: width x height in pixels: 640x480"),
    ("video.codec=vp9", "video.codec 'vp9' is not known: did you mean vp8?"),
    ("video.bitrate=1kbit", "video of 1 kbit/s is not sent: 10kbit to 20mbit"),
    ("video.read=some", "'some' is no way to read frames: all, every 5th (or another), timestamps"),
])  # fmt: skip
def test_what_no_camera_does_is_refused_with_the_cure(setting, sentence):
    with pytest.raises(BadInputError) as refused:
        find_scenario("1v1-video", [setting])
    assert sentence in str(refused.value)


def test_two_per_cent_of_loss_without_nack_are_freezes_of_three_seconds_with_it_none_beyond_three_round_trips():
    lossy = ("link=delay 40ms loss 2%", "call.calls=1", "call.duration=11s", "video.read=timestamps", "call.joins=1")
    without, repaired = (
        ran(*lossy, f"video.nack={nack}", seed=2).of_kind("glass_to_glass") for nack in ("false", "true")
    )
    frozen_s = [span.until_s - span.from_s for each in without.values() for span in each.spans]
    # kMaxWaitForFrame (3 s), the request's way, up to a frame, the key frame's pacing and its way.
    assert len(frozen_s) >= 3
    assert all(3.0 < each < 3.5 for each in frozen_s)
    assert max(each.figures["freeze_share"] for each in without.values()) > 0.5
    for each in repaired.values():
        assert all(span.until_s - span.from_s <= 3 * 0.080 for span in each.spans)
        assert max(sample.delay_s for sample in each.samples) < 0.060 + 3 * 0.080


def test_budgets_about_pictures_are_judged():
    result = ran(
        "budgets=[glass_to_glass p50 < 300ms, video.freeze_share mean < 1%, join.first_picture max < 1ms, "
        "av_skew within -1s..45ms, picture.ssim p5 > 0.999, glass_to_glass.stages.network_min mean > 39ms]"
    )
    assert [each.verdict for each in result.budgets] == ["met", "met", "missed", "undecided", "missed", "met"]
    assert result.budgets[3].value == 0.0  # of so few moments that another run might differ


def test_results_of_pictures_are_read_back_and_equal_seeds_give_equal_bytes():
    def written(result):
        return json.dumps({**result.to_dict(), "environment": {}})

    first = written(usual())
    assert written(ran()) == first  # the film is from the shelf by now
    assert Result.from_dict(json.loads(first)).of_kind("glass_to_glass")[WAYS[0]].heard > 0
    assert written(ran(seed=2)) != first


def test_sound_hears_nothing_of_the_picture_where_the_link_has_no_rate():
    alone = run_probe(find_scenario("1v1-social", BASE), seed=1, clock="virtual")
    for way, account in alone.mouth_to_ear.items():
        beside = usual().mouth_to_ear[way]
        assert [each.delay_s for each in beside.samples] == pytest.approx(
            [each.delay_s for each in account.samples], abs=1e-7
        )


def test_freezes_are_told_with_their_instants():
    result = ran("video.nack=false", "link=delay 40ms loss 8%", "call.duration=5s", "call.calls=1", seed=4)
    account = result.of_kind("glass_to_glass")[WAYS[0]]
    freezes = [each for each in account.spans if each.what == "freeze"]
    assert len(freezes) == account.playout.w3c["freezeCount"] > 0
    total_s = sum(each.until_s - each.from_s for each in freezes)
    assert total_s == pytest.approx(account.playout.w3c["totalFreezesDuration"], abs=0.002)
    assert account.rejected > 0
    assert {each.why for each in account.missed if each.fate == "rejected"} == {"dropped"}


def test_the_model_says_that_it_knows_no_pictures():
    result = ran(engine="model")
    assert not result.of_kind("glass_to_glass")
    assert "engine model knows no pictures: sound alone was modelled" in result.warnings


def test_an_encoder_that_cannot_do_what_is_asked_says_what_it_does():
    result = ran("video.bitrate=10kbit", "call.joins=1", "call.calls=1", "call.duration=2s")
    (sentence,) = [each for each in result.warnings if "coarsest" in each]
    assert sentence.startswith("vp8 of 160x120 at 15/s took ")
    assert sentence.endswith(" not 10kbit: its coarsest is not coarse enough")


def test_one_who_only_watches_is_shown_to_and_shows_nothing():
    plan = parse_scenario(
        "name: shown\nlink: delay 40ms\nbudgets: []\ncall: {joins: 1, calls: 1, duration: 1s}\n"
        "parties: {caller: {video: {size: 160x120, fps: 15, bitrate: 100kbit}}, callee: {}}\n"
    )
    result = run_probe(plan, seed=1, clock="virtual")
    assert tuple(result.of_kind("glass_to_glass")) == ("caller_to_callee.video",)


def test_films_of_each_call_are_written_beside_what_was_filmed(tmp_path):
    ran(video_dir=tmp_path)
    assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*.mp4")) == [
        f"call-{call}/{way}.mp4" for call in (1, 2) for way in ("callee_to_caller", "caller_to_callee")
    ]


def test_equal_cameras_share_a_film():
    plan = find_scenario("1v1-social", [*BASE, SMALL])
    cameras = Pictures(plan, video_dir=None).cameras(endless=False)
    assert cameras["caller"].film is cameras["callee"].film
    assert cameras["caller"].count == 15
