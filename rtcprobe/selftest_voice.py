"""The instrument of conversations measured by itself: a simulated agent's own log against what is heard of it.

How:
    A scripted user and a simulated agent talk in one room. What the agent said, encoded, arrives with a known delay
    that is no whole number of anything, is played by NetEQ, and its onsets and offsets are told by their energy. What
    they differ by from the instants at which NetEQ played the agent's first and last samples is the instrument's error.
    No network, no clock, no stack takes part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtcprobe.audio.mouth import encode_stream
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.conversation import (
    AgentPlan,
    Conversation,
    Line,
    ScriptedUser,
    SimulatedAgent,
    Talker,
    When,
    spoken_lines,
)
from rtcprobe.hearing.passage import LOOK_AHEAD_SAMPLES
from rtcprobe.hearing.turns import Script, Talk, hear_turns
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.recording import Agreed, Came, Departures, Said
from rtcprobe.scenario import Devices

__all__ = ["OFFSET_S", "ONSET_S", "VoiceRow", "voice_rows"]

ONSET_S, OFFSET_S = 0.0015, 0.005
"""The most that 95 % of the onsets, and of the offsets, may be off."""

# ITU-T P.56's usual active speech level of -26 dBFS, one louder, and two that agents with a soft voice have.
LEVELS_DBFS = (-19.0, -26.0, -35.0, -45.0)

# On no grid of samples, packets or blocks: an ear that rounds is found out.
_DELAY_S = 0.0123456789
_TURNS = 8
_LONGEST_S = 120.0
_PTIME_S = 0.020
_BLOCK = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRow:
    """The errors at one level of the agent's voice: the 95th percentiles of their sizes, seconds."""

    level_dbfs: float
    said: int
    heard: int
    onset_s: float
    offset_s: float

    @property
    def passed(self) -> bool:
        """Whether every answer was heard, and begins and ends where it should."""
        return self.heard == self.said and self.onset_s <= ONSET_S and self.offset_s <= OFFSET_S


def voice_rows() -> Iterator[VoiceRow]:
    """Yield the errors at each level."""
    for level_dbfs in LEVELS_DBFS:
        yield _row(level_dbfs)


def _row(level_dbfs: float) -> VoiceRow:
    user, agent, sounds = _held(level_dbfs)
    said = [_said(party, sound) for party, sound in zip(("caller", "callee"), sounds, strict=True)]
    arrivals = Arrivals()
    for departure, payload in zip(said[1].departures, said[1].frames, strict=True):
        arrivals.add(departure.at_s + _DELAY_S, departure.sequence, departure.timestamp, payload or b"", 111)
    # No protection and no loss: an error here is of detection and playout alone.
    agreed = Agreed(opus_payload_type=111, red_payload_type=None, sends_red=False, nack=False)
    turns, heard = hear_turns(
        Talk(
            script=[Script("turn", "") for _ in range(_TURNS)],
            lines=user.said,
            user=said[0],
            to_user=Came(listener="caller", arrivals=arrivals, agreed=agreed),
        ),
        playout=PlayoutChoice(policy="neteq"),
        devices=Devices(capture_s=0.0, playback_s=0.0),
        phase_s=0.0,
    )
    onsets, offsets = [], []
    for own, found in zip(agent.said, turns.agent, strict=False):
        # What it was still saying when the call ended was meant to last so long.
        end = own.begin + own.meant_samples if own.end is None else own.end
        # By RTP time, through whatever NetEQ stretched: the truth has the same clockwork, without ears.
        truth = [heard.playback.play_instant(each + LOOK_AHEAD_SAMPLES) for each in (own.begin, end - 1)]
        if truth[0] is not None and truth[1] is not None:
            onsets.append(abs(found.begin_s - truth[0]))
            offsets.append(abs(found.end_s - truth[1]))
    return VoiceRow(
        level_dbfs=level_dbfs,
        said=len(agent.said),
        heard=len(turns.agent),
        onset_s=float(np.percentile(onsets, 95)) if onsets else 0.0,
        offset_s=float(np.percentile(offsets, 95)) if offsets else 0.0,
    )


def _held(level_dbfs: float) -> tuple[ScriptedUser, SimulatedAgent, tuple[Pcm, Pcm]]:
    """Let both talk, and return what each said."""
    line = Line(kind="turn", when=When(begun="silence", wait_s=0.6), words="And what then?")
    agent_plan = AgentPlan(level_dbfs=level_dbfs, answer_s=(0.8, 2.0), think_s=0.2)
    plan = Conversation(lines=(line,) * _TURNS, agent=agent_plan)
    seeds = np.random.SeedSequence(1).spawn(2)
    user = ScriptedUser(
        spoken_lines(plan), patience_s=plan.patience_s, background_dbfs=plan.background_dbfs, seed=seeds[0]
    )
    agent = SimulatedAgent(agent_plan, seeds[1])
    samples = round(_PTIME_S * SAMPLE_RATE_HZ)
    sounds: tuple[list[Pcm], list[Pcm]] = ([], [])
    listeners: tuple[Talker, Talker] = (agent, user)
    # Each hears what the other said in the packet before: a room without a network, in the talkers' own
    # steps.
    for packet in range(round(_LONGEST_S / _PTIME_S)):
        if user.over:
            break
        now_s = packet * _PTIME_S
        pair = [talker.speak(packet * samples, samples, now_s) for talker in (user, agent)]
        for place, (listener, sound) in enumerate(zip(listeners, pair, strict=True)):
            sounds[place].append(sound)
            for block in range(samples // _BLOCK):
                listener.hear(sound[block * _BLOCK : (block + 1) * _BLOCK], now_s + block * _BLOCK / SAMPLE_RATE_HZ)
    return user, agent, (np.concatenate(sounds[0]), np.concatenate(sounds[1]))


def _said(party: str, sound: Pcm) -> Said:
    frames = encode_stream(sound, OpusSettings())
    departures = Departures()
    for number, payload in enumerate(frames):
        departures.add((number + 1) * _PTIME_S, number & 0xFFFF, number * 960, len(payload), 1)
    return Said(party=party, frames=frames, ptime_s=_PTIME_S, started_s=0.0, finished=True, departures=departures)
