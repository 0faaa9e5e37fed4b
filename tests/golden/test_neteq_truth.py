"""Our NetEQ and a real libwebrtc, given the same packets: twelve seconds of five paths (see neteq_truth/README.md).

The judge is benchmarks/neteq_truth.py itself, on a folder small enough for every test run.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "neteq_truth"


@pytest.fixture(scope="module")
def truth():
    path = Path(__file__).parents[2] / "benchmarks" / "neteq_truth.py"
    spec = importlib.util.spec_from_file_location("neteq_truth", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["neteq_truth"] = module
    spec.loader.exec_module(module)
    yield module, module.load(FOLDER)
    del sys.modules["neteq_truth"]


@pytest.mark.parametrize(
    ("path", "concealed"),
    [
        ("p01_const40", 0.0001),  # Chromium, whole call
        ("p05_exp10_fifo", 0.0029),  # Chromium, whole call
        ("p07_stall200_5s", 0.0145),  # one stall in twelve seconds, after which the real one played 174 ms later
        ("p09_loss5", 0.0480),  # Chromium, whole call
        ("p15_dtx", 0.0),  # what DTX keeps back is not lost
    ],
)
def test_our_receiver_falls_among_the_real_ones(truth, path, concealed):
    truth, every = truth
    runs = [run for run in every if run.path == path]
    real = [truth.figures_of(run) for run in runs]
    ours = [truth.simulate(runs[0], runs[0].phase_s, seed=1)]
    said = dict(truth.judge(real, ours))
    if "exp" in path:
        # Its target still moves after twelve seconds, and whether its first insertion prevents a gap is a matter of
        # the noise: the benchmark judges both, over whole runs and many noises.
        said = {text: holds for text, holds in said.items() if "target" not in text}
    else:
        said |= dict([truth.judge_startup(real, ours)])
    assert len([holds for holds in said.values() if holds is not None]) >= 2  # p50, p95; target, start-up
    assert not [text for text, holds in said.items() if holds is not None and not holds]
    # Within one percentage point; two in the lossy path, whose twelve seconds lose 4.0 % instead of 4.9 %.
    assert ours[0].concealed == pytest.approx(concealed, abs=0.02 if "loss" in path else 0.01)


def test_frames_that_dtx_kept_back_use_no_sequence_number_and_leave_no_gap(truth):
    truth, every = truth
    run = next(run for run in every if run.path == "p15_dtx")
    # Of 600 frames 183 were never sent: 19, 19, 19, 19 and 8 in the first silence, 200 ms after speech ended at 2 s.
    first = [n for n in run.unsent if n < 200]
    assert first == [*range(108, 127), *range(129, 148), *range(150, 169), *range(171, 190), *range(192, 200)]
    assert truth.silences(run.unsent)[0] == (100, 200)
    sent = [int(number) for number in run.departures[:, 0]]
    assert sorted({*sent, *run.unsent}) == list(range(600))
    packets = truth.programme("dtx", 1, 600, tuple(run.markers[:, 0]), run.unsent)
    # The last packet before a gap says "nothing to hear", and no other does: the gap is comfort noise.
    silent = [number for number in sent if len(packets[number]) <= 2]
    assert silent == [number for number in sent if number + 1 in run.unsent]
