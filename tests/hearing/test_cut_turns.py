"""A turn whose call ended while its answer was awaited was not unanswered: nobody knows."""

import pytest

from rtcprobe.hearing.conversed import _answered, accounts_of
from rtcprobe.hearing.turns import LineHeard, Turns


@pytest.mark.parametrize(("cut", "fate"), [(True, "rejected"), (False, "lost")])
def test_only_who_waited_to_the_end_was_left_without_an_answer(cut, fate):
    line = LineHeard(number=0, kind="turn", called="Hello?", begin_s=0.0, end_s=1.0, cut=cut)
    assert _answered(line, 0).fate == fate


def test_an_uh_huh_whose_cue_never_came_is_counted():
    never = LineHeard(number=1, kind="backchannel", called="uh-huh")
    said = LineHeard(number=2, kind="noise", called="noise", begin_s=1.0, end_s=1.4)
    figures = [
        accounts_of({0: Turns(lines=lines, agent=())}, "caller")[1].figures for lines in ((never, said), (said,))
    ]
    assert [each.get("never_said") for each in figures] == [0.5, 0.0]
