"""Levels, programmes and WAV files."""

import wave
from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.marker import MARKER_SAMPLES, MarkerTrain
from rtcprobe.audio.mouth import Mouth, Noise, Speech, encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusSettings
from rtcprobe.audio.wav import read_wav, write_wav


def dbfs(pcm):
    return 10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)))


@cache
def talk(seconds=3.0, rate_hz=48_000, seed=3):
    """Something like speech: syllables of harmonics under formants, with pauses."""
    rng = np.random.default_rng(seed)
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    out = np.zeros(len(at))
    start = 0.0
    while start < seconds:
        length, pitch = rng.uniform(0.12, 0.3), rng.uniform(90, 220)
        formants = rng.uniform((300, 900, 2200), (800, 2000, 3200))
        inside = (at >= start) & (at < start + length)
        local = at[inside] - start
        for harmonic in range(1, int(3800 / pitch)):
            hz = harmonic * pitch
            gain = sum(np.exp(-(((hz - formant) / 150) ** 2)) / (1 + i) for i, formant in enumerate(formants)) + 0.01
            out[inside] += gain * np.sin(2 * np.pi * hz * local + harmonic) * np.sin(np.pi * local / length)
        start += length + (rng.uniform(0.3, 0.8) if rng.random() < 0.3 else 0.02)
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def markers_of(mouth, duration_s=6.0):
    pcm = mouth.pcm(duration_s)
    starts = [round(marker.spoken_s * 48_000) for marker in mouth.train.markers(duration_s)]
    return pcm, starts


def test_levels_over_silence_and_noise_are_as_stated():
    for programme, level in ((Mouth().programme, -80.0), (Noise(), -55.0)):
        pcm, starts = markers_of(Mouth(programme=programme))
        assert dbfs(pcm[: starts[0]]) == pytest.approx(level, abs=0.3)
        assert dbfs(pcm[starts[3] : starts[3] + MARKER_SAMPLES]) == pytest.approx(-20.0, abs=0.2)


def test_speech_is_brought_to_minus_26_and_markers_lie_under_it_as_stated():
    speech = Speech(samples=talk(), marker_to_speech_db=-10.0)
    pcm, starts = markers_of(Mouth(programme=speech))
    without = np.concatenate([*speech.pieces(len(pcm))])
    loud = np.abs(without.reshape(-1, 960)).max(axis=1) > 0.02
    assert dbfs(without.reshape(-1, 960)[loud]) == pytest.approx(-26.0, abs=1.5)
    marker = (pcm - without)[starts[2] : starts[2] + MARKER_SAMPLES]
    assert dbfs(marker) == pytest.approx(-36.0, abs=0.1)


def test_speech_repeats_for_as_long_as_it_takes():
    samples = talk(1.0)
    pcm = np.concatenate([*Speech(samples=samples).pieces(3 * len(samples))])
    assert np.array_equal(pcm[: len(samples)], pcm[len(samples) : 2 * len(samples)])


def test_equal_mouths_say_equal_things_and_other_seeds_other_noise():
    mouth = Mouth(programme=Noise(seed=1))
    assert np.array_equal(mouth.pcm(2.0), mouth.pcm(2.0))
    assert not np.array_equal(mouth.pcm(2.0), Mouth(programme=Noise(seed=2)).pcm(2.0))


def test_nothing_is_beyond_full_scale():
    loud = Speech(samples=talk(), marker_to_speech_db=20.0)
    assert np.abs(Mouth(programme=loud, train=MarkerTrain(spacing_s=0.3)).pcm(3.0)).max() <= 1.0


def test_a_stream_is_encoded_whole_with_its_end_padded():
    pcm = Mouth().pcm(1.005)
    payloads = encode_stream(pcm, OpusSettings())
    assert len(payloads) == 51  # 50.25 packets of 20 ms
    decoder = OpusDecoder()
    assert sum(len(decoder.decode(payload)) for payload in payloads) == 51 * 960
    assert encode_stream(pcm[:0], OpusSettings()) == []


def test_what_is_written_is_read_again(tmp_path):
    pcm = talk(0.5)
    write_wav(tmp_path / "a.wav", pcm)
    assert np.abs(read_wav(tmp_path / "a.wav") - pcm).max() < 1.5 / 32768
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)


def test_beyond_full_scale_is_clipped_not_wrapped(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5], dtype=np.float32))
    assert np.allclose(read_wav(tmp_path / "a.wav"), [32767 / 32768, -32767 / 32768, 0.5], atol=1e-4)


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 2)])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_any_pcm_is_read_as_48_khz_mono(tmp_path, width, channels, rate_hz):
    at = np.arange(rate_hz) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * at)
    scaled = np.round(tone * (2 ** (8 * width - 1) - 1)).astype(np.int64) + (128 if width == 1 else 0)
    bytes_of_each = scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(bytes_of_each[:, None], channels, axis=1).tobytes())
    pcm = read_wav(tmp_path / "a.wav")
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    assert len(pcm) == 48_000
    assert np.abs(pcm - expected)[500:-500].max() < 0.01
