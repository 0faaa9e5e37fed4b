"""Our video receiver and real ones, given the same packets: a few seconds of three runs, and libwebrtc's own vectors.

The judge is benchmarks/video_truth.py itself, on a folder small enough for every test run (see video_truth/README.md).
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "video_truth"


@pytest.fixture(scope="module")
def truth():
    path = Path(__file__).parents[2] / "benchmarks" / "video_truth.py"
    spec = importlib.util.spec_from_file_location("video_truth", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["video_truth"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["video_truth"]


def test_every_part_is_libwebrtc_s_to_the_microsecond(truth):
    found = dict(truth.golden(FOLDER / "golden"))
    assert len(found) == 8
    assert max(found.values()) <= 1.0, found


@pytest.mark.parametrize(
    ("run", "judged"),
    [("stall200.reactor.vp8.r1", 3), ("stall200.chromium.vp8.r1", 4), ("const40.audio+250ms.reactor.vp8.r1", 4)],
)
def test_frames_are_shown_when_a_real_receiver_shows_them(truth, run, judged):
    lines = truth.judged(truth.load(FOLDER, run))
    assert [text for text, holds in lines if holds is False] == []
    assert sum(holds is True for _, holds in lines) == judged


def test_a_receiver_that_follows_no_lateness_is_told_apart(truth, monkeypatch):
    # What the benchmark is for: without its rise by lateness the same receiver shows frames up to 30 ms too early.
    monkeypatch.setattr(truth.Timing, "released", lambda *_: None)
    lines = truth.judged(truth.load(FOLDER, "stall200.reactor.vp8.r1"))
    assert any(holds is False for _, holds in lines)
