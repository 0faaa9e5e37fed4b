"""A conversation as it is told: on the screen, in a sentence, and on the page."""

import re
from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.html import render_report
from rtcprobe.report.lead import lead
from rtcprobe.report.markdown import result_markdown
from rtcprobe.report.terminal import screen
from rtcprobe.result import Result, Span
from rtcprobe.verdict import compare
from rtcprobe.verdict.budgets import evaluate, parse_budget
from tests.talks import result


def said(width=80):
    return [line.plain.rstrip() for line in screen(result(), width)]


def test_the_screen_names_a_simulated_agent_and_tells_answers_and_stops_side_by_side():
    lines = said()
    head = next(line for line in lines if "Conversation" in line)
    assert head.startswith("─ Conversation with a simulated agent: 2 calls, 4 turns, ms")
    assert head.rstrip(" ─").endswith("stop")
    assert any(re.search(r"heard, rejected, lost +3, 0, 1 of 4 +1, 1, 0 of 2", line) for line in lines)
    told = " ".join(lines)
    assert "answers inside the turn 25%, talk-over 1,000 ms a call" in told
    assert "interruptions missed 0 of 2, false stops 50%" in " ".join(told.split())
    assert not any("Mouth to ear" in line for line in lines)


def test_the_first_call_is_drawn_as_two_rows_with_what_overlaps_marked():
    lines = said()
    rows = {line.split()[0]: line[8:] for line in lines if line.split()[:1] in (["you"], ["agent"], ["both"])}
    assert {*rows["you"]} == {*rows["agent"]} == {" ", "█"}
    both = {place for place, mark in enumerate(rows["both"]) if mark == "x"}
    assert both
    assert all(rows["you"][place] == rows["agent"][place] == "█" for place in sorted(both)[1:-1])


def test_every_turn_of_the_first_call_is_split_into_parts_that_sum_to_it():
    lines = said()
    turn = next(line for line in lines if line.startswith(" Are you there?"))
    delay, parts = turn.split("=")
    assert int(delay.split()[-1].replace(",", "")) == sum(int(each.replace(",", "")) for each in parts.split("+"))


def test_the_sentence_says_what_network_and_playout_add_to_a_simulated_agents_answer():
    assert "a simulated agent answered after 1,050 ms, of which network and playout are 150" in lead(result()).lower()


def test_the_page_draws_the_calls_and_has_a_row_for_every_turn_and_its_fate():
    page = render_report([result()])
    assert "Conversation with a simulated agent" in page
    assert "Call 1: who spoke when" in page
    assert "both at once" in page
    assert page.count("Are you there?") == 2
    assert "no answer" in page
    assert "its cue never came" in page
    assert "Mouth to ear:" not in page


def test_a_conversation_is_read_back_as_it_was_written():
    assert Result.from_dict(result().to_dict()).to_dict() == result().to_dict()


def test_budgets_ask_for_answers_stops_and_what_is_not_the_agents():
    found = {
        line: evaluate(parse_budget(line), result())
        for line in (
            "response p50 < 2s",
            "response.added max < 200ms",
            "response.arrived max < 1.1s",
            "response.inside mean <= 0%",
            "response.lost mean <= 0%",
            "barge_in.stop max < 2s",
            "barge_in.false_stops mean <= 0%",
        )
    }
    assert found["response p50 < 2s"].value == 1.05
    assert round(found["response.added max < 200ms"].value, 6) == 0.15  # 1.05 s but for the agent's 0.9
    assert round(found["response.arrived max < 1.1s"].value, 6) == 1.04  # 1.1 s but for playout and loudspeaker
    assert found["response.inside mean <= 0%"].value == 0.25
    assert found["response.lost mean <= 0%"].value == 0.25
    assert found["barge_in.stop max < 2s"].value == 0.6
    assert found["barge_in.false_stops mean <= 0%"].verdict == "missed"


def test_conversations_of_different_level_are_not_compared():
    quiet, loud = (replace(result(), settings={"conversation": {"level": level}}) for level in ("-40dBFS", "-19dBFS"))
    with pytest.raises(BadInputError) as caught:
        compare([quiet], [loud], labels=("a", "b"))
    assert str(caught.value) == (
        "a was spoken to at -40dBFS, b at -19dBFS: "
        "agents hear a louder voice sooner: compare conversations of one level"
    )


def test_two_sides_are_compared_by_how_they_answer_stop_and_are_stopped_by_what_is_no_turn():
    names = [each.name for each in compare([result()], [result()]).differences]
    there = [
        "response.round_trip p50",
        "response.round_trip p95",
        "response.round_trip.lost mean",
        "response.round_trip.inside mean",
        "barge_in.round_trip p50",
        "barge_in.round_trip p95",
        "barge_in.round_trip.lost mean",
        "barge_in.round_trip.false_stops mean",
    ]
    assert [each for each in names if not each.startswith("join")] == there  # ESTOI was not asked for


def test_markdown_says_how_long_answers_and_stops_took():
    lines = result_markdown(result()).splitlines()
    assert "| a turn, ms | answer | stop |" in lines
    assert "| heard, rejected, lost | 3, 0, 1 of 4 | 1, 1, 0 of 2 |" in lines


def test_no_utterance_is_understood_better_than_its_original():
    answers, stops = result().accounts
    calls = tuple(replace(each, figures={"estoi": 0.99 + 0.008 * each.call}) for each in answers.calls)
    understood = replace(answers, calls=calls, figures={**answers.figures, "estoi": 0.994, "estoi_worst": 0.9})
    made = replace(result(), accounts=(understood, stops))
    mean, worst = (evaluate(parse_budget(f"response.estoi {each} >= 0.8"), made) for each in ("mean", "worst"))
    assert 0.8 < mean.low < 0.994 < mean.high <= 1.0
    assert (worst.value, worst.verdict) == (0.9, "met")


def claimed():
    """Return the conversation, its agent claiming 300 ms of each answer, and that it spoke from 2.9 to 6 s."""
    made = result()
    answers, stops = made.of_kind("response"), made.of_kind("barge_in")
    (told,) = answers.values()
    spans = (*told.spans, Span(what="claim", from_s=2.9, until_s=6.0))
    samples = tuple(replace(each, figures={"claimed_s": 0.3}) for each in told.samples)
    told = replace(told, samples=samples, spans=spans, figures={**told.figures, "claimed_s": 0.3})
    return replace(made, accounts=(told, *stops.values()))


def test_what_the_agent_claims_stands_beside_what_was_heard_under_that_name():
    lines = [line.plain.rstrip() for line in screen(claimed(), 80)]
    assert any(re.search(r"the agent's claim, p50 +300\.0 +-$", line) for line in lines)
    assert any(line.startswith(" claims") and "▒" in line for line in lines)
    turn = next(line for line in lines if line.startswith(" Are you there?"))
    assert turn.endswith("it claims 300")
    assert max(map(len, lines)) <= 80
    page = render_report([claimed()])
    assert page.count("the agent&#39;s claim") + page.count("the agent's claim") >= 2
    assert not any("claim" in line.plain for line in screen(result(), 80))
