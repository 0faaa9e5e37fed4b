"""A wrong ear is no verdict on a target: the run is invalid, and a WAV that would make it wrong is refused."""

import re
from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.wav import read_wav, write_wav
from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.probe.harness import Harness
from rtcprobe.result import Account, Sample
from rtcprobe.scenario import find_scenario
from rtcprobe.ways import BOTH_WAYS

BASE = ("link=delay 40ms", "call.calls=1", "call.joins=1", "call.duration=4s", "codec.complexity=2", "budgets=[]")


def ran(*settings, **more):
    return run_probe(find_scenario("1v1-social", [*BASE, *settings]), seed=1, clock="virtual", **more)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    ran(wav_dir=folder)
    return folder


@pytest.mark.parametrize("end", ["mouth", "ear"])
@pytest.mark.parametrize("from_s", [0.0, 1.7])
def test_a_wav_that_carries_markers_is_refused_wherever_it_begins(end, from_s, sound, tmp_path):
    written = read_wav(sound / f"caller_to_callee.{end}.wav")
    given = tmp_path / "given.wav"
    write_wav(given, written[round((1.0 + from_s) * 48_000) if from_s else 0 :])
    sentence = f"{given} carries markers already, as --wav writes them: give the speech without them"
    with pytest.raises(BadInputError, match=re.escape(sentence)):
        ran(f"mouth.programme={given}")


def test_a_wav_without_markers_is_spoken(tmp_path):
    given = tmp_path / "given.wav"
    at = np.arange(96_000) / 48_000  # a voice of 120 Hz and its overtones, syllable by syllable
    voice = sum(np.sin(2 * np.pi * 120 * part * at) / part for part in range(1, 30))
    write_wav(given, (0.1 * voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))).astype(np.float32))
    assert ran(f"mouth.programme={given}", "mouth.marker_level=0dB").verdict == "pass"


@cache
def heard(residual_s, markers):
    samples = tuple(
        Sample(marker=place, spoken_s=place, heard_s=place + 0.1, delay_s=0.1, correlation=0.9)
        for place in range(markers)
    )
    stages = {"network_min": 0.1 - residual_s, "residual": residual_s}
    fates = {"scheduled": markers, "heard": markers, "rejected": 0, "lost": 0}
    return Account(kind="mouth_to_ear", way=BOTH_WAYS[0], samples=samples, stages=stages, **fates)


@pytest.mark.parametrize("error_ms", [0.06, 515.38])
def test_an_ear_that_errs_on_its_own_speech_makes_the_run_invalid_with_the_reason(error_ms):
    (reason,) = Harness("virtual", detection_error_s=error_ms / 1e3).complaints({})
    assert reason.startswith(f"the ear is wrong: it errs by {error_ms:.2f} ms on this speech without any network, ")


@pytest.mark.parametrize("residual_ms", [-515.0, 6.0])
def test_stages_that_miss_what_was_heard_make_the_run_invalid_with_the_reason(residual_ms):
    ears = (heard(residual_ms / 1e3, 100),)
    (reason,) = Harness("virtual").complaints(ears)
    assert reason.startswith("the ear is wrong: caller to callee, its stages miss what it heard by ")
    assert f"{abs(residual_ms):.1f} ms" in reason


@pytest.mark.parametrize(("residual_ms", "markers"), [(0.5, 100), (15.0, 2)])
def test_what_neteq_stretches_within_markers_is_no_wrong_ear(residual_ms, markers):
    assert Harness("virtual", detection_error_s=54e-6).complaints((heard(residual_ms / 1e3, markers),)) == ()
