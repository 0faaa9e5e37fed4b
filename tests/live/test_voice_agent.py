"""A conversation with a voice agent that is not ours: pipecat's way of being called, over aiortc, on the real clock."""

import math
import statistics
import sys
import time
from pathlib import Path

import pytest
from services import _Service

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

HERE = Path(__file__).parent
LINES = "[{say: 'Hello, can you hear me?'}, {say: 'No, stop it now, please.', barge_in: 1.2s after onset}]"


class Agent(_Service):
    def __init__(self, address, folder):
        command = [sys.executable, HERE / "servers" / "aiortc_agent.py", address, "{port}"]
        super().__init__("agent", address, folder, command, {})


@pytest.fixture(scope="module")
def agent(network, tmp_path_factory):
    server = Agent(network.address, tmp_path_factory.mktemp("agent"))
    server.start()
    yield server
    server.process.stop()


def held(agent, *settings):
    target = f"target=sdp+{agent.origin}/api/offer"
    quick = ("call.calls=1", "call.joins=1", "call.duration=40s", "budgets=[]", f"conversation.lines={LINES}")
    return run_probe(find_scenario("voice-assistant", [target, *quick, *settings]), seed=1, clock="real")


def test_an_agent_outside_answers_and_is_interrupted_and_is_rid_of_the_session_at_once(agent):
    result = held(agent, "link=delay 20ms")
    response, barge_in = result.of_kind("response"), result.of_kind("barge_in")
    (answers,), (stops,) = response.values(), barge_in.values()
    assert (answers.scheduled, answers.heard) == (2, 2)
    assert (stops.scheduled, stops.heard) == (1, 1)
    for each in (*answers.samples, *stops.samples):
        assert math.fsum(each.stages.values()) == pytest.approx(each.delay_s, abs=1e-4)
        assert each.stages["way_up"] >= 0.0199
        assert each.stages["way_down"] >= 0.0199
    assert all(each.stages["network_and_agent"] > 0.8 for each in answers.samples)  # its hangover and its thinking
    log = agent.get("/log")
    assert len(log) == 2
    begun = [each.spoken_s + each.delay_s for each in answers.samples]
    apart_s = (log[1]["begin"] - log[0]["begin"]) / 48_000  # on its own clock: what it said, heard as far apart
    assert begun[1] - begun[0] == pytest.approx(apart_s, abs=0.25)
    time.sleep(1.0)
    assert agent.open_calls() == 0


def test_more_emulated_delay_moves_the_response_and_not_the_agents_part(agent):
    near, far = (held(agent, f"link=delay {delay}ms") for delay in (20, 100))
    parts = [[each.stages for each in next(iter(r.of_kind("response").values())).samples] for r in (near, far)]
    ways = [statistics.fmean(stages["way_up"] + stages["way_down"] for stages in each) for each in parts]
    assert ways[1] - ways[0] == pytest.approx(0.160, abs=0.02)
