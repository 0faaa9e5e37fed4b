"""A turn whose call ended while its answer was awaited was not unanswered: nobody knows."""

import pytest

from rtcprobe.hearing.conversed import _answered
from rtcprobe.hearing.turns import LineHeard


@pytest.mark.parametrize(("cut", "fate"), [(True, "rejected"), (False, "lost")])
def test_only_who_waited_to_the_end_was_left_without_an_answer(cut, fate):
    line = LineHeard(number=0, kind="turn", called="Hello?", begin_s=0.0, end_s=1.0, cut=cut)
    assert _answered(line, 0).fate == fate
