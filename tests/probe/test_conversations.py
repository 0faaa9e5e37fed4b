"""Conversations of the whole stack in virtual time: what each turn is counted as."""

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario


def held(lines, *settings):
    short = ("call.calls=1", "call.joins=1", "call.duration=40s", "budgets=[]", f"conversation.lines={lines}")
    result = run_probe(find_scenario("voice-assistant", [*short, *settings]), seed=1, clock="virtual")
    return next(iter(result.of_kind("response").values()))


def test_an_answer_that_left_before_the_end_of_the_turn_had_come_is_none_though_it_is_heard_after_it():
    # It takes the pause of 700 ms for the end, answers 830 ms into it, and is heard two ways of 150 ms later: after the
    # 555 ms that follow the pause. That is stopped at once, and the turn answered when it is over.
    agent = "{hangover: 600ms, think: 230ms, spread: 0, answer: 2s to 3s, interrupt_after: 200ms}"
    lines = "[{say: 'I would like to go [pause 700ms] at nine.'}]"
    answers = held(lines, "link=delay 150ms", f"conversation.agent={agent}")
    assert answers.figures["inside"] == 1.0
    (answer,) = answers.samples
    assert answer.stages["agent"] == pytest.approx(0.6 + 0.23 + 0.1, abs=0.1)
    user, *heard = [each for each in answers.spans if each.what in ("user", "agent")]
    assert 0.0 < heard[0].from_s - user.until_s < 0.1
