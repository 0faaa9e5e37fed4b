"""What an agent says of itself stands beside what was heard of it, and changes none of it."""

import pytest

from rtcprobe.conversation.claims import Claim, claimed_response_s, claimed_spans, claimed_stop_s
from rtcprobe.hearing.conversed import accounts_of
from rtcprobe.hearing.turns import AgentSpeech, LineHeard, Turns

TOLD = [
    Claim(2.1, "user began"),
    Claim(3.3, "user stopped"),
    Claim(3.9, "agent began"),
    Claim(5.4, "user began"),
    Claim(5.7, "agent stopped"),
]


def turns():
    answer = AgentSpeech(begin_s=4.0, end_s=5.9, first=0, last=1, concealed=False)
    said = LineHeard(
        number=0, kind="turn", called="Hello?", begin_s=2.0, end_s=3.0, response_s=1.0, answer=answer, concealed=False
    )
    stopping = LineHeard(
        number=1, kind="barge_in", called="Stop.", begin_s=5.0, end_s=6.0, stop_s=0.9, into_speech=True
    )
    return {0: Turns(lines=(said, stopping), agent=(answer,))}


def test_an_answer_claimed_lasts_from_the_end_that_was_claimed_to_the_voice_that_was():
    assert claimed_response_s(TOLD, ended_s=3.0, heard_s=4.0) == pytest.approx(0.6)
    assert claimed_stop_s(TOLD, begun_s=5.0, silent_s=5.9) == pytest.approx(0.3)
    assert claimed_spans(TOLD) == [(3.9, 5.7)]


@pytest.mark.parametrize("told", [[], TOLD[:1], [Claim(9.0, "user stopped"), Claim(9.5, "agent began")]])
def test_what_was_not_claimed_near_an_answer_is_claimed_of_no_answer(told):
    assert claimed_response_s(told, ended_s=3.0, heard_s=4.0) is None


def test_claims_are_figures_of_their_own_and_nothing_else_changes():
    without, told = accounts_of(turns(), "caller"), accounts_of(turns(), "caller", claims={0: TOLD})
    assert [each.figures.get("claimed_s") for each in without] == [None, None]
    assert [each.figures["claimed_s"] for each in told] == pytest.approx([0.6, 0.3])
    assert [each.samples[0].figures["claimed_s"] for each in told] == pytest.approx([0.6, 0.3])
    assert [each.samples[0].delay_s for each in told] == [each.samples[0].delay_s for each in without]
    assert [(each.from_s, each.until_s) for each in told[0].spans if each.what == "claim"] == [(3.9, 5.7)]
