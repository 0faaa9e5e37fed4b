"""What was played is laid back on the talker's clock, and compared with the original as the papers and pystoi do."""

import numpy as np
import pystoi
import pytest

from rtcprobe.audio.mouth import encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusSettings
from rtcprobe.audio.stoi import intelligibility
from rtcprobe.conversation.synthesis import VOICES, synthesised
from rtcprobe.hearing.intelligibility import laid_back
from rtcprobe.playout.replay import NO_SOUND


def laid(stamps, sound, base, samples):
    return laid_back(np.array(stamps, dtype=np.int64), sound, base, samples)


def test_stretched_sound_overlaps_itself_and_what_was_made_up_stands_where_it_was_played_for():
    sound = np.repeat(np.arange(1.0, 5.0, dtype=np.float32), 480)
    # The third block begins 240 samples before the second has ended; the fourth has no sound of the sender's.
    out = laid([1000, 1480, 1720, NO_SOUND], sound, 1000, 1800)
    assert out[:480].tolist() == [1.0] * 480
    assert out[480:720].tolist() == [2.0] * 240
    assert out[720:1200].tolist() == [3.0] * 480
    assert out[1200:1680].tolist() == [4.0] * 480
    assert not out[1680:].any()


def test_nothing_before_the_talkers_first_sample_is_laid_anywhere():
    sound = np.ones(960, dtype=np.float32)
    assert not laid([NO_SOUND, NO_SOUND], sound, 0, 960).any()
    assert not laid([-5000, -4520], sound, 0, 960).any()
    assert laid([-200, 280], sound, 0, 960).tolist() == [1.0] * 760 + [0.0] * 200  # half of a block is after it


@pytest.fixture(scope="module")
def speech():
    original = synthesised("Good morning, how are you today? A cup of tea, please.", VOICES["anna"]) * np.float32(0.2)
    return original, encode_stream(original, OpusSettings())


def heard(frames, lost=()):
    decoder = OpusDecoder()
    parts = [decoder.conceal(960) if place in lost else decoder.decode(each) for place, each in enumerate(frames)]
    return np.concatenate(parts)


def test_the_original_is_wholly_intelligible_silence_is_not_and_too_little_speech_is_not_judged(speech):
    original, _ = speech
    assert intelligibility(original, original) == pytest.approx((1.0, 1.0), abs=1e-5)
    assert intelligibility(original, np.zeros_like(original)) == pytest.approx((0.0, 0.0), abs=1e-5)
    assert intelligibility(original[:9600], original[:9600]) is None
    assert intelligibility(original[:0], original[:0]) is None


@pytest.mark.parametrize("harm", ["codec", "loss", "noise"])
def test_both_figures_are_those_of_pystoi(speech, harm):
    _, frames = speech
    clean = heard(frames)
    rng = np.random.default_rng(1)
    harmed = {
        "codec": heard(encode_stream(clean, OpusSettings(bitrate_bps=8000)))[: len(clean)],
        "loss": heard(frames, set(np.flatnonzero(rng.random(len(frames)) < 0.2).tolist())),
        "noise": clean + rng.standard_normal(len(clean)).astype(np.float32) * np.float32(0.02),
    }[harm]
    found = intelligibility(clean, harmed)
    for extended, ours in ((False, found.stoi), (True, found.estoi)):
        assert ours == pytest.approx(pystoi.stoi(clean, harmed, 48_000, extended=extended), abs=2e-4)


def test_what_a_codec_and_losses_take_is_seen_and_more_loss_takes_more(speech):
    original, frames = speech
    found = [intelligibility(original, heard(frames)[312:])]
    for each in range(2, 12, 3):  # of every twelve packets one, two, three, four
        lost = {place for place in range(len(frames)) if place % 12 in range(2, each + 1, 3)}
        found.append(intelligibility(original, heard(frames, lost)[312:]))
    scores = [each.estoi for each in found]
    assert 0.9 < scores[0] < 1.0
    assert scores == sorted(scores, reverse=True)
