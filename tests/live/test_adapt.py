"""What a line that falls does to real calls: through a Janus room, and to a Chromium that shows its camera."""

import math
import re
import shutil
import warnings
from importlib.util import find_spec

import pytest
from janus import ROOM
from presence import missing

from rtcprobe.adaptation import case_of_link, figures_of
from rtcprobe.probe.adapting import Adapting

pytestmark = pytest.mark.filterwarnings("always:not compared")
"""A run that does not count is told in the summary, with its seconds, and fails nothing."""

TRIES = 2
FALL_S, LENGTH_S = 3, 9
LINE = "delay 20ms rate 2mbit limit 200ms at 3s rate 400kbit"


def adapted(adapting):
    """Return a call that the machine did not spoil, and its line; where it spoiled all, what they say of that.

    A call that does not count is an outcome, and judged as one: it says how late what was, and in which seconds.
    """
    case = case_of_link(LINE, float(LENGTH_S))
    for seed in range(TRIES):
        found = adapting.call(case, seed, lambda _: None)
        if not found.invalid:
            return found, case
        late = found.lateness.invalid()
        assert re.search(r"our loop was [0-9.]+ ms late at p95", found.late)
        assert bool(late) == ("packets left our emulator" in found.late)
        assert found.lateness.is_invalid() or found.loop_late_s > found.lateness.limit_s
        assert all(0 <= second <= LENGTH_S + 30 for second in late)
        warnings.warn(f"not compared, INVALID: {found.late}", stacklevel=1)
    return None, case


def holds(found, case):
    """Check what every queue of 200 ms at 400 kb/s does, whoever sends more into it."""
    course = found.course
    assert sum(course.drops[FALL_S:]) > 0
    after = course.delivered_bps[FALL_S + 1 : LENGTH_S - 1]
    assert max(after) <= 400e3 * 1.05  # a packet may end in another second than it began
    assert 0.150 < max(delay_s for sent_s, delay_s in course.delays if sent_s > FALL_S + 1) < 0.300
    figures = figures_of(course, case.link)
    assert figures["above_100ms_s"] > 0.5
    assert figures["voice_unplayed"] is not None


def test_a_room_that_forwards_does_not_fall_with_the_line(janus):
    url = f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}"
    found, case = adapted(Adapting(url, ("video.bitrate=1mbit", "call.join_timeout=10s"), "down"))
    if found is None:
        return
    holds(found, case)
    assert sum(found.course.delivered_bps[1:FALL_S]) > 0.9 * 1e6 * (FALL_S - 1)  # 2 Mb/s carry all of it
    assert all(math.isnan(each) for each in found.course.target_bps)
    assert found.course.height[FALL_S - 1] == 480


def test_our_own_sender_falls_with_the_line_by_what_a_real_room_tells_it(janus):
    url = f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}"
    found, case = adapted(Adapting(url, ("call.join_timeout=10s",), "up", "gcc"))
    if found is None:
        return
    holds(found, case)
    # Janus told it of packets: it probed to more than the 300 kb/s that it begins with, and fell with the line.
    assert max(found.course.target_bps[:FALL_S]) > 1e6
    assert found.course.target_bps[LENGTH_S - 2] < 600e3
    assert found.sender == "our gcc"


@pytest.mark.usefixtures("network")
def test_chromium_falls_with_the_line_and_says_so():
    if find_spec("playwright") is None:
        missing("playwright")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        missing("chromium")
    found, case = adapted(Adapting("page", (), "down"))
    if found is None:
        return
    holds(found, case)
    # It adapts: after the fall its estimate is no longer above what the line carries, within what it takes to find out.
    assert found.course.target_bps[FALL_S - 1] > 600e3
    assert found.course.target_bps[LENGTH_S - 2] < 600e3
