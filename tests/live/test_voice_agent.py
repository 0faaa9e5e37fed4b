"""A conversation with an agent outside that behaves as ours does, over aiortc, on the real clock."""

import math
import sys
import time
from pathlib import Path

import pytest
from runs import kept_run, valid_run
from services import _Service

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


def held(agent, *settings, path=None, run=valid_run):
    target = f"target=sdp+{agent.origin}/api/offer" if path is None else f"target=whip+whep+{agent.origin}{path}"
    quick = ("call.calls=1", "call.joins=1", "call.duration=40s", "budgets=[]", f"conversation.lines={LINES}")
    return run("voice-assistant", target, *quick, *settings)


def test_an_agent_behind_whip_and_whep_answers_and_is_interrupted(agent):
    result = held(agent, "link=delay 20ms", path="/{whip,whep}", run=kept_run)
    (answers,), (stops,) = result.of_kind("response").values(), result.of_kind("barge_in").values()
    assert (answers.scheduled, answers.heard, stops.scheduled, stops.heard) == (2, 2, 1, 1)
    for each in (*answers.samples, *stops.samples):
        assert math.fsum(each.stages.values()) == pytest.approx(each.delay_s, abs=1e-4)
        assert each.stages["way_up"] >= 0.0199
        assert each.stages["way_down"] >= 0.0199
    assert all(each.stages["network_and_agent"] > 0.8 for each in answers.samples)
    time.sleep(1.0)
    assert agent.open_calls() == 0


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
