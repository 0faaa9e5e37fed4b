"""Scoring sound against sound: each segment of speech is held against what was heard of it, and nothing else."""

import sys
import types
from functools import cache

import numpy as np
import pytest

from rtcprobe import cli
from rtcprobe.audio.marker import TWO_PARTIES
from rtcprobe.audio.mouth import Mouth, Speech
from rtcprobe.audio.wav import write_wav
from rtcprobe.errors import BadInputError
from rtcprobe.listening import SCORING_RATE_HZ, SEGMENT_S, Listening, cut, score, score_folder, visqol

RATE = 48_000
SEGMENT = round(SEGMENT_S * SCORING_RATE_HZ)


@cache
def syllables(seconds):
    """Four bursts of noise a second, as loud as speech is: what is scored here is told apart by its markers."""
    at = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(1).standard_normal(len(at))
    return (noise * np.maximum(np.sin(2 * np.pi * 4 * at), 0.0) * 0.1).astype(np.float32)


@cache
def spoken(seconds, *, pause_from=None):
    speech = syllables(seconds).copy()
    if pause_from is not None:
        speech[round(pause_from * RATE) :] = 0.0
    return Mouth(programme=Speech(samples=speech)).pcm(seconds)


def later(pcm, seconds):
    return np.concatenate((np.zeros(round(seconds * RATE), np.float32), pcm))


@pytest.fixture
def short(monkeypatch):
    """Segments of 3 s: what is cut where is one law for all lengths, and the first test keeps the real one."""
    monkeypatch.setattr("rtcprobe.listening.SEGMENT_S", 3.0)


def likeness(segment):
    return float(np.corrcoef(segment.mouth, segment.ear)[0, 1])


def test_a_segment_is_held_against_its_own_sound():
    mouth = later(spoken(17.0), 3.2)
    segments = cut(mouth, later(mouth, 0.123))
    # 17 s of speech hold two segments of 8 s, the first where speaking began.
    assert [each.start_s for each in segments] == pytest.approx([3.2, 11.2], abs=1e-4)
    assert [each.delay_s for each in segments] == pytest.approx([0.123, 0.123], abs=1e-4)
    assert all(len(each.mouth) == len(each.ear) == SEGMENT for each in segments)
    assert min(likeness(each) for each in segments) > 0.99


def test_the_callee_s_mouth_speaks_other_markers_and_is_known_by_them():
    speech = syllables(8.5)
    mouth = later(Mouth(train=TWO_PARTIES[1], programme=Speech(samples=speech)).pcm(8.5), 0.7)
    (segment,) = cut(mouth, later(mouth, 0.150))
    assert segment.start_s == pytest.approx(0.7, abs=1e-3)
    assert segment.delay_s == pytest.approx(0.150, abs=1e-3)


@pytest.mark.usefixtures("short")
def test_a_delay_that_changes_is_followed():
    mouth = spoken(6.0)
    half = 3 * RATE
    ear = np.concatenate((later(mouth[:half], 0.1), np.zeros(round(0.3 * RATE), np.float32), mouth[half:]))
    segments = cut(mouth, ear)
    assert [each.delay_s for each in segments] == pytest.approx([0.1, 0.4], abs=1e-4)
    assert min(likeness(each) for each in segments) > 0.99


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("lead_s", [0.0, 0.1, 31.0])
def test_speaking_may_begin_at_once_or_after_a_long_join(lead_s):
    mouth = later(spoken(3.5), lead_s)
    (segment,) = cut(mouth, later(mouth, 0.05))
    assert segment.start_s == pytest.approx(lead_s, abs=1e-4)


@pytest.mark.usefixtures("short")
def test_a_speech_that_opens_with_digital_silence_begins_where_it_began():
    speech = syllables(6.0).copy()
    speech[:RATE] = 0.0
    mouth = later(Mouth(programme=Speech(samples=speech)).pcm(4.0), 1.5)
    (segment,) = cut(mouth, mouth)
    assert segment.start_s == pytest.approx(1.5, abs=1e-4)


@pytest.mark.usefixtures("short")
def test_pauses_as_long_as_a_segment_are_not_scored():
    # Speech for 3.5 s, then markers alone, which fill 80 ms of every 500 ms: only the first of two segments counts.
    mouth = spoken(6.0, pause_from=3.5)
    assert [each.start_s for each in cut(mouth, mouth)] == pytest.approx([0.0], abs=1e-4)


@pytest.mark.usefixtures("short")
def test_a_segment_without_a_marker_heard_is_cut_at_the_nearest_ones_delay_and_scores_the_worst():
    mouth = spoken(9.0)
    ear = later(mouth, 0.2)
    ear[round(2.9 * RATE) : round(6.4 * RATE)] = 0.0
    assert [each.delay_s for each in cut(mouth, ear)] == pytest.approx([0.2] * 3, abs=1e-4)

    def compare(_mouth, heard):
        assert heard.any(), "nothing to compare with"
        return 4.0

    assert score(mouth, ear, compare).scores == (4.0, 1.0, 4.0)


@pytest.mark.usefixtures("short")
def test_what_the_ear_did_not_record_is_not_scored():
    mouth = spoken(6.0)
    ear = later(mouth, 0.2)
    # The second segment ends at 6.2 s: 0.4 s may be missing, 0.7 s not.
    assert len(cut(mouth, ear[: round(5.8 * RATE)])) == 2
    assert len(cut(mouth, ear[: round(5.5 * RATE)])) == 1


@pytest.mark.usefixtures("short")
def test_the_figures_of_a_direction_are_those_of_its_segments_and_of_a_copy():
    mouth = spoken(9.0)
    asked = []

    def compare(first, second):
        asked.append((first, second))
        return (3.0, 1.5, 4.0, 4.9)[len(asked) - 1]

    found = score(mouth, later(mouth, 0.1), compare)
    assert found == Listening((3.0, 1.5, 4.0), 4.9)
    assert found.median == 3.0
    assert asked[3][0] is asked[3][1] is asked[0][0]


def test_visqol_is_asked_in_speech_mode_with_its_own_mapping(monkeypatch):
    asked = []

    class Api:
        def create(self, **settings):
            asked.append(settings)

        def measure_from_arrays(self, mouth, ear, sample_rate):
            asked.append((mouth.dtype, ear.dtype, sample_rate))
            return types.SimpleNamespace(moslqo=np.float64(3.25))

    monkeypatch.setitem(sys.modules, "visqol", types.SimpleNamespace(VisqolApi=Api))
    assert visqol()(np.ones(4, np.float32), np.ones(4, np.float32)) == 3.25
    assert asked == [{"mode": "speech", "use_lattice_model": True}, (np.float64, np.float64, 16_000)]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "directions",
    [("caller_to_callee", "callee_to_caller"), ("caller_to_callee",), ("round_trip",)],
    ids=["a call", "one way", "an echo"],
)
def test_the_command_shows_a_row_for_each_direction_that_was_recorded(monkeypatch, capfd, tmp_path, directions):
    for direction in directions:
        write_wav(tmp_path / f"{direction}.mouth.wav", spoken(6.0))
        write_wav(tmp_path / f"{direction}.ear.wav", later(spoken(6.0), 0.1))
    answers = iter((4.0, 3.0, 4.5, 2.0, 2.5, 4.5))
    monkeypatch.setattr("rtcprobe.listening.visqol", lambda: lambda _mouth, _ear: next(answers))
    with pytest.raises(SystemExit) as left:
        cli.main(["score", str(tmp_path)])
    out, _ = capfd.readouterr()
    assert left.value.code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["MOS-LQO", "median", "lowest", "highest", "segments", "a", "copy"]
    figures = (["3.50", "3.00", "4.00", "2", "4.50"], ["2.25", "2.00", "2.50", "2", "4.50"])
    for row, direction, each in zip(rows[1:], directions, figures, strict=False):
        assert row == [*direction.split("_"), *each]
    assert [row[0] for row in rows[1 + len(directions) :]] == ["ViSQOL,", "Fewer"]
    assert "Fewer than 3 segments say little: run a longer call." in out


@pytest.mark.usefixtures("short")
def test_a_run_of_several_calls_is_scored_together(tmp_path):
    mouth = later(spoken(7.0), 0.5)
    for number, delay_s in ((1, 0.1), (2, 0.2), (10, 0.3)):
        (tmp_path / f"call-{number}").mkdir()
        for name, sound in (("mouth", mouth), ("ear", later(mouth, delay_s))):
            write_wav(tmp_path / f"call-{number}" / f"caller_to_callee.{name}.wav", sound)
    asked = []

    def compare(_mouth, ear):
        asked.append(len(ear))
        return float(len(asked))

    ((direction, found),) = score_folder(tmp_path, lambda: compare)
    # Two segments of 3 s in each call's 7 s, and after them a copy of its first: 1 and 2, 4 and 5, 7 and 8.
    assert (direction, found.scores, found.copy_score) == ("caller_to_callee", (1.0, 2.0, 4.0, 5.0, 7.0, 8.0), 3.0)

    (tmp_path / "call-2" / "caller_to_callee.ear.wav").unlink()
    with pytest.raises(BadInputError, match=r"call-2 holds no caller_to_callee\.ear\.wav"):
        list(score_folder(tmp_path, lambda: compare))


@pytest.mark.filterwarnings("default")
def test_the_real_visqol_hears_a_fifth_of_the_sound_missing():
    pytest.importorskip("visqol", reason="the visqol extra is not installed")
    mouth = spoken(9.0)
    rng = np.random.default_rng(1)
    frames = mouth[: len(mouth) // 960 * 960].reshape(-1, 960)
    holes = (frames * (rng.random((len(frames), 1)) >= 0.2)).reshape(-1).astype(np.float32)
    compare = visqol()
    whole, damaged = score(mouth, later(mouth, 0.1), compare), score(mouth, later(holes, 0.1), compare)
    assert whole.median == pytest.approx(whole.copy_score, abs=0.1)
    assert damaged.median < whole.median - 0.5
