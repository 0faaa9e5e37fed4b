"""Conversations of the whole stack in virtual time: what each turn is counted as."""

import pytest

from rtcprobe.errors import BadInputError
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


def test_who_speaks_to_the_end_of_the_call_has_answered_once_and_never_fell_silent():
    agent = "{hangover: 400ms, think: 200ms, spread: 0, answer: 30s to 40s, interrupt_after: never}"
    lines = "[{say: 'Hello.'}, {say: 'Good bye.'}]"
    answers = held(lines, "link=delay 20ms", f"conversation.agent={agent}", "call.duration=12s")
    assert (answers.scheduled, answers.heard, answers.lost) == (2, 1, 0)
    (missed,) = answers.missed
    assert (missed.note, missed.why) == ("Good bye.", "the agent never fell silent")


def test_a_turn_that_the_end_of_the_call_cut_short_was_not_left_without_an_answer():
    lines = "[{say: 'Hello.'}, {say: 'I would like to go [pause 6s] to the sea.'}]"
    agent = "{hangover: 400ms, think: 200ms, spread: 0, answer: 1s to 2s, least_speech: 2s}"
    answers = held(
        lines, "link=delay 20ms", f"conversation.agent={agent}", "conversation.patience=3s", "call.duration=9s"
    )
    assert [(each.fate, each.why) for each in answers.missed] == [
        ("lost", "no answer"),
        ("rejected", "the call ended before an answer"),
    ]


def test_lines_that_take_longer_than_the_call_are_refused():
    with pytest.raises(BadInputError) as caught:
        held("[{say: 'I would like to go [pause 6s] to the sea.'}]", "call.duration=5s")
    assert str(caught.value).endswith("s to say, and call.duration is 5s: give a longer call.duration, or fewer lines")
