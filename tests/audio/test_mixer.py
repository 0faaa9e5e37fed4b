"""A mixer: how long it keeps packets, what a hiccup leaves behind, who is in whose mix."""

import numpy as np
import pytest

from rtcprobe.audio.mixer import MIXED, Mixer
from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings

EVERYBODY = frozenset({"ana", "ben"})
TONE_HZ = {"ana": 500.0, "ben": 1500.0}


def packets(talker, count):
    """Packets of a tone, 20 ms each."""
    encoder, samples = OpusEncoder(OpusSettings()), 960
    time_s = np.arange(count * samples) / 48_000
    sound = (0.3 * np.sin(2 * np.pi * TONE_HZ[talker] * time_s)).astype(np.float32)
    return [encoder.encode(piece) for piece in sound.reshape(count, samples)]


def loudness(sound, talker):
    """How much of a talker's tone is in ``sound``, full scale 1."""
    time_s = np.arange(len(sound)) / 48_000
    return 2 * abs(np.mean(sound * np.exp(-2j * np.pi * TONE_HZ[talker] * time_s)))


@pytest.mark.parametrize("prebuffer", [2, 6])
def test_a_talker_is_mixed_once_more_packets_are_there_and_then_one_each_tick(prebuffer):
    mixer = Mixer(prebuffer=prebuffer)
    waiting = []
    for number, payload in enumerate(packets("ana", 12)):
        mixer.insert("ana", number, payload)
        mixer.tick([EVERYBODY])
        waiting.append(mixer.waiting("ana"))
    assert waiting == [*range(1, prebuffer + 1), *[prebuffer] * (12 - prebuffer)]


def test_with_a_prebuffer_of_one_what_came_last_is_mixed():
    # ``> 1`` begins with two, and ``>= 2 * 1`` then drops the older one of any two: at a tick there is one, the newest.
    mixer, waiting = Mixer(prebuffer=1), []
    for number, payload in enumerate(packets("ana", 6)):
        mixer.insert("ana", number, payload)
        waiting.append(mixer.waiting("ana"))
        mixer.tick([EVERYBODY])
    assert waiting == [1, 2, 1, 1, 1, 1]


def test_what_a_hiccup_added_is_never_given_back():
    mixer, sent, waiting = Mixer(prebuffer=3), packets("ana", 20), []

    def come(*numbers):
        for number in numbers:
            mixer.insert("ana", number, sent[number])
        mixer.tick([])
        waiting.append(mixer.waiting("ana"))

    for number in range(6):
        come(number)
    for _ in range(4):  # nothing comes: it runs dry
        come()
    come(6, 7, 8, 9, 10)  # all at once
    for number in range(11, 16):
        come(number)
    assert waiting == [1, 2, 3, 3, 3, 3, 2, 1, 0, 0, 4, 4, 4, 4, 4, 4]


def test_who_ran_dry_is_mixed_again_from_the_next_packet_on():
    mixer, sent = Mixer(prebuffer=2), packets("ana", 8)
    for number in range(3):
        mixer.insert("ana", number, sent[number])
    for _ in range(4):
        mixer.tick([])
    mixer.insert("ana", 3, sent[3])
    mixer.tick([])
    assert mixer.waiting("ana") == 0


def test_where_twice_as_many_wait_the_oldest_are_dropped():
    mixer = Mixer(prebuffer=3)
    sent = packets("ana", 6)
    for number in range(5):
        mixer.insert("ana", number, sent[number])
    assert mixer.waiting("ana") == 5
    mixer.insert("ana", 5, sent[5])
    assert mixer.waiting("ana") == 3


def test_what_never_came_leaves_no_gap_and_what_comes_after_a_later_one_is_dropped():
    mixer, sent = Mixer(prebuffer=3), packets("ana", 6)
    for number in (0, 1, 3, 4):
        mixer.insert("ana", number, sent[number])
    mixer.insert("ana", 2, sent[2])  # before 3 is mixed, but after it came
    assert mixer.waiting("ana") == 4
    for _ in range(4):
        mixer.tick([])
    assert mixer.waiting("ana") == 0


def test_everybody_is_in_the_mix_of_who_hears_them_and_nobody_in_their_own():
    mixer = Mixer(prebuffer=1)
    heard = {who: frozenset(EVERYBODY - {who}) for who in EVERYBODY} | {"cho": EVERYBODY}
    decoders, sound = {who: OpusDecoder() for who in heard}, {who: [] for who in heard}
    for number, (one, other) in enumerate(zip(packets("ana", 40), packets("ben", 40), strict=True)):
        mixer.insert("ana", number, one)
        mixer.insert("ben", number, other)
        mixes = mixer.tick(heard.values())
        for who, decoder in decoders.items():
            sound[who].append(decoder.decode(mixes[heard[who]]))
    settled = {who: np.concatenate(pieces[20:]) for who, pieces in sound.items()}
    assert loudness(settled["cho"], "ana") == pytest.approx(0.3, abs=0.05)
    assert loudness(settled["cho"], "ben") == pytest.approx(0.3, abs=0.05)
    for who, other in (("ana", "ben"), ("ben", "ana")):
        assert loudness(settled[who], who) < 0.01
        assert loudness(settled[who], other) > 0.25


def test_what_cannot_be_decoded_is_silence_and_so_is_who_says_nothing():
    mixer = Mixer(prebuffer=1)
    mixer.insert("ana", 0, b"\xff" * 3)
    mixes = mixer.tick([EVERYBODY, frozenset({"nobody"})])
    for payload in mixes.values():
        assert np.abs(OpusDecoder().decode(payload)).max() < 1e-3
    assert MIXED.frame_samples == 960
