"""The ear: exact where sound is whole, silent where it is not, and accounting for every marker."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from rtcprobe.audio import matched
from rtcprobe.audio.ear import FLOOR, listen
from rtcprobe.audio.marker import MARKER_SAMPLES, Marker, MarkerTrain, trains, waveform
from rtcprobe.audio.mouth import Mouth, Noise, Speech, encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.audio.opus_packet import phase_advance_s

TRAIN = MarkerTrain()
SECONDS = 4.0
MARKERS = TRAIN.markers(SECONDS)


@cache
def spoken():
    return Mouth().pcm(SECONDS)


def heard_after(codec, pcm):
    """Return the decoded stream, the codec's look-ahead and what its phase needs."""
    payloads = encode_stream(pcm, codec)
    decoder = OpusDecoder()
    decoded = np.concatenate([decoder.decode(payload) for payload in payloads])
    return decoded, OpusEncoder(codec).lookahead_samples / 48_000, phase_advance_s(payloads)


def later(pcm, samples):
    return np.concatenate((np.zeros(samples, np.float32), pcm))


@pytest.mark.parametrize("delay_samples", [0, 17, 4_801, 23_999, 24_000])
def test_without_a_codec_every_marker_is_heard_to_the_tenth_of_a_microsecond(delay_samples):
    hearing = listen(later(spoken(), delay_samples), 0.0, TRAIN, MARKERS)
    assert len(hearing.heard) == hearing.scheduled == len(MARKERS)
    assert np.abs(hearing.delays_s - delay_samples / 48_000).max() < 0.1e-6
    assert min(item.correlation for item in hearing.heard) > 0.99


def test_fractions_of_a_sample_are_resolved():
    rng = np.random.default_rng(1)
    fraction = float(rng.random())
    spectrum = np.fft.rfft(spoken().astype(np.float64))
    turned = spectrum * np.exp(-2j * np.pi * fraction * np.arange(len(spectrum)) / len(spoken()))
    hearing = listen(np.fft.irfft(turned, len(spoken())).astype(np.float32), 0.0, TRAIN, MARKERS)
    # The parabola is not the peak's true shape: a hundredth of a sample.
    assert np.abs(hearing.delays_s * 48_000 - fraction).max() < 0.01


def test_the_instant_is_on_the_clock_of_the_recording():
    shifted = TRAIN.markers(SECONDS, start_s=1_000.25)
    hearing = listen(spoken(), 1_000.30, TRAIN, shifted)
    assert np.allclose(hearing.delays_s, 0.05, atol=1e-6)
    assert hearing.heard[0].heard_s == pytest.approx(shifted[0].spoken_s + 0.05, abs=1e-6)
    assert listen(spoken(), 1_000.30, TRAIN, shifted, advance_s=0.001).delays_s == pytest.approx(
        hearing.delays_s + 0.001, abs=1e-6
    )


CODECS = [
    *(OpusSettings(bitrate_bps=rate) for rate in (16_000, 24_000, 32_000, 64_000)),
    *(OpusSettings(bitrate_bps=rate, application="lowdelay") for rate in (16_000, 64_000)),
    *(OpusSettings(ptime_s=ptime_s) for ptime_s in (0.010, 0.060)),
    OpusSettings(ptime_s=0.040, bitrate_bps=16_000, application="audio"),
    OpusSettings(fec=True, expected_loss=0.1, complexity=5, bandwidth="fullband"),
]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{codec.application}-{codec.bitrate_bps}-{codec.ptime_s}")
def test_the_look_ahead_is_recovered_within_50_microseconds_for_every_marker(codec):
    pcm, look_ahead_s, advance_s = heard_after(codec, spoken())
    hearing = listen(pcm, 0.0, TRAIN, MARKERS, advance_s=advance_s)
    assert len(hearing.heard) == len(MARKERS)
    assert np.abs(hearing.delays_s - look_ahead_s).max() < 50e-6


def test_markers_over_noise_are_heard_as_over_silence():
    pcm, look_ahead_s, advance_s = heard_after(OpusSettings(bitrate_bps=16_000), Mouth(programme=Noise()).pcm(SECONDS))
    hearing = listen(pcm, 0.0, TRAIN, MARKERS, advance_s=advance_s)
    assert len(hearing.heard) == len(MARKERS)
    assert np.abs(hearing.delays_s - look_ahead_s).max() < 50e-6


@cache
def speech():
    """Voiced syllables under three formants with pauses, 7 s: enough of speech to get in a marker's way."""
    rng = np.random.default_rng(3)
    out = np.zeros(336_000)
    start = 0
    while start < len(out) - 24_000:
        length, pitch = int(rng.uniform(0.12, 0.3) * 48_000), rng.uniform(90, 220)
        at = np.arange(length) / 48_000
        for formant, gain in zip(rng.uniform((300, 900, 2200), (800, 2000, 3200)), (1.0, 0.5, 0.25), strict=True):
            for harmonic in range(max(1, int((formant - 250) / pitch)), int((formant + 250) / pitch) + 1):
                shape = (
                    gain * np.exp(-(((harmonic * pitch - formant) / 120) ** 2)) * np.sin(np.pi * at * 48_000 / length)
                )
                out[start : start + length] += shape * np.sin(2 * np.pi * harmonic * pitch * at + harmonic)
        start += length + (int(rng.uniform(0.3, 0.8) * 48_000) if rng.random() < 0.3 else 960)
    out += 1e-4 * rng.standard_normal(len(out))
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


@pytest.mark.parametrize("codec", [OpusSettings(bitrate_bps=16_000), OpusSettings(application="audio")])
def test_ten_decibels_below_speech_what_is_heard_is_right_and_the_rest_is_said_to_be_rejected(codec):
    mouth = Mouth(programme=Speech(samples=speech(), marker_to_speech_db=-10.0))
    pcm, look_ahead_s, advance_s = heard_after(codec, mouth.pcm(7.0))
    hearing = listen(pcm, 0.0, TRAIN, TRAIN.markers(7.0), advance_s=advance_s)
    assert np.abs(hearing.delays_s - look_ahead_s).max() < 0.2e-3
    assert len(hearing.heard) > 0.3 * hearing.scheduled
    assert len(hearing.rejected) > 0


@pytest.mark.parametrize("delay_s", [0.6, 1.9, 2.7, 7.3])
def test_a_delay_longer_than_the_spacing_is_not_ambiguous(delay_s):
    hearing = listen(later(spoken(), round(delay_s * 48_000)), 0.0, TRAIN, MARKERS)
    assert len(hearing.heard) == len(MARKERS)
    assert np.abs(hearing.delays_s - delay_s).max() < 20e-6


def test_a_delay_that_jumps_by_more_than_the_spacing_is_followed():
    cut = round(MARKERS[4].spoken_s * 48_000) - 2_000
    pcm = np.concatenate((spoken()[:cut], np.zeros(3 * 48_000, np.float32), spoken()[cut:]))
    hearing = listen(pcm, 0.0, TRAIN, MARKERS)
    assert np.abs(hearing.delays_s[:4]).max() < 1e-6
    assert np.abs(hearing.delays_s[4:] - 3.0).max() < 1e-6
    assert len(hearing.heard) == len(MARKERS)


def test_nothing_is_heard_before_it_is_spoken():
    early = spoken()[480:]  # a recording that begins 10 ms into the speech, said to begin with it
    hearing = listen(early, 0.0, TRAIN, MARKERS)
    assert len(hearing.heard) == 0
    assert len(hearing.lost) + len(hearing.rejected) == len(MARKERS)


def test_nothing_is_heard_later_than_the_stated_bound():
    pcm = later(spoken(), 48_000)
    assert len(listen(pcm, 0.0, TRAIN, MARKERS, max_delay_s=0.9).heard) == 0
    assert len(listen(pcm, 0.0, TRAIN, MARKERS, max_delay_s=1.1).heard) == len(MARKERS)


@pytest.mark.parametrize("pcm", [np.zeros(0, np.float32), np.zeros(2_000, np.float32), np.zeros(480_000, np.float32)])
def test_from_nothing_nothing_is_heard(pcm):
    hearing = listen(pcm, 0.0, TRAIN, MARKERS)
    assert (hearing.scheduled, len(hearing.lost)) == (len(MARKERS), len(MARKERS))
    assert all(item.reason and item.delay_s is None for item in hearing.lost)


def test_noise_is_no_marker():
    noise = np.random.default_rng(2).standard_normal(48_000 * 8).astype(np.float32)
    hearing = listen(noise, 0.0, TRAIN, MARKERS)
    # Six thousand chances a marker, ρ about 0.05 RMS: the best of them stays below the floor.
    assert len(hearing.lost) == len(MARKERS)
    assert max(item.correlation for item in hearing.outcomes) < FLOOR


def test_no_markers_are_no_work():
    assert listen(spoken(), 0.0, TRAIN, ()).outcomes == ()


def test_a_half_concealed_marker_is_rejected_with_its_reason():
    markers = TRAIN.markers(13.0)
    pcm = Mouth().pcm(13.0)
    start = round(markers[4].spoken_s * 48_000)
    # Another marker's sound over its first half: half of its energy is its own, and the whitened parts are not
    # quite equal.
    pcm[start : start + MARKER_SAMPLES // 2] = pcm[round(markers[9].spoken_s * 48_000) :][: MARKER_SAMPLES // 2]
    hearing = listen(later(pcm, 480), 0.0, TRAIN, markers)
    assert [item.marker.index for item in hearing.rejected] == [4]
    assert hearing.rejected[0].correlation == pytest.approx(0.5, abs=0.05)
    assert hearing.rejected[0].reason == "its correlation is below 0.6"
    assert len(hearing.heard) == len(markers) - 1


def test_one_peak_is_one_markers():
    # Two markers of one code scheduled at the same place; the sound holds it once.
    twice = (Marker(index=0, code=3, spoken_s=1.0), Marker(index=1, code=3, spoken_s=1.0))
    pcm = np.zeros(48_000 * 3, np.float32)
    pcm[57_600 : 57_600 + MARKER_SAMPLES] = 0.1 * waveform(3)
    hearing = listen(pcm, 0.0, TRAIN, twice)
    assert [item.outcome for item in hearing.outcomes] == ["heard", "rejected"]
    assert hearing.outcomes[1].reason == "another marker was heard in its place"


def test_sound_out_of_order_is_heard_in_order_or_not_at_all():
    # Markers 5 and 6 change places: sound cannot, so the second to be settled is not believed.
    pcm = spoken().copy()
    five, six = (round(MARKERS[index].spoken_s * 48_000) for index in (5, 6))
    pcm[five : five + MARKER_SAMPLES], pcm[six : six + MARKER_SAMPLES] = (
        0.1 * waveform(MARKERS[6].code),
        0.1 * waveform(MARKERS[5].code),
    )
    hearing = listen(pcm, 0.0, TRAIN, MARKERS)
    instants = [item.heard_s for item in hearing.heard]
    assert instants == sorted(instants)
    assert hearing.outcomes[6].outcome != "heard"  # its sound is there, but before it was spoken


@given(
    holes=st.lists(st.tuples(st.integers(0, round(SECONDS * 48_000)), st.integers(1, 40_000)), max_size=12),
    delay_samples=st.integers(0, 60_000),
    noise=st.sampled_from([0.0, 1e-4, 0.01, 0.1]),
)
@settings(max_examples=4, deadline=None, derandomize=True)
def test_whatever_happens_to_the_sound_scheduled_is_heard_plus_rejected_plus_lost(holes, delay_samples, noise):
    pcm = later(spoken(), delay_samples)
    pcm += np.float32(noise) * np.random.default_rng(delay_samples).standard_normal(len(pcm), dtype=np.float32)
    for start, length in holes:
        pcm[start : start + length] = 0.0
    hearing = listen(pcm, 0.0, TRAIN, MARKERS)
    assert len(hearing.heard) + len(hearing.rejected) + len(hearing.lost) == hearing.scheduled == len(MARKERS)
    assert [item.marker for item in hearing.outcomes] == list(MARKERS)
    # And what is heard is right, for holes move nothing.
    assert np.all(np.abs(hearing.delays_s - delay_samples / 48_000) < 0.2e-3)


def test_the_period_of_the_codes_is_longer_than_the_longest_delay_looked_for():
    assert TRAIN.period_s == len(TRAIN.codes) * 0.5 - 0.02
    assert listen(spoken(), 0.0, TRAIN, MARKERS, max_delay_s=TRAIN.period_s - 0.08).scheduled == len(MARKERS)


def mix(talkers, seconds, delays_s):
    """Return what a server that mixes plays: every talker through Opus, each later by its own delay."""
    heard = []
    for train, delay_s in zip(talkers, delays_s, strict=True):
        pcm, look_ahead_s, advance_s = heard_after(OpusSettings(), Mouth(train=train).pcm(seconds))
        heard.append(later(pcm, round(delay_s * 48_000)))
    mixed = np.zeros(max(map(len, heard)), np.float32)
    for pcm in heard:
        mixed[: len(pcm)] += pcm
    return mixed, look_ahead_s, advance_s


@pytest.mark.parametrize("talkers", [2, 4, 8])
def test_in_a_mix_every_talker_is_heard_at_its_own_delay(talkers):
    every = trains(talkers)
    delays_s = 0.1 + 0.14 * np.random.default_rng(talkers).permutation(talkers) / talkers
    pcm, look_ahead_s, advance_s = mix(every, 8.0, delays_s)
    for train, delay_s in zip(every, delays_s, strict=True):
        hearing = listen(pcm, 0.0, train, train.markers(8.0), advance_s=advance_s)
        assert len(hearing.heard) == hearing.scheduled >= 3
        assert np.abs(hearing.delays_s - look_ahead_s - round(delay_s * 48_000) / 48_000).max() < 0.07e-3


def test_talkers_whose_markers_fall_on_one_another_are_heard_right_or_rejected():
    # Slots of 250 ms and delays 250 ms apart: the first talker's marker always meets the second one's.
    every = trains(4)
    delays_s = [0.35, 0.10, 0.20, 0.15]
    pcm, look_ahead_s, advance_s = mix(every, 12.0, delays_s)
    for train, delay_s in zip(every, delays_s, strict=True):
        hearing = listen(pcm, 0.0, train, train.markers(12.0), advance_s=advance_s)
        assert hearing.scheduled == len(hearing.heard) + len(hearing.rejected)
        assert len(hearing.heard) >= 1
        assert np.abs(hearing.delays_s - look_ahead_s - delay_s).max() < 0.07e-3


def test_markers_of_one_talker_are_not_heard_in_anothers():
    caller, callee = trains(2)
    pcm = Mouth(train=callee).pcm(13.0)
    hearing = listen(pcm, 0.0, caller, caller.markers(13.0))
    assert len(hearing.heard) == 0
    assert hearing.scheduled == 26
    # Part of a marker resembles part of another more than the whole does, still well below the gate.
    assert max(item.correlation for item in hearing.outcomes) < 0.57


def test_a_marker_that_is_heard_twice_is_rejected_because_either_could_be_anothers():
    # Two mouths that know nothing of each other speak the same codes: 265 ms apart, in one mix.
    pcm = later(spoken(), 17_520)
    pcm[4_800 : 4_800 + len(spoken())] += spoken()
    hearing = listen(pcm, 0.0, TRAIN, MARKERS)
    assert len(hearing.heard) == 0
    assert {item.reason for item in hearing.rejected} == {"it was heard twice: it could be another talker's"}
    assert len(hearing.rejected) == len(MARKERS)


def test_a_spectrum_is_smoothed_as_scipy_does_it_to_the_bit():
    rng = np.random.default_rng(5)
    for spread in (0.0, 1.0, 4.0) * 20:  # of white noise, and of speech
        power = (40 + rng.exponential(100.0, 1861) * np.exp(spread * rng.standard_normal(1861))).astype(np.float32)
        smooth = matched._smooth(power)
        assert np.array_equal(smooth, uniform_filter1d(power, matched._SMOOTHING_BINS, mode="nearest"))


def test_where_a_correlation_peaks_is_where_all_its_samples_at_48_khz_say():
    rng = np.random.default_rng(3)
    bins, _, finely = matched._turns()
    for lag in (40, 777, 2039):
        spectrum = rng.standard_normal((2, len(bins))).astype(np.float32)
        product = np.asarray(spectrum[0] + 1j * spectrum[1], dtype=np.complex64)
        wave = matched._wave(product)
        turned = product * np.exp(2j * np.pi * bins * lag / matched._SEGMENT)
        every = (finely.astype(np.complex128) @ turned).real / matched._SEGMENT
        read = (matched._kernel() @ wave[lag - matched._REACH : lag + matched._REACH + 1]) * np.exp(
            2j * np.pi * bins[0] * lag / matched._SEGMENT
        )
        assert read.real == pytest.approx(every, abs=1e-4 * float(np.abs(every).max()))
        offset, height = matched._peak(product, wave, lag)
        top = int(every.argmax())
        assert abs(offset - matched._FINE[top]) <= 0.5
        assert height >= every[top] * (1 - 1e-5)
