import numpy as np
import pytest

from rtcprobe.hearing.playing import _target_steps
from rtcprobe.playout.policies import PlayoutChoice, make_policy
from rtcprobe.playout.replay import Playback


def played(*, drift=0.0):
    return Playback(start_s=2.0, stamps=np.zeros(0, np.int64), concealed=np.zeros(0, np.uint16), drift=drift)


def test_targets_are_told_as_steps_on_the_clock_of_the_call():
    steps = _target_steps(np.array([0.04, 0.04, 0.06, 0.06, 0.06, 0.04]), played())["target_steps"]
    assert steps.since_s == pytest.approx([2.0, 2.02, 2.05])
    assert steps.target_delay_s == (0.04, 0.06, 0.04)


def test_ticks_of_a_loudspeaker_that_drifts_are_told_in_true_time():
    steps = _target_steps(np.array([0.04] * 100 + [0.06]), played(drift=1e-3))["target_steps"]
    assert steps.since_s == pytest.approx([2.0, 2.0 + 100 * 0.010 / 1.001])


@pytest.mark.parametrize(("policy", "aims"), [("fixed:60ms", [0.06]), ("aiortc", []), ("neteq", [])])
def test_a_fixed_delay_has_one_aim_and_a_buffer_without_a_target_has_none(policy, aims):
    # NetEQ has not been asked for a tick yet
    assert make_policy(PlayoutChoice.parse(policy), None, payload_type=111).targets_s().tolist() == aims


def test_without_an_aim_there_are_no_steps():
    assert _target_steps(np.array([]), played()) == {}
