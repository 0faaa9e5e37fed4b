"""A simulated agent as a party of a room: user and agent hear each other through a forwarding server of ours."""

import math

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.report.json import dumps
from rtcprobe.scenario import parse_scenario

ROOM = """
name: agent-room
serves: somebody in Frankfurt and an assistant in Dublin
parties: {ana: {region: frankfurt}, helper: {region: dublin}}
target: {kind: sfu}
edges: [paris]
legs: {ana_to_paris: delay 30ms, paris_to_ana: delay 20ms, helper_to_paris: delay 40ms, paris_to_helper: delay 50ms}
signaling: {connection: warm}
call: {calls: 1, joins: 1, duration: 40s}
codec: {bitrate: 32kbit}
conversation:
  lines: [{say: "Hello?"}, {say: "Stop, please.", barge_in: 1s after onset}]
  agent: {hangover: 500ms, think: 200ms, answer: 2s to 3s}
budgets: []
"""


def held(*settings):
    return run_probe(parse_scenario(ROOM, settings), seed=3, clock="virtual")


@pytest.fixture(scope="module")
def result():
    return held("conversation.intelligibility=true")


def test_every_turn_is_answered_and_the_ways_are_those_through_the_server(result):
    (answers,), (stops,) = result.of_kind("response").values(), result.of_kind("barge_in").values()
    assert (answers.scheduled, answers.heard, stops.scheduled, stops.heard) == (2, 2, 1, 1)
    for each in (*answers.samples, *stops.samples):
        assert math.fsum(each.stages.values()) == pytest.approx(each.delay_s, abs=1e-4)
        assert each.stages["way_up"] == pytest.approx(0.030 + 0.050, abs=1e-3)
        assert each.stages["way_down"] == pytest.approx(0.040 + 0.020, abs=1e-3)
    assert answers.figures["estoi"] > 0.95
    assert answers.figures["said_estoi"] > 0.95


def test_equal_seeds_make_equal_bytes(result):
    again = held("conversation.intelligibility=true")
    first, second = ([line for line in dumps([each]).splitlines() if '"date"' not in line] for each in (result, again))
    assert first == second
