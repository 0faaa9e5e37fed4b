"""A run ends, whatever its target does: in virtual time, so that waiting for hours takes none."""

import asyncio

import pytest

from rtcprobe.call.targets.loopback import LoopbackCall, LoopbackTarget
from rtcprobe.probe import run, run_probe
from rtcprobe.scenario import find_scenario

SETTINGS = [
    "call.joins=2",
    "call.calls=1",
    "call.calls=1",
    "call.duration=3s",
    "call.join_timeout=5s",
    "link=delay 20ms",
    "budgets=[]",
]


class StuckCall(LoopbackCall):
    """Does what a call must not do: when it has come to a milestone, it waits for ever."""

    stuck_at = ""

    async def join(self):
        return await self._until_stuck(super().join())

    async def talk(self):
        return await self._until_stuck(super().talk())

    async def _until_stuck(self, using):
        doing, stuck = asyncio.ensure_future(using), asyncio.Event()
        mark = self.caller.timeline.mark

        def marked(milestone, at_s):
            mark(milestone, at_s)
            if milestone == self.stuck_at:
                stuck.set()

        self.caller.timeline.mark = marked
        await stuck.wait()
        doing.cancel()
        await asyncio.get_running_loop().create_future()


class FaultyCall(LoopbackCall):
    """Has a fault that nobody foresaw, in the first of its calls."""

    made = 0

    async def join(self):
        type(self).made += 1
        if type(self).made == 1:
            return len(None)
        return await super().join()


class SpinningCall(LoopbackCall):
    """Works for ever at one instant."""

    async def join(self):
        loop = asyncio.get_running_loop()

        def again():
            loop.call_soon(again)

        again()
        await loop.create_future()


class Calling(LoopbackTarget):
    def __init__(self, kind, **attributes):
        self.kind = type(kind.__name__, (kind,), attributes)

    def call(self, setup, seed, clock):
        del clock
        return self.kind(setup, seed, sockets=False)


def ran(monkeypatch, target, *more):
    monkeypatch.setattr(run, "check_target", lambda *_: target)
    return run_probe(find_scenario("1v1-social", [*SETTINGS, *more]), seed=1, clock="virtual")


@pytest.mark.parametrize(
    ("milestone", "awaited"),
    [
        ("signaling_connected", "offer_sent"),
        ("offer_sent", "answer_received"),
        ("answer_received", "ice_connected"),
        ("ice_connected", "dtls_connected"),
        ("dtls_connected", "dtls_connected"),  # the callee's
    ],
)
def test_a_target_that_waits_for_ever_at_a_milestone_ends_its_joins_and_says_where(milestone, awaited, monkeypatch):
    result = ran(monkeypatch, Calling(StuckCall, stuck_at=milestone))
    assert [each.awaited for each in result.join.attempts] == [awaited] * 2
    for attempt in result.join.attempts:
        assert attempt.failed.endswith(": it had not ended after 40.15s, longer than all its steps may take")
    assert result.verdict == "inconclusive"


def test_a_target_that_never_ends_a_call_has_it_cut_and_what_was_heard_stands(monkeypatch):
    result = ran(monkeypatch, Calling(StuckCall, stuck_at="first_packet"))
    assert result.cut == "it had not ended after 58.15s, longer than all its steps may take"
    assert all(each.first_audio_s is not None for each in result.join.attempts)


def test_a_fault_that_nobody_foresaw_fails_the_join_it_is_in_and_no_other(monkeypatch):
    result = ran(monkeypatch, Calling(FaultyCall))
    first, second = result.join.attempts
    assert "a fault of rtcprobe itself, TypeError: object of type 'NoneType' has no len()" in first.failed
    assert second.failed is None
    assert result.mouth_to_ear["caller_to_callee"].heard > 0


def test_a_call_that_works_for_ever_without_letting_time_pass_is_ended(monkeypatch):
    monkeypatch.setattr("rtcprobe.runtime.virtual._MOST_ROUNDS", 10_000)
    result = ran(monkeypatch, Calling(SpinningCall))
    assert all("virtual time stands still at 0.000000 s" in each.failed for each in result.join.attempts)
