from dataclasses import replace

import pytest

from rtcprobe.report.lead import goal_sentence, lead, out_of_reach
from rtcprobe.result import Joins
from rtcprobe.verdict import goals, judge


def by_name(result):
    return {(each.limit_s, each.direction): each for each in goals(result)}


def test_the_share_of_joins_beyond_600_ms_comes_with_its_interval(make_result, make_attempt):
    joins = Joins(attempts=(*(make_attempt(),) * 15, *(make_attempt(dtls_lost=True),) * 5))
    found = by_name(make_result(join=joins))[0.6, None].outcome
    # Wilson's interval (1927) of 5 in 20
    assert (found.value, found.low, found.high) == (
        0.25,
        pytest.approx(0.1119, abs=1e-4),
        pytest.approx(0.4687, abs=1e-4),
    )
    assert found.verdict == "missed"


def test_a_join_that_failed_took_longer_than_any_goal(make_result, make_attempt):
    joins = Joins(attempts=(*(make_attempt(),) * 15, *(make_attempt(failed="dtls"),) * 5))
    assert by_name(make_result(join=joins))[0.6, None].outcome.value == 0.25


def test_markers_beyond_100_ms_are_counted_for_each_way(make_result, make_ear):
    quick = replace(
        ear := make_ear(0),
        samples=tuple(replace(each, delay_s=0.08) for each in ear.samples[:-3])
        + tuple(replace(each, delay_s=0.12) for each in ear.samples[-3:]),
    )
    found = by_name(make_result(mouth_to_ear={"caller_to_callee": quick, "callee_to_caller": make_ear(0)}))
    assert found[0.1, "caller_to_callee"].outcome.value == pytest.approx(3 / quick.heard)
    assert found[0.1, "callee_to_caller"].outcome.value == 1.0


def test_a_goal_that_the_fixed_stages_exceed_is_out_of_reach_and_says_why(make_result, make_ear):
    far = replace(ear := make_ear(0), stages={**ear.stages, "network_min": 0.090, "jitter_buffer": 0.0028})
    found = goals(make_result(mouth_to_ear={"caller_to_callee": far, "callee_to_caller": make_ear(0)}))
    # 10 + 20 + 6.5 + 90 + 20 = 146.5; the other way 10 + 20 + 6.5 + 41 + 20 = 97.5, within reach
    said = "capture + packetisation + look ahead + network min + device take 146 ms"
    assert out_of_reach(found) == [f"100 ms to the ear is out of reach here: {said}"]
    assert goal_sentence(found[1]).endswith(f"one in twenty may: out of reach, as {said}")
    both = goals(make_result(mouth_to_ear=dict.fromkeys(("caller_to_callee", "callee_to_caller"), far)))
    assert len(out_of_reach(both)) == 1


def test_a_join_whose_quickest_steps_take_longer_is_out_of_reach(make_result, make_attempt):
    def slow(**phases):
        return replace(make_attempt(), phases=phases, marks={"first_audio": sum(phases.values())})

    joins = Joins(attempts=(slow(signaling=0.4, media=0.25), slow(signaling=0.41, media=0.21)) * 10)
    assert out_of_reach(goals(make_result(join=joins))) == [
        "600 ms to connect is out of reach here: its steps, each at its quickest, take 610 ms"
    ]
    assert not by_name(make_result())[0.6, None].out_of_reach


def test_there_and_back_is_held_against_no_ear(make_result):
    ears = {"round_trip": make_result().mouth_to_ear["caller_to_callee"]}
    result = judge(make_result(measures=("round_trip",), mouth_to_ear=ears), [])
    assert [each.direction for each in goals(result)] == [None]
    assert lead(result).endswith("what you say comes back after 158 ms, there and back.")


def test_goals_decide_no_verdict(make_result):
    assert judge(make_result(), []).verdict == "pass"


def test_the_sentence_on_top_says_what_is_not_there(make_result, make_attempt):
    def said(**parts):
        return lead(judge(make_result(**parts), []))

    assert said(join=Joins(), mouth_to_ear={}) == "Nothing was measured."
    dead = Joins(attempts=(make_attempt(failed="ice"),) * 3)
    assert said(join=dead, mouth_to_ear={}) == "None of 3 joins was heard."
    assert said(join=Joins(attempts=(make_attempt(),) * 5), mouth_to_ear={}) == (
        "Joining took 487 ms, within the goal of 600."
    )
    some = Joins(attempts=(*(make_attempt(),) * 18, *(make_attempt(failed="ice"),) * 2))
    assert said(join=some, mouth_to_ear={}) == (
        "Joining took 487 ms; two joins of 20 failed, where the goal allows one in twenty."
    )
    assert said(verdict="invalid").startswith("These figures are not to be trusted")
    one = {"caller_to_callee": make_result().mouth_to_ear["caller_to_callee"]}
    assert "the callee hears the caller after 158 ms" in said(measures=("caller_to_callee",), mouth_to_ear=one)
