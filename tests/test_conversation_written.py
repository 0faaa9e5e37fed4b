"""The key conversation of a scenario: what is read, and every mistake in one sentence."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.probe.beforehand import check_target
from rtcprobe.scenario import parse_scenario

BASE = """
name: talk
link: delay 20ms
conversation:
  lines:
    - say: Hello, can you hear me?
    - {say: Stop it., barge_in: 1.5s after onset}
    - {backchannel: uh-huh, during: 1s after onset}
    - {noise: 400ms at -26dBFS, during: 2s after onset}
"""


def test_a_conversation_is_read_with_its_cues_levels_and_agent():
    plan = parse_scenario(BASE).conversation
    assert [(line.kind, str(line.when)) for line in plan.lines] == [
        ("turn", "silent 600ms"),
        ("barge_in", "1.5s after onset"),
        ("backchannel", "1s after onset"),
        ("noise", "2s after onset"),
    ]
    assert (plan.voice, plan.level_dbfs, plan.background_dbfs, plan.patience_s) == ("anna", -26.0, -80.0, 8.0)
    assert (plan.agent.hangover_s, plan.agent.answer_s, plan.agent.interrupt_after_s) == (0.6, (3.0, 5.0), 0.2)
    never = parse_scenario(BASE, ["conversation.agent.interrupt_after=never", "conversation.level=-35dBFS"])
    assert never.conversation.agent.interrupt_after_s is None
    assert never.digest != parse_scenario(BASE).digest  # other levels are other situations: they never compare


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("conversation.level=loud", "conversation.level: 'loud' is no level: write it like -26dBFS"),
        ("conversation.lines=[]", "conversation.lines [] is not a list: write it like [{say: Hello.}, "),
        ("conversation.lines=[{say: a, wav: b}]", "lines.0: say and wav are given together: give one of say, wav"),
        ("conversation.lines=[{after: silent 1s}]", "lines.0: nothing is said: give one of say, wav, backchannel"),
        (
            "conversation.lines=[{say: a, after: silent 1s, barge_in: 1s after onset}]",
            "lines.0: after and barge_in are given together: give one of them",
        ),
        (
            "conversation.lines=[{say: a}, {say: b, during: 1s after onset}]",
            "lines.1: say does not go with during: give after, or barge_in",
        ),
        (
            "conversation.lines=[{say: a}, {backchannel: b}]",
            "lines.1: backchannel does not go with no cue: give during: 1.5s after onset",
        ),
        (
            "conversation.lines=[{say: a}, {say: b, barge_in: silent 1s}]",
            "lines.1: barge_in 'silent 1s' is impossible: write it like 1.5s after onset",
        ),
        ("conversation.lines=[{say: '...'}]", "lines.0: '...' holds nothing that could be said"),
        ("conversation.voice=bob", "conversation: voice 'bob' is not known"),
        ("conversation.agent.answer=long", "conversation.agent.answer: 'long' is no range: write it like 2s to 4s"),
        ("conversation.agent.think=-1s", "agent.think -1s is impossible: give 0ms to 30s"),
        ("conversation.speaker=anna", "conversation.speaker is not known"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(change, sentence):
    with pytest.raises(BadInputError) as caught:
        parse_scenario(BASE, [change])
    assert sentence in str(caught.value)


def test_a_conversation_is_between_two():
    rooms = BASE.replace("link: delay 20ms", "link: delay 20ms\nparties: {ana: {}, ben: {}, cem: {}}")
    with pytest.raises(BadInputError, match="a conversation is between two, and there are 3 parties"):
        parse_scenario(rooms)


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        ("response p50 < 800ms", "is pointless: the simulated agent's hangover, think and interrupt_after decide it"),
        ("barge_in.stop p95 < 500ms", "make it advisory, judge barge_in.added, or call an agent: --target"),
        ("response.stages.agent mean < 1s (advisory)", "is pointless"),
        ("mouth_to_ear p95 < 200ms", "in a conversation nobody speaks markers: it has response and barge_in"),
    ],
)
def test_budgets_that_would_judge_only_what_was_written_are_refused(budget, sentence):
    with pytest.raises(BadInputError) as caught:
        check_target(parse_scenario(BASE, [f"budgets=['{budget}']"]), "virtual")
    assert sentence in str(caught.value)


def test_budgets_on_what_network_and_playout_add_are_taken_and_goals_of_people_may_advise():
    budgets = "['response.added p95 < 300ms', 'response p50 < 800ms (advisory)', 'barge_in.false_stops mean <= 0%']"
    assert check_target(parse_scenario(BASE, [f"budgets={budgets}"]), "virtual").name == "loopback"


def test_a_scenario_without_a_conversation_has_no_responses_to_judge():
    with pytest.raises(BadInputError, match="there is no conversation here: give a conversation with lines to say"):
        check_target(parse_scenario("name: x\nlink: delay 1ms\nbudgets: [response p50 < 1s]"), "virtual")


def test_the_model_holds_no_conversation():
    with pytest.raises(BadInputError, match="engine model holds no conversation: use engine stack"):
        check_target(parse_scenario(BASE), "virtual", "model")


def test_intelligibility_is_judged_only_where_it_is_measured():
    budget = "budgets=['response.estoi mean >= 0.9']"
    with pytest.raises(BadInputError, match="intelligibility is not measured: add conversation"):
        check_target(parse_scenario(BASE, [budget]), "virtual")


def test_intelligibility_needs_the_original_which_an_agent_outside_keeps_to_itself():
    asked = ["conversation.intelligibility=true", "target=sdp+http://127.0.0.1:9/offer"]
    with pytest.raises(BadInputError, match="compares with the original, which an agent outside keeps to itself"):
        check_target(parse_scenario(BASE, asked), "real")
