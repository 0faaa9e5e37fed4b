"""What users of a real receiver would hear: NetEQ in the ear, protection on the way, quality as a number."""

import math
from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.wav import read_wav, write_wav
from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

SHORT = "call.duration=3s"
BASE = [
    "call.calls=1",
    "call.joins=1",
    "call.duration=4s",
    "codec.complexity=5",  # half the time of 9, and what is heard of markers is the same
    "devices.capture=0ms",
    "devices.playback=0ms",
    "budgets=[]",
]


@cache
def ears(link, *more, seed=1):
    result = run_probe(find_scenario("1v1-social", [f"link={link}", *BASE, *more]), seed=seed, clock="virtual")
    return result.mouth_to_ear


def median_ms(ear, after_s=0.0):
    first_s = ear.samples[0].spoken_s
    return float(np.median([s.delay_s for s in ear.samples if s.spoken_s >= first_s + after_s])) * 1e3


def test_a_hundred_milliseconds_more_path_are_a_hundred_more_to_the_ear_once_warm():
    for (_, near), (_, far) in zip(ears("delay 40ms").items(), ears("delay 140ms").items(), strict=True):
        assert median_ms(far, 2.5) - median_ms(near, 2.5) == pytest.approx(100.0, abs=0.05)


def test_on_a_clean_path_nothing_is_concealed_or_left_out_and_the_stages_say_where_the_delay_is():
    for ear in ears("delay 40ms").values():
        assert ear.unplayed == 0.0
        assert ear.concealed < 0.001
        assert ear.playout.target_delay_s == pytest.approx(0.020)  # NetEQ's least: one histogram bucket
        assert abs(ear.stages["residual"]) < 0.0002
        assert 0.0 <= ear.stages["decode_block"] <= 0.010  # packets wait for the next block of 10 ms


def test_about_as_much_is_concealed_as_is_lost_and_stock_aiortc_misses_several_times_that():
    heard = ears("delay 40ms loss 5%")
    concealed = np.mean([ear.concealed for ear in heard.values()])
    lost = np.mean([ear.protection.loss["before"] for ear in heard.values()])
    missing = np.mean([ear.beside["stock aiortc"].missing_ratio for ear in heard.values()])
    assert concealed == pytest.approx(lost, rel=0.3)
    assert missing > 2 * lost


def test_red_brings_back_most_of_what_is_lost_one_frame_later():
    bare = [ear.protection for ear in ears("delay 40ms loss 5%").values()]
    red = [ear.protection for ear in ears("delay 40ms loss 5%", "protection.red=1").values()]
    assert sum(each.recovered_by_red.frames for each in red) > 0.8 * sum(each.lost_before for each in red)
    assert [each.recovered_by_red.later_p50_s for each in red] == pytest.approx([0.020] * 2, abs=1e-6)
    assert sum(each.unplayed for each in bare) > 0.06
    assert sum(each.unplayed for each in red) < sum(each.unplayed for each in bare) / 5


def test_in_band_fec_brings_frames_back_through_the_codec():
    protected = ears("delay 40ms loss 5%", "codec.fec=true", "codec.expected_loss=10%")
    for ear in protected.values():
        assert ear.protection.recovered_by_fec.frames > 0
        assert ear.playout.counts["fec_frames_decoded"] > 0


def test_asking_again_brings_frames_back_a_round_trip_later():
    for ear in ears("delay 40ms loss 5%", "protection.nack=true", SHORT).values():
        found = ear.protection.recovered_by_nack
        assert found.frames > 0.8 * ear.protection.lost_before
        assert found.later_p50_s >= 0.080


def heard_of(*settings):
    """Return the share of markers heard over two seeds, both ways, and how many were spoken in each and in all."""
    each = [ear for seed in (1, 2) for ear in ears("delay 40ms loss 5%", *settings, seed=seed).values()]
    spoken = sum(ear.scheduled for ear in each)
    return sum(ear.heard for ear in each) / spoken, each[0].scheduled, spoken


@pytest.mark.parametrize(("policy", "duration", "withheld"), [("fixed:60ms", "3s", 0), ("aiortc", "5s", 1)])
def test_policies_that_know_no_red_hear_the_copies_too(policy, duration, withheld):
    settings = (f"playout={policy}", f"call.duration={duration}")
    red, of_each, spoken = heard_of("protection.red=1", *settings)
    # A marker lies in five frames, each lost with its copy by chance 0.05²; stock aiortc never lets its last frames go.
    law = (1 - 5 * 0.05**2) * (1 - withheld / of_each)
    error = math.sqrt(law * (1 - law) / spoken)
    assert red > law - 3 * error


def test_without_copies_stock_aiortc_hears_less_by_more_than_chance():
    settings = ("playout=aiortc", "call.duration=5s")
    (red, _, spoken), (bare, _, _) = heard_of("protection.red=1", *settings), heard_of(*settings)
    assert bare < red - 2 * math.sqrt((bare * (1 - bare) + red * (1 - red)) / spoken)


def test_a_jitter_buffer_target_is_kept():
    near, far = (ears("delay 40ms", *more)["caller_to_callee"] for more in ((), ("playout=neteq:200ms",)))
    assert far.playout.target_delay_s == pytest.approx(0.200)
    assert median_ms(far, 2.5) > median_ms(near, 2.5) + 120


def test_a_loudspeaker_that_runs_fast_is_heard_earlier_and_earlier_on_a_fixed_delay():
    # 200 ppm over the call: 2 ms in 10 s. The buffer keeps its mapping, so the delay shrinks by that.
    drifting = ears("delay 40ms", "playout=fixed:100ms", "devices.drift=200ppm", SHORT)["caller_to_callee"]
    samples = drifting.samples
    span_s = samples[-1].spoken_s - samples[0].spoken_s
    slope = (samples[-1].delay_s - samples[0].delay_s) / span_s
    assert slope == pytest.approx(-200e-6, rel=0.05)


def test_quality_falls_with_loss_and_with_delay_and_states_its_assumptions():
    clean = ears("delay 40ms")["caller_to_callee"].quality
    far = ears("delay 140ms")["caller_to_callee"].quality
    lossy = ears("delay 40ms loss 5%")["caller_to_callee"].quality
    assert clean.mos > far.mos
    assert clean.listening_mos == pytest.approx(far.listening_mos, abs=1e-9)
    assert clean.listening_mos > lossy.listening_mos
    assert any("provisional" in sentence for sentence in clean.assumptions)


def assert_right(ear, delay_ms):
    """Over a programme not every marker can be told, but what is told is right; of a fixed delay of 60 ms."""
    assert ear.scheduled == ear.heard + ear.rejected + ear.lost
    assert ear.heard > 0.4 * ear.scheduled
    errors_ms = np.array([sample.delay_s for sample in ear.samples]) * 1e3 - (20 + 6.5 + delay_ms + 60)
    assert np.abs(errors_ms).max() < 0.2


def test_markers_are_found_over_speech_from_a_file(tmp_path):
    # Something like speech: voiced bursts of changing pitch with pauses between them.
    at_s = np.arange(48_000 * 3) / 48_000
    turn = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * at_s)) / 48_000
    voice = sum(np.sin(k * turn) / k for k in range(1, 20))
    speech = (0.1 * voice * (np.sin(2 * np.pi * 1.3 * at_s) > 0)).astype(np.float32)
    write_wav(tmp_path / "speech.wav", speech)
    for ear in ears("delay 40ms", f"mouth.programme={tmp_path / 'speech.wav'}", "playout=fixed:60ms", SHORT).values():
        assert_right(ear, delay_ms=40)


def test_a_lost_packet_moves_the_steady_delay_by_no_more_than_a_merge_and_a_late_one_by_its_lateness(tmp_path):
    # One delay a packet; handshake and markers shift where in the call packet 175 of this direction falls, not that it
    # is one media packet in the middle of it.
    def steady_change_ms(fate):
        lines = ["40"] * 600
        lines[175] = fate
        trace = tmp_path / f"{fate}.txt"
        trace.write_text("\n".join(lines))
        ear = ears(f"delay_trace {trace}", "call.duration=5s")["caller_to_callee"]
        middle_s = 175 * 0.02
        first_s = ear.samples[0].spoken_s
        before, after = (
            [s.delay_s for s in ear.samples if low < s.spoken_s - first_s < high]
            for low, high in ((middle_s - 1.5, middle_s - 0.6), (middle_s + 0.3, middle_s + 0.9))
        )
        return (np.median(after) - np.median(before)) * 1e3, ear.playout

    lost_ms, lost = steady_change_ms("lost")
    late_ms, late = steady_change_ms("100")
    assert abs(lost_ms) < 15  # a merge aligns to within a pitch period: libwebrtc, merge.cc
    assert (lost.counts["gaps_by_loss"], lost.counts["gaps_by_lateness"]) == (1, 0)
    assert late.counts["gaps_by_lateness"] == 1
    assert late_ms == pytest.approx(late.delay_raised_by_lateness_s * 1e3, abs=12)
    assert late_ms > 20


def test_markers_are_found_over_noise_and_the_wavs_are_as_far_apart_as_the_figures_say(tmp_path):
    settings = ["link=delay 50ms", "playout=fixed:60ms", "mouth.programme=noise", *BASE, SHORT]
    found = run_probe(find_scenario("1v1-social", settings), seed=1, clock="virtual", wav_dir=tmp_path)
    for direction, ear in found.mouth_to_ear.items():
        assert_right(ear, delay_ms=50)
        mouth, heard = (read_wav(tmp_path / f"{direction}.{side}.wav") for side in ("mouth", "ear"))
        size = 1 << 18
        spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(mouth, size))
        apart_ms = int(np.argmax(np.fft.irfft(spectrum))) / 48
        assert apart_ms == pytest.approx(median_ms(ear), abs=0.1)


def test_the_last_packet_of_a_call_is_waited_for():
    # Hung up at the very instant the last packet was due, one call in six had lost a frame that no link had lost.
    settings = ["link=delay 40ms 10ms distribution normal", *BASE, "call.calls=12", "call.duration=400ms"]
    found = run_probe(find_scenario("1v1-social", settings), seed=1, clock="virtual")
    assert [report.achieved.loss for report in found.link.values()] == [0.0, 0.0]
    assert [ear.protection.lost_before for ear in found.mouth_to_ear.values()] == [0, 0]
