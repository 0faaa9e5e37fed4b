"""A machine that stood still spoils an attempt, not the target: it is void, named, made again, and judged never."""

import asyncio
import os
import time

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.probe.placing import Placing
from rtcprobe.runtime.lag import STALL_S, LagMeter, Stall
from rtcprobe.runtime.priority import prioritised
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.scenario import find_scenario

BASE = ("link=delay 40ms", "call.calls=2", "call.joins=2", "call.duration=1s", "codec.complexity=2", "budgets=[]")
SPEAKING_S = 1.0
"""Within the words of a call over 40 ms each way, on a new connection."""


@pytest.fixture
def stalled(monkeypatch):
    """Return a run in virtual time whose attempts, by their place, had stalls as the real clock would tell them."""
    whole = Placing._prioritised
    clean = run_probe(find_scenario("1v1-social", BASE), seed=1, clock="virtual")

    def ran(stalls_of, *settings):
        made = []

        def place(self, *how, talks=False):
            attempt = whole(self, *how, talks=talks)
            attempt.stalls = stalls_of("call" if talks else "join", len([each for each in made if each == talks]))
            made.append(talks)
            return attempt

        monkeypatch.setattr(Placing, "_prioritised", place)
        return run_probe(find_scenario("1v1-social", [*BASE, *settings]), seed=1, clock="virtual"), clean

    return ran


def figures(result):
    plain = result.to_dict()
    return {key: plain[key] for key in ("join", "mouth_to_ear", "link")}


def test_a_stalled_call_is_void_named_and_made_again_as_it_would_have_been(stalled):
    result, clean = stalled(lambda kind, tried: [Stall(SPEAKING_S, 0.61)] if (kind, tried) == ("call", 1) else [])
    assert [(each.call, each.attempt, each.void) for each in result.calls] == [
        (0, 1, None),
        (1, 1, "this machine stopped for 0.61 s at 1.00 s"),
        (1, 2, None),
    ]
    assert "call 2 of 2 was made again: this machine stopped for 0.61 s at 1.00 s" in result.warnings
    assert figures(result) == figures(clean)  # no marker of the void try is in it, and the repeat has the same seed


def test_a_stalled_join_is_made_again_as_it_would_have_been(stalled):
    result, clean = stalled(lambda kind, tried: [Stall(0.2, 0.1)] if (kind, tried) == ("join", 0) else [])
    assert "join 1 of 2 was made again: this machine stopped for 0.10 s at 0.20 s" in result.warnings
    assert figures(result) == figures(clean)


@pytest.mark.parametrize("at_s", [0.0, 30.0])
def test_a_stall_before_the_first_word_or_after_the_last_packet_harms_no_call(at_s, stalled):
    result, _ = stalled(lambda kind, _tried: [Stall(at_s, 0.3)] if kind == "call" else [])
    assert [each.void for each in result.calls] == [None, None]


def test_where_too_many_calls_are_void_every_time_the_run_is_invalid_and_no_budget_decides(stalled):
    result, _ = stalled(lambda kind, _tried: [Stall(SPEAKING_S, 0.3)] if kind == "call" else [])
    assert [each.attempt for each in result.calls] == [1, 2, 3, 1, 2, 3]
    assert result.verdict == "invalid"
    (reason,) = result.reasons
    assert reason.startswith("2 of 2 calls void in 3 tries each: this machine stopped for 0.30 s at 1.00 s; ")
    assert "give the probe a core of its own" in reason
    assert result.mouth_to_ear == {}


def test_of_many_stalls_the_longest_are_named_in_their_order(stalled):
    many = [Stall(0.8 + 0.05 * place, 0.021 + 0.001 * place) for place in range(6)]
    result, _ = stalled(lambda kind, tried: many if (kind, tried) == ("call", 0) else [])
    named = "for 0.02 s at 0.95 s, for 0.03 s at 1.00 s, for 0.03 s at 1.05 s and 3 times more"
    assert result.calls[0].void == f"this machine stopped {named}"


class Loop:
    """A loop whose clock is set by hand."""

    def __init__(self):
        self.now_s = 100.0
        self.timers = []

    def time(self):
        return self.now_s

    def call_at(self, when_s, call):
        self.timers.append((when_s, call))
        return self

    def cancel(self):
        pass

    def run(self, now_s):
        self.now_s = now_s
        _, call = self.timers.pop(0)
        call()


def test_lateness_is_weighed_by_time_so_that_a_stall_is_as_many_values_as_it_lasted_periods():
    loop = Loop()
    meter = LagMeter(loop)
    loop.run(100.020)  # on time
    loop.run(100.640)  # the next was due at 100.040: late by 600 ms, and 30 more timers came due meanwhile
    assert meter.samples_s == pytest.approx([0.0, *(0.6 - 0.02 * place for place in range(31))], abs=1e-9)
    assert [(each.at_s, each.lasted_s) for each in meter.stalls] == [pytest.approx((100.040, 0.6))]
    loop.run(100.660)
    assert meter.samples_s[-1] == pytest.approx(0.0, abs=1e-9)  # the grid is the one it was


def test_lateness_within_a_packet_time_is_no_stall():
    loop = Loop()
    meter = LagMeter(loop)
    loop.run(100.020 + STALL_S - 0.001)
    assert meter.stalls == []


def test_a_stall_that_has_not_ended_when_measuring_does_is_counted():
    loop = Loop()
    meter = LagMeter(loop)
    loop.now_s = 100.320
    meter.stop()
    assert [each.lasted_s for each in meter.stalls] == [pytest.approx(0.3)]


def test_priority_is_given_back():
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, os.getpriority(os.PRIO_PROCESS, 0)
    with prioritised() as granted:
        inside = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        if granted.startswith("real-time"):
            assert inside in (os.SCHED_FIFO, os.SCHED_RR)
        elif granted.startswith("nice"):
            assert os.getpriority(os.PRIO_PROCESS, 0) <= min(-10, before[2])
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    assert (policy, os.sched_getparam(0).sched_priority, os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_who_is_refused_priority_goes_on_and_says_so(monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    monkeypatch.setattr(os, "setpriority", refused)
    monkeypatch.setattr(os, "getpriority", lambda *_: 0)  # whatever whoever runs this has
    with prioritised() as granted:
        assert granted == "ordinary"


def test_a_loop_that_is_awake_at_real_time_priority_rests_a_tenth_of_the_time():
    # Linux takes a twentieth away from who never sleeps. Counted in CPU, so a busy machine changes nothing.
    async def main():
        begun_s, cpu_s = time.monotonic(), time.thread_time()
        for _ in range(20):
            await asyncio.sleep(0.008)  # never long enough for the loop to sleep by itself
        return (time.thread_time() - cpu_s) / (time.monotonic() - begun_s)

    with asyncio.Runner(loop_factory=lambda: RealEventLoop(awake=True, rests=True)) as runner:
        assert runner.run(main()) < 0.95
