"""Two talkers in one room without a network: what one says the other hears ``delay_s`` later."""

from dataclasses import dataclass

import numpy as np

from rtcprobe.conversation import AgentPlan, Conversation, Line, ScriptedUser, SimulatedAgent, When, spoken_lines

SILENT = When(begun="silence", wait_s=0.6)
PACKET_S, PACKET = 0.020, 960


def after_onset(wait_s):
    return When(begun="onset", wait_s=wait_s)


def turn(words, when=SILENT):
    return Line(kind="turn" if when.begun == "silence" else "barge_in", when=when, words=words)


@dataclass
class Held:
    """What became of a conversation."""

    user: ScriptedUser
    agent: SimulatedAgent
    lasted_s: float


def held(*lines, agent=None, delay_s=0.1, seed=1, longest_s=90.0, **more):
    """Let a user of ``lines`` and an agent talk to each other."""
    plan = Conversation(lines=lines, agent=agent or AgentPlan(), **more)
    user = ScriptedUser(
        spoken_lines(plan),
        patience_s=plan.patience_s,
        background_dbfs=plan.background_dbfs,
        seed=np.random.SeedSequence(seed),
    )
    other = SimulatedAgent(plan.agent, np.random.SeedSequence(seed + 1))
    empty = [np.zeros(480, dtype=np.float32)] * round(delay_s / 0.01)
    to_agent, to_user = list(empty), list(empty)
    packet = 0
    while not user.over and packet * PACKET_S < longest_s:
        now_s = packet * PACKET_S
        for speaker, queue in ((user, to_agent), (other, to_user)):
            queue.extend(speaker.speak(packet * PACKET, PACKET, now_s).reshape(2, 480))
        for block in range(2):
            other.hear(to_agent.pop(0), now_s + 0.01 * block)
            user.hear(to_user.pop(0), now_s + 0.01 * block)
        packet += 1
    return Held(user, other, packet * PACKET_S)


def seconds(said):
    return said.begin / 48_000, said.end / 48_000
