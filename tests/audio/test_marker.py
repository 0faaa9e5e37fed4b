"""The marker train: told apart by construction, spoken at whole samples, at every phase."""

from dataclasses import replace

import numpy as np
import pytest

from rtcprobe.audio.marker import (
    CODES,
    LEAD_S,
    MARKER_S,
    MARKER_SAMPLES,
    TWO_PARTIES,
    MarkerTrain,
    trains,
    waveform,
)

SPECTRA = np.array([np.fft.rfft(waveform(code).astype(np.float64), 16_384) for code in range(CODES)])
SPECTRA /= np.sqrt(np.sum(np.square([waveform(code) for code in range(CODES)]), axis=1, dtype=np.float64))[:, None]


def test_no_marker_resembles_another_at_any_shift_or_itself_at_another_shift():
    for code in range(CODES):
        correlations = np.fft.irfft(SPECTRA * SPECTRA[code].conj(), axis=1)
        assert correlations[code, 0] == pytest.approx(1.0), code
        correlations[code, :49] = correlations[code, -48:] = 0.0  # its own peak: 1 ms either side
        assert np.abs(np.delete(correlations, code, axis=0)).max() < 0.36, code
        # The first 24, what one talker of two speaks, less: they were chosen first.
        assert np.abs(np.delete(correlations, code, axis=0)[: CODES // 2 - 1]).max() < 0.28 or code >= CODES // 2, code
        assert np.abs(correlations[code]).max() < 0.24, code


def test_a_marker_lies_in_the_telephone_band_and_has_a_low_crest():
    hz = np.fft.rfftfreq(MARKER_SAMPLES, 1 / 48_000)
    for code in range(CODES):
        wave = waveform(code)
        power = np.square(np.abs(np.fft.rfft(wave.astype(np.float64))))
        assert power[(hz >= 250) & (hz <= 3450)].sum() > 0.99 * power.sum(), code
        # A faded sine: √2 for the sine, a little for the fades.
        assert np.abs(wave).max() / np.sqrt(np.mean(np.square(wave))) < 1.6, code
        assert abs(wave[0]) < 1e-3, code
        assert abs(wave[-1]) < 1e-3, code


def test_about_two_a_second_none_twice_within_a_period():
    markers = MarkerTrain().markers(60.0)
    assert len(markers) == 120
    codes = CODES // 2
    assert [marker.code for marker in markers[:codes]] == list(range(codes))
    same = [later.spoken_s - sooner.spoken_s for sooner, later in zip(markers, markers[codes:], strict=False)]
    assert min(same) >= MarkerTrain().period_s


def test_instants_are_whole_samples_on_a_dithered_grid():
    train = MarkerTrain(spacing_s=0.5, first_s=0.25, dither_s=0.020)
    instants = np.array([marker.spoken_s for marker in train.markers(600.0)])
    samples = instants * 48_000
    assert np.allclose(samples, np.round(samples), atol=1e-6)
    late = instants - (0.25 + 0.5 * np.arange(len(instants)))
    assert late.min() >= 0.0
    assert late.max() <= 0.020
    # 1,200 phases in a frame of 20 ms: every millisecond of it is met.
    assert np.all(np.histogram(late, bins=20, range=(0, 0.020))[0] > 0)


def test_a_longer_train_begins_with_the_shorter_one_and_no_marker_is_cut():
    train = MarkerTrain(seed=5)
    short, long = train.markers(10.0), train.markers(60.0)
    assert long[: len(short)] == short
    assert short[-1].spoken_s + 0.080 <= 10.0
    assert train.markers(0.3) == ()
    assert MarkerTrain(seed=6).markers(10.0) != short


def test_a_train_may_start_at_any_instant():
    plain, later = MarkerTrain().markers(5.0), MarkerTrain().markers(5.0, start_s=100.0)
    assert [marker.spoken_s - 100.0 for marker in later] == pytest.approx([marker.spoken_s for marker in plain])


@pytest.mark.parametrize("talkers", [1, 2, 3, 4, 7, 8, 24, 48])
def test_talkers_share_no_code_and_take_turns(talkers):
    every = trains(talkers)
    assert every[0] == trains(1)[0] or talkers > 2
    codes = [code for train in every for code in train.codes]
    assert len(codes) == len(set(codes))
    # A code comes again after no less than the longest delay an ear looks for, however many talk.
    assert min(train.period_s for train in every) > 10.08
    spoken = sorted(marker.spoken_s for train in every for marker in train.markers(60.0))
    assert np.diff(spoken).min() > 0.080 + 0.100
    assert len(spoken) <= 4 * 60


def test_caller_and_callee_share_no_code():
    caller, callee = TWO_PARTIES
    assert not set(caller.codes) & set(callee.codes)
    assert [each.spoken_s for each in caller.markers(60.0)] == [each.spoken_s for each in callee.markers(60.0)]


def test_a_train_that_loops_says_all_but_its_lead_again_as_it_was():
    for train in (*TWO_PARTIES, *trains(3), *trains(8)):
        looping = replace(train, loops=True)
        once_s = LEAD_S + train.loop_s
        said = looping.markers(60.0)
        first = [each for each in said if each.spoken_s < once_s]
        assert first == [each for each in train.markers(60.0) if each.spoken_s < once_s]
        turn = [each for each in first if each.spoken_s >= LEAD_S]
        assert not any(each.spoken_s < LEAD_S < each.spoken_s + MARKER_S for each in first)  # none is cut in two
        for place, each in enumerate(said[len(first) :]):
            before = turn[place % len(turn)]
            later = 1 + place // len(turn)
            assert each.code == before.code
            assert each.spoken_s == pytest.approx(before.spoken_s + later * train.loop_s, abs=1e-12)
