"""Freezes and pauses by W3C's rule; lips and voice."""

import pytest

from rtcprobe.playout.frames import CaptureClock, Freezes, Synchronization, relative_delay_ms


def counted(intervals_ms, *, packets_every_ms=20):
    freezes, now_ms = Freezes(), 0
    freezes.shown(0)
    for interval in intervals_ms:
        for later_ms in range(0, interval, packets_every_ms or interval):
            freezes.packet((now_ms + later_ms) * 1000)
        now_ms += interval
        freezes.packet(now_ms * 1000)
        freezes.shown(now_ms * 1000)
    return freezes


def test_an_interval_is_a_freeze_from_150_ms_above_the_mean_that_includes_it():
    # Mean of 29 intervals of 33 ms and one of x: (957 + x) / 30, whole; x ≥ mean + 150 from 188 ms on:
    # (957 + 188) // 30 = 38, 38 + 150 = 188.
    assert counted([33] * 40 + [187]).count == 0
    frozen = counted([33] * 40 + [188])
    assert (frozen.count, frozen.total_ms) == (1, 188)


def test_a_slow_stream_freezes_at_three_times_its_mean():
    # 29 intervals of 200 ms and one of x: three times (5800 + x) // 30 = 214 is 642.
    assert counted([200] * 40 + [641]).count == 0
    assert counted([200] * 40 + [642]).count == 1


def test_the_first_four_intervals_are_never_a_freeze():
    assert counted([33, 33, 33, 900]).count == 0
    assert counted([33, 33, 33, 33, 900]).count == 1


def test_an_interval_without_packets_for_5_s_is_a_pause_and_no_freeze():
    silent = counted([33] * 40 + [6_000], packets_every_ms=0)
    assert (silent.pauses, silent.paused_ms, silent.count) == (1, 6_000, 0)
    frozen = counted([33] * 40 + [6_000])
    assert (frozen.pauses, frozen.count, frozen.total_ms) == (0, 1, 6_000)


def test_intervals_and_their_squares_sum_up():
    freezes = counted([33, 34, 33])
    assert freezes.between_ms == 100
    assert freezes.squared_s2 == pytest.approx(0.033**2 + 0.034**2 + 0.033**2)


def settled(relative_ms, audio_ms=50, seconds=60):
    """Run synchronization with delays that follow at once; return what it asks of audio and video in the end."""
    sync, audio, video = Synchronization(), 0, 0
    for _ in range(seconds):
        found = sync.step(relative_ms=relative_ms, audio_ms=max(audio_ms, audio), video_ms=max(22, video))
        if found is not None:
            audio, video = found.audio_ms, found.video_ms
    return audio, video


def test_late_audio_delays_the_video_until_they_are_within_33_ms():
    audio, video = settled(-250)
    assert audio == 0
    assert abs(video - 50 - 250) <= 33


def test_late_video_delays_the_audio_until_they_are_within_33_ms():
    audio, video = settled(250)
    assert video == 0
    assert abs(22 + 250 - audio) <= 33


def test_a_gap_below_30_ms_is_left_alone():
    assert settled(50 - 22 + 29) == (0, 0)
    assert settled(50 - 22 - 29) == (0, 0)


def test_the_gap_of_two_streams_is_judged_from_their_delays():
    found = relative_delay_ms(
        video_arrived_ms=1_090, audio_arrived_ms=1_050, video_captured_ms=1_000, audio_captured_ms=1_000
    )
    assert found == 40
    assert (
        relative_delay_ms(video_arrived_ms=20_000, audio_arrived_ms=0, video_captured_ms=0, audio_captured_ms=0) is None
    )


def test_a_capture_clock_reads_a_time_off_two_reports_and_over_a_wrap():
    clock = CaptureClock()
    assert clock.captured_s(0) is None
    clock.report(1000.0, 2**32 - 90_000)
    assert clock.captured_s(2**32 - 90_000) is None
    clock.report(1002.0, 90_000)
    assert clock.captured_s(0) == pytest.approx(1001.0, abs=1e-9)
    assert clock.captured_s(180_000) == pytest.approx(1003.0, abs=1e-9)


def test_a_report_from_the_past_is_not_believed_until_three_say_so():
    clock = CaptureClock()
    clock.report(1000.0, 0)
    clock.report(1001.0, 90_000)
    assert not clock.report(900.0, 180_000)
    assert clock.captured_s(45_000) == pytest.approx(1000.5, abs=1e-9)
