"""Which rehearsal goes on while a loop waits: by a clock of the test's own."""

import pytest

from rtcprobe.runtime.meanwhile import Meanwhile


class Clock:
    """A clock that steps move on."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def rehearsal(clock, done, **took_s):
    """Go over the named steps, each taking the seconds that ``took_s`` gives it."""
    while True:
        for name, each_s in took_s.items():
            yield name
            clock.now_s += each_s
            done.append(name)


@pytest.fixture
def clock():
    return Clock()


def test_every_rehearsal_has_gone_round_twice_before_the_first_wait(clock):
    done = []
    Meanwhile([rehearsal(clock, done, first=0.001, second=0.002), rehearsal(clock, done, other=0.001)], clock)
    assert done == ["first", "second"] * 2 + ["other"] * 2


def test_a_step_that_might_not_end_before_the_timer_waits_and_another_rehearsal_goes_on(clock):
    done = []
    meanwhile = Meanwhile([rehearsal(clock, done, long=0.013), rehearsal(clock, done, short=0.001)], clock)
    done.clear()
    assert all(meanwhile.go_on(0.012) for _ in range(3))
    assert done == ["short"] * 3, "13 ms do not fit into 12"
    assert not meanwhile.go_on(0.001), "a step is given a third more than it took"
    assert [meanwhile.go_on(0.018) for _ in range(2)] == [True, True]
    assert sorted(done[3:]) == ["long", "short"], "they take turns where both fit"


def test_a_step_that_once_took_long_is_forgiven_as_it_goes_on(clock):
    took_s, done = {"it": 0.010}, []

    def it():
        while True:
            yield "it"
            clock.now_s += took_s["it"]
            done.append(1)

    meanwhile = Meanwhile([it()], clock)
    took_s["it"] = 0.001
    assert not meanwhile.go_on(0.012), "1.3 times ten milliseconds"
    assert meanwhile.go_on(0.014)
    assert meanwhile.go_on(0.0124), "1.3 times 9.5: a twentieth is forgotten a step"


def test_nothing_to_rehearse_is_nothing_done(clock):
    assert not Meanwhile([], clock).go_on(1.0)
