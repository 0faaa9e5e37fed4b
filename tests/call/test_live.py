"""Conversations over the loopback: live mouths, and what the instrument hears of them against the agent's own log."""

import math
from dataclasses import replace

import numpy as np
import pytest
from held import DEVICES, conversed, placed, setup_of

from rtcprobe.conversation import AgentPlan, Line, When
from rtcprobe.hearing.conversed import accounts_of
from rtcprobe.ways import Way

SILENT = When(begun="silence", wait_s=0.6)
LOOK_AHEAD = 312


class Broken:
    said = ()
    over = False

    def hear(self, _block, _at_s):
        pass

    def speak(self, _first, _samples, _now_s):
        raise ZeroDivisionError("no such thing")


def turn(words):
    return Line(kind="turn", when=SILENT, words=words)


def into(kind, words, wait_s=1.2):
    return Line(kind=kind, when=When(begun="onset", wait_s=wait_s), words=words)


LINES = (
    turn("Hello, can you hear me?"),
    into("barge_in", "No, stop, I meant tomorrow."),
    into("backchannel", "uh"),
    turn("Thank you."),
)
AGENT = AgentPlan(hangover_s=0.5, think_s=0.3, answer_s=(2.0, 3.0), interrupt_after_s=0.4)


@pytest.fixture(scope="module")
def talk():
    return conversed(LINES, AGENT)


def truth_s(talk, sample):
    """Return when a sample of the agent's mouth was heard by the user, as its playout knows."""
    first = talk.call.callee.said().departures[0].timestamp
    instant = talk.heard.playback.play_instant(first + sample + LOOK_AHEAD)
    return None if instant is None else instant + DEVICES.playback_s


def test_every_answer_is_heard_where_the_agents_own_log_has_it(talk):
    said = talk.agent.talker.said
    assert len(said) == len(talk.turns.agent) == 3
    for own, heard in zip(said, talk.turns.agent, strict=True):
        assert heard.begin_s == pytest.approx(truth_s(talk, own.begin), abs=0.0015)
        assert heard.first == pytest.approx(own.begin + LOOK_AHEAD, abs=72)
        if own.end - own.begin == own.meant_samples:  # one cut off in the middle of a vowel rings on in the codec
            assert heard.end_s == pytest.approx(truth_s(talk, own.end - 1), abs=0.005)
        else:
            assert heard.end_s == pytest.approx(truth_s(talk, own.end - 1), abs=0.012)


def test_the_stages_of_every_turn_sum_to_its_delay_and_the_ways_are_the_links(talk):
    answered = [line for line in talk.turns.lines if line.response_s is not None]
    stopped = [line for line in talk.turns.lines if line.stop_s is not None]
    assert [line.kind for line in answered] == ["turn", "barge_in", "turn"]
    assert [line.kind for line in stopped] == ["barge_in", "backchannel"]
    for line in answered:
        assert math.fsum(line.response_stages.values()) == pytest.approx(line.response_s, abs=1e-4)
        assert line.response_stages["way_up"] == pytest.approx(0.020, abs=1e-6)
        assert line.response_stages["way_down"] == pytest.approx(0.020, abs=1e-6)
        assert 0.0 < line.response_stages["packing"] <= 0.020 + 0.0065 + 0.001
    for line in stopped:
        assert math.fsum(line.stop_stages.values()) == pytest.approx(line.stop_s, abs=1e-4)


def test_the_agents_part_of_an_answer_is_what_its_own_log_says(talk):
    heard = [line for line in talk.turns.lines if line.response_s is not None]
    for line, endpoint, said in zip(heard, talk.agent.talker.endpoints, talk.agent.talker.said, strict=True):
        last = next(each for each in talk.user.talker.said if each.number == line.number)
        heard_last_s = endpoint.ended_s  # by its own ear, a block of 10 ms fine
        begun_s = talk.agent.began_s + said.begin / 48_000
        own_s = begun_s - heard_last_s
        jitter_buffer_s = line.response_stages["agent"] - own_s
        assert 0.0 < jitter_buffer_s < 0.120
        assert begun_s == pytest.approx(endpoint.decided_s + endpoint.think_s, abs=0.021)
        assert last.end is not None


def test_a_backchannel_shorter_than_what_interrupts_stops_nobody_and_an_interruption_does(talk):
    _, barge_in, backchannel, _ = talk.turns.lines
    assert barge_in.into_speech
    assert 0.4 < barge_in.stop_s < 1.0
    assert backchannel.into_speech
    assert talk.turns.false_stops == [] or backchannel.stop_s <= 2.0
    assert sum(end_s - begin_s for begin_s, end_s in talk.turns.talk_over) == pytest.approx(barge_in.stop_s, abs=0.05)


def test_more_delay_on_both_ways_moves_the_response_by_it_and_the_agents_part_not_at_all():
    near, far = (conversed(LINES[:1], AGENT, link=f"delay {delay}ms") for delay in (20, 100))
    lines = [each.turns.lines[0] for each in (near, far)]
    # Packets leave on grids of 20 ms and are played on one of 10 ms, so each answer may move by a grid's step.
    assert lines[1].response_s - lines[0].response_s == pytest.approx(0.160, abs=0.011)
    assert lines[1].response_stages["agent"] == pytest.approx(lines[0].response_stages["agent"], abs=0.021)


def test_equal_seeds_hold_equal_conversations_and_other_seeds_others():
    runs = [conversed(LINES[:2], AGENT, seed=seed, link="delay 30ms 10ms loss 3%") for seed in (4, 4, 5)]
    assert runs[0].user.frames == runs[1].user.frames != runs[2].user.frames
    assert runs[0].turns == runs[1].turns
    assert np.array_equal(runs[0].heard.sound, runs[1].heard.sound)


def test_an_onset_whose_packet_was_lost_is_heard_late_and_told_so():
    heard = [conversed(LINES[:1], AGENT, seed=seed, link="delay 20ms loss 40%") for seed in range(3)]
    speeches = [(each, speech) for each in heard for speech in each.turns.agent[:1]]
    concealed = [speech for _, speech in speeches if speech.concealed]
    assert concealed
    for talk, speech in speeches:
        came = {packet.timestamp for _, packet in talk.call.caller.arrivals}
        first = talk.call.callee.said().departures[0].timestamp
        begins = (talk.agent.talker.said[0].begin + LOOK_AHEAD) // 960 * 960
        assert ((first + begins) % 2**32 not in came) <= speech.concealed  # lost: told so


def test_what_goes_wrong_in_whoever_speaks_fails_the_call_with_a_sentence():
    setup = setup_of(LINES[:1], AGENT)
    speech = replace(setup.speech["caller"], talker=lambda _seed: Broken())
    call = placed(replace(setup, speech={**setup.speech, "caller": speech})).call
    assert call.failed is not None
    assert "no such thing" in call.failed


def test_a_conversation_that_is_never_over_is_cut_at_its_limit():
    never = AgentPlan(threshold_dbfs=-12.0)
    call = placed(setup_of((*LINES[:1], turn("Hello?"), turn("Hello?")), never, longest_s=6.0)).call
    assert call.cut == "the conversation was not over after 6s"


def test_accounts_count_every_line_once(talk):
    response, barge_in = accounts_of({0: talk.turns}, "caller")
    assert (response.scheduled, response.heard) == (3, 3)
    assert (barge_in.scheduled, barge_in.heard) == (1, 1)
    assert response.way == Way.of("caller", "caller")
    assert sum(response.stages.values()) == pytest.approx(
        np.mean([each.delay_s for each in response.samples]), abs=1e-4
    )
    assert {each.what for each in response.spans} >= {"user", "agent", "backchannel"}
    assert response.figures["inside"] == 0.0


def test_a_line_whose_cue_never_came_and_an_agent_that_never_answers_have_a_fate():
    never = AgentPlan(threshold_dbfs=-12.0)
    deaf = conversed((*LINES[:2],), never, patience_s=2.0)
    response, barge_in = accounts_of({0: deaf.turns}, "caller")
    assert (response.heard, response.lost, response.rejected) == (0, 1, 1)
    assert [each.why for each in response.missed] == ["no answer", "its cue never came"]
    assert [each.why for each in barge_in.missed] == ["its cue never came"]


def test_an_agent_that_speaks_for_ever_misses_the_interruption_and_does_not_answer_it():
    ever = AgentPlan(answer_s=(20.0, 20.0), interrupt_after_s=None, think_s=0.2)
    talk = conversed(LINES[:2], ever, longest_s=12.0)
    assert talk.call.cut == "the conversation was not over after 12s"
    response, barge_in = accounts_of({0: talk.turns}, "caller")
    assert [(each.fate, each.why) for each in response.missed] == [("lost", "no answer")]
    assert [(each.fate, each.why) for each in barge_in.missed] == [("lost", "the agent spoke on")]
