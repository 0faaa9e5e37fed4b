"""Who is loudest, by the levels that packets say."""

import numpy as np

from rtcprobe.audio.level import levels_of
from rtcprobe.runtime.loudest import Loudest


def test_whoever_is_louder_takes_the_place_at_its_first_packet():
    loudest = Loudest(1)
    assert loudest.heard("ana", 70, 0.00) == {"ana"}
    assert loudest.heard("ben", 75, 0.01) == {"ana"}
    assert loudest.heard("ana", 70, 0.02) == {"ana"}
    assert loudest.heard("ben", 20, 0.03) == {"ben"}


def test_two_of_three_are_kept_and_who_falls_silent_loses_the_place_after_150_ms():
    loudest = Loudest(2)
    for _ in range(9):
        loudest.heard("ana", 20, 0.00)
        loudest.heard("ben", 30, 0.01)
        assert loudest.heard("cho", 40, 0.02) == {"ana", "ben"}
    assert loudest.heard("cho", 40, 0.14) == {"ana", "ben"}
    assert loudest.heard("cho", 40, 0.155) == {"ben", "cho"}  # ana was last heard at 0
    assert loudest.heard("cho", 40, 0.32) == {"cho"}


def test_a_level_is_decibels_below_a_full_scale_square_wave():
    # RFC 6465 §2: a square wave at full scale is 0, a sine 3.01 dB below it; half the amplitude is 6.02 dB less.
    at = np.arange(960) / 48_000
    square, sine = np.ones(960), np.sin(2 * np.pi * 1_000 * at)
    sound = np.concatenate([square, sine, sine / 2, np.zeros(960), square[:100]]).astype(np.float32)
    assert list(levels_of([sound[:1_500], sound[1_500:]], 960)) == [0, 3, 9, 127, 0]
