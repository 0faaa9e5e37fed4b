"""A microphone that stays the browser's own: which file it plays, and when that was, by what its track gave."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from rtcprobe.audio.wav import read_wav
from rtcprobe.call.ends.browser.microphone import FileMicrophone
from rtcprobe.call.mouth_track import Speech
from rtcprobe.errors import MeasurementError
from rtcprobe.hearing.speech import speak
from rtcprobe.scenario import find_scenario

BLOCK = 480
WALL_MS = 1_000_000.0
"""When the first block of the file was over, on the page's wall clock."""


@pytest.fixture(scope="module")
def voice():
    return speak(find_scenario("1v1-social").sending("audio"), 4.0)["caller"]


def speech(voice):
    return Speech(frames=voice.frames, ptime_s=0.02, voice=voice)


def tapped(pcm, *, missed, stall_ms=0.0, number=7, from_ms=0.0):
    """Return what the tap tells of ``pcm``, its first ``missed`` blocks gone; the last block was ``stall_ms`` late."""
    blocks = pcm[: len(pcm) // BLOCK * BLOCK].reshape(-1, BLOCK)[missed:]
    sound = np.round(blocks * 32767).astype("<i2").tobytes()
    told = {
        "n": number,
        "id": 1,
        "origin": WALL_MS - 500.0 + from_ms,
        "stamps": [(500.0 + 10.0 * (missed + place)) * 1e3 for place in range(len(blocks))],
        "sizes": [BLOCK] * len(blocks),
        "behind": [*(0.1 for _ in blocks[1:]), 0.1 + stall_ms],
        "rate": 48_000,
        "pcm": base64.b64encode(sound).decode(),
    }
    return json.dumps(told)


@pytest.mark.parametrize("missed", [0, 1, 3])
def test_when_the_file_began_is_told_by_its_markers_whatever_blocks_the_tap_missed(voice, missed):
    now = [2.0]
    microphone = FileMicrophone(speech(voice), 3.0, lambda: now[0])
    microphone.speak()
    microphone.take(tapped(voice.mouth.pcm(5.0), missed=missed))
    mouth = microphone.mouth(shift_s=-WALL_MS / 1e3)
    assert mouth.began_s == pytest.approx(-0.010, abs=2e-5)  # a block ends when its last sample is spoken
    assert (mouth.since_s, mouth.ended_s) == (2.0, None)
    assert mouth.lasts_s == pytest.approx(6.010, abs=2e-5)
    now[0] = 6.0
    assert microphone.mouth(shift_s=-WALL_MS / 1e3).ended_s == 6.0


def test_how_late_a_block_was_given_out_is_told_by_when_it_was_read(voice):
    microphone = FileMicrophone(speech(voice), 3.0, lambda: 2.0)
    microphone.speak()
    microphone.take(tapped(voice.mouth.pcm(3.0), missed=0, stall_ms=12.5))
    late_s = microphone.mouth(shift_s=0.0).late_s
    assert max(late_s[:-1]) == 0.0
    assert late_s[-1] == pytest.approx(0.0125)


def test_of_two_microphones_the_later_tells_its_own_beginning(voice):
    microphone = FileMicrophone(speech(voice), 3.0, lambda: 2.0)
    microphone.speak()
    microphone.take(tapped(voice.mouth.pcm(5.0), missed=0))
    assert microphone.mouth(-WALL_MS / 1e3).began_s == pytest.approx(-0.010, abs=2e-5)
    microphone.take(tapped(voice.mouth.pcm(3.0), missed=0, number=8, from_ms=1_500.0))
    assert microphone.mouth(-WALL_MS / 1e3).began_s == pytest.approx(1.490, abs=2e-5)


def test_what_came_since_is_told_too_however_long_the_call(voice):
    microphone = FileMicrophone(speech(voice), 3.0, lambda: 20.0)
    microphone.speak()
    for second in range(14):
        microphone.take(
            tapped(voice.mouth.pcm(second + 1.0)[second * 48_000 :], missed=0, stall_ms=3.0, from_ms=1e3 * second)
        )
        mouth = microphone.mouth(-WALL_MS / 1e3)
        assert len(mouth.late_s) == 100 * (second + 1)
    assert mouth.began_s == pytest.approx(-0.010, abs=2e-5)
    assert [place for place, late_s in enumerate(mouth.late_s) if late_s > 0.0] == [*range(99, 1400, 100)]


def test_nothing_was_said_before_anybody_asked_or_before_a_marker_was_heard(voice):
    microphone = FileMicrophone(speech(voice), 3.0, lambda: 2.0)
    assert microphone.mouth(0.0).began_s is None
    microphone.speak()
    assert microphone.mouth(0.0).began_s is None
    microphone.take(tapped(np.zeros(48_000, dtype=np.float32), missed=0))
    assert microphone.mouth(0.0).began_s is None


def test_the_file_holds_what_may_be_waited_for_and_what_is_said_and_goes_with_the_call(voice):
    microphone = FileMicrophone(speech(voice), 3.0, lambda: 0.0)
    flag, _, named = microphone.write().partition("=")
    assert flag == "--use-file-for-fake-audio-capture"
    path = Path(named.removesuffix("%noloop"))
    assert read_wav(path) == pytest.approx(voice.mouth.pcm(7.0), abs=1 / 32767)
    microphone.close()
    assert not path.exists()


def test_a_call_that_no_file_can_speak_for_is_refused_with_its_length(voice):
    with pytest.raises(MeasurementError, match="would speak for 4004 s, join and all"):
        FileMicrophone(speech(voice), 4000.0, lambda: 0.0).write()
