"""The probe's milestones of a join, held against a packet capture of the same join."""

import statistics
import time

import pytest
from capture import Capture, milestones
from runs import quiet_run

from rtcprobe.timeline import Timeline

JOINS = 7
WITHIN_S = 0.002


@pytest.fixture(scope="module")
def begun():
    """When each side of each call began, on the clock of the capture, in the order of the calls."""
    found = {}
    begin = Timeline.begin

    def noted(timeline, at_s):
        begin(timeline, at_s)
        found[id(timeline)] = (timeline, time.time())  # the timeline is kept, so that its id stays its own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Timeline, "begin", noted)
        yield lambda: [at_s for _, at_s in found.values()]


@pytest.fixture(scope="module")
def lags_s(janus, begun, tshark, tmp_path_factory):
    """By milestone, how much later than the capture the probe saw it, a value a join."""
    capture = Capture(tmp_path_factory.mktemp("capture"), tshark)
    try:
        target = f"janus+ws://{janus.address}:{janus.ws_port}/echotest"
        result = quiet_run(target, f"call.joins={JOINS}", "call.duration=1s")
        joins = slice(-JOINS - 1, -1)  # the last is the call; before them are those of runs that were too busy
        seen = milestones(capture.frames(), server_port=janus.ws_port)[joins]
        starts_s = begun()[joins]
    finally:
        capture.stop()
    marked = [attempt.marks for attempt in result.join.attempts]
    return {
        milestone: [
            start_s + ours[milestone] - theirs[milestone]
            for start_s, ours, theirs in zip(starts_s, marked, seen, strict=True)
        ]
        for milestone in seen[0]
    }


def test_every_milestone_agrees_with_the_capture_within_two_milliseconds(lags_s):
    # The median of several joins: another process may hold up any one of them on its way from the kernel to us.
    typical_s = {milestone: statistics.median(each) for milestone, each in lags_s.items()}
    assert max(map(abs, typical_s.values())) < WITHIN_S, typical_s


def test_no_milestone_is_marked_before_its_packet_was_on_the_wire(lags_s):
    for milestone, each in lags_s.items():
        assert min(each) > -WITHIN_S, milestone
