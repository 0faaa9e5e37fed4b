"""Another rate is the same sound: nothing delayed, nothing louder, nothing folded down."""

import numpy as np
import pytest

from rtcprobe.audio.resample import resampled


def tone(hz, rate_hz, samples):
    return np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 48_000), (44_100, 48_000), (48_000, 16_000), (96_000, 48_000)])
def test_a_tone_is_the_same_tone_at_the_same_instants(from_hz, to_hz):
    hz = min(from_hz, to_hz) / 4
    got = resampled(tone(hz, from_hz, from_hz // 2), from_hz, to_hz)
    assert len(got) == -(-(from_hz // 2) * to_hz // from_hz)
    inside = slice(len(got) // 10, -len(got) // 10)  # away from the ends, beyond which there is silence
    assert np.abs(got - tone(hz, to_hz, len(got)))[inside].max() < 0.003


def test_what_the_lower_rate_cannot_carry_is_gone_and_not_folded_down():
    # 11 kHz at 16 kHz would come out at 5 kHz.
    assert np.abs(resampled(tone(11_000, 48_000, 24_000), 48_000, 16_000)[800:-800]).max() < 0.003


@pytest.mark.parametrize("samples", [0, 1, 2, 50])
def test_however_short_a_sound_is_it_is_as_long_afterwards(samples):
    assert resampled(np.ones(samples, np.float32), 44_100, 48_000).shape == (-(-samples * 160 // 147),)
    assert resampled(np.ones(samples, np.float32), 48_000, 16_000).shape == (-(-samples // 3),)


def test_the_same_rate_is_the_same_sound():
    pcm = tone(440, 48_000, 100)
    assert resampled(pcm, 48_000, 48_000) is pcm
