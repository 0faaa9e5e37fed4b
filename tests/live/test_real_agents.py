"""Two real voice agents, pipecat's and LiveKit's, beside their own logs; benchmarks/real_agents.py prints figures."""

import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from presence import need

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from real_agents import AGENTS, PYTHON, agent, held

NEAR_S, FAR_S = 0.020, 0.100


@pytest.fixture(scope="module")
def origins(network, tmp_path_factory):
    """Where both agents are, by name: started at the same time, for each loads its models for a dozen seconds."""
    need(str(PYTHON))
    made = {name: agent(name, network.address, tmp_path_factory.mktemp(name)) for name in AGENTS}
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        starting = {name: pool.submit(stack.enter_context, each) for name, each in made.items()}
        yield {name: each.result() for name, each in starting.items()}


@pytest.fixture(scope="module", params=AGENTS)
def calls(request, origins):
    """The same conversation over either delay, by the delay."""
    origin = origins[request.param]
    # Over the longer line candidates follow the offer, as pipecat's own clients have it.
    return {delay_s: held(origin, delay_s, trickle=delay_s == FAR_S) for delay_s in (NEAR_S, FAR_S)}


def mean_s(call, what):
    return statistics.fmean(getattr(turn, what) for turn in call.turns() if turn.kind == "response")


def test_every_turn_is_answered_and_each_figure_is_the_agents_own(calls):
    for call in calls.values():
        assert (call.responses.scheduled, call.responses.heard) == (4, 4)
        turns = list(call.turns())
        assert len(turns) == 5  # and a stop
        assert all(turn.agent_s > 0.1 for turn in turns)
        assert max(abs(turn.error_ms) for turn in turns) < 20.0


def test_more_emulated_delay_is_in_the_ways_and_not_in_the_agents_part(calls):
    near, far = calls[NEAR_S], calls[FAR_S]
    moved = {
        what: mean_s(far, what) - mean_s(near, what)
        for what in ("delay_s", "ways_s", "playout_s", "agent_s", "truth_s")
    }
    # An agent takes its time anew for each turn; its own log says how much of the change is its own.
    assert moved["agent_s"] - moved["truth_s"] == pytest.approx(0.0, abs=0.005)
    assert moved["ways_s"] == pytest.approx(0.160, abs=0.005)
    assert moved["delay_s"] - moved["truth_s"] - moved["playout_s"] == pytest.approx(0.160, abs=0.005)


def test_a_pause_an_interruption_and_a_backchannel_are_counted_as_what_they_were(calls):
    for call in calls.values():
        # 0.9 s is longer than either agent waits; what it then says into the turn its own log has, too.
        into = {each.called: each for each in call.spoken_into()}
        assert into["I would like to go [pause 900ms] at nine."].ours
        assert all(each.its in (each.ours, None) for each in into.values())
        assert call.responses.figures["inside"] * len(into) == pytest.approx(sum(each.ours for each in into.values()))
        stops = call.interruptions
        assert (stops.scheduled, stops.heard, stops.lost) == (1, 1, 0)
        # Neither tells "uh-huh" from a turn: their voice detectors hear speech, and no words.
        assert stops.figures["false_stops"] == 1.0


def test_what_pipecat_claims_of_its_answers_stands_beside_what_was_heard_of_them(calls, request):
    told = {bool(call.claims) for call in calls.values()}
    assert told == {request.node.name.endswith("[pipecat]")}  # LiveKit's tell that in rooms of its own server alone
    for call in (each for each in calls.values() if each.claims):
        claimed = [each for each in call.responses.samples if "claimed_s" in each.figures]
        # Its clock begins when it has decided that the turn is over, and knows of no network, and no playout.
        assert len(claimed) >= 2
        assert all(0.0 <= each.figures["claimed_s"] < each.delay_s - 0.5 for each in claimed)


def test_whoever_hung_up_is_gone_from_the_agent_within_a_second(calls):
    assert all(call.rid_s < 1.0 for call in calls.values())
