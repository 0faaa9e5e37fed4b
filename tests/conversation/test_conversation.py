"""Who speaks when: the script's cues and the simulated agent's rules, without a network."""

import numpy as np
import pytest

from rtcprobe.conversation import AgentPlan, Line
from tests.conversation.room import after_onset, held, seconds, turn

HELLO = turn("Hello, can you hear me?")
MORE = turn("What is the weather like tomorrow?")


def test_an_agent_answers_after_its_hangover_and_its_thinking():
    talk = held(HELLO, agent=AgentPlan(hangover_s=0.4, think_s=0.3, spread=0.0))
    (said,), (answer,) = talk.user.said, talk.agent.said
    gap_s = seconds(answer)[0] - seconds(said)[1]
    # The way there takes 100 ms, blocks are 10 ms, and a packet is decided 20 ms before it is heard whole.
    assert gap_s == pytest.approx(0.1 + 0.4 + 0.3, abs=0.03)


def test_thinking_is_drawn_anew_for_each_turn_and_alike_for_equal_seeds():
    runs = [held(HELLO, MORE, agent=AgentPlan(think_s=0.5, spread=0.5), seed=seed) for seed in (5, 5, 6)]
    thoughts = [[each.think_s for each in run.agent.endpoints] for run in runs]
    assert thoughts[0] == thoughts[1] != thoughts[2]
    assert thoughts[0][0] != thoughts[0][1]
    assert [seconds(each) for each in runs[0].agent.said] == [seconds(each) for each in runs[1].agent.said]


def test_the_next_turn_waits_until_the_agent_has_been_silent():
    talk = held(HELLO, MORE)
    answer_end = seconds(talk.agent.said[0])[1]
    assert seconds(talk.user.said[1])[0] == pytest.approx(answer_end + 0.1 + 0.6, abs=0.05)


def test_a_barge_in_comes_after_the_onset_it_waits_for_and_silences_an_agent_that_lets_itself_be_interrupted():
    stop = turn("Stop, I meant tomorrow.", after_onset(1.5))
    talk = held(HELLO, stop, agent=AgentPlan(interrupt_after_s=0.2))
    first, second = talk.agent.said
    assert seconds(talk.user.said[1])[0] == pytest.approx(seconds(first)[0] + 0.1 + 1.5, abs=0.04)
    assert first.end - first.begin < first.meant_samples
    # 200 ms of voice, the way there, and a chunk of 40 ms at the most; syllables leave gaps.
    assert 0.3 <= seconds(first)[1] - seconds(talk.user.said[1])[0] <= 0.65
    assert second.begin > talk.user.said[1].end  # and answers what interrupted it


def test_an_agent_that_never_lets_itself_be_interrupted_says_all_it_has():
    stop = turn("Stop it.", after_onset(1.0))
    talk = held(HELLO, stop, agent=AgentPlan(interrupt_after_s=None))
    (answer,) = talk.agent.said
    assert answer.end - answer.begin == answer.meant_samples
    assert talk.lasted_s < 30.0  # its silence was waited for, though not for ever


@pytest.mark.parametrize(("after_s", "stops"), [(0.2, True), (0.6, False)])
def test_a_short_noise_stops_an_agent_that_goes_by_energy_only_where_it_lasts_long_enough(after_s, stops):
    noise = Line(kind="noise", when=after_onset(1.0), lasts_s=0.4, level_dbfs=-26.0)
    talk = held(HELLO, noise, agent=AgentPlan(interrupt_after_s=after_s))
    first = talk.agent.said[0]
    assert (first.end - first.begin < first.meant_samples) is stops


def test_a_pause_longer_than_the_hangover_is_answered_inside_the_turn_and_a_shorter_one_is_not():
    paused = turn("I would like to go [pause 900ms] to the sea.")
    for hangover_s, answers in ((0.5, 2), (1.2, 1)):
        talk = held(paused, agent=AgentPlan(hangover_s=hangover_s, think_s=0.1, spread=0.0))
        begun = [each.begin for each in talk.agent.said]
        assert len(begun) == answers
        assert (begun[0] < talk.user.said[0].end) is (answers == 2)


@pytest.mark.parametrize("interrupt_after_s", [0.2, None])
def test_who_took_a_pause_for_the_end_is_waited_for_where_the_rest_of_the_turn_silenced_it(interrupt_after_s):
    paused = turn("I would like to go [pause 700ms] at nine.")
    plan = AgentPlan(hangover_s=0.6, think_s=0.2, spread=0.0, interrupt_after_s=interrupt_after_s)
    talk = held(paused, delay_s=0.2, agent=plan)
    end_s = seconds(talk.user.said[0])[1]
    first, *second = [seconds(each) for each in talk.agent.said]
    assert first[0] < end_s
    assert len(second) == (0 if interrupt_after_s is None else 1)
    assert talk.lasted_s > [first, *second][-1][1]
    assert talk.lasted_s < 12.0  # and an answer that went on is one


def test_an_agent_that_never_answers_is_given_up_after_the_users_patience():
    talk = held(HELLO, turn("Stop.", after_onset(1.0)), MORE, agent=AgentPlan(threshold_dbfs=-12.0), patience_s=3.0)
    assert talk.agent.said == []
    assert talk.user.given_up == [1]
    assert [each.number for each in talk.user.said] == [0, 2]
    assert talk.lasted_s < 20.0


def test_an_agent_in_a_room_that_is_loud_from_the_start_still_hears_who_speaks_up():
    talk = held(HELLO, background_dbfs=-50.0, agent=AgentPlan(threshold_dbfs=-60.0))
    assert len(talk.agent.endpoints) == 1


def test_what_the_user_says_begins_and_ends_where_its_log_says():
    talk = held(HELLO)
    said = talk.user.said[0]
    assert said.end - said.begin == said.meant_samples
    assert said.begin % 960 == 0


def test_an_answer_begins_at_its_own_sample_and_not_at_a_packets():
    talk = held(HELLO, MORE, agent=AgentPlan(think_s=0.5, spread=0.5), seed=9)
    assert any(each.begin % 960 for each in talk.agent.said)
    assert np.all(np.diff([each.begin for each in talk.agent.said]) > 0)
