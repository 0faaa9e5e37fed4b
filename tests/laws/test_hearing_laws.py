"""Mouth, codec, playout and ear together: the laws a fixed playout must keep, whatever the network does."""

from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.ear import listen
from rtcprobe.audio.mouth import Mouth, encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusSettings
from rtcprobe.audio.opus_packet import phase_advance_s
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.replay import replay

MOUTH = Mouth()
SECONDS = 4.0
MARKERS = MOUTH.train.markers(SECONDS)
PLAYOUT_S = 0.060
LOOK_AHEAD_S = 0.0065


@cache
def payloads(codec=None):
    return encode_stream(MOUTH.pcm(SECONDS), codec or OpusSettings())


def hear(delay_s, *, lost=(), jitter_s=None, phase_s=0.0042, codec=None):
    stream = payloads(codec)
    jitter_s = np.zeros(len(stream)) if jitter_s is None else jitter_s
    arrivals = [
        (
            0.020 * (index + 1) + delay_s + jitter_s[index],
            RtpPacket(sequence=index, timestamp=960 * index, payload=payload),
        )
        for index, payload in enumerate(stream)
        if index not in lost
    ]
    policy = FixedDelay(PLAYOUT_S, OpusDecoder())
    playback = replay(policy, arrivals, phase_s, SECONDS + delay_s + PLAYOUT_S + 0.1)
    return listen(playback.pcm, playback.start_s, MOUTH.train, MARKERS, advance_s=phase_advance_s(stream)), policy


@cache
def calm():
    return hear(0.050)[0]


@pytest.mark.parametrize("delay_s", [0.0, 0.0373, 0.1500011, 0.4])
def test_every_sample_of_a_clean_call_is_within_50_microseconds_of_the_truth(delay_s):
    hearing, _ = hear(delay_s)
    truth_s = 0.020 + LOOK_AHEAD_S + delay_s + PLAYOUT_S
    assert len(hearing.heard) == len(MARKERS)
    assert np.abs(hearing.delays_s - truth_s).max() < 50e-6


def test_from_50_to_150_ms_every_figure_moves_by_100_ms():
    far, _ = hear(0.150)
    assert np.abs(far.delays_s - calm().delays_s - 0.100).max() < 0.02e-3


def test_five_percent_random_loss_moves_the_median_by_less_than_a_tenth_of_a_millisecond():
    rng = np.random.default_rng(11)
    lost = set(np.flatnonzero(rng.random(len(payloads())) < 0.05).tolist())
    holed, policy = hear(0.050, lost=lost)
    assert abs(np.median(holed.delays_s) - np.median(calm().delays_s)) < 0.1e-3
    assert len(holed.heard) + len(holed.rejected) + len(holed.lost) == holed.scheduled
    assert policy.figures.lost == len(lost)
    # Packets of 20 ms: a marker lies in five of them, (1 − 0.05)⁵ = 77 % are whole, and most others are still known.
    assert len(holed.heard) > 0.77 * holed.scheduled


def test_jitter_within_the_delay_is_not_heard_at_all():
    rng = np.random.default_rng(12)
    jitter_s = rng.uniform(0.0, 0.050, len(payloads()))
    jitter_s[0] = 0.0  # the first packet ties the clocks
    stormy, policy = hear(0.050, jitter_s=jitter_s)
    assert np.array_equal(stormy.delays_s, calm().delays_s)
    assert policy.figures.late == 0


def test_the_phase_of_the_ticks_is_rounded_to_a_sample_and_no_more():
    delays_s = [hear(0.050, phase_s=phase_s)[0].delays_s for phase_s in (0.0, 0.00123, 0.0099)]
    assert np.abs(delays_s[1] - delays_s[0]).max() < 1.02 / 48_000
    assert np.abs(delays_s[2] - delays_s[0]).max() < 1.02 / 48_000
