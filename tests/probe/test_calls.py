"""A run is several calls: each with a seed of its own, told apart and together."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.wav import read_wav
from rtcprobe.probe import run_probe
from rtcprobe.result import Result
from rtcprobe.scenario import find_scenario

BASE = ("call.joins=1", "call.duration=1s", "codec.complexity=2", "budgets=[]")
LINK = "link=delay 40ms 8ms distribution normal loss 5%"


def ran(*settings, calls, seed=1, **more):
    plan = find_scenario("1v1-social", [LINK, *BASE, f"call.calls={calls}", *settings])
    return run_probe(plan, seed=seed, clock="virtual", **more)


@cache
def three():
    return ran("protection.red=1", calls=3)


def of_call(ear, number):
    return [replace(each, call=0) for each in ear.samples if each.call == number]


def test_every_call_has_a_seed_of_its_own_and_more_of_them_change_none_of_the_first():
    two = ran("protection.red=1", calls=2)
    for direction, ear in three().mouth_to_ear.items():
        first, second, third = (of_call(ear, number) for number in range(3))
        assert first != second != third != first
        assert [each for each in ear.samples if each.call < 2] == list(two.mouth_to_ear[direction].samples)
    assert [(each.call, each.attempt, each.failed) for each in three().calls] == [(n, 1, None) for n in range(3)]


def test_what_the_calls_say_together_is_what_each_says_added_up():
    for ear in three().mouth_to_ear.values():
        assert sum(each.scheduled for each in ear.calls) == ear.scheduled == 3 * 2
        assert sum(each.heard for each in ear.calls) == ear.heard
        delays_s = [each.delay_s for each in ear.samples]
        assert ear.total_s == pytest.approx(np.mean(delays_s), abs=1e-9)
        for row in ear.calls:
            own_s = [each.delay_s for each in ear.samples if each.call == row.call]
            assert math.fsum(row.stages.values()) == pytest.approx(np.mean(own_s), abs=1e-9)
        assert ear.stages["network_min"] == min(each.stages["network_min"] for each in ear.calls)
        assert ear.protection.sent == 3 * 50  # frames of 20 ms in a second
        assert ear.unplayed == pytest.approx(np.mean([each.unplayed for each in ear.calls]))
        assert ear.r == pytest.approx(np.mean([each.r for each in ear.calls]))
        assert ear.playout.w3c["packetsReceived"] > 0

    alone = ran(calls=1)
    ear = alone.mouth_to_ear["caller_to_callee"]
    (row,) = ear.calls
    assert dict(row.stages) == dict(ear.stages)
    assert (row.unplayed, row.concealed, row.r) == (
        ear.unplayed,
        ear.concealed,
        ear.r,
    )
    assert ear.playout.target_steps.call == ()


def test_the_steps_of_the_jitter_buffer_say_which_call_they_are_of():
    steps = three().mouth_to_ear["caller_to_callee"].playout.target_steps
    assert set(steps.call) == {0, 1, 2}
    assert len(steps.call) == len(steps.since_s) == len(steps.target_delay_s)


def test_a_result_of_several_calls_is_read_back_as_it_was_written():
    written = three().to_dict()
    assert Result.from_dict(written).to_dict() == written


def test_each_call_has_wavs_in_a_folder_of_its_own(tmp_path):
    ran(calls=2, wav_dir=tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.wav")}
    ways = ("caller_to_callee", "callee_to_caller")
    assert names == {f"call-{n}/{way}.{end}.wav" for n in (1, 2) for way in ways for end in ("mouth", "ear")}
    first, second = (read_wav(tmp_path / f"call-{number}/caller_to_callee.ear.wav") for number in (1, 2))
    assert len(first) != len(second) or not np.array_equal(first, second)


def test_an_interruption_keeps_the_calls_that_were_heard():
    def stop(progress):
        if progress.step == "talking" and progress.done >= 1.0:
            raise KeyboardInterrupt

    found = ran(calls=3, progress=stop)
    assert found.interrupted
    assert found.calls[0].cut is None
    assert {each.call for each in found.mouth_to_ear["caller_to_callee"].samples} == {0}


def test_calls_that_never_join_are_tried_again_and_named():
    found = ran("link=delay 40ms loss 100%", "call.join_timeout=1s", calls=2)
    assert [(each.call, each.attempt) for each in found.calls] == [(n, t) for n in (0, 1) for t in (1, 2, 3)]
    assert all(each.failed for each in found.calls)
    assert any(each.startswith("call 1 of 2 did not join: ") for each in found.warnings)
    assert found.mouth_to_ear == {}


def test_the_result_says_when_and_where_it_was_made():
    made_with = three().environment
    assert made_with["date"].endswith("+00:00")
    assert made_with["host"]


def test_joins_and_calls_come_upon_a_satellites_round_anywhere(monkeypatch):
    met = []
    monkeypatch.setattr("rtcprobe.link.LinkSpec.met", lambda spec, share: met.append(share) or spec)
    ran("call.joins=2", calls=2)
    assert len(set(met)) == 4, "one instant for all hops of a join or call, another for each"
    assert all(0 <= each < 1 for each in met)
