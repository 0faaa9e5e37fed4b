import asyncio
import math
import threading
import weakref

import numpy as np
import pytest

from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import VirtualEventLoop, VirtualTimeStoppedError, running


def run(coroutine):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(coroutine)


def test_a_day_of_sleep_takes_no_time_and_ends_on_the_nanosecond():
    async def main():
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(86_400, abs=1e-9)


def test_thousands_of_short_sleeps_do_not_drift():
    # 5,000 sleeps of 20 ms on an absolute grid end at 100 s exactly; rounding up costs at most 1 ns each.
    async def main():
        loop = asyncio.get_running_loop()
        for index in range(1, 5_001):
            waiter = loop.create_future()
            loop.call_at(index * 0.02, waiter.set_result, None)
            await waiter
        return loop.time()

    assert run(main()) == pytest.approx(100.0, abs=2e-9)


def test_timers_fire_in_order_of_time():
    async def main():
        loop = asyncio.get_running_loop()
        fired = []
        for name, due in (("b", 2.0), ("a", 1.0), ("c", 2.5), ("d", 3.0)):
            loop.call_at(due, fired.append, name)
        await asyncio.sleep(4)
        return fired

    assert run(main()) == ["a", "b", "c", "d"]


def test_a_wait_that_can_never_end_is_said_at_once():
    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(VirtualTimeStoppedError, match="nothing is ready and no timer is set"):
        run(main())


def test_work_for_an_executor_runs_here_and_now():
    async def main():
        loop = asyncio.get_running_loop()
        before = loop.time()
        value = await loop.run_in_executor(None, lambda a, b: a + b, 2, 3)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        return value, loop.time() - before

    assert run(main()) == (5, 0.0)


def test_a_socket_is_refused_because_it_would_wait_in_real_time():
    async def main():
        with pytest.raises(NotImplementedError, match="virtual time has no sockets"):
            await asyncio.open_connection("127.0.0.1", 9)
        with pytest.raises(NotImplementedError, match="on behalf of a host"):
            await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol)

    run(main())


def test_a_loop_opens_no_socket_of_its_own_and_can_be_called_from_another_thread_all_the_same(monkeypatch):
    monkeypatch.setattr("socket.socketpair", lambda *_: pytest.fail("virtual time has no sockets"))
    called = []

    async def from_elsewhere():
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(called.append, 1))
        thread.start()
        thread.join()
        await asyncio.sleep(1)

    run(from_elsewhere())
    assert called == [1]


def test_equal_seeds_draw_equal_values_and_others_do_not():
    def draws(seed):
        entropy = Entropy(np.random.SeedSequence(seed))
        return entropy.urandom(8), entropy.random(), entropy.randbits(64), str(entropy.uuid4())

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)


def test_the_loop_that_runs_is_known_while_it_runs_and_in_its_own_thread_alone():
    loop = VirtualEventLoop(Entropy(np.random.SeedSequence(1)))

    there = []

    async def main():
        other = threading.Thread(target=lambda: there.append(running()))
        other.start()
        other.join()
        return running(), asyncio.get_running_loop()

    try:
        assert running() is None
        assert loop.run_until_complete(main()) == (loop, loop)
        assert (running(), there) == (None, [None])
    finally:
        loop.close()


class Ticks:
    """Coasts on the loop: notes each tick of ``due_s``, and what the clock reads then."""

    def __init__(self, loop, due_s, log):
        self.loop, self.due_s, self.log, self.off = loop, list(due_s), log, False

    @property
    def next_s(self):
        return self.due_s[0] if self.due_s else math.inf

    def holds(self):
        return not self.off

    def get_off(self):
        self.loop.coasts.remove(self)
        self.let_go(math.inf)

    def let_go(self, before_s):
        while self.next_s < before_s:
            due_s = self.due_s.pop(0)
            self.loop.at(due_s, self.log.append, ("alone", due_s))

    def run(self, until_s):
        while self.next_s < until_s:
            self.log.append(("coasts", round(self.loop.turn_to(self.due_s.pop(0)), 9)))


def test_what_coasts_happens_before_the_next_timer_each_at_its_own_instant_of_the_clock():
    async def main():
        loop, log = asyncio.get_running_loop(), []
        loop.coasts = [Ticks(loop, (0.1, 0.2, 0.6), log), Ticks(loop, (0.15, 0.5), log)]
        loop.call_at(0.2, lambda: log.append(("timer", round(loop.time(), 9))))
        loop.at(0.5, lambda: log.append(("packet", round(loop.time(), 9))))
        await asyncio.sleep(1.0)
        return log, loop.time()

    log, ended_s = run(main())
    # A timer of the same instant comes after, a packet that does not coast before, and together with it what coasts
    # as late; each way runs as far in one go.
    assert log == [
        ("coasts", 0.1),
        ("coasts", 0.2),
        ("coasts", 0.15),
        ("timer", 0.2),
        ("packet", 0.5),
        ("alone", 0.5),
        ("coasts", 0.6),
    ]
    assert ended_s == 1.0


def test_what_may_no_longer_coast_gets_off_before_anything_of_it_happens():
    async def main():
        loop, log = asyncio.get_running_loop(), []
        ticks = Ticks(loop, (0.1, 0.3, 0.5), log)
        loop.coasts = [ticks]
        loop.call_at(0.2, setattr, ticks, "off", True)
        await asyncio.sleep(1.0)
        return log

    assert run(main()) == [("coasts", 0.1), ("alone", 0.3), ("alone", 0.5)]


class Fails(Ticks):
    """Fails at its second tick, and has somebody woken by it."""

    def run(self, until_s):
        super().run(min(until_s, math.nextafter(0.2, math.inf)))
        self.due_s.clear()
        self.loop.call_soon(lambda: self.log.append(("woken", round(self.loop.time(), 9))))


def test_where_a_coast_fails_the_others_come_as_far_and_who_is_woken_is_so_at_that_instant():
    async def main():
        loop, log = asyncio.get_running_loop(), []
        loop.coasts = [Fails(loop, (0.1, 0.2, 0.3), log), Ticks(loop, (0.15, 0.25), log)]
        await asyncio.sleep(1.0)
        return log

    assert run(main()) == [("coasts", 0.1), ("coasts", 0.2), ("coasts", 0.15), ("woken", 0.2), ("coasts", 0.25)]


def test_a_generator_that_nobody_finished_is_closed_with_the_loop():
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def main():
        generator = numbers()
        await anext(generator)
        return generator

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        left = runner.run(main())
        assert not closed
    assert closed
    del left


def test_what_was_still_under_way_is_let_go_with_the_loop():
    class Parcel:
        pass

    parcel = Parcel()
    gone = weakref.ref(parcel)
    loop = VirtualEventLoop(Entropy(np.random.SeedSequence(1)))
    loop.at(1.0, lambda _parcel: None, parcel)
    loop.run_until_complete(asyncio.sleep(0.0))
    del parcel
    assert gone() is not None
    loop.close()
    assert gone() is None
