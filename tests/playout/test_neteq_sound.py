"""NetEQ's tools on sound whose answer is known: sines, steps of level, silence."""

from __future__ import annotations

import numpy as np
import pytest

from rtcprobe.playout.neteq.expand import Expand
from rtcprobe.playout.neteq.merge import merge, normal_after_expand
from rtcprobe.playout.neteq.noise import BackgroundNoise
from rtcprobe.playout.neteq.red import split_red
from rtcprobe.playout.neteq.stretch import accelerate, preemptive_expand
from rtcprobe.playout.neteq.sync import SyncBuffer

QUIET = 1.0  # a background 96 dB down: everything is active speech


def sine(hz, samples, start=0, level=0.3):
    return (level * np.sin(2 * np.pi * hz * (start + np.arange(samples)) / 48_000)).astype(np.float32)


def voice(samples, start=0, pitch_hz=200):
    """Six harmonics: a clear period of 5 ms."""
    return sum(sine(pitch_hz * k, samples, start, 0.3 / k) for k in range(1, 7))


@pytest.mark.parametrize("pitch_hz", [100, 150, 200, 300])
def test_voiced_speech_is_shortened_by_a_whole_number_of_its_periods(pitch_hz):
    signal = voice(1440, pitch_hz=pitch_hz)
    done = accelerate(signal, QUIET)
    periods = done.moved_samples * pitch_hz / 48_000
    assert done.moved_samples > 0
    assert periods == pytest.approx(round(periods), abs=0.03)
    # What is left is the same voice, a period ahead: nobody hears the seam.
    assert np.abs(done.samples - voice(len(done.samples), pitch_hz=pitch_hz)).max() < 0.08


def test_voiced_speech_is_lengthened_the_same_way():
    done = preemptive_expand(voice(1440), 450, QUIET)
    assert done.moved_samples * 200 / 48_000 == pytest.approx(round(done.moved_samples * 200 / 48_000), abs=0.03)
    assert np.abs(done.samples - voice(len(done.samples))).max() < 0.08


def test_loud_noise_is_no_period_and_is_left_alone():
    noise = (0.1 * np.random.default_rng(1).standard_normal(1440)).astype(np.float32)
    assert accelerate(noise, QUIET).moved_samples == 0
    assert preemptive_expand(noise, 0, QUIET).moved_samples == 0


def test_a_hurry_takes_out_all_that_fits_into_15_ms_and_accepts_half_a_likeness():
    rng = np.random.default_rng(0)
    rough = voice(1440) + (0.15 * rng.standard_normal(1440)).astype(np.float32)
    calm, hurried = accelerate(rough, QUIET), accelerate(rough, QUIET, hurry=True)
    assert calm.moved_samples == 0
    assert 600 <= hurried.moved_samples <= 720


def test_in_speech_a_preemptive_expand_needs_15_ms_unplayed():
    assert preemptive_expand(voice(1440), 721, QUIET).moved_samples == 0
    assert preemptive_expand(voice(1440), 720, QUIET).moved_samples > 0
    assert preemptive_expand(voice(1440), 1410, 1e12).moved_samples == 0  # the overlap alone is nothing to stretch


def filled(samples):
    sync = SyncBuffer()
    sync.push(samples)
    sync.read(len(samples))
    return sync


def conceal(sync, expand, samples):
    while sync.future - 30 < samples:
        sync.push_invented(expand.process(sync))
    return sync.read(samples)


def test_a_steady_voice_goes_on_for_a_while_and_fades_later():
    expand = Expand()
    sync = filled(voice(4800))
    made = conceal(sync, expand, 480)
    assert np.sqrt(np.mean(made**2)) == pytest.approx(np.sqrt(np.mean(voice(480) ** 2)), rel=0.1)
    assert expand.mute > 0.95
    conceal(sync, expand, 4800)
    # From the 4th call the gain falls by 0.001 per sixth of a 1/8 ms sample, from the 8th by 0.002.
    assert expand.mute < 0.6


def test_noise_fades_at_once_and_is_half_gone_within_thirty_milliseconds():
    expand = Expand()
    sync = filled((0.05 * np.random.default_rng(2).standard_normal(4800)).astype(np.float32))
    conceal(sync, expand, 1440)
    # 0.005/6 per sample: 1440 samples make exp(-1.2) = 0.30 or less.
    assert expand.mute < 0.5


def test_silence_is_concealed_by_silence_and_ends_muted():
    expand = Expand()
    sync = filled(np.zeros(4800, dtype=np.float32))
    assert not conceal(sync, expand, 9600).any()
    assert expand.muted
    assert expand.mute == 0.0


def test_a_packet_after_a_loss_is_laid_where_its_phase_fits():
    expand, sync = Expand(), filled(voice(4800))
    conceal(sync, expand, 960)
    borrowed = sync.future
    decoded = voice(960, start=5760)
    merged = merge(decoded, expand, sync)
    assert len(merged.samples) == merged.invented + 960
    assert borrowed - 30 < len(merged.samples)
    # The seam: no jump larger than the voice's own steepest step.
    joined = np.concatenate([sync.data[sync.next - 100 : sync.next], merged.samples])
    assert np.abs(np.diff(joined)).max() < 1.5 * np.abs(np.diff(voice(4800))).max()
    # From where the fade ends the packet itself plays, unmuted within its length.
    assert np.corrcoef(merged.samples[-400:], decoded[-400:])[0, 1] > 0.999


def test_a_late_packet_is_faded_in_over_a_millisecond_and_reaches_full_level_within_itself():
    expand, sync = Expand(), filled(voice(4800))
    conceal(sync, expand, 480)
    decoded = voice(960, start=4800)
    played = normal_after_expand(decoded, expand, sync, background_energy=2500.0)
    assert len(played) == 960
    assert np.allclose(played[-10:], decoded[-10:], rtol=0.02, atol=1e-3)
    assert expand.longest_lag == 0  # the gap is over


def test_the_background_estimate_follows_a_quiet_room_and_not_the_speech_in_it():
    rng = np.random.default_rng(3)
    noise = BackgroundNoise()
    assert noise.speech_energy == 75_000
    for tick in range(300):
        room = (0.002 * rng.standard_normal(256)).astype(np.float32)
        noise.update(room + (voice(256) if tick % 50 > 40 else 0))
    # 0.002 of full scale is 65.5 in 16 bits, squared 4295; the estimate is the quietest of many, about 20 % below.
    assert 2500 < noise.energy < 4600


def test_digital_silence_is_no_background():
    noise = BackgroundNoise()
    noise.update(np.zeros(256, dtype=np.float32))
    assert noise.speech_energy == 75_000


def test_the_sync_buffer_slides_without_losing_what_is_unplayed():
    sync = SyncBuffer()
    total = np.arange(1, 200_001, dtype=np.float32)
    heard = []
    for start in range(0, len(total), 960):
        sync.push(total[start : start + 960])
        while sync.future - 30 >= 480:
            heard.append(sync.read(480))
    played = np.concatenate(heard)
    assert np.array_equal(played[30:], total[: len(played) - 30])


def test_red_blocks_come_newest_first():
    # RFC 2198: two copies (offsets 1920 and 960), then the primary.
    head = bytes([0x80 | 111, 1920 >> 6, (1920 & 63) << 2, 2, 0x80 | 111, 960 >> 6, (960 & 63) << 2, 3, 111])
    blocks = split_red(head + b"aabbbcccc")
    assert [(block.timestamp_offset, block.payload, block.level) for block in blocks] == [
        (0, b"cccc", 0),
        (960, b"bbb", 1),
        (1920, b"aa", 2),
    ]


def test_a_copy_of_another_type_and_an_empty_one_are_dropped():
    head = bytes([0x80 | 13, 15, 0, 1, 0x80 | 111, 15, 0, 0, 111])
    assert [block.payload for block in split_red(head + b"xmain")] == [b"main"]


def test_windows_followed_at_once_leave_the_background_where_one_after_the_other_does():
    rng = np.random.default_rng(11)
    levels = np.repeat([0.2, 0.001, 0.03, 0.0, 0.0004], 40)[:, None]
    windows = (levels * rng.standard_normal((len(levels), 256))).astype(np.float32)
    again = [int(count) for count in rng.integers(0, 4, len(windows))]
    at_once, singly = BackgroundNoise(), BackgroundNoise()
    at_once.follow(windows, again)
    for window, count in zip(windows, again, strict=True):
        singly.update(window)
        for _ in range(count):
            singly.update_again()
    probe = (0.0005 * rng.standard_normal(256)).astype(np.float32)
    for noise in (at_once, singly):
        noise.update(probe)
    assert (at_once.energy, at_once.speech_energy) == (singly.energy, singly.speech_energy)


def test_what_one_stream_made_of_the_silence_before_it_is_nothing_to_the_next():
    def periods():
        expand, sync = Expand(), SyncBuffer()
        return [expand.process(sync) for _ in range(30)], expand.mute

    (sounds, mute), (again, mute_again) = periods(), periods()
    assert [len(sound) for sound in sounds] == [len(sound) for sound in again]
    assert mute == mute_again == 0.0
    assert not any(sound.any() for sound in (*sounds, *again))
