"""Turns that are kept to be listened to: both sides on one clock, small, and the same whenever they are made."""

import io
from base64 import b64decode
from types import SimpleNamespace

import av
import numpy as np
import pytest

from rtcprobe.audio.clip import webm_of
from rtcprobe.audio.opus import OpusEncoder, OpusSettings
from rtcprobe.hearing.turns import AgentSpeech, LineHeard, Turns
from rtcprobe.probe import clips
from rtcprobe.probe.clips import clips_of
from rtcprobe.recording import Said
from rtcprobe.scenario import Devices

RATE = 48_000
DEVICES = Devices(capture_s=0.010, playback_s=0.020)
SAID_S, HEARD_S = (1.0, 2.0), (2.7, 4.0)
"""When the user spoke, and when the user heard the answer."""


def tone(lasts_s, spans, begun_s=0.0):
    """Return a sound that begins at ``begun_s`` and is a tone within ``spans``."""
    at_s = np.arange(round(lasts_s * RATE)) / RATE + begun_s
    within = np.any([(at_s >= begin_s) & (at_s < end_s) for begin_s, end_s in spans], axis=0)
    return np.where(within, 0.3 * np.sin(2 * np.pi * 440 * at_s), 0.0).astype(np.float32)


def kept(lines=1):
    encoder = OpusEncoder(OpusSettings())
    frame = encoder.settings.frame_samples
    spoken = tone(6.0, [SAID_S], begun_s=-DEVICES.capture_s)
    frames = [encoder.encode(each) for each in spoken[: len(spoken) // frame * frame].reshape(-1, frame)]
    said = Said(party="ana", frames=frames, ptime_s=frame / RATE, started_s=0.0, finished=True, departures=[])
    heard = SimpleNamespace(sound=tone(6.0, [HEARD_S], DEVICES.playback_s), playback=SimpleNamespace(start_s=0.0))
    answer = AgentSpeech(begin_s=HEARD_S[0], end_s=HEARD_S[1], first=0, last=0, concealed=False)
    line = LineHeard(number=0, kind="turn", called="Hello?", begin_s=SAID_S[0], end_s=SAID_S[1], answer=answer)
    return clips_of(3, Turns(lines=(line,) * lines, agent=(answer,)), said, heard, DEVICES)


def sound(webm):
    with av.open(io.BytesIO(webm)) as file:
        rate = file.streams.audio[0].rate
        assert rate == RATE
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        return np.concatenate([r.to_ndarray() for f in file.decode(audio=0) for r in resampler.resample(f)], axis=1)


def test_a_clip_has_user_and_answer_on_its_sides_as_far_apart_as_was_measured():
    (clip,) = kept()
    assert (clip.call, clip.marker, clip.note) == (3, 0, "Hello?")
    left, right = np.abs(sound(b64decode(clip.webm))) > 0.05
    ends, begins = np.flatnonzero(left)[-1], np.flatnonzero(right)[0]
    assert (begins - ends) / RATE == pytest.approx(HEARD_S[0] - SAID_S[1], abs=0.005)
    assert np.flatnonzero(left)[0] / RATE == pytest.approx(SAID_S[0] - clip.from_s, abs=0.015)


def test_equal_sound_makes_equal_bytes():
    left, right = tone(1.0, [(0.1, 0.5)]), tone(1.3, [(0.6, 1.2)])
    assert webm_of(left, right) == webm_of(left, right)


def test_an_eight_seconds_clip_is_small():
    noise = np.random.default_rng(1).normal(0, 0.1, 8 * RATE).astype(np.float32)
    assert len(webm_of(noise, noise)) < 40_000


def test_all_clips_of_a_run_stay_within_their_limit(monkeypatch):
    size = len(kept()[0].webm)
    monkeypatch.setattr(clips, "MOST_BYTES", int(2.5 * size))
    assert len(kept(lines=5)) == 2
