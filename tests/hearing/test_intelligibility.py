"""What was played is laid back on the talker's clock, and compared with the original where pystoi is installed."""

import numpy as np
import pytest

from rtcprobe.audio.mouth import encode_stream
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.conversation.synthesis import VOICES, synthesised
from rtcprobe.hearing.intelligibility import clean, intelligibility, laid_back, measurable
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Said


def playback(stamps):
    return Playback(
        start_s=0.0, stamps=np.array(stamps, dtype=np.int64), concealed=np.zeros(len(stamps), dtype=np.uint16)
    )


def test_stretched_sound_overlaps_itself_and_what_was_made_up_stands_where_it_was_played_for():
    sound = np.repeat(np.arange(1.0, 5.0, dtype=np.float32), 480)
    # The third block begins 240 samples before the second has ended; the fourth has no sound of the sender's.
    laid = laid_back(playback([1000, 1480, 1720, NO_SOUND]), sound, 1000, 1800)
    assert laid[:480].tolist() == [1.0] * 480
    assert laid[480:720].tolist() == [2.0] * 240
    assert laid[720:1200].tolist() == [3.0] * 480
    assert laid[1200:1680].tolist() == [4.0] * 480
    assert not laid[1680:].any()


def test_nothing_before_the_talkers_first_sample_is_laid_anywhere():
    sound = np.ones(960, dtype=np.float32)
    assert not laid_back(playback([NO_SOUND, NO_SOUND]), sound, 0, 960).any()
    assert not laid_back(playback([-5000, -4520]), sound, 0, 960).any()


@pytest.mark.skipif(not measurable(), reason="pystoi is not installed")
def test_the_original_is_wholly_intelligible_noise_takes_from_it_and_a_short_one_is_not_judged():
    frames = encode_stream(synthesised("Good morning, how are you today?", VOICES["anna"]), OpusSettings())
    said = Said(party="a", frames=frames, ptime_s=0.02, started_s=0.0, finished=True, departures=())
    original = clean(said)
    noise = np.random.default_rng(1).standard_normal(len(original)).astype(np.float32) * np.float32(0.05)
    (same,) = intelligibility(original, original, [(0, len(original))])
    (worse, short) = intelligibility(original, original + noise, [(0, len(original)), (0, 4800)])
    assert same.estoi == pytest.approx(1.0, abs=1e-6)
    assert worse.estoi < 0.95
    assert short is None
