"""Replaying arrivals: rules of the one interface, and the map from RTP time to instants."""

import numpy as np
import pytest
from numbered import FRAME, Numbered, packet_of, stream

from rtcprobe.errors import BadInputError
from rtcprobe.playout.base import Block
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.replay import Playback, replay


class Diary:
    """Writes down what is asked of a policy, in order."""

    def __init__(self):
        self.lines = []

    def insert_packet(self, packet, now_s):
        self.lines.append(("in", packet.sequence, now_s))

    def get_audio(self, now_s):
        self.lines.append(("tick", None, now_s))
        return Block(samples=np.zeros(480, dtype=np.float32), rtp_timestamp=None, concealed_samples=0, operation="x")


def test_an_arrival_at_the_very_instant_of_a_tick_goes_in_before_it():
    diary = Diary()
    replay(diary, [(0.015, packet_of(1)), (0.010, packet_of(0))], 0.0, 0.03)
    assert [line[:2] for line in diary.lines] == [("tick", None), ("in", 0), ("tick", None), ("in", 1), ("tick", None)]


def test_ticks_do_not_drift():
    diary = Diary()
    replay(diary, [], 0.0071, 100.0)
    ticks = [line[2] for line in diary.lines]
    # From 7.1 ms on, every 10 ms, none at or after a hundred seconds: ceil((100 − 0.0071) / 0.01).
    assert len(ticks) == 10_000
    assert ticks[-1] == pytest.approx(0.0071 + 9_999 * 0.01, abs=1e-12)


def test_a_sample_is_played_when_its_block_says():
    playback = replay(FixedDelay(0.1, Numbered()), stream(100), 0.0013, 2.0)
    wanted = np.array([0, 1, 479, 480, 12_345, 50_000])
    instants = playback.play_instants(wanted)
    places = [int(np.flatnonzero(playback.pcm == number)[0]) for number in wanted[1:]]
    assert np.allclose(instants[1:], 0.0013 + np.array(places) / 48_000, atol=1e-12)
    assert playback.play_instant(12_345) == instants[4]


def test_samples_never_played_have_no_instant():
    arrivals = stream(100)
    playback = replay(FixedDelay(0.1, Numbered()), arrivals[:50] + arrivals[53:], 0.0, 2.0)
    assert playback.play_instant(-2 * FRAME) is None
    assert playback.play_instant(51 * FRAME) is None  # lost: its blocks are made up
    assert playback.play_instant(10_000_000) is None
    assert np.isnan(playback.play_instants(np.array([51 * FRAME]))).all()
    assert np.isnan(
        Playback(start_s=0.0, stamps=np.zeros(0, np.int64), concealed=np.zeros(0, np.uint16)).play_instants(
            np.array([1])
        )
    ).all()


def test_concealment_is_a_share_of_what_was_played_not_of_the_silence_around_it():
    arrivals = stream(100)
    playback = replay(FixedDelay(0.1, Numbered()), arrivals[:50] + arrivals[55:], 0.0, 10.0)
    # Five of a hundred frames.
    assert playback.concealed_ratio == pytest.approx(0.05)
    assert replay(FixedDelay(0.1, Numbered()), [], 0.0, 1.0).concealed_ratio == 0.0


def test_playing_until_before_the_beginning_is_refused():
    with pytest.raises(BadInputError) as refusal:
        replay(Diary(), [], 1.0, 0.5)
    assert str(refusal.value) == "playing until 500ms ends before it begins: give 1s or later"


def test_an_impossible_fixed_delay_is_refused():
    with pytest.raises(BadInputError) as refusal:
        FixedDelay(-0.02, Numbered())
    assert str(refusal.value) == "a playout delay of -20ms is impossible: give 0ms to 10s"
