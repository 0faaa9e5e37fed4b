"""When a voice begins and ends, told against voices whose samples are known; its level, against ITU-T P.56's laws."""

import math

import numpy as np
import pytest

from rtcprobe.audio.mouth import encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.audio.pcm import Pcm
from rtcprobe.audio.voice import Span, VoiceGate, active_speech_level, voiced_spans
from tests.audio.voices import a_room, a_voice

Errors = tuple[list[float], list[float]]

CODEC = OpusSettings()
LOOK_AHEAD = 312  # samples, of libopus in voip


def through_codec(pcm: Pcm, codec: OpusSettings = CODEC) -> Pcm:
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(payload) for payload in encode_stream(pcm, codec)])


def placed(room: Pcm, voice: Pcm, at_s: float) -> Span:
    begin = round(at_s * 48_000)
    room[begin : begin + len(voice)] += voice
    return Span(begin, begin + len(voice))


def errors_ms(level_dbfs: float, *, room_dbfs: float = -80.0, attack_s: float = 0.001) -> Errors:
    """Return by how much onsets and offsets of twelve voices through the codec are missed."""
    rng = np.random.default_rng(7)
    onsets, offsets = [], []
    for _ in range(6):
        pcm = a_room(rng, lasts_s=4.0, level_dbfs=room_dbfs)
        truth = [
            placed(pcm, a_voice(rng, lasts_s=rng.uniform(0.3, 0.7), level_dbfs=level_dbfs, attack_s=attack_s), at_s)
            for at_s in (0.8 + rng.uniform(0, 0.1), 2.4 + rng.uniform(0, 0.1))
        ]
        found = voiced_spans(through_codec(pcm), look_ahead_samples=LOOK_AHEAD)
        assert len(found) == len(truth)
        onsets += [(each.begin - true.begin) / 48 for each, true in zip(found, truth, strict=True)]
        offsets += [(each.end - true.end) / 48 for each, true in zip(found, truth, strict=True)]
    return onsets, offsets


def p95(errors: list[float]) -> float:
    return float(np.percentile(np.abs(errors), 95))


@pytest.mark.parametrize("level_dbfs", [-19.0, -26.0, -35.0, -45.0])
def test_a_clean_onset_is_told_to_a_millisecond_and_a_half_and_an_offset_to_five(level_dbfs):
    onsets, offsets = errors_ms(level_dbfs)
    assert p95(onsets) <= 1.5
    assert p95(offsets) <= 5.0


@pytest.mark.parametrize(("level_dbfs", "room_dbfs"), [(-19.0, -45.0), (-26.0, -52.0)])
def test_a_noisy_room_hides_no_more_than_a_few_milliseconds_of_a_voice(level_dbfs, room_dbfs):
    onsets, offsets = errors_ms(level_dbfs, room_dbfs=room_dbfs)
    assert p95(onsets) <= 1.5
    assert p95(offsets) <= 10.0  # what ends over 20 ms sinks into the room before its end


def test_a_soft_onset_is_told_where_it_comes_within_twenty_five_decibels_of_the_voice():
    # A ramp of 20 ms reaches −25 dB after 1.1 ms; half a pulse of 110 Hz may pass before it shows.
    onsets, _ = errors_ms(-26.0, attack_s=0.020)
    assert min(onsets) >= -1.0
    assert p95(onsets) <= 1.1 + 4.5


def test_the_look_ahead_that_is_taken_off_is_the_codecs_own():
    assert OpusEncoder(CODEC).lookahead_samples == LOOK_AHEAD


def test_pauses_within_an_utterance_do_not_end_it_and_longer_ones_do():
    rng = np.random.default_rng(3)
    pcm = a_room(rng, lasts_s=4.0)
    first = placed(pcm, a_voice(rng, lasts_s=0.5, level_dbfs=-26.0), 0.5)
    second = placed(pcm, a_voice(rng, lasts_s=0.5, level_dbfs=-26.0), 1.4)
    (whole,) = voiced_spans(pcm, merge_s=0.6)
    assert whole.begin == pytest.approx(first.begin, abs=48)
    assert whole.end == pytest.approx(second.end, abs=240)
    assert len(voiced_spans(pcm, merge_s=0.3)) == 2


def test_a_click_is_no_voice():
    pcm = a_room(np.random.default_rng(4), lasts_s=2.0)
    pcm[48_000 : 48_000 + 480] += 0.2
    assert voiced_spans(pcm) == []


@pytest.mark.parametrize("level_dbfs", [-70.0, -45.0, -30.0])
def test_who_sends_steady_noise_while_silent_is_not_taken_to_speak(level_dbfs):
    rng = np.random.default_rng(5)
    pcm = a_room(rng, lasts_s=5.0, level_dbfs=level_dbfs)
    assert voiced_spans(through_codec(pcm)) == []
    truth = placed(pcm, a_voice(rng, lasts_s=0.6, level_dbfs=level_dbfs + 25.0), 2.0)
    (found,) = voiced_spans(through_codec(pcm), look_ahead_samples=LOOK_AHEAD)
    assert found.begin == pytest.approx(truth.begin, abs=2 * 48)


def test_noise_that_begins_and_stays_is_no_voice_and_neither_is_a_burst_of_it():
    rng = np.random.default_rng(6)
    pcm = a_room(rng, lasts_s=5.0)
    pcm[96_000:] += a_room(rng, lasts_s=3.0, level_dbfs=-40.0)
    assert voiced_spans(pcm) == []
    pcm = a_room(rng, lasts_s=5.0)
    pcm[96_000:124_800] += a_room(rng, lasts_s=0.6, level_dbfs=-26.0)
    assert voiced_spans(pcm) == []


def test_nothing_is_heard_in_nothing():
    assert voiced_spans(np.zeros(0, dtype=np.float32)) == []
    assert voiced_spans(np.zeros(40, dtype=np.float32)) == []
    assert voiced_spans(np.zeros(48_000, dtype=np.float32)) == []


def test_a_listener_in_the_call_hears_a_voice_and_learns_a_room_that_was_never_quiet():
    rng = np.random.default_rng(8)
    gate = VoiceGate()
    pcm = a_room(rng, lasts_s=4.0, level_dbfs=-35.0)
    voice = placed(pcm, a_voice(rng, lasts_s=0.6, level_dbfs=-12.0), 3.0)
    loud = [gate.loud(block) for block in pcm.reshape(-1, 480)]
    assert not any(loud[: voice.begin // 480])
    assert sum(loud[voice.begin // 480 : voice.end // 480]) >= 40  # of 60
    assert not any(loud[-(-voice.end // 480) :])


def test_a_listener_takes_nothing_below_its_threshold_for_a_voice():
    rng = np.random.default_rng(9)
    pcm = a_room(rng, lasts_s=1.0)
    placed(pcm, a_voice(rng, lasts_s=0.5, level_dbfs=-45.0), 0.3)
    low, high = VoiceGate(-50.0), VoiceGate(-30.0)
    assert any(low.loud(block) for block in pcm.reshape(-1, 480))
    assert not any(high.loud(block) for block in pcm.reshape(-1, 480))


def test_a_steady_tone_has_the_level_of_its_rms_and_is_always_active():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(96_000) / 48_000)
    level, activity = active_speech_level(tone.astype(np.float32))
    assert level == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.1)
    assert activity == pytest.approx(1.0, abs=0.02)


def test_silence_around_speech_changes_its_activity_and_not_its_level():
    # P.56: pauses do not count but for the hangover of 200 ms after each (0.2 of 4 s are 0.2 dB) and a short tail.
    voice = a_voice(np.random.default_rng(10), lasts_s=4.0, level_dbfs=-26.0)
    alone, _ = active_speech_level(voice)
    pauses = np.zeros(96_000, dtype=np.float32)
    level, activity = active_speech_level(np.concatenate([pauses, voice, pauses]))
    assert level == pytest.approx(alone - 0.3, abs=0.15)
    assert activity == pytest.approx(0.5, abs=0.04)
    assert alone == pytest.approx(-26.0, abs=0.3)


def test_twice_as_loud_is_six_decibels_more():
    voice = a_voice(np.random.default_rng(11), lasts_s=2.0, level_dbfs=-40.0)
    voice[::2] *= 0.5
    levels = [active_speech_level(voice * np.float32(gain))[0] for gain in (1.0, 2.0, 1.37)]
    assert levels[1] - levels[0] == pytest.approx(20 * math.log10(2), abs=0.01)  # thresholds are powers of two
    assert levels[2] - levels[0] == pytest.approx(20 * math.log10(1.37), abs=0.1)


def test_silence_has_no_level():
    assert active_speech_level(np.zeros(48_000, dtype=np.float32)) == (-math.inf, 0.0)
    assert active_speech_level(np.zeros(0, dtype=np.float32)) == (-math.inf, 0.0)
