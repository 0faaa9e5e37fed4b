"""A conversation in place of speeches: what a call of it is made of, and what is heard of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from rtcprobe.audio.detector import DetectedGate, detected_spans, silero
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.voice import Span, VoiceGate, voiced_spans
from rtcprobe.audio.wav import wav_file
from rtcprobe.call.live import LiveEar, LiveSpeech
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.conversation import (
    Claim,
    Conversation,
    ScriptedUser,
    SimulatedAgent,
    Talker,
    Utterance,
    spoken_lines,
)
from rtcprobe.errors import BadInputError
from rtcprobe.hearing.conversed import accounts_of
from rtcprobe.hearing.intelligibility import Ear, understood
from rtcprobe.hearing.turns import Heard, Script, Talk, Turns, hear_turns
from rtcprobe.probe.clips import clips_of, mouth_sound
from rtcprobe.probe.hearing import Listened
from rtcprobe.probe.spoke import Spoke
from rtcprobe.recording import Said
from rtcprobe.result import Account, Clip
from rtcprobe.scenario import Devices, Party, Scenario
from rtcprobe.ways import Way

__all__ = ["Conversing"]

_SOFTWARE = Devices(capture_s=0.0, playback_s=0.0)
"""What a simulated agent hears and speaks through."""


class Conversing:
    """The conversation of a scenario: the first party is the user, the second the agent.

    Raises:
        BadInputError: a line that cannot be made to sound, or a detector that is not installed.
    """

    markers_s: Final = 6.0
    """How much is spoken for joins, again and again: in calls of a conversation nobody speaks markers."""

    def __init__(self, scenario: Scenario, plan: Conversation) -> None:
        self._scenario, self._plan = scenario, plan
        self._user, self._agent = scenario.parties[:2]
        if plan.detector != "energy":
            silero()  # where it is not installed, that is said before anybody calls
        self._lines: tuple[Utterance, ...] = spoken_lines(plan)
        takes_s = sum(len(line.sound) for line in self._lines) / SAMPLE_RATE_HZ
        # Without any pause or answer: what cannot end within the call is refused before it is placed.
        if takes_s >= scenario.call.duration_s:
            raise BadInputError(
                f"the lines alone take {takes_s:.1f}s to say, and call.duration is {scenario.call.duration_s:g}s",
                "give a longer call.duration, or fewer lines",
            )
        self._heard: dict[int, Turns] = {}
        self._claims: dict[int, Sequence[Claim]] = {}
        self._clips: tuple[Clip, ...] = ()
        self._understood: dict[int, Mapping[int, Mapping[str, float]]] = {}

    def setup(self, setup: CallSetup) -> CallSetup:
        """Return ``setup`` with a scripted user and a simulated agent in place of its mouths."""
        user = partial(_user, self._lines, self._plan)
        agent = partial(_agent, self._plan)
        return replace(
            setup,
            speech={
                self._user.name: self._speech(self._user, user, self._user.devices),
                # It has no end of its own: it ends with the user's mouth (``call.live`` rule 3).
                self._agent.name: replace(self._speech(self._agent, agent, _SOFTWARE), follows=self._user.name),
            },
        )

    def _speech(self, party: Party, talker: Callable[[np.random.SeedSequence], Talker], devices: Devices) -> LiveSpeech:
        stream = party.sent("audio")
        assert stream is not None
        return LiveSpeech(
            ptime_s=stream.codec.ptime_s,
            codec=stream.codec,
            longest_s=self._scenario.call.duration_s,
            talker=talker,
            playout=party.playout,
            devices=devices,
            keeps=self._plan.intelligibility and party is self._agent,
        )

    def hear(self, number: int, ways: Sequence[Listened], spoke: Spoke, wav_dir: Path | None) -> None:
        """Hear call ``number``; ``wav_dir`` gets what the user said and heard.

        Raises:
            BadInputError: a WAV that cannot be written.
        """
        there = next((each for each in ways if each.said.party == self._user.name), None)
        back = next((each for each in ways if each.came.listener == self._user.name), None)
        if there is None or back is None or there.said.started_s is None:
            return
        # An echo, or an agent outside, has no mouth of ours: what it said is only heard.
        ours = back is not there
        turns, heard = hear_turns(
            Talk(
                script=[Script(line.kind, line.called) for line in self._lines],
                lines=spoke.lines,
                user=there.said,
                to_user=back.came,
                agent=back.said if ours else None,
                to_agent=there.came if ours else None,
                really_left_s=spoke.left_s,
                really_came_s=spoke.came_s,
            ),
            playout=self._user.playout,
            devices=self._user.devices,
            phase_s=back.phase_s,
            spans=voiced_spans if self._plan.detector == "energy" else _detected,
        )
        self._heard[number] = turns
        self._claims[number] = spoke.claims
        # Of the first call that was heard: a void or failed one has none.
        if self._plan.keep_sound and not self._clips:
            self._clips = clips_of(number, turns, there.said, heard, self._user.devices)
        if self._plan.intelligibility and ours:
            # Each side's original beside what the other's ear played of it: both directions are judged alike.
            user_heard = heard.playback.stamps, heard.sound
            user = there.said, spoke.lines, _kept(spoke.agent_ear)
            self._understood[number] = understood(turns, user, (back.said, spoke.answers, user_heard))
        if wav_dir is not None:
            _write_wavs(wav_dir, {"mouth": there.way, "ear": back.way}, there.said, heard, self._user.devices)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """What the calls heard so far say; nothing before the first."""
        if not self._heard:
            return ()
        return accounts_of(self._heard, self._user.name, self._understood, self._claims, self._clips)


def _kept(ear: LiveEar | None) -> Ear:
    """Return what a live ear played."""
    kept = [] if ear is None else ear.kept
    sound = [block for _, block in kept] or [np.zeros(0, dtype=np.float32)]
    return np.array([stamp for stamp, _ in kept], dtype=np.int64), np.concatenate(sound)


def _user(lines: Sequence[Utterance], plan: Conversation, seed: np.random.SeedSequence) -> ScriptedUser:
    gate = VoiceGate() if plan.detector == "energy" else DetectedGate(silero())
    return ScriptedUser(lines, patience_s=plan.patience_s, background_dbfs=plan.background_dbfs, seed=seed, gate=gate)


def _detected(pcm: Pcm) -> list[Span]:
    return detected_spans(pcm, silero())


def _agent(plan: Conversation, seed: np.random.SeedSequence) -> SimulatedAgent:
    return SimulatedAgent(plan.agent, seed)


def _write_wavs(folder: Path, ways: Mapping[str, Way], said: Said, heard: Heard, devices: Devices) -> None:
    """Write what the user said (as encoded) and heard; the first sample of both files is the start of the call."""
    with wav_file(folder / f"{ways['mouth']}.mouth.wav") as mouth:
        begun_s, sound = mouth_sound(said, devices)
        mouth.begin(begun_s)
        mouth.write(sound)
    with wav_file(folder / f"{ways['ear']}.ear.wav") as ear:
        ear.begin(heard.playback.start_s + devices.playback_s)
        ear.write(heard.sound)
