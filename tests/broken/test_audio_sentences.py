"""Sound that cannot be meant is refused in one sentence: the fact, the value, the cure."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refusal_of

from rtcprobe.audio import opus
from rtcprobe.audio.ear import listen
from rtcprobe.audio.marker import MarkerTrain, trains
from rtcprobe.audio.mouth import Noise, Speech
from rtcprobe.audio.opus import OpusEncoder, OpusSettings
from rtcprobe.audio.wav import read_wav, write_wav
from rtcprobe.errors import BadInputError, MeasurementError


def riff(format_tag, data, *, rate_hz=48_000, bits=16):
    """A minimal WAV file, mono."""
    width = bits // 8
    header = struct.pack("<HHIIHH", format_tag, 1, rate_hz, rate_hz * width, width, bits)
    chunks = b"fmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


REFUSALS = {
    "bitrate": (
        lambda: OpusSettings(bitrate_bps=600_000),
        "Opus bitrate 600kbit is impossible: give 6kbps to 510kbps",
    ),
    "application": (
        lambda: OpusSettings(application="voice"),
        "Opus application 'voice' is unknown: use one of voip, audio, lowdelay",
    ),
    "loss": (lambda: OpusSettings(expected_loss=1.3), "expected loss 130% is impossible: give 0% to 100%"),
    "ptime": (
        lambda: OpusSettings(ptime_s=0.030),
        "Opus packet time 30ms is impossible: use one of 2.5ms, 5ms, 10ms, 20ms, 40ms, 60ms, 80ms, 100ms, 120ms",
    ),
    "complexity": (lambda: OpusSettings(complexity=11), "Opus complexity 11 is impossible: give 0 to 10"),
    "bandwidth": (
        lambda: OpusSettings(bandwidth="hifi"),
        "Opus bandwidth 'hifi' is unknown: use one of narrowband, mediumband, wideband, superwideband, fullband",
    ),
    "spacing": (
        lambda: MarkerTrain(spacing_s=0.1),
        "marker spacing 100ms leaves no quiet between markers: give 180ms or more",
    ),
    "first": (lambda: MarkerTrain(first_s=-1.0), "first marker at -1s is before the start: give 0ms or more"),
    "dither": (lambda: MarkerTrain(dither_s=-0.01), "marker dither -10ms is negative: give 0ms or more"),
    "seed": (lambda: MarkerTrain(seed=-1), "marker seed -1 is negative: give 0 or more"),
    "codes": (
        lambda: MarkerTrain(codes=(3, 48)),
        "marker codes 3, 48 are impossible: give one or more of 0 to 47, each once",
    ),
    "codes twice": (
        lambda: MarkerTrain(codes=(3, 3)),
        "marker codes 3, 3 are impossible: give one or more of 0 to 47, each once",
    ),
    "no codes": (
        lambda: MarkerTrain(codes=()),
        "marker codes of no number are impossible: give one or more of 0 to 47, each once",
    ),
    "talkers": (
        lambda: trains(49),
        "49 talkers cannot be told apart in one call by 48 marker codes: give 1 to 48",
    ),
    "noise": (lambda: Noise(level_dbfs=3.0), "noise level 3 dBFS is out of range: give -140 to -10"),
    "ratio": (
        lambda: Speech(samples=np.ones(48_000, np.float32), marker_to_speech_db=-60.0),
        "marker-to-speech ratio -60 dB is out of range: give -30 to 20",
    ),
    "silent": (
        lambda: Speech(samples=np.zeros(48_000, np.float32)),
        "the speech is silent: give a WAV file with sound in it",
    ),
    "reach": (
        lambda: listen(np.zeros(48_000, np.float32), 0.0, MarkerTrain(), (), max_delay_s=30.0),
        "a largest delay of 30s is ambiguous with markers every 500ms: give more than 0ms and at most 11.9s",
    ),
    "gate": (
        lambda: listen(np.zeros(48_000, np.float32), 0.0, MarkerTrain(), (), gate=1.5),
        "a correlation gate of 1.5 is impossible: give more than 0 and at most 1",
    ),
}


def test_nonsense_is_refused_in_one_sentence():
    told = {case: refusal_of(attempt) for case, (attempt, _) in REFUSALS.items()}
    assert told == {case: sentence for case, (_, sentence) in REFUSALS.items()}


def test_a_missing_wav_file_is_named(tmp_path):
    path = tmp_path / "speech.wav"
    with pytest.raises(BadInputError) as refusal:
        Speech.from_wav(path)
    assert str(refusal.value) == f"cannot read {path}: No such file or directory: give a readable WAV file"


@pytest.mark.parametrize("content", [b"", b"not a wav at all", riff(6, b"\x55" * 480), riff(1, b"")[:30]])
def test_a_file_that_is_no_pcm_wav_is_named(tmp_path, content):
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as refusal:
        Speech.from_wav(path)
    assert str(refusal.value) == f"{path} is not a PCM WAV file: convert it to 16-bit PCM"


def test_a_wav_file_without_samples_is_named(tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(riff(1, b""))
    with pytest.raises(BadInputError) as refusal:
        Speech.from_wav(path)
    assert str(refusal.value) == f"{path} holds no samples: give a WAV file with sound in it"


def test_a_silent_wav_file_is_named(tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(riff(1, bytes(96_000)))
    with pytest.raises(BadInputError) as refusal:
        Speech.from_wav(path)
    assert str(refusal.value) == f"{path}: the speech is silent: give a WAV file with sound in it"


def test_an_unmeant_sample_rate_is_named(tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(riff(1, bytes(960), rate_hz=7))
    with pytest.raises(BadInputError) as refusal:
        Speech.from_wav(path)
    assert str(refusal.value) == f"{path} has a sample rate of 7 Hz: give 4 kHz to 768 kHz"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "missing" / "mouth.wav"
    with pytest.raises(BadInputError) as refusal:
        write_wav(path, np.zeros(480, np.float32))
    assert str(refusal.value) == f"cannot write {path}: No such file or directory: give a writable directory"


@given(cut=st.integers(0, 60), flips=st.lists(st.tuples(st.integers(0, 43), st.integers(0, 255)), max_size=4))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_no_damage_to_a_wav_file_gets_past_the_one_error(tmp_path_factory, cut, flips):
    content = bytearray(riff(1, bytes(range(200))))
    for at, value in flips:
        content[at] = value
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(content[: len(content) - cut])
    try:
        pcm = read_wav(path)
    except BadInputError:
        return
    assert pcm.dtype == np.float32
    assert pcm.ndim == 1
    assert len(pcm) > 0


def test_a_machine_without_libopus_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(opus, "_candidates", list)
    opus._library.cache_clear()
    try:
        with pytest.raises(MeasurementError) as refusal:
            OpusEncoder(OpusSettings())
    finally:
        monkeypatch.undo()
        opus._library.cache_clear()
    assert str(refusal.value) == (
        "no libopus found: install PyAV from its wheels (pip install av) or the system package (libopus0)"
    )
