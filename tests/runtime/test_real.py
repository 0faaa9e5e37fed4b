"""The loop that is awake when a packet comes: what it does meanwhile, and what that is not counted as."""

import asyncio
from functools import partial

import pytest

from rtcprobe.runtime.meanwhile import Meanwhile
from rtcprobe.runtime.real import RealEventLoop, work_s


def awake(main, *rehearsals):
    with asyncio.Runner(loop_factory=lambda: RealEventLoop(awake=True, rehearsals=rehearsals)) as runner:
        return runner.run(main())


def test_timers_end_in_their_order_and_never_early():
    async def main():
        loop = asyncio.get_running_loop()
        due_s = [loop.time() + after_s for after_s in (0.003, 0.001, 0.002)]
        ended = []
        for each in due_s:
            loop.call_at(each, lambda each=each: ended.append((each, loop.time())))
        await asyncio.sleep(0.005)
        return due_s, ended

    due_s, ended = awake(main)
    assert [each for each, _ in ended] == sorted(due_s)
    assert all(at_s >= each for each, at_s in ended)


def test_watching_is_no_work():
    async def main():
        began_s = work_s()
        for _ in range(10):
            await asyncio.sleep(0.005)
        return work_s() - began_s, asyncio.get_running_loop().watched_s

    worked_s, watched_s = awake(main)
    assert 0.0 <= worked_s < watched_s


def test_a_loop_that_sleeps_watches_nothing():
    async def main():
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop().watched_s

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        assert runner.run(main()) == 0.0


@pytest.fixture
def quick(monkeypatch):
    """Steps of rehearsals take no time by their clock, so that one always fits: the machine's pace is not asked."""
    monkeypatch.setattr("rtcprobe.runtime.real.Meanwhile", partial(Meanwhile, clock=lambda: 0.0))


async def until(come):
    """Wait for something to be done meanwhile."""
    while not come():  # noqa: ASYNC110 - whatever woke this would be something to do
        await asyncio.sleep(0.005)


def over_and_over(*parts):
    """A rehearsal of named steps."""
    while True:
        for name, part in parts:
            yield name
            part()


@pytest.mark.usefixtures("quick")
def test_what_is_rehearsed_is_done_step_by_step_while_there_is_nothing_else_to_do():
    done = []

    async def main():
        before = len(done)
        await until(lambda: len(done) > before)
        return before

    before = awake(main, over_and_over(("first", lambda: done.append(1)), ("second", lambda: done.append(2))))
    assert len(done) > before == 4  # and at first two laps, to know how long each takes
    assert all(each == 1 + index % 2 for index, each in enumerate(done))


@pytest.mark.usefixtures("quick")
def test_an_interruption_in_the_middle_of_a_step_ends_the_rehearsal_and_not_the_loop():
    done = []

    def part():
        done.append(1)
        if len(done) == 10:
            raise KeyboardInterrupt

    async def main():
        await until(lambda: len(done) >= 10)

    with asyncio.Runner(
        loop_factory=lambda: RealEventLoop(awake=True, rehearsals=[over_and_over(("it", part))])
    ) as run:
        with pytest.raises(KeyboardInterrupt):
            run.run(main())
        run.run(main())
    assert len(done) == 10
