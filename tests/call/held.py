"""A conversation held over the loopback in virtual time, with what both sides know of it."""

from dataclasses import dataclass, replace

import numpy as np

from rtcprobe.audio.opus import OpusSettings
from rtcprobe.call.live import LiveMouth, LiveSpeech
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.loopback import LoopbackTarget, mesh_routes
from rtcprobe.conversation import AgentPlan, Conversation, ScriptedUser, SimulatedAgent, spoken_lines
from rtcprobe.hearing.turns import Heard, Script, Talk, Turns, hear_turns
from rtcprobe.link import parse_link
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.probe.placing import Attempt, Placing
from rtcprobe.scenario import Devices

DEVICES = Devices(capture_s=0.010, playback_s=0.020)
NETEQ = PlayoutChoice.parse("neteq")


@dataclass
class Conversed:
    """A conversation: the call, both mouths, and what was heard of it."""

    attempt: Attempt
    user: LiveMouth
    agent: LiveMouth
    turns: Turns
    heard: Heard

    @property
    def call(self):
        return self.attempt.call


def setup_of(lines, agent=None, *, link="delay 20ms", longest_s=60.0, **more):
    """Return what a call between a user of ``lines`` and a simulated agent is made of."""
    plan = Conversation(lines=tuple(lines), agent=agent or AgentPlan(), **more)
    said = spoken_lines(plan)

    def user(seed):
        return ScriptedUser(said, patience_s=plan.patience_s, background_dbfs=plan.background_dbfs, seed=seed)

    speaks = LiveSpeech(
        ptime_s=0.020, codec=OpusSettings(), longest_s=longest_s, talker=user, playout=NETEQ, devices=DEVICES
    )
    answers = replace(
        speaks,
        talker=lambda seed: SimulatedAgent(plan.agent, seed),
        devices=Devices(capture_s=0.0, playback_s=0.0),
        follows="caller",
    )
    routes = mesh_routes(("caller", "callee"))
    return CallSetup(
        routes={route: [] if "server" in route else [parse_link(link)] for route in routes},
        speech={"caller": speaks, "callee": answers},
        connection="cold",
        dtls_timeout_s=lambda _round_trip_s: 1.0,
        join_timeout_s=30.0,
        linger_s=0.2,
    )


def placed(setup, seed=1):
    """Hold it, and return how it went."""
    return Placing(LoopbackTarget(), "virtual").talk(
        setup, np.random.SeedSequence(seed), lambda _attempt: None, lambda _talked_s: None
    )


def conversed(lines, agent=None, *, seed=1, **more):
    """Hold it, and hear it."""
    attempt = placed(setup_of(lines, agent, **more), seed)
    call = attempt.call
    user, other = call.caller.track.mouth, call.callee.track.mouth
    talk = Talk(
        script=[Script(line.kind, line.called) for line in lines],
        lines=user.talker.said,
        user=call.caller.said(),
        to_user=call.caller.came(forwarded=False, there_and_back=False),
        agent=call.callee.said(),
        to_agent=call.callee.came(forwarded=False, there_and_back=False),
    )
    turns, heard = hear_turns(talk, playout=NETEQ, devices=DEVICES, phase_s=attempt.phase_s(call.caller))
    return Conversed(attempt, user, other, turns, heard)
