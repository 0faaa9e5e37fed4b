"""Folders and sounds that cannot be scored, and the sentence each gives."""

import sys
import types
from functools import cache

import numpy as np
import pytest
from scipy.io import wavfile

from rtcprobe import cli
from rtcprobe.audio.mouth import NOISE_DBFS, SILENCE_DBFS, Mouth, Noise, Speech
from rtcprobe.audio.wav import write_wav
from rtcprobe.ways import BOTH_WAYS

RATE = 48_000
FROM_RUN = "give the WAV files that rtcprobe run --wav wrote"
WITH_SPEECH = "run with --mouth and a WAV of speech"


class Never:
    """A ViSQOL that must not be asked."""

    def create(self, **_settings):
        pass

    def measure_from_arrays(self, *_sounds, **_settings):
        raise AssertionError("nothing may be scored")


@pytest.fixture
def refusal(capfd, monkeypatch, tmp_path):
    """Score ``tmp_path`` (or a folder in it); return the sentence of the refusal, without the folder's path."""
    monkeypatch.setitem(sys.modules, "visqol", types.SimpleNamespace(VisqolApi=Never))

    def run(folder=""):
        with pytest.raises(SystemExit) as left:
            cli.main(["score", str(tmp_path / folder)])
        out, err = capfd.readouterr()
        assert (left.value.code, out) == (2, "")
        assert err.count("\n") == 1
        return err.removeprefix("rtcprobe: ").rstrip().replace(str(tmp_path), "DIR")

    return run


@cache
def speech(seconds=9.0):
    noise = np.random.default_rng(1).standard_normal(round(seconds * RATE)).astype(np.float32)
    return Mouth(programme=Speech(samples=noise * np.float32(0.05))).pcm(seconds)


def write(folder, mouth, ear):
    folder.mkdir(exist_ok=True)
    for direction in (*BOTH_WAYS, "round_trip"):
        write_wav(folder / f"{direction}.mouth.wav", mouth)
        write_wav(folder / f"{direction}.ear.wav", ear)


@pytest.mark.parametrize("broken", ["package", "lattice"])
def test_the_extra_is_not_installed(refusal, monkeypatch, tmp_path, broken):
    class Bare:
        def create(self, **_settings):
            raise ImportError("ai-edge-litert")

    module = None if broken == "package" else types.SimpleNamespace(VisqolApi=Bare)
    monkeypatch.setitem(sys.modules, "visqol", module)
    write(tmp_path, speech(), speech())
    assert refusal() == "ViSQOL, which judges the sound, is not installed: pip install 'visqol-python[lattice,accel]'"


def test_folders_that_no_run_wrote(refusal, tmp_path):
    give = "give the one that rtcprobe run --wav wrote"
    assert refusal("nowhere") == f"DIR/nowhere is no folder: {give}"
    assert refusal() == "DIR holds no caller_to_callee.mouth.wav: give the folder that rtcprobe run --wav wrote"
    write(tmp_path / "one", speech(), speech())
    assert refusal() == ("DIR holds no caller_to_callee.mouth.wav: give one of the folders in it, like DIR/one")
    (tmp_path / "one" / "callee_to_caller.ear.wav").unlink()
    assert refusal("one") == "DIR/one holds no callee_to_caller.ear.wav: give the folder that rtcprobe run --wav wrote"


def test_files_that_are_no_sound(refusal, tmp_path):
    write(tmp_path, speech(), speech())
    ear = tmp_path / "caller_to_callee.ear.wav"
    ear.write_bytes(b"not a WAV")
    assert refusal() == "DIR/caller_to_callee.ear.wav is not a PCM WAV file: convert it to 16-bit PCM"
    write_wav(ear, speech()[:0])
    assert refusal() == "DIR/caller_to_callee.ear.wav holds no samples: give a WAV file with sound in it"
    wavfile.write(ear, 2_000, np.zeros(2_000, np.int16))
    assert refusal() == "DIR/caller_to_callee.ear.wav has a sample rate of 2000 Hz: give 4 kHz to 768 kHz"
    wavfile.write(ear, RATE, np.full(RATE, np.nan, np.float32))
    assert refusal() == (
        "DIR/caller_to_callee: the ear holds samples that are not numbers: give what rtcprobe run --wav wrote"
    )


@pytest.mark.parametrize("level_dbfs", [SILENCE_DBFS, NOISE_DBFS])
def test_markers_over_silence_or_noise(refusal, tmp_path, level_dbfs):
    mouth = Mouth(programme=Noise(level_dbfs=level_dbfs)).pcm(9.0)
    write(tmp_path, mouth, mouth)
    assert refusal() == (
        f"DIR/caller_to_callee: the mouth speaks no speech, only markers over silence or noise: {WITH_SPEECH}"
    )


def test_silence(refusal, tmp_path):
    nothing = np.zeros(9 * RATE, np.float32)
    write(tmp_path, nothing, speech())
    assert (
        refusal()
        == "DIR/caller_to_callee: the mouth is silent: run a call that joins, with --mouth and a WAV of speech"
    )
    write(tmp_path, speech(), nothing)
    assert refusal() == (
        "DIR/caller_to_callee: no marker of the mouth was heard by the ear, so they cannot be aligned: "
        "give the two WAV files of one call, over a link that lets sound through"
    )


def test_another_mouth(refusal, tmp_path):
    write(tmp_path, np.random.default_rng(2).standard_normal(9 * RATE).astype(np.float32) * 0.1, speech())
    assert refusal() == f"DIR/caller_to_callee: the mouth holds no markers: {FROM_RUN}"


def test_too_short(refusal, tmp_path):
    write(tmp_path, speech(5.0), speech(5.0))
    assert refusal() == (
        "DIR/caller_to_callee: the mouth speaks for 5.0s, too short to be scored: "
        "run a call of 8s or longer, better of 60s"
    )
    write(tmp_path, speech(), speech()[: 3 * RATE])
    assert refusal() == (
        "DIR/caller_to_callee: the ear recorded 3.0s, no whole segment of 8s of the speech: run a longer call"
    )
