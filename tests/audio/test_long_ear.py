"""The ear that forgets: stretch by stretch it hears what it would hear of the whole recording."""

from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.ear import listen
from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.mouth import Mouth, Noise

MOUTH = Mouth(programme=Noise())
SECONDS, DELAY_S, STRETCH_S = 40.0, 0.123456, 8.0
START_S = 5.0
MARKERS = MOUTH.train.markers(SECONDS, start_s=START_S)


@cache
def recording():
    """The mouth's sound, later by a delay, one marker in nine of it gone."""
    sound = MOUTH.pcm(SECONDS)
    for marker in MARKERS[4::9]:
        at = round((marker.spoken_s - START_S) * 48_000)
        sound[at : at + 3840] = 0.0
    return np.concatenate([np.zeros(round(DELAY_S * 48_000), dtype=np.float32), sound])


def heard_by(ear, sound):
    longest = 0
    for begin in range(0, len(sound), 480):
        ear.hear(sound[begin : begin + 480])
        longest = max(longest, len(ear._sound) // 4)
    return ear.hearing(), longest / 48_000


def test_stretch_by_stretch_the_same_is_heard_as_in_one_piece():
    whole = listen(recording(), START_S, MOUTH.train, MARKERS)
    ear = LongEar(MOUTH.train, MARKERS, START_S, stretch_s=STRETCH_S)
    hearing, _ = heard_by(ear, recording())
    assert [each.outcome for each in hearing.outcomes] == [each.outcome for each in whole.outcomes]
    assert [each.marker for each in hearing.outcomes] == list(MARKERS)
    assert hearing.delays_s == pytest.approx(whole.delays_s, abs=1e-6)
    assert len(hearing.lost) == len(MARKERS[4::9])


def test_one_stretch_is_heard_to_the_bit_as_listen_hears_it():
    hearing, _ = heard_by(LongEar(MOUTH.train, MARKERS, START_S), recording())
    assert hearing.outcomes == listen(recording(), START_S, MOUTH.train, MARKERS).outcomes


def test_no_more_is_kept_than_a_stretch_and_what_may_still_be_heard_of_it():
    ear = LongEar(MOUTH.train, MARKERS, START_S, stretch_s=STRETCH_S)
    _, longest_s = heard_by(ear, recording())
    assert longest_s < STRETCH_S + 10.0 + 1.0
    assert len(ear._sound) == 0


def test_a_loudspeaker_that_runs_slow_hears_to_the_end():
    # It plays ten milliseconds less every second; told by its clock alone, which falls behind by 0.4 s, the last two
    # thirds of the markers would be heard before they are spoken.
    sound = recording()
    quiet = [round((marker.spoken_s - START_S + DELAY_S + 0.3) * 48_000) for marker in MARKERS[::2]]
    gone = np.concatenate([np.arange(at, at + 480) for at in quiet])
    ear = LongEar(MOUTH.train, MARKERS, START_S, drift=-0.01, stretch_s=STRETCH_S)
    hearing, _ = heard_by(ear, np.delete(sound, gone))
    assert len(hearing.lost) == len(MARKERS[4::9])
    assert hearing.delays_s == pytest.approx(np.full(len(hearing.heard), DELAY_S), abs=0.010)


def test_nothing_recorded_or_nothing_scheduled_is_an_account_all_the_same():
    assert LongEar(MOUTH.train, (), START_S).hearing().outcomes == ()
    silent = LongEar(MOUTH.train, MARKERS, START_S, stretch_s=STRETCH_S).hearing()
    assert len(silent.lost) == len(MARKERS)


def test_whoever_still_holds_a_stretch_keeps_nobody_from_the_next(monkeypatch):
    """A profiler that looks at frames holds what it saw for a while: Dask's workers run one."""
    held = []

    def listening(sound, *arguments, **more):
        held.append(sound)
        return listen(sound, *arguments, **more)

    monkeypatch.setattr("rtcprobe.audio.long_ear.listen", listening)
    ear = LongEar(MOUTH.train, MARKERS, START_S, stretch_s=STRETCH_S)
    hearing, _ = heard_by(ear, recording())
    assert len(held) > 1
    assert [each.outcome for each in hearing.outcomes] == [
        each.outcome for each in listen(recording(), START_S, MOUTH.train, MARKERS).outcomes
    ]
