"""What talkers say: encoded once, and after one round the same again, however long the call."""

import numpy as np
import pytest

from rtcprobe.audio.ear import listen
from rtcprobe.audio.marker import LEAD_S
from rtcprobe.audio.opus import OpusDecoder, OpusEncoder
from rtcprobe.errors import BadInputError
from rtcprobe.hearing.speech import speak
from rtcprobe.scenario import find_scenario

LONG_S, ONCE_S = 27.0, LEAD_S + 12.0


def voice(duration_s, *settings):
    scenario = find_scenario("1v1-social", [f"call.duration={duration_s:g}s", *settings])
    return speak(scenario.sending("audio"), duration_s)["caller"]


def test_a_longer_call_says_the_same_and_then_its_rounds_again():
    short, long = voice(ONCE_S), voice(LONG_S)
    once, turn = len(short.frames), round(12.0 / short.codec.ptime_s)
    assert list(long.frames[:once]) == list(short.frames)
    assert list(long.frames[once : once + turn]) == list(long.frames[once - turn : once])
    assert len(long.frames) == round(LONG_S / long.codec.ptime_s)
    assert np.array_equal(np.concatenate([*long.sound()])[: round(ONCE_S * 48_000)], np.concatenate([*short.sound()]))


def test_encoding_does_not_grow_with_the_call(monkeypatch):
    frames = []
    encode = OpusEncoder.encode
    monkeypatch.setattr(OpusEncoder, "encode", lambda self, pcm: frames.append(1) or encode(self, pcm))
    voice(3600.0, "codec.bitrate=31kbps")  # which nobody else asked for
    assert len(frames) <= 2 * round(ONCE_S / 0.020)


def test_markers_of_the_second_round_are_heard_as_well_as_those_of_the_first():
    long = voice(LONG_S)
    decoder = OpusDecoder()
    pcm = np.concatenate([decoder.decode(payload) for payload in long.frames if payload])
    markers = long.train.markers(LONG_S)
    heard = listen(pcm, 0.0, long.train, markers, advance_s=long.advance_s)
    assert len(heard.heard) == len(markers) == 54
    assert np.abs(heard.delays_s - long.look_ahead_s).max() < 0.05e-3


def test_packets_that_no_datagram_holds_are_refused_before_a_call():
    said = r"codec\.bitrate 200kbit makes packets of 1\d\d\d bytes of codec\.ptime 60ms: at most 1300 fit in a datagram"
    with pytest.raises(BadInputError, match=said):
        voice(2.0, "codec.bitrate=200kbit", "codec.ptime=60ms")
    assert voice(2.0, "codec.bitrate=510kbit", "codec.ptime=20ms").frames
